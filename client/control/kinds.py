"""Everything that can go wrong, by its stable name: the exit code of the command and what to do next.

The names are `data.kind` of an error on the control socket.  Those of the engine are `client.ike.events.Kind`
(a test compares); the others belong to the control protocol, the command line and the profiles.
"""

from __future__ import annotations

DONE = 0
FAILED = 1
USAGE = 2
NOT_CONNECTED = 3
NOT_PERMITTED = 4
REFUSED = 5
NO_ANSWER = 6
NO_DAEMON = 7
NOT_TRUSTED = 8
NEEDS_TERMINAL = 9

KINDS: dict[str, tuple[int, str, str]] = {
    # of the engine: client.ike.events.Kind
    "auth.rejected": (
        REFUSED,
        "the gateway refused our login",
        "Check the user name in the profile; 'roam up --ask' asks for the password again, stored or not.",
    ),
    "auth.needs_secret": (
        NEEDS_TERMINAL,
        "a password or code is needed",
        "Run 'roam up' in a terminal to be asked, or name a keyring: or file: reference in the profile.",
    ),
    "auth.needs_signer": (
        NEEDS_TERMINAL,
        "the key that proves who we are is not at hand",
        "Insert the card or start the agent, then 'roam up'; 'roam signer' keeps the key at hand.",
    ),
    "auth.method": (
        REFUSED,
        "the gateway wants another way of authentication",
        "Ask the administrator which method the gateway wants, and set 'method' and 'eap_methods' to it.",
    ),
    "crypto.no_proposal": (
        FAILED,
        "no common algorithms with the gateway",
        "Set 'ike' and 'esp' in [crypto] to what the gateway offers, or try preset = \"compatible\".",
    ),
    "net.no_response": (
        NO_ANSWER,
        "the gateway does not answer",
        "Check the gateway's address, and that this network lets UDP ports 500 and 4500 out.",
    ),
    "net.no_path": (
        NO_ANSWER,
        "there is no network that leads to the gateway",
        "Connect to a network first; a wanted tunnel comes up by itself then.",
    ),
    "net.name_not_resolved": (
        NO_ANSWER,
        "the gateway's name cannot be resolved",
        "Check the spelling of [gateway] addresses, and that this network's name servers answer.",
    ),
    "peer.deleted": (
        FAILED,
        "the gateway ended the tunnel",
        "The gateway ended the tunnel; if it does so again, ask its administrator why.",
    ),
    "peer.protocol": (
        FAILED,
        "the gateway broke the protocol",
        "The gateway broke the protocol; report it together with the evidence.",
    ),
    "trust.expired": (
        NOT_TRUSTED,
        "the gateway's certificate is not valid today",
        "Check this computer's date; if it is right, the gateway needs a new certificate.",
    ),
    "trust.name_mismatch": (
        NOT_TRUSTED,
        "the gateway's certificate bears another name",
        "Set [identity] remote (a login server's: aaa_name) to a name it bears, if that is whom you mean.",
    ),
    "trust.no_proof": (
        NOT_TRUSTED,
        "the gateway did not prove who it is",
        "The gateway did not prove who it is; do not enter a password, and ask its administrator.",
    ),
    "trust.pin_mismatch": (
        NOT_TRUSTED,
        "the gateway has another key than the profile pins",
        "Ask the gateway's administrator whether its key has changed; if so, correct [trust] pin.",
    ),
    "trust.unconfirmed": (
        NOT_TRUSTED,
        "nobody has confirmed the gateway's key",
        "Compare the fingerprint with what the administrator says, then write it into [trust] pin.",
    ),
    "trust.revoked": (
        NOT_TRUSTED,
        "the gateway's certificate was revoked",
        "Do not enter a password; the gateway's administrator has to give it a new certificate.",
    ),
    "trust.revocation_unknown": (
        NOT_TRUSTED,
        "nobody says whether the gateway's certificate was revoked",
        'Try another network, name the authority\'s list in [trust] crl, or set revocation = "relaxed".',
    ),
    "trust.unknown_ca": (
        NOT_TRUSTED,
        "nobody we trust vouches for the gateway",
        "Get the CA certificate from the administrator; name it in [trust] ca (a login server's in aaa_ca).",
    ),
    "trust.weak": (
        NOT_TRUSTED,
        "the gateway's certificate is too weak",
        "The gateway needs a certificate with a stronger key or signature.",
    ),
    "ts.unacceptable": (
        FAILED,
        "the gateway does not carry the traffic asked for",
        "Compare [routing] include and [address] with what the gateway allows for this user.",
    ),
    "address.none": (
        FAILED,
        "the gateway gave no inside address",
        "The gateway gave no inside address: its pool may be empty, or set [address] static.",
    ),
    "conflict.full_tunnel": (
        FAILED,
        "another full tunnel is up",
        "Bring the other full tunnel down first: 'roam down NAME'.",
    ),
    "local.fault": (
        FAILED,
        "something failed on this computer",
        "See the daemon's log: 'journalctl -u roamd'.",
    ),
    "profile.invalid": (USAGE, "the profile cannot be used", "Correct the profile at the place named."),
    "user.down": (
        NOT_CONNECTED,
        "the tunnel was taken down",
        "Somebody ended the tunnel; 'roam up NAME' starts it again.",
    ),
    # of the control protocol
    "rpc.parse": (FAILED, "the daemon got something that is not JSON", "Send one JSON object a line."),
    "rpc.request": (
        FAILED,
        "the daemon got something that is no request",
        "Send a JSON-RPC 2.0 request: jsonrpc, id, method, params.",
    ),
    "rpc.method": (
        FAILED,
        "the daemon does not know this request",
        "The daemon does not know this method: 'roam' and 'roamd' may differ in version.",
    ),
    "rpc.params": (
        FAILED,
        "the daemon does not understand the request",
        "Compare the parameters with the protocol's description.",
    ),
    "rpc.too_long": (
        FAILED,
        "the request is too long",
        "A line of the control protocol is at most 1 MiB: shrink the files in the profile.",
    ),
    "rpc.reply": (
        FAILED,
        "the daemon's answer makes no sense",
        "'roam' and 'roamd' may differ in version: restart the daemon after an update.",
    ),
    "daemon.absent": (
        NO_DAEMON,
        "the daemon is not running",
        "Start it: 'sudo systemctl start roamd' (what installs it: 'sudo make install').",
    ),
    "daemon.lost": (
        NO_DAEMON,
        "the daemon went away",
        "See the daemon's log, 'journalctl -u roamd', and try again.",
    ),
    "daemon.full": (
        FAILED,
        "the daemon has too many clients",
        "Too many programs are connected to the daemon; close one and try again.",
    ),
    "daemon.running": (
        FAILED,
        "a daemon is running already",
        "Ask the running daemon instead: 'roam cleanup' without --socket does.",
    ),
    "permission.denied": (
        NOT_PERMITTED,
        "you may not do this",
        "Join the group 'roam' ('sudo usermod -aG roam $USER', then log in again) or use sudo.",
    ),
    "tunnel.unknown": (
        NOT_CONNECTED,
        "there is no such tunnel",
        "'roam status' lists the tunnels that the daemon holds.",
    ),
    "tunnel.not_connected": (
        NOT_CONNECTED,
        "the tunnel is not connected",
        "Bring it up first: 'roam up NAME'.",
    ),
    "verify.deviation": (
        FAILED,
        "the machine is not as the tunnel needs it",
        "Another program has changed it; Roam puts it back, 'roam status' tells of a fight.",
    ),
    "verify.unproven": (
        NO_ANSWER,
        "no packet has come back through the tunnel",
        "Name a host that answers: 'roam verify --target ADDRESS'; or ask whether the gateway lets us to it.",
    ),
    "file.unreadable": (USAGE, "the file cannot be read", "Check its path, and that you may read it."),
    "evidence.unreadable": (
        USAGE,
        "the evidence cannot be read",
        "It is the output of 'roam explain --json', of this version or an older one.",
    ),
    "secret.unknown": (
        FAILED,
        "nobody waits for this answer",
        "The question has been answered or has expired; 'roam up' asks again.",
    ),
    # of the command line
    "usage": (USAGE, "the command makes no sense as it stands", "'roam --help' shows the commands."),
    "profile.unknown": (
        USAGE,
        "there is no such profile",
        "'roam profiles' lists the profiles that you have.",
    ),
    "wait.timeout": (
        NO_ANSWER,
        "the tunnel did not come up in time",
        "'roam up --timeout SECONDS' waits longer; '--no-wait' leaves it to the daemon.",
    ),
    "secret.no_terminal": (
        NEEDS_TERMINAL,
        "a password or code is needed, and there is no terminal to ask at",
        "Run it in a terminal, or name a keyring: or file: reference in the profile.",
    ),
    "secret.missing": (
        NEEDS_TERMINAL,
        "a secret is not where the profile says",
        "Store it in the keyring under the name given, or change the profile's reference to ask:.",
    ),
    "secret.wrong": (
        USAGE,
        "a passphrase or PIN is not the right one",
        "'roam up --ask' asks for it again, stored or not.",
    ),
    "secret.unsafe": (
        USAGE,
        "a secret lies in an unsafe file",
        "Make the file yours alone: 'chown $USER FILE; chmod 600 FILE'.",
    ),
    "interrupted": (FAILED, "interrupted", "'roam status' shows what there is."),
}
"""kind -> (exit code of the command, what happened, the next step when the daemon names none)."""

EXIT_CODES: dict[str, int] = {kind: code for kind, (code, _what, _hint) in KINDS.items()}
HINTS: dict[str, str] = {kind: hint for kind, (_code, _what, hint) in KINDS.items()}


def exit_code(kind: str) -> int:
    """Exit code for a cause; one that this version does not know yet is a plain failure."""
    return EXIT_CODES.get(kind, FAILED)


def summary(kind: str) -> str:
    """What happened, in one phrase."""
    return KINDS[kind][1] if kind in KINDS else "it did not work"


_PASSING = frozenset(
    {"net.no_response", "net.no_path", "net.name_not_resolved", "peer.deleted", "local.fault"}
)


def passes(kind: str) -> bool:
    """Whether the next attempt may succeed without anybody's doing: then a waiting command waits on."""
    return kind in _PASSING
