"""The verbs on the kernel that runs the tests: what needs no ESP works everywhere."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import pytest

from client.ike.keys import Secret
from client.lab.namespaces import Namespace
from client.system.choice import DataPathKind, choose_data_path, what_kernel_lacks
from client.system.xfrm import Monitor, Xfrm, XfrmRefused
from client.system.xfrm_layout import Group
from client.system.xfrm_model import (
    Aead,
    Direction,
    Encapsulation,
    Flow,
    Policy,
    PolicyReport,
    Ports,
    Sa,
    SaDeleted,
    SaId,
    Template,
)
from client.system.xfrm_tunnel import IF_IDS, sweep

pytestmark = pytest.mark.netns

HERE, THERE, ELSEWHERE = (IPv4Address(f"192.0.2.{number}") for number in (1, 2, 3))
IF_ID = IF_IDS[0]
FLOW = Flow(
    IPv4Network("10.7.0.1/32"), IPv4Network("10.77.0.0/24"), 6, Ports(1024, 0xFC00), Ports(443, 0xFFFF)
)
SA = Sa(HERE, THERE, 0xC0FFEE01, 7, IF_ID, Aead("rfc4106(gcm(aes))", Secret(bytes(36)), 16))


@pytest.fixture
def xfrm() -> Iterator[Xfrm]:
    namespace = Namespace.create("xfrm")
    try:
        with namespace.entered(), Xfrm() as opened:
            yield opened
    finally:
        namespace.close()


def test_policies_come_back_as_they_were_put(xfrm: Xfrm) -> None:
    asks = Policy(FLOW, Direction.OUT, IF_ID, 1000, Template(HERE, THERE, 0xC0FFEE01, 7))
    takes_any = Policy(FLOW, Direction.IN, IF_ID, 1000, Template())
    for policy in (asks, takes_any):
        xfrm.put_policy(policy)
    inbound, outbound = sorted(xfrm.policies(), key=lambda report: report.direction)
    assert outbound == PolicyReport(FLOW, Direction.OUT, IF_ID, 1000, Template(HERE, THERE, 0xC0FFEE01, 7))
    assert inbound.is_of(takes_any)
    assert outbound.is_of(asks)


def test_putting_a_policy_again_replaces_it(xfrm: Xfrm) -> None:
    for template in (Template(HERE, THERE), None):
        xfrm.put_policy(Policy(FLOW, Direction.OUT, IF_ID, 1000, template))
    assert xfrm.policies() == (PolicyReport(FLOW, Direction.OUT, IF_ID, 1000),)


def test_policies_of_other_interfaces_are_others(xfrm: Xfrm) -> None:
    for if_id in (IF_ID, 42):
        xfrm.put_policy(Policy(FLOW, Direction.IN, if_id, 1000, Template()))
    xfrm.delete_policy(FLOW, Direction.IN, IF_ID)
    xfrm.delete_policy(FLOW, Direction.IN, IF_ID)
    assert [policy.if_id for policy in xfrm.policies()] == [42]


def test_an_spi_is_reserved_for_the_interface(xfrm: Xfrm) -> None:
    spi = xfrm.allocate_spi(SaId(HERE, 0, THERE), 7, IF_ID)
    assert spi >= 0x100
    (larval,) = xfrm.sas()
    assert (larval.spi, larval.source, larval.destination, larval.if_id) == (spi, THERE, HERE, IF_ID)
    assert larval.larval
    assert xfrm.read_sa(SaId(HERE, spi)) == larval


def test_a_reserved_spi_is_not_reserved_again(xfrm: Xfrm) -> None:
    assert xfrm.allocate_spi(SaId(HERE, 0xC0FFEE01, THERE), 7, IF_ID) == 0xC0FFEE01
    with pytest.raises(XfrmRefused) as caught:
        xfrm.allocate_spi(SaId(HERE, 0xC0FFEE01, ELSEWHERE), 8, IF_ID)
    assert caught.value.errno == errno.ENOENT


def test_what_is_not_there_reads_as_none_and_goes_silently(xfrm: Xfrm) -> None:
    assert xfrm.read_sa(SA.id) is None
    xfrm.delete_sa(SA.id)
    with pytest.raises(XfrmRefused) as caught:
        xfrm.take_sa(SA.id)
    assert caught.value.errno == errno.ESRCH


def test_serial_numbers_never_become_zero_which_is_the_kernels_own(xfrm: Xfrm) -> None:
    xfrm._serial = 0xFFFFFFFE
    for serial in (0xFFFFFFFF, 1, 2):
        assert xfrm.sas() == ()
        assert xfrm._serial == serial


def test_an_sa_that_is_taken_tells_its_last_state(xfrm: Xfrm) -> None:
    spi = xfrm.allocate_spi(SaId(HERE, 0, THERE), 7, IF_ID)
    before = xfrm.read_sa(SaId(HERE, spi))
    assert xfrm.take_sa(SaId(HERE, spi)) == before
    assert xfrm.sas() == ()


def test_a_monitor_hears_of_its_groups_only(xfrm: Xfrm) -> None:
    monitor, other = Monitor((Group.SA,)), Monitor((Group.EXPIRE,))
    spi = xfrm.allocate_spi(SaId(HERE, 0, THERE), 7, IF_ID)
    xfrm.delete_sa(SaId(HERE, spi))
    (gone,) = monitor.receive()
    assert isinstance(gone, SaDeleted)
    assert gone.last.spi == spi
    assert list(other.receive()) == []
    for opened in (monitor, other):
        opened.close()


def test_the_kernel_takes_our_migration_and_nothing_lent_stays(xfrm: Xfrm) -> None:
    """Without ESP there is no SA to move; the lent policy's template moves, and the policy is taken back."""
    to = Sa(HERE, ELSEWHERE, SA.spi, SA.reqid, IF_ID, SA.protection, encapsulation=Encapsulation(61440, 4500))
    try:
        xfrm.migrate_sa(SA, to)
    except XfrmRefused as error:
        if error.errno == errno.ENOPROTOOPT:
            pytest.skip("this kernel is built without XFRM_MIGRATE")
        raise
    finally:
        assert xfrm.policies() == ()


