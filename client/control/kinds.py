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

KINDS: dict[str, tuple[int, str]] = {
    # of the engine: client.ike.events.Kind
    "auth.rejected": (
        REFUSED,
        "Check the user name and the password or key of this profile; the gateway's log says why it refused.",
    ),
    "auth.needs_secret": (
        NEEDS_TERMINAL,
        "Run 'roam up' in a terminal to be asked, or name a keyring: or file: reference in the profile.",
    ),
    "auth.method": (
        REFUSED,
        "Ask the administrator which method the gateway wants, and set 'method' and 'eap_methods' to it.",
    ),
    "crypto.no_proposal": (
        FAILED,
        "Set 'ike' and 'esp' in [crypto] to what the gateway offers, or try preset = \"compatible\".",
    ),
    "net.no_response": (
        NO_ANSWER,
        "Check the gateway's address, and that this network lets UDP ports 500 and 4500 out.",
    ),
    "net.no_path": (NO_ANSWER, "Connect to a network first; a wanted tunnel comes up by itself then."),
    "net.name_not_resolved": (
        NO_ANSWER,
        "Check the spelling of [gateway] addresses, and that this network's name servers answer.",
    ),
    "peer.deleted": (FAILED, "The gateway ended the tunnel; if it does so again, ask its administrator why."),
    "peer.protocol": (FAILED, "The gateway broke the protocol; report it together with the evidence."),
    "trust.expired": (
        NOT_TRUSTED,
        "Check this computer's date; if it is right, the gateway needs a new certificate.",
    ),
    "trust.name_mismatch": (
        NOT_TRUSTED,
        "Set [identity] remote to a name the certificate bears, if that is the gateway you mean.",
    ),
    "trust.no_proof": (
        NOT_TRUSTED,
        "The gateway did not prove who it is; do not enter a password, and ask its administrator.",
    ),
    "trust.unknown_ca": (
        NOT_TRUSTED,
        "Get the CA certificate from the gateway's administrator and name it in [trust] ca.",
    ),
    "trust.weak": (NOT_TRUSTED, "The gateway needs a certificate with a stronger key or signature."),
    "ts.unacceptable": (
        FAILED,
        "Compare [routing] include and [address] with what the gateway allows for this user.",
    ),
    "address.none": (
        FAILED,
        "The gateway gave no inside address: its pool may be empty, or set [address] static.",
    ),
    "conflict.full_tunnel": (FAILED, "Bring the other full tunnel down first: 'roam down NAME'."),
    "local.fault": (FAILED, "See the daemon's log: 'journalctl -u roamd'."),
    "profile.invalid": (USAGE, "Correct the profile at the place named."),
    "user.down": (NOT_CONNECTED, "Somebody ended the tunnel; 'roam up NAME' starts it again."),
    # of the control protocol
    "rpc.parse": (FAILED, "Send one JSON object a line."),
    "rpc.request": (FAILED, "Send a JSON-RPC 2.0 request: jsonrpc, id, method, params."),
    "rpc.method": (FAILED, "The daemon does not know this method: 'roam' and 'roamd' may differ in version."),
    "rpc.params": (FAILED, "Compare the parameters with the protocol's description."),
    "rpc.too_long": (
        FAILED,
        "A line of the control protocol is at most 1 MiB: shrink the files in the profile.",
    ),
    "rpc.reply": (FAILED, "'roam' and 'roamd' may differ in version: restart the daemon after an update."),
    "daemon.absent": (NO_DAEMON, "Start it: 'sudo systemctl start roamd'."),
    "daemon.lost": (NO_DAEMON, "See the daemon's log, 'journalctl -u roamd', and try again."),
    "daemon.full": (FAILED, "Too many programs are connected to the daemon; close one and try again."),
    "daemon.running": (FAILED, "Ask the running daemon instead: 'roam cleanup' without --socket does."),
    "permission.denied": (
        NOT_PERMITTED,
        "Join the group 'roam' ('sudo usermod -aG roam $USER', then log in again) or use sudo.",
    ),
    "tunnel.unknown": (NOT_CONNECTED, "'roam status' lists the tunnels that the daemon holds."),
    "tunnel.not_connected": (NOT_CONNECTED, "Bring it up first: 'roam up NAME'."),
    "secret.unknown": (FAILED, "The question has been answered or has expired; 'roam up' asks again."),
    # of the command line
    "usage": (USAGE, "'roam --help' shows the commands."),
    "profile.unknown": (USAGE, "'roam profiles' lists the profiles that you have."),
    "wait.timeout": (
        NO_ANSWER,
        "'roam up --timeout SECONDS' waits longer; '--no-wait' leaves it to the daemon.",
    ),
    "secret.no_terminal": (
        NEEDS_TERMINAL,
        "Run it in a terminal, or name a keyring: or file: reference in the profile.",
    ),
    "secret.missing": (
        NEEDS_TERMINAL,
        "Store it in the keyring under the name given, or change the profile's reference to ask:.",
    ),
    "secret.unsafe": (USAGE, "Make the file yours alone: 'chown $USER FILE; chmod 600 FILE'."),
    "interrupted": (FAILED, "Nothing was left in place; 'roam up' starts again."),
}
"""kind -> (exit code of the command, the next step when the daemon names none)."""

EXIT_CODES: dict[str, int] = {kind: code for kind, (code, _hint) in KINDS.items()}
HINTS: dict[str, str] = {kind: hint for kind, (_code, hint) in KINDS.items()}


def exit_code(kind: str) -> int:
    """Exit code for a cause; one that this version does not know yet is a plain failure."""
    return EXIT_CODES.get(kind, FAILED)
