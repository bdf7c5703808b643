"""What the doctor makes of what was read: facts in, findings out.  Pure.

A finding is `fail` where something will not work, `warn` where it works but not as it could or where it could not
be told, and `ok` otherwise.  Each says what was seen, and, unless all is well, what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ..control.diagnosis import Finding
from ..system.choice import Choice as DataPath
from ..system.choice import DataPathKind
from ..system.features import Feature
from ..system.others import OtherLink, Others
from ..system.resolver.choice import Choice, Kind, Way
from ..tunnel.model import NetworkState

OK, WARN, FAIL = "ok", "warn", "fail"

_DAY = 86400.0
_MOST_NAMED = 6
_FEW = 10  # certificates, from which the time cannot be judged


def _some(words: Iterable[object]) -> str:
    named = [str(word) for word in words]
    left = len(named) - _MOST_NAMED
    return ", ".join(named[:_MOST_NAMED]) + (f" and {left} more" if left > 0 else "")


# --- the kernel


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """What this kernel has; `data_path` is None where only root can find out."""

    tun: Feature
    nftables: Feature
    migrate: Feature
    data_path: DataPath | None
    xfrm_interface: Feature = Feature(present=True)  # noqa: RUF009 - it is frozen


def judge_kernel(facts: KernelFacts) -> Iterator[Finding]:
    """ESP and xfrm interfaces, TUN links, the move of SAs, the packet filter."""
    by_kernel = facts.data_path is not None and facts.data_path.kind is not DataPathKind.USERSPACE
    yield _esp(facts.data_path)
    yield _xfrm_interface(facts.xfrm_interface)
    yield _tun(facts.tun, needed=not by_kernel)
    yield _migrate(facts.migrate, useful=by_kernel)
    yield _nftables(facts.nftables)


def _esp(path: DataPath | None) -> Finding:
    name = "kernel.esp"
    if path is None:
        return Finding(
            name, WARN, "whether the kernel has ESP and xfrm interfaces only root can find out", _SUDO
        )
    if path.kind is not DataPathKind.USERSPACE:
        return Finding(name, OK, f"packets are carried by the kernel: {path.reason}")
    hint = "It works, and costs more processor time. Faster: a kernel with esp4, esp6 and xfrm_interface (4.19+)."
    return Finding(name, WARN, f"packets are carried by a process of Roam's: {path.reason}", hint)


_SUDO = "Start roamd, which may look, or run it again with sudo."


def _xfrm_interface(found: Feature) -> Finding:
    name = "kernel.xfrm_interface"
    if found.present:
        return Finding(name, OK, "the kernel has xfrm interfaces")
    if found.present is None:
        return Finding(
            name, WARN, f"whether there are xfrm interfaces was not to be seen: {found.why}", _SUDO
        )
    hint = (
        "It works without. To have the kernel carry packets: 'sudo modprobe xfrm_interface' (Linux 4.19 on)."
    )
    return Finding(name, WARN, f"the kernel has no xfrm interfaces ({found.why})", hint)


def _tun(found: Feature, *, needed: bool) -> Finding:
    name = "kernel.tun"
    if found.present:
        return Finding(name, OK, "TUN links can be made")
    if not needed:
        return Finding(name, OK, f"not needed, since the kernel carries the packets ({found.why})")
    if found.present is None:
        return Finding(name, WARN, f"whether TUN links can be made was not to be seen: {found.why}", _SUDO)
    return Finding(name, FAIL, f"no TUN links: {found.why}", "Load the module: 'sudo modprobe tun'.")


def _migrate(found: Feature, *, useful: bool) -> Finding:
    name = "kernel.migrate"
    if found.present:
        return Finding(name, OK, "the kernel moves SAs to other addresses")
    if found.present is None:
        return Finding(name, WARN, f"whether the kernel moves SAs was not to be seen: {found.why}", _SUDO)
    if not useful:
        return Finding(name, OK, "not needed, since the kernel does not carry the packets")
    hint = "Nothing to do: Roam replaces the SAs instead, which a move to another network takes longer for."
    return Finding(name, WARN, f"the kernel cannot move SAs to other addresses {found.why}".rstrip(), hint)


def _nftables(found: Feature) -> Finding:
    name = "kernel.nftables"
    if found.present:
        return Finding(name, OK, "the guard is made by a packet filter and by routing")
    if found.present is None:
        return Finding(name, WARN, f"whether there is a packet filter was not to be seen: {found.why}", _SUDO)
    hint = "Load the module: 'sudo modprobe nf_tables'. docs/leaks.md says what routing alone does not hold."
    return Finding(name, WARN, f"the guard is made by routing alone: no nftables ({found.why})", hint)


# --- name resolution


def judge_resolver(choice: Choice, problems: Iterable[str] = ()) -> Iterator[Finding]:
    """Who is told of the tunnel's name servers, and whether that can be done."""
    name = "resolver"
    if choice.way is Way.NOBODY:
        hint = (
            "Start Roam's helper: 'sudo systemctl enable --now roam-dns.socket'; or install its polkit rule. "
            "Until then names inside do not resolve."
        )
        yield Finding(name, FAIL, f"nobody can be told of a tunnel's name servers: {choice}", hint)
        return
    told = list(problems)
    if told:
        hint = "See the daemon's log, 'journalctl -u roamd'; 'roam doctor dns' shows what becomes of names."
        yield Finding(name, FAIL, f"{choice}; {'; '.join(told)}", hint)
    elif choice.kind is Kind.RESOLVED:
        yield Finding(name, OK, str(choice))
    else:
        split = "all names are asked of a tunnel's servers: this resolver cannot split by domain"
        yield Finding(name, OK, f"{choice}; {split}")


