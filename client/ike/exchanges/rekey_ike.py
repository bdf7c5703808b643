"""Rekeying the IKE SA, in both roles (RFC 7296 sections 1.3.2, 2.8 and 2.18).

The successor inherits the Child SAs, the addresses and the waiting exchanges; the old IKE SA carries only its own
Delete, sent by whoever began.  When both ends begin at once, each is told TEMPORARY_FAILURE and tries again after
a random while.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import ClassVar

from ..core import Core
from ..errors import InvalidSyntax, TemporaryFailure
from ..events import Failure, IkeRekeyed, Kind
from ..kex import generate
from ..keys import derive_rekeyed_ike_keys
from ..message import Message
from ..payloads import KeyExchange, Nonce, Notify, Payload, SecurityAssociation
from ..proposals import accept_ike, choose_ike
from ..registry import ExchangeType
from ..sa import ChildState, IkeSa, IkeSaState
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
from .delete import DeleteChild, DeleteIke, say_farewell
from .rekey_child import RekeyChild
from .sa_init import NONCE_SIZE, notify_name

OLD_SA_KEPT = 60.0  # seconds for the peer to delete an IKE SA that it has replaced


class RekeyIke:
    """Replace the IKE SA."""

    TYPE: ClassVar[ExchangeType] = ExchangeType.CREATE_CHILD_SA

    def __init__(self, core: Core, group: int) -> None:
        self.spi = core.new_ike_spi()
        self.nonce = core.rng(NONCE_SIZE)
        self.proposals = core.config.ike_offer.proposals_with_spi(self.spi)
        self.pair = generate(group, core.rng)

    def build(self, core: Core, sa: IkeSa, now: float) -> tuple[Payload, ...] | None:
        """# --> CREATE_CHILD_SA { SA, Ni, KEi }."""
        if sa.state not in (IkeSaState.LIVE, IkeSaState.REKEYING):
            return None
        sa.state = IkeSaState.REKEYING
        return (
            SecurityAssociation(self.proposals),
            Nonce(self.nonce),
            KeyExchange(self.pair.method, self.pair.public),
        )

    def process(self, core: Core, sa: IkeSa, response: Message, now: float) -> None:
        """# <-- CREATE_CHILD_SA { SA, Nr, KEr }."""
        if (error := response.error()) is not None:
            self._recover(core, sa, error, response, now)
            return
        suite, spi_r = accept_ike(self.proposals, required_proposals(response))
        nonce_r = required_nonce(response)
        shared = finish_key_exchange(self.pair, suite.kex, response)
        if shared is None or not any(spi_r):
            raise InvalidSyntax("an IKE SA needs a key exchange and an SPI")
        keys = derive_rekeyed_ike_keys(
            sa.suite.prf, sa.keys.d, suite, shared, self.nonce, nonce_r, self.spi, spi_r
        )
        successor = IkeSa.keyed(
            self.spi, spi_r, suite, keys, core.rng, initiated=True, fragmentation=sa.fragmentation, now=now
        )
        succeed(core, sa, successor, now)
        core.begin(DeleteIke(), sa)

    def _recover(self, core: Core, sa: IkeSa, error: Notify, response: Message, now: float) -> None:
        if sa.state is not IkeSaState.REKEYING:
            return  # it is being closed meanwhile
        sa.state = IkeSaState.LIVE
        group = wanted_group(response)
        if group is not None and group != self.pair.method and group in core.config.ike_offer.kex_methods:
            core.begin(RekeyIke(core, group), sa, first=True)
            return
        wants_new_login(core, error)
        if core.retry(Timer.REKEY_IKE, now, sa.refusals):
            return
        evidence = f"the gateway refuses to replace the IKE SA, at last with {notify_name(error.type)}"
        say_farewell(core, Failure(Kind.PEER_PROTOCOL, evidence), now)


def succeed(core: Core, old: IkeSa, successor: IkeSa, now: float) -> None:
    """Let a new IKE SA take over everything but the old one's end."""
    old.state = IkeSaState.REPLACED
    successor.queue, old.queue = old.queue, deque()
    core.adopt(successor, now)
    core.timers.set(Timer.DROP_IKE, now + OLD_SA_KEPT, old.local_spi)
    core.emit(IkeRekeyed(successor.spi_i, successor.spi_r, str(successor.suite)))


def answer_rekey_ike(core: Core, sa: IkeSa, request: Message, now: float) -> tuple[Payload, ...]:
    """The peer replaces the IKE SA."""
    if _is_busy(core, sa):
        raise TemporaryFailure("a Child SA is being rekeyed or closed")
    proposals = required_proposals(request)
    proposal, suite = choose_ike(core.config.ike_offer, proposals, prefer=share_method(request))
    nonce_i, nonce_r, spi_r = required_nonce(request), core.rng(NONCE_SIZE), core.new_ike_spi()
    share, shared = answer_key_exchange(core, suite.kex, request)
    if shared is None or not any(proposal.spi):
        raise InvalidSyntax("an IKE SA needs a key exchange and an SPI")
    keys = derive_rekeyed_ike_keys(
        sa.suite.prf, sa.keys.d, suite, shared, nonce_i, nonce_r, proposal.spi, spi_r
    )
    successor = IkeSa.keyed(
        proposal.spi, spi_r, suite, keys, core.rng, initiated=False, fragmentation=sa.fragmentation, now=now
    )
    succeed(core, sa, successor, now)
    successor.predecessor = sa
    return (SecurityAssociation((replace(proposal, spi=spi_r),)), Nonce(nonce_r), *share)


def _is_busy(core: Core, sa: IkeSa) -> bool:
    """Whether a Child SA is being replaced or closed, also one that the peer has deleted meanwhile."""
    states = (ChildState.REKEYING, ChildState.DELETING)
    outstanding = sa.window.outstanding
    return any(child.state in states for child in core.children.values()) or (
        outstanding is not None and isinstance(outstanding[1], RekeyChild | DeleteChild)
    )
