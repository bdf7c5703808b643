"""Who answers which request of the peer on an established IKE SA."""

from __future__ import annotations

from ..core import Core
from ..errors import InvalidSyntax, NoAdditionalSas, TemporaryFailure
from ..events import Path
from ..message import Message
from ..payloads import Payload
from ..registry import ExchangeType, NotifyType, ProtocolId
from ..sa import IkeSa, IkeSaState
from .create_child import required_proposals
from .informational import answer_informational
from .rekey_child import answer_rekey_child
from .rekey_ike import answer_rekey_ike


def answer(core: Core, sa: IkeSa, request: Message, path: Path, now: float) -> tuple[Payload, ...]:
    """Payloads of the response; `ProtocolError` where the answer is an error notify."""
    match request.exchange:
        case ExchangeType.INFORMATIONAL:
            return answer_informational(core, sa, request, path, now)
        case ExchangeType.CREATE_CHILD_SA:
            return _answer_create_child(core, sa, request, now)
        case _:
            raise InvalidSyntax(f"exchange type {request.exchange} on an established IKE SA")


def _answer_create_child(core: Core, sa: IkeSa, request: Message, now: float) -> tuple[Payload, ...]:
    """A rekey of a Child SA or of the IKE SA; further Child SAs are not for a client."""
    if sa.state is not IkeSaState.LIVE:
        raise TemporaryFailure("the IKE SA is being replaced or closed")
    if (rekeyed := request.notify(NotifyType.REKEY_SA)) is not None:
        return answer_rekey_child(core, sa, request, rekeyed, now)
    if any(proposal.protocol == ProtocolId.IKE for proposal in required_proposals(request).proposals):
        return answer_rekey_ike(core, sa, request, now)
    raise NoAdditionalSas("one Child SA is all that this session has")
