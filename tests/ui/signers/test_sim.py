"""SIMs through plugins: found by their name, believed no further than a SIM, and what is told to the daemon."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints, entry_points

import pytest

from client.control.messages import ControlError, SecretAnswer, SecretCancel, SecretNeeded, SimChallenge
from profiles.errors import ProfileError
from tests.secrecy.scanner import kept_secret
from tests.ui.signers.test_card import Owner
from tests.ui.signers.test_holder import Holder, needed
from tests.ui.signers.virtual_plugin import answer_to
from ui.signers import sim
from ui.signers.holder import IKE, Trustee, reply
from ui.signers.sim import SimInHand, find
from ui.signers.sim_plugin import GROUP, Vectors
from ui.signers.uri import SimUri, parse_sim

KEY = "sim:plugin=modem"
PIN = kept_secret("27182818")
AUTN = bytes(range(16))


def plugins(**values: str) -> EntryPoints:
    return EntryPoints([EntryPoint(name, value, GROUP) for name, value in values.items()])


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    known = plugins(
        modem="tests.ui.signers.virtual_plugin:open_sim",
        missing="tests.ui.signers.nowhere:open_sim",
        wrong="tests.ui.signers.virtual_plugin:close_sim",
    )
    monkeypatch.setattr(sim, "entry_points", lambda group: known.select(group=group))


def modem() -> SimInHand:
    return find(SimUri(plugin="modem"), Owner(PIN))


def words_of(vectors: Vectors) -> str:
    """As the daemon gets them."""
    return " ".join(part.hex() for part in (vectors.res, vectors.ck, vectors.ik))


def challenge(last: int, key: str = KEY) -> SecretNeeded:
    """What the virtual modem answers depends on `last`."""
    wanted = SimChallenge(key, bytes([7] * 15 + [last]), AUTN)
    return SecretNeeded("7", "office", "sim-challenge", "", 0.0, challenge=wanted)


def test_roam_brings_the_plugin_for_card_readers_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (found,) = entry_points(group=GROUP, name=SimUri().plugin)
    assert found.load().__module__ == "ui.signers.pcsc"


def test_a_plugin_is_found_by_its_name_and_says_whose_its_sim_is() -> None:
    assert modem().shown() == b"001010123456789@nai.epc.mnc001.mcc001.3gppnetwork.org"


@pytest.mark.parametrize(
    ("uri", "kind", "words"),
    [
        (
            SimUri(plugin="gsm"),
            "auth.needs_signer",
            r'no plugin "gsm" for SIMs \(there are: missing, modem, wrong\)',
        ),
        (SimUri(plugin="missing"), "auth.needs_signer", r"the plugin missing failed \(ModuleNotFoundError\)"),
        (SimUri(plugin="wrong"), "auth.needs_signer", r"the plugin wrong failed \(AttributeError\)"),
        (SimUri("broken", plugin="modem"), "auth.needs_signer", r"the plugin modem failed \(OSError\)"),
        (SimUri("locked", plugin="modem"), "secret.wrong", "the modem refuses the PIN"),
    ],
)
def test_a_plugin_that_brings_no_sim_is_told_about(uri: SimUri, kind: str, words: str) -> None:
    with pytest.raises(ControlError, match=words) as error:
        find(uri, Owner())
    assert error.value.kind == kind


def test_a_plugin_that_names_nobody_is_not_believed() -> None:
    nobody = find(SimUri("nobody", plugin="modem"), Owner())
    with pytest.raises(ControlError, match="names no subscriber"):
        nobody.shown()


def test_a_challenge_is_answered_in_hexadecimal() -> None:
    answer = reply(challenge(0), {KEY: modem()})
    assert isinstance(answer, SecretAnswer)
    assert answer.value.reveal() == words_of(answer_to(bytes([7] * 15 + [0])))
    assert answer.value.reveal()[:16] not in repr(answer)
    answer = reply(challenge(1), {KEY: modem()})
    assert isinstance(answer, SecretAnswer)
    assert answer.value.reveal() == "00" * 14


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (2, "the modem is asleep"),
        (3, "the plugin modem failed (RuntimeError)"),
        (4, "the plugin modem answers with what no SIM answers"),
        (5, "the plugin modem answers with what no SIM answers"),
    ],
)
def test_a_sim_that_cannot_answer_says_why(last: int, why: str) -> None:
    assert reply(challenge(last), {KEY: modem()}) == SecretCancel("7", why)


def test_challenges_are_for_sims_and_signatures_for_keys() -> None:
    assert reply(challenge(0, "sim:"), {KEY: modem()}) is None
    assert reply(challenge(0), {KEY: Trustee(Holder(), (IKE,))}) is None
    assert reply(needed(key=KEY), {KEY: modem()}) is None


def test_a_reference_names_reader_imsi_and_plugin() -> None:
    assert parse_sim("", "auth.local[0].key") == SimUri()
    assert parse_sim("reader=Alcor%20Micro;imsi=001010123456789", "") == SimUri(
        "Alcor Micro", "001010123456789"
    )
    assert parse_sim("plugin=modem", "") == SimUri(plugin="modem")


@pytest.mark.parametrize("target", ["Alcor", "raeder=Alcor", "reader=a;reader=b"])
def test_what_a_reference_cannot_name_is_refused(target: str) -> None:
    with pytest.raises(ProfileError) as error:
        parse_sim(target, "auth.local[0].key")
    assert error.value.path == "auth.local[0].key"
