"""strongSwan as an independent peer: one charon in a namespace, in the root file system of its release.

Configuration goes over its control socket, with the names that swanctl.conf uses; nothing is read from /etc.
With `kernel-libipsec` it carries ESP in userspace on a TUN link `ipsec0`, which needs UDP encapsulation and no
IPsec in the kernel.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from client.lab.namespaces import Namespace, Surroundings

from .releases import Release
from .vici import Section, Value, Vici, ViciError

PLUGINS = (
    "random nonce openssl x509 revocation constraints pubkey pkcs1 pkcs8 pem curve25519 gcm aes sha1 sha2 md5 hmac "
    "kdf chapoly drbg kernel-libipsec kernel-netlink socket-default vici updown eap-identity eap-mschapv2 eap-tls "
    "eap-ttls eap-radius eap-md5 eap-gtc xauth-generic attr counters"
)
_START_PATIENCE = 15.0  # seconds
_LOG = "charon.log"
_SOCKET = "vici"


@dataclass(frozen=True, slots=True)
class ChildSa:
    """What charon says of one Child SA."""

    name: str
    state: str
    mode: str
    encapsulated: bool
    suite: str
    octets_in: int
    octets_out: int
    packets_in: int
    packets_out: int
    spi_in: str
    spi_out: str


@dataclass(frozen=True, slots=True)
class IkeSa:
    """What charon says of one IKE SA."""

    name: str
    state: str
    identifier: str
    local: str
    remote: str
    local_id: str
    remote_id: str
    remote_eap_id: str
    suite: str
    virtual_ips: tuple[str, ...]
    spi_i: str
    spi_r: str
    children: tuple[ChildSa, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """The daemon's own settings, as in strongswan.conf: `options` are `name = value` lines of its main section.

    `plugin_options` are those of plugins, by plugin; `tls` is about TLS inside EAP.
    """

    options: Mapping[str, str] = field(default_factory=dict)
    plugin_options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tls: Mapping[str, str] = field(default_factory=dict)
    plugins: str = PLUGINS
    log_level: int = 1


class StrongSwan:
    """A running charon; use it as a context manager, `configure` it, then `initiate` or wait for the other end."""

    def __init__(self, release: Release, namespace: Namespace, settings: Settings | None = None) -> None:
        self.release = release
        self.namespace = namespace
        self.settings = settings if settings is not None else Settings()
        self.directory = Path(tempfile.mkdtemp(prefix="roam-strongswan-"))
        self._configuration: list[tuple[str, Mapping[str, Value]]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._vici: Vici | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    # --- the process

    def start(self) -> None:
        """Start charon and load again what was configured before; returns when it answers."""
        (self.directory / "strongswan.conf").write_text(self._settings_text())
        with (self.directory / "output.log").open("ab") as output:
            around = self._surroundings(output.fileno())
            self._process = self.namespace.start(["/usr/sbin/charon-systemd"], around)
        self._vici = self._connected(self._process)
        for command, arguments in self._configuration:
            self._vici.request(command, arguments)

    def stop(self) -> None:
        """End charon; it deletes its SAs at the other end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End charon as a power failure would: the other end hears nothing."""
        self._end(signal.SIGKILL)

    def restart(self, *, silently: bool = False) -> None:
        """Stop (or kill) and start again; all SAs are gone, the configuration is as before."""
        self._end(signal.SIGKILL if silently else signal.SIGTERM)
        self.start()

    @property
    def version(self) -> str:
        """Such as "5.9.8"."""
        return str(self.vici.request("version")["version"])

    @property
    def pid(self) -> int:
        """Process id of the running charon."""
        if self._process is None:
            raise AssertionError("strongSwan is not running")
        return self._process.pid

    @property
    def logins(self) -> int:
        """How many logins have begun; whoever only looks at the gateway sends IKE_SA_INIT and no more."""
        return self.log.count("parsed IKE_AUTH request 1 [ IDi ")

    @property
    def log(self) -> str:
        """Everything that charon has said so far."""
        with suppress(FileNotFoundError):
            return (self.directory / _LOG).read_text(errors="replace")
        return (self.directory / "output.log").read_text(errors="replace")

    @property
    def vici(self) -> Vici:
        """The control connection."""
        if self._vici is None:
            raise AssertionError("strongSwan is not running")
        return self._vici

    # --- configuration, with swanctl.conf's names

    def configure(self, command: str, arguments: Mapping[str, Value]) -> None:
        """Load something now and after each restart."""
        self.vici.request(command, arguments)
        self._configuration.append((command, arguments))

    def connection(self, name: str, settings: Mapping[str, Value]) -> None:
        """A `connections.NAME` section."""
        self.configure("load-conn", {name: settings})

    def pool(self, name: str, addresses: str, attributes: Mapping[str, Value] | None = None) -> None:
        """A `pools.NAME` section: an address range in CIDR and attributes such as `dns`."""
        self.configure("load-pool", {name: {"addrs": addresses, **(attributes or {})}})

    def secret(self, kind: str, secret: str | bytes, owners: Iterable[str]) -> None:
        """A shared secret; `kind` is "IKE" for a pre-shared key, "EAP" for a password."""
        data = secret.encode() if isinstance(secret, str) else secret
        self.configure("load-shared", {"type": kind, "data": data, "owners": list(owners)})

    def authority(self, certificate: bytes) -> None:
        """A trusted CA certificate, DER or PEM."""
        self.configure("load-cert", {"type": "X509", "flag": "CA", "data": certificate})

    def private_key(self, key: bytes) -> None:
        """A private key, DER or PEM."""
        self.configure("load-key", {"type": "any", "data": key})

    # --- verbs

    def initiate(self, child: str, ike: str | None = None, timeout: float = 10.0) -> float:
        """Bring a Child SA up; returns the seconds that it took, raises ViciError when it failed."""
        started = time.monotonic()
        name = {"ike": ike} if ike else {}
        self.vici.request(
            "initiate", {"child": child, **name, "timeout": int(timeout * 1000), "loglevel": -1}
        )
        return time.monotonic() - started

    def initiate_by_command(self, child: str, timeout: float = 10.0) -> float:
        """Like `initiate`, but with the `swanctl` program: what a user waits for, its own start included."""
        uri = f"unix:///run/peer/{_SOCKET}"
        command = [
            "/usr/sbin/swanctl",
            "--initiate",
            "--child",
            child,
            "--uri",
            uri,
            "--timeout",
            str(int(timeout)),
        ]
        started: list[float] = []

        def prepare() -> None:  # the private root is ours to pay for, not the user's
            self.release.enter(self.directory)
            started.append(time.monotonic())

        process = self.namespace.start(
            command, replace(self._surroundings(subprocess.DEVNULL), prepare=prepare)
        )
        status = process.wait(timeout + 5)
        elapsed = time.monotonic() - started[0]
        if status != 0:
            raise ViciError(f"swanctl --initiate ended with {status}")
        return elapsed

    def rekey(self, *, ike: str | None = None, child: str | None = None) -> None:
        """Start a rekeying of the named SA; charon does not wait for its end."""
        self.vici.request("rekey", _named(ike=ike, child=child))

    def terminate(self, *, ike: str | None = None, child: str | None = None) -> None:
        """Delete the named SA, the other end told, and wait for its answer."""
        self.vici.request("terminate", {**_named(ike=ike, child=child), "timeout": 5000, "loglevel": -1})

    def ike_sas(self) -> tuple[IkeSa, ...]:
        """All IKE SAs with their children."""
        listed = self.vici.stream("list-sas", "list-sa")
        return tuple(_ike_sa(name, _section(sa)) for one in listed for name, sa in one.items())

    # --- inside

    def _surroundings(self, output: int) -> Surroundings:
        return Surroundings(
            prepare=lambda: self.release.enter(self.directory),
            environment={"STRONGSWAN_CONF": "/run/peer/strongswan.conf", "PATH": "/usr/sbin:/usr/bin"},
            output=output,
        )

    def _settings_text(self) -> str:
        options = "\n".join(f"  {name} = {value}" for name, value in self.settings.options.items())
        plugins = "\n".join(
            f"    {name} {{\n{_lines(values)}\n    }}"
            for name, values in self.settings.plugin_options.items()
        )
        return f"""charon-systemd {{
  load = {self.settings.plugins}
{options}
  plugins {{
    eap-gtc {{
      backend = generic
    }}
    vici {{
      socket = unix:///run/peer/{_SOCKET}
    }}
{plugins}
  }}
  filelog {{
    file {{
      path = /run/peer/{_LOG}
      default = {self.settings.log_level}
      time_format = %H:%M:%S
      time_add_ms = yes
      flush_line = yes
    }}
  }}
}}
swanctl {{
  load = random openssl
}}
libtls {{
{_lines(self.settings.tls)}
}}
"""

    def _connected(self, process: subprocess.Popen[bytes]) -> Vici:
        deadline = time.monotonic() + _START_PATIENCE
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(OSError):
                return Vici.connect(self.directory / _SOCKET)
            time.sleep(0.005)  # there is nothing to wait on until the socket exists
        raise ViciError(f"charon of {self.release.suite} did not start:\n{self.log}")

    def _end(self, number: signal.Signals) -> None:
        if self._vici is not None:
            self._vici.close()
            self._vici = None
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
            self.namespace.stop(self._process)
            self._process = None
        (self.directory / _SOCKET).unlink(missing_ok=True)


def _lines(values: Mapping[str, str]) -> str:
    return "\n".join(f"      {name} = {value}" for name, value in values.items())


def _named(**names: str | None) -> dict[str, Value]:
    return {kind: name for kind, name in names.items() if name is not None}


def _section(value: object) -> Section:
    return value if isinstance(value, dict) else {}


def _text(section: Section, name: str) -> str:
    value = section.get(name, "")
    return value if isinstance(value, str) else ""


def _ike_sa(name: str, sa: Section) -> IkeSa:
    virtual = sa.get("local-vips") or sa.get("remote-vips") or []
    children = _section(sa.get("child-sas"))
    words = ("encr-alg", "encr-keysize", "integ-alg", "prf-alg", "dh-group")
    return IkeSa(
        name=name,
        state=_text(sa, "state"),
        identifier=_text(sa, "uniqueid"),
        local=f"{_text(sa, 'local-host')}:{_text(sa, 'local-port')}",
        remote=f"{_text(sa, 'remote-host')}:{_text(sa, 'remote-port')}",
        local_id=_text(sa, "local-id"),
        remote_id=_text(sa, "remote-id"),
        remote_eap_id=_text(sa, "remote-eap-id"),
        suite="/".join(filter(None, (_text(sa, word) for word in words))),
        virtual_ips=tuple(virtual) if isinstance(virtual, list) else (),
        spi_i=_text(sa, "initiator-spi"),
        spi_r=_text(sa, "responder-spi"),
        children=tuple(_child_sa(_section(child)) for child in children.values()),
    )


def _child_sa(child: Section) -> ChildSa:
    def number(name: str) -> int:
        return int(_text(child, name) or 0)

    words = ("encr-alg", "encr-keysize", "integ-alg", "dh-group")
    return ChildSa(
        name=re.sub(r"-\d+$", "", _text(child, "name")),
        state=_text(child, "state"),
        mode=_text(child, "mode"),
        encapsulated=_text(child, "encap") == "yes",
        suite="/".join(filter(None, (_text(child, word) for word in words))),
        octets_in=number("bytes-in"),
        octets_out=number("bytes-out"),
        packets_in=number("packets-in"),
        packets_out=number("packets-out"),
        spi_in=_text(child, "spi-in"),
        spi_out=_text(child, "spi-out"),
    )
