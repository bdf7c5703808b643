"""Key exchange: published vectors, the groups' constants, and public values that must be refused."""

from __future__ import annotations

import pytest

from client.ike import modp
from client.ike.errors import InvalidSyntax
from client.ike.kex import KeyPair, generate
from client.ike.registry import Kex
from client.ike.transforms import KEY_EXCHANGES, KeyExchangeMethod
from tests.ike.published import Vector, load, source
from tests.ike.suites import fixed_rng, seeded_rng

ECP = load("ecp")
X25519 = load("x25519")
MODP_ROWS = [row for row in KEY_EXCHANGES if row.prime is not None]
ECP_ROWS = [row for row in KEY_EXCHANGES if row.curve is not None]

# All u coordinates of order 1, 2, 4 and 8 below 2^255, non-canonical ones included: the cofactor makes them zero.
LOW_ORDER = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
)


def key_pair(method: int, private: bytes) -> KeyPair:
    """A key pair with this very private value."""
    row = next(row for row in KEY_EXCHANGES if row.id == method)
    if row.curve is None:
        return generate(method, fixed_rng(private))
    # The value is reduced to 0 … n-2 and 1 is added; eight octets more than the order has are asked for.
    wanted = int.from_bytes(private) - 1
    return generate(method, fixed_rng(wanted.to_bytes(row.public_size // 2 + 8)))


def pi_scaled(bits: int) -> int:
    """floor(2^bits * pi) by Machin's formula, in integers."""
    guard = 64
    one = 1 << (bits + guard)

    def arctan_of_inverse(x: int) -> int:
        total, power, n = 0, one // x, 1
        while power:
            total += power // n if n % 4 == 1 else -(power // n)
            power //= x * x
            n += 2
        return total

    return 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239)) >> guard


def point_off_the_curve(row: KeyExchangeMethod) -> bytes:
    public = bytearray(generate(row.id, seeded_rng("peer")).public)
    public[-1] ^= 1
    return bytes(public)


@pytest.mark.parametrize("vector", ECP + X25519, ids=source)
def test_both_ends_agree_as_published(vector: Vector) -> None:
    method = Kex[vector.text("method")]
    initiator, responder = (key_pair(method, vector.octets(name)) for name in ("i", "r"))
    assert initiator.public == vector.octets("gi")
    assert responder.public == vector.octets("gr")
    assert initiator.agree(responder.public).reveal() == vector.octets("shared")
    assert responder.agree(initiator.public).reveal() == vector.octets("shared")


@pytest.mark.parametrize(
    ("method", "bits", "k"),
    [
        (Kex.MODP_1024, 1024, 129093),
        (Kex.MODP_1536, 1536, 741804),
        (Kex.MODP_2048, 2048, 124476),
        (Kex.MODP_3072, 3072, 1690314),
        (Kex.MODP_4096, 4096, 240904),
    ],
    ids=[
        "RFC 2409 section 6.2",
        "RFC 3526 section 2",
        "RFC 3526 section 3",
        "RFC 3526 section 4",
        "RFC 3526 section 5",
    ],
)
def test_the_primes_are_those_of_the_formula(method: Kex, bits: int, k: int) -> None:
    expected = 2**bits - 2 ** (bits - 64) - 1 + 2**64 * (pi_scaled(bits - 130) + k)
    assert modp.PRIMES[method] == expected


@pytest.mark.parametrize(
    ("method", "end"),
    [
        (Kex.MODP_1024, "49286651ECE65381FFFFFFFFFFFFFFFF"),
        (Kex.MODP_1536, "670C354E4ABC9804F1746C08CA237327FFFFFFFFFFFFFFFF"),
    ],
    ids=["RFC 2409 section 6.2", "RFC 3526 section 2"],
)
def test_the_old_primes_are_safe_primes_and_end_as_printed(method: Kex, end: str) -> None:
    prime = modp.PRIMES[method]
    assert f"{prime:X}".endswith(end)
    for candidate in (prime, (prime - 1) // 2):
        assert all(pow(base, candidate - 1, candidate) == 1 for base in (2, 3, 5, 7, 11, 13))


@pytest.mark.parametrize("row", MODP_ROWS, ids=str)
def test_modp_is_exponentiation(row: KeyExchangeMethod) -> None:
    assert row.prime is not None
    ours, theirs = generate(row.id, seeded_rng("ours")), generate(row.id, seeded_rng("theirs"))
    exponent = int.from_bytes(seeded_rng("ours")(modp.EXPONENT_SIZE)) | 1 << 511
    assert int.from_bytes(ours.public) == pow(2, exponent, row.prime)
    shared = pow(int.from_bytes(theirs.public), exponent, row.prime)
    assert ours.agree(theirs.public).reveal() == shared.to_bytes(row.public_size)


def test_a_modp_secret_keeps_its_leading_zeros() -> None:
    ours = generate(Kex.MODP_2048, seeded_rng("ours"))
    # Found by trying: one value in 256 leads to an empty first octet, which RFC 7296 section 2.14 wants kept.
    secret = ours.agree((453).to_bytes(256)).reveal()
    assert len(secret) == 256
    assert secret[0] == 0


@pytest.mark.parametrize("row", KEY_EXCHANGES, ids=str)
def test_both_ends_agree_with_values_of_the_announced_size(row: KeyExchangeMethod) -> None:
    ours, theirs = generate(row.id, seeded_rng("ours")), generate(row.id, seeded_rng("theirs"))
    assert (ours.method, len(ours.public)) == (row.id, row.public_size)
    assert ours.public != theirs.public
    assert ours.agree(theirs.public) == theirs.agree(ours.public)


@pytest.mark.parametrize("row", KEY_EXCHANGES, ids=str)
def test_the_private_value_comes_from_the_rng_alone(row: KeyExchangeMethod) -> None:
    assert generate(row.id, seeded_rng("a")).public == generate(row.id, seeded_rng("a")).public
    assert generate(row.id, seeded_rng("a")).public != generate(row.id, seeded_rng("b")).public


@pytest.mark.parametrize("octet", [0x00, 0xFF])
@pytest.mark.parametrize("row", KEY_EXCHANGES, ids=str)
def test_extreme_octets_of_the_rng_still_make_a_valid_key(row: KeyExchangeMethod, octet: int) -> None:
    ours = generate(row.id, lambda size: bytes([octet]) * size)
    theirs = generate(row.id, seeded_rng("theirs"))
    assert ours.agree(theirs.public) == theirs.agree(ours.public)


@pytest.mark.parametrize("row", KEY_EXCHANGES, ids=str)
def test_a_public_value_of_another_length_is_refused(row: KeyExchangeMethod) -> None:
    ours, public = generate(row.id, seeded_rng("ours")), generate(row.id, seeded_rng("theirs")).public
    for wrong in (
        b"",
        public[:-1],
        public + b"\0",
        b"\0" + public,
        b"\x04" + public,
        public[: len(public) // 2],
    ):
        with pytest.raises(InvalidSyntax, match="octets"):
            ours.agree(wrong)


@pytest.mark.parametrize("row", MODP_ROWS, ids=str)
def test_modp_values_outside_the_group_are_refused(row: KeyExchangeMethod) -> None:
    assert row.prime is not None
    ours = generate(row.id, seeded_rng("ours"))
    for value in (0, 1, row.prime - 1, row.prime, row.prime + 1, 2 ** (row.public_size * 8) - 1):
        with pytest.raises(InvalidSyntax):
            ours.agree(value.to_bytes(row.public_size))


@pytest.mark.parametrize("row", ECP_ROWS, ids=str)
def test_points_that_are_not_on_the_curve_are_refused(row: KeyExchangeMethod) -> None:
    ours, size = generate(row.id, seeded_rng("ours")), row.public_size
    x = generate(row.id, seeded_rng("theirs")).public[: size // 2]
    for public in (point_off_the_curve(row), bytes(size), b"\xff" * size, x + bytes(size // 2)):
        with pytest.raises(InvalidSyntax, match="curve"):
            ours.agree(public)


@pytest.mark.parametrize("row", ECP_ROWS, ids=str)
def test_our_own_point_mirrored_is_on_the_curve_and_accepted(row: KeyExchangeMethod) -> None:
    # The secret is the x coordinate alone, so that the sign of y cannot matter.
    ours, theirs = generate(row.id, seeded_rng("ours")), generate(row.id, seeded_rng("theirs")).public
    field = {Kex.ECP_256: 2**256 - 2**224 + 2**192 + 2**96 - 1, Kex.ECP_521: 2**521 - 1}
    field[Kex.ECP_384] = 2**384 - 2**128 - 2**96 + 2**32 - 1
    half = row.public_size // 2
    mirrored = theirs[:half] + (field[row.id] - int.from_bytes(theirs[half:])).to_bytes(half)
    assert ours.agree(mirrored) == ours.agree(theirs)


@pytest.mark.parametrize("public", LOW_ORDER)
def test_x25519_values_of_low_order_are_refused(public: str) -> None:
    with pytest.raises(InvalidSyntax, match="low order"):
        generate(Kex.X25519, seeded_rng("ours")).agree(bytes.fromhex(public))


def test_x25519_ignores_the_highest_bit() -> None:
    ours, public = generate(Kex.X25519, seeded_rng("ours")), generate(Kex.X25519, seeded_rng("theirs")).public
    # RFC 7748 section 5: it is masked, and a value with it set must be accepted.
    assert ours.agree(public[:-1] + bytes([public[-1] | 0x80])) == ours.agree(public)


@pytest.mark.parametrize("method", [0, 1, 22, 255, 65535])
def test_a_method_without_a_row_is_a_caller_mistake(method: int) -> None:
    with pytest.raises(ValueError, match="not implemented"):
        generate(method, seeded_rng("ours"))


@pytest.mark.parametrize("row", KEY_EXCHANGES, ids=str)
def test_a_key_pair_does_not_show_its_private_value(row: KeyExchangeMethod) -> None:
    private = seeded_rng("ours")(32).hex()
    assert private not in repr(generate(row.id, seeded_rng("ours")))
