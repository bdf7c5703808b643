"""`roam verify`: is the machine as a tunnel needs it, and does traffic pass?"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from client.control.client import Client
from client.control.kinds import DONE, HINTS, exit_code
from client.control.messages import ControlError
from client.control.verification import Deviation, Proof, Verified, Verify

from .. import output
from ..render import fold, printable, some
from . import not_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def verify(options: argparse.Namespace) -> int:
    """Tell what deviates and what was proven; the exit code is of the worst of it."""
    with Client(options.socket) as client:
        try:
            found = client.verify(Verify(options.name, options.target, options.timeout))
        except ControlError as error:
            raise not_up(error, options.name) from None
    if options.json:
        output.say(output.envelope("verify", found))
    else:
        width = output.columns(sys.stdout)
        output.say("\n".join(fold(line, width, 12) for line in report(found)))
    return exit_code(found.verdict) if found.verdict else DONE


def report(found: Verified) -> Iterator[str]:
    """What was found, a line for each thing."""
    yield f"{printable(found.name)}: {'verified' if not found.verdict else 'not verified'}"
    if found.deviations:
        yield from (f"  deviates  {_deviation(each)}" for each in found.deviations)
    else:
        yield "  machine   as it should be: links, addresses, routes, rules, packet filter, names, SAs, policies"
    yield from (f"  {name:<9} {text}" for name, text in _proof(found.proof))
    if found.fight:
        yield f"  others    {printable(found.fight, 600)}"
    if found.verdict and not found.fight:
        yield f"  next      {HINTS.get(found.verdict, '')}"


def _deviation(each: Deviation) -> str:
    return f"{printable(each.what)}: {printable(each.actual)}, should be {printable(each.wanted)}"


def _proof(proof: Proof) -> Iterator[tuple[str, str]]:
    both = (
        f"{proof.received} authentic ESP packets came in, {proof.sent} went out, within {proof.seconds:.1f} s"
    )
    if proof.received and proof.sent:
        yield "proven", f"packets pass both ways: {both}"
    else:
        yield "unproven", f"that packets pass both ways: {both}"
    if proof.answered:
        yield "inside", f"{printable(proof.answered)} {printable(proof.how)}"
    elif proof.asked:
        yield "inside", f"nobody answers; asked: {some(proof.asked)}"
    else:
        yield "inside", "nobody was asked: the gateway names no host behind it"
    yield "gateway", "answers over IKE" if proof.ike else "no answer over IKE was seen"
