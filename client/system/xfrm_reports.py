"""What the kernel answers, and what it tells by itself, about its IPsec tables.  Keys are never read back."""

from __future__ import annotations

import socket
import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from ..ike.events import Address, Network
from . import xfrm_layout as layout
from .xfrm_layout import Attribute, Kind
from .xfrm_messages import limits_of
from .xfrm_model import (
    ALL_ONES,
    Acquired,
    Device,
    Flow,
    Limits,
    MappingChanged,
    Offload,
    PoliciesTouched,
    PolicyReport,
    Ports,
    Replay,
    Report,
    SaDeleted,
    SaExpired,
    SaReport,
    Template,
    Usage,
)

_NO_LIMITS = limits_of(Limits())


def decode(kind: int, body: bytes, sender: int = 0) -> Report | None:
    """What a message of the kernel says; None for kinds that are of no interest here.

    `sender` is the port in its header: of whoever made the change that is told.
    """
    match kind:
        case Kind.NEWSA | Kind.UPDSA:
            return _sa_report(body, attributes_of(body, layout.USER_SA.size))
        case Kind.DELSA:
            attributes = attributes_of(body, layout.SA_ID.size)
            return SaDeleted(_sa_report(attributes[Attribute.SA], attributes))
        case Kind.EXPIRE:
            sa = _sa_report(body, attributes_of(body, layout.USER_SA.size + 8))
            return SaExpired(replace(sa, larval=False), bool(body[layout.USER_SA.size]))
        case Kind.NEWPOLICY | Kind.UPDPOLICY:
            return _policy_report(body, attributes_of(body, layout.USER_POLICY.size))
        case Kind.DELPOLICY | Kind.FLUSHPOLICY:
            return PoliciesTouched(None, sender)
        case Kind.MAPPING:
            return _mapping(body)
        case Kind.ACQUIRE:
            return _acquired(body)
        case _:
            return None


def _sa_report(body: bytes, attributes: dict[int, bytes]) -> SaReport:
    (_, destination, spi, protocol, source, _, usage, *numbers) = layout.USER_SA.unpack_from(body)
    outside, replayed, forged, _, reqid, family, _, _, _ = numbers
    return SaReport(
        source=_unpacked(source, family),
        destination=_unpacked(destination, family),
        spi=int.from_bytes(spi),
        protocol=protocol,
        reqid=reqid,
        if_id=_number(attributes, Attribute.IF_ID),
        usage=Usage(*layout.USAGE.unpack(usage)),
        replay=_replay_report(attributes),
        dropped=outside + replayed + forged,
        larval=Attribute.ALG_AEAD not in attributes and Attribute.ALG_CRYPT not in attributes,
        device=device_of(attributes),
    )


def _replay_report(attributes: dict[int, bytes]) -> Replay | None:
    wide = attributes.get(Attribute.REPLAY_ESN_VAL)
    if wide is not None:
        _, sent, received, sent_high, received_high, window = layout.REPLAY_ESN.unpack_from(wide)
        bitmap = wide[layout.REPLAY_ESN.size :]
        return Replay(window, sent_high << 32 | sent, received_high << 32 | received, bitmap)
    narrow = attributes.get(Attribute.REPLAY_VAL)
    if narrow is None:
        return None
    sent, received, _ = layout.REPLAY.unpack_from(narrow)
    return Replay(layout.BITMAP_WORD, sent, received, narrow[8:12])


def _policy_report(body: bytes, attributes: dict[int, bytes]) -> PolicyReport:
    flow, limits, _, priority, _, direction, action, flags, share = layout.USER_POLICY.unpack_from(body)
    templates = attributes.get(Attribute.TMPL, b"")
    usual_action = 0 if templates else layout.ACTION_BLOCK
    is_plain = (
        (action, flags, share, limits) == (usual_action, 0, 0, _NO_LIMITS)
        and templates[layout.TEMPLATE.size :] == b""
        and Attribute.MARK not in attributes
    )
    template, is_usual = _template_report(templates) if templates else (None, True)
    return PolicyReport(
        _flow_report(flow),
        direction,
        _number(attributes, Attribute.IF_ID),
        priority,
        template,
        device_of(attributes),
        is_plain and is_usual,
    )


def _template_report(body: bytes) -> tuple[Template, bool]:
    """The first of them, and whether it asks for SAs as ours are."""
    (destination, spi, protocol, family, source, reqid, *form) = layout.TEMPLATE.unpack_from(body)
    here, there = (_unpacked(end, family) if any(end) else None for end in (source, destination))
    usual = [layout.MODE_TUNNEL, 0, 0, ALL_ONES, ALL_ONES, ALL_ONES]
    is_usual = protocol == layout.ESP and form == usual
    return Template(here, there, int.from_bytes(spi), reqid), is_usual


def device_of(attributes: dict[int, bytes]) -> Device | None:
    """The device that does work of an SA or of a policy; a kernel that gave it none does not tell of one."""
    told = attributes.get(Attribute.OFFLOAD_DEV)
    if told is None:
        return None
    index, flags = layout.OFFLOAD.unpack_from(told)
    return Device(index, bool(flags & layout.OFFLOAD_INBOUND), Offload(flags & Offload.PACKET))


def _flow_report(body: bytes) -> Flow:
    destination, source, *ports, family, to_length, from_length, protocol, _, _ = layout.FLOW.unpack(body)
    to, to_mask, port, port_mask = (int.from_bytes(number) for number in ports)
    return Flow(
        _network(source, from_length, family),
        _network(destination, to_length, family),
        protocol,
        Ports(port, port_mask),
        Ports(to, to_mask),
    )


def _network(packed: bytes, length: int, family: int) -> Network:
    """Other programs' policies may have host bits set."""
    if family == socket.AF_INET6:
        return IPv6Network((packed, length), strict=False)
    return IPv4Network((packed[:4], length), strict=False)


def _mapping(body: bytes) -> MappingChanged:
    sa, _, _, source, _, port = layout.MAPPING.unpack_from(body)
    _, spi, family, _ = layout.SA_ID.unpack(sa)
    return MappingChanged(int.from_bytes(spi), _unpacked(source, family), int.from_bytes(port))


def _acquired(body: bytes) -> Acquired:
    """struct xfrm_user_acquire: id 24, source 16, selector 56, policy 168, four numbers."""
    attributes = attributes_of(body, 24 + 16 + layout.FLOW.size + layout.USER_POLICY.size + 16)
    family = struct.unpack_from("=H", attributes[Attribute.TMPL], 24)[0]
    return Acquired(
        _unpacked(body[24:40], family), _unpacked(body[:16], family), _number(attributes, Attribute.IF_ID)
    )


def attributes_of(body: bytes, at: int) -> dict[int, bytes]:
    """Netlink's attributes from this offset on, by their types; of several of one type the last."""
    found: dict[int, bytes] = {}
    while at + layout.ATTRIBUTE.size <= len(body):
        size, kind = layout.ATTRIBUTE.unpack_from(body, at)
        if size < layout.ATTRIBUTE.size:
            break
        found[kind] = body[at + layout.ATTRIBUTE.size : at + size]
        at += (size + 3) & ~3
    return found


def _number(attributes: dict[int, bytes], kind: Attribute) -> int:
    value = attributes.get(kind)
    return 0 if value is None else int(struct.unpack_from("=I", value)[0])


def _unpacked(packed: bytes, family: int) -> Address:
    return IPv6Address(packed) if family == socket.AF_INET6 else IPv4Address(packed[:4])
