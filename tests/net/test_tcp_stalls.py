"""The kernel's count of TCP's time-outs."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.net.tcp_stalls import count_stalls


def test_this_kernel_counts_them() -> None:
    count = count_stalls()
    assert count is not None
    assert count >= 0


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("TcpExt: SyncookiesSent TCPTimeouts\nTcpExt: 1 42\nIpExt: InNoRoutes\nIpExt: 7\n", 42),
        ("TcpExt: SyncookiesSent\nTcpExt: 1\n", None),
        ("TcpExt: TCPTimeouts\n", None),
        ("TcpExt: TCPTimeouts\nTcpExt: many\n", None),
        ("", None),
    ],
)
def test_what_cannot_be_read_is_no_count(tmp_path: Path, text: str, count: int | None) -> None:
    (tmp_path / "netstat").write_text(text)
    assert count_stalls(tmp_path / "netstat") == count
    assert count_stalls(tmp_path / "absent") is None
