"""What NetworkManager says of a network that wants a login, asked over a private bus."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from client.net.portal import portal_state
from tests.net.test_power import Bus, bus  # noqa: F401 - a fixture


async def asked(address: str, value: object, *, is_error: bool = False) -> str:
    """Ask while somebody owns NetworkManager's name and answers so."""
    manager = await MessageBus(bus_address=address).connect()
    await manager.request_name("org.freedesktop.NetworkManager")

    def answer(message: Message) -> Message | bool | None:
        if message.message_type is not MessageType.METHOD_CALL or message.member != "Get":
            return None
        if is_error:
            return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownProperty", "no")
        return Message.new_method_return(message, "v", [value])

    manager.add_message_handler(answer)
    try:
        return await portal_state(address)
    finally:
        manager.disconnect()


@pytest.mark.parametrize(
    ("number", "state"), [(0, ""), (1, ""), (2, "login"), (3, "limited"), (4, "open"), (77, "")]
)
def test_its_connectivity_is_told_in_a_word(bus: Bus, number: int, state: str) -> None:  # noqa: F811
    assert asyncio.run(asked(bus.address, Variant("u", number))) == state


def test_nonsense_and_refusals_are_no_answer(bus: Bus) -> None:  # noqa: F811
    assert asyncio.run(asked(bus.address, Variant("s", "login"))) == ""
    assert asyncio.run(asked(bus.address, None, is_error=True)) == ""


def test_without_networkmanager_or_a_bus_nobody_knows(bus: Bus, tmp_path: Path) -> None:  # noqa: F811
    assert asyncio.run(portal_state(bus.address)) == ""
    assert asyncio.run(portal_state(f"unix:path={tmp_path / 'none'}")) == ""
