"""What both kinds of CREATE_CHILD_SA share (RFC 7296 section 1.3)."""

from __future__ import annotations

from ..core import Core
from ..errors import InvalidKePayload, InvalidSyntax
from ..events import LoginWanted
from ..kex import KeyPair, generate
from ..keys import Secret
from ..message import Message
from ..payloads import KeyExchange, Nonce, Notify, SecurityAssociation
from ..quirks import Quirk
from ..registry import NotifyType
from ..transforms import KeyExchangeMethod


def required_nonce(message: Message) -> bytes:
    """The nonce of a CREATE_CHILD_SA message."""
    nonce = message.first(Nonce)
    if nonce is None:
        raise InvalidSyntax("CREATE_CHILD_SA without a nonce")
    return nonce.data


def required_proposals(message: Message) -> SecurityAssociation:
    """The SA payload of a CREATE_CHILD_SA message."""
    proposals = message.first(SecurityAssociation)
    if proposals is None:
        raise InvalidSyntax("CREATE_CHILD_SA without proposals")
    return proposals


def finish_key_exchange(
    pair: KeyPair | None, method: KeyExchangeMethod | None, response: Message
) -> Secret | None:
    """The shared secret of the initiator, or None where the chosen suite has no key exchange."""
    if method is None:
        return None
    share = response.first(KeyExchange)
    if pair is None or share is None or share.method != method.id or pair.method != method.id:
        raise InvalidSyntax("the key exchange does not fit the chosen proposal")
    return pair.agree(share.public)


def answer_key_exchange(
    core: Core, method: KeyExchangeMethod | None, request: Message
) -> tuple[tuple[KeyExchange, ...], Secret | None]:
    """KEr and the shared secret of the responder; INVALID_KE_PAYLOAD where KEi is of another group."""
    if method is None:
        return (), None
    share = request.first(KeyExchange)
    if share is None or share.method != method.id:
        raise InvalidKePayload(method.id)
    pair = generate(method.id, core.rng)
    secret = pair.agree(share.public)
    return (KeyExchange(method.id, pair.public),), secret


def wanted_group(response: Message) -> int | None:
    """The group that an INVALID_KE_PAYLOAD asks for."""
    error = response.notify(NotifyType.INVALID_KE_PAYLOAD)
    return int.from_bytes(error.data) if error is not None and len(error.data) == 2 else None


def wants_new_login(core: Core, error: Notify) -> None:
    """A gateway that makes no further SAs lets keys be replaced by a new login only (RFC 7296 section 2.8)."""
    evidence = "NO_ADDITIONAL_SAS when keys were to be replaced"
    if error.type == NotifyType.NO_ADDITIONAL_SAS and core.adapts(Quirk.NEW_LOGIN, evidence):
        core.emit(LoginWanted())


def share_method(request: Message) -> int | None:
    """The group of the public value that the peer sent along: choosing it saves a round trip."""
    share = request.first(KeyExchange)
    return share.method if share is not None else None
