"""Matching Child SAs for both ends, with invented keys."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_network

from client.ike.events import ChildKeys, ChildSa, EspAlgorithms, Selector
from client.ike.keys import Secret
from client.ike.registry import Encr, Integ
from client.ike.transforms import encryption, integrity

ANY = (
    Selector(IPv4Address(0), IPv4Address(2**32 - 1)),
    Selector(IPv6Address(0), IPv6Address(2**128 - 1)),
)

AES_GCM = EspAlgorithms(Encr.AES_GCM_16, 256, Integ.NONE, esn=False)
AES_GCM_ESN = EspAlgorithms(Encr.AES_GCM_16, 128, Integ.NONE, esn=True)
CHACHA20 = EspAlgorithms(Encr.CHACHA20_POLY1305, 256, Integ.NONE, esn=False)
AES_CBC = EspAlgorithms(Encr.AES_CBC, 256, Integ.HMAC_SHA2_256_128, esn=False)
AES_CBC_ESN = EspAlgorithms(Encr.AES_CBC, 128, Integ.HMAC_SHA2_512_256, esn=True)
ALL_ALGORITHMS = (AES_GCM, AES_GCM_ESN, CHACHA20, AES_CBC, AES_CBC_ESN)


def selectors(*networks: str) -> tuple[Selector, ...]:
    """Selectors of whole networks."""
    parsed = [ip_network(network) for network in networks]
    return tuple(Selector(network.network_address, network.broadcast_address) for network in parsed)


def child_pair(
    algorithms: EspAlgorithms = AES_GCM,
    *,
    local: tuple[Selector, ...] = ANY,
    remote: tuple[Selector, ...] = ANY,
    spis: tuple[int, int] = (0x11111111, 0x22222222),
    seed: str = "",
) -> tuple[ChildSa, ChildSa]:
    """Ours and the peer's view of one Child SA; another seed makes other keys."""
    encr = encryption(algorithms.encr, algorithms.encr_key_bits)
    integ = integrity(algorithms.integ)
    assert encr is not None
    sizes = (encr.keymat_size, integ.key_size if integ else 0)
    one, other = (
        [Secret(_octets(f"{seed}/{end}/{kind}", size)) for kind, size in zip("ei", sizes, strict=True)]
        for end in ("one", "other")
    )
    ours = ChildSa(spis[0], spis[1], algorithms, ChildKeys(*one, *other), local, remote, encapsulate=True)
    theirs = replace(
        ours,
        spi_in=spis[1],
        spi_out=spis[0],
        keys=ChildKeys(*other, *one),
        local_selectors=remote,
        remote_selectors=local,
    )
    return ours, theirs


def counting_rng() -> Callable[[int], bytes]:
    """Other octets at each call, the same in each run."""
    calls = iter(range(1 << 32))
    return lambda count: _octets(f"rng/{next(calls)}", count)


def _octets(seed: str, count: int) -> bytes:
    return hashlib.shake_128(seed.encode()).digest(count)
