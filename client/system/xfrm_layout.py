"""Numbers and structures of <linux/netlink.h> and <linux/xfrm.h>, on machines with 64-bit alignment."""

from __future__ import annotations

import struct
from enum import IntEnum

ESP = 50


class Kind(IntEnum):
    """Message types: XFRM_MSG_…"""

    NEWSA = 0x10
    DELSA = 0x11
    GETSA = 0x12
    NEWPOLICY = 0x13
    DELPOLICY = 0x14
    GETPOLICY = 0x15
    ALLOCSPI = 0x16
    ACQUIRE = 0x17
    EXPIRE = 0x18
    UPDPOLICY = 0x19
    UPDSA = 0x1A
    FLUSHPOLICY = 0x1D
    NEWAE = 0x1E
    MIGRATE = 0x21
    MAPPING = 0x26


class Group(IntEnum):
    """Multicast groups: XFRMNLGRP_…"""

    ACQUIRE = 1
    EXPIRE = 2
    SA = 3
    POLICY = 4
    MAPPING = 8


class Attribute(IntEnum):
    """XFRMA_…"""

    ALG_CRYPT = 2
    ENCAP = 4
    TMPL = 5
    SA = 6
    LTIME_VAL = 9
    REPLAY_VAL = 10
    SRCADDR = 13
    MIGRATE = 17
    ALG_AEAD = 18
    ALG_AUTH_TRUNC = 20
    MARK = 21
    REPLAY_ESN_VAL = 23
    ADDRESS_FILTER = 26
    OFFLOAD_DEV = 28
    SET_MARK = 29
    SET_MARK_MASK = 30
    IF_ID = 31
    MTIMER_THRESH = 32


HEADER = struct.Struct("=IHHII")  # nlmsghdr
FLOW = struct.Struct("=16s16s2s2s2s2sHBBB3xII")  # xfrm_selector
USER_SA = struct.Struct("=56s16s4sB3x16s64s32sIIIIIHBBB7x")  # xfrm_usersa_info
SA_ID = struct.Struct("=16s4sHBx")  # xfrm_usersa_id
USER_POLICY = struct.Struct("=56s64s32sIIBBBB4x")  # xfrm_userpolicy_info
POLICY_ID = struct.Struct("=56sIB3x")  # xfrm_userpolicy_id
TEMPLATE = struct.Struct("=16s4sB3xH2x16sIBBBxIII")  # xfrm_user_tmpl
MIGRATE = struct.Struct("=16s16s16s16sBBHIHH")  # xfrm_user_migrate
LIMITS = struct.Struct("=QQQQQQQQ")  # xfrm_lifetime_cfg
USAGE = struct.Struct("=QQQQ")  # xfrm_lifetime_cur
REPLAY_ESN = struct.Struct("=IIIIII")  # xfrm_replay_state_esn, without its bitmap
REPLAY = struct.Struct("=III")  # xfrm_replay_state
ENCAP = struct.Struct("=H2s2s2x16x")  # xfrm_encap_tmpl
OFFLOAD = struct.Struct("=IB3x")  # xfrm_user_offload
MAPPING = struct.Struct("=24sI16s16s2s2s")  # xfrm_user_mapping
ATTRIBUTE = struct.Struct("=HH")

MODE_TUNNEL = 1  # XFRM_MODE_TUNNEL
FLAG_AF_UNSPEC, FLAG_ESN = 32, 128  # flags of an SA: any inner family; extended sequence numbers
UDP_ENCAP_ESPINUDP = 2
ACTION_BLOCK = 1  # XFRM_POLICY_BLOCK
OFFLOAD_INBOUND = 2  # flag of a device
BITMAP_WORD = 32
