"""The filter programs, run by a small interpreter: attaching them for real takes a right that rules do not have."""

import struct
from ipaddress import IPv4Address, IPv6Address

import pytest

from firstmate.linux import bpf
from firstmate.linux.neighbours import arp_probe, gratuitous_arp, neighbour_probe, unsolicited_advertisement

CLIENT, VIP = bytes([10, 0, 1, 100]), bytes([10, 0, 1, 80])
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10


def run(program: bpf.Program, data: bytes) -> int:
    """bpf(4): accumulator, index register, no scratch memory. A load beyond the end drops."""
    accumulator = index = at = 0
    while True:
        code, if_true, if_false, k = program[at]
        at += 1
        where = k + (index if code == 0x50 else 0)
        size = {0x20: 4, 0x28: 2}.get(code, 1)
        if code in {0x20, 0x28, 0x30, 0x50, 0xB1} and where + size > len(data):
            return 0
        if code in {0x20, 0x28, 0x30, 0x50}:
            accumulator = int.from_bytes(data[where : where + size])
        elif code == 0xB1:
            index = 4 * (data[k] & 0xF)
        elif code == 0x54:
            accumulator &= k
        elif code == 0x15:
            at += if_true if accumulator == k else if_false
        else:
            assert code == 0x06
            return k


def tcp(flags: int) -> bytes:
    return struct.pack("!HHIIBBHHH", 40_000, 80, 1, 0, 0x50, flags, 64_240, 0, 0)


def frame(payload: bytes, protocol: int = 6, options: bytes = b"", ethertype: int = 0x0800) -> bytes:
    length = 20 + len(options) + len(payload)
    head = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, length, 1, 0, 64, protocol, 0, CLIENT, VIP)
    return b"\2" * 12 + struct.pack("!H", ethertype) + head + options + payload


@pytest.mark.parametrize(
    ("flags", "kept"),
    [(SYN, False), (SYN | 0xC0, False), (SYN | ACK, True), (ACK, True), (ACK | FIN, True), (RST, True)],
    ids=["syn", "syn with ecn", "syn ack", "ack", "fin", "rst"],
)
def test_a_listener_ignores_new_connections_only(flags: int, *, kept: bool) -> None:
    assert bool(run(bpf.ALL_BUT_NEW_CONNECTIONS, tcp(flags))) is kept


@pytest.mark.parametrize(
    ("seen", "kept"),
    [
        (frame(tcp(SYN)), True),
        (frame(tcp(SYN), options=b"\1" * 4), True),
        (frame(tcp(SYN | ACK)), False),
        (frame(tcp(ACK)), False),
        (frame(tcp(SYN), protocol=17), False),
        (frame(tcp(SYN), ethertype=0x86DD), False),
        (b"\xff" * 6 + b"\2" * 6 + b"\x08\x06" + bytes(28), True),
        (b"\2" * 14, False),
        (b"", False),
        (frame(b""), False),
    ],
    ids=["syn", "ip options", "syn ack", "ack", "udp", "ipv6", "arp", "noise", "nothing", "cut off"],
)
def test_the_tap_sees_arp_and_new_connections_only(seen: bytes, *, kept: bool) -> None:
    assert bool(run(bpf.ARP_AND_NEW_CONNECTIONS, seen)) is kept


def test_nothing_is_nothing() -> None:
    assert run(bpf.NOTHING, frame(tcp(SYN))) == 0


OURS, OTHER = IPv4Address("10.0.1.80"), IPv4Address("10.0.1.81")
OURS6, OTHER6 = IPv6Address("2001:db8::80"), IPv6Address("2001:db8::81")
MAC = b"\2" * 6


@pytest.mark.parametrize(
    ("family", "seen", "kept"),
    [
        (4, gratuitous_arp(OURS, MAC), True),
        (4, gratuitous_arp(OTHER, MAC), False),
        (4, arp_probe(OURS, MAC), False),
        (6, unsolicited_advertisement(OURS6, MAC, router=True), True),
        (6, unsolicited_advertisement(OTHER6, MAC, router=True), False),
        (6, neighbour_probe(OURS6, MAC), False),
        (6, b"\2" * 14, False),
    ],
    ids=["arp", "other arp", "arp probe", "na", "other na", "na probe", "noise"],
)
def test_the_watch_is_woken_for_claims_to_ours_only(family: int, seen: bytes, *, kept: bool) -> None:
    ours = {4: [OURS.packed, bytes(3) + b"\1"], 6: [OURS6.packed, bytes(16)]}[family]
    assert bool(run(bpf.claims_of(family, ours), seen)) is kept


def test_more_addresses_than_fit_are_all_kept() -> None:
    many = [n.to_bytes(4) for n in range(5000)]
    assert len(bpf.claims_of(4, many[:2000])) <= bpf.INSTRUCTIONS_MAX
    assert run(bpf.claims_of(4, many), gratuitous_arp(OURS, MAC)) == bpf.KEEP
    assert run(bpf.claims_of(6, [n.to_bytes(16) for n in range(5000)]), neighbour_probe(OURS6, MAC)) == 0


def test_without_addresses_nothing_is_heard() -> None:
    assert bpf.claims_of(4, []) == bpf.NOTHING
