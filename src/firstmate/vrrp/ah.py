"""Authentication Header of VRRP version 2 over IPv4, as keepalived sends it (RFC 2338; `reference/vrrp.md` 3.3).

    IPv4 header | 112 | 4 | 0 | SPI: the source | sequence | ICV: 96 bits of HMAC-MD5 | PDU

The kernel knows nothing of it here: we write and read whole IPv4 packets.
"""

import struct
from _operator import _compare_digest as equal  # what `hmac.compare_digest` is, without what `hmac` loads
from ipaddress import IPv4Address

from firstmate.model.addresses import Address
from firstmate.model.units import S, Micros
from firstmate.vrrp.digest import MD5, Keyed
from firstmate.vrrp.packet import AUTH_OCTETS, PROTOCOL, TOS, TTL, BadAdvert, Refusal, checksum

AH_PROTOCOL = 51
AH_OCTETS = 24
AH_LENGTH = 4  # in words of 32 bits, less 2 (RFC 4302, 2.2)
ICV_OCTETS = 12
SEQUENCE_MAX = (1 << 32) - 1

_IP = struct.Struct("!BBHHHBBH4s4s")
_AH = struct.Struct("!BBH4sI")


def ah_key(password: bytes) -> Keyed:
    """The key is always 8 octets: the password, cut or padded with zeros."""
    return Keyed(MD5, password[:AUTH_OCTETS].ljust(AUTH_OCTETS, b"\0"))


class AhSequence:
    """Sequence numbers for one virtual router: one for each advert, shared by its copies.

    keepalived counts from 1 and goes on from what it hears. We begin with the UTC time in seconds, so that after a
    restart no receiver takes us for a replay, and stay above whatever was heard.
    """

    def __init__(self) -> None:
        self.last = 0

    def heard(self, sequence: int) -> None:
        self.last = max(self.last, sequence)

    def next(self, utc_us: Micros) -> int:
        self.last = min(max(self.last + 1, utc_us // S), SEQUENCE_MAX)
        return self.last


def build(pdu: bytes, source: Address, destination: Address, key: Keyed, sequence: int, ttl: int = TTL) -> bytes:
    """Write the whole IPv4 packet of an advert. Its identification goes with the sequence and is never 0."""
    total = _IP.size + AH_OCTETS + len(pdu)
    identification = (sequence - 1) % 0xFFFF + 1
    fields = (0x45, TOS, total, identification, 0, ttl, AH_PROTOCOL)
    ends = (source.packed, destination.packed)
    header = _IP.pack(*fields, checksum(_IP.pack(*fields, 0, *ends)), *ends)
    ah = _AH.pack(PROTOCOL, AH_LENGTH, 0, source.packed, sequence)
    icv = _icv(header, ah, pdu, key, multicast=destination.is_multicast)
    return header + ah + icv + pdu


def verify(before: bytes, pdu: bytes, key: Keyed, mark: int | None) -> int:
    """The sequence of a good packet; `before`: its IPv4 header and AH; `mark`: the last one accepted of this sender.

    Raises `BadAdvert`.
    """
    header, ah, icv = before[:-AH_OCTETS], before[-AH_OCTETS:-ICV_OCTETS], before[-ICV_OCTETS:]
    multicast = IPv4Address(header[16:20]).is_multicast
    if not equal(_icv(header, ah, pdu, key, multicast=multicast), icv):
        raise BadAdvert(Refusal.AUTH_FAILURE, "another AH password")
    _, _, _, spi, sequence = _AH.unpack(ah)
    if spi != header[12:16]:
        raise BadAdvert(Refusal.AUTH_FAILURE, f"AH of {IPv4Address(spi)}, not of its source")
    if mark is not None and sequence <= mark:
        raise BadAdvert(Refusal.AUTH_FAILURE, f"heard before: AH sequence {sequence} after {mark}")
    return int(sequence)


def _icv(header: bytes, ah: bytes, pdu: bytes, key: Keyed, *, multicast: bool) -> bytes:
    """What changes on the way counts as 0: TOS, fragments, header checksum, and in unicast the TTL too."""
    ttl = header[8:9] if multicast else b"\0"
    still = b"".join((header[:1], b"\0", header[2:6], b"\0\0", ttl, header[9:10], b"\0\0", header[12:]))
    return key.digest(still + ah + bytes(ICV_OCTETS) + pdu)[:ICV_OCTETS]
