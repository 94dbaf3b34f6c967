"""What the tap reads out of frames, and the checksum that it puts right before one is sent on."""

import struct
from ipaddress import IPv4Address

import pytest

from firstmate.linux.tap import SO_TIMESTAMPNS, ArpSaid, NewConnection, _read, with_checksum

# A SYN of Linux with all its options, as it leaves a card: the checksum is right.
SYN = bytes.fromhex(
    "0200000000aa0200000001640800"
    "4500003c1c464000400600000a0001640a000150"
    "9c4000501234567800000000a002faf000000000"
    "020405b40402080a00bc614e0000000001030307"
)  # fmt: skip
CHECKSUM = slice(50, 52)


def test_checksum_covers_pseudo_header_and_options() -> None:
    right = with_checksum(SYN)
    segment = right[34:]
    covered = right[26:34] + struct.pack("!HH", 6, len(segment)) + segment
    total = sum(struct.unpack(f"!{len(covered) // 2}H", covered))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF
    assert right[:50] + right[52:] == SYN[:50] + SYN[52:]


@pytest.mark.parametrize("left_by_the_sender", [b"\0\0", b"\x12\x34", b"\xff\xff"])
def test_what_stood_there_does_not_matter(left_by_the_sender: bytes) -> None:
    other = SYN[:50] + left_by_the_sender + SYN[52:]
    assert with_checksum(other) == with_checksum(SYN)


def test_padding_of_a_short_frame_is_kept_and_not_covered() -> None:
    assert with_checksum(SYN + b"\xaa\xbb") == with_checksum(SYN) + b"\xaa\xbb"


def test_an_odd_segment_is_padded_for_the_sum() -> None:
    odd = SYN[:16] + struct.pack("!H", 0x3D) + SYN[18:] + b"\x01"
    even = SYN[:16] + struct.pack("!H", 0x3E) + SYN[18:] + b"\x01\x00"
    lengths_differ_by = 1
    difference = (int.from_bytes(with_checksum(odd)[CHECKSUM]) - int.from_bytes(with_checksum(even)[CHECKSUM])) % 0xFFFF
    assert difference == lengths_differ_by


def test_a_new_connection_with_the_kernels_time() -> None:
    extra = [(1, SO_TIMESTAMPNS, struct.pack("@ll", 1_795_000_000, 5))]
    seen = _read(SYN, extra)
    assert seen == NewConnection(IPv4Address("10.0.1.80"), SYN, 1_795_000_000_000_000_005)


def test_arp_says_where_an_address_is() -> None:
    arp = struct.pack(
        "!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, b"\2\0\0\0\0\x0b", b"\x0a\0\1\x50", b"\xff" * 6, b"\x0a\0\1\x50"
    )
    seen = _read(b"\xff" * 6 + b"\2\0\0\0\0\x0b" + b"\x08\x06" + arp, [])
    assert seen == ArpSaid(IPv4Address("10.0.1.80"), b"\2\0\0\0\0\x0b")


@pytest.mark.parametrize("size", [0, 13, 14, 41, 53])
def test_a_frame_cut_short_says_nothing(size: int) -> None:
    assert _read(SYN[:size], []) is None
