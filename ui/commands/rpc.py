"""`roam rpc`: any method of the control protocol, by its name, for scripts that need no library."""

from __future__ import annotations

import argparse
import json
import sys

from client.control.client import WORK_TIME, Client
from client.control.kinds import DONE
from client.control.messages import LINE_LIMIT, ControlError

from .. import output


def rpc(options: argparse.Namespace) -> int:
    """One request; its result as JSON."""
    params = _params(options.params)
    with Client(options.socket) as client:
        result = client.raw(options.method, params, max(options.timeout, WORK_TIME))
    output.say(output.envelope("rpc", result) if options.json else json.dumps(result, indent=2))
    return DONE


def _params(text: str | None) -> dict[str, object]:
    """From the argument, or for "-" from stdin: secrets do not belong into arguments."""
    given = sys.stdin.read(LINE_LIMIT) if text == "-" else text
    try:
        params = json.loads(given or "{}")
    except (ValueError, RecursionError):
        raise ControlError("usage", "the parameters are no JSON", "roam rpc tunnel.status '{}'") from None
    if not isinstance(params, dict):
        raise ControlError("usage", "the parameters are no JSON object", "roam rpc tunnel.status '{}'")
    return params
