"""VRRP advertisements to bytes and back: version 2 (RFC 3768) and 3 (RFC 5798, 9568), IPv4 and IPv6.

    version 3                                    version 2
     0       1        2         3                 0       1        2         3
    +-------+--------+---------+--------+        +-------+--------+---------+--------+
    | 3 | 1 |  VRID  |priority | count n|        | 2 | 1 |  VRID  |priority | count n|
    +-------+--------+---------+--------+        +-------+--------+---------+--------+
    |0| interval, cs | checksum         |        | auth  | int, s | checksum         |
    +----------------+------------------+        +-------+--------+------------------+
    | n addresses of 4 or 16 octets     |        | n addresses; IPv4: 8 octets of authentication

Try it: `python -m firstmate.vrrp.packet 3116640200327397c633640bc633640c 192.0.2.11 224.0.0.18`.
"""

import struct
import sys
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

from firstmate.model.plan import ChecksumForm
from firstmate.model.units import S, Micros

Address: TypeAlias = IPv4Address | IPv6Address

PROTOCOL = 112
GROUP_IPV4 = IPv4Address("224.0.0.18")
GROUP_IPV6 = IPv6Address("ff02::12")
TTL = 255
TOS = 0xC0  # what keepalived and FRR send; receivers ignore it

ADVERTISEMENT = 1
HEADER_OCTETS = 8
FIRST_OCTETS = (2 << 4 | ADVERTISEMENT, 3 << 4 | ADVERTISEMENT)  # version and type
AUTH_OCTETS = 8
CENTISECOND: Micros = 10_000
INTERVAL_CS_MAX = 4095
INTERVAL_S_MAX = 255
ADDRESSES_MAX = 255
OCTET_MAX = 255

AUTH_NONE, AUTH_PASS, AUTH_AH = 0, 1, 2

_HEADER = struct.Struct("!BBBBHH")


class Refusal(Enum):
    """Why an advertisement is not heard; the value is the counter's name (RFC 6527, RFC 2787)."""

    PACKET_LENGTH = "packet_length_errors"
    IP_TTL = "ip_ttl_errors"
    VERSION = "version_errors"
    TYPE = "invalid_type_errors"
    CHECKSUM = "checksum_errors"
    VRID = "vrid_errors"
    INVALID_AUTH_TYPE = "invalid_auth_type_errors"
    AUTH_TYPE_MISMATCH = "auth_type_mismatch_errors"
    AUTH_FAILURE = "auth_failures"
    ADV_INTERVAL = "adv_interval_errors"
    ADDRESS_LIST = "address_list_errors"
    UNKNOWN_SOURCE = "unknown_source_errors"
    VRID_CLASH = "vrid_clash_errors"


