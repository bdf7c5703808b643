"""A network with the tunnel's own addresses, found on the way: a real daemon keeps traffic right, or says why not.

Guest networks take their prefixes where the pools of gateways do.  What is assigned is judged when it comes; here
the network changes afterwards, under a tunnel that stands.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from ipaddress import IPv4Interface, ip_address, ip_interface
from typing import Any

import pytest

from client.ike.events import Address
from client.lab.echo import ping
from client.lab.laptop import wait_for
from client.lab.links import Hop, add_routes, replace_addresses
from client.lab.plan import GatewayPlan
from client.lab.snapshot import difference
from client.lab.topology import SERVER, SERVER_V6
from tests.daemon.test_roamd import Scene, scene  # noqa: F401 - a fixture

pytestmark = [pytest.mark.netns, pytest.mark.slow]

INSIDE = "10.99.0.10"
ROUTER = "10.77.0.99"


def check_in(scene: Scene, ours: str, router: str) -> None:  # noqa: F811
    """The Wi-Fi is another one: the same card, other addresses of IPv4."""
    plan = scene.lab.wifi.plan
    local, far = ip_interface(ours), ip_interface(router)
    assert isinstance(local, IPv4Interface)
    scene.lab.wifi.router.run(lambda: replace_addresses("lan", [far, plan.router[1]]))

    def on_laptop() -> None:
        replace_addresses(plan.link, [local, plan.laptop[1]])
        add_routes(plan.link, [Hop("0.0.0.0/0", str(far.ip), plan.metric)])

    scene.laptop.namespace.run(on_laptop)


def check_out(scene: Scene) -> None:  # noqa: F811
    plan = scene.lab.wifi.plan
    check_in(scene, str(plan.laptop[0]), str(plan.router[0]))


def reaches(scene: Scene, address: Address) -> bool:  # noqa: F811
    return scene.laptop.namespace.run(partial(ping, address, 0.5)) is not None


def status(scene: Scene) -> dict[str, Any]:  # noqa: F811
    return scene.laptop.status("office")


def begin(scene: Scene, **plan: Any) -> None:  # noqa: F811, ANN401 - as the plan has it
    """Up over Wi-Fi alone."""
    scene.stop_gateway()
    replace(GatewayPlan.read(scene.plan), **plan).write(scene.plan)
    scene.start_gateway()
    scene.lab.lte.down()
    scene.start()
    scene.up_by_system_profile()
    assert f"{INSIDE}/32" in status(scene)["addresses"]
    assert reaches(scene, SERVER)


def test_an_inside_address_that_becomes_our_own_is_left_out_for_as_long(scene: Scene) -> None:  # noqa: F811
    """The guard would drop what the gateway sends to the uplink's address, which is the inside one."""
    begin(scene)
    check_in(scene, f"{INSIDE}/24", "10.99.0.1/24")
    wait_for(lambda: reaches(scene, SERVER_V6), "nothing passes", scene.laptop.log)
    told = status(scene)
    assert f"the gateway assigns {INSIDE}, which is this computer's own on wlan0: not used" in told["remarks"]
    assert [text for text in told["addresses"] if "." in text] == []
    assert told["path"]["local"].startswith(f"{INSIDE}:")
    check_out(scene)
    wait_for(lambda: reaches(scene, SERVER), "not as before", scene.laptop.log)
    assert (status(scene)["remarks"], status(scene)["session"]) == ([], told["session"])


def test_where_no_address_is_left_the_tunnel_waits_for_another_network_and_says_why(scene: Scene) -> None:  # noqa: F811
    begin(scene, pools=("10.99.0.0/24",))
    check_in(scene, f"{INSIDE}/24", "10.99.0.1/24")
    wait_for(lambda: scene.state() == "waiting", "still up", scene.laptop.log)
    wait_for(lambda: status(scene)["failure"], "the reason is not told", scene.laptop.log)
    failure = status(scene)["failure"]
    assert failure["kind"] == "address.none"
    assert failure["evidence"] == f"the gateway assigned {INSIDE}, which is this computer's own on wlan0"
    assert "connect from another network" in failure["hint"]
    assert not reaches(scene, SERVER)
    check_out(scene)
    wait_for(lambda: scene.state() == "up" and reaches(scene, SERVER), "not as before", scene.laptop.log)


def test_a_local_network_with_the_prefix_of_the_one_behind_the_gateway_is_told(scene: Scene) -> None:  # noqa: F811
    before = scene.laptop.snapshot()
    begin(scene)
    check_in(scene, "10.77.0.23/24", f"{ROUTER}/24")
    wait_for(lambda: "10.77.0.23" in status(scene)["path"]["local"], "not moved", scene.laptop.log)
    wait_for(lambda: reaches(scene, SERVER), "the server is not reached", scene.laptop.log)
    assert not reaches(scene, ip_address(ROUTER)), "it has an address that belongs to the tunnel"
    (told,) = status(scene)["remarks"]
    assert told.startswith(
        "`include` has 10.77.0.0/24, which is a local network here too: it goes into the tunnel"
    )
    check_out(scene)
    wait_for(
        lambda: status(scene)["remarks"] == [] and reaches(scene, SERVER), "not as before", scene.laptop.log
    )
    scene.lab.lte.up()
    scene.laptop.roam("down")
    assert difference(before, scene.laptop.snapshot()) == ()
