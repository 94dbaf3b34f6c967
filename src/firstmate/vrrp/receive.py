"""What an advert must pass before the election hears it (`reference/vrrp.md` section 6).

The checks run in that order and the first failure ends them, so that each refusal has one counter.
A refused advert changes nothing but that counter: what a receiver learns it learns at the very end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address
from typing import TypeAlias, TypeVar

from firstmate.model.addresses import Address
from firstmate.model.plan import OWNER, Auth, ChecksumForm, PathPlan, Transport, VrrpPlan
from firstmate.model.units import Micros, format_duration
from firstmate.vrrp import auth
from firstmate.vrrp.ah import AH_LENGTH, AH_OCTETS, AH_PROTOCOL, ah_key
from firstmate.vrrp.ah import verify as verify_ah
from firstmate.vrrp.digest import Keyed
from firstmate.vrrp.instance import Heard
from firstmate.vrrp.packet import (
    GROUP_IPV4,
    GROUP_IPV6,
    HEADER_OCTETS,
    PROTOCOL,
    TRAILER_OCTETS,
    TTL,
    Advert,
    BadAdvert,
    Refusal,
    check,
    read,
)
from firstmate.vrrp.trailer import Verifier, describe_skew, skew_us

IPV4_HEADER_OCTETS_MIN = 20
MARKS_MIN = 4  # senders whose last sequence is kept; keepalived keeps as many of a multicast group
ANSWERS_MAX = 8  # different adverts that are known by heart: a steady MASTER repeats itself byte by byte

_ipv4 = lru_cache(maxsize=256)(IPv4Address)  # the same few packets come again and again


@dataclass(frozen=True, slots=True)
class Datagram:
    """An IP packet of protocol 112 without its header, or the payload of one in UDP."""

    interface: str
    source: Address
    destination: Address
    ttl: int  # IPv6: hop limit
    pdu: bytes
    udp: bool = False
    ah: bytes | None = None  # protocol 51: the IPv4 header and the AH that came before `pdu`; None: no AH


@dataclass(frozen=True, slots=True)
class Remark:
    """Something odd that does not stop the advert from being heard; `counter` "" for none."""

    code: str  # of the Notice
    text: str
    counter: str = ""


def unwrap(packet: bytes, interface: str) -> Datagram:
    """Take the IPv4 header, and an AH, off what a raw socket gave; octets beyond its length are padding.

    Checks 1 and 2, and 3 of AH. Raises `BadAdvert`.
    """
    if len(packet) < IPV4_HEADER_OCTETS_MIN or packet[0] >> 4 != 4:
        raise BadAdvert(Refusal.PACKET_LENGTH, "no IPv4 header")
    start = (packet[0] & 0xF) * 4
    total = int.from_bytes(packet[2:4])
    if start < IPV4_HEADER_OCTETS_MIN or not start <= total <= len(packet):
        raise BadAdvert(Refusal.PACKET_LENGTH, f"header {start}, total {total}, received {len(packet)} octets")
    protocol, ah = packet[9], None
    if protocol == AH_PROTOCOL:
        start += AH_OCTETS
        if start > total or packet[start - AH_OCTETS + 1] != AH_LENGTH:
            raise BadAdvert(Refusal.PACKET_LENGTH, "no AH of 24 octets")
        protocol, ah = packet[start - AH_OCTETS], bytes(packet[:start])
    if protocol != PROTOCOL:
        raise BadAdvert(Refusal.AUTH_TYPE_MISMATCH, f"IP protocol {protocol}")
    source, destination = _ipv4(bytes(packet[12:16])), _ipv4(bytes(packet[16:20]))
    return Datagram(interface, source, destination, packet[8], bytes(packet[start:total]), ah=ah)


K = TypeVar("K")


class Marks(dict[K, int]):
    """The last sequence accepted of each sender; of too many senders, the one heard least lately is forgotten."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def move(self, sender: K, sequence: int) -> None:
        self.pop(sender, None)
        self[sender] = sequence
        if len(self) > self.limit:
            del self[next(iter(self))]


@dataclass(frozen=True, slots=True)
class _Way:
    """A path as the receiver sees it."""

    path: PathPlan
    senders: dict[bytes, Address]  # where a peer is reached on it -> its primary address


_Answer: TypeAlias = tuple[Heard, list[Remark]]
_Sender: TypeAlias = tuple[str, bytes, bool]  # where it came in, who sent it, in UDP? Each path has its own mark


