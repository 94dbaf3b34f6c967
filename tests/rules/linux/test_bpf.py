"""The filter programs, run by a small interpreter: attaching them for real takes a right that rules do not have."""

import struct

import pytest

from firstmate.linux import bpf

CLIENT, VIP = bytes([10, 0, 1, 100]), bytes([10, 0, 1, 80])
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10


def run(program: bpf.Program, data: bytes) -> int:
    """bpf(4): accumulator, index register, no scratch memory. A load beyond the end drops."""
    accumulator = index = at = 0
    while True:
        code, if_true, if_false, k = program[at]
        at += 1
        where = k + (index if code == 0x50 else 0)
        size = 2 if code == 0x28 else 1
        if code in {0x28, 0x30, 0x50, 0xB1} and where + size > len(data):
            return 0
        if code in {0x28, 0x30, 0x50}:
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
