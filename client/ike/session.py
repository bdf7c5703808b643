"""`Session`: the life of one IKEv2 connection, without sockets, clock or randomness of its own.

Theory of operation.  Datagrams, commands and the time go in; ordered outputs and one next deadline come out.  Each
IKE SA has a queue of exchanges and a window of one: `transmission` builds the next request of every SA whose
window is free, `retransmission` repeats what goes unanswered, `reception` hands the answer to the exchange that
asked and lets `exchanges` answer the peer, `watch` knows when to ask whether the peer is there.  What cannot be
authenticated is dropped before any of this, and changes nothing but a counter.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from .children import install, use_outbound
from .core import Core
from .errors import ProtocolError
from .events import Assigned, Channel, ChildSa, Endpoint, Failure, Kind, Output, Path, Reply, Rng
from .exchanges.delete import forget_replaced, say_farewell
from .exchanges.eap_auth import EapRound
from .exchanges.mobike import UpdateAddresses
from .exchanges.rekey_child import RekeyChild
from .exchanges.rekey_ike import RekeyIke
from .exchanges.size_probe import SizeProbe
from .keys import Secret
from .message import Rejected, decode
from .natd import NatVerdict
from .observation import version_of
from .opening import Opening
from .options import SessionConfig
from .quirks import Quirk
from .reception import Outcome, Reception
from .registry import ExchangeType
from .retransmission import retransmit_due
from .sa import Child, ChildState, IkeSa, IkeSaState
from .states import SessionState
from .timers import Timer
from .trace import Sink, ignore
from .transmission import (
    Arrival,
    hurry,
    make_smaller,
    say_last_words,
    start_exchanges,
    transmit,
)
from .watch import Watch

OUR_VERSION = 2  # an answer of an earlier one comes from a gateway that knows no better
EXCHANGE_OCTET = slice(18, 19)  # of the header (RFC 7296 section 3.1)


class Session:
    """One IKEv2 connection.

    Four kinds of method and no other: getters; `handle_*` and `note_*` (network, clock, data path); commands of
    the user (`initiate`, `answer`, `decline`, `move`, `rekey_*`, `probe`, `close`); and `outputs`.  After any call
    of the second and third kind, drain `outputs` and read `next_deadline` again.
    """

    def __init__(self, config: SessionConfig, rng: Rng, trace: Sink = ignore) -> None:
        self._core = Core(config, rng, sink=trace)
        self._watch = Watch()
        self._reception = Reception(self._core, self._watch)

    @classmethod
    def established(
        cls,
        config: SessionConfig,
        rng: Rng,
        sa: IkeSa,
        child: Child,
        path: Path,
        now: float,
        *,
        nat: NatVerdict,
        mobike: bool,
        peer_identity: str,
        assigned: Assigned,
    ) -> Session:
        """The responder's end after IKE_AUTH: from here on both roles are one code."""
        session = cls(config, rng)
        core = session._core
        core.initiator, core.path, core.nat, core.mobike = False, path, nat, mobike
        core.peer_identity, core.assigned, core.inbound_at = peer_identity, assigned, now
        core.enter(SessionState.ESTABLISHED)
        core.adopt(sa, now)
        install(core, child, now)
        session._watch.start(core, now)
        return session

    # Getters

    @property
    def state(self) -> SessionState:
        """Where the session stands."""
        return self._core.state

    @property
    def path(self) -> Path | None:
        """The outer addresses in use."""
        return self._core.path

    @property
    def spis(self) -> tuple[bytes, bytes] | None:
        """Initiator's and responder's SPI of the IKE SA in use."""
        sa = self._core.current
        return (sa.spi_i, sa.spi_r) if sa else None

    @property
    def local_spis(self) -> tuple[bytes, ...]:
        """Our SPIs of all IKE SAs alive: what datagrams for this session carry."""
        opening = (self._core.opening.spi_i,) if self._core.opening else ()
        return tuple(dict.fromkeys((*opening, *self._core.sas)))

    @property
    def children(self) -> tuple[ChildSa, ...]:
        """The Child SAs that carry traffic."""
        usable = (ChildState.LIVE, ChildState.REKEYING)
        return tuple(child.sa for child in self._core.children.values() if child.state in usable)

    @property
    def child_suite(self) -> str | None:
        """Algorithms of the newest Child SA, in words."""
        children = list(self._core.children.values())
        return str(children[-1].suite) if children else None

    @property
    def rekey_at(self) -> float | None:
        """When the next rekey of any SA begins."""
        timers = self._core.timers
        times = [timers.at(Timer.REKEY_IKE), *(timers.at(Timer.REKEY_CHILD, s) for s in self._core.children)]
        return min((at for at in times if at is not None), default=None)

    @property
    def ike_rekey_at(self) -> float | None:
        """When the IKE SA's rekey begins."""
        return self._core.timers.at(Timer.REKEY_IKE)

    @property
    def child_rekey_at(self) -> float | None:
        """When the first rekey of a Child SA begins."""
        times = (self._core.timers.at(Timer.REKEY_CHILD, spi_in) for spi_in in self._core.children)
        return min((at for at in times if at is not None), default=None)

    @property
    def is_answered(self) -> bool:
        """Whether the gateway has given an answer that could be used, proven or not."""
        return bool(self._core.sas)

    @property
    def tries(self) -> int:
        """How often the request under way has been sent; 0 where none is."""
        core = self._core
        if core.opening is not None and not core.sas:
            return core.opening.tries
        requests = (sa.window.outstanding for sa in core.sas.values())
        return max((request[0].attempts for request in requests if request is not None), default=0)

    @property
    def nat(self) -> NatVerdict:
        """Where NATs stand."""
        return self._core.nat

    @property
    def encapsulate(self) -> bool:
        """Whether ESP goes in UDP."""
        return self._core.encapsulate

    @property
    def peer_chain(self) -> tuple[bytes, ...]:
        """The certificates that the peer has proven itself with (DER), its own first; none without any."""
        return self._core.peer_chain

    @property
    def round_trip(self) -> float | None:
        """Smoothed round-trip time of the exchanges, in seconds; None before one was measured."""
        return self._core.round_trip.smoothed

    @property
    def answered(self) -> int:
        """How many of our requests the peer has answered."""
        return self._core.round_trip.answered

    @property
    def dropped(self) -> int:
        """Datagrams that changed nothing."""
        return self._core.dropped

    def next_deadline(self) -> float | None:
        """When `handle_timeout` has something to do."""
        return self._core.timers.next_deadline()

    def outputs(self) -> Iterator[Output]:
        """Everything that is to be performed, in order; each is handed out once."""
        pending = self._core.pending
        while pending:
            yield pending.popleft()

    # Commands

    def initiate(self, path: Path, now: float, wall: datetime) -> None:
        """Connect over `path`; `wall` is the date by which certificates are judged."""
        core = self._core
        core.enter(SessionState.CONNECTING)
        core.path, core.wall = path, wall
        refused = core.config.habits.one_family
        if refused and core.config.may_do_with_one_family and core.adapts(Quirk.ONE_FAMILY, refused):
            core.config = core.config.for_one_family
        core.trace(now, "initiate", str(path.remote))
        core.opening = Opening(core, path, now)

    def move(self, path: Path, now: float) -> None:
        """Go on over another path (RFC 4555 section 3.5): only after `Established` said mobike."""
        core = self._core
        if core.state is not SessionState.ESTABLISHED or core.current is None:
            return
        core.path = path
        core.path_number += 1
        core.trace(now, "move", f"{path.local} to {path.remote}")
        for sa in core.sas.values():
            if sa.window.outstanding is not None:
                request, _ = sa.window.outstanding
                make_smaller(core, sa, request)
                request.restart(now)
                transmit(core, sa, request, now)
        for waiting in [exchange for exchange in core.current.queue if isinstance(exchange, UpdateAddresses)]:
            core.current.queue.remove(waiting)
        core.begin(UpdateAddresses(), first=True)
        self._go_on(now)

    def rekey_child(self, now: float) -> None:
        """Replace the Child SAs in use."""
        for child in self.children:
            self._begin_child_rekey(child.spi_in)
        self._go_on(now)

    def rekey_ike(self, now: float) -> None:
        """Replace the IKE SA."""
        self._begin_ike_rekey()
        self._go_on(now)

    def probe(self, now: float) -> None:
        """Ask whether the gateway is there."""
        self._watch.probe(self._core, now)
        self._go_on(now)

    def probe_size(self, size: int, now: float) -> bool:
        """Find out whether the path in use carries an IKE message of so many octets: `SizeProbed` follows.

        False where nobody can be asked, or somebody is being asked already.
        """
        core = self._core
        if core.state is not SessionState.ESTABLISHED or core.current is None or core.is_queued(SizeProbe):
            return False
        core.begin(SizeProbe(size))
        self._go_on(now)
        return True

    def answer(self, value: Secret, now: float) -> None:
        """What the user answers to `AnswerNeeded`; nothing where nothing was asked."""
        core = self._core
        if core.asking is None:
            return
        exchange, sa = core.asking
        core.stop_asking()
        try:
            exchange.resume(core, sa, value, now)
        except ProtocolError as error:
            self._reception.fail(sa, error, now)
        self._go_on(now)

    def hear_revocation(self, replies: Sequence[Reply], now: float) -> None:
        """What became of `RevocationNeeded`; nothing where nothing was asked."""
        core = self._core
        if core.inquiring is None:
            return
        exchange, sa = core.inquiring
        core.stop_inquiring()
        try:
            exchange.resume_inquiry(core, sa, replies, now)
        except ProtocolError as error:
            self._reception.fail(sa, error, now)
        self._go_on(now)

    def decline(self, now: float, why: str = "") -> None:
        """The user does not answer (or cannot: `why`), so the login is over."""
        core = self._core
        if core.asking is not None:
            self._leave(replace(core.unanswered, evidence=why) if why else core.unanswered)

    def _leave(self, failure: Failure) -> None:
        """End a login, which may wait for its user."""
        core = self._core
        if core.asking is not None:
            exchange, sa = core.asking
            if isinstance(exchange, EapRound):
                say_last_words(core, sa, exchange.last_words())
        core.close(failure)

    def close(self, now: float) -> None:
        """End the session for the user: with a Delete where there is something to delete."""
        core = self._core
        failure = Failure(Kind.USER_DOWN, "ended by the user")
        if core.state is SessionState.ESTABLISHED and core.current is not None:
            hurry(core, now)
            say_farewell(core, failure, now)
            self._go_on(now)
        elif core.state is not SessionState.CLOSING:
            self._leave(failure)

    # The data path

    def note_activity(self, inbound_at: float, outbound_at: float, now: float) -> None:
        """When the data path last received an authentic packet and last sent one."""
        if self._core.state is SessionState.ESTABLISHED:
            self._watch.note_activity(self._core, inbound_at, outbound_at)

    def note_first_inbound(self, spi_in: int, now: float) -> None:
        """The peer sends on this Child SA: so can we (RFC 7296 section 2.8)."""
        if (child := self._core.children.get(spi_in)) is not None:
            use_outbound(self._core, child)
            self._watch.note_inbound(self._core, now)

    def note_soft_limit(self, spi_in: int, now: float) -> None:
        """The Child SA nears the end of its sequence numbers or of its volume."""
        self._begin_child_rekey(spi_in)
        self._go_on(now)

    # The network and the clock

    def handle_datagram(
        self, data: bytes, channel: Channel, remote: Endpoint, now: float, local: Endpoint | None = None
    ) -> None:
        """An IKE message without marker; whatever it is, it raises nothing.

        `local` matters to an end with several addresses: answers leave from where the request came.
        """
        core = self._core
        if channel is Channel.INIT and local is None and (core.path is None or core.path.local_init is None):
            core.drop("a channel that this path does not have", now)
        elif 0 < version_of(data) < OUR_VERSION:
            core.drop(f"IKE version {version_of(data)}", now)
        elif core.opening is not None and data[EXCHANGE_OCTET] == bytes([ExchangeType.IKE_SA_INIT]):
            if not core.opening.handle(core, data, now):
                core.drop("not a usable IKE_SA_INIT response", now)
        else:
            self._take(data, Arrival(channel, remote, now, local))
        self._go_on(now)

    def handle_timeout(self, now: float) -> None:
        """Do what is due; nothing where nothing is."""
        for timer, of in self._core.timers.expired(now):
            if self._core.state is not SessionState.CLOSED:
                self._expire(timer, of, now)
        self._go_on(now)

    def _take(self, data: bytes, arrival: Arrival) -> None:
        core = self._core
        outcome: Outcome = Rejected("no such IKE SA")
        for sa in self._sas_named_in(data):
            outcome = decode(data, sa.opener)
            if isinstance(outcome, Rejected) and core.opening is not None:
                continue  # several answers to IKE_SA_INIT can carry the same SPIs
            if core.opening is not None:
                core.opening.turn_to(core, sa)
            self._reception.take(sa, outcome, arrival)
            return
        core.drop(outcome.reason if isinstance(outcome, Rejected) else "", arrival.at)

    def _sas_named_in(self, data: bytes) -> Iterator[IkeSa]:
        core, spis = self._core, (data[:8], data[8:16])
        alternatives = core.opening.alternatives if core.opening is not None else ()
        for sa in (core.sas.get(spis[0]), core.sas.get(spis[1]), *alternatives):
            if sa is not None and (sa.spi_i, sa.spi_r) == spis:
                yield sa

    def _go_on(self, now: float) -> None:
        start_exchanges(self._core, self._reception.fail, now)

    def _expire(self, timer: Timer, of: Hashable, now: float) -> None:
        core = self._core
        match timer:
            case Timer.RETRANSMIT:
                retransmit_due(core, self._watch, of, now)
            case Timer.REKEY_CHILD if isinstance(of, int):
                self._begin_child_rekey(of)
            case Timer.REKEY_IKE:
                self._begin_ike_rekey()
            case Timer.DROP_CHILD if isinstance(of, int):
                core.forget_child(of)
            case Timer.DROP_IKE if isinstance(of, bytes) and of in core.sas:
                forget_replaced(core, core.sas[of])
            case Timer.IDLE:
                self._watch.check_idle(core, now)
            case Timer.UNANSWERED:
                self._watch.check_unanswered(core, now)
            case Timer.KEEPALIVE:
                self._watch.keep_alive(core, now)
            case Timer.ANSWER:
                self._leave(core.unanswered)
            case Timer.INQUIRY:
                self.hear_revocation((), now)
            case Timer.CLOSE:
                core.close(core.farewell or Failure(Kind.USER_DOWN, "ended"))
            case _:
                return

    def _begin_child_rekey(self, spi_in: int) -> None:
        core = self._core
        child = core.children.get(spi_in)
        if child is not None and child.state is ChildState.LIVE and core.current is not None:
            core.begin(RekeyChild.preferred(core, spi_in))

    def _begin_ike_rekey(self) -> None:
        core = self._core
        current = core.current
        if current is not None and current.state is IkeSaState.LIVE and not core.is_queued(RekeyIke):
            core.begin(RekeyIke(core, current.suite.kex.id))
