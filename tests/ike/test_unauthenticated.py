"""What anybody can send to a client, and what of it may change anything: almost nothing.

Exceptions, each bounded: the answer to IKE_SA_INIT, COOKIE, INVALID_KE_PAYLOAD, hints that are reported when
nothing better comes, and INVALID_IKE_SPI as a reason to ask whether the gateway is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product

import pytest

from client.ike.events import Channel, Established, Kind, Probing, Transmit
from client.ike.payloads import Delete, KeyExchange, Nonce, Notify, Payload, SecurityAssociation
from client.ike.registry import ExchangeType, Kex, NotifyType, ProtocolId
from client.ike.states import SessionState
from tests.ike.phases import GATEWAY, PHASES, Letter, Scene, auth_sent, established
from tests.network import assert_agreement
from tests.pair import (
    Flight,
    Pair,
    cert_client,
    client_config,
    eap_client,
    gateway_config,
)
from tests.rng import SeededRng
from tests.snapshot import Camera, forked

OPENING = ("IKE_SA_INIT sent", "IKE_AUTH sent")  # where an answer to IKE_SA_INIT may at least be a hint
EXCHANGES = (0, *ExchangeType, 255)
LOGINS = {
    "psk": (client_config(), gateway_config()),
    "cert": (cert_client(), replace(gateway_config(), clients="cert", proof="cert")),
    "eap": (eap_client(), replace(gateway_config(), clients="eap", proof="cert")),
}


def letters(scene: Scene) -> Iterator[Letter]:
    """Every exchange in both directions with either flag, around the message IDs that count."""
    window = scene.ours.window if scene.ours is not None else None
    outstanding = window.outstanding[0].message_id if window is not None and window.outstanding else 0
    expected = window.expected_request_id if window is not None else 0
    ids = sorted({0, 1, outstanding, expected, expected + 1, max(0, expected - 1), 2**32 - 1})
    for exchange, message_id, is_response, flag in product(EXCHANGES, ids, (True, False), (True, False)):
        yield Letter(exchange, message_id, is_response, from_initiator=flag)


class Watched:
    """A scene whose client must stay as it is."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._camera: Camera[object] = Camera()
        self.before = self.look()

    def look(self) -> bytes:
        self.scene.pair.client._core.dropped = 0
        return self._camera.freeze(self.scene.pair.client)


@pytest.mark.parametrize("phase", PHASES)
def test_what_is_not_sealed_with_the_keys_of_the_ike_sa_changes_nothing_in_any_phase(phase: str) -> None:
    scene = PHASES[phase]()
    watched = Watched(scene)
    delete = (Delete(ProtocolId.IKE),)
    for letter in letters(scene):
        for payloads in ((), (Notify(NotifyType.AUTHENTICATION_FAILED),)):
            clear = replace(letter, payloads=payloads)
            if not (phase in OPENING and letter.exchange == ExchangeType.IKE_SA_INIT):
                assert scene.hear(scene.clear(clear)) == [], (phase, clear)
        assert scene.hear(scene.clear(replace(letter, payloads=delete))) == [], (phase, letter)
        assert scene.hear(scene.forged(letter)) == [], (phase, letter)
        assert watched.look() == watched.before, (phase, letter)


@pytest.mark.slow
@pytest.mark.parametrize("phase", [phase for phase in PHASES if phase not in ("idle", "IKE_SA_INIT sent")])
def test_sealed_messages_out_of_turn_change_nothing_in_any_phase(phase: str) -> None:
    origin = PHASES[phase]()
    fork = forked(origin)
    turns = 0
    for letter in letters(origin):
        scene = fork()
        watched = Watched(scene)
        has_turn = is_next(scene, letter)
        data = scene.authentic(letter)
        is_repeat = scene.ours is not None and scene.ours.window.is_repeated(letter.message_id)
        was = scene.ours.window.last_response if scene.ours is not None else ()
        sent = scene.hear(data)
        turns += has_turn
        if has_turn:
            continue  # what may come of it is told in the tests of the exchanges
        if sent:
            assert is_repeat, (phase, letter)
            assert tuple(output.data for output in sent) == was
        assert watched.look() == watched.before, (phase, letter)
    assert turns or phase == "closed"


def is_next(scene: Scene, letter: Letter) -> bool:
    """Whether a session in this phase waits for this message, or for such a request."""
    core, ours = scene.pair.client._core, scene.ours
    if ours is None or letter.from_initiator is ours.initiated or core.state is SessionState.CLOSED:
        return False
    if letter.exchange == ExchangeType.IKE_SA_INIT:
        return False  # never sealed
    if letter.is_response:
        outstanding = ours.window.outstanding
        if outstanding is None:
            return False
        request = outstanding[0]
        return (letter.message_id, letter.exchange) == (request.message_id, request.exchange_type)
    return core.state is not SessionState.CONNECTING and letter.message_id == ours.window.expected_request_id


def test_before_the_gateway_is_proven_it_cannot_replace_the_ike_sa() -> None:
    scene = auth_sent()
    watched = Watched(scene)
    offer = client_config().ike_offer.proposals_with_spi(b"\x11" * 8)
    payloads: tuple[Payload, ...] = (
        SecurityAssociation(offer),
        Nonce(bytes(32)),
        KeyExchange(Kex.X25519, b"\x09" + bytes(31)),
    )
    for message_id in (0, 1, 2):
        letter = Letter(ExchangeType.CREATE_CHILD_SA, message_id, is_response=False, payloads=payloads)
        assert scene.hear(scene.authentic(letter)) == []
    assert watched.look() == watched.before


