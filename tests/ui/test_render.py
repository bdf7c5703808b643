"""A status as text."""

from __future__ import annotations

import pytest

from client.control.messages import (
    ControlError,
    Fault,
    Handover,
    LeakVerdict,
    OuterPath,
    StatusReport,
    Traffic,
    TunnelStatus,
    redacted,
)
from ui import render

NOW = 1000.0

UP = TunnelStatus(
    "office",
    "up",
    since=NOW - 192,
    title="Example Office",
    gateway="vpn.example.com",
    identity="vpn.example.com",
    path=OuterPath("wlan0", "192.0.2.7:51312", "198.51.100.1:4500", nat_local=True),
    link="roam0",
    addresses=("10.77.0.5/32",),
    routes=("198.51.100.0/24",),
    dns=("10.77.0.1",),
    domains=("corp.example.com",),
    resolver="systemd-resolved",
    resolver_reason="/etc/resolv.conf leads to its stub",
    ike_suite="AES_GCM_16-256/PRF_HMAC_SHA2_384/X25519",
    esp_suite="AES_GCM_16-256",
    ike_rekey_at=NOW + 13200,
    data_path="userspace",
    data_path_reason="this kernel has no xfrm interfaces",
    mobike=True,
    guard=True,
    traffic=Traffic(1034, 1_234_000, 800, 300, 2),
    handover=Handover("the address in use vanished", "wlan1", "wlan0", NOW - 120, 143),
)


def test_names_that_nobody_could_be_told_of_are_not_in_use_and_the_reason_stands_above() -> None:
    reason = "file: there is no /etc/resolv.conf; only root may, and roam-dns is not installed"
    lines = render.tunnel(UP.replace(resolver="", resolver_reason="", remarks=(reason,)), NOW).splitlines()
    assert lines[1] == f"  note      {reason}"
    assert "  dns       10.77.0.1 for corp.example.com, not in use" in lines


def test_where_no_program_manages_names_the_file_that_is_written_is_named() -> None:
    reason = "no program manages /etc/resolv.conf"
    for resolver, where in (("file", ""), ("file through roam-dns", " through roam-dns")):
        lines = render.tunnel(UP.replace(resolver=resolver, resolver_reason=reason), NOW).splitlines()
        assert f"  dns       10.77.0.1 for corp.example.com, in /etc/resolv.conf{where} ({reason})" in lines


def test_a_tunnel_in_full() -> None:
    assert render.status(StatusReport(NOW, tunnels=(UP,))).splitlines() == [
        "office: up for 3 min 12 s  (Example Office)",
        "  gateway   vpn.example.com, proven as vpn.example.com",
        "  path      wlan0, 192.0.2.7:51312 → 198.51.100.1:4500, NAT here, ESP in UDP",
        "  inside    10.77.0.5/32 on roam0",
        "  routes    198.51.100.0/24",
        "  dns       10.77.0.1 for corp.example.com, by systemd-resolved (/etc/resolv.conf leads to its stub)",
        "  ike       AES_GCM_16-256/PRF_HMAC_SHA2_384/X25519, new keys in 3 h 40 min",
        "  esp       AES_GCM_16-256",
        "  data path userspace (this kernel has no xfrm interfaces)",
        "  roaming   MOBIKE",
        "  traffic   1.2 MB in 1034 packets received, 300 B in 800 sent, 2 dropped",
        "  moved     2 min ago, wlan1 → wlan0, gap 143 ms (the address in use vanished)",
        "  guard     on: the selected traffic leaves through the tunnel or not at all",
    ]


def test_what_is_done_differently_for_a_gateway_stands_there_with_its_evidence_and_its_switch() -> None:
    quirk = 'no_pfs: Roam replaces keys (seen: a vendor ID; to switch it off: no_pfs = "off" in [quirks])'
    other = "no MOBIKE: a move is a new login (seen: no MOBIKE_SUPPORTED; see mobike in [mobility])"
    lines = render.tunnel(UP.replace(quirks=(quirk, other)), NOW).splitlines()
    assert [line for line in lines if line.startswith("  peculiar")] == [
        f"  peculiar  {quirk}",
        f"  peculiar  {other}",
    ]


def test_trouble_says_what_was_seen_and_what_comes_next() -> None:
    failure = Fault("net.no_response", "192.0.2.1 did not answer 7 requests", "Check the address.")
    waiting = TunnelStatus(
        "office",
        "waiting",
        gateway="192.0.2.1",
        detail="before the next attempt",
        retry_at=NOW + 5,
        failure=failure,
    )
    assert render.status(StatusReport(NOW, tunnels=(waiting,))).splitlines() == [
        "office: waiting",
        "  now       before the next attempt",
        "  problem   192.0.2.1 did not answer 7 requests [net.no_response]",
        "  next      Check the address.",
        "  retry     in 5 s; 'roam up office' tries at once",
        "  gateway   192.0.2.1",
        "  guard     off: while the tunnel is not up, the selected traffic leaves without it",
    ]


def test_what_is_wrong_comes_before_what_is_known() -> None:
    failure = Fault("net.no_path", "no connected network has a route to 192.0.2.1")
    lines = render.tunnel(UP.replace(state="waiting", failure=failure), NOW).splitlines()
    assert lines[1].startswith("  problem   no connected network")
    assert "  last path wlan0, 192.0.2.7:51312 → 198.51.100.1:4500, NAT here, ESP in UDP" in lines


