"""Watches the switch's ports to the load balancers: who advertised, who claimed which address, and when.

Frames are stamped by the kernel when they enter the switch, so it does not matter how late they are read. What a
balancer sends is seen even while a partition keeps it from its peer.
"""

import ctypes
import errno
import socket
import struct
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from firstmate.lab.lab import Lab
from firstmate.lab.sightings import ARP, IPV4, VRRP, Sighting, read_frame
from firstmate.lab.topology import Role

_ETH_P_ALL = 0x0003
_FRAME_BYTES_MAX = 2048
_SO_TIMESTAMPNS = 35
_SO_ATTACH_FILTER = 26
_BATCH_MAX = 4096  # frames read in one look


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


def _drain(host: str, sock: socket.socket) -> list[Sighting]:
    # The kernel stamps wall time; the distance to monotonic time is taken at each look.
    offset_us = (time.time_ns() - time.monotonic_ns()) // 1000
    seen = []
    with suppress(BlockingIOError):
        for _ in range(_BATCH_MAX):
            try:
                frame, ancillary, _, _ = sock.recvmsg(_FRAME_BYTES_MAX, 64)
            except OSError as error:
                if error.errno != errno.ENETDOWN:
                    raise
                continue  # said once when the port goes down; frames go on when it is up again
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
    (0x15, 3, 0, ARP),         # ARP: yes
    (0x15, 0, 3, IPV4),
    (0x30, 0, 0, 23),           # IP protocol
    (0x15, 0, 1, VRRP),
    (0x06, 0, 0, 0xFFFF),       # yes
    (0x06, 0, 0, 0),            # no
)
# fmt: on


def _attach_filter(sock: socket.socket) -> None:
    """Leave all else to the kernel: at 500 requests a second, Python must not see each frame."""
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in _FILTER))
    fprog = struct.pack("HL", len(_FILTER), ctypes.addressof(program))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
