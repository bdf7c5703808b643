"""KDE's wallet as a back end of `keyring`, where no Secret Service is: kwalletd 5 and 6 on the session bus.

The one that comes with `keyring` needs a library that is not to be had from the package index in binary form.
`keyring` finds this one by its entry point; Secret Service, which newer Plasma has, is preferred where both are.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from keyring.backend import KeyringBackend
from keyring.compat import properties
from keyring.errors import InitError, KeyringLocked, PasswordDeleteError, PasswordSetError

if TYPE_CHECKING:
    from dbus_fast.aio import MessageBus

T = TypeVar("T")

APPLICATION = "roam"
SERVICES = ("org.kde.kwalletd6", "org.kde.kwalletd5")
_INTERFACE = "org.kde.KWallet"
_BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
_NO_WINDOW = 0  # to which the question for the wallet's password would belong
_PATIENCE = 5.0  # seconds for what no person is asked about
_PERSON = 120.0  # seconds in which a person opens the wallet


class KWalletKeyring(KeyringBackend):
    """Passwords in the user's network wallet: a folder for each service, an entry for each name."""

    @properties.classproperty
    def priority(cls) -> float:
        """Below Secret Service; `RuntimeError` where there is no wallet."""
        if not os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
            raise RuntimeError("there is no session bus")
        _run(lambda bus: _service(bus))
        return 4.7

    def get_password(self, service: str, username: str) -> str | None:
        """The entry, None where there is none; `KeyringLocked` where its owner does not open the wallet."""

        async def fetch(bus: MessageBus) -> str | None:
            wallet = await _Wallet.open(bus)
            if not await wallet.call("hasEntry", "isss", wallet.handle, service, username, APPLICATION):
                return None
            return str(
                await wallet.call("readPassword", "isss", wallet.handle, service, username, APPLICATION)
            )

        return _run(fetch)

    def set_password(self, service: str, username: str, password: str) -> None:
        """Make or replace the entry."""

        async def store(bus: MessageBus) -> None:
            wallet = await _Wallet.open(bus)
            words = (wallet.handle, service, username, password, APPLICATION)
            if await wallet.call("writePassword", "issss", *words) != 0:
                raise PasswordSetError("the wallet does not keep it")

        _run(store)

    def delete_password(self, service: str, username: str) -> None:
        """Remove the entry; `PasswordDeleteError` where there is none."""

        async def remove(bus: MessageBus) -> None:
            wallet = await _Wallet.open(bus)
            if await wallet.call("removeEntry", "isss", wallet.handle, service, username, APPLICATION) != 0:
                raise PasswordDeleteError("the wallet has no such entry")

        _run(remove)


class _Wallet:
    """An open wallet."""

    def __init__(self, bus: MessageBus, service: str) -> None:
        self._bus = bus
        self._service = service
        self.handle = -1

    @classmethod
    async def open(cls, bus: MessageBus) -> _Wallet:
        """The user's network wallet, which its owner may be asked to open."""
        wallet = cls(bus, await _service(bus))
        name = await wallet.call("networkWallet")
        wallet.handle = int(await wallet.call("open", "sxs", name, _NO_WINDOW, APPLICATION, within=_PERSON))
        if wallet.handle < 0:
            raise KeyringLocked("the wallet was not opened")
        return wallet

    async def call(self, member: str, signature: str = "", *body: object, within: float = _PATIENCE) -> Any:  # noqa: ANN401
        """What it returns."""
        path = f"/modules/{self._service.rpartition('.')[2]}"
        return await _call(
            self._bus, (self._service, path, _INTERFACE), member, signature, *body, within=within
        )


async def _service(bus: MessageBus) -> str:
    """The wallet that runs, or that the bus would start."""
    known = {
        name for member in ("ListNames", "ListActivatableNames") for name in await _call(bus, _BUS, member)
    }
    found = next((service for service in SERVICES if service in known), None)
    if found is None:
        raise RuntimeError("there is no KWallet on the session bus")
    return found


async def _call(
    bus: MessageBus,
    to: tuple[str, str, str],
    member: str,
    signature: str = "",
    *body: object,
    within: float = _PATIENCE,
) -> Any:  # noqa: ANN401
    from dbus_fast import Message, MessageType

    destination, path, interface = to
    message = Message(destination, path, interface, member, signature=signature, body=list(body))
    async with asyncio.timeout(within):
        answer = await bus.call(message)
    if answer is None or answer.message_type is not MessageType.METHOD_RETURN:
        raise InitError(f"{destination} does not answer {member}")
    return answer.body[0] if answer.body else None


def _run(work: Callable[[MessageBus], Awaitable[T]]) -> T:
    """Do it on a connection of its own, in a thread: the caller may have a loop of his own or none."""

    async def connected() -> T:
        from dbus_fast import BusType
        from dbus_fast.aio import MessageBus
        from dbus_fast.errors import AuthError, DBusError, InvalidAddressError

        try:
            async with asyncio.timeout(_PATIENCE):
                bus = await MessageBus(bus_type=BusType.SESSION).connect()
        except (OSError, EOFError, AuthError, DBusError, InvalidAddressError, TimeoutError) as error:
            raise RuntimeError(f"there is no session bus ({error})") from None
        try:
            return await work(bus)
        except (OSError, EOFError, DBusError, TimeoutError) as error:
            raise InitError(f"the wallet does not answer ({str(error) or 'in time'})") from None
        finally:
            bus.disconnect()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, connected()).result()
