"""What a datagram of protocol 112 must pass before the election hears it (`reference/vrrp.md` section 6).

The checks run in that order and the first failure ends them, so that each refusal has one counter.
A refused datagram changes nothing but that counter.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address

from firstmate.model.addresses import Address
from firstmate.model.plan import OWNER, Auth, Transport, VrrpPlan
from firstmate.model.units import format_duration
from firstmate.vrrp.instance import Heard
from firstmate.vrrp.packet import (
    AUTH_AH,
    AUTH_NONE,
    AUTH_OCTETS,
    AUTH_PASS,
    GROUP_IPV4,
    PROTOCOL,
    TTL,
    Advert,
    BadAdvert,
    Refusal,
    decode,
)

IPV4_HEADER_OCTETS_MIN = 20


@dataclass(frozen=True, slots=True)
class Datagram:
    """An IPv4 packet of protocol 112, without its header."""

    interface: str
    source: Address
    destination: Address
    ttl: int
    pdu: bytes
    udp: bool = False


@dataclass(frozen=True, slots=True)
class Remark:
    """Something odd that does not stop the advert from being heard; `counter` "" for none."""

    code: str  # of the Notice
    text: str
    counter: str = ""


def unwrap(packet: bytes, interface: str) -> Datagram:
    """Take the IPv4 header off what a raw socket gave (checks 1 and 2); octets beyond its length are padding.

    Raises `BadAdvert`.
    """
    if len(packet) < IPV4_HEADER_OCTETS_MIN or packet[0] >> 4 != 4:
        raise BadAdvert(Refusal.PACKET_LENGTH, "no IPv4 header")
    header = (packet[0] & 0xF) * 4
    total = int.from_bytes(packet[2:4])
    if header < IPV4_HEADER_OCTETS_MIN or not header <= total <= len(packet):
        raise BadAdvert(Refusal.PACKET_LENGTH, f"header {header}, total {total}, received {len(packet)} octets")
    if packet[9] != PROTOCOL:
        raise BadAdvert(Refusal.AUTH_TYPE_MISMATCH, f"IP protocol {packet[9]}")
    return Datagram(
        interface, IPv4Address(packet[12:16]), IPv4Address(packet[16:20]), packet[8], bytes(packet[header:total])
    )


def examine(datagram: Datagram, plan: VrrpPlan) -> tuple[Heard, list[Remark]]:
    """Checks 6..22 for one virtual router. Raises `BadAdvert`."""
    multicast = plan.transport is Transport.MULTICAST
    if (datagram.destination == GROUP_IPV4) is not multicast:
        raise BadAdvert(Refusal.ADDRESS_LIST, f"sent to {datagram.destination}, but we use {plan.transport.value}")
    if multicast and datagram.ttl != TTL:
        raise BadAdvert(Refusal.IP_TTL, f"TTL {datagram.ttl}: it crossed a router")
    advert = decode(datagram.pdu, datagram.source, datagram.destination, plan.checksum, version=plan.version)
    if plan.version == 2:
        _check_version_2(advert, plan)
    elif advert.interval_us == 0:
        raise BadAdvert(Refusal.ADV_INTERVAL, "interval 0")
    if not advert.addresses and plan.version == 3:
        raise BadAdvert(Refusal.ADDRESS_LIST, "no address")
    known = datagram.source in plan.peers
    if not known and not multicast:
        raise BadAdvert(Refusal.UNKNOWN_SOURCE, f"{datagram.source} is no peer of this virtual router")
    ours = {vip.ip for vip in plan.vips}
    if not known and advert.addresses and ours.isdisjoint(advert.addresses):
        raise BadAdvert(Refusal.VRID_CLASH, f"{datagram.source} uses this VRID for other addresses")
    heard = Heard(advert.priority, advert.interval_us, datagram.source)
    return heard, list(_remarks(advert, plan, ours, datagram.source, known=known))


def _check_version_2(advert: Advert, plan: VrrpPlan) -> None:
    """Authentication and interval of version 2 (RFC 3768, 7.1; RFC 2338, 5.3.6 for PASS)."""
    wanted = AUTH_PASS if plan.auth is Auth.PASS else AUTH_NONE
    if advert.auth_type not in (AUTH_NONE, AUTH_PASS, AUTH_AH):
        raise BadAdvert(Refusal.INVALID_AUTH_TYPE, f"authentication type {advert.auth_type}")
    if advert.auth_type != wanted:
        raise BadAdvert(Refusal.AUTH_TYPE_MISMATCH, f"authentication type {advert.auth_type}, ours is {wanted}")
    # No constant-time comparison: the password itself crosses the wire in clear.
    if wanted == AUTH_PASS and advert.auth_data != plan.auth_pass[:AUTH_OCTETS].ljust(AUTH_OCTETS, b"\0"):
        raise BadAdvert(Refusal.AUTH_FAILURE, "another password")
    if advert.interval_us != plan.advert_interval_us:
        raise BadAdvert(
            Refusal.ADV_INTERVAL,
            f"interval {format_duration(advert.interval_us)}, ours is {format_duration(plan.advert_interval_us)}",
        )


def _remarks(advert: Advert, plan: VrrpPlan, ours: set[Address], source: Address, *, known: bool) -> list[Remark]:
    remarks = []
    if advert.interval_us != plan.advert_interval_us:
        said, own = format_duration(advert.interval_us), format_duration(plan.advert_interval_us)
        text = f"{source} advertises every {said}, we every {own}; while it is MASTER its interval counts"
        remarks.append(Remark("interval-differs", text, Refusal.ADV_INTERVAL.value))
    if len(advert.addresses) != len(ours) or set(advert.addresses) != ours:
        theirs = " ".join(map(str, advert.addresses[:4]))
        text = f"{source} advertises other addresses ({theirs}) than ours; make the two configurations equal"
        remarks.append(Remark("addresses-differ", text, Refusal.ADDRESS_LIST.value))
    if not known:
        remarks.append(Remark("unknown-peer", f"{source} takes part, but is no node or peer of our configuration"))
    if plan.priority == OWNER and advert.priority == OWNER:
        remarks.append(Remark("two-owners", f"{source} also claims to own the addresses (priority 255)"))
    return remarks
