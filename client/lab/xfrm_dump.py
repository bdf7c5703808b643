"""The kernel's IPsec states and policies as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from ..system.xfrm import Xfrm

_UNSUPPORTED = "not supported by this kernel"


def xfrm_lines() -> Iterator[str]:
    """One line for each SA and each policy of the calling thread's namespace."""
    try:
        with Xfrm() as tables:
            sas, policies = tables.sas(), tables.policies()
    except OSError as error:
        yield f"{_UNSUPPORTED}: {error.strerror}"
        return
    for sa in sas:
        yield (
            f"sa {sa.source} -> {sa.destination} spi {sa.spi:08x} protocol {sa.protocol} "
            f"interface {sa.if_id:#x}{' larval' if sa.larval else ''}"
        )
    for policy in policies:
        flow, action = policy.flow, "block" if policy.template is None else "allow"
        yield (
            f"policy {flow.source} -> {flow.destination} protocol {flow.protocol} direction {policy.direction} "
            f"interface {policy.if_id:#x} {action} priority {policy.priority}"
        )
