"""A holder's answer to the engine, as it travels."""

from __future__ import annotations

import base64

from client.ike.authentication import Errand
from client.ike.keys import Secret
from ui.signers.holder import KeyHolder


def answered(holder: KeyHolder, errand: Errand) -> Secret:
    """What the daemon gets for an errand of the engine's."""
    name, made = holder.sign(errand.algorithms, errand.octets)
    return Secret(f"{name} ".encode() + base64.b64encode(made))
