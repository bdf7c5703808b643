"""hostapd as a login server for subscriptions, with an authentication centre of ours behind it.

hostapd speaks EAP-AKA and EAP-AKA' by itself and asks for each challenge over a datagram socket, one line of text
each way; the published subscriber of 3GPP TS 35.208 test set 19 answers.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from client.ike.eap.usim import SQN_SIZE, Milenage
from client.ike.keys import Secret
from client.lab.namespaces import Namespace
from client.lab.pki import make_authority
from client.lab.syscalls import MS_BIND, mount

from .radius import PORT, SHARED_SECRET, Hostapd, LoginService
from .releases import Release

IMSI = "555444333222111"
KEY = Secret(bytes.fromhex("5122250214c33e723a5dd523fc145fc0"))
OPC = Secret(bytes.fromhex("981d464c7c52eb6e5036234984ad0bcf"))
AMF = bytes.fromhex("c3ab")  # its separation bit is set, as EAP-AKA' wants it
FIRST_SQN = 0x16F3B3F70FC1
_SOCKET = "auc.sock"


def card_text() -> str:
    """The subscription as a profile's secret has it."""
    return f"{KEY.reveal().hex()}:{OPC.reveal().hex()}"


def identity(method: str) -> str:
    """The subscriber's name; its first digit tells the method (RFC 4187 section 4.1.1.6, RFC 9048 section 3)."""
    return f"{'0' if method == 'aka' else '6'}{IMSI}@nai.example"


class AuthenticationCentre:
    """Answers hostapd's requests in a thread; `directory` is what the server has at /run/peer and its /tmp."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(directory / _SOCKET))
        self._sqn = FIRST_SQN
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.asked: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while line := self._socket.recvfrom(1024):
            text, address = line
            if not text:
                return
            words = text.decode().split()
            self.asked.append(words[0])
            if words[0] == "AKA-AUTS":
                self._count_anew(*words[2:])
            else:
                reply = self._directory / "tmp" / Path(str(address)).name
                with suppress(OSError):
                    self._socket.sendto(self._challenge(words[1]).encode(), str(reply))

    def _challenge(self, imsi: str) -> str:
        if imsi != IMSI:
            return f"AKA-RESP-AUTH {imsi} FAILURE"
        self._sqn += 1
        functions, sqn, rand = Milenage(KEY, OPC), self._sqn.to_bytes(SQN_SIZE), os.urandom(16)
        answer, anonymity = functions.f2345(rand)
        hidden = bytes(a ^ b for a, b in zip(sqn, anonymity, strict=True))
        autn = hidden + AMF + functions.f1(rand, sqn, AMF)
        parts = (rand, autn, answer.ik.reveal(), answer.ck.reveal(), answer.res.reveal())
        return " ".join(("AKA-RESP-AUTH", imsi, *(part.hex() for part in parts)))

    def _count_anew(self, auts: str, rand: str) -> None:
        anonymity = Milenage(KEY, OPC).f5_star(bytes.fromhex(rand))
        told = bytes(a ^ b for a, b in zip(bytes.fromhex(auts)[:SQN_SIZE], anonymity, strict=True))
        self._sqn = int.from_bytes(told)


class CardServer(Hostapd):
    """hostapd for subscriptions; `method` is "aka" or "aka-prime"."""

    def __init__(self, radius: Release, namespace: Namespace, method: str) -> None:
        authority = make_authority("Login Root")
        unused = LoginService(authority.issue("CN=unused", key="rsa"), authority, {}, method)
        super().__init__(radius, namespace, unused)
        (self.directory / "tmp").mkdir()
        self.centre = AuthenticationCentre(self.directory)

    def __enter__(self) -> Self:
        self.centre.__enter__()
        return super().__enter__()

    def __exit__(self, *exception: object) -> None:
        self.centre.__exit__()
        super().__exit__(*exception)

    def enter(self) -> None:
        """It has a socket of its own in /tmp, which must be ours to answer to."""
        super().enter()
        mount("/run/peer/tmp", "/tmp", flags=MS_BIND)  # noqa: S108 - a private one

    def files(self) -> Mapping[str, str]:
        """The method by the first digit of the identity."""
        return {
            "hostapd.conf": _SETTINGS.format(port=PORT, socket=_SOCKET),
            "users": '"0"* AKA\n"6"* AKA\'\n',
            "radius-clients": f"127.0.0.1/32 {SHARED_SECRET}\n",
        }


_SETTINGS = """\
driver=none
radius_server_clients=/run/peer/radius-clients
radius_server_auth_port={port}
eap_server=1
eap_user_file=/run/peer/users
eap_sim_db=unix:/run/peer/{socket}
"""
