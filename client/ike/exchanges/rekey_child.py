"""Rekeying a Child SA, in both roles (RFC 7296 sections 1.3.3, 2.8 and 2.8.1).

Make before break: the new inbound SA is installed before its SPI can be used, the old one is deleted by whoever
began the exchange, and its inbound side is kept a little longer.  When both ends rekey at once, the exchange with
the lowest of the four nonces loses: its initiator deletes what it created.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from ..children import accepted_selectors, build_child, install
from ..core import RETRY_AFTER, Core
from ..errors import ChildSaNotFound, InvalidSyntax, TemporaryFailure, TsUnacceptable
from ..events import Failure, Kind, Selector
from ..kex import KeyPair, generate
from ..message import Message
from ..payloads import KeyExchange, Nonce, Notify, Payload, SecurityAssociation, TsInitiator, TsResponder
from ..proposals import accept_esp, choose_esp
from ..quirks import Quirk, microsoft_vendor
from ..registry import ExchangeType, NotifyType, ProtocolId
from ..sa import Child, ChildState, IkeSa, PeerRekey
from ..sa_payload import Proposal
from ..selectors import narrow
from ..timers import Timer
from .create_child import (
    answer_key_exchange,
    finish_key_exchange,
    required_nonce,
    required_proposals,
    share_method,
    wanted_group,
    wants_new_login,
)
from .delete import DeleteChild, forget_lost_child, say_farewell
from .sa_init import NONCE_SIZE, describe_error, notify_name

KEY_EXCHANGE_REFUSALS = (
    NotifyType.NO_PROPOSAL_CHOSEN,
    NotifyType.INVALID_KE_PAYLOAD,
    NotifyType.MS_STATUS,  # 13816, for one, from Windows
)


class RekeyChild:
    """Replace one Child SA; tried again with another group, or without one, where the gateway wants that."""

    TYPE: ClassVar[ExchangeType] = ExchangeType.CREATE_CHILD_SA

    def __init__(self, core: Core, spi_in: int, group: int | None, *, is_other_way: bool = False) -> None:
        self.spi_in = spi_in
        self.group = group
        self.is_other_way = is_other_way  # with a key exchange, and without one was refused; or the reverse
        self.new_spi_in = core.new_esp_spi()
        self.nonce = core.rng(NONCE_SIZE)
        self.pair: KeyPair | None = generate(group, core.rng) if group is not None else None
        self._child: Child | None = None

    @classmethod
    def preferred(cls, core: Core, spi_in: int) -> RekeyChild:
        """A rekey with the group that the profile prefers, or without one."""
        groups = core.config.esp_offer.kex_methods
        return cls(core, spi_in, groups[0] if groups and not _goes_without(core) else None)

    def build(self, core: Core, sa: IkeSa, now: float) -> tuple[Payload, ...] | None:
        """# --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, [KEi,] TSi, TSr }."""
        child = core.children.get(self.spi_in)
        if child is None or child.state not in (ChildState.LIVE, ChildState.REKEYING):
            return None
        if not child.outbound:  # made by the peer, which may not have our answer yet
            core.timers.set(Timer.REKEY_CHILD, now + RETRY_AFTER, self.spi_in)
            return None
        child.state = ChildState.REKEYING
        self._child = child
        share = (KeyExchange(self.pair.method, self.pair.public),) if self.pair else ()
        return (
            Notify(NotifyType.REKEY_SA, protocol=ProtocolId.ESP, spi=self.spi_in.to_bytes(4)),
            SecurityAssociation(self._proposals(core)),
            Nonce(self.nonce),
            *share,
            TsInitiator(child.sa.local_selectors),
            TsResponder(child.sa.remote_selectors),
        )

    def process(self, core: Core, sa: IkeSa, response: Message, now: float) -> None:
        """# <-- CREATE_CHILD_SA { SA, Nr, [KEr,] TSi, TSr }."""
        child = self._child  # it may be deleted by now; its successor is wanted all the same
        if child is None:
            raise AssertionError("a response to a request that was not built")
        if (error := response.error()) is not None:
            self._recover(core, sa, child, error, response, now)
            return
        new, lowest = self._accept(core, sa, child, response)
        self._replace(core, sa, child, new, lowest, now)

    def _proposals(self, core: Core) -> tuple[Proposal, ...]:
        return core.config.esp_offer.proposals_with_spi(
            self.new_spi_in.to_bytes(4), kex=self.group is not None
        )

    def _accept(self, core: Core, sa: IkeSa, child: Child, response: Message) -> tuple[Child, bytes]:
        """The new Child SA, and the lower nonce of this exchange."""
        suite, spi_out = accept_esp(self._proposals(core), required_proposals(response))
        nonce_r = required_nonce(response)
        shared = finish_key_exchange(self.pair, suite.kex, response)
        selectors = accepted_selectors(response, child.sa.local_selectors, child.sa.remote_selectors)
        spis = (self.new_spi_in, int.from_bytes(spi_out))
        new = build_child(core, sa, suite, spis, (self.nonce, nonce_r), shared, selectors, initiated=True)
        return new, min(self.nonce, nonce_r)

    def _replace(self, core: Core, sa: IkeSa, child: Child, new: Child, lowest: bytes, now: float) -> None:
        core.timers.stop(Timer.REKEY_CHILD, self.spi_in)
        if child.state is not ChildState.DELETED:  # by the peer, which may have won while our answer was lost
            child.state = ChildState.REPLACED
        rival = child.peer_rekey
        if rival is None or rival.lowest_nonce < lowest:
            install(core, new, now, replaces=self.spi_in)
            core.begin(DeleteChild(self.spi_in), sa)
            return
        # Ours is the redundant one: it can receive until it is deleted.  The peer deletes the old SA when it has
        # our answer to its own rekey, and only then we send on that one's result.
        install(core, new, now, replaces=self.spi_in, outbound=False)
        core.begin(DeleteChild(self.new_spi_in), sa)

    def _recover(
        self, core: Core, sa: IkeSa, child: Child, error: Notify, response: Message, now: float
    ) -> None:
        """The gateway refused: try what it would accept, at once or later (R2, X4, X5)."""
        if child.state is ChildState.DELETED or error.type == NotifyType.CHILD_SA_NOT_FOUND:
            if child.peer_rekey is None:  # else the peer's own rekey came first and stands (X3)
                forget_lost_child(core, child, now)
            return
        child.state = ChildState.LIVE if child.peer_rekey is None else ChildState.REPLACED
        group = wanted_group(response)
        if child.peer_rekey is not None:
            return
        if group is not None and group != self.group and group in core.config.esp_offer.kex_methods:
            again = RekeyChild(core, self.spi_in, group, is_other_way=self.is_other_way)
            core.begin(again, sa, first=True)
            return
        if (other := self._other_way(core, error)) is not None:
            core.begin(other, sa, first=True)
            return
        wants_new_login(core, error)
        if not core.retry(Timer.REKEY_CHILD, now, child.refusals, self.spi_in):
            evidence = f"the gateway refuses to replace the Child SA, at last with {notify_name(error.type)}"
            say_farewell(core, Failure(Kind.PEER_PROTOCOL, evidence), now)

    def _other_way(self, core: Core, error: Notify) -> RekeyChild | None:
        """What the gateway has against the key exchange, or its lack, may be mended by the reverse: once."""
        if self.is_other_way or error.type not in KEY_EXCHANGE_REFUSALS:
            return None
        if self.group is None:
            groups = core.config.esp_offer.kex_methods
            return RekeyChild(core, self.spi_in, groups[0], is_other_way=True) if groups else None
        if core.config.requires_pfs:
            return None
        evidence = f"{describe_error(error)} when a Child SA was to be replaced with a fresh key exchange"
        if not core.adapts(Quirk.NO_PFS, evidence):
            return None
        core.config.habits.no_pfs = evidence
        return RekeyChild(core, self.spi_in, None, is_other_way=True)


