"""How things are broken, one function each: all come to the evidence that is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_interface

from client.control.evidence import AttemptRecord, CheckRecord, Evidence, IcmpRecord, LinkRecord, LookupRecord
from client.daemon.records import local_record
from client.ike.authentication import KeySigner
from client.ike.exchanges.mobike import UpdateAddresses
from client.ike.identity import Identity
from client.ike.keys import Secret
from client.ike.options import CertLogin, CertProof, EapLogin, SessionConfig
from client.ike.payloads import CertificateRequest, Notify
from client.ike.proposals import parse_offer
from client.ike.registry import CertEncoding, EapType, ExchangeType, Kex, NotifyType, ProtocolId
from client.ike.trust import Trust
from client.lab.eap_methods import Accounts
from client.lab.pki import make_authority
from client.lab.responder import GatewayConfig
from client.tunnel.model import NetworkState
from tests.daemon.world import LTE, WIFI, network
from tests.explain.broken import (
    LAPTOP,
    UNIX,
    Watched,
    blocked,
    in_vain,
    losing_answers_of,
    standing,
    without_fragments,
)
from tests.ike.crossings import refuse
from tests.ike.failing_logins import BY_CERT, BY_EAP, ROWS, STRANGERS, certificate, with_certificate
from tests.ike.phases import Letter, scene
from tests.pair import (
    AUTHORITY,
    VALID,
    cert_client,
    client_config,
    eap_client,
    gateway_config,
    path_from,
)

Build = Callable[[], Evidence]


def row(name: str) -> Build:
    """A login of `failing_logins` that fails."""
    return lambda: in_vain(ROWS[name].client, ROWS[name].gateway)


def personality(config: GatewayConfig | None = None, **changes: object) -> GatewayConfig:
    base = config or gateway_config()
    return replace(base, personality=replace(base.personality, **changes))  # type: ignore[arg-type]


def refused_with(
    kind: int, data: bytes = b"", client: SessionConfig | None = None, config: GatewayConfig | None = None
) -> Build:
    """The login is right, and is answered so."""
    return lambda: in_vain(client, personality(config, login_refusal=Notify(kind, data)))


def wrong_password(error: int) -> Build:
    """MSCHAPv2 ends with this error."""
    accounts = Accounts({"alice": Secret(b"no Passw0rd of hers")}, error=error)
    return lambda: in_vain(eap_client(), replace(BY_EAP, accounts=accounts))


def by_cert(**opening: object) -> GatewayConfig:
    return replace(personality(BY_CERT, **opening), client_anchors=(STRANGERS.certificate,))


def certreq(*hashes: bytes) -> tuple[CertificateRequest, ...]:
    return (CertificateRequest(CertEncoding.X509_SIGNATURE, hashes),)


OURS = Trust((AUTHORITY.certificate,), None).authority_hashes()
THEIRS = Trust((STRANGERS.certificate,), None).authority_hashes()
OLD_CERT = AUTHORITY.issue(
    "CN=alice",
    emails=["alice@example.com"],
    server=False,
    not_before=datetime(2026, 1, 1, tzinfo=UTC),
    not_after=datetime(2026, 5, 1, tzinfo=UTC),
)


def expired_own_certificate() -> Evidence:
    login = cert_client().login
    assert isinstance(login, CertLogin)
    spent = replace(login, chain=OLD_CERT.chain, signer=KeySigner(OLD_CERT.key))
    return in_vain(replace(cert_client(), login=spent), personality(BY_CERT, opening=certreq(*OURS)))


def other_own_name() -> Evidence:
    client = replace(cert_client(), local_id=Identity.parse("bob@example.com"))
    return in_vain(client, personality(BY_CERT, opening=certreq(*OURS)))


def trusting(*names: str, anchors: object = None) -> SessionConfig:
    trust = Trust(anchors or (AUTHORITY.certificate,), Identity.parse(names[0]))  # type: ignore[arg-type]
    return replace(eap_client(), proof=CertProof(trust))


def rotated_authority() -> Evidence:
    renewed = make_authority("CN=Test Root", **VALID)
    issued = renewed.issue("CN=vpn.example.com", dns=["vpn.example.com"], **VALID)
    return in_vain(eap_client(), with_certificate(issued))


def too_early() -> Evidence:
    begin, end = datetime(2026, 9, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
    return in_vain(eap_client(), with_certificate(certificate(not_before=begin, not_after=end)))


def fragments_dropped() -> Evidence:
    """Our certificate alone is larger than a packet: nothing is left to be left out."""
    names = ["alice@example.com", *(f"alice.{'x' * 60}.{n}@example.com" for n in range(30))]
    large = AUTHORITY.issue("CN=alice", emails=names, server=False, **VALID)
    login = CertLogin(large.chain, KeySigner(large.key))
    client = replace(cert_client(), login=login)
    return in_vain(client, personality(BY_CERT, fragmentation=False), without_fragments())


def answer_in_parts() -> Evidence:
    issued = certificate(dns=["vpn.example.com", *(f"{'x' * 60}{n}.example.com" for n in range(30))])
    return in_vain(eap_client(), with_certificate(issued), losing_answers_of(1200))


def silent_network(
    icmp: str = "", sender: str = "", portal: str = "", others: tuple[str, ...] = ()
) -> Evidence:
    """Nothing gets through, and perhaps somebody says why."""
    pair = Watched()
    pair.fate = lambda _: ()
    assert not pair.connect(seconds=200)
    if icmp:
        pair.recorder.note_icmp(IcmpRecord(icmp, sender, "init"))
    local = LAPTOP.replace(portal=portal, others=others)
    if others:
        tunnels = (LinkRecord(name, True, "tun", ("ipv4",), ("ipv4",)) for name in others)
        local = local.replace(links=(*local.links, *tunnels))
    return pair.evidence(local=local)


def only_port(*closed: int) -> Build:
    return lambda: in_vain(fate=blocked(*closed))


def unable(
    kind: str, text: str, lookup: LookupRecord | None = None, state: NetworkState | None = None
) -> Build:
    """It did not even come to an attempt."""

    def build() -> Evidence:
        local = LAPTOP if state is None else local_record(state, UNIX)
        attempts = (AttemptRecord(UNIX, ended=kind, ended_by=text),) if kind else ()
        return Evidence(
            name="office",
            state="waiting",
            failure=kind,
            failure_text=text,
            attempts=attempts,
            lookup=lookup,
            local=local,
        )

    return build


def only_ipv6() -> NetworkState:
    laptop = network(WIFI)
    (address,) = laptop.addresses
    return replace(laptop, addresses=(replace(address, interface=ip_interface("2001:db8::10/64")),))


def rekey_answered(
    kind: NotifyType, data: bytes = b"", esp: str = "aes256gcm16-x25519", *, ike: bool = False
) -> Build:
    """It stands, until its keys are to be renewed: that is answered so, for as long as it is tried."""

    def build() -> Evidence:
        offer = parse_offer(ProtocolId.ESP, (esp,))
        pair = standing(replace(client_config(), esp_offer=offer), replace(gateway_config(), esp_offer=offer))
        pair.run(1000)
        (pair.client.rekey_ike if ike else pair.client.rekey_child)(pair.now)
        pair.drain()
        for _ in range(40):
            refuse_all(pair, kind, data)
            if pair.closed is not None:
                break
            pair.now = pair.client.next_deadline() or pair.now
            pair.client.handle_timeout(pair.now)
            pair.drain()
        return pair.evidence()

    return build


def refuse_all(pair: Watched, kind: NotifyType, data: bytes) -> None:
    """Answer what is outstanding with an error, as long as it is a CREATE_CHILD_SA; what else, as it should be."""
    for _ in range(10):
        sas = [sa for sa in pair.client._core.sas.values() if sa.window.outstanding is not None]
        if not sas or pair.closed is not None:
            return
        request = sas[0].window.outstanding
        assert request is not None
        if request[0].exchange_type != ExchangeType.CREATE_CHILD_SA:
            pair.settle()
            return
        refuse(scene(pair, sas[0]), kind, data)
        pair.drain()


def refused_move() -> Evidence:
    pair = standing()
    pair.client.move(path_from(LTE), pair.now)
    pair.drain()
    current = pair.client._core.current
    assert current is not None
    assert current.window.outstanding is not None
    request, exchange = current.window.outstanding
    assert isinstance(exchange, UpdateAddresses)
    payloads = (Notify(N.UNACCEPTABLE_ADDRESSES), Notify(N.COOKIE2, exchange.cookie))
    at = scene(pair, current)
    at.hear(at.authentic(Letter(ExchangeType.INFORMATIONAL, request.message_id, True, payloads)))
    pair.drain()
    return pair.evidence()


def deleted_after(*lives: float, notifies: tuple[Notify, ...] = ()) -> Build:
    """The gateway ends connections after so many seconds."""

    def build() -> Evidence:
        pair = Watched(gateway=personality(login_notifies=notifies))
        for number, seconds in enumerate(lives):
            if number:
                pair.new_client()
            pair._told = len(pair.client_events)
            assert pair.connect()
            pair.run(seconds)
            pair.gateway.close(pair.now)
            pair.settle()
        return pair.evidence()

    return build


def silence(*, inbound: bool) -> Evidence:
    """It stands, and then nothing is answered any more; ESP may still come in."""
    pair = standing()
    pair.run(300)
    pair.fate = lambda _: ()
    heard_at = pair.now
    for _ in range(40):
        if pair.closed is not None:
            break
        heard = pair.now - 1 if inbound else heard_at
        pair.client.note_activity(heard, pair.now, pair.now)
        pair.recorder.note_activity(heard, pair.now)
        pair.client.probe(pair.now)
        pair.run(10)
    return pair.evidence()


def forgotten() -> Evidence:
    """The gateway was restarted."""
    pair = standing()
    pair.run(300)
    for key in tuple(pair.responder.sessions):
        pair.responder.forget(key)
    pair.client.probe(pair.now)
    pair.run(200)
    return pair.evidence()


def one_way(*, encapsulated: bool) -> Evidence:
    """It stands, the gateway answers, and nothing comes back through it."""
    pair = standing(replace(client_config(), force_encapsulation=encapsulated))
    pair.run(30)
    pair.client.probe(pair.now)
    pair.settle()
    pair.recorder.note_traffic(0, 25)
    return pair.evidence(state="up")


def wants_group(group: Kex) -> Build:
    """A gateway that has this group and no other."""
    refusal = Notify(N.INVALID_KE_PAYLOAD, int(group).to_bytes(2))
    return lambda: in_vain(gateway=personality(opening_refusal=refusal))


def too_large(how: str) -> Evidence:
    """It stands, small packets pass and large ones do not; a router may say so."""
    pair = standing()
    pair.run(30)
    pair.recorder.note_traffic(12, 25)
    if how == "reported":
        pair.recorder.note_icmp(IcmpRecord("packet too big", "203.0.113.7", "natt", 1280))
    else:
        pair.recorder.note_check(CheckRecord("inside 1200 octets", "answered"))
        pair.recorder.note_check(CheckRecord("inside 1400 octets", "silent"))
        pair.recorder.note_mtu(1400 if how == "looked at" else 1200)
    return pair.evidence(state="up")


IPV4_ALONE = replace(client_config(), request_ipv6=False)
STATIC = replace(client_config(), static_addresses=(ip_interface("10.9.9.9/24"),))
OTHER_GROUP = parse_offer(ProtocolId.IKE, ("aes256-sha256-modp4096",))
BY_GTC = replace(BY_EAP, eap_methods=(EapType.GTC,))
GTC_CLIENT = replace(eap_client(b"looking glass"), login=EapLogin("alice", Secret(b"x"), (EapType.GTC,)))
N = NotifyType
