"""Sending: requests when a window is free, their retransmission, and responses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from .core import Core
from .errors import ProtocolError
from .events import Channel, Endpoint, Path, Transmit
from .exchanges.base import Exchange
from .exchanges.liveness import Liveness
from .exchanges.mobike import UpdateAddresses
from .exchanges.size_probe import SizeProbe
from .facts import MessageFacts
from .message import Header, Message, encode_protected
from .observation import exchange_name, observe
from .payloads import Eap, Payload
from .registry import ExchangeType
from .sa import IkeSa
from .timers import Timer
from .window import Request, Schedule

PROBES = (Liveness, UpdateAddresses)
SIZE_FIRST, SIZE_LAST = 0.4, 1.2  # seconds between tries of one size: four round trips, within these
PROBE_FIRST, PROBE_FACTOR, PROBE_CAP = 0.5, 2.0, 4.0  # probes at 0, 0.5, 1.5, 3.5, 7.5 s … (DESIGN 8)


@dataclass(frozen=True, slots=True)
class Arrival:
    """How and when a datagram came in; `local` is where, as far as the caller knows."""

    channel: Channel
    remote: Endpoint
    at: float
    local: Endpoint | None = None

    def back(self, path: Path) -> Path:
        """Where its response goes: from and to the same addresses and ports (RFC 7296 section 2.23)."""
        local, remote = self.local or path.ends(self.channel)[0], self.remote
        if self.channel is Channel.INIT:
            return replace(path, local_init=local, remote_init=remote)
        return replace(path, local_natt=local, remote_natt=remote)


Fail = Callable[[IkeSa, ProtocolError, float], None]


def start_exchanges(core: Core, fail: Fail, now: float) -> None:
    """Begin the next exchange of every IKE SA whose window is free; `fail` hears of one that cannot be."""
    while any(_start_next(core, sa, fail, now) for sa in list(core.sas.values())):
        pass  # from the start again: what failed may have put another IKE SA in place


def _start_next(core: Core, sa: IkeSa, fail: Fail, now: float) -> bool:
    """Begin one exchange; False where there is none, or its turn has not come."""
    if core.sas.get(sa.local_spi) is not sa or not sa.queue or sa.window.outstanding is not None:
        return False
    if sa.predecessor is not None:
        return _lend_probe(sa, sa.predecessor)
    exchange = sa.queue.popleft()
    try:
        payloads = exchange.build(core, sa, now)
    except ProtocolError as error:  # what this peer wants, our credentials cannot give
        fail(sa, error, now)
        return True
    if payloads is not None:
        _send_request(core, sa, exchange, payloads, now)
    return True


def _lend_probe(sa: IkeSa, predecessor: IkeSa) -> bool:
    """Until the peer shows that it knows the successor, only its predecessor can carry a request.

    The peer may be waiting for our answer to its rekey at an address that we have left: so probes and moves go
    there, and everything else waits.  A move is told again on the successor, whose word counts in the end.
    """
    for exchange in sa.queue:
        if isinstance(exchange, Liveness):
            sa.queue.remove(exchange)
            predecessor.queue.append(exchange)
            return True
        if isinstance(exchange, UpdateAddresses) and not exchange.is_lent:
            exchange.is_lent = True
            predecessor.queue.append(UpdateAddresses())
            return True
    return False


def transmit(core: Core, sa: IkeSa, request: Request, now: float) -> None:
    """Send a request, for the first time or again, over the path in use."""
    if request.attempts > 1:
        core.trace_message(now, "sent again", lambda: _repetition(core, request))
    whole = is_whole(sa)
    for packet in request.packets:
        core.emit(Transmit(packet, core.channel, core.required_path, whole))
    core.sent_at = now
    core.timers.set(Timer.RETRANSMIT, request.deadline, sa.local_spi)


def is_whole(sa: IkeSa) -> bool:
    """Whether the outstanding request finds out by its size what the path carries."""
    exchange = sa.window.outstanding[1] if sa.window.outstanding is not None else None
    return isinstance(exchange, SizeProbe) and exchange.is_whole


def make_smaller(core: Core, sa: IkeSa, request: Request) -> None:
    """A probe for the path's size has had its tries, or the path is another one."""
    if sa.window.outstanding is not None and isinstance(probe := sa.window.outstanding[1], SizeProbe):
        probe.give_in(core, sa, request)


