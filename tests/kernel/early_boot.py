"""A boot under lockdown with Debian's systemd as process 1, its networkd and our unit, in the virtual machine.

The root file system is Debian's packages as they were unpacked, with a layer in memory above them.  A program tries
to send from the first moment on; the link counts what leaves.  When the network is up the machine tells what it
saw, opens the guard as a control, and powers off.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from client.daemon.warden import Kept, LockdownFile
from client.tunnel.model import RULE_PRIORITY

from .machine import INIT, ROOT, SHARED

TARGET = "roam-boot.target"
LOCKDOWN, BARRIER, NETWORK = "roam-lockdown.service", "network-pre.target", "systemd-networkd.service"
OURS = "192.168.1.5"
LINK = "wlan0"
FAR = "203.0.113.1"
FOREIGN = 100
"""Priority of a routing rule that is there before networkd, and of which it knows nothing."""

_UNITS = "etc/systemd/system"
_LIBRARIES = "/opt/python/lib:/opt/loader:/opt/lib"
_LEFT_OUT = (
    *("systemd-firstboot", "systemd-hwdb-update", "systemd-journal-catalog-update", "systemd-update-done"),
    *("systemd-random-seed", "systemd-binfmt", "systemd-repart", "systemd-machine-id-commit", "ldconfig"),
    *("systemd-pcrphase", "systemd-pcrphase-sysinit", "kmod-static-nodes", "systemd-update-utmp"),
)
"""Services of a boot that take time on an emulated processor, and do nothing for a network."""

_FILES = {
    f"{_UNITS}/{TARGET}": f"""\
[Unit]
Requires=sysinit.target
After=sysinit.target
Wants={NETWORK} report.service
""",
    f"{_UNITS}/sender.service": """\
[Unit]
DefaultDependencies=no
[Service]
ExecStart=/usr/bin/perl /opt/sender.pl
""",
    f"{_UNITS}/report.service": f"""\
[Unit]
After={NETWORK}
[Service]
Type=oneshot
ExecStart=/opt/busybox sh /opt/report.sh
""",
    f"etc/systemd/network/{LINK}.network": f"""\
[Match]
Name={LINK}
[Network]
Address={OURS}/24
Gateway=192.168.1.1
LinkLocalAddressing=no
IPv6AcceptRA=no
""",
    "etc/passwd": "root:x:0:0::/:/opt/busybox\n",
    "etc/group": "root:x:0:\n",
    "etc/machine-id": "00112233445566778899aabbccddeeff\n",
    "opt/sender.pl": f"""\
# A datagram each few milliseconds, from a socket that is bound to the uplink: what became of it, and since when.
use Socket; $| = 1;
open(my $log, '>', '{SHARED}/sent') or die; $log->autoflush(1);
my ($before, $count) = ('', 0);
while (1) {{
    socket(my $sender, PF_INET, SOCK_DGRAM, 0) or die;
    setsockopt($sender, SOL_SOCKET, 25, pack('Z16', '{LINK}'));
    my $sent = send($sender, 'in clear', 0, sockaddr_in(4433, inet_aton('{FAR}')));
    my $fate = defined $sent ? 'sent' : "$!";
    if ($fate ne $before) {{ print $log "$before $count\\n" if $count; ($before, $count) = ($fate, 0); }}
    $count++;
    select(undef, undef, undef, 0.02);
}}
""",
    "opt/report.sh": f"""\
b=/opt/busybox
frames() {{ $b cat /sys/class/net/{LINK}/statistics/tx_packets; }}
libraries=/opt/nft/usr/lib/x86_64-linux-gnu:/opt/nft/lib/x86_64-linux-gnu
nft() {{ LD_LIBRARY_PATH=$libraries /opt/nft/usr/sbin/nft "$@"; }}
for turn in $($b seq 100); do
    $b ip addr show {LINK} | $b grep -q {OURS} && break
    $b sleep 0.1
done
$b sleep 1
for unit in {LOCKDOWN} {BARRIER} {NETWORK}; do
    systemctl show -p Id,Result,ActiveState,ActiveEnterTimestampMonotonic,ExecMainStartTimestampMonotonic $unit
    echo
