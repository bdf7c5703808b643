"""A virtual machine with a distribution's kernel, in which a program of this tree runs; nothing is installed.

qemu and the kernel are Debian packages, unpacked into the cache.  The machine sees this machine's root file system,
read-only and over 9p, so that the same interpreter and the same sources are there; what it writes goes to memory,
or to one shared directory.  It has no network card.  Where the processor lets us (KVM), it runs natively; else it
is emulated, which takes some three times as long.
"""

from __future__ import annotations

import compileall
import fcntl
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from client.lab.syscalls import PR_SET_PDEATHSIG, prctl
from tests.netns.peers.releases import cache, release

from .initramfs import Entry, archive
from .modules import Modules

ROOT = Path(__file__).resolve().parents[2]
SHARED = "/run/results"
INIT = "init"
"""A script in the shared directory that goes on in place of the program, with what is mounted below /root."""

_HYPERVISOR = "bookworm"  # whose qemu is used, whatever the kernel's release
_PROGRAMS = ("client", "ui", "profiles", "tests/kernel", "tests/netns", "tests/esp")
_DEATH = 30.0  # seconds for a machine that was killed to be gone
_BOOT = ("virtio_pci", "9pnet_virtio", "9p")
_ROOT = ("overlay",)
_NETWORK = ("af_packet", "veth", "tun", "dummy", "xfrm_user", "xfrm_interface")
_ESP = ("esp4", "esp6", "esp4_offload", "esp6_offload")
_FILTER = (
    "nft_masq",
    "nft_nat",
    "nft_chain_nat",
    "nft_ct",
    "nft_numgen",
    "nft_limit",
    "nft_reject_inet",
    "nft_counter",
    "nft_fib_inet",
)
_CRYPTO = (
    *("crc32c_generic", "hmac", "sha1_generic", "sha256_generic", "sha512_generic", "ctr", "cbc"),
    *("jitterentropy_rng", "drbg", "seqiv", "echainiv", "crypto_null", "gcm", "ghash_generic", "authenc"),
    *(
        "authencesn",
        "chacha20poly1305",
        "chacha_generic",
        "poly1305_generic",
        "aesni_intel",
        "ghash_clmulni_intel",
    ),
)
_MODULES = (*_BOOT, *_ROOT, *_CRYPTO, *_NETWORK, *_ESP, *_FILTER)
_DIRECTORIES = ("dev", "proc", "sys", "modules", "root")
_INIT = f"""\
#!/busybox sh
b=/busybox
$b mount -t devtmpfs none /dev
$b mount -t proc none /proc
$b mount -t sysfs none /sys
for module in /modules/*; do $b insmod "$module"; done
options=trans=virtio,version=9p2000.L,msize=512000
$b mount -t 9p -o $options,cache=loose,ro root /root
for name in dev proc sys; do $b mount --bind /$name /root/$name; done
$b mount -t tmpfs none /root/run
$b mkdir /root{SHARED} /root/run/tmp
export TMPDIR=/run/tmp
$b mount -t 9p -o $options shared /root{SHARED}
test -e /root{SHARED}/{INIT} && exec $b sh /root{SHARED}/{INIT}
$b chroot /root /bin/sh -c 'cd "$ROAM_ROOT" && exec "$ROAM_PYTHON" -B -m "$ROAM_PROGRAM"'
$b sync
$b poweroff -f
"""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that is ready to boot."""

    suite: str
    version: str
    image: Path
    initramfs: Path
    busybox: Path


def kernel(suite: str) -> Kernel:
    """The kernel of a Debian release, fetched first if the cache has none (some 110 MB)."""
    root = release(suite, ("linux-image-amd64", "busybox-static"), "kernel").root
    image = next((root / "boot").glob("vmlinuz-*"))
    version = image.name.removeprefix("vmlinuz-")
    recipe = hashlib.sha256(f"{_MODULES}{_INIT}".encode()).hexdigest()[:12]
    made = cache() / "kernel" / suite / f"initramfs-{version}-{recipe}"
    with (made.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            for old in made.parent.glob("initramfs-*"):
                old.unlink()
            fresh = made.with_suffix(".new")
            fresh.write_bytes(_initramfs(root, version))
            fresh.rename(made)
    return Kernel(suite, version, image, made, _below(root, "bin/busybox"))


def _initramfs(root: Path, version: str) -> bytes:
    modules = Modules(_below(root, f"lib/modules/{version}")).in_order(_MODULES)
    files = {
        "init": Entry(_INIT.encode(), 0o755),
        "busybox": Entry(_below(root, "bin/busybox").read_bytes(), 0o755),
    }
    for number, (name, code) in enumerate(modules.items()):
        files[f"modules/{number:03}-{name}.ko"] = Entry(code)
    return archive(files, _DIRECTORIES)


def _below(root: Path, name: str) -> Path:
    """A file of a release, which may have its programs and libraries below /usr only."""
    return next(path for path in (root / name, root / "usr" / name) if path.exists())


def hypervisor() -> Path:
    """Where qemu is unpacked, fetched first if the cache has none (some 40 MB)."""
    return release(_HYPERVISOR, ("qemu-system-x86",), "qemu").root


class Machine:
    """A virtual machine that was started."""

    def __init__(self, process: subprocess.Popen[bytes], console: Path) -> None:
        self._process = process
        self._console = console

    def kill(self) -> None:
        """As a power failure; nothing where it is off already."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(_DEATH)

    @property
    def pid(self) -> int:
        """The process id of qemu."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not powered off yet."""
        return self._process.poll() is None

    def console(self) -> str:
        """The last lines that it has printed."""
        try:
            return "\n".join(self._console.read_text(errors="replace").splitlines()[-25:])
        except OSError:
            return "(no console)"


