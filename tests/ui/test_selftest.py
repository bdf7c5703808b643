"""`roam selftest`: it shows that the installation works, or says why it cannot, and leaves nothing."""

from __future__ import annotations

import json

import pytest

import client.lab.selftest
from client.lab.isolation import LabUnavailable
from client.lab.laptop import LabFailed
from client.lab.selftest import Step, _nothing, _Trial
from ui.cli import main

STEPS = ["network", "gateway", "daemon", "login", "traffic", "teardown", "nothing left"]


@pytest.mark.netns
@pytest.mark.slow
def test_everything_is_tried_and_works(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selftest", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["data"]["ok"] is True
    assert [step["name"] for step in answer["data"]["steps"]] == STEPS


def test_where_it_cannot_be_tried_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise LabUnavailable("user namespaces are turned off here; try: sudo roam selftest")

    monkeypatch.setattr(client.lab.selftest, "enter", refuse)
    assert main(["selftest"]) == 1
    assert capsys.readouterr().out.startswith("failed network       user namespaces are turned off here")


def test_the_first_step_that_fails_is_the_last() -> None:
    told: list[Step] = []
    trial = _Trial.__new__(_Trial)
    trial._tell = told.append

    def fail() -> str:
        raise LabFailed("no packet comes back")

    steps = (("one", lambda: "well"), ("two", fail), ("three", lambda: "never"))
    assert not all(trial._try(name, step) for name, step in steps)
    assert [(step.name, step.ok, step.detail) for step in told] == [
        ("one", True, "well"),
        ("two", False, "no packet comes back"),
    ]


def test_what_is_left_behind_is_a_failure() -> None:
    assert _nothing([]) == "the laptop is as it was before"
    with pytest.raises(LabFailed, match="routes: \\+ default"):
        _nothing(["routes: + default dev roam0"])
