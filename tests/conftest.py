"""What all tests share: tests that need namespaces say in one line why they do not run."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import settings

from tests.evidence import Evidence
from tests.secrecy.scanner import Scanner

PEERS = ("bookworm", "trixie")
LONGEST_WITH_PEERS = 560
"""Seconds: the first test that needs a peer waits for it to be fetched, however slow the network is."""
settings.register_profile("roam", derandomize=True, deadline=None)  # no luck, and no clock
settings.load_profile("roam")

Record = Callable[[str, object], None]
"""The fixture `record_property`: something for the tables of `tests.evidence`, which counts if the test passes."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--peer", choices=PEERS, help="test against this Debian release's strongSwan only")
    parser.addoption("--record-logins", metavar="FILE", help="write down which ways to log in were shown")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Scanner(), "secrecy")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Evidence(), "evidence")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("netns") is not None]
    if not marked:
        return
    for item in marked:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LONGEST_WITH_PEERS))
    reason = _why_no_namespaces()
    if reason is not None:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


def _why_no_namespaces() -> str | None:
    if os.geteuid() != 0:
        return "needs root for network namespaces: sudo make test"
    from client.lab.isolation import why_not

    return why_not()
