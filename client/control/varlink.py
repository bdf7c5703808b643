"""The method table as a varlink service: JSON objects that end with a zero octet, answered in their order.

`org.varlink.service` describes us, `org.roamvpn.Roam` has the methods.  A call of `EventsSubscribe` with `more`
is answered again and again: with a snapshot, and then with each event.  Names are those of the JSON-RPC side, as
varlink spells them: `tunnel.set_up` would be `TunnelSetUp`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from .connection import Outlet
from .messages import TOPICS, ControlError, Event, Subscribe
from .methods import METHODS
from .varlink_idl import INTERFACE, SERVICE, description, method_name
from .wire import decode_line, plain

VENDOR, PRODUCT = "Roam", "Roam VPN client"
_METHODS = {f"{INTERFACE}.{method_name(name)}": name for name in METHODS}


class VarlinkConnection(Outlet):
    """One client of the varlink socket."""

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Answer one call after the other until the client closes its end."""
        while (call := await self._next_call(reader)) is not None:
            await self.server.turnstile.pass_through()
            if not await self._answer(call):
                return
            with contextlib.suppress(OSError):
                await self._writer.drain()

    async def _next_call(self, reader: asyncio.StreamReader) -> bytes | None:
        try:
            return (await reader.readuntil(b"\0"))[:-1]
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            return None  # it has gone, or says more than we listen to: varlink has no words for that

    async def _answer(self, octets: bytes) -> bool:
        """Whether the connection goes on."""
        wishes: dict[str, Any] = {}
        try:
            wishes = decode_line(octets)
            reply = await self._perform(wishes)
        except ControlError as error:
            name, parameters = _error(error, wishes.get("method"))
            self._reply(wishes, {"error": name, "parameters": parameters})
            return "method" in wishes
        if reply is not None:
            self._reply(wishes, reply)
        return True

    def _reply(self, wishes: dict[str, Any], reply: dict[str, Any]) -> None:
        if wishes.get("oneway") is not True:
            self._write(json.dumps(reply, separators=(",", ":")).encode() + b"\0")

    async def _perform(self, wishes: dict[str, Any]) -> dict[str, Any] | None:
        called, parameters = wishes.get("method"), wishes.get("parameters") or {}
        if not isinstance(called, str) or not isinstance(parameters, dict):
            raise ControlError("rpc.request", "a call needs a method, and an object of parameters")
        if called.startswith(f"{SERVICE}."):
            return {"parameters": self._describe(called, parameters)}
        name = _METHODS.get(called)
        if name is None:
            raise ControlError("rpc.method", f'there is no method "{called[:64]}"')
        request = self.server.request(self.caller, name, parameters)
        if isinstance(request, Subscribe):
            return self._subscribe(request, more=wishes.get("more") is True)
        return {"parameters": plain(await self.server.perform(self.caller, name, request))}

    def _describe(self, called: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if called == f"{SERVICE}.GetInterfaceDescription":
            return {"description": description(parameters.get("interface"))}
        if called != f"{SERVICE}.GetInfo":
            raise ControlError("rpc.method", f'there is no method "{called[:64]}"')
        names = [SERVICE, INTERFACE]
        about = {"vendor": VENDOR, "product": PRODUCT, "version": self.server.version, "url": ""}
        return {**about, "interfaces": names}

    # Events: what follows a call with `more`

    def _subscribe(self, request: Subscribe, *, more: bool) -> dict[str, Any] | None:
        snapshot, missed = self.server.snapshot(self.caller, request)
        if not more:
            return {"parameters": {"snapshot": plain(snapshot)}}
        self._tell({"snapshot": plain(snapshot)})
        self._topics = frozenset(request.topics or TOPICS)
        for event in missed:
            self.tell(event)
        return None

    def _tell(self, parameters: dict[str, Any]) -> None:
        message = {"parameters": parameters, "continues": True}
        self._write(json.dumps(message, separators=(",", ":")).encode() + b"\0")

    def _encode(self, event: Event) -> bytes:
        message = {"parameters": {"event": plain_event(event)}, "continues": True}
        return json.dumps(message, separators=(",", ":")).encode() + b"\0"


def plain_event(event: Event) -> dict[str, Any]:
    """An event with its data where its topic says: varlink has no field of several types."""
    return {"seq": event.seq, "time": event.time, "topic": event.topic, event.topic: plain(event.data)}


def _error(error: ControlError, called: object) -> tuple[str, dict[str, Any]]:
    """An error as varlink tells it."""
    if error.kind == "rpc.method":
        return f"{SERVICE}.MethodNotFound", {"method": str(called)[:256]}
    if error.kind == "rpc.params":
        where = error.evidence.partition(" ")[0].rstrip(":").removeprefix("params.")
        return f"{SERVICE}.InvalidParameter", {"parameter": where}
    if error.kind == "varlink.interface":
        return f"{SERVICE}.InterfaceNotFound", {"interface": error.evidence[:256]}
    words = {"kind": error.kind, "evidence": error.evidence, "hint": error.hint}
    return f"{INTERFACE}.Failed", words
