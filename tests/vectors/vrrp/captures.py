"""The captured frames of this folder as records. Reading fails when there are none."""

import gzip
import json
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

ARPS = Path(__file__).parent / "gratuitous_arps.json"
PACKETS = Path(__file__).parent / "packets.jsonl.gz"
NEIGHBOUR_ADVERTS = Path(__file__).parent / "neighbour_adverts.json"


@dataclass(frozen=True, slots=True)
class CapturedArp:
    file: str
    n: int
    times: int
    daemon: str
    mac: bytes
    ip: IPv4Address
    frame: bytes

    def __str__(self) -> str:
        return f"{self.file.removesuffix('.pcap')}-{self.n}"


@dataclass(frozen=True, slots=True)
class CapturedNeighbourAdvert:
    file: str
    n: int
    times: int
    daemon: str
    mac: bytes
    ip: IPv6Address
    router: bool  # the R flag
    frame: bytes

    def __str__(self) -> str:
        return f"{self.file.removesuffix('.pcap')}-{self.n}"


@dataclass(frozen=True, slots=True)
class CapturedPacket:
    """One of the 996, in the order of the captures; see README.md for its fields."""

    file: str
    n: int
    t_us: int
    daemon: str
    frame: bytes
    src: IPv4Address | IPv6Address
    dst: IPv4Address | IPv6Address
    ttl: int
    version: int
    vrid: int
    priority: int
    interval_us: int
    auth_type: int
    auth_data: bytes
    addresses: tuple[IPv4Address | IPv6Address, ...]
    checksum_ok_with: tuple[str, ...]
    ah_sequence: int | None
    ah_icv: str
    ah_password: bytes
    key_id: int | None
    sequence: int | None
    keys: dict[int, bytes]

    def __str__(self) -> str:
        return f"{self.file.removesuffix('.pcap')}-{self.n}"


def packets() -> list[CapturedPacket]:
    return [_packet(json.loads(line)) for line in gzip.decompress(PACKETS.read_bytes()).splitlines()]


def gratuitous_arps() -> list[CapturedArp]:
    return [
        CapturedArp(
            **entry
            | {
                "mac": bytes.fromhex(entry["mac"].replace(":", "")),
                "ip": IPv4Address(entry["ip"]),
                "frame": bytes.fromhex(entry["frame"]),
            }
        )
        for entry in json.loads(ARPS.read_text())
    ]


def neighbour_adverts() -> list[CapturedNeighbourAdvert]:
    return [
        CapturedNeighbourAdvert(
            **entry
            | {
                "mac": bytes.fromhex(entry["mac"].replace(":", "")),
                "ip": IPv6Address(entry["ip"]),
                "frame": bytes.fromhex(entry["frame"]),
            }
        )
        for entry in json.loads(NEIGHBOUR_ADVERTS.read_text())
    ]


def _packet(entry: dict[str, Any]) -> CapturedPacket:
    return CapturedPacket(
        **entry
        | {
            "frame": bytes.fromhex(entry["frame"]),
            "src": ip_address(entry["src"]),
            "dst": ip_address(entry["dst"]),
            "auth_data": bytes.fromhex(entry["auth_data"]),
            "addresses": tuple(map(ip_address, entry["addresses"])),
            "checksum_ok_with": tuple(entry["checksum_ok_with"]),
            "ah_password": entry["ah_password"].encode(),
            "keys": {int(number): bytes.fromhex(key) for number, key in entry["keys"].items()},
        }
    )