@dataclass(frozen=True, slots=True)
class _Known:
    """An advert that was heard, and what all of it but a trailer gave."""

    datagram: Datagram
    answer: _Answer
    form: ChecksumForm
    signed: bool

    def is_like(self, other: Datagram) -> bool:
        """`other` has the same octets, checksum and trailer aside."""
        mine = self.datagram
        return (mine.source, mine.destination, mine.interface, mine.ttl, mine.udp, mine.ah) == (
            other.source,
            other.destination,
            other.interface,
            other.ttl,
            other.udp,
            other.ah,
        )


class Receiver:
    """The checks of one virtual router, and what they remember.

    `form` is the checksum to send by: with AUTO the one that was heard last, until then PSEUDO. `skew_us` is how far
    the clock of the last signed sender was ahead of ours, None before one was heard. `ah_sequence` is the highest
    sequence heard in an AH, for `AhSequence.heard`.
    """

    def __init__(self, plan: VrrpPlan) -> None:
        self.form = ChecksumForm.PSEUDO
        self.skew_us: Micros | None = None
        self.ah_sequence = 0
        self._method = auth.method(plan)
        self._marks: Marks[_Sender] = Marks(MARKS_MIN)
        self._answers: dict[bytes, _Known] = {}
        self.adopt(plan)

    def adopt(self, plan: VrrpPlan) -> None:
        """Go on with a changed plan of the same virtual router; the marks stay, lest a reload open it to replay."""
        self.plan = plan
        if plan.checksum is not ChecksumForm.AUTO:
            self.form = plan.checksum
        before, self._method = self._method, auth.method(plan)
        if Auth.AH in {before, self._method} and before is not self._method:
            self._marks.clear()  # sequences of AH and of trailers are numbers of two kinds
        self._auth_type, self._password = auth.fields(plan)
        self._ah_key: Keyed | None = ah_key(plan.auth_pass) if self._method is Auth.AH else None
        self._verifier = Verifier(plan.hmac) if plan.hmac else None
        self._group = plan.multicast_group or (GROUP_IPV4 if plan.family == 4 else GROUP_IPV6)
        self._our_list = tuple(vip.ip for vip in plan.advertised)
        self._our_octets = b"".join(ip.packed for ip in self._our_list)
        self._ours = set(self._our_list)
        self._ways: dict[tuple[str, Transport], list[_Way]] = {}
        for path in plan.all_paths:
            way = _Way(path, {at.packed: peer for at, peer in zip(path.peers, plan.peers, strict=False)})
            self._ways.setdefault((_where(path), path.transport), []).append(way)
        self._own = {path.source.packed for path in plan.all_paths}
        # Most files name the nodes' global addresses, and IPv6 multicast comes from link-local ones.
        self._knows_link_locals = any(peer.version == 6 and peer.is_link_local for peer in plan.peers)
        self._marks.limit = max(MARKS_MIN, sum(len(path.peers) for path in plan.all_paths))
        self._answers.clear()

    def examine(self, datagram: Datagram, utc_us: Micros) -> _Answer:
        """Checks 2..23; `utc_us`: the time of day, for signed adverts. Raises `BadAdvert`."""
        known = self._recall(datagram)
        if known is not None and not known.signed:
            self.form = known.form
            return known.answer
        who = "" if datagram.udp else datagram.interface, datagram.source.packed, datagram.udp
        if known is None:
            self._check_carrier(datagram, who)
        pdu, plan = datagram.pdu, self.plan
        end, form = check(
            pdu,
            datagram.source,
            datagram.destination,
            plan.checksum,
            version=plan.version,
            trailer=self._verifier is not None,
        )
        sequence = self._check_trailer(datagram, end, who, utc_us)
        if known is None:
            answer, sequence = self._judge(datagram, end, who, sequence)
        else:
            answer = known.answer
        # Every check was passed: from here on we learn.
        if plan.checksum is ChecksumForm.AUTO:
            self.form = form
        if known is None and self._ah_key is None:
            self._answers[_stem(pdu, end)] = _Known(datagram, answer, self.form, len(pdu) > end)
            if len(self._answers) > ANSWERS_MAX:
                del self._answers[next(iter(self._answers))]
        if sequence is not None:
            heard, remarks = answer
            answer = heard, remarks + self._learn(datagram, who, sequence, utc_us)
        return answer

    def _recall(self, datagram: Datagram) -> _Known | None:
        """A steady MASTER repeats itself, octet by octet, but for what signs it: that alone is then checked."""
        known = self._answers.get(datagram.pdu)
        if known is None and self._verifier is not None:
            known = self._answers.get(_stem(datagram.pdu, len(datagram.pdu) - TRAILER_OCTETS))
        return known if known is not None and known.is_like(datagram) else None

    def _judge(self, datagram: Datagram, end: int, who: _Sender, sequence: int | None) -> tuple[_Answer, int | None]:
        """Checks 13..23: what they give, and the sequence of an AH where there is one."""
        pdu, plan = datagram.pdu, self.plan
        same = pdu.startswith(self._our_octets, HEADER_OCTETS) and pdu[3] == len(self._our_list)
        advert = read(pdu, datagram.source.version, self._our_list if same else None)
        if advert.version == 2:
            sequence = self._check_version_2(datagram, advert, who, sequence)
        self._check_content(datagram, advert)
        sender = self._check_sender(datagram, advert, who, signed=len(pdu) > end)
        if plan.priority == OWNER and plan.owner_ignore_adverts:
            raise BadAdvert(Refusal.IGNORED, "we own the addresses")
        heard = Heard(advert.priority, advert.interval_us or plan.advert_interval_us, sender or datagram.source)
        return (heard, list(self._remarks(advert, datagram.source, known=sender is not None))), sequence

    def _check_carrier(self, datagram: Datagram, who: _Sender) -> None:
        """Checks 2..7."""
        if (datagram.ah is not None) is not (self._method is Auth.AH):
            raise BadAdvert(Refusal.AUTH_TYPE_MISMATCH, "without AH" if datagram.ah is None else "in AH")
        if len(datagram.pdu) < HEADER_OCTETS:
            raise BadAdvert(Refusal.PACKET_LENGTH, f"{len(datagram.pdu)} octets are no VRRP header")
        if datagram.pdu[1] != self.plan.vrid or datagram.source.version != self.plan.family:
            raise BadAdvert(Refusal.VRID, f"VRID {datagram.pdu[1]} of IPv{datagram.source.version}")
        if who[1] in self._own:
            raise BadAdvert(Refusal.IGNORED, "it is our own, or somebody has our address")
        way = self._find_way(datagram, who)
        if way.path.transport is Transport.MULTICAST:
            if datagram.ttl != TTL:
                raise BadAdvert(Refusal.IP_TTL, f"TTL {datagram.ttl}: it crossed a router")
        elif datagram.ttl < self.plan.min_ttl:
            raise BadAdvert(Refusal.IP_TTL, f"TTL {datagram.ttl}, we want at least {self.plan.min_ttl}")

    def _find_way(self, datagram: Datagram, who: _Sender) -> _Way:
        """Check 6: does any of our paths lead here?"""
        to, kind = datagram.destination, Transport.UNICAST
        if datagram.udp:
            kind = Transport.UDP
        elif to == self._group:
            kind = Transport.MULTICAST
        ways = self._ways.get((who[0], kind), [])
        for way in ways:
            if kind is Transport.MULTICAST or to == way.path.source:
                return way
        if not ways or to.is_multicast:
            ours = ", ".join(sorted({path.transport.value for path in self.plan.all_paths}))
            raise BadAdvert(Refusal.ADDRESS_LIST, f"sent to {to}{' in UDP' * datagram.udp}, but we use {ours}")
        return next((way for way in ways if who[1] in way.senders), ways[0])

    def _check_trailer(self, datagram: Datagram, end: int, who: _Sender, utc_us: Micros) -> int | None:
        """Check 12: the sequence of a signed advert, None when it need not be signed and is not."""
        pdu = datagram.pdu
        if len(pdu) == end:
            if datagram.udp or (self._verifier is not None and self._verifier.demands):
                raise BadAdvert(Refusal.AUTH_EXT_MISSING, "not signed")
            return None
        assert self._verifier is not None, "check() lets a trailer pass only then"
        return self._verifier.verify(pdu[:end], pdu[end:], datagram.source, utc_us, self._marks.get(who))

    def _check_version_2(self, datagram: Datagram, advert: Advert, who: _Sender, sequence: int | None) -> int | None:
        """Checks 13..16 (RFC 3768, 7.1; RFC 2338, 5.3.6); the sequence of an AH, or the one given."""
        auth.check_type(advert.auth_type, self._auth_type)
        if self._ah_key is not None:
            assert datagram.ah is not None, "check 2"
            sequence = verify_ah(datagram.ah, datagram.pdu, self._ah_key, self._marks.get(who))
        # No constant-time comparison: the password itself crosses the wire in clear.
        elif self._method is Auth.PASS and advert.auth_data != self._password:
            raise BadAdvert(Refusal.AUTH_FAILURE, "another password")
        ours_us = self.plan.advert_interval_us
        if advert.interval_us != ours_us:
            said = f"interval {format_duration(advert.interval_us)}, ours is {format_duration(ours_us)}"
            raise BadAdvert(Refusal.ADV_INTERVAL, said)
        return sequence

    def _check_content(self, datagram: Datagram, advert: Advert) -> None:
        """Checks 17, 19 and 20, which the operator may waive: keepalived does without them."""
        if self.plan.lenient:
            return
        if advert.interval_us == 0:
            raise BadAdvert(Refusal.ADV_INTERVAL, "interval 0")
        if not advert.addresses:
            raise BadAdvert(Refusal.ADDRESS_LIST, "no address")
        if datagram.source.version == 6:
            if not advert.addresses[0].is_link_local:
                raise BadAdvert(Refusal.ADDRESS_LIST, f"its first address, {advert.addresses[0]}, is not link-local")
            if datagram.destination == self._group and not datagram.source.is_link_local:
                raise BadAdvert(Refusal.ADDRESS_LIST, f"multicast of {datagram.source}, which is not link-local")

    def _check_sender(self, datagram: Datagram, advert: Advert, who: _Sender, *, signed: bool) -> Address | None:
        """Check 22, and that nobody else uses our VRID. Gives the primary address of a peer, None for a stranger."""
        way = self._find_way(datagram, who)
        sender = way.senders.get(who[1])
        if sender is None:
            multicast = way.path.transport is Transport.MULTICAST
            if not multicast and (signed or self.plan.check_source):  # only peers have a mark against replay
                raise BadAdvert(Refusal.UNKNOWN_SOURCE, f"{datagram.source} is no peer of this virtual router")
            if advert.addresses and self._ours.isdisjoint(advert.addresses):
                raise BadAdvert(Refusal.VRID_CLASH, f"{datagram.source} uses this VRID for other addresses")
        return sender

    def _learn(self, datagram: Datagram, who: _Sender, sequence: int, utc_us: Micros) -> list[Remark]:
        self._marks.move(who, sequence)
        if self._verifier is None:
            self.ah_sequence = max(self.ah_sequence, sequence)
            return []
        self.skew_us = skew_us(sequence, utc_us)
        plan = self._verifier.plan
        if plan.monotonic or abs(self.skew_us) <= plan.window_us // 2:
            return []
        text = (
            f"{datagram.source}: {describe_skew(self.skew_us)}; beyond {format_duration(plan.window_us)} it is refused"
        )
        return [Remark("clock-skew", text)]

    def _remarks(self, advert: Advert, source: Address, *, known: bool) -> Iterator[Remark]:
        """Checks 18 and 21, and what else an operator should know."""
        plan = self.plan
        if advert.interval_us != plan.advert_interval_us:
            said, own = format_duration(advert.interval_us), format_duration(plan.advert_interval_us)
            text = f"{source} advertises every {said}, we every {own}; while it is MASTER its interval counts"
            yield Remark("interval-differs", text, Refusal.ADV_INTERVAL.value)
        ours = self._our_list
        if advert.addresses is not ours and (len(advert.addresses) != len(ours) or set(advert.addresses) != self._ours):
            theirs = " ".join(map(str, advert.addresses[:4])) or "none"
            text = f"{source} advertises other addresses ({theirs}) than ours; make the two configurations equal"
            yield Remark("addresses-differ", text, Refusal.ADDRESS_LIST.value)
        if not known and (self._knows_link_locals or source.version == 4 or not source.is_link_local):
            yield Remark("unknown-peer", f"{source} takes part, but is no node or peer of our configuration")
        if plan.priority == OWNER and advert.priority == OWNER:
            yield Remark("two-owners", f"{source} also claims to own the addresses (priority 255)")


def _where(path: PathPlan) -> str:
    """UDP goes where routing leads it, so that its interface says nothing."""
    return "" if path.transport is Transport.UDP else path.interface


def _stem(pdu: bytes, end: int) -> bytes:
    """What a steady MASTER repeats: all of it, or when it is signed, what is neither trailer nor checksum."""
    return pdu if end == len(pdu) else pdu[:6] + pdu[8:end]
