"""Watches the switch's ports to the load balancers: who advertised, who claimed which address, and when.

Frames are stamped by the kernel when they enter the switch, so it does not matter how late they are read. What a
balancer sends is seen even while a partition keeps it from its peer.
"""

import ctypes
import socket
import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Self

from firstmate.lab.lab import Lab
from firstmate.lab.topology import Role
from firstmate.model.units import Micros

_ETH_P_ALL = 0x0003
_ARP, _IPV4 = 0x0806, 0x0800
_VRRP = 112
_FRAME_BYTES_MAX = 2048
_SO_TIMESTAMPNS = 35
_SO_ATTACH_FILTER = 26
_ADVERT_PDU_OCTETS_MIN = 8
_BATCH_MAX = 4096  # frames read in one look


class Kind(Enum):
    ADVERT = "advert"
    ARP = "arp"  # gratuitous: sender and target are the same address


@dataclass(frozen=True, slots=True)
class Sighting:
    at_us: Micros  # monotonic: when the frame entered the switch
    host: str  # the load balancer at that port
    kind: Kind
    address: str  # ADVERT: IP source; ARP: the address claimed
    mac: str
    vrid: int = 0
    priority: int = -1  # ADVERT: 0 means it resigns; ARP: -1
    version: int = 0


class Observer:
    """`with Observer(lab) as seen: ... seen.look()`. `look` never waits."""

    def __init__(self, lab: Lab) -> None:
        switch = lab.hosts(Role.SWITCH)[0]
        self._sockets: list[tuple[str, socket.socket]] = []
        for host in lab.balancers:
            sock = switch.open_socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._sockets.append((host.name, sock))
            sock.setblocking(False)  # noqa: FBT003
            _attach_filter(sock)
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            sock.bind((host.plan.port, _ETH_P_ALL))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for _, sock in self._sockets:
            sock.close()
        self._sockets = []

    def look(self) -> list[Sighting]:
        """Everything seen since the last look, in order of time."""
        seen = [sighting for host, sock in self._sockets for sighting in _drain(host, sock)]
        return sorted(seen, key=lambda sighting: sighting.at_us)


def read_frame(frame: bytes, host: str, at_us: Micros) -> Sighting | None:
    """What an Ethernet frame says; None when it is neither an advertisement nor a gratuitous ARP."""
    if len(frame) < 14:
        return None
    kind = int.from_bytes(frame[12:14])
    mac = frame[6:12].hex(":")
    if kind == _ARP and len(frame) >= 42:
        sender, target = frame[28:32], frame[38:42]
        return Sighting(at_us, host, Kind.ARP, socket.inet_ntoa(sender), mac) if sender == target else None
    if kind != _IPV4 or len(frame) < 34 or frame[23] != _VRRP:
        return None
    pdu = frame[14 + (frame[14] & 0x0F) * 4 :]
    if len(pdu) < _ADVERT_PDU_OCTETS_MIN:
        return None
    source = socket.inet_ntoa(frame[26:30])
    return Sighting(at_us, host, Kind.ADVERT, source, mac, vrid=pdu[1], priority=pdu[2], version=pdu[0] >> 4)


def changes(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Leave out what repeats: a host that goes on saying the same. A silence of others does not count as a change."""
    last: dict[tuple[str, Kind, int], tuple[int, str]] = {}
    speaking = ""
    kept = []
    for sighting in sightings:
        key = (sighting.host, sighting.kind, sighting.vrid)
        says = (sighting.priority, sighting.address)
        if last.get(key) != says or (sighting.kind is Kind.ADVERT and speaking != sighting.host) or (
            sighting.kind is Kind.ARP and speaking != f"{sighting.host} arp"
        ):
            kept.append(sighting)
        last[key] = says
        if sighting.kind is Kind.ADVERT:
            speaking = sighting.host
    return kept


def first_advert(sightings: Iterable[Sighting], host: str, after_us: Micros) -> Micros | None:
    """How long after `after_us` that host first advertised to lead; None: it did not."""
    times = (
        sighting.at_us - after_us
        for sighting in sightings
        if sighting.host == host and sighting.kind is Kind.ADVERT and sighting.priority > 0 and sighting.at_us >= after_us
    )
    return min(times, default=None)


def _drain(host: str, sock: socket.socket) -> list[Sighting]:
    # The kernel stamps wall time; the distance to monotonic time is taken at each look.
    offset_us = (time.time_ns() - time.monotonic_ns()) // 1000
    seen = []
    with suppress(BlockingIOError):
        for _ in range(_BATCH_MAX):
            frame, ancillary, _, _ = sock.recvmsg(_FRAME_BYTES_MAX, 64)
            stamp = next((data for level, kind, data in ancillary if kind == _SO_TIMESTAMPNS), None)
            seconds, nanoseconds = struct.unpack("qq", stamp[:16]) if stamp else (time.time(), 0)
            at_us = int(seconds * 1_000_000) + nanoseconds // 1000 - offset_us
            sighting = read_frame(frame, host, at_us)
            if sighting is not None:
                seen.append(sighting)
    return seen


# fmt: off
_FILTER = (  # classic BPF: code, jump if true, jump if false, operand
    (0x28, 0, 0, 0xFFFF_F004),  # packet type
    (0x15, 6, 0, 4),            # outgoing: no
    (0x28, 0, 0, 12),           # EtherType
    (0x15, 3, 0, _ARP),         # ARP: yes
    (0x15, 0, 3, _IPV4),
    (0x30, 0, 0, 23),           # IP protocol
    (0x15, 0, 1, _VRRP),
    (0x06, 0, 0, 0xFFFF),       # yes
    (0x06, 0, 0, 0),            # no
)
# fmt: on


def _attach_filter(sock: socket.socket) -> None:
    """Leave all else to the kernel: at 500 requests a second, Python must not see each frame."""
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in _FILTER))
    fprog = struct.pack("HL", len(_FILTER), ctypes.addressof(program))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
