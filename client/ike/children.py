"""Making, replacing and dropping Child SAs: what IKE_AUTH and CREATE_CHILD_SA have in common."""

from __future__ import annotations

from .core import Core
from .errors import TsUnacceptable
from .events import ChildOutbound, ChildSa, ChildUp, EspAlgorithms, Selector
from .keys import Secret, derive_child_keymat
from .message import Message
from .payloads import TsInitiator, TsResponder
from .registry import Integ
from .sa import Child, ChildState, IkeSa
from .selectors import all_within
from .timers import Timer
from .transforms import EspSuite


def build_child(
    core: Core,
    sa: IkeSa,
    suite: EspSuite,
    spis: tuple[int, int],
    nonces: tuple[bytes, bytes],
    shared: Secret | None,
    selectors: tuple[tuple[Selector, ...], tuple[Selector, ...]],
    *,
    initiated: bool,
) -> Child:
    """A Child SA with its keys (RFC 7296 section 2.17).

    `spis` are inbound and outbound, `nonces` those of the exchange's initiator and responder, `selectors` local
    and remote; `initiated` tells whether we initiated the exchange.
    """
    keys = derive_child_keymat(sa.suite.prf, sa.keys.d, suite, shared, *nonces, initiator=initiated)
    algorithms = EspAlgorithms(
        encr=suite.encryption.id,
        encr_key_bits=suite.encryption.key_bits,
        integ=suite.integrity.id if suite.integrity else Integ.NONE,
        esn=suite.esn,
    )
    return Child(ChildSa(*spis, algorithms, keys, *selectors, encapsulate=core.encapsulate), suite)


def accepted_selectors(
    response: Message, offered_local: tuple[Selector, ...], offered_remote: tuple[Selector, ...]
) -> tuple[tuple[Selector, ...], tuple[Selector, ...]]:
    """Local and remote selectors of a response, checked to be no wider than the offer (T3)."""
    initiator, responder = response.first(TsInitiator), response.first(TsResponder)
    if initiator is None or responder is None or initiator.unknown or responder.unknown:
        raise TsUnacceptable("the response lacks usable traffic selectors")
    local, remote = initiator.selectors, responder.selectors
    if not all_within(local, offered_local) or not all_within(remote, offered_remote):
        raise TsUnacceptable("the gateway chose traffic selectors outside our offer")
    return local, remote


def install(
    core: Core, child: Child, now: float, *, replaces: int | None = None, outbound: bool = True
) -> None:
    """Hand a Child SA to the data path and let it age."""
    child.replaces, child.outbound = replaces, outbound
    core.children[child.sa.spi_in] = child
    core.timers.set(Timer.REKEY_CHILD, now + core.jittered(core.config.lifetimes.child), child.sa.spi_in)
    core.emit(ChildUp(child.sa, replaces, outbound))


def use_outbound(core: Core, child: Child) -> None:
    """Send on a Child SA that was inbound only until now."""
    if not child.outbound:
        child.outbound = True
        core.emit(ChildOutbound(child.sa.spi_in))


def retire(core: Core, child: Child, now: float) -> None:
    """The peer has forgotten this SA: keep its inbound side for packets under way, then drop it."""
    core.timers.stop(Timer.REKEY_CHILD, child.sa.spi_in)
    if child.state is not ChildState.DELETED:
        child.state = ChildState.DELETED
        core.timers.set(Timer.DROP_CHILD, now + core.patience.old_inbound, child.sa.spi_in)


def child_by_outbound(core: Core, spi_out: bytes) -> Child | None:
    """The Child SA that the peer names by its own inbound SPI."""
    wanted = int.from_bytes(spi_out)
    return next((child for child in core.children.values() if child.sa.spi_out == wanted), None)


def successor_of(core: Core, spi_in: int) -> Child | None:
    """The Child SA that replaces the one with this inbound SPI, also while it is being replaced in turn."""
    usable = (ChildState.LIVE, ChildState.REKEYING)
    return next((c for c in core.children.values() if c.replaces == spi_in and c.state in usable), None)


def has_live_child(core: Core) -> bool:
    """Whether any Child SA is left that traffic can use."""
    return any(c.state in (ChildState.LIVE, ChildState.REKEYING) for c in core.children.values())