# --- the machine


@dataclass(frozen=True, slots=True)
class ForwardingFacts:
    """Whether packets are forwarded, by family; and links that look as if somebody were behind them."""

    families: tuple[int, ...] = ()
    inner: tuple[str, ...] = ()


def judge_forwarding(facts: ForwardingFacts) -> Iterator[Finding]:
    """What this machine forwards for others follows the profile's `forward`."""
    name = "forwarding"
    if not facts.families:
        yield Finding(name, OK, "this machine forwards nothing for others")
        return
    families = " and ".join(f"IPv{version}" for version in facts.families)
    behind = f", for example from {_some(facts.inner)}" if facts.inner else ""
    evidence = f"this machine forwards {families} for others{behind}"
    hint = "'forward' in [routing] says what becomes of that: tunnelled (default), blocked or allowed."
    yield Finding(name, OK, evidence, hint)


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """Unix times; of the certificates that this machine trusts, how many there are and how many are valid now."""

    now: float
    installed: float
    synchronized: bool | None = None
    trusted: int = 0
    valid: int = 0


def judge_clock(facts: ClockFacts) -> Iterator[Finding]:
    """A certificate cannot be judged by a clock that is wrong."""
    name = "clock"
    now = _date(facts.now)
    hint = "Set the clock ('timedatectl set-ntp true'): certificates are judged by it."
    if facts.now < facts.installed - _DAY:
        evidence = f"it is {now} by this machine's clock, but Roam was installed on {_date(facts.installed)}"
        yield Finding(name, FAIL, evidence, hint)
    elif facts.trusted >= _FEW and 2 * facts.valid < facts.trusted:
        evidence = f"at {now}, only {facts.valid} of the {facts.trusted} authorities trusted here are valid"
        yield Finding(name, FAIL, evidence, hint)
    elif facts.synchronized is False:
        yield Finding(name, WARN, f"it is {now} by this machine's clock, which no time service has set", hint)
    else:
        certificates = (
            f"; {facts.valid} of {facts.trusted} trusted authorities are valid" if facts.trusted else ""
        )
        yield Finding(name, OK, f"it is {now}{certificates}")


