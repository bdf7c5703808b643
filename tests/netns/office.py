"""A laptop with a daemon, a gateway, and a name server in each network: who is asked what is written down.

The gateway is the lab's own.  How names are resolved on the laptop is the test's decision: nobody, resolvconf, or
the daemons of a `Workstation`; all programs of the laptop see the same /etc and /run.
"""

from __future__ import annotations

import selectors
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from itertools import count
from pathlib import Path

from client.ike.events import Address
from client.lab.etc import Etc
from client.lab.laptop import Laptop, program_environment
from client.lab.namespaces import Account, Namespace, Surroundings
from client.lab.plan import GatewayPlan
from client.lab.syscalls import mount
from client.lab.topology import SERVER, Topology
from tests.lab_gateway import enrol, start_gateway
from tests.net.dnsserver import NameServer

PROFILE = """
schema = 1
id = "office"
[gateway]
addresses = ["192.0.2.1"]
[identity]
remote = "vpn.example.com"
[[auth.local]]
method = "eap"
identity = "alice"
secret = "file:password"
[trust]
ca = ["file:ca.pem"]
[routing]
mode = "split"
include = ["10.77.0.0/24"]
[dns]
search = ["corp.example.com"]
"""
WIFI, LTE = ip_address("192.168.1.1"), ip_address("100.64.0.1")
OFFERED = "offered.example"
"""A domain that the gateway names (RFC 8598); the profile does not."""

_ASK = (
    "import socket, sys, contextlib\nwith contextlib.suppress(OSError): socket.getaddrinfo(sys.argv[1], 443)"
)
_INSTALLED = ("sbin/resolvconf", "lib/resolvconf", "etc/resolvconf", "etc/resolvconf.conf")


class Shared:
    """An `Etc`: /etc and /run are the test's own, and more programs are in /usr/sbin and /usr/lib."""

    def __init__(self, place: Path, extra: Path | None = None) -> None:
        self.place = place
        self._extra = extra

    @property
    def resolv_conf(self) -> Path:
        return self.place / "etc/resolv.conf"

    @property
    def watched(self) -> tuple[Path, ...]:
        return (self.resolv_conf, self.place / "etc/resolv.conf.before-roam")

    @property
    def environment(self) -> Mapping[str, str]:
        return {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/run/dbus/system_bus_socket"}

    @property
    def files(self) -> Mapping[str, Path]:
        return {"/etc": self.place / "etc", "/run": self.place / "run"}

    def prepare(self) -> None:
        """An overlay of layers that nobody writes to can be made in any number of mount namespaces."""
        for name in ("sbin", "lib") if self._extra is not None else ():
            layers = f"lowerdir={self._extra}/{name}:/usr/{name}"
            mount("overlay", Path("/usr", name), "overlay", data=layers)


def with_resolvconf(place: Path, package: Path, uid: int) -> Shared:
    """A machine on which this resolvconf is installed, and that knows the home network."""
    for name in ("etc", "run", "extra/sbin", "extra/lib"):
        (place / name).mkdir(parents=True)
    for name in _INSTALLED:
        source, top = package / name, name.partition("/")[0]
        target = place / name if top == "etc" else place / "extra" / name
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        elif source.exists():
            shutil.copy2(source, target)
    (place / "etc/passwd").write_text(f"root:x:0:0::/root:/bin/sh\nroam:x:{uid}:{uid}::/:/bin/false\n")
    (place / "etc/group").write_text(f"root:x:0:\nroam:x:{uid}:\n")
    (place / "etc/nsswitch.conf").write_text("hosts: files dns\n")
    (place / "etc/resolv.conf").touch()
    return Shared(place, place / "extra")


@dataclass
class Office:
    """The laptop at home, its tunnel, and the name servers of all networks."""

    lab: Topology
    laptop: Laptop
    asked: dict[str, list[tuple[str, int, int]]] = field(default_factory=dict)
    labels: Iterator[int] = field(default_factory=partial(count, 1000))

    def who_is_asked(self, domain: str) -> set[str]:
        """Which servers are asked when a program on the laptop looks a fresh name in this domain up."""
        name = f"host{next(self.labels)}.{domain}"
        self.on_laptop(sys.executable, "-I", "-c", _ASK, name)
        return {
            place for place, questions in self.asked.items() if any(name == told[0] for told in questions)
        }

    def on_laptop(self, *command: str, **environment: str) -> int:
        """Run a program there, as root; its exit code."""
        etc = self.laptop.etc
        around = Surroundings(
            files=etc.files, prepare=etc.prepare, environment={**program_environment(), **environment}
        )
        process = self.laptop.namespace.start(command, around)
        code = process.wait(30)
        self.laptop.namespace.stop(process)
        return code


@contextmanager
def office(lab: Topology, etc: Etc, account: Account | None) -> Iterator[Office]:
    """Everything but the daemon runs."""
    with tempfile.TemporaryDirectory(prefix="roam-") as name, ExitStack() as stack:
        directory = Path(name)
        laptop = Laptop(lab.laptop, directory, account, etc)
        stack.callback(laptop.kill)
        made = Office(lab, laptop)
        servers = (
            ("home", lab.wifi.router, WIFI),
            ("lte", lab.lte.router, LTE),
            ("inside", lab.server, SERVER),
        )
        stack.enter_context(_answering(made, servers))
        plan = GatewayPlan(dns=(str(SERVER),), domains=(OFFERED,))
        start_gateway(lab, enrol(laptop, PROFILE, "an invented password", plan))
        yield made


@contextmanager
def _answering(made: Office, servers: tuple[tuple[str, Namespace, Address], ...]) -> Iterator[None]:
    """All name servers in one thread, until the block ends."""
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        for place, namespace, address in servers:
            made.asked[place] = []
            endpoint = stack.enter_context(namespace.run(partial(_bound, address)))
            selector.register(endpoint, selectors.EVENT_READ, NameServer({}, asked=made.asked[place]))
        ours, theirs = socket.socketpair()
        stack.callback(theirs.close)
        selector.register(theirs, selectors.EVENT_READ, None)
        thread = threading.Thread(target=_serve, args=(selector,))
        thread.start()
        try:
            yield
        finally:
            ours.close()
            thread.join()


def _serve(selector: selectors.BaseSelector) -> None:
    while True:
        for key, _ in selector.select():
            if key.data is None:
                return
            assert isinstance(key.fileobj, socket.socket)
            question, asker = key.fileobj.recvfrom(4096)
            key.fileobj.sendto(key.data.answer(question, asker[1]), asker)


def _bound(address: Address) -> socket.socket:
    endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    endpoint.bind((str(address), 53))
    return endpoint
