"""Every broken gateway of the golden set is recognised, from its evidence alone, and not without it."""

from __future__ import annotations

import json
from functools import cache

import pytest

from client.control.evidence import Evidence
from client.control.wire import plain, read
from client.explain.explain import UNKNOWN, explain
from client.explain.rules.table import BY_CAUSE
from client.explain.sources import without
from tests.explain.golden import GOLDEN


@cache
def evidence_of(name: str) -> Evidence:
    return GOLDEN[name].build()


def test_the_golden_set_is_large_enough() -> None:
    assert len(GOLDEN) >= 40
    assert {case.cause for case in GOLDEN.values()} <= BY_CAUSE.keys()


@pytest.mark.parametrize("name", GOLDEN)
def test_the_cause_is_found(name: str) -> None:
    verdict = explain(evidence_of(name))
    assert verdict.cause == GOLDEN[name].cause, verdict
    assert all(verdict.evidence)
    assert verdict.fix
    assert verdict.confidence in ("certain", "likely")
    assert GOLDEN[name].cause not in [near.cause for near in verdict.neighbours]


@pytest.mark.parametrize("name", GOLDEN)
def test_without_the_deciding_evidence_the_cause_is_not_found(name: str) -> None:
    case = GOLDEN[name]
    verdict = explain(without(evidence_of(name), case.decides))
    assert verdict.cause == UNKNOWN, verdict
    assert verdict.gather


@pytest.mark.parametrize("name", GOLDEN)
def test_no_clue_of_a_verdict_is_idle(name: str) -> None:
    """Taking any of the sources away that a verdict rests on takes the verdict away."""
    case = GOLDEN[name]
    for clue in BY_CAUSE[case.cause].clues:
        changed = without(evidence_of(name), clue.source)
        assert explain(changed).cause != case.cause, clue.expects


@pytest.mark.parametrize("name", GOLDEN)
def test_evidence_survives_a_file(name: str) -> None:
    evidence = evidence_of(name)
    text = json.dumps(plain(evidence))
    assert read(Evidence, json.loads(text)) == evidence
    assert len(text) < 100_000
