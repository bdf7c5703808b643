"""IP packets made by hand."""

from __future__ import annotations

from ipaddress import ip_address


def checksum(octets: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = octets + bytes(len(octets) % 2)
    total = int.from_bytes(padded) % 0xFFFF or 0xFFFF if any(padded) else 0
    return ~total & 0xFFFF


def ip_packet(
    source: str,
    destination: str,
    protocol: int,
    body: bytes,
    *,
    traffic_class: int = 0,
    fragment: int = 0,
    extensions: bytes = b"",
) -> bytes:
    """An IPv4 or IPv6 packet; `fragment` is the IPv4 flags-and-offset field.

    `extensions` are IPv6 extension headers with their own next header fields right, `protocol` names the
    first.
    """
    ends = ip_address(source), ip_address(destination)
    if ends[0].version == 6:
        first = (6 << 28 | traffic_class << 20).to_bytes(4)
        header = first + len(extensions + body).to_bytes(2) + bytes((protocol, 64))
        return header + ends[0].packed + ends[1].packed + extensions + body
    head = bytes((0x45, traffic_class)) + (20 + len(body)).to_bytes(2) + b"\x12\x34" + fragment.to_bytes(2)
    tail = ends[0].packed + ends[1].packed
    summed = checksum(head + bytes((64, protocol, 0, 0)) + tail)
    return head + bytes((64, protocol)) + summed.to_bytes(2) + tail + body


def udp_packet(
    source: str = "10.0.0.1",
    destination: str = "10.77.0.1",
    ports: tuple[int, int] = (1111, 2222),
    data: bytes = b"data",
    *,
    traffic_class: int = 0,
) -> bytes:
    """A UDP packet without a checksum, over either IP version."""
    body = ports[0].to_bytes(2) + ports[1].to_bytes(2) + (8 + len(data)).to_bytes(2) + bytes(2) + data
    return ip_packet(source, destination, 17, body, traffic_class=traffic_class)


def tcp_packet(
    sequence: int = 1,
    data: bytes = b"data",
    *,
    source: str = "10.0.0.1",
    destination: str = "10.77.0.1",
    ports: tuple[int, int] = (1111, 2222),
    flags: int = 0x10,
    acknowledged: int = 7,
    window: int = 500,
    options: bytes = b"",
    fragment: int = 0x4000,
    traffic_class: int = 0,
) -> bytes:
    """A TCP segment with a right checksum; ACK, and don't-fragment over IPv4, unless told otherwise."""
    words = 5 + len(options) // 4
    header = (
        ports[0].to_bytes(2)
        + ports[1].to_bytes(2)
        + (sequence & 0xFFFFFFFF).to_bytes(4)
        + acknowledged.to_bytes(4)
        + bytes((words << 4, flags))
        + window.to_bytes(2)
    )
    after = bytes(2) + options + data
    pseudo = ip_address(source).packed + ip_address(destination).packed
    pseudo += (len(header) + 2 + len(after)).to_bytes(4) + (6).to_bytes(4)
    body = header + checksum(pseudo + header + bytes(2) + after).to_bytes(2) + after
    return ip_packet(source, destination, 6, body, traffic_class=traffic_class, fragment=fragment)
