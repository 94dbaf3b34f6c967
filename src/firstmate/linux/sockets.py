"""Raw sockets of protocol 112, one an interface (`reference/vrrp.md` section 1.1)."""

import socket
import struct
from ipaddress import IPv4Address

from firstmate.linux.bpf import NOTHING, attach
from firstmate.linux.netlink import interface_index
from firstmate.model.addresses import Address

PROTOCOL_VRRP = 112
TTL = 255
TOS_INTERNETWORK_CONTROL = 0xC0
PRIORITY_CONTROL = 7  # TC_PRIO_CONTROL, ahead of bulk traffic in the queue
GROUP = IPv4Address("224.0.0.18")
RECEIVE_OCTETS = 65_535  # no IPv4 packet is longer
RECEIVE_BUFFER_OCTETS = 1 << 18  # a second of adverts from many; a flood beyond is dropped by the kernel

SO_BINDTODEVICE = getattr(socket, "SO_BINDTODEVICE", 25)
IP_PKTINFO = 8
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0


class VrrpSocket:
    """Sends adverts on one interface, and receives them unless `listens` is False.

    Raises `PermissionError` without CAP_NET_RAW, `OSError` (ENODEV) without the interface.
    """

    def __init__(self, interface: str, *, listens: bool = True) -> None:
        self.interface = interface
        self._index = interface_index(interface)
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_INET, kind, PROTOCOL_VRRP)
        try:
            self._configure()
            if listens:
                self._join_group()
            else:
                attach(self._socket, NOTHING)  # nothing is queued for a socket that nobody reads
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self, pdu: bytes, source: Address, destination: Address) -> None:
        """Send one PDU. Raises `OSError`; `BlockingIOError` when the queue is full: never waits."""
        chosen = struct.pack("=i4s4s", self._index, source.packed, b"\0\0\0\0")  # in_pktinfo
        self._socket.sendmsg([pdu], [(socket.IPPROTO_IP, IP_PKTINFO, chosen)], 0, (str(destination), 0))

    def receive(self) -> bytes | None:
        """One whole IPv4 packet, header included, or None when there is no more. Raises `OSError`."""
        try:
            return self._socket.recv(RECEIVE_OCTETS)
        except BlockingIOError:
            return None

    def _configure(self) -> None:
        ip = socket.IPPROTO_IP
        self._socket.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, self.interface.encode() + b"\0")
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, PRIORITY_CONTROL)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_OCTETS)
        self._socket.setsockopt(ip, socket.IP_TTL, TTL)
        self._socket.setsockopt(ip, socket.IP_TOS, TOS_INTERNETWORK_CONTROL)
        self._socket.setsockopt(ip, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        self._socket.setsockopt(ip, socket.IP_MULTICAST_TTL, TTL)
        self._socket.setsockopt(ip, socket.IP_MULTICAST_LOOP, 0)

    def _join_group(self) -> None:
        """Also where we use unicast: a router that advertises our VRID to the group is refused, and told of."""
        membership = struct.pack("=4s4si", GROUP.packed, b"\0\0\0\0", self._index)  # ip_mreqn
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