class BadAdvert(ValueError):
    """The one error of `decode`; `reason` is also the counter."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Advert:
    """One advertisement. All of `addresses` are of one family, that of the IP header."""

    version: int  # 2 or 3
    vrid: int  # 1..255 on the wire; decode lets 0 through, for the receiver to ignore
    priority: int  # 0: the sender resigns
    interval_us: Micros  # v2: whole seconds; v3: whole centiseconds
    addresses: tuple[Address, ...]
    auth_type: int = AUTH_NONE  # v2 only
    auth_data: bytes = bytes(AUTH_OCTETS)  # v2 over IPv4 only


def encode(advert: Advert, source: Address, destination: Address, form: ChecksumForm = ChecksumForm.PSEUDO) -> bytes:
    """Write the PDU, checksum included (RFC 5798, 5.1; RFC 3768, 5.1).

    Raises `ValueError` when a field does not fit: it is never cut.
    """
    interval = _interval_field(advert)
    _check_fields(advert, source)
    body = b"".join(address.packed for address in advert.addresses)
    if advert.version == 2 and source.version == 4:
        body += advert.auth_data[:AUTH_OCTETS].ljust(AUTH_OCTETS, b"\0")
    first = advert.version << 4 | ADVERTISEMENT
    header = (first, advert.vrid, advert.priority, len(advert.addresses), interval)
    pdu = _HEADER.pack(*header, 0) + body
    covered = _pseudo_header(advert.version, source, destination, len(pdu), form)
    return _HEADER.pack(*header, checksum(covered + pdu)) + body


def decode(
    pdu: bytes,
    source: Address,
    destination: Address,
    form: ChecksumForm = ChecksumForm.PSEUDO,
    *,
    version: int | None = None,
) -> Advert:
    """Read a PDU (the payload of the IP packet), checks 3 and 8..11 of `reference/vrrp.md` section 6.

    `version`: the one configured, None for either. Raises `BadAdvert`, and nothing else.
    """
    if len(pdu) < HEADER_OCTETS:
        raise BadAdvert(Refusal.PACKET_LENGTH, f"{len(pdu)} octets are no VRRP header")
    first, vrid, priority, count, interval, _ = _HEADER.unpack_from(pdu)
    said = first >> 4
    if said not in (2, 3) or (version is not None and said != version):
        raise BadAdvert(Refusal.VERSION, f"version {said}")
    if first & 0xF != ADVERTISEMENT:
        raise BadAdvert(Refusal.TYPE, f"type {first & 0xF}")
    size = len(source.packed)
    has_auth = said == 2 and size == 4
    end = HEADER_OCTETS + count * size
    if len(pdu) != end + (AUTH_OCTETS if has_auth else 0):
        raise BadAdvert(Refusal.PACKET_LENGTH, f"{len(pdu)} octets do not hold {count} addresses exactly")
    if checksum(_pseudo_header(said, source, destination, len(pdu), form) + pdu) != 0:
        raise BadAdvert(Refusal.CHECKSUM, f"checksum {pdu[6:8].hex()}")
    kind = IPv4Address if size == 4 else IPv6Address
    addresses = tuple(kind(pdu[at : at + size]) for at in range(HEADER_OCTETS, end, size))
    if said == 3:
        return Advert(3, vrid, priority, (interval & 0xFFF) * CENTISECOND, addresses)
    auth_data = pdu[end:] if has_auth else bytes(AUTH_OCTETS)
    return Advert(2, vrid, priority, (interval & 0xFF) * S, addresses, interval >> 8, auth_data)


def checksum(data: bytes) -> int:
    """Sum of RFC 1071; 0 when `data` holds its own right checksum."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _check_fields(advert: Advert, source: Address) -> None:
    if len(advert.addresses) > ADDRESSES_MAX:
        message = f"{len(advert.addresses)} addresses do not fit in one advertisement: at most {ADDRESSES_MAX}"
        raise ValueError(message)
    if any(address.version != source.version for address in advert.addresses):
        message = f"every address must be of the family of the source, {source}"
        raise ValueError(message)
    for name, value in (("vrid", advert.vrid), ("priority", advert.priority), ("auth_type", advert.auth_type)):
        if not 0 <= value <= OCTET_MAX:
            message = f"{name} {value} does not fit in an octet"
            raise ValueError(message)


def _interval_field(advert: Advert) -> int:
    if advert.version == 3:
        interval, rest = divmod(advert.interval_us, CENTISECOND)
        if rest or not 1 <= interval <= INTERVAL_CS_MAX:
            message = f"version 3 sends whole centiseconds, 1..{INTERVAL_CS_MAX}: not {advert.interval_us} us"
            raise ValueError(message)
        return interval
    if advert.version != 2:
        message = f"there is no VRRP version {advert.version}"
        raise ValueError(message)
    interval, rest = divmod(advert.interval_us, S)
    if rest or not 1 <= interval <= INTERVAL_S_MAX:
        message = f"version 2 sends whole seconds, 1..{INTERVAL_S_MAX}: not {advert.interval_us} us"
        raise ValueError(message)
    return advert.auth_type << 8 | interval


def _pseudo_header(version: int, source: Address, destination: Address, length: int, form: ChecksumForm) -> bytes:
    """What the checksum covers before the PDU (`reference/vrrp.md` section 2)."""
    if source.version == 6:
        return source.packed + destination.packed + struct.pack("!II", length, PROTOCOL)
    if version == 3 and form is ChecksumForm.PSEUDO:
        return source.packed + destination.packed + struct.pack("!HH", PROTOCOL, length)
    return b""


if __name__ == "__main__":
    _hex, _source, _destination = [*sys.argv[1:], "192.0.2.11", "224.0.0.18"][:3]
    print(decode(bytes.fromhex(_hex), ip_address(_source), ip_address(_destination)))  # noqa: T201 - it shows itself
