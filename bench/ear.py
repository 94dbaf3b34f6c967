"""What is said on the wires: adverts and gratuitous ARP, with the kernel's time of each frame."""

import select
import socket
import struct
import time
from contextlib import suppress
from typing import Self

from timing import Said
from wires import HOSTS, Wires, port

from firstmate.linux import bpf
from firstmate.model.units import S, Micros

_ETH_P_ALL = 0x0003
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33
_BUFFER_OCTETS = 256 << 20  # a busy machine must not lose us a frame
_FRAME_OCTETS = 64  # all that we look at
_PACKET_OUTGOING = 4
_AT_ONCE = 4096
_TIMESPEC = struct.Struct("@ll")
_STATISTICS = struct.Struct("@II")
_SOL_PACKET, _PACKET_STATISTICS = 263, 6

# fmt: off
_ADVERTS_AND_ARP: bpf.Program = (
    (0x28, 0, 0, 12),           # load half: EtherType
    (0x15, 3, 0, 0x0806),       # ARP: keep
    (0x15, 0, 3, 0x0800),       # IPv4
    (0x30, 0, 0, 23),           # load byte: protocol
    (0x15, 0, 1, 112),
    (0x06, 0, 0, bpf.KEEP),
    (0x06, 0, 0, 0),
)
# fmt: on


def clock_us() -> Micros:
    """The clock of the kernel's time stamps."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME) // 1000


class Ear:
    """Hears every host where its cable enters the switch; `delivered` are frames that leave the switch towards it."""

    def __init__(self, wires: Wires) -> None:
        self._places = {port(host, wire): (host, wire) for host in HOSTS for wire in range(wires.count)}
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        with wires.switch.entered():
            self._socket = socket.socket(socket.AF_PACKET, kind, socket.htons(_ETH_P_ALL))
        try:
            bpf.attach(self._socket, _ADVERTS_AND_ARP)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_OCTETS)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            with suppress(BlockingIOError):
                while True:  # what came before the filter
                    self._socket.recv(1)
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def listen(self, until_us: Micros) -> list[Said]:
        """What was said, as soon as there is something; at the latest at that time."""
        wait_us = until_us - clock_us()
        if wait_us > 0:
            select.select([self._socket], [], [], wait_us / S)
        return self.take()

    def take(self) -> list[Said]:
        """What was said since it was asked last."""
        out: list[Said] = []
        for _ in range(_AT_ONCE):
            try:
                frame, ancillary, _, (name, _, direction, *_) = self._socket.recvmsg(_FRAME_OCTETS, 64)
            except BlockingIOError:
                break
            place = self._places.get(name)
            if place is None:
                continue
            seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
            at_us = seconds * S + nanoseconds // 1000
            said = _read(frame, at_us, *place, delivered=direction == _PACKET_OUTGOING)
            if said is not None:
                out.append(said)
        return out

    def lost(self) -> int:
        """Frames that the kernel could not keep for us since it was asked last."""
        _, dropped = _STATISTICS.unpack(self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size))
        return int(dropped)


def _read(frame: bytes, at_us: Micros, host: str, wire: int, *, delivered: bool) -> Said | None:
    if frame[12:14] == b"\x08\x06":
        sender, target = frame[28:32], frame[38:42]
        return Said(at_us, host, wire, -1, 0, delivered, bytes(sender)) if sender == target else None
    pdu = 14 + (frame[14] & 0xF) * 4
    return Said(at_us, host, wire, frame[pdu + 1], frame[pdu + 2], delivered)