@contextmanager
def start(booted: Kernel, program: str, shared: Path) -> Iterator[Machine]:
    """Boot and run the module `program` of this tree with `shared` at `SHARED`; then it powers off by itself.

    It never outlives the context, nor this process where that is killed.
    """
    console = shared / "console"
    _compile_programs()
    process = subprocess.Popen(
        _command(booted, program, shared, console),
        stdin=subprocess.DEVNULL,
        preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
    )
    machine = Machine(process, console)
    try:
        yield machine
    finally:
        machine.kill()


def _compile_programs() -> None:
    """In there nothing can be kept: an emulated processor would compile at every start of a program."""
    for package in _PROGRAMS:
        compileall.compile_dir(ROOT / package, quiet=2)


def _command(booted: Kernel, program: str, shared: Path, console: Path) -> list[str]:
    root = hypervisor()
    environment = f"ROAM_ROOT={ROOT} ROAM_PYTHON={sys.executable} ROAM_PROGRAM={program} ROAM_CACHE={cache()}"
    settings = f"console=ttyS0 panic=-1 quiet mitigations=off {environment}"
    return [
        *_foreign_program(root, "usr/bin/qemu-system-x86_64"),
        *("-L", str(root / "usr/share/qemu"), "-L", str(root / "usr/share/seabios")),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none"),
        *("-accel", _accelerator(), "-cpu", "max", "-smp", "2", "-m", "1024"),
        *("-serial", f"file:{console}"),
        *_shared("root", Path("/"), "readonly=on,multidevs=remap"),
        *_shared("shared", shared, "multidevs=remap"),
        *("-kernel", str(booted.image), "-initrd", str(booted.initramfs), "-append", settings),
    ]


def _accelerator() -> str:
    """The processor itself where it really can: a /dev/kvm alone proves nothing inside of a virtual machine."""
    flags = set(Path("/proc/cpuinfo").read_text().split())
    native = bool(flags & {"vmx", "svm"}) and os.access("/dev/kvm", os.R_OK | os.W_OK)
    return "kvm" if native else "tcg,thread=multi"


def _foreign_program(root: Path, program: str) -> tuple[str, ...]:
    """A program of another root file system, run with its own loader and libraries."""
    libraries = ":".join(map(str, (*root.glob("lib/*-linux-gnu"), *root.glob("usr/lib/*-linux-gnu"))))
    modules = next(root.glob("usr/lib/*-linux-gnu/qemu"))
    loader = root / "lib64/ld-linux-x86-64.so.2"
    return (
        *("/usr/bin/env", f"QEMU_MODULE_DIR={modules}"),
        *(str(loader), "--library-path", libraries, str(root / program)),
    )


def _shared(tag: str, path: Path, options: str) -> tuple[str, ...]:
    return (
        *("-fsdev", f"local,id={tag},path={path},security_model=none,{options}"),
        *("-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"),
    )
