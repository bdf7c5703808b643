"""resolvconf(8), Debian's and openresolv: one entry for each of our links.

The name of an entry begins with `tun.`, because Debian's sorts entries by such prefixes, tunnels before uplinks;
openresolv sorts by the metric, and leaves the others' servers out where an entry is exclusive.  Debian's
cannot leave them out: with fewer than three servers of ours, those of the uplink stand behind them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...tunnel.model import OWN_LINKS
from .model import DnsConfig
from .outcome import Unable
from .resolv_conf import entry

_PREFIX = "tun."
_DIRECTORIES = ("interface", "interfaces", "keys")  # Debian's, openresolv's, and openresolv's since 3.14
_PATIENCE = 20.0  # seconds; the programs that it notifies may take their time
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class Resolvconf:
    """`apply`, `restore`, `holds`; they block, and raise `Unable` or `OSError`."""

    def __init__(self, program: Path, run: Path = Path("/run")) -> None:
        self._program = program
        self._directories = [run / "resolvconf" / name for name in _DIRECTORIES]

    def apply(self, configs: Sequence[DnsConfig]) -> None:
        """Make our entries so, and delete others of ours."""
        wanted = {_PREFIX + config.link: config for config in configs}
        present = dict(self._entries())
        for name, config in wanted.items():
            text = entry(config)
            if _lines(present.get(name, "")) != _lines(text):
                self._run(["-a", name, "-m", "0", *(["-x"] if config.default_route else [])], text)
        for name in present.keys() - wanted.keys():
            self._run(["-d", name, "-f"])

    def restore(self) -> None:
        """Delete all entries of ours."""
        self.apply(())

    def holds(self, configs: Sequence[DnsConfig]) -> bool:
        """Whether our entries are so."""
        wanted = {_PREFIX + config.link: _lines(entry(config)) for config in configs}
        return wanted == {name: _lines(text) for name, text in self._entries()}

    def is_touched(self) -> bool:
        """Whether there are entries of ours."""
        return any(True for _ in self._entries())

    def _entries(self) -> Iterator[tuple[str, str]]:
        for directory in self._directories:
            for path in sorted(directory.glob(f"{_PREFIX}{OWN_LINKS}*")):
                yield path.name, path.read_text(errors="replace")

    def _run(self, arguments: list[str], text: str = "") -> None:
        try:
            answer = subprocess.run(
                [self._program, *arguments],
                input=text,
                env=_ENVIRONMENT,
                cwd="/",
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