def test_a_move_does_not_end_the_connection() -> None:
    moving = UP.replace(state="moving", detail="to wwan0, local address 100.64.0.23")
    assert render.tunnel(moving, NOW).splitlines()[:2] == [
        "office: moving, connected for 3 min 12 s  (Example Office)",
        "  now       to wwan0, local address 100.64.0.23",
    ]


def test_before_the_gateway_has_answered_nothing_is_claimed_of_nats_and_traffic() -> None:
    waiting = TunnelStatus(
        "office", "connecting", gateway="gw", path=UP.path, traffic=Traffic(), handover=UP.handover
    )
    text = render.tunnel(waiting, NOW)
    assert "wlan0, 192.0.2.7:51312 → 198.51.100.1:4500\n" in f"{text}\n"
    assert not any(word in text for word in ("NAT", "traffic   ", "moved"))


@pytest.mark.parametrize(
    ("local", "remote", "words"),
    [
        (False, False, "no NAT, ESP in UDP"),
        (True, True, "NAT here, the gateway claims one, ESP in UDP"),
        (False, True, "no NAT here, the gateway claims one, ESP in UDP"),
    ],
)
def test_a_nat_at_the_gateway_is_only_its_word(local: bool, remote: bool, words: str) -> None:
    path = OuterPath("wlan0", "a", "b", nat_local=local, nat_remote=remote)
    assert f"  path      wlan0, a → b, {words}\n" in render.tunnel(UP.replace(path=path), NOW)


def test_a_tunnel_without_a_guard_says_what_that_means() -> None:
    assert "guard     off: while the tunnel is not up" in render.tunnel(UP.replace(guard=False), NOW)


def test_others_are_told_whose_tunnel_it_is() -> None:
    lines = render.tunnel(redacted(UP.replace(owner=1000)), NOW).splitlines()
    assert lines[1] == "  owner     uid 1000; only the owner and root see more of it"


def test_lines_are_broken_between_words_where_the_terminal_ends() -> None:
    lines = render.tunnel(UP, NOW, width=60).splitlines()
    assert all(len(line) <= 60 for line in lines)
    assert "  guard     on: the selected traffic leaves through the" in lines
    assert "            tunnel or not at all" in lines
    told = render.problem(ControlError("auth.rejected", "no"), "refused", width=60).splitlines()
    assert all(len(line) <= 60 for line in told)
    assert told[3].startswith("        ")


def test_what_is_seen_is_not_told_twice() -> None:
    blocked = TunnelStatus("office", "blocked", detail="E=691", failure=Fault("auth.rejected", "E=691"))
    assert render.tunnel(blocked, NOW).count("E=691") == 1


def test_several_tunnels_take_a_line_each() -> None:
    other = TunnelStatus("home", "connecting", since=NOW - 1, detail="resolving vpn.example.net")
    lines = render.status(StatusReport(NOW, tunnels=(UP, other))).splitlines()
    assert lines == [
        "office: up for 3 min 12 s, wlan0 to 198.51.100.1:4500",
        "home: connecting for 1 s",
        "  now       resolving vpn.example.net",
    ]


def test_no_tunnel_says_how_to_get_one() -> None:
    assert "roam up" in render.status(StatusReport(NOW))


def test_a_doubtful_gateway_is_mentioned_in_the_first_line() -> None:
    assert "has not answered lately" in render.headline(UP.replace(probing=True), NOW)


def test_a_long_list_is_cut_to_fit_the_screen() -> None:
    many = UP.replace(routes=tuple(f"10.{n}.0.0/16" for n in range(200)))
    text = render.tunnel(many, NOW)
    assert "and 194 more" in text
    assert len(text.splitlines()) < 24


@pytest.mark.parametrize("evil", ["\x1b[2J\x1b]0;x\x07", "a\nb\rc", "\u202egnp.exe", "\x9b31m"])
def test_nothing_from_outside_steers_the_terminal(evil: str) -> None:
    entry = UP.replace(
        identity=evil,
        detail=evil,
        domains=(evil,),
        state="waiting",
        failure=Fault("auth.rejected", evil, evil),
        path=OuterPath(evil, evil, evil),
    )
    error = ControlError(evil, evil, evil)
    texts = (
        render.tunnel(entry, NOW),
        render.progress(entry),
        render.connected(entry),
        render.problem(error, "x"),
    )
    for text in texts:
        assert all(line.isprintable() for line in text.split("\n"))
        assert evil not in text


def test_an_endless_text_is_cut() -> None:
    assert len(render.printable("x" * 100_000)) == render.TEXT_LIMIT


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (59.6, "1 min"),
        (192, "3 min 12 s"),
        (3600, "1 h"),
        (90061, "1 d 1 h"),
    ],
)
def test_spans_show_at_most_two_units(seconds: float, words: str) -> None:
    assert render.span(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_234_000, "1.2 MB"), (5 * 10**12, "5.0 TB")],
)
def test_amounts_are_decimal(count: int, words: str) -> None:
    assert render.octets(count) == words


def test_where_traffic_goes_is_one_line_of_a_status() -> None:
    leaks = tuple(LeakVerdict(what, "tunnelled", "why") for what in ("IPv4", "IPv6", "DNS"))
    report = StatusReport(1.0, tunnels=(TunnelStatus("office", "up"),), leaks=leaks)
    assert render.status(report).splitlines()[-1] == (
        "where it goes: IPv4 tunnelled, IPv6 tunnelled, DNS tunnelled"
    )
    assert "where it goes" not in render.status(report.replace(tunnels=()))
