"""IKE_AUTH as the initiator: the first request, which is the only one without EAP (RFC 7296 section 1.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..announcements import announce
from ..configuration import build_request
from ..core import Core
from ..errors import AuthenticationFailed
from ..events import Kind, Reply
from ..keys import Secret
from ..message import Message, protected_size
from ..options import EapProof, PskProof
from ..payloads import (
    CertificateRequest,
    Configuration,
    IdInitiator,
    IdResponder,
    Notify,
    Payload,
    SecurityAssociation,
    TsInitiator,
    TsResponder,
)
from ..quirks import Quirk
from ..refusal import Refusal
from ..registry import CertEncoding, ExchangeType, NotifyType
from ..revocation import Policy
from ..sa import IkeSa
from ..sa_payload import Proposal
from .eap_auth import take_answer
from .login import (
    Login,
    inquire,
    own_auth,
    own_certificates,
    prove,
    refuse_errors,
    take_signature,
    verify_proof,
)
from .sa_init import Handshake


class FirstAuth:
    """The first IKE_AUTH request; the whole exchange unless the gateway asks us by EAP."""

    TYPE: ClassVar[ExchangeType] = ExchangeType.IKE_AUTH

    def __init__(self, core: Core, handshakes: list[Handshake]) -> None:
        identity = IdInitiator(*core.config.local_id.payload_fields())
        self.identity = identity
        self._response: Message | None = None  # while the shell asks about certificates
        self.login = Login(
            handshakes,  # grows while responses come that differ and lead to the same keys
            core.new_esp_spi(),
            identity.body,
            core.config.local_selectors,
            core.config.remote_selectors,
            core.config.login,
            core.config.further,
        )

    def build(self, core: Core, sa: IkeSa, now: float) -> tuple[Payload, ...] | None:
        """# --> IKE_AUTH { IDi, [CERT+,] [N+,] [CERTREQ,] [IDr,] [AUTH,] [CP,] SA, TSi, TSr, [N(MOBIKE)] }."""
        config = core.config
        if config.further and not self.login.handshake.several_rounds:
            raise Refusal(Kind.AUTH_METHOD, "the gateway does not know several rounds of authentication")
        if not prove(core, self, sa, self.login, now):
            return None
        return self._small_enough(core, sa)

    def _small_enough(self, core: Core, sa: IkeSa) -> tuple[Payload, ...]:
        """The request, which goes out as IP fragments where the gateway takes none of IKE's (RFC 7383).

        NATs and firewalls drop those.  What the gateway can do without is left out until it fits one packet: whom
        we trust, which it has other ways to know, then the authorities of our certificate.
        """
        whole = self._payloads(core)
        if Quirk.SMALL_LOGIN in core.config.quirks.on:
            return self._payloads(core, requests=False, authorities=False)
        octets = protected_size(sa.sealer, whole)
        if sa.fragmentation or octets <= core.config.fragment_size:
            return whole
        evidence = f"no IKEV2_FRAGMENTATION_SUPPORTED, and a login of {octets} octets"
        if not core.adapts(Quirk.SMALL_LOGIN, evidence):
            return whole
        smaller = self._payloads(core, requests=False)
        if protected_size(sa.sealer, smaller) <= core.config.fragment_size:
            return smaller
        return self._payloads(core, requests=False, authorities=False)

    def _payloads(
        self, core: Core, *, requests: bool = True, authorities: bool = True
    ) -> tuple[Payload, ...]:
        config = core.config
        contact = (Notify(NotifyType.INITIAL_CONTACT),) if config.initial_contact else ()
        mobike = (Notify(NotifyType.MOBIKE_SUPPORTED),) if config.mobike else ()
        expected = config.remote_id if config.send_idr else None
        return (
            self.identity,
            *own_certificates(self.login)[: None if authorities else 1],
            *contact,
            *self._certificate_request(core, x509=requests),
            *((IdResponder(*expected.payload_fields()),) if expected else ()),
            *own_auth(self.login),
            *self._configuration(core),
            SecurityAssociation(self._proposals(core)),
            TsInitiator(self.login.local_selectors),
            TsResponder(self.login.remote_selectors),
            *mobike,
            *self._willing(core),
            *(announce(config.proof) if self.login.handshake.announced is not None else ()),
        )

    def resume(self, core: Core, sa: IkeSa, answer: Secret, now: float) -> None:
        """Our key's holder has signed."""
        take_signature(core, self, sa, self.login, answer)

    def _willing(self, core: Core) -> tuple[Notify, ...]:
        """What the gateway may do because we can: rounds (RFC 4739), and EAP without a proof before (RFC 5998)."""
        rounds = (NotifyType.MULTIPLE_AUTH_SUPPORTED,) if core.config.further else ()
        eap_only = (NotifyType.EAP_ONLY_AUTHENTICATION,) if isinstance(core.config.proof, EapProof) else ()
        return tuple(Notify(kind) for kind in (*rounds, *eap_only))

    def process(self, core: Core, sa: IkeSa, response: Message, now: float) -> None:
        """# <-- IKE_AUTH { IDr, [CERT+,] AUTH, … SA, TSi, TSr } or { IDr, CERT, AUTH, EAP }."""
        refuse_errors(response)
        self._prove(core, sa, response)
        self._response = response
        self._take(core, sa, response, now)

    def resume_inquiry(self, core: Core, sa: IkeSa, replies: Sequence[Reply], now: float) -> None:
        """The shell has asked about the gateway's certificates."""
        inquest, response = self.login.inquest, self._response
        if inquest is None or response is None:
            raise AssertionError("nothing was asked about")
        inquest.take(replies)
        self._take(core, sa, response, now)

    def _take(self, core: Core, sa: IkeSa, response: Message, now: float) -> None:
        """Go on once the gateway's certificates are known to hold, or nobody is left to ask."""
        if not inquire(core, self, sa, self.login, now):
            self._response = None
            take_answer(core, sa, self.login, response, now)

    def _prove(self, core: Core, sa: IkeSa, response: Message) -> None:
        """AUTH says which of the responses to IKE_SA_INIT the gateway really sent."""
        failures = []
        for handshake in tuple(self.login.handshakes):
            self.login.handshake = handshake
            try:
                verify_proof(core, sa, self.login, response)
            except AuthenticationFailed as failure:
                failures.append(failure)
            else:
                return
        raise failures[0]

    def _certificate_request(self, core: Core, *, x509: bool) -> tuple[CertificateRequest, ...]:
        proof = core.config.proof
        trust = None if isinstance(proof, PskProof) else proof.trust
        if trust is None:
            return ()
        raw = (CertificateRequest(CertEncoding.RAW_PUBLIC_KEY, ()),) if trust.keys else ()
        if not x509 or (raw and not trust.anchors):
            return raw
        wanted = CertificateRequest(CertEncoding.X509_SIGNATURE, trust.authority_hashes())
        if trust.revocation is Policy.OFF:
            return (wanted, *raw)
        # Whoever the issuer has appointed may have signed it: no responders are named (RFC 4806 section 3.1).
        return (wanted, CertificateRequest(CertEncoding.OCSP_CONTENT, ()), *raw)

    def _configuration(self, core: Core) -> tuple[Configuration, ...]:
        config = core.config
        if config.static_addresses or not (config.request_ipv4 or config.request_ipv6):
            return ()
        return (build_request(ipv4=config.request_ipv4, ipv6=config.request_ipv6),)

    def _proposals(self, core: Core) -> tuple[Proposal, ...]:
        return core.config.esp_offer.proposals_with_spi(self.login.spi_in.to_bytes(4), kex=False)
