"""Sockets that send adverts: one for each way, bound to its source and interface (`reference/vrrp.md` section 1.1)."""

import socket
import struct
from typing import TypeAlias

from firstmate.linux.bpf import NOTHING, attach
from firstmate.linux.rtnetlink import interface_index
from firstmate.model.addresses import Address
from firstmate.model.plan import Transport
from firstmate.vrrp.packet import PROTOCOL, TOS

PRIORITY_ANYBODY = 6  # the highest that needs no CAP_NET_ADMIN
PRIORITY_CONTROL = 7  # TC_PRIO_CONTROL, ahead of bulk traffic in the queue

SO_BINDTODEVICE = getattr(socket, "SO_BINDTODEVICE", 25)
IP_FREEBIND, IPV6_FREEBIND = 15, 78
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0
IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT = 23, 0

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]


class AdvertSocket:
    """Sends adverts from one source to one destination; the kernel computes nothing but the IP header.

    `whole`: what is sent are complete IPv4 packets (AH). UDP needs no capability, the others CAP_NET_RAW
    (`PermissionError`). Raises `OSError` (ENODEV) without the interface.
    """

    def __init__(
        self,
        interface: str,
        source: Address,
        destination: Address,
        transport: Transport,
        *,
        port: int = 0,
        ttl: int = 255,
        whole: bool = False,
    ) -> None:
        self.interface = interface
        family = socket.AF_INET if source.version == 4 else socket.AF_INET6
        kind = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        if transport is Transport.UDP:
            self._socket = socket.socket(family, socket.SOCK_DGRAM | kind)
        else:
            self._socket = socket.socket(family, socket.SOCK_RAW | kind, socket.IPPROTO_RAW if whole else PROTOCOL)
        try:
            attach(self._socket, NOTHING)  # nothing is queued for a socket that nobody reads
            self._configure(source, ttl, raw=transport is not Transport.UDP)
            self._destination = socket_address(destination, port, interface)
        except OSError:
            self._socket.close()
            raise

    def send(self, pdu: bytes) -> None:
        """Send one PDU. Raises `OSError`; `BlockingIOError` when the queue is full: never waits."""
        self._socket.sendto(pdu, self._destination)

    def close(self) -> None:
        self._socket.close()

    def _configure(self, source: Address, ttl: int, *, raw: bool) -> None:
        mark(self._socket, source.version, ttl)
        if raw:
            bind_to_device(self._socket, self.interface)
        index = interface_index(self.interface)
        if source.version == 4:
            ip = socket.IPPROTO_IP
            self._socket.setsockopt(ip, IP_FREEBIND, 1)
            self._socket.setsockopt(ip, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
            self._socket.setsockopt(ip, socket.IP_MULTICAST_TTL, ttl)
            self._socket.setsockopt(ip, socket.IP_MULTICAST_LOOP, 0)
            self._socket.setsockopt(ip, socket.IP_MULTICAST_IF, struct.pack("=8xi", index))  # ip_mreqn
        else:
            ip = socket.IPPROTO_IPV6
            self._socket.setsockopt(ip, IPV6_FREEBIND, 1)  # a virtual router's macvlan has not the source that we use
            self._socket.setsockopt(ip, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT)
            self._socket.setsockopt(ip, socket.IPV6_MULTICAST_HOPS, ttl)
            self._socket.setsockopt(ip, socket.IPV6_MULTICAST_LOOP, 0)
            self._socket.setsockopt(ip, socket.IPV6_MULTICAST_IF, index)
        self._socket.bind(socket_address(source, 0, self.interface))


def mark(end: socket.socket, family: int, ttl: int) -> None:
    """Network control traffic, with this TTL or hop limit in unicast."""
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, PRIORITY_CONTROL)
    except PermissionError:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, PRIORITY_ANYBODY)
    if family == 4:
        end.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        end.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, TOS)
    else:
        end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
        end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, TOS)


def bind_to_device(end: socket.socket, interface: str) -> None:
    """Raises `OSError` (ENODEV) without the interface."""
    end.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, interface.encode() + b"\0")


def socket_address(ip: Address, port: int, interface: str) -> SocketAddress:
    """What sockets take; a link-local address is one of its interface."""
    if ip.version == 4:
        return str(ip), port
    local = ip.is_link_local or ip.is_multicast
    return str(ip), port, 0, interface_index(interface) if local else 0
