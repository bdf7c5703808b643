"""Which data path carries a tunnel: found by trying what the kernel can do, in a way that leaves nothing behind."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from itertools import product

from ..ike.events import ChildKeys, ChildSa, Endpoint, EspAlgorithms
from ..ike.keys import Secret
from ..ike.transforms import ENCRYPTIONS, INTEGRITIES, encryption, integrity
from .xfrm import Xfrm
from .xfrm_link import drop_link, make_link
from .xfrm_model import Device, Limits, Sa
from .xfrm_offload import FILTERED
from .xfrm_plan import Outer, pair_of
from .xfrm_tunnel import IF_IDS, Tables

_LINK = "roam-probe"
_PROBE_IDS = IF_IDS[-16:]
_SPI = 0x7300_7300
_UDP_ENCAP, _ESP_IN_UDP = 100, 2
_NO_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
_HERE, _THERE = IPv4Address("192.0.2.73"), IPv4Address("192.0.2.74")  # no packet comes from or goes to these
_HERE6, _THERE6 = IPv6Address("2001:db8::73"), IPv6Address("2001:db8::74")
_OUTER = (
    Outer(Endpoint(_HERE, 61440), Endpoint(_THERE, 4500), encapsulate=True),
    Outer(Endpoint(_HERE6, 61440), Endpoint(_THERE6, 4500), encapsulate=False),
)
_NO_INTEGRITY = 0  # transform ID NONE (RFC 7296 section 3.3.2)


class DataPathKind(StrEnum):
    """As the profile's `data_path` and the status name them."""

    XFRM = "xfrm"
    XFRM_OFFLOAD = "xfrm-offload"  # and network devices do the cryptography, where they can
    USERSPACE = "userspace"


@dataclass(frozen=True, slots=True)
class Choice:
    """A data path, and why it is this one."""

    kind: DataPathKind
    reason: str


def choose_data_path(wanted: str = "auto", algorithms: Iterable[EspAlgorithms] | None = None) -> Choice:
    """The data path for a tunnel whose gateway may choose any of these algorithms; None: all that there are.

    Blocks for some milliseconds, at the first time for as long as the kernel loads modules; not to be called where
    an event loop runs.
    """
    if wanted != "auto":
        return Choice(DataPathKind(wanted), "the profile asks for it")
    lacking = what_kernel_lacks(all_algorithms() if algorithms is None else tuple(algorithms))
    if lacking is not None:
        return Choice(DataPathKind.USERSPACE, lacking)
    return Choice(DataPathKind.XFRM, "the kernel has ESP with these algorithms, and xfrm interfaces")


def all_algorithms() -> tuple[EspAlgorithms, ...]:
    """Every encryption of the registry, with every integrity where it needs one."""
    return tuple(
        EspAlgorithms(row.id, row.key_bits, integ, esn=True)
        for row in ENCRYPTIONS
        for integ in ((_NO_INTEGRITY,) if row.aead else tuple(entry.id for entry in INTEGRITIES))
    )


def what_kernel_lacks(algorithms: tuple[EspAlgorithms, ...]) -> str | None:
    """The first thing that the kernel cannot do of what its data path needs, in words; None where it can do all."""
    try:
        tables = Xfrm()
    except OSError as error:
        return f"the kernel has no XFRM ({_why(error)})"
    with tables:
        return _lacks_algorithms(tables, algorithms) or _lacks_interfaces() or _lacks_encapsulation()


def _lacks_interfaces() -> str | None:
    try:
        make_link(_LINK, 1400, _PROBE_IDS)
        drop_link(_LINK)
    except OSError as error:
        return f"the kernel has no xfrm interfaces ({_why(error)})"
    return None


def _lacks_encapsulation() -> str | None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as natt:
        try:
            natt.setsockopt(socket.IPPROTO_UDP, _UDP_ENCAP, _ESP_IN_UDP)
        except OSError as error:
            return f"the kernel has no ESP in UDP ({_why(error)})"
    return None


def _lacks_algorithms(tables: Xfrm, algorithms: tuple[EspAlgorithms, ...]) -> str | None:
    for row, outer in product(algorithms, _OUTER):
        version = outer.local.address.version
        try:
            _try_sa(tables, pair_of(_child(row), 1, _PROBE_IDS[0], outer, Limits()).inbound)
        except OSError as error:
            if version == 4 or error.errno not in _NO_FAMILY:
                return f"the kernel has no ESP with {_name(row)} over IPv{version} ({_why(error)})"
    return None


def why_filtered(tables: Tables) -> str:
    """Why whole packets that a device is to encrypt cannot be sent by this kernel, in words; "" where they can.

    As `xfrm_offload` says, this is known by what the kernel says of an inbound SA with an interface number.  It is
    asked for loopback, which does no cryptography, and where older ones see nothing to refuse.
    """
    row = next(row for row in all_algorithms() if row.integ == _NO_INTEGRITY)
    sa = pair_of(_child(row), 1, _PROBE_IDS[0], replace(_OUTER[0], encapsulate=False), Limits()).inbound
    try:
        _try_sa(tables, replace(sa, device=Device(socket.if_nametoindex("lo"), inbound=True)))
    except OSError as error:
        return "" if error.errno == errno.EINVAL else FILTERED
    return FILTERED


def _try_sa(tables: Tables, sa: Sa) -> None:
    tables.delete_sa(sa.id)  # of a probe that was killed
    tables.add_sa(sa)
    tables.delete_sa(sa.id)


def _child(row: EspAlgorithms) -> ChildSa:
    """With keys of zeros, which meet no packet."""
    encr, integ = encryption(row.encr, row.encr_key_bits), integrity(row.integ)
    encr_key = Secret(bytes(encr.keymat_size if encr is not None else 0))
    integ_key = Secret(bytes(integ.key_size if integ is not None else 0))
    keys = ChildKeys(encr_key, integ_key, encr_key, integ_key)
    return ChildSa(_SPI, _SPI, row, keys, (), (), encapsulate=True)


def _name(row: EspAlgorithms) -> str:
    encr, integ = encryption(row.encr, row.encr_key_bits), integrity(row.integ)
    return f"{encr}" if integ is None else f"{encr}/{integ}"


def _why(error: OSError) -> str:
    return error.strerror or str(error)
