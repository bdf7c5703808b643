"""One session of a tunnel with its sockets, and what has become known of it."""

from __future__ import annotations

import asyncio

from ..control.messages import OuterPath
from ..ike.events import Endpoint, Established, Selector, Transmit
from ..tunnel.model import Underlay
from .ports import SessionPort, SocketsPort
from .status import Seen


class Leg:
    """Owns its sockets; the facts beside them are what outputs of the session have said."""

    def __init__(
        self, number: int, session: SessionPort, sockets: SocketsPort, underlay: Underlay, trigger: str
    ) -> None:
        self.id = number
        self.session = session
        self.sockets = sockets
        self.underlay = underlay
        self.trigger = trigger  # why it was started beside another one
        self.established: Established | None = None
        self.ike_suite = ""
        self.is_answered = False
        self.stands = False
        """The data path has its first Child SA, and the controller knows."""
        self.remote_selectors: tuple[Selector, ...] = ()
        self.nat_local = False
        self.is_doubted = False
        self.is_asking = False
        """Its login waits for the user."""
        self.remarks: list[str] = []
        """What the user should know of its login."""
        self.inquiry: asyncio.Task[None] | None = None
        """Its certificates are being looked after."""

    def note_established(self, output: Established) -> None:
        """Both ends have proven who they are."""
        self.established = output
        self.ike_suite = output.suite
        self.nat_local = output.nat_local

    def send(self, output: Transmit) -> None:
        """Send an IKE message; one for a path that has been left is of no use any more."""
        if output.path == self.sockets.path:
            self.sockets.send(output.data, output.channel, whole=output.whole)

    def send_rest(self) -> None:
        """Send what the session still has to say, and nothing else: it is being forgotten."""
        for output in self.session.outputs():
            if isinstance(output, Transmit):
                self.send(output)

    def own(self, end: Endpoint | None) -> Endpoint | None:
        """`end`, if it is ours on the present path: what came in on an earlier one is answered from here."""
        path = self.sockets.path
        return end if end in (path.local_natt, path.local_init) else None

    def move(self, sockets: SocketsPort, underlay: Underlay) -> None:
        """Use other sockets from now; the data path still reads the old natt socket for a while."""
        self.sockets.close()
        self.sockets = sockets
        self.underlay = underlay

    def close(self) -> None:
        """Give the sockets back; nobody waits for an answer any more."""
        if self.inquiry is not None:
            self.inquiry.cancel()
        self.sockets.close()

    @property
    def seen(self) -> Seen:
        """What a status tells of it."""
        path, session, established = self.sockets.path, self.session, self.established
        return Seen(
            OuterPath(
                path.interface,
                str(path.local_natt),
                str(path.remote_natt),
                nat_local=self.nat_local,
                nat_remote=established is not None and established.nat_remote,
                encapsulated=session.encapsulate,
            ),
            identity="" if established is None else established.peer_identity,
            ike_suite=self.ike_suite,
            esp_suite=session.child_suite or "",
            ike_rekey_at=session.ike_rekey_at,
            child_rekey_at=session.child_rekey_at,
            is_answered=self.is_answered,
            is_doubted=self.is_doubted,
            round_trip=session.round_trip,
            is_asking=self.is_asking,
            session=self.id,
            remarks=tuple(self.remarks),
        )
