"""Receiving on an IKE SA: the four outcomes of decoding, and what each may change.

Only what is authentic goes on to exchanges.  A response must answer the one outstanding request; a request must
be the next one expected, or the last one again.
"""

from __future__ import annotations

from dataclasses import replace

from .core import Core
from .eap.method import EapFailed
from .errors import AuthenticationFailed, InvalidSyntax, ProtocolError, UnsupportedCriticalPayload
from .events import Failure, Kind
from .exchanges.answers import answer
from .exchanges.base import Exchange
from .exchanges.delete import forget_replaced, say_farewell
from .exchanges.sa_init import notify_name
from .message import Decoded, Fragment, Header, Message, ProtectedError, Rejected
from .observation import observe
from .payloads import Notify
from .registry import ExchangeType, NotifyType, ProtocolId
from .sa import IkeSa, IkeSaState
from .states import SessionState
from .timers import Timer
from .transmission import Arrival, resend, respond, say_last_words, send_once
from .watch import Watch

Outcome = Decoded | Fragment | ProtectedError | Rejected


class Reception:
    """Takes decoded datagrams for one session."""

    __slots__ = ("_core", "_watch")

    def __init__(self, core: Core, watch: Watch) -> None:
        self._core = core
        self._watch = watch

    def take(self, sa: IkeSa, outcome: Outcome, arrival: Arrival) -> None:
        """Dispatch by outcome; a datagram that we could have sent ourselves is reflected, and dropped."""
        if isinstance(outcome, Rejected):
            said = "" if outcome.hint is None else f": {notify_name(outcome.hint.type)}"
            self._core.drop(f"{outcome.reason}{said}", arrival.at)
            self._watch.take_hint(self._core, sa, outcome.hint, arrival.at)
            return
        if outcome.header.from_initiator is sa.initiated or not _is_protected(outcome):
            self._core.drop("reflected, or unprotected", arrival.at)
            return
        if sa.state is IkeSaState.HALF_OPEN and not outcome.header.is_response:
            self._core.drop("a request before authentication", arrival.at)
            return
        if isinstance(outcome, Fragment):
            self._take_fragment(sa, outcome, arrival)
            return
        if sa.window.expects(outcome.header):  # authentic is not enough: it must be new, too
            sa.predecessor = None
            self._watch.note_inbound(self._core, arrival.at)
        match outcome:
            case ProtectedError(header, error):
                self._take_protected_error(sa, header, error, arrival)
            case Decoded(header, message):
                self._take_message(sa, header, message, arrival)

    def _take_message(self, sa: IkeSa, header: Header, message: Message, arrival: Arrival) -> None:
        if header.is_response:
            self._take_response(sa, header, message, arrival.at)
        else:
            self._take_request(sa, header, message, arrival)

    def _take_fragment(self, sa: IkeSa, fragment: Fragment, arrival: Arrival) -> None:
        header = fragment.header
        if not header.is_response and sa.window.is_repeated(header.message_id):
            if fragment.number == 1:  # only the first asks for the response again (RFC 7383 section 2.6.1)
                resend(self._core, sa, arrival)
            return
        if not sa.window.expects(header):  # nor is what can be of no use collected
            self._core.drop("a fragment outside the window", arrival.at)
            return
        self._core.trace(arrival.at, "fragment", f"{fragment.number} of {fragment.total}")
        whole = (sa.responses if header.is_response else sa.requests).add(fragment)
        if whole is not None:
            self.take(sa, whole, arrival)

    def _take_response(self, sa: IkeSa, header: Header, message: Message, now: float) -> None:
        if sa.window.outstanding is None or not sa.window.expects(header):
            self._core.drop("a response to nothing", now)
            return
        request, exchange = sa.window.outstanding
        sa.window.outstanding = None
        self._core.timers.stop(Timer.RETRANSMIT, sa.local_spi)
        self._core.round_trip.measure(request, now)
        self._tell(header, message, now)
        before = self._core.state
        try:
            _refuse_nonsense(before, exchange, message)
            exchange.process(self._core, sa, message, now)
        except ProtocolError as error:
            self.fail(sa, error, now)
        if before is SessionState.CONNECTING and self._core.state is SessionState.ESTABLISHED:
            self._watch.start(self._core, now)

    def _take_request(self, sa: IkeSa, header: Header, message: Message, arrival: Arrival) -> None:
        core = self._core
        if sa.window.is_repeated(header.message_id):
            resend(core, sa, arrival)
        elif not sa.window.expects(header):
            core.drop("a request outside the window", arrival.at)
        else:
            self._tell(header, message, arrival.at)
            try:
                payloads = answer(core, sa, message, arrival.back(core.required_path), arrival.at)
            except ProtocolError as error:
                payloads = (_error_notify(error),)
            respond(core, sa, header, payloads, arrival)
            self._end_if_gone(sa, Failure(Kind.PEER_DELETED, "the gateway closed the connection"))

    def _tell(self, header: Header, message: Message, now: float) -> None:
        self._core.trace_message(now, "received", lambda: observe(message, sent=False, octets=header.length))

    def _take_protected_error(
        self, sa: IkeSa, header: Header, error: ProtocolError, arrival: Arrival
    ) -> None:
        """Authentic, and wrong: a request is answered with the error, a response ends the session (H6, H12)."""
        if header.is_response:
            if sa.window.expects(header):
                sa.window.outstanding = None
                self._core.timers.stop(Timer.RETRANSMIT, sa.local_spi)
                self.fail(sa, error, arrival.at)
        elif sa.window.is_repeated(header.message_id):
            resend(self._core, sa, arrival)
        elif sa.window.expects(header):
            respond(self._core, sa, header, (_error_notify(error),), arrival)
            if not isinstance(error, UnsupportedCriticalPayload):
                sa.state = IkeSaState.GONE
                self._end_if_gone(sa, Failure(Kind.PEER_PROTOCOL, f"the gateway sent nonsense: {error}"))

    def fail(self, sa: IkeSa, error: ProtocolError, now: float) -> None:
        """An exchange of ours ended in a way that the session cannot go on from."""
        core = self._core
        failure = error.failure or Failure(Kind.PEER_PROTOCOL, str(error))
        core.trace(now, "failed", failure.evidence)
        if core.state is not SessionState.CONNECTING:
            say_farewell(core, failure, now)
            return
        if core.password_left:  # an answer to a password, in whatever words: the same one would get it again
            failure = replace(failure, final=True)
        if isinstance(error, AuthenticationFailed) and failure.kind is not Kind.AUTH_REJECTED:
            # The one error that a response may provoke: the gateway did not convince us (A11).
            send_once(core, sa, ExchangeType.INFORMATIONAL, (Notify(NotifyType.AUTHENTICATION_FAILED),))
        if isinstance(error, EapFailed) and error.in_passing:
            say_last_words(core, sa, error.last_words or b"")
        if core.opening is None or not core.opening.turn_away(core, failure, now):
            core.close(failure)

    def _end_if_gone(self, sa: IkeSa, failure: Failure) -> None:
        """An IKE SA is gone for the peer: the session ends with it, unless it has a successor."""
        if sa.state is not IkeSaState.GONE:
            return
        if sa is self._core.current:
            self._core.close(self._core.farewell or failure)
        else:
            forget_replaced(self._core, sa)


def _refuse_nonsense(state: SessionState, exchange: Exchange, response: Message) -> None:
    """A peer that could not read our request has dropped the IKE SA (RFC 7296 section 2.21.3)."""
    if state is not SessionState.CONNECTING and response.notify(NotifyType.INVALID_SYNTAX) is not None:
        raise InvalidSyntax(f"the gateway could not read our request: {type(exchange).__name__}")


def _is_protected(outcome: Decoded | Fragment | ProtectedError) -> bool:
    return not isinstance(outcome, Decoded) or outcome.protected


def _error_notify(error: ProtocolError) -> Notify:
    protocol = ProtocolId.ESP if error.spi else ProtocolId.NONE
    return Notify(error.notify, error.data, protocol, error.spi)
