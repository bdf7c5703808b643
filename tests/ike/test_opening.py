"""The opening of a session under attack: forged answers, endless demands, and rivals that answer first."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import replace

import pytest

from client.ike.authentication import KeySigner
from client.ike.events import Kind, Transmit
from client.ike.keys import Secret
from client.ike.message import Message, decode, encode_clear
from client.ike.opening import MAX_CANDIDATES
from client.ike.options import SessionConfig
from client.ike.payloads import Notify, Payload
from client.ike.registry import ExchangeType, Kex, NotifyType, PayloadType
from client.ike.states import SessionState
from client.lab.pki import make_authority
from client.lab.responder import GatewayConfig, Responder
from tests.ike.mutation import HEADER_SIZE, pull_chain, push_chain
from tests.ike.phases import init_sent
from tests.network import assert_agreement
from tests.pair import (
    VALID,
    WALL,
    Flight,
    Pair,
    cert_client,
    client_config,
    eap_client,
    gateway_config,
    with_personality,
)
from tests.rng import SeededRng

LOGINS = {
    "psk": (client_config(), gateway_config()),
    "cert": (cert_client(), replace(gateway_config(), clients="cert", proof="cert")),
    "eap": (eap_client(), replace(gateway_config(), clients="eap", proof="cert")),
}


class Forger:
    """Answers the client's first request before the gateway does, once for each list of payloads."""

    def __init__(self, *answers: tuple[Payload, ...]) -> None:
        self.answers = answers
        self.is_done = False

    def __call__(self, flight: Flight) -> Iterable[Flight]:
        yield flight
        if flight.to_gateway and not self.is_done:
            self.is_done = True
            for number, payloads in enumerate(self.answers):
                yield self._forged(flight, payloads, number)

    def _forged(self, flight: Flight, payloads: tuple[Payload, ...], number: int) -> Flight:
        message = Message(flight.data[:8], bytes(8), ExchangeType.IKE_SA_INIT, 0, payloads, False, True)
        return replace(
            flight,
            data=encode_clear(message),
            arrives=flight.arrives - 0.015 + number * 1e-5,
            number=-1 - number,
            to_gateway=False,
            source=flight.target,
            target=flight.source,
        )


FORGERIES: dict[str, tuple[Payload, ...]] = {
    "nothing": (),
    **{
        name: (Notify(getattr(NotifyType, name)),)
        for name in (
            "NO_PROPOSAL_CHOSEN",
            "INVALID_SYNTAX",
            "INVALID_MAJOR_VERSION",
            "INVALID_IKE_SPI",
            "AUTHENTICATION_FAILED",
            "UNSUPPORTED_CRITICAL_PAYLOAD",
            "TEMPORARY_FAILURE",
        )
    },
    "an unknown error": (Notify(100),),
    "REDIRECT": (Notify(16407, b"\x01\x04\xc6\x33\x64\x01"),),
    "a cookie": (Notify(NotifyType.COOKIE, b"forged"),),
    "an empty cookie": (Notify(NotifyType.COOKIE),),
    "a cookie too long": (Notify(NotifyType.COOKIE, bytes(65)),),
    "another group of ours": (Notify(NotifyType.INVALID_KE_PAYLOAD, Kex.ECP_256.to_bytes(2)),),
    "our own group": (Notify(NotifyType.INVALID_KE_PAYLOAD, Kex.X25519.to_bytes(2)),),
    "a group not offered": (Notify(NotifyType.INVALID_KE_PAYLOAD, (2).to_bytes(2)),),
    "no group at all": (Notify(NotifyType.INVALID_KE_PAYLOAD),),
}


@pytest.mark.parametrize("count", [1, 50])
@pytest.mark.parametrize("forgery", FORGERIES)
def test_whatever_is_forged_before_the_true_answer_the_attempt_succeeds(forgery: str, count: int) -> None:
    pair = Pair()
    pair.fate = Forger(*[FORGERIES[forgery]] * count)
    assert pair.connect(), pair.closed
    assert_agreement(pair)
    assert pair.now < 1010


@pytest.mark.parametrize("group", [Kex.X25519, Kex.ECP_384])
def test_a_forged_wish_for_a_group_does_not_lock_out_a_gateway_that_insists_on_one(group: Kex) -> None:
    for wish in client_config().ike_offer.kex_methods:
        pair = Pair(gateway=with_personality(group=group))
        pair.fate = Forger((Notify(NotifyType.INVALID_KE_PAYLOAD, wish.to_bytes(2)),))
        assert pair.connect(), (wish, pair.closed)


