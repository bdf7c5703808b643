"""Reports of routers about our datagrams, from the kernel's error queue."""

from __future__ import annotations

import socket

import pytest

from client.net.icmp import ErrorQueue


def closed_port(family: socket.AddressFamily, host: str) -> int:
    """A port on which nobody listens."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["IPv4", "IPv6"]
)
def test_a_closed_port_is_reported_with_its_sender(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as endpoint:
        try:
            endpoint.bind((host, 0))
        except OSError:
            pytest.skip(f"this machine has no {host}")
        queue = ErrorQueue(endpoint, "init")
        for _ in range(3):
            port = closed_port(family, host)
            for _ in range(2):  # the first one may be answered with the report of the one before
                try:
                    endpoint.sendto(b"hello", (host, port))
                except OSError:
                    continue
                break
            queue.drain()
        (report,) = queue.reports
        assert (report.meaning, report.sender, report.channel) == ("port unreachable", host, "init")
        assert report.count >= 1
        with pytest.raises(BlockingIOError):
            endpoint.recv(100)


def test_whoever_reads_the_socket_afterwards_is_not_bothered() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as endpoint:
        endpoint.bind(("127.0.0.1", 0))
        queue = ErrorQueue(endpoint, "natt")
        queue.close()
        endpoint.sendto(b"hello", ("127.0.0.1", closed_port(socket.AF_INET, "127.0.0.1")))
        with pytest.raises(BlockingIOError):
            endpoint.recv(100)
        assert queue.reports == ()
