"""What a process does only once, done before anybody waits: an attempt that goes nowhere.

OpenSSL sets itself up at its first use, and Python compiles patterns and finds its way through code that has not
run yet.  Together that is a third of the time that the first tunnel of a daemon would need.
"""

from __future__ import annotations

import os
from ipaddress import ip_address

from ..ike.events import Endpoint, Path
from ..ike.kex import generate
from ..ike.keys import Secret
from ..ike.session import Session
from ..ike.transforms import ENCRYPTIONS
from .clock import boottime, wall
from .order import user_order

_REFERENCE = "file:rehearsal"
_PROFILE = f"""
schema = 1
id = "rehearsal"

[gateway]
addresses = ["192.0.2.1"]

[identity]
local = "nobody@example.com"

[[auth.local]]
method = "psk"
secret = "{_REFERENCE}"

[auth.remote]
method = "psk"
"""
_HERE, _THERE = ip_address("192.0.2.2"), ip_address("192.0.2.1")
_PATH = Path(
    "lo", Endpoint(_HERE, 61440), Endpoint(_THERE, 4500), Endpoint(_HERE, 61441), Endpoint(_THERE, 500)
)


def rehearse() -> None:
    """From the text of a profile to a first message that nobody sends; blocks for some milliseconds."""
    config = user_order(0, _PROFILE, {}, {_REFERENCE: Secret(b"rehearsal")}).wish(0).session
    session = Session(config, os.urandom)
    session.initiate(_PATH, boottime(), wall())
    for _ in session.outputs():
        pass
    pair = generate(config.ike_offer.kex_methods[0], os.urandom)
    pair.agree(pair.public)
    for row in ENCRYPTIONS:
        if row.make_aead is not None:
            row.make_aead(bytes(row.key_size)).encrypt(bytes(12), b"", b"")