def test_nothing_that_an_end_has_sent_means_anything_to_itself() -> None:
    for login in LOGINS.values():
        pair = Pair(*login)
        assert pair.connect()
        pair.client.rekey_child(pair.now)
        pair.settle()
        pair.client.rekey_ike(pair.now)
        pair.settle()
        camera: Camera[object] = Camera()
        pair.client._core.dropped = 0
        before = camera.freeze(pair.client)
        for flight in pair.sent:
            if flight.to_gateway:
                pair.client.handle_datagram(flight.data, flight.channel, flight.target, pair.now)
                pair.client._core.dropped = 0
                assert list(pair.client.outputs()) == []
                assert camera.freeze(pair.client) == before


@pytest.mark.parametrize("login", LOGINS)
def test_a_client_that_hears_itself_while_connecting_waits_for_the_gateway(login: str) -> None:
    pair = Pair(*LOGINS[login])
    pair.fate = reflecting
    assert pair.connect()
    assert_agreement(pair)


def reflecting(flight: Flight) -> Iterable[Flight]:
    """Everything comes back to its sender first."""
    back = replace(
        flight,
        to_gateway=not flight.to_gateway,
        source=flight.target,
        target=flight.source,
        number=-flight.number,
    )
    return (replace(back, arrives=flight.arrives - 0.01), flight)


# Replays


def test_replayed_requests_get_the_same_octets_and_replayed_responses_nothing() -> None:
    pair = Pair()
    assert pair.connect()
    for command in ("rekey_child", "probe", "rekey_ike", "probe"):
        getattr(pair.gateway, command)(pair.now)
        pair.run(70)
        for flight in [flight for flight in pair.sent if not flight.to_gateway]:
            replay(pair, flight)
    assert_agreement(pair)


def replay(pair: Pair, flight: Flight) -> None:
    """Deliver what the client has had already: at most its answer comes again."""
    core = pair.client._core
    camera: Camera[object] = Camera()
    core.dropped = 0
    before = camera.freeze(pair.client)
    answers = {packet for sa in core.sas.values() for packet in sa.window.last_response}
    pair.client.handle_datagram(flight.data, flight.channel, flight.source, pair.now)
    for output in pair.client.outputs():
        assert isinstance(output, Transmit)
        assert output.data in answers
    core.dropped = 0
    assert camera.freeze(pair.client) == before, (
        "a replay changed something, if only when the gateway was seen"
    )


def test_replays_do_not_pass_for_a_sign_of_life() -> None:
    pair = Pair()
    assert pair.connect()
    pair.gateway.probe(pair.now)
    pair.settle()
    recorded = [flight for flight in pair.sent if not flight.to_gateway]
    pair.fate = lambda flight: ()
    pair.client.probe(pair.now)
    for _ in range(100):
        pair.run(1)
        for flight in recorded:
            pair.client.handle_datagram(flight.data, flight.channel, flight.source, pair.now)
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.NET_NO_RESPONSE


# Hints at an established session


def unknown_spi(scene: Scene) -> bytes:
    notify = Notify(NotifyType.INVALID_IKE_SPI)
    return scene.clear(Letter(ExchangeType.INFORMATIONAL, 7, is_response=True, payloads=(notify,)))


def test_a_flood_of_forged_invalid_ike_spi_provokes_one_question_in_five_seconds() -> None:
    scene = established()
    pair = scene.pair
    forged = unknown_spi(scene)
    count = len(pair.sent)
    for _ in range(300):
        for _ in range(10):
            pair.client.handle_datagram(forged, Channel.NATT, GATEWAY, pair.now)
        pair.run(0.1)
    questions = [flight for flight in pair.sent[count:] if flight.to_gateway and not flight.data[19] & 0x20]
    assert 1 <= len(questions) <= 30 / 5 + 1
    assert pair.client.state is SessionState.ESTABLISHED
    assert pair.events(Probing)[-1] == Probing(False, pair.events(Probing)[-1].since)  # type: ignore[union-attr]


OTHER_ERRORS = (NotifyType.AUTHENTICATION_FAILED, NotifyType.INVALID_SYNTAX, NotifyType.INVALID_SPI)


@pytest.mark.parametrize("kind", OTHER_ERRORS)
def test_other_forged_errors_provoke_nothing(kind: NotifyType) -> None:
    scene = established()
    watched = Watched(scene)
    letter = Letter(ExchangeType.INFORMATIONAL, 0, is_response=True, payloads=(Notify(kind),))
    assert scene.hear(scene.clear(letter)) == []
    assert watched.look() == watched.before


def test_a_million_octets_of_noise_change_nothing() -> None:
    scene = established()
    watched = Watched(scene)
    rng = SeededRng(1, "noise")
    for size in (0, 1, 17, 18, 19, 27, 28, 29, 32, 60, 1500):
        for _ in range(60):
            assert scene.hear(rng(size)) == []
    for size in (28, 60, 1500):
        assert scene.ours is not None
        for _ in range(60):
            assert scene.hear(scene.ours.spi_i + scene.ours.spi_r + rng(size)) == []
    assert watched.look() == watched.before
    assert not scene.pair.events(Established)[1:]
