"""The one table of causes: exit code, phrase and hint."""

from __future__ import annotations

import pytest

from client.control.kinds import HINTS, KINDS, exit_code, passes, summary
from client.ike.events import Kind

DESIGN = {
    "crypto.no_proposal": 1,
    "local.fault": 1,
    "usage": 2,
    "profile.invalid": 2,
    "profile.unknown": 2,
    "secret.unsafe": 2,
    "tunnel.not_connected": 3,
    "tunnel.unknown": 3,
    "permission.denied": 4,
    "auth.rejected": 5,
    "auth.method": 5,
    "net.no_response": 6,
    "wait.timeout": 6,
    "daemon.absent": 7,
    "daemon.lost": 7,
    "trust.unknown_ca": 8,
    "trust.name_mismatch": 8,
    "trust.expired": 8,
    "trust.weak": 8,
    "trust.no_proof": 8,
    "secret.no_terminal": 9,
    "auth.needs_secret": 9,
    "auth.needs_signer": 9,
}


@pytest.mark.parametrize("kind", list(Kind))
def test_every_cause_of_the_engine_has_exit_code_phrase_and_hint(kind: Kind) -> None:
    assert kind.value in KINDS


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_row_is_complete(kind: str) -> None:
    code, what, hint = KINDS[kind]
    assert 1 <= code <= 9
    assert what
    assert what[0].islower()
    assert not what.endswith(".")
    assert hint.endswith(".")


@pytest.mark.parametrize(("kind", "code"), sorted(DESIGN.items()))
def test_exit_codes_are_those_of_the_design(kind: str, code: int) -> None:
    assert exit_code(kind) == code


def test_a_cause_of_a_newer_daemon_is_a_plain_failure() -> None:
    assert (exit_code("auth.quantum"), summary("auth.quantum"), HINTS.get("auth.quantum")) == (
        1,
        "it did not work",
        None,
    )


def test_nothing_that_needs_the_user_is_waited_for() -> None:
    assert passes("net.no_response")
    assert not any(
        passes(kind) for kind in KINDS if kind.startswith(("auth.", "trust.", "crypto.", "profile."))
    )
