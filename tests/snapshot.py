"""Deep copies and deep fingerprints of engines, quick enough to make thousands of.

`freeze` copies everything that can change and shares what cannot: keys, certificates, configurations and the
ciphers of the library, which no copying module can copy.  Two frozen states are equal octet by octet exactly if
nothing has changed between them, so that a fingerprint is the same thing.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from types import BuiltinFunctionType, FunctionType
from typing import Generic, TypeVar, cast

from client.ike.events import ChildSa, Endpoint, Path, Selector
from client.ike.identity import Identity
from client.ike.keys import ChildKeys, IkeKeys, Secret
from client.ike.options import SessionConfig
from client.ike.sa_payload import Proposal, SecurityAssociation
from client.ike.transforms import EspSuite, IkeSuite
from client.lab.responder import GatewayConfig

State = TypeVar("State")

SHARED = (
    Enum,
    type,
    FunctionType,
    BuiltinFunctionType,
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ChildKeys,
    ChildSa,
    Endpoint,
    EspSuite,
    GatewayConfig,
    Identity,
    IkeKeys,
    IkeSuite,
    Path,
    Proposal,
    Secret,
    SecurityAssociation,
    Selector,
    SessionConfig,
)
"""Values that nobody changes, and code."""

FOREIGN = ("cryptography.", "OpenSSL.", "_cffi", "builtins.")
STATELESS = ("client.ike.kex.", "client.ike.transforms.", "client.ike.trust.", "client.ike.authentication.")


def is_shared(item: object) -> bool:
    """Whether an object is taken over as it is."""
    if isinstance(item, SHARED):
        return True
    module = f"{type(item).__module__}."
    return module.startswith(FOREIGN) or module in STATELESS


class _Pickler(pickle.Pickler):
    """Writes shared objects as numbers."""

    def __init__(self, file: io.BytesIO, shared: list[object], numbers: dict[int, int]) -> None:
        super().__init__(file, protocol=5)
        self._shared = shared
        self._numbers = numbers

    def reducer_override(self, item: object) -> tuple[Callable[[int], object], tuple[int]]:
        """Called for everything but plain containers, numbers, text and octets."""
        if item is _shared_at or not is_shared(item):
            return NotImplemented  # type: ignore[no-any-return]
        number = self._numbers.get(id(item))
        if number is None:
            number = self._numbers[id(item)] = len(self._shared)
            self._shared.append(item)  # kept, so that its id stays its own
        return _shared_at, (number,)


_current: list[object] = []


def _shared_at(number: int) -> object:
    return _current[number]


class Camera(Generic[State]):
    """Takes frozen states of one object; all of them are comparable with each other."""

    def __init__(self) -> None:
        self._shared: list[object] = []
        self._numbers: dict[int, int] = {}

    def freeze(self, state: object) -> bytes:
        """Everything in `state` that can change."""
        file = io.BytesIO()
        _Pickler(file, self._shared, self._numbers).dump(state)
        return file.getvalue()

    def thaw(self, frozen: bytes) -> State:
        """A copy of the object as it was."""
        global _current
        _current = self._shared
        return cast("State", pickle.loads(frozen))  # noqa: S301 - written a moment ago by ourselves


def forked(state: State) -> Callable[[], State]:
    """A maker of independent copies of `state` as it is now."""
    camera: Camera[State] = Camera()
    frozen = camera.freeze(state)
    return lambda: camera.thaw(frozen)
