"""The way from this machine to the gateway, as a picture and in words.  Pure."""

from __future__ import annotations

from client.control.messages import TunnelStatus

from .. import render

OFF_THE_WAY = frozenset({"off", "waiting", "blocked"})


def in_words(entry: TunnelStatus) -> str:
    """One sentence."""
    path = entry.path
    if path is None or entry.state in OFF_THE_WAY:
        return "no way to the gateway is in use"
    through = ", through a NAT here" if path.nat_local else ""
    if path.nat_remote:
        through += ", through one there by the gateway's word"
    ends = f"over {path.interface} from {path.local} to {_gateway(entry)} at {path.remote}"
    trip = f", {entry.rtt_ms:g} ms there and back" if entry.rtt_ms is not None else ""
    return render.printable(f"{ends}{through}{trip}")


def picture(entry: TunnelStatus, width: int) -> tuple[str, str] | None:
    """Two lines: the hops, and what stands below each; None where there is no way, or no room."""
    path = entry.path
    if path is None or entry.state in OFF_THE_WAY:
        return None
    trip = f"{entry.rtt_ms:g} ms" if entry.rtt_ms is not None else ""
    hops = [("this machine", " ".join(entry.addresses[:1])), (path.interface, _address(path.local))]
    if path.nat_local:
        hops.append(("NAT", ""))
    hops.append(("internet", trip))
    if path.nat_remote:
        hops.append(("NAT?", ""))  # claimed by the gateway, which may only want ESP in UDP
    hops.append((_gateway(entry), path.remote))
    return _lines(
        [(render.printable(above, 40), render.printable(below, 40)) for above, below in hops], width
    )


def _lines(hops: list[tuple[str, str]], width: int) -> tuple[str, str] | None:
    sizes = [max(len(above), len(below)) for above, below in hops]
    if sum(sizes) + 3 * (len(hops) - 1) > width:
        return None
    room = (width - sum(sizes)) // (len(hops) - 1)
    dash, gap = "─" * (min(room, 8) - 2), " " * min(room, 8)
    above = f" {dash} ".join(_centred(hop[0], size) for hop, size in zip(hops, sizes, strict=True))
    below = gap.join(_centred(hop[1], size) for hop, size in zip(hops, sizes, strict=True))
    return above.rstrip(), below.rstrip()


def _centred(text: str, size: int) -> str:
    return text.center(size)


def _gateway(entry: TunnelStatus) -> str:
    return entry.identity or entry.gateway or "the gateway"


def _address(end: str) -> str:
    """Without the port: "192.0.2.7:4500", "[2001:db8::7]:4500"."""
    return end.rpartition(":")[0].strip("[]") or end
