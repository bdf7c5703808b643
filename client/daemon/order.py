"""What a user has asked for: a profile with everything that it refers to, ready to become a driver's wish."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from profiles.errors import ProfileError, ProfileNotFound
from profiles.model import Profile
from profiles.prompts import prompt_for
from profiles.references import UnsafeFile, elsewhere, files_of, read_file, read_secret, secrets_of
from profiles.store import Store, load_text

from ..config import Material, SecretMissing, session_config, tunnel_config
from ..control.messages import ControlError
from ..ike.events import AnswerKind, Failure, Kind
from ..ike.keys import OneTimeCode, Secret
from ..system.choice import Choice, DataPathKind
from .driver import Wish
from .status import NO_CHOICE, Wished

AUTHORITIES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),  # Debian, Arch, Gentoo
    Path("/etc/pki/tls/certs/ca-bundle.crt"),  # Fedora
    Path("/etc/ssl/ca-bundle.pem"),  # openSUSE
)

OWN_SECRETS = frozenset({"file", "credential"})
"""Schemes of what the daemon reads for a system profile itself; all other secrets come from its callers."""


@dataclass(frozen=True, slots=True)
class Key:
    """What a tunnel is known by: its owner's uid (None: a system profile) and the profile's id."""

    owner: int | None
    id: str

    def __str__(self) -> str:
        return f"system/{self.id}" if self.owner is None else f"{self.id} of uid {self.owner}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What to ask for: the secret's reference or the fingerprint, its kind in the control protocol, and words."""

    reference: str
    kind: str
    prompt: str


@dataclass(frozen=True, slots=True)
class Order:
    """A profile as it was asked for; secrets are here and in the session, and nowhere else."""

    owner: int
    shared: bool
    profile: Profile
    text: str = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)
    secrets: Mapping[str, Secret] = field(repr=False)
    codes: Mapping[str, OneTimeCode] = field(default_factory=dict, repr=False)
    """Secrets that serve one login each, shared by all sessions that this order leads to."""
    pins: frozenset[str] = frozenset()
    """The fingerprint of the gateway's key that the owner has confirmed; forgotten with the wish."""

    @property
    def key(self) -> Key:
        """What its tunnel is known by."""
        return Key(None if self.shared else self.owner, self.profile.id)

    @property
    def public_files(self) -> dict[str, bytes]:
        """The files without private keys: what may be kept on disk."""
        keys = {entry.key_file for entry in self.profile.auth.local if not entry.key_is_elsewhere}
        return {reference: octets for reference, octets in self.files.items() if reference not in keys}

    def with_pin(self, mark: str) -> Order:
        """The same with a key of the gateway that its owner has confirmed."""
        return self.with_pins({mark})

    def with_pins(self, marks: Iterable[str]) -> Order:
        """The same with several."""
        return replace(self, pins=self.pins.union(marks))

    def with_secret(self, reference: str, value: Secret) -> Order:
        """The same with one more secret."""
        if any(entry.secret == reference and entry.serves_once for entry in self.profile.auth.local):
            return replace(self, codes={**self.codes, reference: OneTimeCode(value)})
        return replace(self, secrets={**self.secrets, reference: value})

    def password_of_login(self, kind: AnswerKind) -> str:
        """The reference for which another password is asked in the course of a login; empty for other kinds."""
        if kind not in {AnswerKind.PASSWORD, AnswerKind.NEW_PASSWORD}:
            return ""
        rounds = (
            entry for entry in self.profile.auth.local if entry.method == "eap" and entry.needs_password
        )
        return next((entry.secret for entry in rounds), "")

    def with_replaced(self, was: Secret, now: Secret) -> Order:
        """The same with another password for the logins by EAP that had `was`."""
        mine = {entry.secret for entry in self.profile.auth.local if entry.method == "eap"}
        changed = {name: now for name, value in self.secrets.items() if name in mine and value == was}
        return replace(self, secrets={**self.secrets, **changed})

    def without_passwords(self) -> Order:
        """The same without the secrets of logins by EAP: they have to be asked for."""
        rounds = (
            entry for entry in self.profile.auth.local if entry.method == "eap" and entry.needs_password
        )
        mine = {entry.secret for entry in rounds}
        kept = {name: value for name, value in self.secrets.items() if name not in mine}
        return replace(self, secrets=kept, codes={})

    def with_secrets(self, secrets: Mapping[str, Secret]) -> Order:
        """The same with more secrets."""
        order = self
        for reference, value in secrets.items():
            order = order.with_secret(reference, value)
        return order

    def wish(self, serial: int, data_path: Choice = NO_CHOICE) -> Wish:
        """What the driver is told; `ProfileError` and `SecretMissing` as in `client.config`."""
        profile = self.profile
        authorities = system_authorities() if profile.trust.system_store else b""
        session = session_config(
            profile, Material(self.files, self.secrets, authorities, self.codes, self.pins)
        )
        if data_path.kind is DataPathKind.USERSPACE:
            # The pump's sockets carry ESP in UDP only: the gateway must encapsulate, with or without a NAT.
            session = replace(session, force_encapsulation=True)
        # A gateway that does not know the name we ask for refuses before it has shown who it is.  Without the
        # name it shows, and is judged by the same rule: then the user reads which name it bears.
        is_free = profile.identity.send_idr == "auto" and session.send_idr
        unnamed = replace(session, send_idr=False) if is_free else None
        return Wish(tunnel_config(profile), session, self.wished(serial), unnamed, data_path)

    def wished(self, serial: int) -> Wished:
        """What status says of the user's side."""
        return Wished(self.owner, self.shared, self.profile.title, serial)

    def question(self, failure: Failure) -> Asked | None:
        """The secret that may mend a failure; None where none can."""
        if failure.kind is Kind.TRUST_UNCONFIRMED:
            shown = ":".join(failure.subject[n : n + 4] for n in range(0, len(failure.subject), 4))
            prompt = f"{self.profile.title}: the gateway shows the key sha256 {shown}. Trust it? [yes/no]"
            return Asked(failure.subject, "confirm-fingerprint", prompt)
        try:
            self.wish(0)
        except SecretMissing as missing:
            return self._asked(missing.text, missing.kind, missing.why)
        except ProfileError:
            return None
        rounds = [entry for entry in self.profile.auth.local if entry.needs_password]
        spent = [entry for entry in rounds if self.codes.get(entry.secret, OneTimeCode()).is_spent]
        for entry in [entry for entry in spent if entry.serves_once]:
            return self._asked(entry.secret, "otp")
        if failure.kind is Kind.AUTH_REJECTED and rounds:
            return self._asked(rounds[-1].secret, "password")
        return None

    def _asked(self, reference: str, kind: str, why: str = "") -> Asked | None:
        if kind == "key":
            return None
        prompt = prompt_for(self.profile, reference, kind)
        return Asked(reference, kind, f"{prompt} ({why})" if why else prompt)


