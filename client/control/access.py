"""Who is at the other end of a connection, and what that person may do (DESIGN 3)."""

from __future__ import annotations

import grp
import socket
import struct
from typing import NamedTuple

from .handlers import Access, Caller

GROUP = "roam"
_SO_PEERGROUPS = 59  # asm-generic/socket.h; the socket module does not name it
_OVERFLOW_ID = 65534
"""What an id looks like that our user namespace does not map: it says nothing about who that is."""


class PeerCredentials(NamedTuple):
    """The other end as it was when it connected."""

    uid: int
    gid: int
    groups: frozenset[int] = frozenset()


class Policy(NamedTuple):
    """Who counts as what: the gid of the group (None: there is none here) and the daemon's own uid."""

    group: int | None
    own_uid: int

    def caller(self, peer: PeerCredentials) -> Caller:
        """The caller with the access that the peer's ids give."""
        return Caller(peer.uid, self._access(peer))

    def _access(self, peer: PeerCredentials) -> Access:
        # Whoever has the daemon's uid could trace the process: refusing him would only pretend.
        if peer.uid in {0, self.own_uid} and peer.uid != _OVERFLOW_ID:
            return Access.ADMIN
        if self.group is not None and self.group in peer.groups | {peer.gid}:
            return Access.CONTROL
        return Access.READ


def peer_credentials(connection: socket.socket) -> PeerCredentials:
    """SO_PEERCRED and SO_PEERGROUPS of a Unix socket's other end."""
    octets = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    _pid, uid, gid = struct.unpack("iII", octets)
    return PeerCredentials(uid, gid, _peer_groups(connection))


def _peer_groups(connection: socket.socket) -> frozenset[int]:
    try:
        octets = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 1024)
    except OSError:  # an old kernel, or more than 256 groups: the primary group still counts
        return frozenset()
    return frozenset(struct.unpack(f"{len(octets) // 4}I", octets))


def group_id(name: str = GROUP) -> int | None:
    """The gid of the group that may control tunnels; None where the machine has none."""
    try:
        gid = grp.getgrnam(name).gr_gid
    except KeyError:
        return None
    return None if gid == _OVERFLOW_ID else gid
