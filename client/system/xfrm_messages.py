"""Netlink messages to the kernel's IPsec tables.

pyroute2 has no XFRM messages, and its message classes say neither which fields belong together nor of what type
they are; so these are structures of our own, packed by `struct`.  Attributes stand in the order in which iproute2
writes them, so that our octets can be compared with its own.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field

from ..ike.events import Address
from . import xfrm_layout as layout
from .xfrm_layout import Attribute, Kind
from .xfrm_model import (
    ALL_ONES,
    Aead,
    CipherWithHmac,
    Device,
    Direction,
    Encapsulation,
    Flow,
    Limits,
    Move,
    Policy,
    Replay,
    Sa,
    SaId,
    Template,
    Usage,
)


@dataclass(frozen=True, slots=True)
class Request:
    """A message to the kernel, without netlink's header."""

    kind: Kind
    body: bytes = field(repr=False)
    dump: bool = False
    answered: bool = False  # with data, rather than a bare acknowledgement
    replace: bool = False

    def packed(self, serial: int, port: int = 0) -> bytes:
        """The whole message; its answers repeat `serial`, and who hears of the change is told `port`."""
        flags = _REQUEST | (_DUMP if self.dump else 0 if self.answered else _ACK) | (_REPLACE * self.replace)
        return (
            layout.HEADER.pack(layout.HEADER.size + len(self.body), self.kind, flags, serial, port)
            + self.body
        )


_REQUEST, _ACK, _REPLACE, _DUMP = 0x1, 0x4, 0x100, 0x300  # of netlink's header


def new_sa(sa: Sa) -> Request:
    """Add an SA; refused with EEXIST where the kernel has one of this destination and SPI."""
    return Request(Kind.NEWSA, _sa(sa))


def update_sa(sa: Sa) -> Request:
    """Give a larval SA its keys, or another SA these limits and ports."""
    return Request(Kind.UPDSA, _sa(sa))


def delete_sa(sa: SaId) -> Request:
    """Remove an SA."""
    return Request(Kind.DELSA, _sa_id(sa))


def get_sa(sa: SaId) -> Request:
    """Ask for an SA's state."""
    return Request(Kind.GETSA, _sa_id(sa), answered=True)


def set_usage(sa: Sa, usage: Usage) -> Request:
    """Let an SA count on from here."""
    body = _sa_id(SaId(sa.destination, sa.spi)) + _address(sa.source) + struct.pack("=II", 0, sa.reqid)
    return Request(Kind.NEWAE, body + _attribute(Attribute.LTIME_VAL, _usage(usage)), replace=True)


def allocate_spi(
    source: Address, destination: Address, reqid: int, first: int, last: int, if_id: int = 0
) -> Request:
    """Reserve an SPI of a range, both ends included, for an SA that is to come."""
    info = layout.USER_SA.pack(
        *(_no_flow(), _address(destination), _spi(0), layout.ESP, _address(source)),
        *(bytes(64), bytes(32), 0, 0, 0, 0, reqid, _family(destination), layout.MODE_TUNNEL, 0, 0),
    )
    body = info + struct.pack("=II", first, last) + (_if_id(if_id) if if_id else b"")
    return Request(Kind.ALLOCSPI, body, answered=True)


def dump_sas() -> Request:
    """Ask for all SAs."""
    return Request(Kind.GETSA, _attribute(Attribute.ADDRESS_FILTER, bytes(36)), dump=True)


def new_policy(policy: Policy) -> Request:
    """Add a policy; refused with EEXIST where there is one of this flow, direction and interface."""
    return Request(Kind.NEWPOLICY, _policy(policy))


def put_policy(policy: Policy) -> Request:
    """Add a policy, or replace the one of this flow, direction and interface in one step."""
    return Request(Kind.UPDPOLICY, _policy(policy))


def delete_policy(flow: Flow, direction: Direction, if_id: int) -> Request:
    """Remove a policy."""
    return Request(Kind.DELPOLICY, layout.POLICY_ID.pack(_flow(flow), 0, direction) + _if_id(if_id))


def dump_policies() -> Request:
    """Ask for all policies."""
    return Request(Kind.GETPOLICY, b"", dump=True)


def migrate(
    flow: Flow, direction: Direction, if_id: int, move: Move, encapsulation: Encapsulation | None
) -> Request:
    """Move an SA, with the template of the policy that has this flow, to other outer addresses."""
    ends = (move.old_destination, move.old_source, move.new_destination, move.new_source)
    families = _family(move.old_destination), _family(move.new_destination)
    change = layout.MIGRATE.pack(
        *map(_address, ends), layout.ESP, layout.MODE_TUNNEL, 0, move.reqid, *families
    )
    body = layout.POLICY_ID.pack(_flow(flow), 0, direction) + _attribute(Attribute.MIGRATE, change)
    return Request(Kind.MIGRATE, body + _encapsulation(encapsulation) + _if_id(if_id))