def _goes_without(core: Core) -> bool:
    """Whether this gateway is known to take no key exchange: by its refusal, or as one of Microsoft's."""
    if core.config.requires_pfs or not core.config.esp_offer.kex_methods:
        return False
    vendor = microsoft_vendor(core.peer_vendors)
    evidence = core.config.habits.no_pfs or (f"vendor ID {vendor} (Microsoft)" if vendor else "")
    return bool(evidence) and core.adapts(Quirk.NO_PFS, evidence)


def answer_rekey_child(
    core: Core, sa: IkeSa, request: Message, rekeyed: Notify, now: float
) -> tuple[Payload, ...]:
    """The peer replaces a Child SA: ours is inbound only until the peer uses the new one or deletes the old."""
    child = _child_to_rekey(core, rekeyed)
    spi_in = core.new_esp_spi()
    proposals = required_proposals(request)
    proposal, suite = choose_esp(core.config.esp_offer, proposals, kex=True, prefer=share_method(request))
    nonce_i, nonce_r = required_nonce(request), core.rng(NONCE_SIZE)
    share, shared = answer_key_exchange(core, suite.kex, request)
    remote, local = _narrowed(request, child)
    spis = (spi_in, int.from_bytes(proposal.spi))
    new = build_child(core, sa, suite, spis, (nonce_i, nonce_r), shared, (local, remote), initiated=False)
    install(core, new, now, replaces=child.sa.spi_in, outbound=False)
    if child.state is ChildState.REKEYING:
        child.peer_rekey = PeerRekey(spi_in, min(nonce_i, nonce_r))
    else:
        child.state = ChildState.REPLACED
        core.timers.stop(Timer.REKEY_CHILD, child.sa.spi_in)
    return (
        SecurityAssociation((replace(proposal, spi=spi_in.to_bytes(4)),)),
        Nonce(nonce_r),
        *share,
        TsInitiator(remote),
        TsResponder(local),
    )


def _child_to_rekey(core: Core, rekeyed: Notify) -> Child:
    wanted = int.from_bytes(rekeyed.spi)
    child = next((c for c in core.children.values() if c.sa.spi_out == wanted), None)
    if child is None or rekeyed.protocol != ProtocolId.ESP or child.state is ChildState.DELETED:
        raise ChildSaNotFound(rekeyed.spi)
    if child.state in (ChildState.DELETING, ChildState.REPLACED):
        raise TemporaryFailure("this Child SA is being closed")
    return child


def _narrowed(request: Message, child: Child) -> tuple[tuple[Selector, ...], tuple[Selector, ...]]:
    """Remote and local selectors: what the peer proposes, within what the old SA carries (T5)."""
    initiator, responder = request.first(TsInitiator), request.first(TsResponder)
    if initiator is None or responder is None:
        raise InvalidSyntax("CREATE_CHILD_SA without traffic selectors")
    remote = narrow(initiator.selectors, child.sa.remote_selectors)
    local = narrow(responder.selectors, child.sa.local_selectors)
    if not remote or not local:
        raise TsUnacceptable("the proposed traffic selectors leave nothing of the old ones")
    return remote, local