def _date(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M UTC")


# --- other programs


def judge_filters(others: Others) -> Iterator[Finding]:
    """Packet filters of others: one that drops what leaves may keep us from the gateway."""
    name = "firewall"
    if others.filters is None:
        yield Finding(name, WARN, "other programs' packet filters were not to be seen", _SUDO)
        return
    outwards = [table for table in others.filters if {"output", "postrouting"} & set(table.drops)]
    if outwards:
        hint = "Let UDP to ports 500 and 4500 and ESP out there; if the gateway answers, all is well."
        tables = _some(table.name for table in outwards)
        yield Finding(name, WARN, f"what leaves is dropped unless it is allowed: table {tables}", hint)
    elif others.filters:
        yield Finding(name, OK, f"tables of others: {_some(table.name for table in others.filters)}")
    else:
        yield Finding(name, OK, "no other program has a table in nftables")


def judge_vpns(others: Others) -> Iterator[Finding]:
    """Other VPNs: what they have made, and whether it takes our packets."""
    up = [link for link in others.links if link.up]
    takers = [rule for rule in others.rules if rule.takes_ours()]
    evidence = list(_traces(others, up))
    name = "vpns"
    if takers:
        hint = "Take the other VPN down while you use Roam: Roam's own packets would travel through it."
        rules = f"these rules take Roam's own packets: {_some(takers)}"
        yield Finding(name, WARN, "; ".join([rules, *evidence]), hint)
    elif others.policies:
        hint = (
            "Stop the other IPsec program, or see that its policies and the tunnel's routes do not overlap."
        )
        yield Finding(name, WARN, "; ".join(evidence), hint)
    else:
        yield Finding(name, OK, "; ".join(evidence) or "no other VPN is seen")


def _traces(others: Others, up: list[OtherLink]) -> Iterator[str]:
    if up:
        yield f"other tunnels are up: {_some(f'{link.name} ({link.kind})' for link in up)}"
    if others.rules:
        yield f"rules of others: {_some(others.rules)}"
    if others.policies:
        yield f"another program has {others.policies} IPsec policies"
    if others.listeners:
        ports = " and ".join(map(str, others.listeners))
        yield f"another program listens on UDP {ports}, which Roam does not need"


# --- interfaces


def judge_interfaces(by_netlink: NetworkState, by_netifaces: NetworkState) -> Iterator[Finding]:
    """Two readers of the same: where they differ, one of them cannot be relied on."""
    first, second = _addresses(by_netlink), _addresses(by_netifaces)
    name = "interfaces"
    missing, more = sorted(first - second), sorted(second - first)
    if missing:
        hint = "Report it, with 'ip address' and this line: Roam relies on what netlink says."
        yield Finding(name, WARN, f"seen by netlink and not by netifaces: {_some(missing)}", hint)
    elif not any(not text.startswith("lo ") for text in first):
        yield Finding(name, WARN, "no interface has a usable address", "Connect to a network first.")
    else:
        links = len({text.split()[0] for text in first})
        tentative = f"; not usable yet, or not any more: {_some(more)}" if more else ""
        evidence = f"netlink and netifaces agree on {len(first)} addresses of {links} interfaces{tentative}"
        yield Finding(name, OK, evidence)


def _addresses(state: NetworkState) -> set[str]:
    named = {link.index: link.name for link in state.links}
    return {f"{named[entry.link]} {entry.interface.ip}" for entry in state.addresses if entry.link in named}


# --- rights


@dataclass(frozen=True, slots=True)
class RightsFacts:
    """Who looks, and what is there; `standalone`: no daemon, but whoever called the doctor."""

    uid: int
    net_admin: bool
    standalone: bool
    group: bool = True  # there is a group "roam" that we see
    secrets_mode: int | None = None  # of the directory with system secrets
    state_mode: int | None = None


def judge_rights(facts: RightsFacts) -> Iterator[Finding]:
    """The daemon's own rights, the group, and who may read secrets."""
    yield _daemon(facts)
    if facts.group:
        yield Finding("group", OK, "members of the group 'roam' control tunnels")
    else:
        hint = "'sudo groupadd --system roam', or install Roam with 'sudo make install'."
        yield Finding("group", WARN, "there is no group 'roam': only root controls tunnels", hint)
    for what, mode in (("secrets", facts.secrets_mode), ("state", facts.state_mode)):
        if mode is not None and mode & 0o077:
            hint = f"Close it: 'chmod 0700' for the directory of the daemon's {what}."
            yield Finding(
                what, FAIL, f"others than the daemon may use the directory of {what} ({mode:04o})", hint
            )
        elif mode is not None:
            yield Finding(what, OK, f"the directory of {what} is the daemon's alone ({mode:04o})")


def _daemon(facts: RightsFacts) -> Finding:
    name = "rights"
    who = "root" if facts.uid == 0 else f"uid {facts.uid}"
    if facts.standalone:
        able = "may" if facts.net_admin else "may not"
        return Finding(name, OK, f"the look was taken as {who}, who {able} change the network")
    if facts.net_admin:
        return Finding(name, OK, f"the daemon runs as {who} with CAP_NET_ADMIN")
    hint = "Start it by its unit, 'sudo systemctl restart roamd', which gives it CAP_NET_ADMIN."
    return Finding(name, FAIL, f"the daemon runs as {who} without CAP_NET_ADMIN", hint)
