"""How often a password leaves in one session, and what a session says of one that has left: by every method.

The gateway here counts the proofs that it is given, and answers them in each of the ways that gateways have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from client.ike.events import AnswerNeeded, Failure, Kind
from client.ike.keys import OneTimeCode, Secret
from client.ike.message import Message
from client.ike.options import CertProof, EapLogin, Inner, SessionConfig
from client.ike.payloads import Notify, Payload
from client.ike.registry import EapType, NotifyType
from client.ike.trust import Trust
from client.lab import acceptance, eap_methods, eap_tls, ttls_chap
from client.lab.accounts import Accounts
from client.lab.responder import GatewayConfig
from tests.ike.eap.tls_dialogue import OPTIONS, SERVICE
from tests.pair import AUTHORITY, GATEWAY_ID, Flight, Pair, client_config, gateway_config
from tests.secrecy.scanner import kept_secret

RIGHT, WRONG = (Secret(kept_secret(text).encode()) for text in ("wonderland", "jabberwocky"))


@dataclass(frozen=True)
class Way:
    """A method, and what is inside."""

    method: EapType
    inner: Inner | None = None
    asks: EapType = EapType.MSCHAPV2  # what the server begins with inside

    def login(self, password: Secret | OneTimeCode) -> EapLogin:
        options = OPTIONS if self.inner is None else replace(OPTIONS, inner=(self.inner,))
        return EapLogin("alice", password, (self.method,), options)


WAYS = {
    "md5": Way(EapType.MD5),
    "gtc": Way(EapType.GTC),
    "mschapv2": Way(EapType.MSCHAPV2),
    "ttls with pap": Way(EapType.TTLS, Inner.PAP),
    "ttls with mschapv2": Way(EapType.TTLS, Inner.MSCHAPV2),
    "ttls with eap-mschapv2": Way(EapType.TTLS, Inner.EAP_MSCHAPV2),
    "ttls with eap-md5": Way(EapType.TTLS, Inner.EAP_MD5, EapType.MD5),
    "ttls with eap-gtc": Way(EapType.TTLS, Inner.EAP_GTC, EapType.GTC),
    "peap with mschapv2": Way(EapType.PEAP, Inner.MSCHAPV2),
    "peap with eap-gtc": Way(EapType.PEAP, Inner.EAP_GTC, EapType.GTC),
}


JUDGES = (
    (eap_methods.Md5Server, "judge"),
    (eap_methods.GtcServer, "judge"),
    (eap_methods.Mschapv2Server, "_check"),
    (eap_tls.TtlsServer, "_pap"),
    (ttls_chap.Chap, "_check"),
)
"""Where the servers of the lab look at a proof."""


@dataclass
class Ledger:
    """How many proofs the gateway was given."""

    tries: int = 0


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    kept = Ledger()

    def counted(judge: Callable[..., object]) -> Callable[..., object]:
        def judging(*arguments: object) -> object:
            kept.tries += 1
            return judge(*arguments)

        return judging

    for server, name in JUDGES:
        monkeypatch.setattr(server, name, counted(getattr(server, name)))
    return kept


def client(way: Way, password: Secret | OneTimeCode = WRONG) -> SessionConfig:
    return client_config(way.login(password), CertProof(Trust((AUTHORITY.certificate,), GATEWAY_ID)))


def gateway(way: Way) -> GatewayConfig:
    accounts = Accounts({"alice": RIGHT}, tls=replace(SERVICE, inner=(way.asks,)))
    return replace(
        gateway_config(), clients="eap", proof="cert", accounts=accounts, eap_methods=(way.method,)
    )


def end_of(pair: Pair, seconds: float = 400.0) -> Failure:
    assert not pair.connect(seconds=seconds)
    assert pair.closed is not None
    return pair.closed.failure


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_wrong_password_is_judged_once_and_for_all(way: Way, ledger: Ledger) -> None:
    failure = end_of(Pair(client(way), gateway(way)))
    assert (failure.kind, failure.final, failure.unjudged) == (Kind.AUTH_REJECTED, True, False)
    assert ledger.tries == 1


ANSWERS: dict[str, Callable[[acceptance.Acceptance], tuple[Payload, ...]]] = {
    "a notify instead of EAP": lambda _: (Notify(NotifyType.AUTHENTICATION_FAILED),),
    "another error": lambda _: (Notify(NotifyType.NO_PROPOSAL_CHOSEN),),
    "nothing of EAP": lambda _: (),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_whatever_a_gateway_answers_a_password_with_is_final(
    way: Way,
    answer: Callable[[acceptance.Acceptance], tuple[Payload, ...]],
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = acceptance.Acceptance._continue_eap

    def judged(self: acceptance.Acceptance, message: Message) -> tuple[Payload, ...]:
        answered = whole(self, message)
        return answer(self) if ledger.tries else answered

    monkeypatch.setattr(acceptance.Acceptance, "_continue_eap", judged)
    failure = end_of(Pair(client(way), gateway(way)))
    assert failure.final
    assert ledger.tries == 1


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_silence_after_a_password_is_told_from_any_other(way: Way, ledger: Ledger) -> None:
    pair = Pair(client(way), gateway(way))

    def swallow(flight: Flight) -> tuple[Flight, ...]:
        return () if ledger.tries and not flight.to_gateway else (flight,)

    pair.fate = swallow
    failure = end_of(pair)
    assert (failure.kind, failure.final, failure.unjudged) == (Kind.NET_NO_RESPONSE, False, True)
    assert "went silent after the password" in failure.hint
    assert ledger.tries == 1


def test_silence_before_the_password_is_nothing_special(ledger: Ledger) -> None:
    way = WAYS["mschapv2"]
    pair = Pair(client(way), gateway(way))
    pair.fate = lambda flight: (flight,) if flight.to_gateway or flight.number < 4 else ()
    failure = end_of(pair)
    assert (failure.kind, failure.unjudged) == (Kind.NET_NO_RESPONSE, False)
    assert ledger.tries == 0


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_code_leaves_in_one_session_of_several(way: Way, ledger: Ledger) -> None:
    config = client(way, OneTimeCode(WRONG))
    for tries in range(3):
        pair = Pair(config, gateway(way), seed=tries)
        pair.connect(seconds=400.0)
        asked = bool(pair.events(AnswerNeeded))
        assert pair.closed is not None or asked  # a card asks for another code, everything else ends
    assert ledger.tries == 1
