"""The kernel's IPsec states and policies as lines of text; the messages are our own, pyroute2 has none."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address

_NETLINK_XFRM = 6
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_XFRM_MSG_GETSA, _XFRM_MSG_GETPOLICY = 18, 21
_HEADER = struct.Struct("=IHHII")
_UNSUPPORTED = "not supported by this kernel"

# struct xfrm_selector: daddr 16, saddr 16, ports and masks, family at 40, prefix lengths at 42 and 43
_SELECTOR_SIZE = 56
_SA_SIZE = 224  # struct xfrm_usersa_info
_POLICY_SIZE = 168  # struct xfrm_userpolicy_info


def xfrm_lines() -> Iterator[str]:
    """One line for each SA and each policy of the calling thread's namespace."""
    try:
        states = [_state_line(body) for body in _dump(_XFRM_MSG_GETSA, _SA_SIZE)]
        policies = [_policy_line(body) for body in _dump(_XFRM_MSG_GETPOLICY, _POLICY_SIZE)]
    except OSError as error:
        yield f"{_UNSUPPORTED}: {error.strerror}"
        return
    yield from states
    yield from policies


def _dump(kind: int, body_size: int) -> Iterator[bytes]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_XFRM) as netlink:
        netlink.bind((0, 0))
        netlink.send(
            _HEADER.pack(_HEADER.size + body_size, kind, _NLM_F_REQUEST | _NLM_F_DUMP, 1, 0)
            + bytes(body_size)
        )
        while True:
            data = netlink.recv(1 << 16)
            while data:
                length, answer, *_ = _HEADER.unpack_from(data)
                if answer == _NLMSG_DONE:
                    return
                body = data[_HEADER.size : length]
                if answer == _NLMSG_ERROR:
                    raise OSError(-struct.unpack_from("=i", body)[0], "XFRM dump refused")
                yield body
                data = data[(length + 3) & ~3 :]


def _state_line(body: bytes) -> str:
    """struct xfrm_usersa_info: selector, then daddr 16, spi 4, proto 1 (+3), saddr 16, … family H at 212."""
    family = struct.unpack_from("=H", body, 212)[0]
    destination, spi, protocol = struct.unpack_from("!16sIB", body, _SELECTOR_SIZE)
    source = body[_SELECTOR_SIZE + 24 : _SELECTOR_SIZE + 40]
    return (
        f"sa {_address(source, family)} -> {_address(destination, family)} spi {spi:08x} protocol {protocol}"
    )


def _policy_line(body: bytes) -> str:
    """struct xfrm_userpolicy_info: selector, lifetimes (96 octets), priority, index, direction, action."""
    family = struct.unpack_from("=H", body, 40)[0]
    destination, source = body[:16], body[16:32]
    to_length, from_length = body[42], body[43]
    priority, _, direction, action = struct.unpack_from("=IIBB", body, _SELECTOR_SIZE + 96)
    return (
        f"policy {_address(source, family)}/{from_length} -> {_address(destination, family)}/{to_length} "
        f"direction {direction} action {action} priority {priority}"
    )


def _address(packed: bytes, family: int) -> str:
    if family == socket.AF_INET:
        return str(ip_address(packed[:4]))
    return str(ip_address(packed)) if family == socket.AF_INET6 else "any"
