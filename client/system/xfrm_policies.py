"""The policies of one tunnel in the kernel's tables: what was put there, and what another program made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from .drift import ABSENT, MISSING, PRESENT, Deviation
from .xfrm_model import Direction, Flow, Policy, PolicyReport
from .xfrm_plan import changes

Key = tuple[Direction, Flow]


class Policies(Protocol):
    """The part of `Xfrm` that is used here."""

    def put_policy(self, policy: Policy) -> None: ...
    def delete_policy(self, flow: Flow, direction: Direction, if_id: int) -> None: ...
    def policies(self) -> tuple[PolicyReport, ...]: ...


@dataclass(frozen=True, slots=True)
class PutPolicy:
    """One of ours was not as it should be."""

    policy: Policy

    def __str__(self) -> str:
        return f"policy put {_words(self.policy.direction, self.policy.flow)}"


@dataclass(frozen=True, slots=True)
class DropPolicy:
    """One bears our number and is not ours."""

    found: PolicyReport

    def __str__(self) -> str:
        return f"policy del {_words(self.found.direction, self.found.flow)}"


def repairs(
    present: Iterable[PolicyReport], wanted: Mapping[Key, Policy]
) -> tuple[PutPolicy | DropPolicy, ...]:
    """What makes these policies of one number those: inbound before outbound, and others go last.  Pure."""
    right: set[Key] = set()
    other: list[PolicyReport] = []
    for report in present:
        policy = wanted.get((Direction(report.direction), report.flow))
        if policy is not None and report.is_of(policy):
            right.add(policy.key)
        elif policy is None:
            other.append(report)
    put, _ = changes({key: wanted[key] for key in right}, wanted)
    return (*map(PutPolicy, put), *map(DropPolicy, other))


class PolicyTable:
    """Commands: `settle`, `mend`, `forget`; getter: `deviations`.  They block, and raise `OSError`."""

    def __init__(self, tables: Policies, if_id: int) -> None:
        self._tables = tables
        self._if_id = if_id
        self._put: dict[Key, Policy] = {}

    def settle(self, wanted: Mapping[Key, Policy]) -> None:
        """Make them these."""
        put, gone = changes(self._put, wanted)
        for policy in put:
            self._tables.put_policy(policy)
            self._put[policy.key] = policy
        for policy in gone:
            self._tables.delete_policy(policy.flow, policy.direction, policy.if_id)
            del self._put[policy.key]

    def forget(self) -> None:
        """None of them is ours any more."""
        self._put = {}

    def mend(self) -> tuple[PutPolicy | DropPolicy, ...]:
        """Put back what another program has changed; what that was."""
        found = self._repairs()
        for step in found:
            match step:
                case PutPolicy(policy):
                    self._tables.put_policy(policy)
                case DropPolicy(report):
                    self._tables.delete_policy(report.flow, Direction(report.direction), report.if_id)
        return found

    def deviations(self) -> tuple[Deviation, ...]:
        """What `mend` would put back; changes nothing."""
        present = {(report.direction, report.flow) for report in self._present()}
        return tuple(_deviation(step, present) for step in self._repairs())

    def _repairs(self) -> tuple[PutPolicy | DropPolicy, ...]:
        return repairs(self._present(), self._put)

    def _present(self) -> list[PolicyReport]:
        return [report for report in self._tables.policies() if report.if_id == self._if_id]


def _deviation(step: PutPolicy | DropPolicy, present: set[tuple[int, Flow]]) -> Deviation:
    match step:
        case PutPolicy(policy):
            actual = "another one" if policy.key in present else MISSING
            return Deviation(f"IPsec policy {_words(*policy.key)}", PRESENT, actual)
        case DropPolicy(report):
            return Deviation(f"IPsec policy {_words(report.direction, report.flow)}", ABSENT, PRESENT)


def _words(direction: int, flow: Flow) -> str:
    """As `ip xfrm policy` names the directions."""
    name = {Direction.IN: "in", Direction.OUT: "out", Direction.FORWARD: "fwd"}[Direction(direction)]
    protocol = f" protocol {flow.protocol}" if flow.protocol else ""
    ports = "".join(
        f" {word} {ports.value}/{ports.mask:#06x}"
        for word, ports in (("from port", flow.source_ports), ("to port", flow.destination_ports))
        if ports.mask
    )
    return f"{name} {flow.source} → {flow.destination}{protocol}{ports}"
