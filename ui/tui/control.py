"""What the terminal UI asks of the daemon: one short connection each."""

from __future__ import annotations

from client.control.async_client import AsyncClient
from client.control.details import TunnelDetails
from client.control.evidence import Explanation
from client.control.messages import (
    Accepted,
    LockdownSet,
    LockdownStatus,
    Named,
    PortalOpen,
    SecretAnswer,
    SecretCancel,
    SecretText,
    StatusReport,
    Up,
)

from ..signers.holder import Holder


class Control:
    """Commands and getters of the daemon behind the socket at `path`; all raise `ControlError`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.holders: dict[str, Holder] = {}
        """By reference: keys that stay elsewhere sign while the terminal UI runs."""

    async def status(self) -> StatusReport:
        """All tunnels as they stand."""
        async with AsyncClient(self.path) as client:
            return await client.status()

    async def details(self, name: str) -> TunnelDetails:
        """What a status has no room for."""
        async with AsyncClient(self.path) as client:
            return await client.call("tunnel.details", Named(name), TunnelDetails)

    async def explain(self, name: str | None) -> Explanation:
        """Why a tunnel does not work, from what its last attempts have left; None: the only one."""
        async with AsyncClient(self.path) as client:
            return await client.call("explain", Named(name), Explanation)

    async def up(self, request: Up) -> None:
        """Want a tunnel."""
        async with AsyncClient(self.path) as client:
            await client.up(request)

    async def down(self, name: str) -> None:
        """End the wish for a tunnel."""
        async with AsyncClient(self.path) as client:
            await client.down(name)

    async def rekey(self, name: str) -> None:
        """Replace keys."""
        async with AsyncClient(self.path) as client:
            await client.rekey(name)

    async def probe(self, name: str) -> None:
        """Ask the gateway for a sign of life."""
        async with AsyncClient(self.path) as client:
            await client.call("tunnel.probe", Named(name), Accepted)

    async def set_lockdown(self, request: LockdownSet) -> None:
        """Turn lockdown on or off."""
        async with AsyncClient(self.path) as client:
            await client.call("lockdown.set", request, LockdownStatus)

    async def open_portal(self) -> None:
        """Let the browser out for a while."""
        async with AsyncClient(self.path) as client:
            await client.call("portal.open", PortalOpen(), LockdownStatus)

    async def answer(self, secret_id: str, value: str | None) -> None:
        """Answer a question of the daemon; None declines."""
        if value is None:
            await self.reply(SecretCancel(secret_id))
        else:
            await self.reply(SecretAnswer(secret_id, SecretText(value)))

    async def reply(self, given: SecretAnswer | SecretCancel) -> None:
        """Hand over an answer, or that there is none."""
        async with AsyncClient(self.path) as client:
            if isinstance(given, SecretAnswer):
                await client.answer_secret(given)
            else:
                await client.cancel_secret(given.id, given.why)
