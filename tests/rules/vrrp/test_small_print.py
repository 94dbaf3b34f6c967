"""What no other test would notice: each of these was a mutant that survived (`nox -s mutation`)."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from tests.rules.vrrp.example import DOWN, NOW, OTHER_VIP, OURS, PEER, PLAN, VIP

from firstmate.model.addresses import Address
from firstmate.model.messages import FactChanged
from firstmate.model.plan import (
    OWNER,
    Auth,
    ChecksumForm,
    GroupPlan,
    HmacKey,
    HmacPlan,
    Node,
    Plan,
    Route,
    Rule,
    Track,
    Transport,
    Vip,
    VrrpPlan,
)
from firstmate.model.units import MS, S
from firstmate.vrrp.ah import AH_OCTETS
from firstmate.vrrp.announce import Announcer
from firstmate.vrrp.deadlines import Deadlines
from firstmate.vrrp.instance import Backup, Heard, Master, PeerGone, Signal, WhyMaster
from firstmate.vrrp.member import Announce, Claim, Member, Release
from firstmate.vrrp.packet import TRAILER_OCTETS, Advert, check, decode, encode
from firstmate.vrrp.receive import Datagram, unwrap
from firstmate.vrrp.router import TIMERS_AT_ONCE, Action, Changed, Noticed, Router
from firstmate.vrrp.sender import Sender, Transmit
from firstmate.vrrp.tracking import Facts, link_fact, needed_facts
from firstmate.vrrp.trailer import _SEQUENCE_END, is_later, sequence_at

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


# The instance and its member


def test_an_owner_preempts_when_it_starts() -> None:
    member = Member(replace(PLAN, priority=OWNER), NOW)
    member.handle(START, NOW)
    assert member.counters["new_master_reason"] == WhyMaster.PREEMPTED


def test_a_group_says_why_it_leads_and_why_it_follows() -> None:
    made = started(PLAN, BACK, LAST, groups=(GroupPlan("all", ("web", "back", "last")),))
    changes = [one for one in made.handle(TIMER, LED) if isinstance(one, Changed)]
    assert [(one.router, one.reason) for one in changes] == [
        ("web", "no MASTER heard for 3.6 s"),
        ("back", "no MASTER heard for 3.6 s"),
        ("last", "no MASTER heard for 3.6 s"),
    ]
    actions = made.hear(datagram(200), LED + S)
    reasons = {one.router: one.reason for one in actions if isinstance(one, Changed)}
    assert reasons["back"] == reasons["last"] == "moves with another virtual router, which is not MASTER any more"
    assert {one.router for one in actions if isinstance(one, Release)} == {"web", "back", "last"}


def test_two_groups_move_by_themselves() -> None:
    other = replace(LAST, name="other", vrid=53)
    groups = (GroupPlan("one", ("web", "back")), GroupPlan("two", ("last", "other")))
    made = started(PLAN, BACK, LAST, other, groups=groups)
    made.handle(TIMER, LED)
    actions = made.hear(datagram(200), LED + S)
    assert {one.router for one in actions if isinstance(one, Release)} == {"web", "back"}
    actions = made.hear(datagram(200, LAST), LED + S)
    assert {one.router for one in actions if isinstance(one, Release)} == {"last", "other"}


def test_counters_add_up() -> None:
    made = started(PLAN)
    for number in range(3):
        made.hear(datagram(200), NOW + number, "said")
    assert [made.hear_again("said", NOW + number) for number in range(4, 6)] == [True, True]
    for number in range(2):
        made.hear(datagram(0), NOW + 6 + number)
    counters = made.members["web"].counters
    assert (counters["rcvd_advertisements"], counters["rcvd_pri_zero"]) == (7, 2)
    member = master()
    for _ in range(2):
        member.handle(STOP, LED)
        member.handle(START, LED)
        member.handle(TIMER, LED + DOWN)
    member.handle(STOP, LED + DOWN)
    assert member.counters["sent_pri_zero"] == 3


def test_two_masters_are_counted() -> None:
    made = started(PLAN)
    made.handle(TIMER, LED)
    for number in range(3):
        made.hear(datagram(90), LED + number)
    made.hear(datagram(0), LED + 4)
    assert made.members["web"].counters["two_masters"] == 3
    made.hear(datagram(200), LED + 5)
    assert made.members["web"].counters["two_masters"] == 3


def test_a_weaker_master_is_answered_by_rounds_of_their_own() -> None:
    member = master(replace(PLAN, garp_lower_prio_repeat=2, garp_lower_prio_delay_us=3 * S))
    rounds = [one.rounds for one in member.handle(Heard(90, S, PEER), LED + 2 * S) if isinstance(one, Announce)]
    assert rounds == [2]
    rounds = [one.rounds for one in member.handle(Heard(0, S, PEER), LED + 4 * S) if isinstance(one, Announce)]
    assert rounds == [5]  # one that resigns is no contest


def test_who_resigns_is_no_contest_for_the_delay_either() -> None:
    announcer = Announcer(replace(PLAN, garp_delay_us=0, garp_refresh_us=0, garp_lower_prio_delay_us=3 * S))
    announcer.start(NOW)
    announcer.due(NOW)
    announcer.again(NOW + 2 * S)
    assert (announcer.due(NOW + 2 * S), announcer.deadline_us) == (5, None)


def test_routes_and_rules_go_and_come_with_a_reload() -> None:
    member = master(replace(PLAN, routes=(ROUTE,), rules=(RULE,)))
    other = replace(RULE, priority=2_000)
    gone, new = member.adopt(replace(PLAN, routes=(ROUTE,), rules=(other,)), LED)
    assert (gone, new) == (Release("web", (), (), (RULE,)), Claim("web", (), (), (other,)))


def test_leftovers_take_routes_and_rules_with_them() -> None:
    made = Router(plan(replace(PLAN, routes=(ROUTE,), rules=(RULE,)), BACK), NOW)
    released = [one for one in made.release_leftovers({VIP.ip, OTHER_VIP.ip}, NOW) if isinstance(one, Release)]
    assert released == [Release("web", (VIP,), (ROUTE,), (RULE,)), Release("back", (OTHER_VIP,))]


def test_a_reload_stops_all_that_it_names_no_more() -> None:
    made = started(PLAN, BACK, LAST)
    made.handle(TIMER, LED)
    actions = made.adopt(plan(PLAN), LED)
    assert [one.router for one in actions if isinstance(one, Release)] == ["back", "last"]


# What is sent


def test_adverts_are_signed_with_the_time_of_day() -> None:
    made = started(replace(PLAN, hmac=HMAC))
    made.utc_ahead_us = 500 * S
    (one, _) = transmits(made.handle(TIMER, LED))
    assert int.from_bytes(one.pdu[-TRAILER_OCTETS:][4:12]) == sequence_at(LED + 500 * S)


@pytest.mark.parametrize("family", [4, 6])
def test_a_signed_advert_goes_the_same_way_as_one_that_is_not(family: int) -> None:
    asked = PLAN
    if family == 6:
        vips = (Vip(IPv6Address("fe80::50"), 64, "eth0"),)
        asked = replace(PLAN, source=IPv6Address("fe80::10"), peers=(IPv6Address("fe80::77"),), vips=vips)
    asked = replace(asked, ttl=64)
    signed = Sender(replace(asked, hmac=HMAC), 0).adverts(100, NOW)
    for one, like in zip(signed, Sender(asked, 0).adverts(100, NOW), strict=True):
        assert replace(one, pdu=b"") == replace(like, pdu=b"")
        assert one.wire == like.wire
        check(one.pdu, one.source, one.destination, ChecksumForm.PSEUDO, trailer=True)


def test_an_ah_packet_has_the_ttl_of_the_plan() -> None:
    asked = replace(PLAN, version=2, auth=Auth.AH, auth_pass=b"secret", ttl=64)
    (one, _) = Sender(asked, 0).adverts(100, NOW)
    assert (one.pdu[8], one.pdu[9], len(one.pdu)) == (64, 51, 20 + AH_OCTETS + 8 + 4 + 8)
    assert one.wire.startswith("ah ")
    assert Sender(PLAN, 0).adverts(100, NOW)[0].wire.startswith("unicast ")


def test_a_password_is_sent_and_bequeathed_as_nothing_else() -> None:
    sender = Sender(replace(PLAN, version=2, auth=Auth.PASS, auth_pass=b"secret"), 0)
    (one, _) = sender.adverts(100, NOW)
    assert decode(one.pdu, one.source, one.destination).auth_data == b"secret\0\0"
    assert [bequest.ah_key for bequest in sender.bequests()] == [b"", b""]


def test_a_reload_changes_the_form_of_the_checksum() -> None:
    sender = Sender(PLAN, 0)
    sender.adopt(replace(PLAN, checksum=ChecksumForm.PLAIN))
    (one, _) = sender.adverts(100, NOW)
    decode(one.pdu, one.source, one.destination, ChecksumForm.PLAIN)


def test_udp_goes_to_the_port_of_the_plan_and_comes_to_us() -> None:
    asked = replace(PLAN, transport=Transport.UDP, hmac=HMAC)
    made = started(asked, udp_port=7_777)
    far = Sender(replace(asked, source=PEER, peers=(OURS,)), 7_777)
    (one,) = far.adverts(200, NOW)
    made.hear(Datagram("eth0", PEER, OURS, 255, one.pdu, udp=True), NOW)
    assert made.members["web"].heard_at_us == NOW
    assert {one.port for one in transmits(made.handle(TIMER, LED))} == {7_777}


# The rest


def test_a_fact_that_nobody_tracks_changes_nothing() -> None:
    assert started(PLAN).handle(FactChanged("weather", up=False, why="rain", at_us=NOW), NOW) == []


def test_who_needs_the_time_of_day() -> None:
    assert not started(PLAN).signs
    assert started(replace(PLAN, hmac=HMAC)).signs
    assert started(replace(PLAN, version=2, auth=Auth.AH, auth_pass=b"secret")).signs


def test_the_death_of_a_host_is_that_of_its_ipv6_address() -> None:
    vips = (Vip(IPv6Address("fe80::50"), 64, "eth0"),)
    asked = replace(PLAN, source=IPv6Address("fe80::10"), peers=(IPv6Address("fe80::77"),), vips=vips)
    made = started(asked)
    made.hear(datagram(200, asked, IPv6Address("fe80::77")), NOW)
    made.handle(PeerGone(PEER), NOW)
    assert made.deadline_us == NOW + 609_375


def test_a_weight_of_one_counts() -> None:
    facts = Facts()
    facts.learn(FactChanged("check", up=True, why="", at_us=NOW))
    assert facts.judge(PLAN, (Track("check", 1),)).priority == 101


def test_half_of_the_sequences_are_later() -> None:
    assert is_later(_SEQUENCE_END // 2 - 1, 0)
    assert not is_later(_SEQUENCE_END // 2, 0)


def test_a_place_that_was_left_hides_nobody() -> None:
    deadlines, early, late = Deadlines(), master(), master(BACK)
    early.instance.state, late.instance.state = Master(NOW + 20 * MS), Master(NOW + 30 * MS)
    early.announcer.stop()
    late.announcer.stop()
    deadlines.put(early)
    early.instance.state = Master(NOW + 10 * MS)
    deadlines.put(early)  # its first place is void now
    deadlines.put(late)
    assert deadlines.first() == (NOW + 10 * MS, early)
    deadlines.take()
    assert deadlines.first() == (NOW + 30 * MS, late)


@pytest.mark.timeout(5)
def test_only_adverts_go_early() -> None:
    made = started(PLAN, BACK)
    made.members["web"].instance.state = Master(LED)
    made.members["back"].instance.state = Backup(S, LED + 1 * MS)
    for one in made.members.values():
        made._deadlines.put(one)
    assert {one.pdu[1] for one in transmits(made.handle(TIMER, LED))} == {PLAN.vrid}
    assert made.deadline_us == LED + 1 * MS


@pytest.mark.timeout(5)
def test_an_announcement_does_not_go_early() -> None:
    made = started(PLAN, BACK)
    for one in made.members.values():
        one.instance.state = Master(LED)
    made.members["back"].instance.state = Master(LED + 2 * MS)
    made.members["back"].announcer.start(LED + 1 * MS)
    for one in made.members.values():
        made._deadlines.put(one)
    assert {one.pdu[1] for one in transmits(made.handle(TIMER, LED))} == {PLAN.vrid}
    assert made.deadline_us == LED + 1 * MS


def test_addresses_that_a_reload_adds_are_announced() -> None:
    made = started(PLAN)
    made.handle(TIMER, LED)
    actions = made.adopt(plan(replace(PLAN, vips=(VIP, OTHER_VIP))), LED + 2 * S)
    assert [one for one in actions if not isinstance(one, Changed)] == [
        Claim("web", (OTHER_VIP,)),
        Announce("web", (VIP, OTHER_VIP), 5),
    ]


@pytest.mark.parametrize(("base", "effective"), [(138, 1), (254, 54)])
def test_a_reload_moves_the_timer_by_what_the_effective_priority_changes(base: int, effective: int) -> None:
    """The base went up and the weight took it down again: once the timer kept only the way down."""
    track = (Track("check", -200),)
    made = started(replace(PLAN, track=track))
    made.handle(FactChanged("check", up=False, why="down", at_us=NOW), NOW)
    assert made.members["web"].instance.priority == 1
    made.hear(datagram(200), NOW)
    made.adopt(plan(replace(PLAN, priority=base, track=track)), NOW + S)
    assert made.members["web"].instance.priority == effective
    assert made.deadline_us == NOW + 3 * S + (256 - effective) * S // 256


def test_one_that_is_due_a_little_later_waits_when_that_is_much_for_it_or_for_all() -> None:
    made = started(PLAN, BACK, replace(LAST, advert_interval_us=20 * MS))
    for name, due_us in (("web", LED), ("back", LED + 10 * MS), ("last", LED + 2 * MS)):
        made.members[name].instance.state = Master(due_us)
        made._deadlines.put(made.members[name])
    assert {one.pdu[1] for one in transmits(made.handle(TIMER, LED))} == {PLAN.vrid}
    assert {one.pdu[1] for one in transmits(made.handle(TIMER, LED + 2 * MS))} == {LAST.vrid}


def test_every_device_of_an_address_is_tracked() -> None:
    vips = (VIP, Vip(OTHER_VIP.ip, 24, "eth1"), Vip(IPv4Address("203.0.113.3"), 24, "eth2"))
    assert [track.name for track in needed_facts(replace(PLAN, vips=vips))] == ["link eth0", "link eth1", "link eth2"]


def test_only_what_is_new_is_presumed_to_be_well() -> None:
    facts = Facts()
    assert not facts.adopt({"gone", "old"}, {"old"})
    assert facts.judge(PLAN, (Track("old"),)).unfit == "old: not known to be well yet"
    assert facts.adopt({"old"}, {"old", "new"})
    assert facts.judge(PLAN, (Track("new"),)).unfit == ""
    assert facts.judge(PLAN, (Track("old"),)).unfit == "old: not known to be well yet"


def test_so_many_take_over_at_once_and_the_rest_in_the_next_turn() -> None:
    many = [replace(PLAN, name=f"vi{vrid}", vrid=vrid) for vrid in range(1, TIMERS_AT_ONCE + 4)]
    made = started(*many)
    turns = [[one for one in made.handle(TIMER, LED) if isinstance(one, Claim)] for _ in range(3)]
    assert [len(turn) for turn in turns] == [TIMERS_AT_ONCE, 3, 0]
