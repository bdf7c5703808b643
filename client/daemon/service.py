"""The running daemon: every part wired to the others, in one TaskGroup.

If one part fails, all stop; what is wanted stays wanted and guarded, and the next start puts the machine in order.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import socket
import time
from contextlib import closing, suppress
from functools import partial

from profiles.errors import ProfileError
from profiles.store import Store

from ..control.access import Policy, group_id
from ..control.listener import listen
from ..control.messages import ControlError, EventData, Notice, TunnelStatus
from ..control.server import ControlServer
from ..control.varlink import VarlinkConnection
from ..ike.options import SessionConfig
from ..ike.session import Session
from ..ike.trace import Sink, TraceEvent
from ..net.fetch import fetch
from ..net.inside import ask
from ..net.portal import portal_state
from ..net.power import watch_sleep
from ..net.processes import process_of, program_name
from ..net.resolve import Resolver, Sources
from ..net.tcp_stalls import count_stalls
from ..net.udp import open_path
from ..net.watch import Report, Watcher
from ..system.nft_watch import heed
from ..system.reconcile import System
from ..system.resolver.detect import Places as ResolverPlaces
from ..system.resolver.file import KEPT
from ..system.resolver.resolver import Resolver as NameService
from ..system.resolver.uplinks import uplink_servers
from ..tunnel.events import Slept
from ..tunnel.model import OWN_LINKS, NetworkChange, Stance
from .affairs import Affairs
from .applier import Applier
from .catalog import Catalog
from .clock import Epoch, boottime, wall
from .data_paths import DataPaths
from .doctor import Doctor
from .explainer import Explainer
from .handlers import DaemonHandlers
from .inbox import NamesChanged
from .intent import Intent, Intents
from .journal import Journal
from .names import Names
from .notes import Book
from .notify import notify
from .order import Order, system_order, user_order
from .places import Places, program_version
from .ports import World
from .prober import check_ports
from .rehearsal import rehearse
from .tunnels import Tunnels
from .verifier import Verifier
from .warden import Warden

log = logging.getLogger("roam")
trace_log = logging.getLogger("roam.ike")

STOP_WITHIN = 2.5
"""Seconds in which all tunnels must have said goodbye."""

_GONE = ("off", "blocked")


class Daemon:
    """Everything that runs; `run` once."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._system = System(places.state)
        self._data_paths = DataPaths()
        self._watcher = Watcher(self._network_reported)
        where = ResolverPlaces()
        self._name_service = NameService(places.state, where, changed=self._names_changed)
        self._names = Names(self._name_service)
        self._applier = Applier(
            self._system,
            self._watcher.use,
            self._names,
            Stance(uid=os.getuid()),
            self._warn,
            program_name,
        )
        self._intents = Intents(places.state)
        self._store = Store(places.profiles / "nobody's", places.profiles)
        self._resolver = Resolver(
            Sources(kept=where.etc / KEPT),
            ours=lambda: self._names.servers,
            uplinks=lambda: uplink_servers(where),
        )
        self._warden = Warden(
            places.state,
            self._applier,
            boottime,
            time.time,
            self._resolver.servers,
            lambda: self._system.filter_problem,
            self._publish,
        )
        self._boot = secrets.token_hex(8)
        self._journal = Journal()
        self._tunnels: Tunnels | None = None
        self._server: ControlServer | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping` is set, or a part fails."""
        self._journal.attach(log)
        try:
            await self._data_paths.look()
            _rehearse()
            async with asyncio.TaskGroup() as group:
                await self._run(group, stopping)
        finally:
            log.removeHandler(self._journal)
            self._watcher.close()
            await self._data_paths.close()
            self._system.close()

    async def _run(self, group: asyncio.TaskGroup, stopping: asyncio.Event) -> None:
        network = await self._watcher.start()
        tunnels = self._tunnels = Tunnels(
            self._world(),
            self._applier,
            self._intents,
            group,
            self._publish,
            time.time,
            Book(self._places.state),
        )
        server = self._server = self._make_server(tunnels)
        tunnels.network_changed(NetworkChange(network, network))
        await self._restore(tunnels)
        await self._system.expect(frozenset({f"{OWN_LINKS}0"}))
        listener = listen(self._places.socket, group_id())
        facade = self._listen_for_varlink()
        tasks = [
            group.create_task(self._applier.run(), name="applier"),
            group.create_task(self._watcher.run(), name="watcher"),
            group.create_task(self._warden.run(), name="warden"),
            group.create_task(self._watch_filter(), name="filter"),
            group.create_task(watch_sleep(self._slept), name="power"),
            group.create_task(self._watch_names(), name="names"),
            group.create_task(server.serve(listener), name="control"),
        ]
        if facade is not None:
            tasks.append(group.create_task(server.serve(facade, VarlinkConnection), name="varlink"))
        notify("READY=1")
        log.info("ready at %s", self._places.socket)
        await stopping.wait()
        notify("STOPPING=1")
        log.info("ends; what is wanted stays wanted, and guarded")
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_WITHIN):
                await self._names.close()
                await tunnels.stop()
        for task in tasks:
            task.cancel()
        listener.close()
        self._places.socket.unlink(missing_ok=True)
        if facade is not None:
            facade.close()
            self._places.varlink.unlink(missing_ok=True)

    def _listen_for_varlink(self) -> socket.socket | None:
        """The façade's socket; without it, everything else works."""
        try:
            return listen(self._places.varlink, group_id())
        except ControlError as error:
            log.warning("varlink is not served: %s", error)
            return None

    def _world(self) -> World:
        return World(
            clock=boottime,
            wall=wall,
            epoch=Epoch(),
            chance=random.SystemRandom().random,
            open_session=_open_session,
            open_path=open_path,
            choose_data_path=self._data_paths.choose,
            open_data_path=self._data_paths.open,
            resolve=self._resolver.resolve,
            check_ports=check_ports,
            portal=portal_state,
            fetch=partial(fetch, resolve=self._resolver.resolve),
            count_stalls=count_stalls,
        )

    def _make_server(self, tunnels: Tunnels) -> ControlServer:
        doctor = Doctor(
            self._places.state,
            ResolverPlaces(),
            lambda: self._data_paths.choose("auto"),
            lambda: self._names.configs,
            self._name_service,
        )
        handlers = DaemonHandlers(tunnels, self._store, time.time, self._applier.sweep, self._warden, doctor)
        catalog = Catalog(self._store)
        affairs = Affairs(
            self._journal,
            tunnels,
            handlers.status,
            time.time,
            version=program_version(),
            boot=self._boot,
        )
        verifier = Verifier(handlers.find, self._applier, ask, boottime)
        explainer = Explainer(tunnels, handlers.find, self._resolver.resolve, version=program_version())
        handlers.actions.update(
            {**catalog.actions, **affairs.actions, **verifier.actions, **explainer.actions}
        )
        return ControlServer(
            handlers,
            Policy(group_id(), os.getuid()),
            version=program_version(),
            boot=self._boot,
            wall=time.time,
        )

    def _warn(self, text: str) -> None:
        log.warning("%s", text)
        self._publish(Notice(text, "warning"))

    def _publish(self, data: EventData) -> None:
        if isinstance(data, TunnelStatus) and data.state in _GONE:
            self._data_paths.warm()  # it has taken its pump with it, and may be wanted again
        if self._server is not None:
            self._server.publish(data)

    # What was wanted before

    async def _restore(self, tunnels: Tunnels) -> None:
        """Want again what was wanted; without that, nothing of an earlier daemon may stay.

        Where something was wanted there is no sweep before: the guard would be open for a moment.  The first
        `apply` removes what does not belong to it.
        """
        found = [(self._order(intent), intent.refused) for intent in self._intents.load()]
        orders = [(order, refused) for order, refused in found if order is not None]
        if not orders:
            for removed in await self._applier.sweep():
                log.info("left behind by an earlier daemon, removed: %s", removed)
        for order, refused in orders:
            log.info("%s is wanted since before", order.key)
            await tunnels.restore(order, refused=refused)

    def _order(self, intent: Intent) -> Order | None:
        try:
            if intent.shared:
                order = system_order(self._store, intent.owner, intent.id, os.getuid(), intent.files)
            else:
                order = user_order(intent.owner, intent.text, intent.files, {})
            return order.with_pins(intent.pins)
        except ProfileError as error:
            log.error("%s cannot be wanted again: %s", intent.key, error)
            self._publish(Notice(f"{intent.id} cannot be wanted again: {error}", "warning"))
            return None

    # What happens

    def _network_reported(self, report: Report) -> None:
        if not isinstance(report, NetworkChange):
            self._applier.repair(report.by)
        elif self._tunnels is not None:
            self._tunnels.network_changed(report)

    async def _watch_filter(self) -> None:
        """Who takes our packet filter away may have opened the guard: it is put back at once."""
        try:
            watch = self._system.watch()
        except OSError as error:
            log.info("nobody tells of changed packet filters: %s", error)
            return
        with closing(watch):
            await heed(watch, lambda: self._filter_touched(watch.touched_by))

    def _filter_touched(self, ports: set[int]) -> None:
        log.warning("another program has changed our packet filter: it is put back")
        self._applier.repair(process for port in ports if (process := process_of(port)))
        ports.clear()

    def _slept(self, seconds: float) -> None:
        self._names.repair()
        if self._tunnels is not None:
            self._tunnels.tell_all(Slept(seconds))

    def _names_changed(self) -> None:
        if self._tunnels is not None:
            self._tunnels.tell_all(NamesChanged())

    async def _watch_names(self) -> None:
        """Without it names are still resolved, until somebody else changes how."""
        try:
            await self._name_service.watch()
        except Exception:
            log.exception("name resolution is not watched any more")


def _rehearse() -> None:
    """A system on which that fails will say so again, to whoever wants a tunnel."""
    try:
        rehearse()
    except Exception:
        log.exception("the rehearsal failed")


def _open_session(config: SessionConfig, sink: Sink) -> Session:
    def trace(event: TraceEvent) -> None:
        sink(event)
        _trace(event)

    return Session(config, os.urandom, trace)


def _trace(event: TraceEvent) -> None:
    trace_log.debug("%s %s", event.name, event.detail)
