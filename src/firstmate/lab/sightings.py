"""What was seen on the wire: adverts and claims of addresses, read from frames and sorted into news. Pure."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from firstmate.model.units import MS, S, Micros

ARP, IPV4 = 0x0806, 0x0800  # EtherTypes
VRRP = 112
SILENT_ADVERTS = 3  # a host that missed so many of its own adverts is news when it speaks again
_ADVERT_PDU_OCTETS_MIN = 8


class Kind(Enum):
    ADVERT = "advert"
    ARP = "arp"  # gratuitous: sender and target are the same address


@dataclass(frozen=True, slots=True)
class Sighting:
    at_us: Micros  # monotonic: when the frame entered the switch
    host: str  # the load balancer at that port
    kind: Kind
    address: str  # ADVERT: IP source; ARP: the address claimed
    mac: str
    vrid: int = 0
    priority: int = -1  # ADVERT: 0 means it resigns; ARP: -1
    version: int = 0
    interval_us: Micros = 0  # ADVERT: how often it says it advertises


def read_frame(frame: bytes, host: str, at_us: Micros) -> Sighting | None:
    """What an Ethernet frame says; None when it is neither an advertisement nor a gratuitous ARP."""
    if len(frame) < 14:
        return None
    kind = int.from_bytes(frame[12:14])
    mac = frame[6:12].hex(":")
    if kind == ARP and len(frame) >= 42:
        sender, target = frame[28:32], frame[38:42]
        return Sighting(at_us, host, Kind.ARP, socket.inet_ntoa(sender), mac) if sender == target else None
    if kind != IPV4 or len(frame) < 34 or frame[23] != VRRP:
        return None
    pdu = frame[14 + (frame[14] & 0x0F) * 4 :]
    if len(pdu) < _ADVERT_PDU_OCTETS_MIN:
        return None
    source, version = socket.inet_ntoa(frame[26:30]), pdu[0] >> 4
    interval_us = pdu[5] * S if version == 2 else (int.from_bytes(pdu[4:6]) & 0x0FFF) * 10 * MS
    return Sighting(at_us, host, Kind.ADVERT, source, mac, pdu[1], pdu[2], version, interval_us)


def changes(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Leave out what repeats.

    Kept: an advertisement that says another priority than that host's last, or comes after a silence of several
    adverts; an announcement of an address by another host than the last.
    """
    spoken: dict[tuple[str, int], tuple[int, Micros]] = {}
    claimed: dict[str, str] = {}
    kept = []
    for sighting in sightings:
        if sighting.kind is Kind.ARP:
            if claimed.get(sighting.address) != sighting.host:
                kept.append(sighting)
            claimed[sighting.address] = sighting.host
            continue
        priority, at_us = spoken.get((sighting.host, sighting.vrid), (-1, 0))
        if priority != sighting.priority or sighting.at_us - at_us > SILENT_ADVERTS * sighting.interval_us:
            kept.append(sighting)
        spoken[sighting.host, sighting.vrid] = (sighting.priority, sighting.at_us)
    return kept


def first_advert(sightings: Iterable[Sighting], host: str, after_us: Micros) -> Micros | None:
    """How long after `after_us` that host first advertised to lead; None: it did not."""
    leads = (seen for seen in sightings if seen.host == host and seen.kind is Kind.ADVERT and seen.priority > 0)
    return min((seen.at_us - after_us for seen in leads if seen.at_us >= after_us), default=None)
