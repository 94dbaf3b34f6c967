"""A second opinion on frames: VRRP over IPv4 and IPv6 and gratuitous ARP, decoded without any code of firstmate.

What it says was compared with every frame of `packets.jsonl.gz` (`tests/rules/vrrp/test_captures.py`).
"""

import hashlib
import hmac
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

GROUP = IPv4Address("224.0.0.18")
TRAILER, AH = 28, 24  # octets


@dataclass(frozen=True, slots=True)
class SeenAdvert:
    eth_source: str
    eth_destination: str
    source: str
    destination: str
    ttl: int
    tos: int
    fragment: int  # flags and offset
    version: int
    kind: int  # 1: advertisement
    vrid: int
    priority: int
    interval_us: int
    addresses: tuple[str, ...]
    auth_type: int  # -1 where the version has none
    auth_data: str
    checksum_ok_with: tuple[str, ...]  # empty: it is wrong
    ah: str = ""  # 24 octets between IP header and PDU
    trailer: str = ""  # 28 octets behind the PDU


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


def judge(frame: bytes) -> SeenAdvert | SeenArp | None:
    """None for what is neither; `ValueError` or `struct.error` for an advert or ARP that is cut."""
    (kind,) = struct.unpack_from("!H", frame, 12)
    if kind == 0x0806:
        return _arp(frame)
    if kind == 0x0800 and frame[23] in {51, 112}:
        return _advert(frame)
    if kind == 0x86DD and frame[20] == 112:
        return _advert(frame)
    return None


def icv(frame: bytes, password: bytes, *, ttl_kept: bool) -> str:
    """What the ICV of an AH should be: HMAC-MD5 over the packet with what changes on the way taken as zero."""
    packet = bytearray(frame[14:])
    header = (packet[0] & 15) * 4
    (total,) = struct.unpack_from("!H", packet, 2)
    for at in (1, 6, 7, 10, 11, *([] if ttl_kept else [8]), *range(header + 12, header + AH)):
        packet[at] = 0
    return hmac.new((password + bytes(8))[:8], packet[:total], hashlib.md5).digest()[:12].hex()


def mac(frame: bytes, key: bytes) -> str:
    """What the last 16 octets of a trailer should be: HMAC-SHA-256 over who sends, PDU and trailer."""
    family, source, _, payload = _parts(frame)
    who = bytes([family, payload[0] >> 4, payload[1], 0]) + source + bytes(16 - len(source))
    signed = payload[:6] + bytes(2) + payload[8:-16] + bytes(16)
    return hmac.new(key, who + signed, hashlib.sha256).digest()[:16].hex()


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


def _parts(frame: bytes) -> tuple[int, bytes, bytes, bytes]:
    """Family, source, destination, and what follows the IP header."""
    packet = frame[14:]
    if packet[0] >> 4 == 6:
        (length,) = struct.unpack_from("!H", packet, 4)
        return 6, packet[8:24], packet[24:40], packet[40 : 40 + length]
    header, (total,) = (packet[0] & 15) * 4, struct.unpack_from("!H", packet, 2)
    if _sum(packet[:header]) != 0:
        raise ValueError("wrong IPv4 header checksum")
    return 4, packet[12:16], packet[16:20], packet[header:total]


def _advert(frame: bytes) -> SeenAdvert:
    packet = frame[14:]
    family, source, destination, pdu = _parts(frame)
    size, ah = len(source), b""
    if family == 4 and packet[9] == 51:
        ah, pdu = pdu[:AH], pdu[AH:]
        if ah[:4] != bytes([112, 4, 0, 0]):
            raise ValueError("no AH before VRRP")
    version, count = pdu[0] >> 4, pdu[3]
    auth = 8 + size * count
    end = auth + (8 if version == 2 and family == 4 else 0)
    if len(pdu) not in {end, end + TRAILER}:
        raise ValueError(f"{len(pdu)} octets for {count} addresses")
    (centiseconds,) = struct.unpack_from("!H", pdu, 4)
    (traffic,) = struct.unpack_from("!H", packet)
    return SeenAdvert(
        frame[6:12].hex(":"),
        frame[:6].hex(":"),
        str(ip_address(source)),
        str(ip_address(destination)),
        packet[8] if family == 4 else packet[7],
        packet[1] if family == 4 else traffic >> 4 & 255,
        struct.unpack_from("!H", packet, 6)[0] if family == 4 else 0,
        version,
        pdu[0] & 15,
        pdu[1],
        pdu[2],
        pdu[5] * 1_000_000 if version == 2 else (centiseconds & 0xFFF) * 10_000,
        tuple(str(ip_address(pdu[at : at + size])) for at in range(8, auth, size)),
        pdu[4] if version == 2 else -1,
        pdu[auth:end].hex(),
        _forms(pdu, end, source, destination),
        ah.hex(),
        pdu[end:].hex(),
    )


def _forms(pdu: bytes, end: int, source: bytes, destination: bytes) -> tuple[str, ...]:
    if len(source) == 16:
        before = source + destination + struct.pack("!II", len(pdu), 112)
        return ("pseudo6",) if _sum(before + pdu) == 0 else ()
    rest = struct.pack("!BBH", 0, 112, end)
    covered = {"plain": b"", "pseudo4": source + destination + rest}
    if destination != GROUP.packed:
        covered["pseudo4-mcast-dst"] = source + GROUP.packed + rest
    return tuple(name for name, before in covered.items() if _sum(before + pdu[:end]) == 0)


def _sum(data: bytes) -> int:
    """One's complement of the one's complement sum: 0 when the data holds its own right checksum."""
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
