"""A second opinion on frames: VRRP in all its carriers, gratuitous ARP and neighbour advertisements.

Decoded without any code of firstmate. What it says was compared with every advert of `packets.jsonl.gz`
(`tests/rules/vrrp/test_captures.py`).
"""

import hashlib
import hmac
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

GROUP = IPv4Address("224.0.0.18")
UDP_PORT = 7113
VRRP, AH, UDP, ICMPV6 = 112, 51, 17, 58
AH_OCTETS = 24
TRAILER_OCTETS = 28  # of keepalived's `auth_hmac`
NEIGHBOUR_ADVERTISEMENT = 136


@dataclass(frozen=True, slots=True)
class SeenAdvert:
    eth_source: str
    eth_destination: str
    source: str
    destination: str
    ttl: int  # IPv6: hop limit
    tos: int  # IPv6: traffic class
    fragment: int  # flags and offset; IPv6: 0
    version: int
    kind: int  # 1: advertisement
    vrid: int
    priority: int
    interval_us: int
    addresses: tuple[str, ...]
    auth_type: int  # -1 where the version has none
    auth_data: str
    checksum_ok_with: tuple[str, ...]  # empty: it is wrong
    carrier: str = "plain"  # "ah": IP protocol 51 in between; "udp"
    ah: str = ""  # the 24 octets of AH
    trailer: str = ""  # the 28 octets of an HMAC behind the PDU

    @property
    def family(self) -> int:
        return 6 if ":" in self.source else 4


@dataclass(frozen=True, slots=True)
class SeenArp:
    eth_source: str
    eth_destination: str
    operation: int
    sender_mac: str
    sender_ip: str
    target_mac: str
    target_ip: str

    @property
    def gratuitous(self) -> bool:
        return self.sender_ip == self.target_ip

    @property
    def claims(self) -> str:
        """The address that the sender says is its own, to everybody; empty: it does not."""
        return self.sender_ip if self.gratuitous else ""


@dataclass(frozen=True, slots=True)
class SeenNeighbour:
    """A neighbour advertisement (RFC 4861, 4.4)."""

    eth_source: str
    eth_destination: str
    source: str
    destination: str
    hop_limit: int
    flags: int  # 0x80000000 router, 0x40000000 solicited, 0x20000000 override
    target_ip: str
    target_mac: str  # of option 2; empty: it has none

    @property
    def claims(self) -> str:
        """The address that the sender says is its own, to everybody; empty: it does not."""
        return self.target_ip if not self.flags & 0x40000000 and self.destination == "ff02::1" else ""


Judged: TypeAlias = SeenAdvert | SeenArp | SeenNeighbour


def judge(frame: bytes) -> Judged | None:
    """None for what is none of them; `ValueError`, `IndexError` or `struct.error` for one that is cut or wrong."""
    (kind,) = struct.unpack_from("!H", frame, 12)
    if kind == 0x0806:
        return _arp(frame)
    if kind == 0x0800:
        return _ipv4(frame)
    if kind == 0x86DD:
        return _ipv6(frame)
    return None


def icv(frame: bytes, password: bytes, *, ttl_kept: bool) -> str:
    """What the ICV of an AH should be: HMAC-MD5 over the packet with what changes on the way taken as zero."""
    packet = bytearray(frame[14:])
    header = (packet[0] & 15) * 4
    (total,) = struct.unpack_from("!H", packet, 2)
    for at in (1, 6, 7, 10, 11, *([] if ttl_kept else [8]), *range(header + 12, header + AH_OCTETS)):
        packet[at] = 0
    return hmac.new((password + bytes(8))[:8], packet[:total], hashlib.md5).digest()[:12].hex()


def mac(frame: bytes, key: bytes) -> str:
    """What the last 16 octets of a trailer should be: HMAC-SHA-256 over who sends, PDU and trailer."""
    packet = frame[14:]
    if packet[0] >> 4 == 6:
        (length,) = struct.unpack_from("!H", packet, 4)
        family, source, payload = 6, packet[8:24], packet[40 : 40 + length]
    else:
        (total,) = struct.unpack_from("!H", packet, 2)
        family, source, payload = 4, packet[12:16], packet[(packet[0] & 15) * 4 : total]
    who = bytes([family, payload[0] >> 4, payload[1], 0]) + source + bytes(16 - len(source))
    signed = payload[:6] + bytes(2) + payload[8:-16] + bytes(16)
    return hmac.new(key, who + signed, hashlib.sha256).digest()[:16].hex()


def _ipv4(frame: bytes) -> Judged | None:
    packet = frame[14:]
    header, (total,) = (packet[0] & 15) * 4, struct.unpack_from("!H", packet, 2)
    if packet[9] not in {VRRP, AH, UDP}:
        return None
    if _sum(packet[:header]) != 0:
        raise ValueError("wrong IPv4 header checksum")
    (fragment,) = struct.unpack_from("!H", packet, 6)
    ip = (packet[12:16], packet[16:20], packet[8], packet[1], fragment)
    return _carried(frame, ip, packet[9], packet[header:total])


