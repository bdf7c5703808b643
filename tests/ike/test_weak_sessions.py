"""Sessions under what `allow_legacy` admits, and that nothing of it comes in unasked."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import pytest

from client.ike.options import SessionConfig
from client.ike.proposals import PRESETS, Offer, parse_offer
from client.ike.registry import ProtocolId
from client.ike.transforms import weak_words
from client.lab.responder import GatewayConfig
from profiles.weakness import REMARKS
from tests.network import assert_agreement
from tests.pair import Pair, client_config, fit, gateway_config

WEAK = (
    "aes256-sha1-modp1024",
    "aes128-sha1-modp1536",
    "aes128gcm16-prfsha1-modp1024",
    "aes256-sha256-modp1536",
)


def both(ike: str) -> tuple[Offer, Offer]:
    """For IKE and ESP; the latter has the same group, so that it counts at a rekey."""
    esp = "-".join(word for word in ike.split("-") if not word.startswith("prf"))
    return weak(ProtocolId.IKE, ike), weak(ProtocolId.ESP, esp)


def weak(protocol: ProtocolId, *words: str) -> Offer:
    return parse_offer(protocol, words, allow_legacy=True)


def client(ike: Offer, esp: Offer) -> SessionConfig:
    return replace(client_config(), ike_offer=ike, esp_offer=esp)


def gateway(ike: Offer, esp: Offer) -> GatewayConfig:
    return replace(gateway_config(), ike_offer=ike, esp_offer=esp)


@pytest.mark.parametrize("words", WEAK)
def test_a_session_lives_and_renews_itself_under_each(words: str) -> None:
    pair = Pair(client(*both(words)), gateway(*both(words)))
    assert pair.connect(), pair.closed
    assert fit(pair.client.children[0], pair.gateway.children[0])
    pair.client.rekey_child(pair.now)
    pair.run(20)
    pair.client.rekey_ike(pair.now)
    pair.run(20)
    pair.gateway.rekey_child(pair.now)
    pair.run(20)
    assert_agreement(pair)
    assert len(pair.children_up()) == 3
    group = words.rpartition("-")[2]
    assert group in weak_words(pair.established.suite)
    assert group in weak_words(pair.client.child_suite or "")


def test_a_gateway_without_anything_better_gets_it_in_a_second_attempt() -> None:
    ours = weak(ProtocolId.IKE, "aes256-sha256-modp2048", "aes256-sha1-modp1024")
    its_own = weak(ProtocolId.IKE, "aes256-sha1-modp1024")
    pair = Pair(replace(client_config(), ike_offer=ours), replace(gateway_config(), ike_offer=its_own))
    assert pair.connect(), pair.closed
    assert weak_words(pair.established.suite) == ("sha1", "prfsha1", "modp1024")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_gateway_that_has_nothing_else_is_refused_where_nothing_weak_was_offered(preset: str) -> None:
    ike, esp = PRESETS[preset]
    ours = client(parse_offer(ProtocolId.IKE, ike), parse_offer(ProtocolId.ESP, esp))
    pair = Pair(ours, gateway(*both("aes256-sha1-modp1024")))
    assert not pair.connect(seconds=30.0)


def test_no_preset_of_proposals_has_anything_weak() -> None:
    words = "-".join(chain.from_iterable(chain.from_iterable(PRESETS.values()))).split("-")
    assert not set(words) & set(REMARKS)
