"""What no other test of hearing would notice: see test_small_print.py."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from tests.rules.vrrp.example import DOWN, LOWER, NOW, OTHER_VIP, OURS, PEER, PLAN, STRANGER, VIP

from firstmate.model.addresses import Address
from firstmate.model.messages import FactChanged
from firstmate.model.plan import (
    OWNER,
    Auth,
    GroupPlan,
    HmacKey,
    HmacPlan,
    Node,
    PathPlan,
    Plan,
    Route,
    Rule,
    Transport,
    Vip,
    VrrpPlan,
)
from firstmate.model.units import S
from firstmate.vrrp.instance import Signal
from firstmate.vrrp.member import Member
from firstmate.vrrp.packet import GROUP_IPV4, Advert, BadAdvert, Refusal, encode
from firstmate.vrrp.receive import Datagram, Receiver, unwrap
from firstmate.vrrp.router import Action, Noticed, Router
from firstmate.vrrp.sender import Sender, Transmit
from firstmate.vrrp.tracking import link_fact

LED = NOW + DOWN
START, STOP, TIMER = Signal.STARTUP, Signal.SHUTDOWN, Signal.TIMER
KEY = HmacKey(1, b"k" * 32)
HMAC = HmacPlan((KEY,), 1)
LINK = FactChanged(link_fact("eth0"), up=True, why="", at_us=NOW)
BACK = replace(PLAN, name="back", vrid=51, vips=(OTHER_VIP,))
LAST = replace(PLAN, name="last", vrid=52, vips=(Vip(IPv4Address("203.0.113.3"), 24, "eth0"),))
ROUTE = Route(IPv4Address("198.51.100.0"), 24)
RULE = Rule(4, 100, 1_000)


def plan(*routers: VrrpPlan, groups: tuple[GroupPlan, ...] = (), **more: object) -> Plan:
    nodes = (Node("lb-a", OURS), Node("lb-b", PEER, IPv6Address("fe80::77")))
    return Plan("site", "lb-a", nodes, routers, groups=groups, **more)  # type: ignore[arg-type]


def started(*routers: VrrpPlan, groups: tuple[GroupPlan, ...] = (), **more: object) -> Router:
    made = Router(plan(*routers, groups=groups, **more), NOW)
    made.handle(LINK, NOW)
    made.handle(START, NOW)
    return made


def master(asked: VrrpPlan = PLAN) -> Member:
    made = Member(asked, NOW)
    made.handle(START, NOW)
    made.handle(TIMER, LED)
    return made


def datagram(
    priority: int, of: VrrpPlan = PLAN, source: Address = PEER, *more: Address, to: Address | None = None
) -> Datagram:
    addresses = (*(vip.ip for vip in of.vips), *more)
    to = to or of.source
    pdu = encode(Advert(of.version, of.vrid, priority, of.advert_interval_us, addresses), source, to)
    return Datagram("eth0", source, to, 255, pdu)


def by_password(password: bytes, kind: Auth) -> Datagram:
    asked = replace(PLAN, version=2, auth=kind, auth_pass=password, source=PEER, peers=(OURS,))
    (one,) = Sender(asked, 0).adverts(200, NOW)
    return unwrap(one.pdu, "eth0") if one.whole else Datagram("eth0", PEER, OURS, 255, one.pdu)


def notices(actions: list[Action]) -> list[str]:
    return [one.text for one in actions if isinstance(one, Noticed)]


def transmits(actions: list[Action]) -> list[Transmit]:
    return [one for one in actions if isinstance(one, Transmit)]


# What is heard


def test_a_signed_advert_of_version_2_is_heard_once() -> None:
    asked = replace(PLAN, version=2, hmac=HMAC)
    (one, _) = Sender(replace(asked, source=PEER, peers=(OURS, LOWER)), 0).adverts(200, NOW)
    receiver = Receiver(asked)
    given = Datagram("eth0", PEER, OURS, 255, one.pdu)
    receiver.examine(given, NOW)
    with pytest.raises(BadAdvert) as found:
        receiver.examine(given, NOW)
    assert found.value.reason is Refusal.AUTH_EXT_REPLAY


def test_a_list_that_begins_like_ours_is_another() -> None:
    asked = replace(PLAN, advert_interval_us=3 * S)  # 300 centiseconds: the octet after the count is 1, as the count
    _, remarks = Receiver(asked).examine(datagram(200, asked, PEER, OTHER_VIP.ip), NOW)
    assert [(one.code, one.text) for one in remarks] == [
        (
            "addresses-differ",
            f"{PEER} advertises other addresses ({VIP.ip} {OTHER_VIP.ip}) than ours; make the two configurations equal",
        )
    ]


def test_a_very_short_datagram_speaks_of_no_virtual_router() -> None:
    made = started(replace(PLAN, vrid=1))
    assert made.hear(Datagram("eth0", PEER, OURS, 255, b"1"), NOW) == []
    assert made.counters["vrid_errors"] == 1
    (said,) = made.hear(Datagram("eth0", PEER, OURS, 255, b"1\x63\xff\x00\0\0\0\0"), NOW)
    assert said == Noticed("foreign-vrid", f"{PEER} advertises vrid 99 on eth0, which is none of ours there")


def test_our_own_address_as_source_is_named() -> None:
    made = started(PLAN)
    text = f"web: an advert came with our own address {OURS}: another host has it, or a loop returns ours"
    assert notices(made.hear(datagram(100, source=OURS), NOW)) == [text]
    assert [one.source for one in made.oddities.current("web", NOW)] == [str(OURS)]


def test_several_remarks_are_all_said_and_name_their_sender() -> None:
    made = started(replace(PLAN, transport=Transport.MULTICAST))
    given = datagram(200, replace(PLAN, advert_interval_us=2 * S), STRANGER, OTHER_VIP.ip, to=GROUP_IPV4)
    assert len(notices(made.hear(given, NOW))) == 3
    found = made.oddities.current("web", NOW)
    assert [one.code for one in found] == ["interval-differs", "addresses-differ", "unknown-peer"]
    assert {one.source for one in found} == {str(STRANGER)}
    assert all(str(STRANGER) in one.text for one in found)
    assert [path.peer for path in made.members["web"].paths.views() if path.address == STRANGER] == [STRANGER]


def test_each_silent_way_is_named() -> None:
    """Also when the first virtual router has a single way."""
    ways = tuple(
        PathPlan(Transport.UNICAST, f"eth{at}", IPv4Address(f"10.0.{at}.10"), (IPv4Address(f"10.0.{at}.77"), LOWER))
        for at in (1, 2)
    )
    made = started(PLAN, replace(BACK, paths=ways))
    made.hear(datagram(200, BACK), NOW + S)
    actions = made.look_around(NOW + S)
    assert [one.code for one in actions if isinstance(one, Noticed)] == ["path-silent"] * 2
    assert [(one.source, one.since_us) for one in made.oddities.current("back", NOW + S)] == [
        ("unicast from 10.0.1.77", NOW + S),
        ("unicast from 10.0.2.77", NOW + S),
    ]


def test_two_masters_and_a_deaf_one_are_told_in_words() -> None:
    made = started(PLAN)
    made.handle(TIMER, LED)
    said = [text for number in range(4) for text in notices(made.hear(datagram(90), LED + number * S))]
    assert said[0] == f"web: {PEER} is MASTER too, with priority 90; ours is 100"
    deaf = f"web: we hear {PEER}, and it does not hear us: look at firewalls and the network from here to there"
    assert said[1:] == [f"{deaf} (vrid 50 on eth0)"]


def test_a_refusal_without_a_hint_ends_with_what_was_found() -> None:
    made = started(PLAN)
    given = datagram(200)
    (text,) = notices(made.hear(replace(given, pdu=given.pdu + b"\0"), NOW))
    assert text == f"web: refused an advert of {PEER}: 13 octets do not hold 1 addresses exactly"


@pytest.mark.parametrize(
    ("wanted", "given", "text"),
    [
        (replace(PLAN, hmac=HMAC), datagram(200), "not signed"),
        (PLAN, datagram(200, replace(PLAN, vips=(OTHER_VIP,)), STRANGER, to=GROUP_IPV4), "{} uses this VRID for other addresses"),
        (replace(PLAN, version=2, auth=Auth.PASS, auth_pass=b"one"), datagram(200, replace(PLAN, version=2)), "authentication type 0, ours is 1"),
        (PLAN, Datagram("eth0", PEER, OURS, 255, encode(Advert(3, 50, 200, S, ()), PEER, OURS)), "no address"),
        (replace(PLAN, version=2, auth_pass=b"one"), by_password(b"two", Auth.PASS), "another password"),
        (replace(PLAN, version=2, auth=Auth.AH, auth_pass=b"one"), by_password(b"two", Auth.AH), "another AH password"),
        (replace(PLAN, priority=OWNER, owner_ignore_adverts=True), datagram(200), "we own the addresses"),
    ],
)  # fmt: skip
def test_refusals_in_words(wanted: VrrpPlan, given: Datagram, text: str) -> None:
    if given.destination == GROUP_IPV4:
        wanted = replace(wanted, transport=Transport.MULTICAST)
    with pytest.raises(BadAdvert) as found:
        Receiver(wanted).examine(given, NOW)
    assert found.value.detail == text.format(given.source)


PACKET = bytes([0x45, 0xC0, 0, 32, 0, 1, 0, 0, 255, 112, 0, 0]) + PEER.packed + OURS.packed + datagram(200).pdu


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (b"", "no IPv4 header"),
        (PACKET[:-1], "header 20, total 32, received 31 octets"),
        (PACKET[:9] + b"\x33" + PACKET[10:], "no AH of 24 octets"),
        (PACKET[:9] + b"\x06" + PACKET[10:], "IP protocol 6"),
    ],
)
def test_packets_that_are_no_adverts_in_words(packet: bytes, text: str) -> None:
    with pytest.raises(BadAdvert) as found:
        unwrap(packet, "eth0")
    assert found.value.detail == text


def changed(at: int, octet: int) -> Datagram:
    given = datagram(200)
    return replace(given, pdu=given.pdu[:at] + bytes([octet]) + given.pdu[at + 1 :])


@pytest.mark.parametrize(
    ("wanted", "given", "text"),
    [
        (PLAN, replace(datagram(200), pdu=b"1\x32"), "2 octets are no VRRP header"),
        (PLAN, changed(0, 0x32), "type 2"),
        (PLAN, changed(6, 0x12), f"checksum 12{datagram(200).pdu[7]:02x}"),
        (PLAN, changed(1, 9), "VRID 9 of IPv4"),
        (PLAN, replace(datagram(200), ah=b"\0" * 44), "in AH"),
        (replace(PLAN, version=2, auth=Auth.AH, auth_pass=b"one"), datagram(200), "without AH"),
        (PLAN, replace(datagram(200), source=OURS), "it is our own, or somebody has our address"),
        (PLAN, datagram(200, to=GROUP_IPV4), "sent to 224.0.0.18, but we use unicast"),
        (PLAN, replace(datagram(200), destination=STRANGER, source=STRANGER, pdu=datagram(200, source=STRANGER, to=STRANGER).pdu), f"{STRANGER} is no peer of this virtual router"),
    ],
)  # fmt: skip
def test_more_refusals_in_words(wanted: VrrpPlan, given: Datagram, text: str) -> None:
    with pytest.raises(BadAdvert) as found:
        Receiver(wanted).examine(given, NOW)
    assert found.value.detail == text


def test_ways_are_named_in_order() -> None:
    path = PathPlan(Transport.UDP, "eth1", IPv4Address("198.51.100.10"), (PEER, LOWER))
    with pytest.raises(BadAdvert) as found:
        Receiver(replace(PLAN, hmac=HMAC, paths=(path,))).examine(datagram(200, to=GROUP_IPV4), NOW)
    assert found.value.detail == "sent to 224.0.0.18, but we use udp, unicast"


def test_a_signed_advert_that_differs_in_one_octet_of_an_address_is_another() -> None:
    receiver = Receiver(replace(PLAN, hmac=HMAC))
    far = replace(PLAN, hmac=HMAC, source=PEER, peers=(OURS,))
    other = replace(far, vips=(replace(VIP, ip=IPv4Address("204.0.113.1")),))
    codes = []
    for at, asked in enumerate((far, other)):
        (one,) = Sender(asked, 0).adverts(200, NOW + at * S)
        _, remarks = receiver.examine(Datagram("eth0", PEER, OURS, 255, one.pdu), NOW + at * S)
        codes.append([remark.code for remark in remarks])
    assert codes == [[], ["addresses-differ"]]


def test_a_stranger_is_named_whatever_its_address() -> None:
    asked = replace(PLAN, transport=Transport.MULTICAST)
    link_local = IPv4Address("169.254.0.9")
    _, remarks = Receiver(asked).examine(datagram(200, asked, link_local, to=GROUP_IPV4), NOW)
    assert [one.code for one in remarks] == ["unknown-peer"]
    vips = (Vip(IPv6Address("fe80::50"), 64, "eth0"),)
    ours, peer, far = (IPv6Address(f"2001:db8::{last}") for last in (10, 77, 99))
    six = replace(PLAN, source=ours, peers=(peer,), vips=vips, check_source=False)
    _, remarks = Receiver(six).examine(datagram(200, six, far), NOW)
    assert [one.code for one in remarks] == ["unknown-peer"]