def test_forged_wishes_for_several_groups_do_not_lock_out_such_a_gateway_either() -> None:
    pair = Pair(gateway=with_personality(group=Kex.X25519))
    wishes = [Notify(NotifyType.INVALID_KE_PAYLOAD, wish.to_bytes(2)) for wish in (Kex.ECP_256, Kex.ECP_384)]
    pair.fate = Forger(*[(wish,) for wish in wishes])
    assert pair.connect(), pair.closed
    assert_agreement(pair)


class Deaf:
    """A network in which only forged answers arrive."""

    def __init__(self, payloads: tuple[Payload, ...]) -> None:
        self._forger = Forger(payloads)

    def __call__(self, flight: Flight) -> Iterable[Flight]:
        return [copy for copy in self._forger(flight) if not copy.to_gateway]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_answer_alone_is_reported_as_what_it_is_and_ends_in_time(forgery: str) -> None:
    pair = Pair()
    pair.fate = Deaf(FORGERIES[forgery])
    began = pair.now
    assert not pair.connect(seconds=200)
    assert pair.closed is not None
    assert pair.closed.failure.kind in (Kind.NET_NO_RESPONSE, Kind.CRYPTO_NO_PROPOSAL, Kind.PEER_PROTOCOL)
    assert pair.now - began <= 130


class Looping:
    """A gateway that asks for ever new things."""

    def __init__(self, notifies: tuple[Notify, ...]) -> None:
        self.notifies = notifies
        self.requests: set[bytes] = set()

    def __call__(self, flight: Flight) -> Iterable[Flight]:
        if not flight.to_gateway:
            return ()
        notify = self.notifies[len(self.requests) % len(self.notifies)]
        if notify.type == NotifyType.COOKIE:
            notify = replace(notify, data=b"cookie %d" % len(self.requests))
        self.requests.add(flight.data)
        return [copy for copy in Forger((notify,))(flight) if not copy.to_gateway]


@pytest.mark.parametrize(
    ("notifies", "most"),
    [
        ((Notify(NotifyType.COOKIE),), 4),
        (
            (
                Notify(NotifyType.INVALID_KE_PAYLOAD, Kex.ECP_256.to_bytes(2)),
                Notify(NotifyType.INVALID_KE_PAYLOAD, Kex.X25519.to_bytes(2)),
            ),
            3,
        ),
        (
            (
                Notify(NotifyType.COOKIE),
                Notify(NotifyType.INVALID_KE_PAYLOAD, Kex.ECP_256.to_bytes(2)),
                Notify(NotifyType.COOKIE),
                Notify(NotifyType.INVALID_KE_PAYLOAD, Kex.X25519.to_bytes(2)),
            ),
            6,
        ),
    ],
)
def test_loops_of_cookies_and_groups_are_bounded(notifies: tuple[Notify, ...], most: int) -> None:
    pair = Pair()
    network = Looping(notifies)
    pair.fate = network
    began = pair.now
    assert not pair.connect(seconds=600)
    assert len(network.requests) <= most
    assert pair.now - began < 500
    assert pair.closed is not None


def test_a_cookie_goes_first_and_changes_nothing_else_of_the_request() -> None:
    pair = Pair(gateway=with_personality(cookie=True))
    assert pair.connect()
    first, second = (flight.data for flight in pair.sent if flight.to_gateway and flight.data[18] == 34)
    one, two = (decode(data, None) for data in (first, second))
    assert not hasattr(one, "reason")
    assert two.message.payloads[1:] == one.message.payloads  # type: ignore[union-attr]
    assert two.message.payloads[0].type == NotifyType.COOKIE  # type: ignore[union-attr]


def test_a_cookie_and_then_a_group_keep_the_cookie() -> None:
    pair = Pair(gateway=with_personality(cookie=True, group=Kex.ECP_256))
    assert pair.connect(), pair.closed
    assert_agreement(pair)


# Rivals: other gateways that answer first


class RivalPair(Pair):
    """A second gateway hears everything that the client sends, and is quicker."""

    def __init__(
        self,
        rival: GatewayConfig,
        login: tuple[SessionConfig, GatewayConfig] = LOGINS["psk"],
        *,
        silent: bool = False,
    ) -> None:
        super().__init__(*login)
        self.rival = Responder(rival, SeededRng(1, "rival"))
        self.silent = silent

    def _transmit(self, output: Transmit, *, to_gateway: bool) -> None:
        super()._transmit(output, to_gateway=to_gateway)
        if not to_gateway or (self.silent and output.data[18] != ExchangeType.IKE_SA_INIT):
            return
        source, target = output.path.ends(output.channel)
        self.rival.handle_datagram(output.data, output.channel, target, source, self.now, WALL)
        for _, answer in self.rival.outputs():
            if isinstance(answer, Transmit):
                flight = Flight(self.now + 0.001, -1, answer.data, False, output.channel, target, source)
                heapq.heappush(self.flights, flight)


