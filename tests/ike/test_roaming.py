"""Moves at every point of every exchange (RFC 4555 section 3.5).

Each exchange is run step by step; at each step copies of both engines move, with the old address still there for
what is under way, or gone with all of it.  In the end both ends agree, and the gateway has followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import pytest

from client.ike.events import Channel, MoveRefused, PathMoved, PeerAddresses, Probing
from client.ike.message import Message, encode_protected
from client.ike.payloads import Notify, Payload
from client.ike.registry import ExchangeType, NotifyType
from client.ike.states import SessionState
from tests.ike.phases import PHASES, Letter, established
from tests.network import TerribleNetwork, assert_agreement
from tests.pair import Pair, path_from, with_personality
from tests.snapshot import forked

WIFI, LTE, CABLE = "192.168.1.10", "10.64.0.10", "172.16.0.10"
LONG_ENOUGH = 100.0  # seconds: an old IKE SA is dropped after 60

Begin = Callable[[Pair], None]


def both_rekey_child(pair: Pair) -> None:
    pair.client.rekey_child(pair.now)
    pair.gateway.rekey_child(pair.now)


def both_rekey_ike(pair: Pair) -> None:
    pair.client.rekey_ike(pair.now)
    pair.gateway.rekey_ike(pair.now)


def all_at_once(pair: Pair) -> None:
    both_rekey_child(pair)
    both_rekey_ike(pair)
    pair.client.probe(pair.now)
    pair.gateway.probe(pair.now)


EXCHANGES: dict[str, Begin] = {
    "nothing": lambda pair: None,
    "a probe of the client": lambda pair: pair.client.probe(pair.now),
    "a probe of the gateway": lambda pair: pair.gateway.probe(pair.now),
    "a child rekey of the client": lambda pair: pair.client.rekey_child(pair.now),
    "a child rekey of the gateway": lambda pair: pair.gateway.rekey_child(pair.now),
    "child rekeys of both": both_rekey_child,
    "a rekey of the client": lambda pair: pair.client.rekey_ike(pair.now),
    "a rekey of the gateway": lambda pair: pair.gateway.rekey_ike(pair.now),
    "rekeys of both": both_rekey_ike,
    "everything at once": all_at_once,
    "a move": lambda pair: pair.client.move(path_from(CABLE), pair.now),
}
LONG_EXCHANGES = ("a child rekey of the client", "a rekey of the gateway", "everything at once")


def pair_at(address: str = WIFI) -> Pair:
    pair = Pair()
    assert pair.connect(address)
    return pair


def points(pair: Pair, begin: Begin) -> Iterator[Callable[[], Pair]]:
    """A maker of copies at every step from the beginning of an exchange to its end."""
    begin(pair)
    pair.drain()
    end = pair.now + 1.0
    while True:
        yield forked(pair)
        if not pair.flights or pair.now > end:
            return
        pair.step()


def move(pair: Pair, address: str, *, abruptly: bool) -> None:
    """Change the address; abruptly means that whatever is under way to or from the old one is lost."""
    if abruptly:
        pair.flights.clear()
    pair.client.move(path_from(address), pair.now)


@pytest.mark.slow
@pytest.mark.parametrize("abruptly", [False, True], ids=["gently", "abruptly"])
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_move_at_any_point_of_an_exchange_ends_in_agreement_at_the_new_address(
    exchange: str, abruptly: bool
) -> None:
    for number, fork in enumerate(points(pair_at(), EXCHANGES[exchange])):
        pair = fork()
        move(pair, LTE, abruptly=abruptly)
        pair.run(LONG_ENOUGH)
        assert_agreement(pair)
        moved = [event.path for event in pair.events(PathMoved) if isinstance(event, PathMoved)]
        assert moved[-1] == path_from(LTE), (exchange, number)
        assert not pair.events(MoveRefused)


@pytest.mark.slow
@pytest.mark.parametrize(
    "exchange", ["a child rekey of the client", "a rekey of the gateway", "everything at once"]
)
def test_two_moves_at_any_two_points_of_an_exchange_end_at_the_second_address(exchange: str) -> None:
    for first in points(pair_at(), EXCHANGES[exchange]):
        for address, abruptly in product((CABLE, WIFI), (False, True)):
            pair = first()
            move(pair, LTE, abruptly=abruptly)
            for second in points(pair, lambda pair: None):
                copy = second()
                move(copy, address, abruptly=abruptly)
                copy.run(LONG_ENOUGH)
                assert_agreement(copy)
                assert copy.gateway.path is not None
                assert str(copy.gateway.path.remote) == address


@pytest.mark.slow
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_move_behind_a_nat_at_any_point_turns_encapsulation_on_at_both_ends(exchange: str) -> None:
    for fork in points(pair_at(), EXCHANGES[exchange]):
        pair = fork()
        pair.hide_behind(LTE, "198.51.100.7")
        pair.client.move(path_from(LTE), pair.now)
        pair.run(LONG_ENOUGH)
        assert pair.client.state is SessionState.ESTABLISHED
        assert pair.client.encapsulate
        assert pair.gateway.encapsulate
        assert pair.gateway.path is not None
        assert str(pair.gateway.path.remote) == "198.51.100.7"


@pytest.mark.slow
def test_a_laptop_that_never_rests_stays_connected() -> None:
    for seed in range(20):
        pair = pair_at()
        pair.fate = TerribleNetwork(seed, loss=0.2)
        for turn in range(60):
            pair.client.move(path_from((WIFI, LTE, CABLE)[turn % 3]), pair.now)
            pair.run(1.5)
        pair.fate = lambda flight: (flight,)
        pair.run(LONG_ENOUGH)
        assert_agreement(pair)


def test_a_move_while_connecting_is_not_for_this_session() -> None:
    pair = Pair()
    pair.client.move(path_from(LTE), pair.now)
    assert list(pair.client.outputs()) == []
    assert pair.client.state is SessionState.IDLE


def test_most_of_a_minute_without_any_network_does_not_end_the_session() -> None:
    """The gateway waits as long as its own probes are patient (RFC 4555 section 3.11 suggests minutes)."""
    pair = pair_at()
    pair.fate = lambda flight: ()
    pair.client.move(path_from(LTE), pair.now)
    pair.run(50)
    assert pair.events(Probing)
    pair.fate = lambda flight: (flight,)
    pair.client.move(path_from(CABLE), pair.now)
    pair.run(LONG_ENOUGH)
    assert_agreement(pair)


# What the gateway answers


def update(answer: tuple[Payload, ...], *, echo: bool = True) -> Pair:
    """A client whose UPDATE_SA_ADDRESSES is answered with these payloads."""
    scene = established()
    pair = scene.pair
    pair.client.move(path_from(LTE), pair.now)
    pair.drain()
    (flight,) = pair.flights
    pair.flights.clear()
    assert scene.theirs is not None
    request = pair.client._core.current
    assert request is not None
    assert request.window.outstanding is not None
    exchange = request.window.outstanding[1]
    cookie = Notify(NotifyType.COOKIE2, exchange.cookie)  # type: ignore[attr-defined]
    payloads = (*answer, *((cookie,) if echo else ()))
    message_id = int.from_bytes(flight.data[20:24])
    scene.hear(scene.authentic(Letter(ExchangeType.INFORMATIONAL, message_id, True, payloads)))
    pair.drain()
    return pair


@pytest.mark.parametrize("kind", [NotifyType.UNACCEPTABLE_ADDRESSES, NotifyType.UNEXPECTED_NAT_DETECTED])
def test_a_refused_address_is_told_and_the_session_stays(kind: NotifyType) -> None:
    pair = update((Notify(kind),))
    assert pair.events(MoveRefused) == [MoveRefused(path_from(LTE))]
    assert pair.client.state is SessionState.ESTABLISHED


@pytest.mark.parametrize(
    ("answer", "echo"),
    [((), False), ((Notify(NotifyType.COOKIE2, bytes(16)),), True), ((Notify(NotifyType.COOKIE2),), True)],
    ids=["no cookie", "another cookie first", "an empty cookie first"],
)
def test_a_cookie_that_does_not_come_back_unchanged_ends_the_session(
    answer: tuple[Payload, ...], echo: bool
) -> None:
    pair = update(answer, echo=echo)
    pair.run(10)
    assert pair.closed is not None
    assert "COOKIE2" in pair.closed.failure.evidence


def test_an_answer_without_nat_detection_confirms_the_path_and_keeps_what_was_known_of_nats() -> None:
    pair = update(())
    assert pair.events(PathMoved) == [PathMoved(path_from(LTE), encapsulate=False, nat_local=False)]


def test_the_gateways_further_addresses_are_advice_to_the_path_choice() -> None:
    address = path_from(WIFI, gateway="203.0.113.9").remote
    pair = Pair(gateway=with_personality(additional_addresses=(address,)))
    assert pair.connect()
    assert pair.events(PeerAddresses) == [PeerAddresses((address,))]
    assert pair.client.path == path_from(WIFI)


def test_a_gateway_without_mobike_is_told_nothing_of_it() -> None:
    pair = Pair(gateway=with_personality(mobike=False))
    assert pair.connect()
    assert not pair.established.mobike


# Who may move whom


def test_the_client_is_not_moved_by_the_gateway() -> None:
    scene = established()
    notify = Notify(NotifyType.UPDATE_SA_ADDRESSES)
    letter = Letter(ExchangeType.INFORMATIONAL, 0, is_response=False, payloads=(notify,))
    assert len(scene.hear(scene.authentic(letter))) == 1
    assert scene.pair.client.path == path_from(WIFI)
    assert not scene.pair.events(PathMoved)


def test_a_replayed_update_does_not_move_the_gateway_back() -> None:
    pair = pair_at()
    updates = []
    for address in (LTE, CABLE):
        count = len(pair.sent)
        pair.client.move(path_from(address), pair.now)
        pair.settle()
        updates += [flight for flight in pair.sent[count:] if flight.to_gateway]
    pair.client.rekey_ike(pair.now)
    pair.run(LONG_ENOUGH)
    for flight in updates:
        pair._arrive(flight)
    pair.run(10)
    assert_agreement(pair)


def test_a_replaced_ike_sa_has_no_say_in_where_the_client_is() -> None:
    at = PHASES["replaced"]()
    pair, old = at.pair, at.ours
    assert old is not None
    assert old.window.outstanding is not None
    message_id = old.window.outstanding[0].message_id  # of the Delete, which is lost
    notify = Notify(NotifyType.UPDATE_SA_ADDRESSES)
    update = Message(old.spi_i, old.spi_r, ExchangeType.INFORMATIONAL, message_id, (notify,), True, False)
    (packet,) = encode_protected(update, old.sealer)
    path = pair.gateway.path
    pair.flights.clear()
    elsewhere = path_from(LTE).local_natt
    pair.gateway.handle_datagram(packet, Channel.NATT, elsewhere, pair.now)
    assert len(list(pair.gateway.outputs())) == 1
    assert pair.gateway.path == path


def test_a_changed_source_address_alone_moves_nobody() -> None:
    pair = pair_at()
    path = pair.gateway.path
    pair.hide_behind(WIFI, "198.51.100.7")  # a NAT that was not there before
    pair.client.probe(pair.now)
    pair.settle()
    assert pair.gateway.path == path