def _sa(sa: Sa) -> bytes:
    flags = layout.FLAG_AF_UNSPEC | (layout.FLAG_ESN if sa.esn else 0)
    info = layout.USER_SA.pack(
        *(_no_flow(), _address(sa.destination), _spi(sa.spi), layout.ESP, _address(sa.source)),
        *(limits_of(sa.limits), bytes(layout.USAGE.size), 0, 0, 0, 0),
        *(sa.reqid, _family(sa.destination), layout.MODE_TUNNEL, 0, flags),
    )
    protection, encapsulation = _protection(sa.protection), _encapsulation(sa.encapsulation)
    parts = [info, protection, encapsulation, _work_of(sa.device), _replay(sa.replay)]
    if sa.usage is not None:
        parts.append(_attribute(Attribute.LTIME_VAL, _usage(sa.usage)))
    parts.append(_if_id(sa.if_id))
    if sa.output_mark is not None:
        parts.append(_attribute(Attribute.SET_MARK, struct.pack("=I", sa.output_mark.value)))
        parts.append(_attribute(Attribute.SET_MARK_MASK, struct.pack("=I", sa.output_mark.mask)))
    if sa.mapping_interval:
        parts.append(_attribute(Attribute.MTIMER_THRESH, struct.pack("=I", sa.mapping_interval)))
    return b"".join(parts)


def _work_of(device: Device | None) -> bytes:
    if device is None:
        return b""
    work = device.work | layout.OFFLOAD_INBOUND * device.inbound
    return _attribute(Attribute.OFFLOAD_DEV, layout.OFFLOAD.pack(device.index, work))


def _protection(protection: Aead | CipherWithHmac) -> bytes:
    match protection:
        case Aead(name, key, icv_size):
            sizes = struct.pack("=II", len(key) * 8, icv_size * 8)
            return _attribute(Attribute.ALG_AEAD, _name(name) + sizes + key.reveal())
        case CipherWithHmac(cipher, cipher_key, hmac, hmac_key, icv_size):
            encr = _name(cipher) + struct.pack("=I", len(cipher_key) * 8) + cipher_key.reveal()
            integ = _name(hmac) + struct.pack("=II", len(hmac_key) * 8, icv_size * 8) + hmac_key.reveal()
            return _attribute(Attribute.ALG_CRYPT, encr) + _attribute(Attribute.ALG_AUTH_TRUNC, integ)


def _name(algorithm: str) -> bytes:
    return algorithm.encode().ljust(64, b"\0")


def _encapsulation(ports: Encapsulation | None) -> bytes:
    if ports is None:
        return b""
    numbers = ports.source_port.to_bytes(2), ports.destination_port.to_bytes(2)
    return _attribute(Attribute.ENCAP, layout.ENCAP.pack(layout.UDP_ENCAP_ESPINUDP, *numbers))


def _replay(replay: Replay) -> bytes:
    """The form with a bitmap of any size; it serves SAs without ESN too."""
    words = -(-replay.window // layout.BITMAP_WORD)
    (sent_high, sent), (high, low) = divmod(replay.sent, 1 << 32), divmod(replay.received, 1 << 32)
    numbers = layout.REPLAY_ESN.pack(words, sent, low, sent_high, high, replay.window)
    return _attribute(Attribute.REPLAY_ESN_VAL, numbers + replay.bitmap)


def limits_of(limits: Limits) -> bytes:
    """Of an SA or a policy."""
    return layout.LIMITS.pack(
        *(limits.soft_octets, limits.hard_octets, limits.soft_packets, limits.hard_packets),
        *(limits.soft_age, limits.hard_age, 0, 0),
    )


def _usage(usage: Usage) -> bytes:
    return layout.USAGE.pack(usage.octets, usage.packets, usage.added_at, usage.used_at)


def _policy(policy: Policy) -> bytes:
    action = 0 if policy.template is not None else layout.ACTION_BLOCK
    info = layout.USER_POLICY.pack(
        *(_flow(policy.flow), limits_of(Limits()), bytes(layout.USAGE.size)),
        *(policy.priority, 0, policy.direction, action, 0, 0),
    )
    template = b"" if policy.template is None else _attribute(Attribute.TMPL, _template(policy))
    return info + template + _if_id(policy.if_id) + _work_of(policy.device)


def _template(policy: Policy) -> bytes:
    template = policy.template or Template()
    family = _family(template.destination or policy.flow.source.network_address)
    return layout.TEMPLATE.pack(
        *(_address(template.destination), _spi(template.spi), layout.ESP, family, _address(template.source)),
        *(template.reqid, layout.MODE_TUNNEL, 0, 0, ALL_ONES, ALL_ONES, ALL_ONES),
    )


def _flow(flow: Flow) -> bytes:
    source, destination = flow.source, flow.destination
    ports = (flow.destination_ports, flow.source_ports)
    return layout.FLOW.pack(
        *(_address(destination.network_address), _address(source.network_address)),
        *(number.to_bytes(2) for port in ports for number in (port.value, port.mask)),
        *(_family(source.network_address), destination.prefixlen, source.prefixlen, flow.protocol, 0, 0),
    )


def _no_flow() -> bytes:
    return bytes(layout.FLOW.size)


def _sa_id(sa: SaId) -> bytes:
    body = layout.SA_ID.pack(_address(sa.destination), _spi(sa.spi), _family(sa.destination), layout.ESP)
    return body if sa.source is None else body + _attribute(Attribute.SRCADDR, _address(sa.source))


def _if_id(if_id: int) -> bytes:
    return _attribute(Attribute.IF_ID, struct.pack("=I", if_id))


def _attribute(kind: Attribute, value: bytes) -> bytes:
    return layout.ATTRIBUTE.pack(layout.ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def _address(address: Address | None) -> bytes:
    return bytes(16) if address is None else address.packed.ljust(16, b"\0")


def _family(address: Address) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _spi(spi: int) -> bytes:
    return spi.to_bytes(4)
