"""One client's IKE_AUTH at the embedded gateway: its rounds, from IDi to the Child SA."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..ike.authentication import check_shared_key, shared_key_auth, signed_octets, verify_signature
from ..ike.children import build_child
from ..ike.core import Core
from ..ike.errors import (
    AuthenticationFailed,
    InvalidSyntax,
    NoProposalChosen,
    ProtocolError,
    TsUnacceptable,
)
from ..ike.events import Address, Assigned, Interface, Network, Path, Rng, Selector
from ..ike.identity import Identity
from ..ike.keys import Secret
from ..ike.message import Decoded, Fragment, Message, Rejected, decode, encode_protected
from ..ike.options import PskLogin, PskProof, SessionConfig
from ..ike.payloads import (
    Attribute,
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
from ..ike.proposals import choose_esp
from ..ike.registry import (
    AuthMethod,
    CertEncoding,
    CfgAttribute,
    CfgType,
    ExchangeType,
    NotifyType,
)
from ..ike.sa import Child
from ..ike.selectors import narrow, selectors_of_addresses
from ..ike.session import Session
from ..ike.trust import verify_peer
from .eap_server import EapServer
from .pool import Pool

if TYPE_CHECKING:
    from .responder import GatewayConfig, HalfOpen

FRAGMENT_SIZE = 1232


class Acceptance:
    """The IKE_AUTH exchange of one client; `session` is there when it has ended well.

    After a refusal it only repeats its last answer, which may have been lost.
    """

    def __init__(self, config: GatewayConfig, pool: Pool, rng: Rng, opened: HalfOpen) -> None:
        self._config = config
        self._pool = pool
        self._rng = rng
        self.opened = opened
        self._sa = opened.sa
        self._first: Message | None = None
        self._id_body = b""
        self._rounds = [config.clients, *config.further]
        self._eap: EapServer | None = None
        self._identity_payload = IdResponder(*config.identity.payload_fields())
        self._client = ""
        self.session: Session | None = None
        self.finished = False

    def handle(self, data: bytes, path: Path, now: float, wall: datetime) -> tuple[bytes, ...]:
        """Packets of the answer to one datagram; nothing where it is neither the next request nor the last one."""
        outcome = decode(data, self._sa.opener)
        if isinstance(outcome, Rejected) or outcome.header.is_response:
            return ()
        window, message_id = self._sa.window, outcome.header.message_id
        if window.is_repeated(message_id):
            repeats = not isinstance(outcome, Fragment) or outcome.number == 1  # RFC 7383 section 2.6.1
            return window.last_response if repeats else ()
        if message_id != window.expected_request_id:
            return ()
        whole = self._sa.requests.add(outcome) if isinstance(outcome, Fragment) else outcome
        if not isinstance(whole, Decoded) or not whole.protected:
            return ()
        if whole.message.exchange != self._due:
            return ()
        window.keep_response(self._encode(whole.message, self._answer(whole.message, path, now, wall)))
        return window.last_response

    @property
    def _due(self) -> ExchangeType:
        """What the client may ask: when all is over, to delete what has no Child SA, or to say that it gives up."""
        return ExchangeType.INFORMATIONAL if self.finished else ExchangeType.IKE_AUTH

    def _answer(self, message: Message, path: Path, now: float, wall: datetime) -> tuple[Payload, ...]:
        if self.finished:
            return ()
        try:
            if self._first is None:
                return self._begin(message, path, now, wall)
            if message.first(IdInitiator) is not None:
                return self._begin_round(message, path, now, wall)
            if self._eap is None or message.first(Eap) is None:
                return self._finish_eap(message, path, now)
            return self._continue_eap(message)
        except ProtocolError as error:
            self.finished = True
            return (Notify(error.notify, error.data),)

    def _encode(self, request: Message, payloads: tuple[Payload, ...]) -> tuple[bytes, ...]:
        response = Message(
            request.spi_i, request.spi_r, request.exchange, request.message_id, payloads, False, True
        )
        size = FRAGMENT_SIZE if self._sa.fragmentation else None
        return encode_protected(response, self._sa.sealer, fragment_size=size)

    def _begin(self, message: Message, path: Path, now: float, wall: datetime) -> tuple[Payload, ...]:
        self._first = message
        return (*self._proof(message), *self._begin_round(message, path, now, wall))

    def _begin_round(self, message: Message, path: Path, now: float, wall: datetime) -> tuple[Payload, ...]:
        """A round of authentication: the first one, or one more (RFC 4739)."""
        identity = message.first(IdInitiator)
        if identity is None or not self._rounds:
            raise InvalidSyntax("no round begins so")
        self._id_body, self._eap = identity.body, None
        self._client = str(Identity.of(identity))
        kind = self._rounds.pop(0)
        if kind == "eap":
            if message.first(Authentication) is not None:
                raise AuthenticationFailed("this gateway asks by EAP")
            self._eap = EapServer(self._config.accounts, self._rng, self._config.eap_methods)
            return (Eap(self._eap.start()),)
        self._verify_client(kind, message, Identity.of(identity), wall)
        return self._end_round(message, path, now)

    def _end_round(self, message: Message, path: Path, now: float) -> tuple[Payload, ...]:
        if self._first is None or (message.notify(NotifyType.ANOTHER_AUTH_FOLLOWS) is None) is bool(
            self._rounds
        ):
            raise AuthenticationFailed("another number of rounds is due")
        return () if self._rounds else self._establish(self._first, path, now)

    def _verify_client(self, kind: str, message: Message, claimed: Identity, wall: datetime) -> None:
        auth = message.first(Authentication)
        if auth is None:
            raise AuthenticationFailed("no AUTH, and EAP is not asked for here")
        if kind == "psk":
            check_shared_key(auth, self._sa.suite.prf, self._config.psk, self._octets_i())
            return
        shown = message.all(Certificate)
        for known in self._config.client_keys:
            raw = known.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            if any(c.encoding == CertEncoding.RAW_PUBLIC_KEY and c.data == raw for c in shown):
                verify_signature(auth, known, self._octets_i())
                return
        chain = [c.data for c in shown if c.encoding == CertEncoding.X509_SIGNATURE]
        key = verify_peer(self._config.client_anchors, claimed, chain, wall)
        verify_signature(auth, key, self._octets_i())

    def _octets_i(self) -> bytes:
        o = self.opened
        return signed_octets(o.request, o.nonce_r, self._sa.suite.prf, self._sa.keys.pi, self._id_body)

    def _octets_r(self) -> bytes:
        o, body = self.opened, self._identity_payload.body
        return signed_octets(o.response, o.nonce_i, self._sa.suite.prf, self._sa.keys.pr, body)

    def _proof(self, request: Message) -> tuple[Payload, ...]:
        if self._config.proof == "eap":  # by EAP alone (RFC 5998), if the client is willing
            if request.notify(NotifyType.EAP_ONLY_AUTHENTICATION) is None:
                raise AuthenticationFailed("the client wants another proof")
            return (self._identity_payload,)
        if self._config.proof == "psk" or self._config.signer is None:
            mac = shared_key_auth(self._sa.suite.prf, self._config.psk, self._octets_r())
            return (self._identity_payload, Authentication(AuthMethod.SHARED_KEY_MIC, mac))
        shown = [Certificate(CertEncoding.X509_SIGNATURE, der) for der in self._config.chain]
        if not shown and self._config.raw_key is not None:
            shown = [Certificate(CertEncoding.RAW_PUBLIC_KEY, self._config.raw_key)]
        if any(asked.encoding == CertEncoding.OCSP_CONTENT for asked in request.all(CertificateRequest)):
            shown += [Certificate(CertEncoding.OCSP_CONTENT, said) for said in self._config.ocsp]
        auth = self._config.signer.sign(self._octets_r(), self.opened.peer_hashes)
        return (self._identity_payload, *shown, auth)

    def _continue_eap(self, message: Message) -> tuple[Payload, ...]:
        packet = message.first(Eap)
        if self._eap is None or packet is None:
            raise InvalidSyntax("EAP is due")
        answer = self._eap.handle(packet.packet)
        if self._eap.failed:
            self.finished = True
        return (Eap(answer),)

    def _finish_eap(self, message: Message, path: Path, now: float) -> tuple[Payload, ...]:
        auth = message.first(Authentication)
        if auth is None or self._first is None or self._eap is None or not self._eap.succeeded:
            raise AuthenticationFailed("EAP did not finish")
        keys = self._sa.keys  # what stands for the key of a method without one (RFC 7296 section 2.16)
        check_shared_key(auth, self._sa.suite.prf, self._eap.msk or keys.pi, self._octets_i())
        self._client = self._eap.identity or self._client
        mac = shared_key_auth(self._sa.suite.prf, self._eap.msk or keys.pr, self._octets_r())
        return (Authentication(AuthMethod.SHARED_KEY_MIC, mac), *self._end_round(message, path, now))

    def _establish(self, request: Message, path: Path, now: float) -> tuple[Payload, ...]:
        self.finished = True
        personality = self._config.personality
        if (refusal := personality.login_refusal) is not None:
            if refusal.type == NotifyType.AUTHENTICATION_FAILED:
                raise AuthenticationFailed("this gateway refuses everybody in the end")
            return (refusal,)  # the login stands, what it is for does not
        if personality.one_family and _asks_for_both(request.first(Configuration)):
            return (Notify(NotifyType.INTERNAL_ADDRESS_FAILURE),)
        assigned, configuration = self._configure(request.first(Configuration))
        session_config = self._session_config()
        try:
            child, payloads = self._make_child(request, session_config, assigned)
        except (NoProposalChosen, TsUnacceptable) as error:
            return (Notify(error.notify),)  # the login stands, the Child SA does not (RFC 7296 section 1.2)
        mobike = personality.mobike and request.notify(NotifyType.MOBIKE_SUPPORTED) is not None
        self.session = Session.established(
            session_config,
            self._rng,
            self._sa,
            child,
            path,
            now,
            nat=self.opened.nat,
            mobike=mobike,
            peer_identity=self._client,
            assigned=Assigned(assigned),
        )
        return (*configuration, *payloads, *self._mobike(mobike), *personality.login_notifies)

    def _mobike(self, agreed: bool) -> tuple[Notify, ...]:
        if not agreed:
            return ()
        extra = tuple(
            Notify(
                NotifyType.ADDITIONAL_IP4_ADDRESS
                if address.version == 4
                else NotifyType.ADDITIONAL_IP6_ADDRESS,
                address.packed,
            )
            for address in self._config.personality.additional_addresses
        )
        return (Notify(NotifyType.MOBIKE_SUPPORTED), *extra)

    def _configure(
        self, request: Configuration | None
    ) -> tuple[tuple[Interface, ...], tuple[Configuration, ...]]:
        """Inside addresses for the families asked for, and the CFG_REPLY that says so."""
        if request is None or request.cfg_type != CfgType.REQUEST:
            return (), ()
        asked = {attribute.type for attribute in request.attributes}
        leases = []
        if CfgAttribute.INTERNAL_IP4_ADDRESS in asked:
            leases.append(self._pool.lease(self._client, 4))
        if CfgAttribute.INTERNAL_IP6_ADDRESS in asked:
            leases.append(self._pool.lease(self._client, 6))
        assigned = tuple(lease for lease in leases if lease is not None)
        attributes = (*(_address(lease) for lease in assigned), *self._extras())
        return assigned, (Configuration(CfgType.REPLY, attributes),)

    def _extras(self) -> tuple[Attribute, ...]:
        config = self._config
        return (
            *(_dns(address) for address in config.dns),
            *(_subnet(network) for network in config.subnets),
            *(Attribute(CfgAttribute.INTERNAL_DNS_DOMAIN, name.encode()) for name in config.domains),
            *config.personality.assigned,
        )

    def _make_child(
        self, request: Message, config: SessionConfig, assigned: tuple[Interface, ...]
    ) -> tuple[Child, tuple[Payload, ...]]:
        proposals, ts_i, ts_r = (
            request.first(SecurityAssociation),
            request.first(TsInitiator),
            request.first(TsResponder),
        )
        if proposals is None or ts_i is None or ts_r is None:
            raise InvalidSyntax("IKE_AUTH without SA, TSi or TSr")
        proposal, suite = choose_esp(self._config.esp_offer, proposals, kex=False)
        inside = selectors_of_addresses(assigned) or ts_i.selectors
        remote = narrow(ts_i.selectors, inside)
        local = _reachable(narrow(ts_r.selectors, self._config.selectors), remote)
        if not remote or not local:
            raise TsUnacceptable("nothing in common")
        core = Core(config, self._rng, nat=self.opened.nat)
        spi_in = core.new_esp_spi()
        child = build_child(
            core,
            self._sa,
            suite,
            (spi_in, int.from_bytes(proposal.spi)),
            (self.opened.nonce_i, self.opened.nonce_r),
            None,
            (local, remote),
            initiated=False,
        )
        chosen = replace(proposal, spi=spi_in.to_bytes(4))
        return child, (SecurityAssociation((chosen,)), TsInitiator(remote), TsResponder(local))

    def _session_config(self) -> SessionConfig:
        config = self._config
        unused = Secret(b"")  # a responder's session never logs in
        return SessionConfig(
            local_id=config.identity,
            remote_id=None,
            send_idr=False,
            strict_idr=False,
            login=PskLogin(unused),
            proof=PskProof(unused),
            ike_offer=config.ike_offer,
            esp_offer=config.esp_offer,
            mobike=config.personality.mobike,
            force_encapsulation=config.force_encapsulation,
            lifetimes=config.lifetimes,
            patience=config.patience,
        )


def _reachable(selectors: tuple[Selector, ...], remote: tuple[Selector, ...]) -> tuple[Selector, ...]:
    """Only families in which the client has an address."""
    families = {selector.first.version for selector in remote}
    return tuple(selector for selector in selectors if selector.first.version in families)


def _address(lease: Interface) -> Attribute:
    if lease.version == 4:
        return Attribute(CfgAttribute.INTERNAL_IP4_ADDRESS, lease.ip.packed)
    return Attribute(CfgAttribute.INTERNAL_IP6_ADDRESS, lease.ip.packed + bytes([lease.network.prefixlen]))


def _dns(address: Address) -> Attribute:
    kind = CfgAttribute.INTERNAL_IP4_DNS if address.version == 4 else CfgAttribute.INTERNAL_IP6_DNS
    return Attribute(kind, address.packed)


def _subnet(network: Network) -> Attribute:
    if network.version == 4:
        value = network.network_address.packed + network.netmask.packed
        return Attribute(CfgAttribute.INTERNAL_IP4_SUBNET, value)
    value = network.network_address.packed + bytes([network.prefixlen])
    return Attribute(CfgAttribute.INTERNAL_IP6_SUBNET, value)


def _asks_for_both(wanted: Configuration | None) -> bool:
    asked = () if wanted is None else {attribute.type for attribute in wanted.attributes}
    return {CfgAttribute.INTERNAL_IP4_ADDRESS, CfgAttribute.INTERNAL_IP6_ADDRESS} <= set(asked)
