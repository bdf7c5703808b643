"""Networks that are really broken are recognised from what a real daemon has recorded, and not without it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
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

AT_A_TIME = 4

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
        wrong: dict[str, object] = {}
        with name_server(place.lab), chatter(place.lab):
            for some in batched(AT_ONCE.items()):
                wrong |= look(place, some)
        for name, case in one_by_one(place):
            wrong |= look(place, {name: case})
        assert wrong == {}


def look(place: Stage, cases: dict[str, Broken]) -> dict[str, object]:
    """Have the daemon try these; what was not recognised."""
    place.begin(cases)
    wrong = judge(place.found(cases), cases)
    place.end(cases)
    return wrong


def batched(items: Iterable[tuple[str, Broken]]) -> Iterator[dict[str, Broken]]:
    """Few at a time: each tunnel has a process of its own, which a busy machine takes a while to start."""
    left = iter(items)
    while some := dict(islice(left, AT_A_TIME)):
        yield some


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
