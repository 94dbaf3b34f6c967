"""A look at what reaches an interface: new connections (SYN) and ARP, with the kernel's time of each frame."""

import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from firstmate.linux.bpf import ARP_AND_NEW_CONNECTIONS, attach
from firstmate.linux.neighbours import ETHERTYPE_ARP, MAC_OCTETS
from firstmate.vrrp.packet import checksum

ETH_P_ALL = 0x0003
SO_TIMESTAMPNS = 35
FRAME_OCTETS_MAX = 2048  # a SYN with every option is far shorter
ETHERNET_OCTETS = 14
PACKET_OUTGOING = 4

_TIMESPEC = struct.Struct("@ll")


@dataclass(frozen=True, slots=True)
class NewConnection:
    """A SYN as it came in."""

    destination: IPv4Address
    frame: bytes
    at_ns: int  # CLOCK_REALTIME, by the kernel


@dataclass(frozen=True, slots=True)
class ArpSaid:
    """Somebody told the network where an address is."""

    ip: IPv4Address
    mac: bytes


class Tap:
    """Raises `PermissionError` without CAP_NET_RAW, `OSError` without the interface."""

    def __init__(self, interface: str) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_PACKET, kind, 0)  # protocol 0: deaf until the filter is in place
        try:
            attach(self._socket, ARP_AND_NEW_CONNECTIONS)
            self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self._socket.bind((interface, ETH_P_ALL))
        except OSError:
            self._socket.close()
            raise
        self.mac: bytes = self._socket.getsockname()[4]

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def receive(self) -> NewConnection | ArpSaid | None:
        """The next frame that says something, or None when there is no more. Raises `OSError`."""
        while True:
            try:
                frame, extra, _, address = self._socket.recvmsg(FRAME_OCTETS_MAX, socket.CMSG_SPACE(_TIMESPEC.size))
            except BlockingIOError:
                return None
            if address[2] != PACKET_OUTGOING and (seen := _read(frame, extra)) is not None:
                return seen

    def forward(self, frame: bytes, mac: bytes) -> None:
        """Send a new connection's frame on to another host of this network, from our own MAC. Raises `OSError`."""
        self._socket.send(mac + self.mac + with_checksum(frame)[2 * MAC_OCTETS :])


def with_checksum(frame: bytes) -> bytes:
    """The frame with the right TCP checksum: a virtual network leaves it to a card that is never reached."""
    tcp = ETHERNET_OCTETS + (frame[ETHERNET_OCTETS] & 0xF) * 4
    end = ETHERNET_OCTETS + int.from_bytes(frame[16:18])
    blank = frame[tcp : tcp + 16] + b"\0\0" + frame[tcp + 18 : end]
    covered = frame[26:34] + struct.pack("!HH", socket.IPPROTO_TCP, end - tcp) + blank
    return frame[: tcp + 16] + struct.pack("!H", checksum(covered)) + frame[tcp + 18 :]


def _read(frame: bytes, extra: list[tuple[int, int, bytes]]) -> NewConnection | ArpSaid | None:
    kind = int.from_bytes(frame[12:14])
    if kind == ETHERTYPE_ARP and len(frame) >= ETHERNET_OCTETS + 28:
        return ArpSaid(IPv4Address(frame[28:32]), frame[22:28])
    if len(frame) < ETHERNET_OCTETS + 40:
        return None
    at_ns = 0
    for level, what, data in extra:
        if (level, what) == (socket.SOL_SOCKET, SO_TIMESTAMPNS) and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            at_ns = seconds * 1_000_000_000 + nanoseconds
    return NewConnection(IPv4Address(frame[30:34]), frame, at_ns)
