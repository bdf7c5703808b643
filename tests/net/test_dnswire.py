"""DNS messages: what an answer says, and that hostile octets raise one error and nothing else."""

from __future__ import annotations

import struct
from contextlib import suppress
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.net.dnswire import (
    Answer,
    BadAnswer,
    Query,
    Rcode,
    RecordType,
    decode_answer_untrusted,
    encode_query,
)
from tests.net.dnsserver import Answers, NameServer, compose, wire_name

QUERY = Query(0x1234, "gw.example.com", RecordType.A)


def answer_to(query: Query, answers: Answers) -> bytes:
    return NameServer(answers).answer(encode_query(query), 0)


def decode(data: bytes, query: Query = QUERY) -> Answer:
    return decode_answer_untrusted(data, query)


def test_query_is_as_rfc_1035_writes_it() -> None:
    assert encode_query(QUERY) == bytes.fromhex(
        "1234 0100 0001 0000 0000 0000 02 6777 07 6578616d706c65 03 636f6d 00 0001 0001"
    )


@pytest.mark.parametrize("name", ["", ".", "a..b", "x" * 64, ".".join(["label"] * 50), "a\udcffb"])
def test_what_is_no_name_is_not_asked_for(name: str) -> None:
    with pytest.raises(ValueError, match="not a host name"):
        encode_query(Query(1, name, RecordType.A))


def test_names_beyond_ascii_are_asked_for_in_their_ascii_form() -> None:
    assert b"xn--bcher-kva" in encode_query(Query(1, "b\u00fccher.example", RecordType.A))


def test_addresses_of_the_type_asked_for_are_found() -> None:
    answers = {"gw.example.com": ("192.0.2.1", "192.0.2.2", "2001:db8::1")}
    assert decode(answer_to(QUERY, answers)).addresses == (ip_address("192.0.2.1"), ip_address("192.0.2.2"))
    query = Query(1, "gw.example.com", RecordType.AAAA)
    assert decode(answer_to(query, answers), query).addresses == (ip_address("2001:db8::1"),)


def test_case_of_a_name_does_not_matter() -> None:
    query = Query(1, "GW.Example.COM.", RecordType.A)
    data = NameServer({"gw.example.com": ("192.0.2.1",)}).answer(encode_query(query), 0)
    assert decode(data, query).addresses == (ip_address("192.0.2.1"),)


def test_aliases_are_followed() -> None:
    answers = {
        "gw.example.com": (">edge.example.net",),
        "edge.example.net": (">host.example.org",),
        "host.example.org": ("192.0.2.9",),
    }
    assert decode(answer_to(QUERY, answers)).addresses == (ip_address("192.0.2.9"),)


def test_a_circle_of_aliases_ends() -> None:
    question = encode_query(QUERY)
    records = [
        ("gw.example.com", 5, wire_name("other.example.com")),
        ("other.example.com", 5, wire_name("gw.example.com")),
    ]
    assert decode(compose(question, records)).addresses == ()


def test_records_of_other_names_are_not_believed() -> None:
    records = [("bank.example.com", 1, ip_address("192.0.2.66").packed)]
    assert decode(compose(encode_query(QUERY), records)).addresses == ()


def test_unknown_name_is_told_from_no_address() -> None:
    assert decode(answer_to(QUERY, {})) == Answer(Rcode.NXDOMAIN)
    assert decode(answer_to(QUERY, {"gw.example.com": ()})) == Answer(Rcode.NOERROR)


def test_compressed_names_are_read() -> None:
    question = encode_query(QUERY)
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + ip_address("192.0.2.1").packed
    data = question[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + question[12:] + record
    assert decode(data).addresses == (ip_address("192.0.2.1"),)


def test_number_of_addresses_is_bounded() -> None:
    answers = {"gw.example.com": tuple(f"192.0.2.{host}" for host in range(200))}
    assert len(decode(answer_to(QUERY, answers)).addresses) == 16


GOOD = answer_to(QUERY, {"gw.example.com": (">edge.example.net",), "edge.example.net": ("192.0.2.1",)})


def pointing(offset: int) -> bytes:
    """An answer whose record's name points to `offset`; the record stands at 32."""
    question = encode_query(QUERY)
    pointer = struct.pack("!H", 0xC000 | offset)
    record = pointer + struct.pack("!HHIH", 1, 1, 60, 4) + bytes(4)
    return question[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + question[12:] + record


SPOILED = [
    ("empty", b""),
    ("header alone", GOOD[:12]),
    ("another identifier", b"\x12\x35" + GOOD[2:]),
    ("a query", GOOD[:2] + b"\x01" + GOOD[3:]),
    ("another operation", GOOD[:2] + b"\x89" + GOOD[3:]),
    ("no question", GOOD[:4] + bytes(2) + GOOD[6:]),
    ("another question", GOOD.replace(b"\x02gw", b"\x02gx", 1)),
    ("another type", GOOD[:28] + b"\x00\x1c" + GOOD[30:]),
    ("name points at itself", pointing(32)),
    ("name points forwards", pointing(40)),
    ("name points beyond the message", pointing(0x3FFF)),
    ("record longer than the message", GOOD[:-5] + b"\xff" + GOOD[-4:]),
    ("address too short", compose(encode_query(QUERY), [("gw.example.com", 1, bytes(3))])),
    ("more records promised", GOOD[:6] + b"\xff\xff" + GOOD[8:]),
    ("reserved label type", GOOD[:32] + b"\x80" + GOOD[33:]),
]


@pytest.mark.parametrize("data", [row[1] for row in SPOILED], ids=[row[0] for row in SPOILED])
def test_spoiled_answer_is_refused(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        decode(data)


def test_two_pointers_that_point_at_each_other_end() -> None:
    data = pointing(34)[:34] + b"\xc0\x20"
    with pytest.raises(BadAnswer):
        decode(data)


def test_truncation_says_so_and_the_rest_is_not_looked_at() -> None:
    assert decode(GOOD[:2] + bytes([GOOD[2] | 2]) + GOOD[3:32] + b"\xff") == Answer(0, truncated=True)


@given(st.binary(max_size=600))
def test_any_octets_raise_bad_answer_or_nothing(data: bytes) -> None:
    with suppress(BadAnswer):
        decode(data)


@given(st.binary(max_size=600), st.integers(0, 0xFFFF))
def test_any_octets_behind_an_honest_question_raise_bad_answer_or_nothing(rest: bytes, count: int) -> None:
    question = encode_query(QUERY)
    with suppress(BadAnswer):
        decode(question[:2] + struct.pack("!HHHHH", 0x8180, 1, count, 0, 0) + question[12:] + rest)


@given(st.integers(0, len(GOOD) * 8 - 1))
def test_any_flipped_bit_raises_bad_answer_or_nothing(bit: int) -> None:
    spoiled = bytearray(GOOD)
    spoiled[bit // 8] ^= 1 << bit % 8
    with suppress(BadAnswer):
        decode(bytes(spoiled))


@pytest.mark.parametrize("size", range(len(GOOD)))
def test_cut_off_answer_is_refused(size: int) -> None:
    with pytest.raises(BadAnswer):
        decode(GOOD[:size])
