"""SAs and policies of a namespace as lines."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from client.lab.namespaces import Namespace
from client.lab.xfrm_dump import xfrm_lines
from client.system.xfrm import Xfrm
from client.system.xfrm_model import Direction, Flow, Policy, SaId

pytestmark = pytest.mark.netns

FLOW = Flow(IPv4Network("10.7.0.1/32"), IPv4Network("10.77.0.0/24"), 17)


def test_an_sa_and_a_policy_have_a_line_each() -> None:
    namespace = Namespace.create("dump")
    try:
        with namespace.entered():
            assert list(xfrm_lines()) == []
            with Xfrm() as tables:
                tables.allocate_spi(
                    SaId(IPv4Address("192.0.2.1"), 0xC0FFEE01, IPv4Address("192.0.2.2")), 7, 42
                )
                tables.put_policy(Policy(FLOW, Direction.OUT, 42, 1000, None))
            assert list(xfrm_lines()) == [
                "sa 192.0.2.2 -> 192.0.2.1 spi c0ffee01 protocol 50 interface 0x2a larval",
                "policy 10.7.0.1/32 -> 10.77.0.0/24 protocol 17 direction 1 interface 0x2a block priority 1000",
            ]
    finally:
        namespace.close()
