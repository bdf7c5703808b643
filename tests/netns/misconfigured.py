"""A strongSwan configured wrongly in one way after the other, and the evidence that each leaves with our engine.

One charon serves all: a connection is loaded anew for each case.  The engine is recorded as the daemon records its
tunnels, over real sockets in the laptop's namespace.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

from client.control.evidence import Evidence
from client.daemon.clock import boottime
from client.daemon.prober import check_ports
from client.daemon.recorder import Recorder
from client.daemon.records import local_record, report_record
from client.ike.authentication import KeySigner
from client.ike.events import Address, AnswerNeeded, Channel, Endpoint, Transmit
from client.ike.identity import Identity
from client.ike.keys import Secret
from client.ike.options import CertLogin, CertProof, EapLogin, Patience, PskLogin, PskProof, SessionConfig
from client.ike.proposals import PRESETS, parse_offer
from client.ike.registry import EapType, ProtocolId
from client.ike.selectors import ANY_IPV4, ANY_IPV6, selector_of
from client.ike.session import Session
from client.ike.states import SessionState
from client.ike.trust import Trust
from client.lab.pki import make_authority
from client.lab.topology import GATEWAY, WIFI
from client.net.netlink import snapshot
from client.net.udp import open_path
from client.tunnel.model import Underlay
from tests.netns.peers.roadwarrior import (
    GATEWAY_NAME,
    PASSWORD,
    SHARED_KEY,
    USER,
    Method,
    Road,
    make_credentials,
)
from tests.netns.peers.vici import Value

NOW = datetime.now(UTC)
LONG_AGO, LATELY = NOW - timedelta(days=90), NOW - timedelta(days=2)
CREDENTIALS = make_credentials("ecdsa")
STRANGERS = make_authority("Somebody Else")
LONGEST = 4.5  # seconds that one case may take
A_MOMENT = 1.0
QUICK = Patience(first=0.3, cap=1.0, give_up=4.0)
LAN = ip_network("10.77.0.0/24")


def by_key(**changes: object) -> SessionConfig:
    """A client with a pre-shared key, as the gateway expects it but for the changes."""
    ike, esp = PRESETS["modern"]
    secret = Secret(SHARED_KEY.encode())
    config = SessionConfig(
        local_id=Identity.parse(USER),
        remote_id=Identity.parse(GATEWAY_NAME),
        send_idr=False,
        strict_idr=True,
        login=PskLogin(secret),
        proof=PskProof(secret),
        ike_offer=parse_offer(ProtocolId.IKE, ike),
        esp_offer=parse_offer(ProtocolId.ESP, esp),
        local_selectors=(ANY_IPV4, ANY_IPV6),
        remote_selectors=(ANY_IPV4, ANY_IPV6),
        force_encapsulation=True,
        patience=QUICK,
    )
    return replace(config, **changes)  # type: ignore[arg-type]


def trusting(authority: object = CREDENTIALS.authority, name: str = GATEWAY_NAME) -> CertProof:
    return CertProof(Trust((authority.certificate,), Identity.parse(name)))  # type: ignore[attr-defined]


def by_password(
    password: str = PASSWORD, proof: CertProof | None = None, method: EapType = EapType.MSCHAPV2
) -> SessionConfig:
    login = EapLogin(USER, Secret(password.encode()), (method,))
    return by_key(login=login, proof=proof or trusting(), strict_idr=False)


def by_certificate(issued: object = CREDENTIALS.user) -> SessionConfig:
    login = CertLogin(issued.chain, KeySigner(issued.key))  # type: ignore[attr-defined]
    return by_key(login=login, proof=trusting(), strict_idr=False)


def outdated_user() -> SessionConfig:
    return by_certificate(
        CREDENTIALS.authority.issue(
            f"CN={USER}", emails=[USER], server=False, not_before=LONG_AGO, not_after=LATELY
        )
    )


def outdated_gateway() -> Road:
    issued = CREDENTIALS.authority.issue(
        f"CN={GATEWAY_NAME}", dns=[GATEWAY_NAME], not_before=LONG_AGO, not_after=LATELY
    )
    return Road(Method.EAP, replace(CREDENTIALS, gateway=issued))


def road(method: Method = Method.PSK, **connection: Value) -> Callable[[], Road]:
    return lambda: Road(method, None if method is Method.PSK else CREDENTIALS, connection=connection)


def child(**settings: Value) -> Callable[[], Road]:
    return lambda: Road(child=settings)


def for_another() -> Road:
    """Another user alone may log in."""
    return Road(connection={"remote-1": {"auth": "psk", "id": "other@example.org"}})


def proving_by_key() -> Road:
    """EAP behind a pre-shared key of the gateway."""
    proof: Value = {"auth": "psk", "id": GATEWAY_NAME}
    return Road(Method.EAP, CREDENTIALS, shared_key=True, connection={"local-1": proof})


@dataclass(frozen=True)
class Case:
    """How the gateway is set up, what the client does, and the cause that must be found.

    `after` happens once the connection stands; `wall` is how far the client's clock is off, in days; `remote` is
    where the client believes the gateway to be; `looks`: both ports are asked after a silence.
    """

    cause: str
    client: Callable[[], SessionConfig] = by_key
    gateway: Callable[[], Road] = Road
    after: Callable[[Session], None] | None = None
    wall: int = 0
    remote: str = str(GATEWAY)
    looks: bool = True


def rekey(session: Session) -> None:
    session.rekey_child(boottime())


def elsewhere() -> SessionConfig:
    return by_key(remote_selectors=(selector_of(ip_network("172.31.0.0/16")),))


def with_pfs() -> SessionConfig:
    return by_key(esp_offer=parse_offer(ProtocolId.ESP, ("aes256gcm16-ecp521",)))


STRANGE_USER = STRANGERS.issue(f"CN={USER}", emails=[USER], server=False)
STRANGE_CHAIN = replace(STRANGE_USER, intermediates=(STRANGERS.certificate,))

CASES: dict[str, Case] = {
    "another pre-shared key": Case(
        "login.key_or_name", lambda: by_key(login=PskLogin(Secret(b"not the key of this gateway")))
    ),
    "a user that it does not expect": Case("login.key_or_name", gateway=for_another),
    "no common algorithm for IKE": Case(
        "crypto.ike_proposal", gateway=road(proposals=["aes192-sha512-ecp521"])
    ),
    "no common algorithm for ESP": Case(
        "crypto.esp_proposal", gateway=child(esp_proposals=["aes192-sha512"])
    ),
    "other networks behind it": Case("ts.unacceptable", elsewhere),
    "no pool of addresses": Case("address.family", gateway=road(pools=[])),
    "wrong password": Case(
        "login.password", lambda: by_password("not the password"), gateway=road(Method.EAP)
    ),
    "another EAP method": Case(
        "login.eap_method", lambda: by_password(method=EapType.GTC), gateway=road(Method.EAP)
    ),
    "EAP where a key is due": Case(
        "login.not_by_eap", by_password, gateway=lambda: Road(credentials=CREDENTIALS)
    ),
    "unknown CA": Case(
        "trust.unknown_ca", lambda: by_password(proof=trusting(STRANGERS)), gateway=road(Method.EAP)
    ),
    "another name": Case(
        "trust.name_mismatch",
        lambda: by_password(proof=trusting(name="work.example")),
        gateway=road(Method.EAP),
    ),
    "called by its address": Case(
        "trust.by_address", lambda: by_password(proof=trusting(name=str(GATEWAY))), gateway=road(Method.EAP)
    ),
    "its certificate expired": Case("trust.expired", by_password, gateway=outdated_gateway),
    "a clock that is a year late": Case(
        "trust.not_yet_valid", by_password, gateway=road(Method.EAP), wall=-400
    ),
    "our certificate of a stranger": Case(
        "login.issuer_unwanted", lambda: by_certificate(STRANGE_CHAIN), gateway=road(Method.CERTIFICATE)
    ),
    "our certificate of a stranger, alone": Case(
        "login.certificate_refused", lambda: by_certificate(STRANGE_USER), gateway=road(Method.CERTIFICATE)
    ),
    "our certificate expired": Case(
        "login.own_certificate_expired", outdated_user, gateway=road(Method.CERTIFICATE)
    ),
    "a name that our certificate does not bear": Case(
        "login.identity",
        lambda: replace(by_certificate(), local_id=Identity.parse("bob@example.org")),
        gateway=road(Method.CERTIFICATE),
    ),
    "a key where a certificate is due": Case("trust.no_certificate", by_password, gateway=proving_by_key),
    "no group in rekeys": Case(
        "crypto.pfs_group", with_pfs, gateway=child(esp_proposals=["aes256gcm16-ecp256"]), after=rekey
    ),
    "nobody at that address": Case("net.unreachable", remote="192.0.2.99", looks=False),
}


async def evidence_of(case: Case) -> Evidence:
    """Connect (in vain, most often), and what is left of it; to be awaited in the laptop's namespace."""
    config, wall = case.client(), NOW + timedelta(days=case.wall)
    underlay = Underlay(WIFI.link, WIFI.laptop[0].ip, address(case.remote))
    arrived: asyncio.Queue[tuple[bytes, Channel, Endpoint]] = asyncio.Queue()
    sockets = open_path(underlay, 500, lambda *datagram: arrived.put_nowait(datagram))
    recorder = Recorder(config, sockets.path, unix=time.time(), now=boottime())
    session = Session(config, os.urandom, recorder.hear)
    try:
        session.initiate(sockets.path, boottime(), wall)
        await drive(session, sockets.send, arrived, recorder, case.after)
        for report in sockets.icmp:
            recorder.note_icmp(report_record(report))
    finally:
        sockets.close()
    ended = recorder.record(boottime()).ended
    if ended == "net.no_response" and case.looks:
        for check in await check_ports(underlay, 500):
            recorder.note_check(check)
    clock = local_record(snapshot(), wall.timestamp())
    return Evidence(state="waiting", failure=ended, attempts=(recorder.record(boottime()),), local=clock)


