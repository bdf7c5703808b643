"""Looking at a gateway before there is a profile: what it answers on which port, what it accepts, who it is.

Sans-IO like `Session`, and far from one: nothing here ever proves who we are.  The plan is one generator of
questions; each is an IKE_SA_INIT with an SPI of its own, and the last one goes on to an IKE_AUTH without AUTH, in
which the gateway shows its certificate and asks by EAP.  It stops before anything that depends on a secret.

Gateways count half-open connections by address and stop answering.  So most questions are put such that the
answer is INVALID_KE_PAYLOAD, for which nothing is kept: the public value is of a group that they are unlikely to
take.
"""

from __future__ import annotations

from collections.abc import Generator

from .eap.packet import EapPacket
from .errors import ProtocolError
from .events import Channel, Path, Rng, Transmit
from .facts import MessageFacts
from .kex import KeyPair, generate
from .keys import derive_ike_keys
from .message import Decoded, Fragment, Message, decode, encode_protected
from .natd import judge_nat
from .observation import observe, version_of
from .payloads import Eap, KeyExchange, Nonce, Notify, Payload, SecurityAssociation
from .probe_questions import (
    GROUPS,
    NONCE_SIZE,
    REDIRECT,
    SUITES,
    WEAK_GROUPS,
    Answer,
    Findings,
    Question,
    Reply,
    everything,
    first_auth,
    init_request,
    parsed,
    word,
)
from .proposals import accept_ike
from .registry import EapCode, EapType, ExchangeType, Kex, NotifyType
from .sa import SPI_SIZE, IkeSa

TRIES = 3
PATIENCE = 1.0  # seconds before a question is repeated
PACE = 0.25  # seconds between an answer and the next question
MOST_QUESTIONS = 24
MOST_HALF_OPEN = 5  # answers for which the gateway keeps something; a sixth is often ignored


Plan = Generator[Question, Answer, None]


