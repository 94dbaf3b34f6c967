"""Adverts that must not be heard, and a program that sends them as fast as it is told.

python -m tests.lab.flood INTERFACE PER_SECOND SECONDS FRAME...     frames in hex; prints how many were sent
"""

import ctypes
import os
import socket
import struct
import sys
import time
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from firstmate.model.addresses import Address
from firstmate.vrrp.packet import checksum

BATCH = 100  # frames of one system call
GROUPS: dict[int, Address] = {4: IPv4Address("224.0.0.18"), 6: IPv6Address("ff02::12")}


def bad_frames(source: Address, vips: Sequence[Address], vrid: int, macs: tuple[str, str]) -> dict[str, bytes]:
    """To the group, by the reason for which each must be refused; heard, most of them would move the addresses.

    `macs`: of the sender, and of the one host that is to get them.
    """
    wire = b"".join(bytes.fromhex(one.replace(":", "")) for one in reversed(macs))
    group = GROUPS[source.version]
    pdu = _pdu(vrid, 255, vips)
    good = _summed(pdu, source, group)
    return {
        "checksum": _frame(source, good[:6] + bytes((good[6] ^ 1,)) + good[7:], wire),
        "resigns with a bad checksum": _frame(source, _summed(_pdu(vrid, 0, vips), source, source), wire),
        "TTL": _frame(source, good, wire, ttl=254),
        "version": _frame(source, _summed(b"\x21" + pdu[1:], source, group), wire),
        "type": _frame(source, _summed(b"\x32" + pdu[1:], source, group), wire),
        "truncated": _frame(source, _summed(pdu[:-2], source, group), wire),
        "a header alone": _frame(source, good[:7], wire),
        "interval": _frame(source, _summed(pdu[:4] + b"\0\0" + pdu[6:], source, group), wire),
        "VRID": _frame(source, _summed(_pdu(vrid + 1, 255, vips), source, group), wire),
        "other addresses": _frame(source, _summed(_pdu(vrid, 255, [source]), source, group), wire),
    }


def _pdu(vrid: int, priority: int, vips: Sequence[Address]) -> bytes:
    return struct.pack("!BBBBHH", 0x31, vrid, priority, len(vips), 10, 0) + b"".join(vip.packed for vip in vips)


def _summed(pdu: bytes, source: Address, destination: Address) -> bytes:
    rest = struct.pack("!BBH", 0, 112, len(pdu)) if source.version == 4 else struct.pack("!II", len(pdu), 112)
    return pdu[:6] + checksum(source.packed + destination.packed + rest + pdu).to_bytes(2) + pdu[8:]


def _frame(source: Address, pdu: bytes, macs: bytes, ttl: int = 255) -> bytes:
    group = GROUPS[source.version]
    if source.version == 4:
        header = struct.pack("!BBHHHBBH", 0x45, 0xC0, 20 + len(pdu), 0, 0, ttl, 112, 0) + source.packed + group.packed
        header = header[:10] + checksum(header).to_bytes(2) + header[12:]
        return macs + b"\x08\x00" + header + pdu
    header = struct.pack("!IHBB", 0x6C000000, len(pdu), 112, ttl) + source.packed + group.packed
    return macs + b"\x86\xdd" + header + pdu


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):  # struct mmsghdr
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("iovec", ctypes.POINTER(_Iovec)),
        ("iovec_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint),
    )


def send(interface: str, per_second: float, seconds: float, frames: Sequence[bytes]) -> int:
    """Send the frames in turn; how many were sent."""
    library = ctypes.CDLL(None, use_errno=True)
    vectors = (_Iovec * BATCH)(
        *(_Iovec(frames[at % len(frames)], len(frames[at % len(frames)])) for at in range(BATCH))
    )
    messages = (_Message * BATCH)()
    for at in range(BATCH):
        messages[at].iovec = ctypes.pointer(vectors[at])
        messages[at].iovec_count = 1
    sent = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as end:
        end.bind((interface, 0))
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            if sent >= per_second * passed:
                time.sleep(BATCH / per_second / 2)
                continue
            count = library.sendmmsg(end.fileno(), messages, BATCH, 0)
            if count < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            sent += count
    return sent


if __name__ == "__main__":
    link, rate, duration, *octets = sys.argv[1:]
    print(send(link, float(rate), float(duration), [bytes.fromhex(one) for one in octets]))
