"""Networks that are really broken are recognised from what a real daemon has recorded, and not without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from client.control.evidence import Evidence
from client.explain.explain import UNKNOWN, explain
from client.explain.sources import without
from tests.netns.broken_networks import (
    AT_ONCE,
    ONE_BY_ONE,
    Broken,
    Stage,
    another_vpn,
    chatter,
    name_server,
    stage,
)

pytestmark = [pytest.mark.netns, pytest.mark.slow]


def judge(found: dict[str, Evidence], cases: dict[str, Broken]) -> dict[str, object]:
    """What was not recognised, or is recognised without the evidence that decides."""
    wrong: dict[str, object] = {}
    for name, case in cases.items():
        if name not in found:
            wrong[name] = "nothing was recorded"
        elif (verdict := explain(found[name])).cause != case.cause:
            wrong[name] = (verdict, found[name])
        elif (verdict := explain(without(found[name], case.decides))).cause != UNKNOWN:
            wrong[name] = ("without what decides", verdict)
    return wrong


def test_broken_networks_are_recognised_by_what_the_daemon_records(tmp_path: Path) -> None:
    with stage(tmp_path) as place:
        with name_server(place.lab), chatter(place.lab):
            place.begin(AT_ONCE)
            found = place.found(AT_ONCE)
        wrong = judge(found, AT_ONCE)
        place.end(AT_ONCE)
        for name, case in one_by_one(place):
            one = {name: case}
            place.begin(one)
            wrong |= judge(place.found(one), one)
            place.end(one)
        assert wrong == {}


def one_by_one(place: Stage) -> Iterator[tuple[str, Broken]]:
    """What is broken for the whole laptop: each is the case while the caller looks at it."""
    lab = place.lab
    names = iter(ONE_BY_ONE.items())
    yield next(names)
    with another_vpn(lab):
        yield next(names)
    for uplink in (lab.wifi, lab.lte):
        uplink.address(uplink.plan.laptop[1])
    yield next(names)
    for uplink in (lab.wifi, lab.lte):
        uplink.down()
    yield next(names)
