"""A gateway whose certificate may have been revoked: the daemon asks, and says what it has heard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.x509 import ocsp

from client.control.messages import Down, SecretText, Up
from client.ike.authentication import KeySigner
from client.ike.events import Reply
from client.ike.inquest import WITHIN
from client.ike.registry import EapType
from tests.daemon.test_handlers import ALICE, Office
from tests.daemon.test_questions import AUTHORITIES, TEMPLATE, gateway, play_at
from tests.ike.statements import GATEWAY, LIST_URL, OCSP_URL, response

THERE = replace(
    gateway(EapType.MSCHAPV2, password="wonderland"), chain=GATEWAY.chain, signer=KeySigner(GATEWAY.key)
)
GOOD, REVOKED = Reply(response()), Reply(response(ocsp.OCSPCertStatus.REVOKED))


def order(policy: str) -> Up:
    text = TEMPLATE.replace("METHODS", '"mschapv2"').replace("[trust]", f'[trust]\nrevocation = "{policy}"')
    return Up(profile=text, files=AUTHORITIES, secrets={"ask:": SecretText("wonderland")})


def play(
    directory: Path, policy: str, says: Reply | None, scene: Callable[[Office], Awaitable[None]]
) -> None:
    """Wanted at a gateway about whose certificate the responder says this, or nothing."""

    async def wanted(office: Office) -> None:
        if says is not None:
            office.machine.published[OCSP_URL] = says
        await office.handlers.up(ALICE, order(policy))
        await scene(office)

    play_at(directory, THERE, wanted)


def urls(office: Office) -> list[str]:
    return [inquiry.url for inquiry in office.machine.fetched]


@pytest.mark.parametrize("policy", ["relaxed", "strict"])
def test_a_good_certificate_is_asked_about_once_and_not_again_while_the_answer_holds(
    tmp_path: Path, policy: str
) -> None:
    async def scene(office: Office) -> None:
        await office.machine.until_state("up", 5)
        assert urls(office) == [OCSP_URL]
        office.machine.internet.restart_gateway()
        office.machine.data_path.sends()
        await office.machine.until(lambda: office.machine.sessions == 2, 120)
        await office.machine.until_state("up", 5)
        assert urls(office) == [OCSP_URL]
        assert office.machine.status.remarks == ()

    play(tmp_path, policy, GOOD, scene)


@pytest.mark.parametrize("policy", ["relaxed", "strict"])
def test_a_revoked_certificate_blocks_the_tunnel(tmp_path: Path, policy: str) -> None:
    async def scene(office: Office) -> None:
        await office.machine.until_state("blocked", 10)
        failure = office.machine.status.failure
        assert failure is not None
        assert failure.kind == "trust.revoked"
        assert "key compromise" in failure.evidence
        assert office.machine.sessions == 1

    play(tmp_path, policy, REVOKED, scene)


def test_silence_is_a_remark_of_the_status(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.machine.until_state("up", WITHIN + 3)
        (remark,) = office.machine.status.remarks
        assert f"{OCSP_URL}: no answer in time" in remark
        assert f"{LIST_URL}: no answer in time" in remark
        assert urls(office) == [OCSP_URL, LIST_URL]

    play(tmp_path, "relaxed", None, scene)


def test_silence_keeps_a_strict_tunnel_down(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.machine.until_state("blocked", 30)
        failure = office.machine.status.failure
        assert failure is not None
        assert failure.kind == "trust.revocation_unknown"

    play(tmp_path, "strict", None, scene)


def test_a_responder_that_is_of_no_use_leaves_time_for_the_list(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.machine.until_state("up", WITHIN + 3)
        assert urls(office) == [OCSP_URL, LIST_URL]

    play(tmp_path, "relaxed", Reply(trouble="the server answers 503"), scene)


def test_nobody_waits_for_an_answer_once_the_tunnel_is_not_wanted(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.machine.until(lambda: bool(office.machine.fetched), 3)
        await office.handlers.down(ALICE, Down("office"))
        await office.machine.until(lambda: not office.machine.status.guard, 3)
        assert office.machine.status.state == "off"

    play(tmp_path, "strict", None, scene)
