"""Whether polkit lets us tell a resolver something: asked without trying it, for whoever wants to know before."""

from __future__ import annotations

from dbus_fast import Variant

from .bus import Bus
from .choice import Kind
from .outcome import Unable

_AUTHORITY = (
    "org.freedesktop.PolicyKit1",
    "/org/freedesktop/PolicyKit1/Authority",
    "org.freedesktop.PolicyKit1.Authority",
)
_ACTIONS = {
    Kind.RESOLVED: "org.freedesktop.resolve1.set-dns-servers",
    Kind.NETWORKMANAGER: "org.freedesktop.NetworkManager.settings.modify.global-dns",
}


async def permits(address: str | None, kind: Kind) -> bool:
    """Whether this process may tell a back-end on the bus; without polkit nobody but root may."""
    try:
        async with Bus(address) as bus:
            subject = ["system-bus-name", {"name": Variant("s", bus.own_name)}]
            details: dict[str, str] = {}
            asked = (subject, _ACTIONS[kind], details, 0, "")
            answer = await bus.call(*_AUTHORITY, "CheckAuthorization", "(sa{sv})sa{ss}us", *asked)
            ((is_authorized, *_),) = answer
            return bool(is_authorized)
    except Unable:
        return False
