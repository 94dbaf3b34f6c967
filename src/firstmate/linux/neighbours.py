"""Gratuitous ARP and unsolicited Neighbour Advertisements: the bytes, and the socket that sends them.

`reference/vrrp.md` sections 8.1 and 8.2. The MAC that is said is that of the interface that holds the address: with a
macvlan the virtual one.
"""

import fcntl
import socket
import struct
import time
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from firstmate.linux import sysctl
from firstmate.linux.links import IFF_NOARP
from firstmate.model.addresses import Address
from firstmate.vrrp.packet import checksum

BROADCAST = b"\xff" * 6
ETHERTYPE_ARP, ETHERTYPE_IPV6 = 0x0806, 0x86DD
MAC_OCTETS, ARP_FRAME_OCTETS, NA_FRAME_OCTETS = 6, 42, 86
ALL_NODES, ALL_NODES_MAC = IPv6Address("ff02::1"), bytes.fromhex("333300000001")
SOLICITED_NODE = bytes.fromhex("ff0200000000000000000001ff")  # and the last three octets of the address
LINK_LOCAL = IPv6Address("fe80::").packed[:8]
ICMPV6, SOLICITATION, ADVERTISEMENT = 58, 135, 136
ROUTER, OVERRIDE = 0x8000_0000, 0x2000_0000
SOURCE_LINK_LAYER_ADDRESS, TARGET_LINK_LAYER_ADDRESS = 1, 2
HOP_LIMIT = 255
FORWARDING_KNOWN_S = 1.0  # a round of announcements asks once

SIOCGIFFLAGS = 0x8913

