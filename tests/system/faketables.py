"""The kernel's tables in memory, with refusals to order."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field, replace

from client.system.xfrm import XfrmRefused
from client.system.xfrm_model import (
    Device,
    Direction,
    Flow,
    Offload,
    Policy,
    PolicyReport,
    Sa,
    SaId,
    SaReport,
    Usage,
)

ESP = 50


@dataclass
class FakeDevice:
    """A network device and its driver: by which errors it refuses what, 0: not; `is_idle`: it never works."""

    whole: int = 0
    crypto: int = 0
    inbound: int = 0
    policies: int = 0
    is_idle: bool = False

    def take(self, asked: Device) -> None:
        number = self.whole if asked.work is Offload.PACKET else self.crypto
        if asked.inbound and self.inbound:
            raise XfrmRefused(self.inbound, "XFRM if_id is not supported in RX path")
        if number:
            raise XfrmRefused(number, f"no {asked.work.name.lower()}")


@dataclass
class FakeTables:
    """Carries requests out like the kernel.

    The `refused`th of those that change something fails with `number`; with `done` it is carried out all the same,
    and only its answer is lost.
    """

    migrates: bool = True
    tells_last_state: bool = True
    device: FakeDevice = field(default_factory=lambda: FakeDevice())
    refused: int = 0
    number: int = errno.ENOMEM
    done: bool = False
    port: int = 7
    kernel: dict[tuple[object, int], Sa] = field(default_factory=dict)
    rules: dict[tuple[int, Direction, Flow], Policy] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def add_sa(self, sa: Sa) -> None:
        if sa.device is not None:
            self.device.take(sa.device)
        with_key = (sa.destination, sa.spi)
        if with_key in self.kernel:
            raise XfrmRefused(errno.EEXIST, "File exists")
        if self._carries_out(f"add {sa.spi:x}"):
            self.kernel[with_key] = replace(sa, device=None) if self.device.is_idle else sa
        self._answer()

    def update_sa(self, sa: Sa) -> None:
        old = self.kernel[sa.destination, sa.spi]
        if self._carries_out(f"update {sa.spi:x}"):
            self.kernel[sa.destination, sa.spi] = replace(sa, replay=old.replay, usage=old.usage)
        self._answer()

    def read_sa(self, sa: SaId) -> SaReport | None:
        present = self.kernel.get((sa.destination, sa.spi))
        return None if present is None else _report(present)

    def delete_sa(self, sa: SaId) -> None:
        if self._carries_out(f"delete {sa.spi:x}"):
            self.kernel.pop((sa.destination, sa.spi), None)
        self._answer()

    def take_sa(self, sa: SaId) -> SaReport | None:
        last = self.read_sa(sa)
        if last is None:
            raise XfrmRefused(errno.ESRCH, "No such process")
        self.delete_sa(sa)
        return last if self.tells_last_state else None

    def migrate_sa(self, sa: Sa, to: Sa) -> None:
        if not self.migrates:
            raise XfrmRefused(errno.ENOPROTOOPT, "Protocol not available")
        if self._carries_out(f"migrate {sa.spi:x}"):
            old = self.kernel.pop((sa.destination, sa.spi))
            self.kernel[to.destination, to.spi] = replace(to, replay=old.replay, usage=None)
        self._answer()

    def set_usage(self, sa: Sa, usage: Usage) -> None:
        key = (sa.destination, sa.spi)
        if self._carries_out(f"count on {sa.spi:x}"):
            self.kernel[key] = replace(self.kernel[key], usage=usage)
        self._answer()

    def put_policy(self, policy: Policy) -> None:
        if policy.device is not None and self.device.policies:
            raise XfrmRefused(self.device.policies, "no policies")
        state = "blocks" if policy.template is None else f"asks for {policy.template.spi:x}"
        if self._carries_out(f"{policy.direction.name} {state}"):
            self.rules[policy.if_id, policy.direction, policy.flow] = policy
        self._answer()

    def delete_policy(self, flow: Flow, direction: Direction, if_id: int) -> None:
        if self._carries_out(f"{direction.name} goes"):
            self.rules.pop((if_id, direction, flow), None)
        self._answer()

    def sas(self) -> tuple[SaReport, ...]:
        return tuple(map(_report, self.kernel.values()))

    def policies(self) -> tuple[PolicyReport, ...]:
        return tuple(
            PolicyReport(flow, direction, if_id, policy.priority, policy.template, policy.device)
            for (if_id, direction, flow), policy in self.rules.items()
        )

    def close(self) -> None:
        self.log.append("closed")

    def use(self, spi: int, packets: int) -> None:
        """Let packets pass on the SA with this SPI."""
        for key, sa in self.kernel.items():
            if key[1] == spi:
                numbers = replace(sa.replay, sent=packets, received=packets, bitmap=b"seen")
                self.kernel[key] = replace(sa, replay=numbers, usage=Usage(packets * 100, packets))

    def _carries_out(self, what: str) -> bool:
        self.log.append(what)
        return len(self.log) != self.refused or self.done

    def _answer(self) -> None:
        if len(self.log) == self.refused:
            raise XfrmRefused(self.number, "refused to order")


def _report(sa: Sa) -> SaReport:
    return SaReport(
        sa.source,
        sa.destination,
        sa.spi,
        ESP,
        sa.reqid,
        sa.if_id,
        sa.usage or Usage(),
        sa.replay,
        dropped=0,
        larval=False,
        device=sa.device,
    )
