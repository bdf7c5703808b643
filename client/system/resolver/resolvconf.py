"""resolvconf(8), Debian's and openresolv: one entry for each of our links.

Both sort entries by how their names begin: tunnels come before uplinks if they are called what each expects.
openresolv leaves the others' servers out where an entry is exclusive.  Debian's cannot leave them out: with
fewer than three servers of ours, those of the uplink stand behind them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path

from ...ike.events import Address
from ...tunnel.model import OWN_LINKS
from .choice import Flavour
from .model import DnsConfig
from .outcome import Unable
from .resolv_conf import entry, nameservers

_PREFIXES = {Flavour.DEBIAN: "tun.", Flavour.OPENRESOLV: "vpn."}
_DIRECTORIES = ("interface", "interfaces", "keys")  # Debian's, openresolv's, and openresolv's since 3.14
_PATIENCE = 20.0  # seconds; the programs that it notifies may take their time
_UMASK = 0o022  # what it writes is for everybody to read, whatever our own service's may be
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class Resolvconf:
    """`apply`, `restore`, `holds`; they block, and raise `Unable` or `OSError`."""

    def __init__(self, program: Path, flavour: Flavour, run: Path = Path("/run")) -> None:
        self._program = program
        self._flavour = flavour
        self._state = run / "resolvconf"

    def apply(self, configs: Sequence[DnsConfig]) -> None:
        """Make our entries so, and delete others of ours."""
        wanted = {self._name(config): config for config in configs}
        present = dict(self._entries())
        for name, config in wanted.items():
            if not self._is_so(name, present.get(name), config):
                is_exclusive = config.default_route and self._flavour is Flavour.OPENRESOLV
                self._run(["-a", name, *(["-x"] if is_exclusive else [])], entry(config))
        for name in present.keys() - wanted.keys():
            self._run(["-d", name, "-f"])

    def restore(self) -> None:
        """Delete all entries of ours."""
        self.apply(())

    def holds(self, configs: Sequence[DnsConfig]) -> bool:
        """Whether our entries are so."""
        wanted = {self._name(config): config for config in configs}
        present = dict(self._entries())
        return wanted.keys() == present.keys() and all(
            self._is_so(name, present[name], config) for name, config in wanted.items()
        )

    def is_touched(self) -> bool:
        """Whether there are entries of ours."""
        return any(True for _ in self._paths())

    def uplink_servers(self) -> tuple[Address, ...]:
        """What the entries of others name."""
        texts = [
            path.read_text(errors="replace")
            for directory in _DIRECTORIES
            for path in sorted((self._state / directory).glob("*"))
            if path.is_file() and f".{OWN_LINKS}" not in path.name
        ]
        return tuple(dict.fromkeys(ip_address(server) for text in texts for server in nameservers(text)))

    def _is_so(self, name: str, text: str | None, config: DnsConfig) -> bool:
        if text is None or _lines(text) != _lines(entry(config)):
            return False
        is_exclusive = any(path.name.endswith(f" {name}") for path in self._state.glob("exclusive/*"))
        return self._flavour is Flavour.DEBIAN or is_exclusive == config.default_route

    def _name(self, config: DnsConfig) -> str:
        return _PREFIXES[self._flavour] + config.link

    def _entries(self) -> Iterator[tuple[str, str]]:
        for path in self._paths():
            yield path.name, path.read_text(errors="replace")

    def _paths(self) -> Iterator[Path]:
        for directory in _DIRECTORIES:
            yield from sorted((self._state / directory).glob(f"*.{OWN_LINKS}*"))

    def _run(self, arguments: list[str], text: str = "") -> None:
        try:
            answer = subprocess.run(
                [self._program, *arguments],
                input=text,
                env=_ENVIRONMENT,
                cwd="/",
                umask=_UMASK,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unable(f"resolvconf {arguments[0]} did not end") from None
        if answer.returncode != 0:
            said = answer.stderr.strip().splitlines()[-1:]
            raise Unable(f"resolvconf {arguments[0]} failed with {answer.returncode}: {said}")


def _lines(text: str) -> list[str]:
    return [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