_ETHERNET = struct.Struct("!6s6sH")
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_HARDWARE_ETHERNET, _PROTOCOL_IPV4, _REQUEST = 1, 0x0800, 1
_IPV6 = struct.Struct("!IHBB16s16s")
_ICMPV6 = struct.Struct("!BBHI16s")
_OPTION = struct.Struct("!BB6s")
_IFREQ = struct.Struct("16sH22x")


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody told the network where an address is."""

    ip: Address
    mac: bytes


def gratuitous_arp(ip: Address, mac: bytes) -> bytes:
    """The 42 octets that keepalived and FRR send: a broadcast request for an address by its holder."""
    return _arp(mac, ip.packed, BROADCAST, ip.packed)


def arp_probe(ip: Address, mac: bytes) -> bytes:
    """The 42 octets of RFC 5227, 1.1: who has it? Nobody is told anything."""
    return _arp(mac, bytes(4), bytes(6), ip.packed)


def unsolicited_advertisement(ip: Address, mac: bytes, *, router: bool) -> bytes:
    """The 86 octets that keepalived and FRR send to every node. `router`: we forward IPv6 on this interface."""
    flags = OVERRIDE | ROUTER if router else OVERRIDE
    option = _OPTION.pack(TARGET_LINK_LAYER_ADDRESS, 1, mac)
    ethernet = _ETHERNET.pack(ALL_NODES_MAC, mac, ETHERTYPE_IPV6)
    return ethernet + _icmpv6(ADVERTISEMENT, flags, ip.packed, option, (ip.packed, ALL_NODES.packed))


def neighbour_probe(ip: Address, mac: bytes) -> bytes:
    """The 86 octets of RFC 4861, 4.3: who has it? The holder answers to us alone.

    Without a source, as RFC 4862 asks for duplicates, it would answer to every node, and take the traffic of all of
    them. The source is the address that our MAC gives (RFC 4291, A), whether we use it or not: the MAC is said with it.
    """
    group = SOLICITED_NODE + ip.packed[13:]
    ethernet = _ETHERNET.pack(b"\x33\x33" + group[12:], mac, ETHERTYPE_IPV6)
    source = LINK_LOCAL + bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:]
    option = _OPTION.pack(SOURCE_LINK_LAYER_ADDRESS, 1, mac)
    return ethernet + _icmpv6(SOLICITATION, 0, ip.packed, option, (source, group))


def read_claim(frame: bytes) -> Claim | None:
    """What an ARP or a Neighbour Advertisement says; None: it says nothing, or is neither.

    Any ARP claims the address of its sender (RFC 5227, 2.4), but a probe, which has none. An advertisement without
    the option speaks of the MAC that sent it (RFC 4861, 4.4).
    """
    kind = int.from_bytes(frame[12:14])
    if kind == ETHERTYPE_ARP and len(frame) >= ARP_FRAME_OCTETS:
        ip = frame[28:32]
        return Claim(IPv4Address(ip), frame[22:28]) if any(ip) and frame[14:20] == b"\0\1\x08\0\6\4" else None
    if kind != ETHERTYPE_IPV6 or len(frame) < 14 + 40 + 24:
        return None
    if (frame[20], frame[21], frame[54], frame[55]) != (ICMPV6, HOP_LIMIT, ADVERTISEMENT, 0):
        return None
    covered = frame[22:54] + struct.pack("!II", int.from_bytes(frame[18:20]), ICMPV6)
    if checksum(covered + frame[54 : 54 + int.from_bytes(frame[18:20])]) != 0:
        return None
    said = frame[80:86] if frame[78:80] == b"\2\1" and len(frame) >= NA_FRAME_OCTETS else frame[6:12]
    return Claim(IPv6Address(frame[62:78]), said)


class Announcer:
    """Sends frames on one interface. Raises `OSError` when it is gone."""

    def __init__(self, interface: str) -> None:
        self.interface = interface
        # Protocol 0: it sends only, so that no traffic is ever copied to us.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
        try:
            self._socket.bind((interface, 0))
            self.mac: bytes = self._socket.getsockname()[4]
            self._has_neighbours = speaks_arp(self._socket, interface)
        except OSError:
            self._socket.close()
            raise
        self._forwarding = False
        self._forwarding_until = 0.0  # so long it is known

    def announce(self, ip: Address) -> None:
        """Tell every neighbour where the address is; an interface without any (a tunnel) needs none.

        Raises `OSError`; `BlockingIOError` when the queue is full: never waits.
        """
        if not self._has_neighbours:
            return
        if ip.version == 4:
            self._socket.send(gratuitous_arp(ip, self.mac))
        else:
            self._socket.send(unsolicited_advertisement(ip, self.mac, router=self._forwards()))

    def close(self) -> None:
        self._socket.close()

    def _forwards(self) -> bool:
        now = time.monotonic()
        if now >= self._forwarding_until:
            self._forwarding_until = now + FORWARDING_KNOWN_S
            try:
                self._forwarding = sysctl.read("ipv6", self.interface, "forwarding") > 0
            except OSError:
                self._forwarding = False
        return self._forwarding


def speaks_arp(end: socket.socket, interface: str) -> bool:
    """It is Ethernet with a MAC, and not flagged NOARP. `end`: a packet socket bound to it. Raises `OSError`."""
    mac = end.getsockname()[4]
    name, flags = interface.encode()[:15], 0
    _, flags = _IFREQ.unpack(fcntl.ioctl(end, SIOCGIFFLAGS, _IFREQ.pack(name, flags)))
    return len(mac) == MAC_OCTETS and any(mac) and not flags & IFF_NOARP


def _arp(mac: bytes, sender: bytes, target_mac: bytes, target: bytes) -> bytes:
    ethernet = _ETHERNET.pack(BROADCAST, mac, ETHERTYPE_ARP)
    return ethernet + _ARP.pack(
        _HARDWARE_ETHERNET, _PROTOCOL_IPV4, MAC_OCTETS, 4, _REQUEST, mac, sender, target_mac, target
    )


def _icmpv6(kind: int, flags: int, target: bytes, option: bytes, ends: tuple[bytes, bytes]) -> bytes:
    """An IPv6 packet from the first to the second of `ends`."""
    source, destination = ends
    length = _ICMPV6.size + len(option)
    pseudo = source + destination + struct.pack("!II", length, ICMPV6)
    total = checksum(pseudo + _ICMPV6.pack(kind, 0, 0, flags, target) + option)
    header = _IPV6.pack(6 << 28, length, ICMPV6, HOP_LIMIT, source, destination)
    return header + _ICMPV6.pack(kind, 0, total, flags, target) + option