def address(text: str) -> Address:
    return type(GATEWAY)(text)


Send = Callable[[bytes, Channel], None]
Arrived = asyncio.Queue[tuple[bytes, Channel, Endpoint]]


async def drive(
    session: Session,
    send: Send,
    arrived: Arrived,
    recorder: Recorder,
    after: Callable[[Session], None] | None,
) -> None:
    """The engine's loop, until it has ended, or a moment after what is done once it stands."""
    deadline, acted = boottime() + LONGEST, False
    while session.state is not SessionState.CLOSED and boottime() < deadline:
        perform(session, send, recorder)
        if session.state is SessionState.ESTABLISHED and session.children and not acted:
            if after is None:
                return
            after(session)
            deadline, acted = boottime() + A_MOMENT, True
            continue
        due = min(session.next_deadline() or deadline, deadline)
        try:
            async with asyncio.timeout(max(due - boottime(), 0.0)):
                data, channel, remote = await arrived.get()
        except TimeoutError:
            session.handle_timeout(boottime())
        else:
            session.handle_datagram(data, channel, remote, boottime())
    perform(session, send, recorder)


def perform(session: Session, send: Send, recorder: Recorder) -> None:
    """All that it has let out."""
    for output in session.outputs():
        recorder.note(output, boottime())
        if isinstance(output, Transmit):
            send(output.data, output.channel)
        elif isinstance(output, AnswerNeeded):
            session.decline(boottime())  # nobody is there to type another password
