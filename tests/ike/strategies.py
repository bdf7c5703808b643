"""Hypothesis strategies for payloads that can be sent."""

from __future__ import annotations

from hypothesis import strategies as st

from client.ike.events import Selector
from client.ike.payloads import (
    Attribute,
    Authentication,
    Certificate,
    CertificateRequest,
    Configuration,
    Delete,
    Eap,
    IdInitiator,
    IdResponder,
    KeyExchange,
    Nonce,
    Notify,
    Payload,
    Proposal,
    SecurityAssociation,
    Transform,
    TsInitiator,
    TsResponder,
    VendorId,
)
from client.ike.registry import ProtocolId
from tests.ike.wire import SPI


def uints(size: int) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << 8 * size) - 1)


DATA = st.binary(max_size=60)
TRANSFORMS = st.builds(Transform, uints(1), uints(2), st.none() | uints(2))
SPIS = {
    0: st.just(b""),
    ProtocolId.IKE: st.sampled_from([b"", bytes(8)]),
    ProtocolId.ESP: st.binary(min_size=4, max_size=4),
}
PROPOSALS = st.sampled_from(sorted(SPIS)).flatmap(
    lambda protocol: st.builds(
        Proposal, uints(1), st.just(protocol), SPIS[protocol], st.lists(TRANSFORMS, max_size=9).map(tuple)
    )
)
PORTS = st.tuples(uints(2), uints(2)).map(sorted) | st.just([65535, 0])
RANGES = st.lists(st.ip_addresses(v=4), min_size=2, max_size=2).map(sorted) | st.lists(
    st.ip_addresses(v=6), min_size=2, max_size=2
).map(sorted)
SELECTORS = st.tuples(RANGES, uints(1), PORTS).map(
    lambda drawn: Selector(drawn[0][0], drawn[0][1], drawn[1], drawn[2][0], drawn[2][1])
)
PAYLOADS_OF_ANY_KIND: st.SearchStrategy[Payload] = st.one_of(
    st.builds(SecurityAssociation, st.lists(PROPOSALS, min_size=1, max_size=4).map(tuple)),
    st.builds(KeyExchange, uints(2), DATA),
    st.builds(IdInitiator, uints(1), DATA, st.binary(min_size=3, max_size=3)),
    st.builds(IdResponder, uints(1), DATA, st.binary(min_size=3, max_size=3)),
    st.builds(Certificate, uints(1), DATA),
    st.builds(
        CertificateRequest, uints(1), st.lists(st.binary(min_size=20, max_size=20), max_size=4).map(tuple)
    ),
    st.builds(Authentication, uints(1), DATA),
    st.builds(Nonce, st.binary(min_size=16, max_size=256)),
    st.builds(Notify, uints(2), DATA, uints(1), st.sampled_from([b"", SPI, bytes(8)])),
    st.builds(
        Delete, st.just(ProtocolId.ESP), st.lists(st.binary(min_size=4, max_size=4), max_size=5).map(tuple)
    ),
    st.builds(VendorId, DATA),
    st.builds(TsInitiator, st.lists(SELECTORS, max_size=4).map(tuple)),
    st.builds(TsResponder, st.lists(SELECTORS, max_size=4).map(tuple)),
    st.builds(
        Configuration,
        uints(1),
        st.lists(st.builds(Attribute, st.integers(0, 0x7FFF), DATA), max_size=5).map(tuple),
    ),
    st.builds(Eap, DATA),
)