class Probe:
    """One look at one address.

    Getters: `findings`, `is_over`, `next_deadline`.  Then `handle_datagram` and `handle_timeout`; `outputs` has
    what is to be sent.  `ports_only` asks whether anything answers, and nothing else.
    """

    def __init__(self, path: Path, rng: Rng, now: float, *, host: str = "", ports_only: bool = False) -> None:
        self.findings = Findings()
        self._path = path
        self._rng = rng
        self._host = host
        self._pending: list[Transmit] = []
        self._packets: tuple[bytes, ...] = ()
        self._channel = Channel.NATT
        self._question: Question | None = None
        self._spi = self._nonce = self._cookie = b""
        self._pair: KeyPair | None = None
        self._pairs: dict[Kex, KeyPair] = {}
        self._sent = 0
        self._deadline: float | None = None
        self._opened: IkeSa | None = None
        self._login: IkeSa | None = None
        self._plan = self._ports() if ports_only else self._whole()
        self._ask(next(self._plan), now)

    # Getters

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self._deadline is None

    def next_deadline(self) -> float | None:
        """When `handle_timeout` has something to do."""
        return self._deadline

    def outputs(self) -> list[Transmit]:
        """What is to be sent, each once."""
        pending, self._pending = self._pending, []
        return pending

    # The plan

    def _ports(self) -> Plan:
        """Whether anything answers on each port."""
        for name, channel in self._channels():
            answer = yield Question(everything(GROUPS), GROUPS[0], channel)
            self.findings.ports[name] = answer.reply

    def _channels(self) -> list[tuple[str, Channel]]:
        natt = (f"udp {self._path.remote_natt.port}", Channel.NATT)
        init = self._path.remote_init
        return [natt] if init is None else [(f"udp {init.port}", Channel.INIT), natt]

    def _whole(self) -> Plan:
        channel = yield from self._walk_groups()
        if channel is not None and not self.findings.groups:
            yield from self._walk_weak_groups(channel)
        taken = [group for group in (*GROUPS, *WEAK_GROUPS) if word(group) in self.findings.groups]
        if channel is not None and taken:
            yield from self._walk_suites(channel, taken)
            yield from self._look_at_login(channel, taken)

    def _walk_groups(self) -> Generator[Question, Answer, Channel | None]:
        """Leave each group that it wants out of the next offer, until it wants none.

        The first questions go over one port each, and so tell which of them answer; the first that does is used
        from then on.
        """
        left, channels = list(GROUPS), self._channels()
        working: Channel | None = None
        while left and self._may_ask:
            name, channel = channels.pop(0) if channels else ("", working)
            if channel is None:
                break
            answer = yield Question(everything(tuple(left)), left[0], channel)
            if name:
                self.findings.ports[name] = answer.reply
            is_of_use = answer.reply not in (Reply.SILENT, Reply.OLD)
            if is_of_use and working is None:
                working = channel
            found = _accepted_group(answer, left)
            if found is not None:
                self.findings.groups.append(word(found))
                left.remove(found)
            elif not channels and (is_of_use or not name):
                break
        if answer.reply is Reply.REFUSED and self.findings.groups:
            self.findings.groups_refused = [word(group) for group in left]
        return working

    def _walk_weak_groups(self, channel: Channel) -> Plan:
        """What a gateway has that refused all of the others."""
        left = list(WEAK_GROUPS)
        while left and self._may_ask and Reply.REFUSED in self.findings.ports.values():
            answer = yield Question(everything(tuple(left)), left[0], channel)
            found = _accepted_group(answer, left)
            if found is None:
                return
            self.findings.groups.append(word(found))
            self.findings.groups_refused = [word(group) for group in GROUPS]
            left.remove(found)

    def _walk_suites(self, channel: Channel, taken: list[Kex]) -> Plan:
        """One suite at a time, with the groups that it takes and a public value of one that it does not."""
        refused = [group for group in GROUPS if word(group) in self.findings.groups_refused]
        if not refused:
            return  # each yes would leave a half-open connection behind
        groups = "-".join(word(group) for group in (*taken, refused[0]))
        for suite in SUITES:
            if not self._may_ask:
                return
            answer = yield Question((f"{suite}-{groups}",), refused[0], channel)
            if answer.reply in (Reply.OPENED, Reply.GROUP):
                self.findings.suites.append(suite)
            elif answer.reply is Reply.REFUSED:
                self.findings.suites_refused.append(suite)

    def _look_at_login(self, channel: Channel, taken: list[Kex]) -> Plan:
        """Open one for good, in the second try if it wants another group, and let the gateway show itself."""
        groups, suites = "-".join(map(word, taken)), self.findings.suites
        offer = tuple(f"{suite}-{groups}" for suite in suites) or everything(tuple(taken))
        group = taken[0]
        answer = yield Question(offer, group, channel)
        if answer.reply is Reply.GROUP and answer.wanted in taken:
            group = next(entry for entry in taken if entry == answer.wanted)
            answer = yield Question(offer, group, channel)
        if answer.reply is Reply.OPENED and self._opened is not None:
            if answer.facts is not None and not suites:
                suites += (chosen.removesuffix(f"-{word(group)}") for chosen in answer.facts.proposals)
            self._login = self._opened
            yield Question((), group, channel)

    @property
    def _may_ask(self) -> bool:
        return self.findings.questions < MOST_QUESTIONS - 3 and self.findings.half_open < MOST_HALF_OPEN - 1

    # Asking

    def _ask(self, question: Question, now: float) -> None:
        self._question = question
        self.findings.questions += 1
        self._sent = 0
        if self._login is not None:
            self._packets = self._protected(first_auth(self._host, self._rng))
            # A gateway that looks for NATs expects the login on the other port (RFC 4555 section 3.3).
            self._channel = Channel.NATT if self._answers_natt else question.channel
        else:
            self._spi, self._nonce, self._cookie = self._rng(SPI_SIZE), self._rng(NONCE_SIZE), b""
            if (
                question.group not in self._pairs
            ):  # one serves all questions: nothing secret is ever said under it
                self._pairs[question.group] = generate(question.group, self._rng)
            self._pair = self._pairs[question.group]
            self._channel = question.channel
            self._packets = (self._init(question),)
        self._deadline = now + (PACE if self.findings.questions > 1 else 0.0)

    @property
    def _answers_natt(self) -> bool:
        return self.findings.ports.get(f"udp {self._path.remote_natt.port}", Reply.SILENT).is_answer

    def _init(self, question: Question) -> bytes:
        if self._pair is None:
            raise AssertionError("a question has a key pair")
        ends = self._path.ends(question.channel)
        return init_request(question, self._pair, self._spi, self._nonce, self._cookie, ends)

    def _protected(self, payloads: tuple[Payload, ...]) -> tuple[bytes, ...]:
        sa = self._login
        if sa is None:
            raise AssertionError("there are no keys yet")
        number = sa.window.take_request_id()
        message = Message(sa.spi_i, sa.spi_r, ExchangeType.IKE_AUTH, number, payloads, True, False)
        return encode_protected(message, sa.sealer, fragment_size=1232 if sa.fragmentation else None)

    # The network and the clock

    def handle_timeout(self, now: float) -> None:
        """Send, send again, or give a question up."""
        if self._deadline is None or now < self._deadline:
            return
        if self._sent >= TRIES:
            self._go_on(Answer(Reply.SILENT), now)
            return
        self._sent += 1
        self._deadline = now + PATIENCE
        self._pending += (Transmit(packet, self._channel, self._path) for packet in self._packets)

    def handle_datagram(self, data: bytes, now: float) -> None:
        """Something came in over either channel; it raises nothing."""
        if self._deadline is None or not self._sent:
            return
        if 0 < version_of(data) < 2:
            self.findings.is_old = True
            self._go_on(Answer(Reply.OLD), now)
        elif self._login is not None:
            self._take_login(self._login, data, now)
        else:
            self._take_init(data, now)

    def _take_init(self, data: bytes, now: float) -> None:
        outcome = decode(data, None)
        if not isinstance(outcome, Decoded) or not outcome.header.is_response:
            return
        message = outcome.message
        if message.spi_i != self._spi or message.exchange != ExchangeType.IKE_SA_INIT:
            return
        facts = observe(message, sent=False, octets=len(data), protected=False)
        self._note(message, facts)
        cookie = message.notify(NotifyType.COOKIE)
        if cookie is not None and 1 <= len(cookie.data) <= 64 and not self._cookie and self._question:
            self.findings.cookie, self._cookie = True, cookie.data
            self._packets, self._sent, self._deadline = (self._init(self._question),), 0, now + PACE
            return
        self._go_on(self._judge(message, facts, now), now)

    def _judge(self, message: Message, facts: MessageFacts, now: float) -> Answer:
        if (wanted := message.notify(NotifyType.INVALID_KE_PAYLOAD)) is not None:
            return Answer(Reply.GROUP, int.from_bytes(wanted.data[:2]), facts)
        if message.notify(REDIRECT) is not None:
            self.findings.redirect = next(n.detail for n in facts.notifies if n.name == "REDIRECT")
            return Answer(Reply.REDIRECTED, 0, facts)
        if message.notify(NotifyType.NO_PROPOSAL_CHOSEN) is not None:
            return Answer(Reply.REFUSED, 0, facts)
        if message.first(SecurityAssociation) is None:
            return Answer(Reply.OTHER, 0, facts)
        self.findings.half_open += 1
        self._open(message, now)
        return Answer(Reply.OPENED, 0, facts)

    def _open(self, message: Message, now: float) -> None:
        """Derive the keys; a response that does not fit what was asked leads nowhere."""
        self._opened = None
        chosen, share, nonce = (message.first(kind) for kind in (SecurityAssociation, KeyExchange, Nonce))
        if not isinstance(chosen, SecurityAssociation) or not isinstance(share, KeyExchange):
            return
        if not isinstance(nonce, Nonce) or self._question is None or self._pair is None:
            return
        try:
            suite, _ = accept_ike(parsed(self._question.words).proposals_with_spi(b""), chosen)
            shared = self._pair.agree(share.public)
        except ProtocolError:
            return
        keys = derive_ike_keys(suite, self._nonce, nonce.data, shared, self._spi, message.spi_r)
        fragmentation = message.notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) is not None
        spis = (self._spi, message.spi_r)
        sa = IkeSa.keyed(*spis, suite, keys, self._rng, initiated=True, fragmentation=fragmentation, now=now)
        sa.window.next_request_id = 1
        self._opened = sa

    def _note(self, message: Message, facts: MessageFacts) -> None:
        """What every answer may tell."""
        found = self.findings
        found.vendors += [vendor for vendor in facts.vendors if vendor not in found.vendors]
        if message.first(SecurityAssociation) is None or self._question is None:
            return
        local, remote = self._path.ends(self._channel)
        found.fragmentation = message.notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) is not None
        found.hashes = message.notify(NotifyType.SIGNATURE_HASH_ALGORITHMS) is not None
        found.cookie = bool(found.cookie)
        found.nat = judge_nat(message.all(Notify), self._spi, message.spi_r, local, remote)

    # The login, as far as it goes without a secret

    def _take_login(self, sa: IkeSa, data: bytes, now: float) -> None:
        outcome = decode(data, sa.opener)
        if isinstance(outcome, Fragment):
            whole = sa.responses.add(outcome)
            if whole is None:
                return
            outcome = whole
        if not isinstance(outcome, Decoded) or not outcome.protected or not outcome.header.is_response:
            return
        if outcome.header.message_id != sa.window.next_request_id - 1:
            return
        self.findings.login.append(observe(outcome.message, sent=False, octets=len(data)))
        answer = self._name_nobody(outcome.message.first(Eap))
        if answer is None or len(self.findings.login) > 2:
            self._go_on(Answer(Reply.OPENED), now)
            return
        self._packets, self._sent, self._deadline = self._protected((Eap(answer),)), 0, now + PACE

    @staticmethod
    def _name_nobody(request: Eap | None) -> bytes | None:
        """The answer to a question for a name: no user's, so that no account counts a failure."""
        try:
            packet = EapPacket.pull(request.packet) if request is not None else None
        except ProtocolError:
            return None
        if packet is None or packet.code != EapCode.REQUEST or packet.type != EapType.IDENTITY:
            return None
        return EapPacket(EapCode.RESPONSE, packet.identifier, EapType.IDENTITY, b"anonymous").push()

    def _go_on(self, answer: Answer, now: float) -> None:
        try:
            question = self._plan.send(answer)
        except StopIteration:
            self._question = self._deadline = None
            return
        self._ask(question, now)


def _accepted_group(answer: Answer, offered: list[Kex]) -> Kex | None:
    """The group that the gateway takes, by its answer to a question with the first of those offered."""
    if answer.reply is Reply.OPENED:
        return offered[0]
    wanted = [group for group in offered if group == answer.wanted]
    return wanted[0] if answer.reply is Reply.GROUP and wanted else None
