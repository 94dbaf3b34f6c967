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
TRAILER_OCTETS = 28  # of keepalived's `auth_hmac`, see `trailer`
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
    AUTH_EXT_MISSING = "auth_ext_missing"
    AUTH_EXT_MALFORMED = "auth_ext_malformed"
    AUTH_EXT_UNKNOWN_KEY = "auth_ext_unknown_key"
    AUTH_EXT_INVALID_HMAC = "auth_ext_invalid_hmac"
    AUTH_EXT_STALE = "auth_ext_stale"
    AUTH_EXT_REPLAY = "auth_ext_replay"
    IGNORED = "ignored_adverts"  # nothing is wrong with it, and nobody need hear of it


PROTO_ERR_REASON = {Refusal.IP_TTL: 1, Refusal.VERSION: 2, Refusal.CHECKSUM: 3, Refusal.VRID: 4}  # RFC 6527; others: 0
AUTH_ERROR_TYPE = {Refusal.INVALID_AUTH_TYPE: 1, Refusal.AUTH_TYPE_MISMATCH: 2, Refusal.AUTH_FAILURE: 3}  # RFC 2787


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
    """Write the PDU, checksum included (RFC 5798, 5.1; RFC 3768, 5.1). Form AUTO is as PSEUDO.

    Raises `ValueError` when a field does not fit: it is never cut.
    """
    interval = _interval_field(advert)
    _check_fields(advert, source)
    body = b"".join(address.packed for address in advert.addresses)
    if advert.version == 2 and source.version == 4:
        body += advert.auth_data[:AUTH_OCTETS].ljust(AUTH_OCTETS, b"\0")
    first = advert.version << 4 | ADVERTISEMENT
    header = (first, advert.vrid, advert.priority, len(advert.addresses), interval)
    before = _pseudo_sum(advert.version, source, destination, HEADER_OCTETS + len(body), form)
    return _HEADER.pack(*header, _checksum(before + int.from_bytes(_HEADER.pack(*header, 0) + body))) + body


def attach(pdu: bytes, trailer: bytes, source: Address, destination: Address) -> bytes:
    """Put a trailer behind a PDU. Over IPv6 the checksum covers it too, over IPv4 it does not."""
    if source.version == 4:
        return pdu + trailer
    whole = pdu[:6] + b"\0\0" + pdu[8:] + trailer
    before = int(source) + int(destination) + PROTOCOL + len(whole)
    return whole[:6] + _checksum(before + int.from_bytes(whole)).to_bytes(2) + whole[8:]


def decode(
    pdu: bytes,
    source: Address,
    destination: Address,
    form: ChecksumForm = ChecksumForm.PSEUDO,
    *,
    version: int | None = None,
) -> Advert:
    """Read a PDU (the payload of the IP packet) without trailer.

    `version`: the one configured, None for either. Raises `BadAdvert`, and nothing else.
    """
    check(pdu, source, destination, form, version=version)
    return read(pdu, source.version)


def check(
    pdu: bytes,
    source: Address,
    destination: Address,
    form: ChecksumForm,
    *,
    version: int | None = None,
    trailer: bool = False,
) -> tuple[int, ChecksumForm]:
    """Checks 3 and 8..11 of `reference/vrrp.md` section 6.

    `trailer`: one may follow. Gives how many octets come before it, and the form of checksum that fitted: of those
    that AUTO allows the first, and PSEUDO where version or family leave no choice. Raises `BadAdvert`.
    """
    if len(pdu) < HEADER_OCTETS:
        raise BadAdvert(Refusal.PACKET_LENGTH, f"{len(pdu)} octets are no VRRP header")
    said, kind, count = pdu[0] >> 4, pdu[0] & 0xF, pdu[3]
    if said not in (2, 3) or (version is not None and said != version):
        ours = "" if version is None else f", ours is {version}"
        raise BadAdvert(Refusal.VERSION, f"version {said}{ours}")
    if kind != ADVERTISEMENT:
        raise BadAdvert(Refusal.TYPE, f"type {kind}")
    ipv4 = source.version == 4
    end = HEADER_OCTETS + count * (4 if ipv4 else 16) + (AUTH_OCTETS if said == 2 and ipv4 else 0)
    if len(pdu) != end and not (trailer and len(pdu) == end + TRAILER_OCTETS):
        raise BadAdvert(Refusal.PACKET_LENGTH, f"{len(pdu)} octets do not hold {count} addresses exactly")
    covered = pdu[:end] if ipv4 else pdu
    total = int.from_bytes(covered)
    for one in _candidates(said, form) if ipv4 else _ONE_FORM:
        # Equal by RFC 1071 is equal modulo 65535; nothing here is 0 throughout, so 0xffff for 0x0000 fits too.
        if (total + _pseudo_sum(said, source, destination, len(covered), one)) % 0xFFFF == 0:
            return end, one
    raise BadAdvert(Refusal.CHECKSUM, f"checksum {pdu[6:8].hex()}")


def read(pdu: bytes, family: int, addresses: tuple[Address, ...] | None = None) -> Advert:
    """The fields of a PDU that passed `check`; what follows it is left alone.

    `family`: 4 or 6, of the IP header. `addresses`: what is known to stand there; None: read it.
    """
    first, vrid, priority, count, interval, _ = _HEADER.unpack_from(pdu)
    size, kind = (4, IPv4Address) if family == 4 else (16, IPv6Address)
    end = HEADER_OCTETS + count * size
    if addresses is None:
        addresses = tuple(kind(pdu[at : at + size]) for at in range(HEADER_OCTETS, end, size))
    if first >> 4 == 3:
        return Advert(3, vrid, priority, (interval & 0xFFF) * CENTISECOND, addresses)
    auth_data = pdu[end : end + AUTH_OCTETS] if family == 4 else bytes(AUTH_OCTETS)
    return Advert(2, vrid, priority, (interval & 0xFF) * S, addresses, interval >> 8, auth_data)


def checksum(data: bytes) -> int:
    """Sum of RFC 1071; 0 when `data` holds its own right checksum."""
    return _checksum(int.from_bytes(data + b"\0" if len(data) % 2 else data))


def _checksum(total: int) -> int:
    """Of the number that the octets make: 65536 is 1 modulo 65535, so its remainder is the sum with its carries.

    Only data that is 0 throughout has the sum 0; any other multiple of 65535 has the sum 0xffff.
    """
    return 0xFFFF - (total % 0xFFFF or (0xFFFF if total else 0))


_ONE_FORM = (ChecksumForm.PSEUDO,)
_ANY_FORM = (ChecksumForm.PSEUDO, ChecksumForm.GROUP, ChecksumForm.PLAIN)


def _candidates(version: int, form: ChecksumForm) -> tuple[ChecksumForm, ...]:
    if version == 2:
        return _ONE_FORM
    return _ANY_FORM if form is ChecksumForm.AUTO else (form,)


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


def _pseudo_sum(version: int, source: Address, destination: Address, length: int, form: ChecksumForm) -> int:
    """What the checksum covers before the PDU (`reference/vrrp.md` section 2), as a number that adds to it."""
    if source.version == 4:
        if version == 2 or form is ChecksumForm.PLAIN:
            return 0
        if form is ChecksumForm.GROUP:
            destination = GROUP_IPV4
    return int(source) + int(destination) + PROTOCOL + length


if __name__ == "__main__":
    _hex, _source, _destination = [*sys.argv[1:], "192.0.2.11", "224.0.0.18"][:3]
    print(decode(bytes.fromhex(_hex), ip_address(_source), ip_address(_destination)))  # noqa: T201 - it shows itself