def test_an_sa_is_refused_for_its_transform_and_for_nothing_else(xfrm: Xfrm) -> None:
    if what_kernel_lacks(()) is None:
        xfrm.add_sa(SA)
        assert xfrm.read_sa(SA.id) is not None
        return
    with pytest.raises(XfrmRefused, match=r"algorithm not found|not supported") as caught:
        xfrm.add_sa(SA)
    assert caught.value.errno in (errno.ENOSYS, errno.EPROTONOSUPPORT, errno.EOPNOTSUPP)


def test_a_sweep_takes_ours_and_leaves_the_rest(xfrm: Xfrm) -> None:
    for if_id in (IF_ID, IF_IDS[-1], 42):
        xfrm.put_policy(Policy(FLOW, Direction.OUT, if_id, 1000, None))
        xfrm.allocate_spi(SaId(HERE, 0, THERE), if_id, if_id)
    assert len(sweep(xfrm)) == 4
    assert [policy.if_id for policy in xfrm.policies()] == [42]
    assert [sa.if_id for sa in xfrm.sas()] == [42]


def test_the_choice_has_a_reason_and_leaves_nothing(xfrm: Xfrm) -> None:
    choice = choose_data_path()
    assert choice.reason
    assert (choice.kind is DataPathKind.XFRM) == (
        what_kernel_lacks(()) is None and "has ESP" in choice.reason
    )
    assert (xfrm.sas(), xfrm.policies()) == ((), ())


def test_the_profile_can_choose(xfrm: Xfrm) -> None:
    for wanted in ("xfrm", "userspace"):
        choice = choose_data_path(wanted)
        assert (choice.kind, choice.reason) == (wanted, "the profile asks for it")