def _ipv6(frame: bytes) -> Judged | None:
    packet = frame[14:]
    (first, length) = struct.unpack_from("!IH", packet)
    payload = packet[40 : 40 + length]
    if packet[6] == ICMPV6 and payload[0] == NEIGHBOUR_ADVERTISEMENT:
        return _neighbour(frame, payload)
    ip = (packet[8:24], packet[24:40], packet[7], first >> 20 & 0xFF, 0)
    return _carried(frame, ip, packet[6], payload)


_Ip: TypeAlias = tuple[bytes, bytes, int, int, int]  # source, destination, TTL, TOS, fragment


def _carried(frame: bytes, ip: _Ip, protocol: int, payload: bytes) -> SeenAdvert | None:
    if protocol == VRRP:
        return _advert(frame, ip, payload, "plain", b"")
    if protocol == AH and payload[0] == VRRP:
        return _advert(frame, ip, payload[24:], "ah", payload[:24])
    if protocol == UDP and struct.unpack_from("!H", payload, 2)[0] == UDP_PORT:
        return _advert(frame, ip, payload[8:], "udp", b"")
    return None


def _arp(frame: bytes) -> SeenArp:
    hardware, protocol, hlen, plen, operation = struct.unpack_from("!HHBBH", frame, 14)
    if (hardware, protocol, hlen, plen) != (1, 0x0800, 6, 4):
        raise ValueError("no ARP of IPv4 over Ethernet")
    return SeenArp(
        frame[6:12].hex(":"),
        frame[:6].hex(":"),
        operation,
        frame[22:28].hex(":"),
        str(IPv4Address(frame[28:32])),
        frame[32:38].hex(":"),
        str(IPv4Address(frame[38:42])),
    )


def _neighbour(frame: bytes, payload: bytes) -> SeenNeighbour:
    packet = frame[14:]
    if _sum(packet[8:40] + struct.pack("!IxxxB", len(payload), ICMPV6) + payload) != 0:
        raise ValueError("wrong ICMPv6 checksum")
    option = payload[24:]
    if len(option) not in {0, 8}:
        raise ValueError(f"{len(option)} octets of options")
    return SeenNeighbour(
        frame[6:12].hex(":"),
        frame[:6].hex(":"),
        str(IPv6Address(packet[8:24])),
        str(IPv6Address(packet[24:40])),
        packet[7],
        struct.unpack_from("!I", payload, 4)[0],
        str(IPv6Address(payload[8:24])),
        option[2:].hex(":") if option[:2] == b"\2\1" else "",
    )


def _advert(frame: bytes, ip: _Ip, payload: bytes, carrier: str, ah: bytes) -> SeenAdvert:
    source, destination, ttl, tos, fragment = ip
    version, size = payload[0] >> 4, len(source)
    end = 8 + size * payload[3]
    auth = 8 if version == 2 and size == 4 else 0
    if len(payload) - end - auth not in {0, TRAILER_OCTETS}:
        raise ValueError(f"{len(payload)} octets for {payload[3]} addresses")
    (centiseconds,) = struct.unpack_from("!H", payload, 4)
    return SeenAdvert(
        frame[6:12].hex(":"),
        frame[:6].hex(":"),
        str(ip_address(source)),
        str(ip_address(destination)),
        ttl,
        tos,
        fragment,
        version,
        payload[0] & 15,
        payload[1],
        payload[2],
        payload[5] * 1_000_000 if version == 2 else (centiseconds & 0xFFF) * 10_000,
        tuple(str(ip_address(payload[at : at + size])) for at in range(8, end, size)),
        payload[4] if version == 2 else -1,
        payload[end : end + auth].hex(),
        _forms(payload, end + auth, source, destination),
        carrier,
        ah.hex(),
        payload[end + auth :].hex(),
    )


def _forms(payload: bytes, end: int, source: bytes, destination: bytes) -> tuple[str, ...]:
    """`end`: of the PDU proper; a trailer counts in IPv6 only."""
    if len(source) == 16:
        before = source + destination + struct.pack("!IxxxB", len(payload), VRRP)
        return ("pseudo6",) if _sum(before + payload) == 0 else ()
    rest = struct.pack("!BBH", 0, VRRP, end)
    covered = {"plain": b"", "pseudo4": source + destination + rest}
    if destination != GROUP.packed:
        covered["pseudo4-mcast-dst"] = source + GROUP.packed + rest
    return tuple(name for name, before in covered.items() if _sum(before + payload[:end]) == 0)


def _sum(data: bytes) -> int:
    """One's complement of the one's complement sum: 0 when the data holds its own right checksum."""
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
