"""Receivers of signed adverts: keepalived's trailer, AH, and UDP, which is always signed."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from tests.rules.vrrp.example import OTHER_VIP, OURS, PEER, PLAN, STRANGER, VIP
from tests.rules.vrrp.example6 import OURS6, PEER6, PLAN6, VIP6

from firstmate.model.addresses import Address
from firstmate.model.plan import Auth, HmacKey, HmacMode, HmacPlan, PathPlan, Transport, VrrpPlan
from firstmate.model.units import MS, S, Micros
from firstmate.vrrp import ah
from firstmate.vrrp.instance import Heard
from firstmate.vrrp.packet import GROUP_IPV4, Advert, BadAdvert, Refusal, attach, encode
from firstmate.vrrp.receive import Datagram, Receiver, unwrap
from firstmate.vrrp.trailer import Signer

KEYS = (HmacKey(1, bytes(range(32))), HmacKey(2, b"k" * 64))
HMAC = HmacPlan(KEYS, 1)
SIGNED, SIGNED6 = replace(PLAN, hmac=HMAC), replace(PLAN6, hmac=HMAC)
MULTI = replace(SIGNED, transport=Transport.MULTICAST, peers=())
UTC_US: Micros = 1_700_000_000 * S
HEARD = Heard(101, S, PEER)


def advert(plan: VrrpPlan, priority: int = 101) -> Advert:
    return Advert(plan.version, 50, priority, plan.advert_interval_us, tuple(vip.ip for vip in plan.vips))


class Sender:
    """A node that signs; its clock may be wrong."""

    def __init__(self, plan: VrrpPlan, source: Address = PEER, hmac: HmacPlan = HMAC, ahead_us: Micros = 0) -> None:
        self.plan, self.source, self.ahead_us = plan, source, ahead_us
        self.signer = Signer(hmac)

    def say(self, utc_us: Micros, priority: int = 101, to: Address | None = None, *, udp: bool = False) -> Datagram:
        to = to or (GROUP_IPV4 if self.plan.transport is Transport.MULTICAST else self.plan.source)
        pdu = encode(advert(self.plan, priority), self.source, to)
        trailer = self.signer.sign(pdu, self.source, utc_us + self.ahead_us)
        return Datagram("eth0", self.source, to, 255, attach(pdu, trailer, self.source, to), udp=udp)


def unsigned(plan: VrrpPlan, *, udp: bool = False) -> Datagram:
    return Datagram("eth0", PEER, plan.source, 255, encode(advert(plan), PEER, plan.source), udp=udp)


def reason(receiver: Receiver, found: Datagram, utc_us: Micros = UTC_US) -> Refusal:
    with pytest.raises(BadAdvert) as caught:
        receiver.examine(found, utc_us)
    return caught.value.reason


def bent(found: Datagram, at: int, octet: int) -> Datagram:
    pdu = bytearray(found.pdu)
    pdu[at] = octet
    return replace(found, pdu=bytes(pdu))


@pytest.mark.parametrize(
    ("plan", "source", "known"),
    [
        (SIGNED, PEER, True),
        (SIGNED6, PEER6, True),
        (replace(SIGNED, version=2), PEER, True),
        (replace(SIGNED6, version=2), PEER6, True),
        (MULTI, PEER, False),
        (replace(SIGNED, version=2, auth=Auth.PASS, auth_pass=b"dropped"), PEER, True),
    ],
)
def test_a_good_trailer_is_heard_again_and_again(plan: VrrpPlan, source: Address, known: bool) -> None:  # C50
    receiver, sender = Receiver(plan), Sender(plan, source)
    for n in range(5):
        heard, remarks = receiver.examine(sender.say(UTC_US + n * S), UTC_US + n * S)
        assert heard == Heard(101, S, source)
        assert [one.code for one in remarks] == ([] if known else ["unknown-peer"])
    heard, _ = receiver.examine(sender.say(UTC_US + 5 * S, 0), UTC_US + 5 * S)
    assert heard.priority == 0


def test_six_ways_to_be_refused_and_none_moves_the_mark() -> None:  # C50
    receiver, sender = Receiver(SIGNED), Sender(SIGNED)
    good = sender.say(UTC_US)
    receiver.examine(good, UTC_US)
    following = sender.say(UTC_US)
    assert reason(receiver, good) is Refusal.AUTH_EXT_REPLAY
    assert reason(receiver, bent(following, -1, following.pdu[-1] ^ 1)) is Refusal.AUTH_EXT_INVALID_HMAC
    assert reason(receiver, bent(following, -27, 8)) is Refusal.AUTH_EXT_UNKNOWN_KEY
    assert reason(receiver, bent(following, -25, 1)) is Refusal.AUTH_EXT_MALFORMED
    assert reason(receiver, following, UTC_US + 6 * S) is Refusal.AUTH_EXT_STALE
    assert reason(receiver, unsigned(SIGNED)) is Refusal.AUTH_EXT_MISSING
    ahead = bent(following, -20, 0xFF)  # a greater sequence, but not signed
    assert reason(receiver, ahead) is Refusal.AUTH_EXT_INVALID_HMAC
    assert receiver.examine(following, UTC_US) == (HEARD, [])
    assert receiver.examine(sender.say(UTC_US), UTC_US) == (HEARD, [])


def test_checks_before_and_behind_the_trailer() -> None:
    receiver, sender = Receiver(SIGNED), Sender(SIGNED)
    good = sender.say(UTC_US)
    spoilt = bent(bent(good, 6, good.pdu[6] ^ 1), -1, good.pdu[-1] ^ 1)
    assert reason(receiver, spoilt) is Refusal.CHECKSUM
    other = Sender(replace(SIGNED, vips=(OTHER_VIP,)), STRANGER)
    assert reason(receiver, other.say(UTC_US - 6 * S)) is Refusal.AUTH_EXT_STALE  # 12 before 22
    assert reason(receiver, other.say(UTC_US)) is Refusal.UNKNOWN_SOURCE
    old = replace(SIGNED, version=2)
    late = Sender(replace(old, advert_interval_us=2 * S), hmac=replace(HMAC, active=2))
    assert reason(Receiver(old), late.say(UTC_US)) is Refusal.ADV_INTERVAL
    assert reason(Receiver(old), bent(late.say(UTC_US), -1, 0)) is Refusal.AUTH_EXT_INVALID_HMAC


def test_a_later_failure_moves_no_mark_either() -> None:  # C52
    plan = replace(SIGNED, version=2)
    receiver, sender = Receiver(plan), Sender(replace(plan, advert_interval_us=2 * S))
    refused = sender.say(UTC_US)
    assert [reason(receiver, refused) for _ in range(2)] == [Refusal.ADV_INTERVAL] * 2  # not a replay the second time


def test_unsigned_and_signed_by_mode() -> None:
    for mode in HmacMode:
        receiver = Receiver(replace(SIGNED, hmac=replace(HMAC, mode=mode)))
        good, bad = (
            Sender(SIGNED).say(UTC_US),
            Sender(SIGNED, hmac=replace(HMAC, keys=(HmacKey(1, bytes(32)),))).say(UTC_US),
        )
        assert reason(receiver, bad) is Refusal.AUTH_EXT_INVALID_HMAC
        assert receiver.examine(good, UTC_US) == (HEARD, [])
        assert reason(receiver, good) is Refusal.AUTH_EXT_REPLAY
        if mode is HmacMode.ENFORCE:
            assert reason(receiver, unsigned(SIGNED)) is Refusal.AUTH_EXT_MISSING
        else:
            assert receiver.examine(unsigned(SIGNED), UTC_US) == (HEARD, [])
            assert receiver.examine(unsigned(SIGNED), UTC_US) == (HEARD, [])


def test_a_trailer_where_none_is_configured_is_too_long() -> None:
    assert reason(Receiver(PLAN), Sender(SIGNED).say(UTC_US)) is Refusal.PACKET_LENGTH


def test_keys_rotate() -> None:
    receiver = Receiver(SIGNED)
    assert receiver.examine(Sender(SIGNED, hmac=replace(HMAC, active=2)).say(UTC_US), UTC_US) == (HEARD, [])
    receiver.adopt(replace(SIGNED, hmac=HmacPlan(KEYS[1:], 2)))
    assert reason(receiver, Sender(SIGNED).say(UTC_US + S), UTC_US + S) is Refusal.AUTH_EXT_UNKNOWN_KEY


def test_marks_outlive_a_reload() -> None:
    receiver, good = Receiver(SIGNED), Sender(SIGNED).say(UTC_US)
    receiver.examine(good, UTC_US)
    receiver.adopt(replace(SIGNED, priority=120))
    assert reason(receiver, good) is Refusal.AUTH_EXT_REPLAY


@pytest.mark.parametrize(
    ("ahead_us", "said"),
    [
        (-2_500 * MS, []),
        (2_500 * MS, []),
        (-3 * S, ["192.0.2.77: its clock is 3.0 s behind ours; beyond 5.0 s it is refused"]),
        (4 * S, ["192.0.2.77: its clock is 4.0 s ahead of ours; beyond 5.0 s it is refused"]),
    ],
)
def test_a_wrong_clock_is_told_before_it_hurts(ahead_us: Micros, said: list[str]) -> None:
    receiver, sender = Receiver(SIGNED), Sender(SIGNED, ahead_us=ahead_us)
    assert receiver.skew_us is None
    for n in range(2):
        heard, remarks = receiver.examine(sender.say(UTC_US + n * S), UTC_US + n * S)
        assert heard == HEARD
        assert [(one.code, one.text, one.counter) for one in remarks] == [("clock-skew", text, "") for text in said]
        assert receiver.skew_us == ahead_us


def test_the_refusal_of_a_wrong_clock_names_the_skew() -> None:
    with pytest.raises(BadAdvert, match=r"its clock is 7\.3 s behind ours, 5\.0 s is what we bear") as caught:
        Receiver(SIGNED).examine(Sender(SIGNED, ahead_us=-7_300 * MS).say(UTC_US), UTC_US)
    assert caught.value.reason is Refusal.AUTH_EXT_STALE


def test_monotonic_warns_of_no_clock() -> None:
    plan = replace(SIGNED, hmac=replace(HMAC, monotonic=True))
    receiver, sender = Receiver(plan), Sender(plan, ahead_us=-3600 * S)
    assert receiver.examine(sender.say(UTC_US), UTC_US) == (HEARD, [])
    assert receiver.skew_us == -3600 * S


def test_each_of_four_strangers_has_a_mark_and_the_fifth_takes_the_oldest() -> None:
    receiver = Receiver(MULTI)
    a, b, c, d, e = (Sender(MULTI, IPv4Address(f"192.0.2.{n}")).say(UTC_US) for n in range(101, 106))
    for one in (a, b, c, d):
        receiver.examine(one, UTC_US)
    assert {reason(receiver, one) for one in (a, b, c, d)} == {Refusal.AUTH_EXT_REPLAY}
    receiver.examine(Sender(MULTI, a.source).say(UTC_US + MS), UTC_US)  # a was heard later than b
    receiver.examine(e, UTC_US)
    assert {reason(receiver, one) for one in (a, c, d, e)} == {Refusal.AUTH_EXT_REPLAY}
    receiver.examine(b, UTC_US)  # forgotten: within the window, that is the price of a bound


def test_every_configured_peer_has_a_mark() -> None:
    peers = tuple(IPv4Address(f"192.0.2.{n}") for n in range(101, 110))
    receiver = Receiver(replace(SIGNED, peers=peers))
    said = [Sender(SIGNED, peer).say(UTC_US) for peer in peers]
    for one in said:
        receiver.examine(one, UTC_US)
    assert {reason(receiver, one) for one in said} == {Refusal.AUTH_EXT_REPLAY}


UDP = replace(SIGNED, transport=Transport.UDP)


def test_udp_is_heard_when_signed() -> None:
    receiver, sender = Receiver(UDP), Sender(UDP)
    assert receiver.examine(sender.say(UTC_US, udp=True), UTC_US) == (HEARD, [])
    assert reason(receiver, sender.say(UTC_US)) is Refusal.ADDRESS_LIST  # protocol 112 is not what we speak


def test_udp_comes_in_by_any_interface() -> None:
    receiver, sender = Receiver(UDP), Sender(UDP)
    found = replace(sender.say(UTC_US, udp=True), interface="eth7")
    assert receiver.examine(found, UTC_US) == (HEARD, [])
    assert reason(receiver, replace(found, interface="eth8")) is Refusal.AUTH_EXT_REPLAY


@pytest.mark.parametrize("mode", HmacMode)
def test_unsigned_udp_is_refused_in_every_mode(mode: HmacMode) -> None:
    plan = replace(UDP, hmac=replace(HMAC, mode=mode))
    assert reason(Receiver(plan), unsigned(plan, udp=True)) is Refusal.AUTH_EXT_MISSING


def test_udp_without_keys_hears_nobody() -> None:
    plan = replace(UDP, hmac=None)
    assert reason(Receiver(plan), unsigned(plan, udp=True)) is Refusal.AUTH_EXT_MISSING
    assert reason(Receiver(plan), Sender(plan).say(UTC_US, udp=True)) is Refusal.PACKET_LENGTH


def test_udp_to_a_group_or_from_a_stranger_is_refused() -> None:
    assert reason(Receiver(UDP), Sender(UDP).say(UTC_US, to=GROUP_IPV4, udp=True)) is Refusal.ADDRESS_LIST
    open_plan = replace(UDP, check_source=False)  # a signature does not make up for being no peer
    assert reason(Receiver(open_plan), Sender(UDP, STRANGER).say(UTC_US, udp=True)) is Refusal.UNKNOWN_SOURCE


OURS_2, PEER_2 = map(IPv4Address, ("198.51.100.10", "198.51.100.77"))
PATHS = replace(
    SIGNED,
    peers=(PEER,),
    paths=(
        PathPlan(Transport.UNICAST, "eth1", OURS_2, (PEER_2,)),
        PathPlan(Transport.UDP, "eth0", OURS, (PEER,)),
        PathPlan(Transport.UNICAST, "eth0", OURS_2, (PEER_2,)),
    ),
)


def test_each_path_leads_to_the_same_peer() -> None:
    receiver = Receiver(PATHS)
    first, second = Sender(PATHS), Sender(replace(PATHS, source=OURS_2), PEER_2)
    for found in (
        first.say(UTC_US),
        replace(second.say(UTC_US), interface="eth1"),
        first.say(UTC_US, udp=True),
        second.say(UTC_US),
        first.say(UTC_US, to=IPv4Address("192.0.2.200")),  # whatever address of ours: it is a peer on this interface
        second.say(UTC_US, to=IPv4Address("192.0.2.200")),
    ):
        assert receiver.examine(found, UTC_US) == (HEARD, [])
    crossed = second.say(UTC_US, to=OURS)
    assert reason(receiver, crossed) is Refusal.UNKNOWN_SOURCE  # to the address of one path from that of another


def test_the_copy_of_an_advert_on_another_path_is_no_replay() -> None:
    receiver, found = Receiver(PATHS), Sender(PATHS).say(UTC_US)
    receiver.examine(found, UTC_US)
    assert receiver.examine(replace(found, udp=True), UTC_US) == (HEARD, [])
    assert reason(receiver, replace(found, udp=True)) is Refusal.AUTH_EXT_REPLAY


def test_our_own_address_on_any_path_is_ours() -> None:  # C45
    assert reason(Receiver(PATHS), Sender(PATHS, OURS_2).say(UTC_US)) is Refusal.IGNORED


def test_six_and_four_are_strangers() -> None:
    found = replace(Sender(SIGNED6, PEER6).say(UTC_US), destination=OURS6)
    assert reason(Receiver(SIGNED), found) is Refusal.VRID
    assert Receiver(SIGNED6).examine(found, UTC_US)[0] == Heard(101, S, PEER6)
    assert VIP6.ip.version == 6


AH = replace(PLAN, version=2, auth=Auth.AH, auth_pass=b"ahsecret", peers=(PEER,))
AH_PDU = encode(Advert(2, 50, 101, S, (VIP.ip,), 2), PEER, OURS)


def in_ah(sequence: int, source: IPv4Address = PEER, password: bytes = b"ahsecret", pdu: bytes = AH_PDU) -> Datagram:
    return unwrap(ah.build(pdu, source, OURS, ah.ah_key(password), sequence), "eth0")


def test_ah_is_heard_while_its_sequence_grows() -> None:  # C42
    receiver = Receiver(AH)
    assert receiver.ah_sequence == 0
    for sequence in (41, 42):
        assert receiver.examine(in_ah(sequence), 0) == (HEARD, [])
        assert receiver.ah_sequence == sequence
    for sequence in (42, 41):
        assert reason(receiver, in_ah(sequence)) is Refusal.AUTH_FAILURE
    assert receiver.examine(in_ah(43), 0) == (HEARD, [])


def test_ah_is_refused() -> None:  # C39, C42
    receiver = Receiver(AH)
    assert reason(receiver, in_ah(1, password=b"another")) is Refusal.AUTH_FAILURE
    assert reason(receiver, in_ah(1, STRANGER)) is Refusal.UNKNOWN_SOURCE
    moved = in_ah(1)
    assert moved.ah is not None
    assert reason(receiver, replace(moved, ah=moved.ah[:24] + STRANGER.packed + moved.ah[28:])) is Refusal.AUTH_FAILURE
    bare = Datagram("eth0", PEER, OURS, 255, AH_PDU)
    assert reason(receiver, bare) is Refusal.AUTH_TYPE_MISMATCH
    assert reason(Receiver(replace(AH, auth=Auth.PASS)), in_ah(1)) is Refusal.AUTH_TYPE_MISMATCH
    plain = encode(Advert(2, 50, 101, S, (VIP.ip,), 0), PEER, OURS)
    assert reason(receiver, in_ah(1, pdu=plain)) is Refusal.AUTH_TYPE_MISMATCH
    assert receiver.ah_sequence == 0
    assert receiver.examine(in_ah(1), 0) == (HEARD, [])


def test_ah_of_two_masters_is_heard_of_both() -> None:
    receiver = Receiver(replace(AH, check_source=False))
    receiver.examine(in_ah(5_000), 0)
    heard, remarks = receiver.examine(in_ah(1, STRANGER), 0)
    assert (heard.sender, [one.code for one in remarks]) == (STRANGER, ["unknown-peer"])
    assert receiver.ah_sequence == 5_000


def test_from_trailers_to_ah_and_back_marks_begin_anew() -> None:  # a sequence of one is far behind that of the other
    signed = replace(AH, hmac=HMAC)
    receiver, sender = Receiver(signed), Sender(signed)
    assert receiver.examine(sender.say(UTC_US), UTC_US) == (HEARD, [])
    receiver.adopt(AH)
    assert receiver.examine(in_ah(7), UTC_US) == (HEARD, [])
    receiver.adopt(replace(AH, priority=120))
    assert reason(receiver, in_ah(7)) is Refusal.AUTH_FAILURE
    receiver.adopt(replace(signed, hmac=replace(HMAC, monotonic=True)))
    assert receiver.examine(sender.say(UTC_US), UTC_US) == (HEARD, [])