def hurry(core: Core, now: float) -> None:
    """Have probes of the path's size answered soon: something else waits for the window."""
    for sa in core.sas.values():
        if sa.window.outstanding is not None and is_whole(sa):
            request = sa.window.outstanding[0]
            make_smaller(core, sa, request)
            request.restart(now)
            transmit(core, sa, request, now)


def send_once(core: Core, sa: IkeSa, exchange: int, payloads: tuple[Payload, ...]) -> None:
    """Send a request whose response nobody waits for: the session ends with it."""
    message = _message(sa, exchange, sa.window.take_request_id(), payloads, is_response=False)
    for packet in _encode(core, sa, message):
        core.emit(Transmit(packet, core.channel, core.required_path))


def say_last_words(core: Core, sa: IkeSa, packet: bytes) -> None:
    """A last EAP packet: the gateway that gets it drops a half-open SA, of which it bears few from one address."""
    if packet:
        send_once(core, sa, ExchangeType.IKE_AUTH, (Eap(packet),))


def respond(core: Core, sa: IkeSa, header: Header, payloads: tuple[Payload, ...], arrival: Arrival) -> None:
    """Answer the peer's request and keep the answer for its repetition."""
    message = _message(sa, header.exchange, header.message_id, payloads, is_response=True)
    sa.window.keep_response(_encode(core, sa, message))
    resend(core, sa, arrival)


def resend(core: Core, sa: IkeSa, arrival: Arrival) -> None:
    """Send the last response (again) to where its request came from."""
    path = arrival.back(core.required_path)
    for packet in sa.window.last_response:
        core.emit(Transmit(packet, arrival.channel, path))


def _send_request(
    core: Core, sa: IkeSa, exchange: Exchange, payloads: tuple[Payload, ...], now: float
) -> None:
    message_id = sa.window.take_request_id()
    message = _message(sa, exchange.TYPE, message_id, payloads, is_response=False)
    if isinstance(exchange, SizeProbe):
        packets, schedule = encode_protected(message, sa.sealer), _size_schedule(core)
    else:
        packets = _encode(core, sa, message)
        schedule = _probe_schedule(core) if isinstance(exchange, PROBES) else core.schedule()
    request = Request(message_id, exchange.TYPE, packets, schedule, now)
    sa.window.outstanding = (request, exchange)
    core.trace_message(now, "sent", lambda: _sent(core, message, request.packets))
    transmit(core, sa, request, now)


def _sent(core: Core, message: Message, packets: tuple[bytes, ...]) -> MessageFacts:
    octets = sum(map(len, packets))
    return observe(message, sent=True, channel=core.channel.value, octets=octets, packets=len(packets))


def _repetition(core: Core, request: Request) -> MessageFacts:
    return MessageFacts(
        True,
        exchange_name(request.exchange_type),
        request.message_id,
        is_response=False,
        channel=core.channel.value,
        octets=sum(map(len, request.packets)),
        packets=len(request.packets),
        attempt=request.attempts,
        protected=True,
    )


def _probe_schedule(core: Core) -> Schedule:
    return Schedule(PROBE_FIRST, PROBE_FACTOR, PROBE_CAP, core.patience.probe_give_up)


def _size_schedule(core: Core) -> Schedule:
    """A few tries in quick succession: a black hole must be found within five seconds."""
    first = core.round_trip.first_interval(SIZE_LAST, SIZE_FIRST)
    return Schedule(first, 1.0, SIZE_LAST, core.patience.give_up)


def _message(
    sa: IkeSa, exchange: int, message_id: int, payloads: tuple[Payload, ...], *, is_response: bool
) -> Message:
    return Message(sa.spi_i, sa.spi_r, exchange, message_id, payloads, sa.initiated, is_response)


def _encode(core: Core, sa: IkeSa, message: Message) -> tuple[bytes, ...]:
    size = core.config.fragment_size if sa.fragmentation else None
    return encode_protected(message, sa.sealer, fragment_size=size)
