"""Sockets that hear adverts. The peers of the plan have some of their own, so that a flood of strangers, which fills
others, cannot drown them; the kernel sorts (`bpf.from_sources`).
"""

import socket
import struct
from collections.abc import Collection
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol, TypeAlias

from firstmate.linux.bpf import attach, from_sources
from firstmate.linux.rtnetlink import interface_index
from firstmate.linux.sockets import IP_FREEBIND, IPV6_FREEBIND, bind_to_device, mark, socket_address
from firstmate.model.addresses import Address
from firstmate.vrrp.packet import PROTOCOL, TTL
from firstmate.vrrp.receive import Datagram, unwrap

RECEIVE_OCTETS = 65_535  # no IP packet is longer
PEERS_QUEUE_OCTETS = 1 << 22  # what comes from peers must not be lost, though we be late
STRANGERS_QUEUE_OCTETS = 1 << 17
SO_RCVBUFFORCE = 33
IP_RECVTTL, IP_TTL = 12, 2
IPV6_RECVPKTINFO, IPV6_PKTINFO, IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT = 49, 50, 51, 52
ANCILLARY_OCTETS = 128
_NO_OPTIONS = 0x45  # how such an IPv4 header begins

Received: TypeAlias = bytes | tuple[bytes, str, int, bytes]  # a whole IPv4 packet; payload, source, TTL, destination

_ipv6 = lru_cache(maxsize=256)(IPv6Address)
_ipv4 = lru_cache(maxsize=256)(IPv4Address)


class Listener(Protocol):
    """Hears the `peers` alone, or everybody where there are none; with `strangers` everybody but them.

    `receive` gives None when there is no more, and never waits.
    """

    interface: str
    strangers: bool

    def fileno(self) -> int: ...
    def close(self) -> None: ...
    def receive(self) -> Received | None:
        """Raises `OSError`."""

    def said(self, _received: Received) -> bytes | None:
        """What stands for all that matters of it; None where nothing can."""

    def datagram(self, received: Received) -> Datagram:
        """Raises `BadAdvert`."""


class Raw4:
    """IPv4 of one protocol on one interface. Raises `PermissionError` without CAP_NET_RAW, `OSError` (ENODEV)."""

    def __init__(
        self,
        interface: str,
        peers: Collection[Address],
        groups: Collection[Address],
        *,
        strangers: bool = False,
        protocol: int = PROTOCOL,
    ) -> None:
        self.interface, self.strangers = interface, strangers
        self._prefix = f"{interface} ".encode()
        self._socket = _raw(socket.AF_INET, protocol, interface, peers, strangers=strangers)
        # Also where we use unicast: a router that advertises our VRID to the group is refused, and told of.
        index = interface_index(interface)
        memberships = [struct.pack("=4s4si", group.packed, b"\0\0\0\0", index) for group in groups]  # ip_mreqn
        _join(self._socket, socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, memberships)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def receive(self) -> bytes | None:
        try:
            return self._socket.recv(RECEIVE_OCTETS)
        except BlockingIOError:
            return None

    def said(self, received: Received) -> bytes | None:
        """Identification and header checksum change with every packet, and TTL, protocol and addresses count."""
        # Two thousand a second: what it is, the caller knows.
        return self._prefix + received[8:10] + received[12:] if received[0] == _NO_OPTIONS else None  # type: ignore[operator]

    def datagram(self, received: Received) -> Datagram:
        assert isinstance(received, bytes)
        return unwrap(received, self.interface)


class Raw6:
    """Protocol 112 of IPv6 on one interface; the kernel keeps the header and tells what we need of it."""

    def __init__(
        self, interface: str, peers: Collection[Address], groups: Collection[Address], *, strangers: bool = False
    ) -> None:
        self.interface, self.strangers = interface, strangers
        self._prefix = f"{interface} ".encode()
        self._socket = _raw(socket.AF_INET6, PROTOCOL, interface, peers, strangers=strangers)
        index = interface_index(interface)
        memberships = [struct.pack("=16si", group.packed, index) for group in groups]
        _join(self._socket, socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, memberships)
        for option in (IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT):
            self._socket.setsockopt(socket.IPPROTO_IPV6, option, 1)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def receive(self) -> tuple[bytes, str, int, bytes] | None:
        return _receive_with_header(self._socket, b"")

    def said(self, received: Received) -> bytes | None:
        assert isinstance(received, tuple)
        pdu, source, hops, destination = received
        return b"%b%b %d %b%b" % (self._prefix, source.encode(), hops, destination, pdu)

    def datagram(self, received: Received) -> Datagram:
        assert isinstance(received, tuple)
        pdu, source, hops, destination = received
        return Datagram(self.interface, _ipv6(source.partition("%")[0]), _ipv6(destination), hops, pdu)


class Udp:
    """Adverts in UDP to one of our addresses. Needs no capability. What comes is signed, so that nothing repeats."""

    strangers = False

    def __init__(self, interface: str, source: Address, port: int) -> None:
        self.interface, self._source = interface, source
        family = socket.AF_INET if source.version == 4 else socket.AF_INET6
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            mark(self._socket, source.version, TTL)
            _widen(self._socket, PEERS_QUEUE_OCTETS)
            if family is socket.AF_INET:
                self._socket.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
                self._socket.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
            else:
                self._socket.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1)
                self._socket.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
            self._socket.bind(socket_address(source, port, interface))
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def receive(self) -> tuple[bytes, str, int, bytes] | None:
        return _receive_with_header(self._socket, self._source.packed)

    def said(self, _received: Received) -> bytes | None:
        return None

    def datagram(self, received: Received) -> Datagram:
        assert isinstance(received, tuple)
        pdu, host, ttl, _ = received
        source = _ipv4(host) if self._source.version == 4 else _ipv6(host.partition("%")[0])
        return Datagram(self.interface, source, self._source, ttl, pdu, udp=True)


def _receive_with_header(end: socket.socket, destination: bytes) -> tuple[bytes, str, int, bytes] | None:
    """`destination` as given when the kernel does not say it."""
    try:
        pdu, ancillary, _, sender = end.recvmsg(RECEIVE_OCTETS, ANCILLARY_OCTETS)
    except BlockingIOError:
        return None
    ttl = 0
    for _, kind, value in ancillary:
        if kind in {IP_TTL, IPV6_HOPLIMIT}:
            ttl = struct.unpack_from("=i", value)[0]
        elif kind == IPV6_PKTINFO:
            destination = value[:16]
    return pdu, sender[0], ttl, destination


def _raw(
    family: socket.AddressFamily, protocol: int, interface: str, peers: Collection[Address], *, strangers: bool
) -> socket.socket:
    end = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
    version = 4 if family is socket.AF_INET else 6
    sources = sorted({ip.packed for ip in peers if ip.version == version})
    try:
        if sources:
            attach(end, from_sources(version, sources, wanted=not strangers))
        _widen(end, STRANGERS_QUEUE_OCTETS if strangers else PEERS_QUEUE_OCTETS)
        bind_to_device(end, interface)
    except OSError:
        end.close()
        raise
    return end


def _join(end: socket.socket, level: int, option: int, memberships: list[bytes]) -> None:
    try:
        for membership in memberships:
            end.setsockopt(level, option, membership)
    except OSError:
        end.close()
        raise


def _widen(end: socket.socket, octets: int) -> None:
    """As much as that, or where we may not, as much as the host allows."""
    try:
        end.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, octets)
    except PermissionError:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, octets)
