"""TUN interfaces: made by opening a descriptor, gone when the last descriptor is closed."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from contextlib import suppress

_TUN_DEVICE = "/dev/net/tun"
_NAME_SIZE = 16  # with its zero octet
_LONGEST_QUEUE = (
    1000  # packets waiting for the pump: the kernel's own default is 500, little for a burst of 64 KiB
)

_TUNSETIFF = 0x400454CA
_IFF_TUN = 0x0001
_IFF_NO_PI = 0x1000
_IFF_VNET_HDR = 0x4000
_IFF_TUN_EXCL = 0x8000
_SIOCSIFMTU = 0x8922
_SIOCSIFTXQLEN = 0x8943


def open_tun(name: str, mtu: int) -> int:
    """Make the interface `name` in our network namespace, down and without addresses; its descriptor.

    `OSError` where that is not permitted or the name is taken.  It does not outlive its descriptors.
    """
    fd = os.open(_TUN_DEVICE, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _make(fd, name)
        _configure(name, mtu)
    except OSError:
        os.close(fd)
        raise
    return fd


def _make(fd: int, name: str) -> None:
    """With a virtio-net header before each packet: that lets the pump write many segments at once.

    No offload is turned on for what we read: the kernel hands over single packets with their checksums done.
    """
    if len(name.encode()) >= _NAME_SIZE:
        raise OSError(f"interface name {name!r} is too long")
    flags = _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR | _IFF_TUN_EXCL
    fcntl.ioctl(fd, _TUNSETIFF, _interface_request(name, struct.pack("H", flags)))


def _configure(name: str, mtu: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFMTU, _interface_request(name, struct.pack("i", mtu)))
        with suppress(PermissionError):  # the kernel asks for the machine's own CAP_NET_ADMIN here
            queue = _interface_request(name, struct.pack("i", _LONGEST_QUEUE))
            fcntl.ioctl(any_socket, _SIOCSIFTXQLEN, queue)


def _interface_request(name: str, argument: bytes) -> bytes:
    """`struct ifreq` of netdevice(7)."""
    return struct.pack(f"{_NAME_SIZE}s24s", name.encode(), argument)
