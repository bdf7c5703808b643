"""What `probe` asks for and answers: a gateway seen from outside, before there is a profile."""

from __future__ import annotations

from .evidence import CertificateRecord
from .wire import Message

LONGEST_HOST = 253


class Probe(Message):
    """`probe`: look at a gateway by its name or address; `port` as in a profile's [gateway]."""

    host: str
    port: int = 500

    def objection(self) -> str:
        if not 0 < len(self.host) <= LONGEST_HOST or not self.host.isprintable() or " " in self.host:
            return "host is no name and no address"
        return "" if 0 < self.port < 65536 else "port is not from 1 to 65535"


class PortFound(Message):
    """A port and what it answered: "answered", "silent", "refused" or "unreachable"."""

    what: str
    outcome: str
    detail: str = ""


class AddressFound(Message):
    """What one address of the gateway answers; None: it did not come to that."""

    address: str
    interface: str = ""
    problem: str = ""  # why it could not be asked
    ports: tuple[PortFound, ...] = ()
    cookie: bool | None = None
    redirect: str = ""
    fragmentation: bool | None = None
    signature_hashes: bool | None = None
    nat_local: bool | None = None  # a NAT stands in front of us
    ikev1: bool = False
    vendors: tuple[str, ...] = ()  # hexadecimal
    vendor: str = ""
    groups: tuple[str, ...] = ()  # that it takes, its favourite first
    groups_refused: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    suites_refused: tuple[str, ...] = ()
    identity: str = ""  # what it calls itself
    certificates: tuple[CertificateRecord, ...] = ()
    auth: str = ""  # by which method it proves itself
    eap: tuple[str, ...] = ()  # what it asked in the login, in order
    refusal: str = ""  # what it answered a login without a name with
    questions: int = 0


class Probed(Message):
    """Answer to `probe`: what was found, and a profile to start from."""

    host: str
    port: int = 500
    addresses: tuple[AddressFound, ...] = ()
    problem: str = ""  # why the name has no address
    preset: str = ""  # that suits, by its vendor or name
    profile: str = ""  # TOML; empty where nothing answered
    notes: tuple[str, ...] = ()
