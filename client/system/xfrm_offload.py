"""What a network device is asked to do of an SA's work, and what less when that is refused; pure.

Theory of operation.  A device that takes whole packets takes the SA and the policies that ask for it, or nothing
works: the kernel looks for such an SA under such a policy only, and for others under others.  So both are tried
before the first packet, and the SA is made anew with less where either is refused.  Less is cryptography alone,
then nothing.

What is not asked for, and why:

- What comes in is never handed to a device as whole packets.  It would hand them over, opened, as its own: past
  the xfrm interface, since nothing in them says which one is meant.  Kernels up to 6.15 agree to that all the same;
  later ones refuse any work on an inbound SA with an interface number ("XFRM if_id is not supported in RX path").
- What goes out is not, where a guard stands.  Such a packet leaves the kernel as it is, and nobody looks at it any
  more: one that waits in a queue while the SA and its policies leave the device goes out in clear.
- Nor is it by kernels before 6.15, which send such packets through the packet filter once more, without the SA's
  mark: there they look like a leak, and are dropped as one.  Whether a kernel does so cannot be asked without a
  device; what came with 6.16 can (inbound SAs, above), and stands for it.
- An SA on which something was sent is not, since a device that begins to count at 1 would repeat nonces.
- Cryptography of ESP in UDP is not: kernels know how since 6.11, and over IPv4 alone.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass

from .xfrm_model import Device, Offload

Work = Offload | None
"""What a device does of an SA's work; None: nothing."""

_SAY_NO = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSPC, errno.EBUSY, errno.ENODEV, errno.ENXIO})
"""How drivers refuse: they cannot at all, or not this one, or have no room left, or are gone."""

PAST_THE_LINK = "a device would hand them over past the tunnel's link"
GUARDED = "a guard lets nothing out as it is"
FILTERED = "this kernel sends them through the packet filter in clear"
IN_USE = "packets were sent on it before"
IN_UDP = "not for ESP in UDP"
NOTHING_TAKEN = "the device takes nothing over"

_WORDS = {Offload.PACKET: "whole packets", Offload.CRYPTO: "cryptography"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What may be asked for, best first, and why the rest is not, in words."""

    works: tuple[Work, ...]
    whys: tuple[str, ...] = ()


NOTHING = Wish((None,))
"""Where nobody wants a device to do anything."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a device does of an SA's work, and why no more."""

    work: Work = None
    whys: tuple[str, ...] = ()

    def __str__(self) -> str:
        done = f"{_WORDS[self.work]} by the network device" if self.work is not None else "all by the kernel"
        return f"{done} ({'; '.join(self.whys)})" if self.whys else done


def wish(*, inbound: bool, encapsulated: bool, no_whole: str, used: bool) -> Wish:
    """What to ask a device for.

    `no_whole`: why no whole packets go out at all, "" where they may; `used`: the SA has carried something.
    """
    whole = PAST_THE_LINK if inbound else no_whole or (IN_USE if used else "")
    reasons = {Offload.PACKET: whole, Offload.CRYPTO: IN_UDP if encapsulated else ""}
    works = tuple(work for work, why in reasons.items() if not why)
    return Wish((*works, None), tuple(refused(work, why) for work, why in reasons.items() if why))


def left(works: Sequence[Work], number: int) -> tuple[Work, ...]:
    """What is still to be tried when the first was refused with this error; nothing where that stands."""
    is_devices_answer = works[0] is not None and number in _SAY_NO
    return tuple(works[1:]) if is_devices_answer else ()


def taken(asked: Work, device: Device | None, whys: tuple[str, ...]) -> Taken:
    """What a device that did not refuse does do, as the kernel tells of the SA: some are asked in vain."""
    work = None if device is None else device.work
    if asked is not None and work is not asked:
        whys = (*whys, refused(asked, NOTHING_TAKEN))
    return Taken(work, whys)


def refused(work: Offload, why: str) -> str:
    """For a person."""
    return f"{_WORDS[work]}: {why}"


def is_whole(device: Device | None) -> bool:
    """Whether a device takes whole packets, and so counts them itself."""
    return device is not None and device.work is Offload.PACKET


def told(sent: Taken, received: Taken) -> str:
    """Of both directions, for the status."""
    return f"sent: {sent}; received: {received}"
