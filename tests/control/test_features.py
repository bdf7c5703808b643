"""The words of `hello`: stable, and about methods and questions that there are."""

from __future__ import annotations

import asyncio
from pathlib import Path

from client.control.access import PeerCredentials
from client.control.async_client import AsyncClient
from client.control.features import FEATURES
from client.control.messages import HELD_KINDS, SECRET_KINDS
from client.control.methods import METHODS
from tests.control.fake import FakeDaemon, serving

PROMISED = (
    "tunnels events replay questions new-password signature sim-challenge reauth details round-trip verify "
    "lockdown portal profiles presets explain probe doctor log report daemon varlink"
)
"""What programs test for.  A word is added here; none is ever taken away."""


def test_words_that_were_promised_stay() -> None:
    assert list(FEATURES) == PROMISED.split()


def test_every_method_has_a_word_and_every_word_is_about_methods_that_there_are() -> None:
    told = {name for feature in FEATURES.values() for name in feature.methods}
    assert told == set(METHODS)


def test_questions_that_are_more_than_typing_have_a_word() -> None:
    assert {"new-password", *HELD_KINDS} <= set(SECRET_KINDS) & set(FEATURES)


def test_whoever_asks_is_told_of_all_of_them_and_of_the_methods_that_are_his(path: Path) -> None:
    async def run() -> tuple[tuple[str, ...], tuple[str, ...]]:
        async with serving(FakeDaemon(), path, PeerCredentials(1002, 1002)), AsyncClient(str(path)) as client:
            welcome = await client.hello("test")
            return welcome.features, welcome.methods

    features, methods = asyncio.run(run())
    assert features == tuple(FEATURES)
    assert "profile.presets" in methods
    assert "profile.get" not in methods, "he may only read"
