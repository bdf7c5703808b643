"""`roam version`: of this program, and of the daemon that it speaks to."""

from __future__ import annotations

from importlib.metadata import version as installed

from client.control.client import Client
from client.control.kinds import DONE
from client.control.messages import ControlError

from .. import output, render

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from client.control.affairs import DaemonInfo


def version(options: argparse.Namespace) -> int:
    """Both; that no daemon answers is told, and no failure."""
    own = installed("roam-vpn")
    try:
        with Client(options.socket) as client:
            info, problem = client.info(), ""
    except ControlError as error:
        info, problem = None, error.evidence
    if options.json:
        output.say(output.envelope("version", {"roam": own, "roamd": None if info is None else info.version}))
        return DONE
    output.say(f"roam   {own}")
    output.say(f"roamd  {render.printable(problem) if info is None else _daemon(info)}")
    if info is not None and info.version != own:
        output.note("note: the daemon is of another version: 'sudo systemctl restart roamd' after an update")
    return DONE


def _daemon(info: DaemonInfo) -> str:
    age = render.span(info.time - info.started)
    return (
        f"{render.printable(info.version)}, protocol {info.protocol}, running for {age} as process {info.pid}"
    )
