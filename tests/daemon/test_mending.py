"""What is told of policies that had to be put back."""

from __future__ import annotations

import logging
from ipaddress import IPv4Network

import pytest

from client.daemon.mending import Mending
from client.system.datapath import PoliciesMended
from client.system.feud import FREE
from client.system.xfrm_model import Direction, Flow, Policy, Template
from client.system.xfrm_policies import PutPolicy

FLOW = Flow(IPv4Network("10.7.0.1/32"), IPv4Network("0.0.0.0/0"))
MENDED = PoliciesMended((PutPolicy(Policy(FLOW, Direction.OUT, 0x73000001, 1000, Template())),), (4242,))


def test_each_repair_is_logged_and_a_fight_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    warned: list[str] = []
    mending = Mending(warned.append, lambda process: {4242: "charon"}.get(process, ""))
    with caplog.at_level(logging.INFO, "roam.applier"):
        for second in range(FREE + 2):
            assert bool(mending.fight(second)) is (second >= FREE)
            mending.hear(MENDED, float(second))
    assert caplog.text.count("put back: policy put out 10.7.0.1/32 → 0.0.0.0/0") == FREE + 2
    (told,) = warned
    assert told.startswith("charon (process 4242) keeps undoing 'policy put out 10.7.0.1/32 → 0.0.0.0/0'")
    assert told.endswith("have it leave the IPsec policies (ip xfrm policy) of our interface numbers alone.")
    assert mending.fight(1000.0) == ""