STRANGERS = make_authority("CN=Strangers", **VALID)
IMPOSTOR = STRANGERS.issue("CN=vpn.example.com", dns=["vpn.example.com"], **VALID)
RIVALS: dict[str, dict[str, object]] = {
    "knows no pre-shared key and says so": {"proof": "psk", "psk": Secret(b"a guess")},
    "refuses everybody": {"clients": "cert", "proof": "psk"},
    "has a certificate of its own making": {
        "proof": "cert",
        "chain": IMPOSTOR.chain,
        "signer": KeySigner(IMPOSTOR.key),
    },
    "has the gateway's certificate and not its key": {"proof": "cert", "signer": KeySigner(IMPOSTOR.key)},
    "wants a login by EAP without a proof": {"clients": "eap", "proof": "psk", "psk": Secret(b"a guess")},
}


@pytest.mark.parametrize("login", LOGINS)
@pytest.mark.parametrize("rival", RIVALS)
def test_a_rival_that_answers_first_and_proves_nothing_does_not_cost_the_attempt(
    rival: str, login: str
) -> None:
    pair = RivalPair(replace(LOGINS[login][1], **RIVALS[rival]), LOGINS[login])  # type: ignore[arg-type]
    assert pair.connect(), pair.closed
    assert_agreement(pair)


@pytest.mark.parametrize("login", LOGINS)
def test_a_rival_that_falls_silent_does_not_cost_the_attempt(login: str) -> None:
    pair = RivalPair(LOGINS[login][1], LOGINS[login], silent=True)
    assert pair.connect(), pair.closed
    assert_agreement(pair)


def test_many_rivals_that_fall_silent_cost_one_attempt_and_no_more_than_its_time() -> None:
    pair = init_sent().pair
    (flight,) = pair.flights
    rivals = [Responder(gateway_config(), SeededRng(seed, "rival")) for seed in range(20)]
    for number, rival in enumerate(rivals):
        rival.handle_datagram(flight.data, flight.channel, flight.target, flight.source, pair.now, WALL)
        (_, answer), *_ = list(rival.outputs())
        assert isinstance(answer, Transmit)
        pair.client.handle_datagram(answer.data, flight.channel, flight.target, pair.now + number / 1e4)
    core = pair.client._core
    assert core.opening is not None
    assert len(core.opening.alternatives) == MAX_CANDIDATES - 1
    pair.flights.clear()
    pair.fate = lambda flight: ()
    began = pair.now
    pair.run(200, lambda: pair.client.state is SessionState.CLOSED)
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.NET_NO_RESPONSE
    assert pair.now - began <= 65


def test_each_candidate_is_asked_with_one_request_however_often_its_turn_comes() -> None:
    pair = RivalPair(gateway_config(), silent=True)
    dropped = {"left": 3}

    def lose_first_answers(flight: Flight) -> Iterable[Flight]:
        if not flight.to_gateway and flight.data[18] == ExchangeType.IKE_AUTH and dropped["left"]:
            dropped["left"] -= 1
            return ()
        return (flight,)

    pair.fate = lose_first_answers
    assert pair.connect(), pair.closed
    assert_agreement(pair)
    asked = {
        flight.data for flight in pair.sent if flight.to_gateway and flight.data[18] == ExchangeType.IKE_AUTH
    }
    assert len(asked) == 2  # one for the rival, one for the gateway


def test_the_gateways_answer_counts_also_while_a_rival_has_its_turn() -> None:
    pair = RivalPair(gateway_config(), silent=True)

    def slow(flight: Flight) -> Iterable[Flight]:
        late = not flight.to_gateway and flight.data[18] == ExchangeType.IKE_AUTH
        return (replace(flight, arrives=flight.arrives + (6.0 if late else 0.0)),)

    pair.fate = slow
    assert pair.connect(), pair.closed
    assert_agreement(pair)


@pytest.mark.parametrize("kind", [PayloadType.KE, PayloadType.NONCE])
def test_our_own_value_that_comes_back_offers_no_ike_sa(kind: PayloadType) -> None:
    pair = init_sent().pair
    (request,) = pair.flights
    pair.step()
    (answer,) = pair.flights
    ours, theirs = (pull_chain(flight.data[16], flight.data[HEADER_SIZE:]) for flight in (request, answer))
    (own,) = [link for link in ours if link.kind == kind]
    first, octets = push_chain(tuple(own if link.kind == kind else link for link in theirs))
    header = answer.data[:16] + bytes([first]) + answer.data[17:24] + (HEADER_SIZE + len(octets)).to_bytes(4)
    pair.client.handle_datagram(header + octets, answer.channel, answer.source, pair.now)
    assert not pair.client.is_answered
    pair.settle()  # and the true answer still counts
    assert_agreement(pair)