def user_order(owner: int, text: str, files: Mapping[str, bytes], secrets: Mapping[str, Secret]) -> Order:
    """What a user hands over; `ProfileError` for a profile that cannot be used."""
    return Order(owner, False, load_text(text), text, files, {}).with_secrets(secrets)


def system_order(
    store: Store, owner: int, name: str, own_uid: int, shown: Mapping[str, bytes] | None = None
) -> Order:
    """A system profile, with the files and secrets that the daemon may read itself.

    Of `shown`, what the caller brings along, only the public parts of keys are taken that he is to sign with.
    """
    file = store.find(f"system/{name}")
    text = file.read_text()
    profile = file.check_name(load_text(text, str(file.path)))
    directory = file.path.parent
    files = {reference.text: read_file(reference, directory) for reference in files_of(profile)}
    distant = {reference.text for reference in elsewhere(profile)}
    files |= {name: octets for name, octets in (shown or {}).items() if name in distant}
    secrets = {
        reference.text: Secret(read_secret(reference, directory, {0, own_uid}).encode())
        for reference in secrets_of(profile, files)
        if reference.scheme in OWN_SECRETS
    }
    return Order(owner, True, profile, text, files, {}).with_secrets(secrets)


def refuse_profile(error: ProfileError) -> NoReturn:
    """Tell a caller what is wrong with a profile."""
    kind = "profile.invalid"
    if isinstance(error, ProfileNotFound):
        kind = "profile.unknown"
    elif isinstance(error, UnsafeFile):
        kind = "secret.unsafe"
    raise ControlError(kind, str(error), error.hint) from None


def system_authorities() -> bytes:
    """The CAs that the system trusts, as PEM; `ProfileError` where it has no store that we know."""
    for path in AUTHORITIES:
        if path.is_file():
            return path.read_bytes()
    raise ProfileError("trust.system_store", "this system has no store of CAs that Roam knows")


def missing_secret(order: Order, missing: SecretMissing) -> Failure:
    """Why a tunnel has to wait for its user."""
    what = {"key": "private key", "otp": "one-time code"}.get(missing.kind, missing.kind)
    evidence = missing.why or f"the {what} of {order.profile.title} must be given"
    if missing.kind == "choose-certificate":
        evidence = f"one of several certificates must be chosen: {missing.why}"
    return Failure(Kind.AUTH_NEEDS_SECRET, evidence)
