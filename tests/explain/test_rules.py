"""The rules as a table: each names what exists, and each end that says all by itself has one."""

from __future__ import annotations

import pytest

from client.control.evidence import (
    AttemptRecord,
    CertificateRecord,
    CheckRecord,
    Evidence,
    MessageRecord,
    StandingRecord,
)
from client.explain.explain import UNKNOWN, WORKING, explain
from client.explain.rule import Rule
from client.explain.rules.table import BY_CAUSE, RULES
from client.explain.sources import Source, without
from client.ike.events import Kind
from tests.explain.golden import GOLDEN
from tests.explain.test_golden import evidence_of

SHOWN = MessageRecord(
    0.1, False, "IKE_AUTH", is_response=True, certificates=(CertificateRecord("CN=gw", "CN=ca"),)
)


def ended(kind: Kind) -> Evidence:
    return Evidence(
        failure=kind,
        attempts=(AttemptRecord(1.0, messages=(SHOWN,), ended=kind, ended_by="it sent nonsense"),),
    )


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        (Kind.AUTH_NEEDS_SECRET, "login.secret_missing"),
        (Kind.AUTH_NEEDS_SIGNER, "login.signer_missing"),
        (Kind.CONFLICT_FULL_TUNNEL, "conflict.full_tunnel"),
        (Kind.LOCAL_FAULT, "local.fault"),
        (Kind.PEER_PROTOCOL, "peer.protocol"),
        (Kind.PROFILE_INVALID, "profile.invalid"),
        (Kind.TRUST_PIN, "trust.pin_mismatch"),
        (Kind.TRUST_UNCONFIRMED, "trust.unconfirmed"),
        (Kind.TRUST_REVOKED, "trust.revoked"),
        (Kind.TRUST_REVOCATION_UNKNOWN, "trust.revocation_unknown"),
        (Kind.USER_DOWN, "user.down"),
    ],
)
def test_an_end_of_our_own_says_enough(kind: Kind, cause: str) -> None:
    assert explain(ended(kind)).cause == cause
    assert explain(without(ended(kind), Source.JUDGEMENT)).cause == UNKNOWN


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.cause)
def test_each_rule_is_whole(rule: Rule) -> None:
    assert rule.title.endswith(".")
    assert rule.fix
    assert all(step.endswith((".", ")")) for step in rule.fix), rule.fix
    assert rule.clues
    assert rule.cause not in rule.unlike
    assert set(rule.unlike) <= BY_CAUSE.keys()
    assert all(clue.expects for clue in rule.clues)


def test_no_cause_stands_twice() -> None:
    assert len(BY_CAUSE) == len(RULES)


@pytest.mark.parametrize("source", Source)
def test_nothing_is_concluded_from_nothing(source: Source) -> None:
    assert explain(without(Evidence(), source)).cause == UNKNOWN
    assert source.gather


def test_what_stands_and_has_not_failed_is_well() -> None:
    passed = (CheckRecord("inside 1400 octets", "answered"),)
    attempt = AttemptRecord(1.0, standing=StandingRecord(5.0, mtu=1400), checks=passed)
    stands = Evidence(state="up", attempts=(attempt,))
    assert explain(stands).cause == WORKING
    for source in (Source.STANDING, Source.CHECKS):
        verdict = explain(without(stands, source))
        assert verdict.cause == UNKNOWN
    assert verdict.title == "The tunnel is up, and nothing that was noted speaks against it."
    assert "roam verify" in verdict.gather[0]


@pytest.mark.parametrize("name", GOLDEN)
def test_any_part_may_be_missing(name: str) -> None:
    """Records come from older versions and from elsewhere: whatever is not there, no rule stumbles."""
    evidence = evidence_of(name)
    for source in Source:
        assert explain(without(evidence, source)).title
    for field in evidence._fields:
        bare = Evidence(**{key: value for key, value in vars(evidence).items() if key != field})
        assert explain(bare).title


def test_a_neighbour_that_nobody_has_looked_for_is_called_so() -> None:
    near = {
        entry.cause: entry.told_by
        for entry in explain(evidence_of("nothing listens on the gateway")).neighbours
    }
    assert (
        near["net.gateway_silent"]
        == "it would show that UDP port 500 was asked, with no answer (nobody has looked)"
    )
    near = {entry.cause: entry.told_by for entry in explain(evidence_of("UDP 500 blocked")).neighbours}
    assert near["net.gateway_silent"] == "it would show that UDP port 4500 was asked, with no answer"