done > {SHARED}/units
journalctl -o cat -u {LOCKDOWN} > {SHARED}/journal 2>&1
nft list tables > {SHARED}/tables
$b ip rule > {SHARED}/rules
$b ip route get {FAR} > {SHARED}/routed 2>&1
frames > {SHARED}/locked
nft delete table inet roam
$b sleep 1
frames > {SHARED}/open
$b ip rule del pref {RULE_PRIORITY + 1}
$b ip route get {FAR} > {SHARED}/unguarded 2>&1
$b sync
$b poweroff -f
""",
    "usr/lib/roam/bin/roamd": f"""\
#!/opt/busybox sh
export PYTHONHOME=/opt/python PYTHONPATH={{path}}
exec /opt/loader/{{loader}} --library-path {_LIBRARIES} {{python}} -B -m client.daemon.main "$@"
""",
}


@dataclass(frozen=True, slots=True)
class Bind:
    """A directory of the machine outside that is to be seen inside, whoever may look into those around it."""

    outside: Path
    inside: str


def prepare(shared: Path, distribution: Path, nft: Path, busybox: Path) -> None:
    """Lay out what the machine needs: `distribution` is the root with systemd, `nft` the one with that program."""
    tree = shared / "tree"
    packages = [Path(entry) for entry in sys.path if entry.endswith("-packages")]
    binds = [
        Bind(Path("/lib64/ld-linux-x86-64.so.2").resolve().parent, "/opt/loader"),
        Bind(Path("/usr/lib/x86_64-linux-gnu"), "/opt/lib"),
        Bind(Path(sys.base_prefix), "/opt/python"),
        Bind(ROOT, "/opt/project"),
        Bind(nft, "/opt/nft"),
        *(Bind(path, f"/opt/site{number}") for number, path in enumerate(packages)),
    ]
    python = Path(sys.executable).resolve().relative_to(sys.base_prefix)
    words = {
        "loader": Path("/lib64/ld-linux-x86-64.so.2").resolve().name,
        "path": ":".join(("/opt/project", *(f"/opt/site{number}" for number in range(len(packages))))),
        "python": f"/opt/python/{python}",
    }
    for name, text in _FILES.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(**words) if name.endswith("roamd") else text)
    (tree / "usr/lib/roam/bin/roamd").chmod(0o755)
    shutil.copy(busybox, tree / "opt/busybox")
    _install(tree)
    (shared / INIT).write_text("\n".join(_script(distribution, binds)) + "\n")


def _install(tree: Path) -> None:
    """As the package does it: the unit, the user, and the wish for lockdown."""
    shipped = ROOT / "packaging/systemd"
    shutil.copy(shipped / LOCKDOWN, tree / _UNITS)
    (tree / "etc/sysusers.d").mkdir()
    shutil.copy(shipped / "roam.sysusers", tree / "etc/sysusers.d/roam.conf")
    wants = tree / _UNITS / "sysinit.target.wants"
    wants.mkdir()
    for unit in (LOCKDOWN, "sender.service"):
        (wants / unit).symlink_to(f"../{unit}")
    for unit in _LEFT_OUT:
        (tree / _UNITS / f"{unit}.service").symlink_to("/dev/null")
    state = tree / "var/lib/roam"
    state.mkdir(parents=True)
    LockdownFile(state).keep(Kept(0, allow_lan=True))


def _script(distribution: Path, binds: list[Bind]) -> Iterator[str]:
    """From the initramfs on, as process 1."""
    yield "b=/busybox"
    yield "$b mkdir /layer /new"
    yield "$b mount -t tmpfs none /layer"
    yield "$b mkdir /layer/upper /layer/work"
    layers = f"lowerdir=/root{distribution},upperdir=/layer/upper,workdir=/layer/work"
    yield f"$b mount -t overlay -o {layers} none /new"
    yield f"$b cp -a /root{SHARED}/tree/. /new/"
    for bind in binds:
        yield f"$b mkdir -p /new{bind.inside}"
        yield f"$b mount --bind /root{bind.outside} /new{bind.inside}"
    yield "for name in dev proc sys; do $b mount --move /$name /new/$name; done"
    yield "$b mount -t tmpfs -o mode=755 none /new/run"
    yield f"$b mkdir /new{SHARED}"
    yield f"$b mount --bind /root{SHARED} /new{SHARED}"
    yield f"$b ip link add {LINK} type dummy"
    yield f"$b ip rule add pref {FOREIGN} from 198.51.100.0/24 lookup {FOREIGN}"
    yield f"exec $b switch_root /new /lib/systemd/systemd --unit={TARGET}"
