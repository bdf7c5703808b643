"""IKE_AUTH as the initiator: the first request, which is the only one without EAP (RFC 7296 section 1.2)."""

from __future__ import annotations

from typing import ClassVar

from ..authentication import shared_key_auth
from ..configuration import build_request
from ..core import Core
from ..errors import AuthenticationFailed
from ..events import Kind
from ..message import Message
from ..options import CertLogin, EapLogin, PskLogin, PskProof
from ..payloads import (
    Authentication,
    Certificate,
    CertificateRequest,
    Configuration,
    Eap,
    IdInitiator,
    IdResponder,
    Notify,
    Payload,
    SecurityAssociation,
    TsInitiator,
    TsResponder,
)
from ..refusal import Refusal
from ..registry import AuthMethod, CertEncoding, ExchangeType, NotifyType
from ..sa import IkeSa
from ..sa_payload import Proposal
from .eap_auth import EapRound
from .login import Login, complete, refuse_errors, verify_proof
from .sa_init import Handshake


class FirstAuth:
    """The first IKE_AUTH request; the whole exchange unless the gateway asks us by EAP."""

    TYPE: ClassVar[ExchangeType] = ExchangeType.IKE_AUTH

    def __init__(self, core: Core, handshakes: list[Handshake]) -> None:
        identity = IdInitiator(*core.config.local_id.payload_fields())
        self.identity = identity
        self.handshakes = handshakes  # grows while responses come that differ and lead to the same keys
        self.login = Login(
            handshakes[0],
            core.new_esp_spi(),
            identity.body,
            core.config.local_selectors,
            core.config.remote_selectors,
        )

    def build(self, core: Core, sa: IkeSa, now: float) -> tuple[Payload, ...]:
        """# --> IKE_AUTH { IDi, [CERT+,] [N+,] [CERTREQ,] [IDr,] [AUTH,] [CP,] SA, TSi, TSr, [N(MOBIKE)] }."""
        config = core.config
        contact = (Notify(NotifyType.INITIAL_CONTACT),) if config.initial_contact else ()
        mobike = (Notify(NotifyType.MOBIKE_SUPPORTED),) if config.mobike else ()
        expected = config.remote_id if config.send_idr else None
        return (
            self.identity,
            *self._certificates(core),
            *contact,
            *self._certificate_request(core),
            *((IdResponder(*expected.payload_fields()),) if expected else ()),
            *self._auth(core, sa),
            *self._configuration(core),
            SecurityAssociation(self._proposals(core)),
            TsInitiator(self.login.local_selectors),
            TsResponder(self.login.remote_selectors),
            *mobike,
        )

    def process(self, core: Core, sa: IkeSa, response: Message, now: float) -> None:
        """# <-- IKE_AUTH { IDr, [CERT+,] AUTH, … SA, TSi, TSr } or { IDr, CERT, AUTH, EAP }."""
        refuse_errors(response)
        self._prove(core, sa, response)
        if not isinstance(core.config.login, EapLogin):
            complete(core, sa, self.login, response, now)
            return
        request = response.first(Eap)
        if request is None:
            raise Refusal(Kind.AUTH_METHOD, "the gateway does not ask for a login by EAP")
        EapRound(core, self.login).take(core, sa, request, now)

    def _prove(self, core: Core, sa: IkeSa, response: Message) -> None:
        """AUTH says which of the responses to IKE_SA_INIT the gateway really sent."""
        failures = []
        for handshake in tuple(self.handshakes):
            self.login.handshake = handshake
            try:
                verify_proof(core, sa, self.login, response)
            except AuthenticationFailed as failure:
                failures.append(failure)
            else:
                return
        raise failures[0]

    def _certificates(self, core: Core) -> tuple[Certificate, ...]:
        login = core.config.login
        chain = login.chain if isinstance(login, CertLogin) else ()
        return tuple(Certificate(CertEncoding.X509_SIGNATURE, der) for der in chain)

    def _certificate_request(self, core: Core) -> tuple[CertificateRequest, ...]:
        proof = core.config.proof
        if isinstance(proof, PskProof):
            return ()
        return (CertificateRequest(CertEncoding.X509_SIGNATURE, proof.trust.authority_hashes()),)

    def _auth(self, core: Core, sa: IkeSa) -> tuple[Authentication, ...]:
        match core.config.login:
            case PskLogin(secret):
                mac = shared_key_auth(sa.suite.prf, secret, self.login.octets(sa))
                return (Authentication(AuthMethod.SHARED_KEY_MIC, mac),)
            case CertLogin(_, signer):
                return (signer.sign(self.login.octets(sa), self.login.handshake.peer_hashes),)
            case EapLogin():
                return ()  # its absence asks for EAP (A2)

    def _configuration(self, core: Core) -> tuple[Configuration, ...]:
        config = core.config
        if config.static_addresses or not (config.request_ipv4 or config.request_ipv6):
            return ()
        return (build_request(ipv4=config.request_ipv4, ipv6=config.request_ipv6),)

    def _proposals(self, core: Core) -> tuple[Proposal, ...]:
        return core.config.esp_offer.proposals_with_spi(self.login.spi_in.to_bytes(4), kex=False)
