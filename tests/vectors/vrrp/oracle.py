"""A second opinion on frames: VRRP over IPv4 and gratuitous ARP, decoded without any code of firstmate.

What it says was compared with every frame of `index.json` (`tests/rules/vrrp/test_packet.py`).
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

GROUP = IPv4Address("224.0.0.18")


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
    if kind == 0x0800 and frame[23] == 112:
        return _advert(frame)
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


def _advert(frame: bytes) -> SeenAdvert:
    packet = frame[14:]
    header, (total,) = (packet[0] & 15) * 4, struct.unpack_from("!H", packet, 2)
    if _sum(packet[:header]) != 0:
        raise ValueError("wrong IPv4 header checksum")
    source, destination, pdu = packet[12:16], packet[16:20], packet[header:total]
    version, count = pdu[0] >> 4, pdu[3]
    end = 8 + 4 * count
    if len(pdu) != end + (8 if version == 2 else 0):
        raise ValueError(f"{len(pdu)} octets for {count} addresses")
    (centiseconds,) = struct.unpack_from("!H", pdu, 4)
    return SeenAdvert(
        frame[6:12].hex(":"),
        frame[:6].hex(":"),
        str(IPv4Address(source)),
        str(IPv4Address(destination)),
        packet[8],
        packet[1],
        struct.unpack_from("!H", packet, 6)[0],
        version,
        pdu[0] & 15,
        pdu[1],
        pdu[2],
        pdu[5] * 1_000_000 if version == 2 else (centiseconds & 0xFFF) * 10_000,
        tuple(str(IPv4Address(pdu[at : at + 4])) for at in range(8, end, 4)),
        pdu[4] if version == 2 else -1,
        pdu[end:].hex(),
        _forms(pdu, source, destination),
    )


def _forms(pdu: bytes, source: bytes, destination: bytes) -> tuple[str, ...]:
    rest = struct.pack("!BBH", 0, 112, len(pdu))
    covered = {"plain": b"", "pseudo4": source + destination + rest}
    if destination != GROUP.packed:
        covered["pseudo4-mcast-dst"] = source + GROUP.packed + rest
    return tuple(name for name, before in covered.items() if _sum(before + pdu) == 0)


def _sum(data: bytes) -> int:
    """One's complement of the one's complement sum: 0 when the data holds its own right checksum."""
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
