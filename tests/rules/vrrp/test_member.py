from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from tests.rules.vrrp.example import DOWN, LOWER, NOW, OTHER_VIP, OURS, PEER, PLAN, VIP

from firstmate.model.addresses import Address
from firstmate.model.messages import Bequest, Holding, PathView, RouterState, RouterView
from firstmate.model.plan import Auth, ChecksumForm, PathPlan, Route, Rule, Transport, Vip, VrrpPlan
from firstmate.model.units import MS, S, Micros
from firstmate.vrrp.instance import Event, Heard, Master, Signal, Unfit
from firstmate.vrrp.member import CONTESTS_MAX, Announce, Claim, Member, Release
from firstmate.vrrp.packet import GROUP_IPV4, Advert, Refusal, decode
from firstmate.vrrp.sender import Transmit

START, STOP, TIMER = Signal.STARTUP, Signal.SHUTDOWN, Signal.TIMER
MULTI = replace(PLAN, transport=Transport.MULTICAST)
OTHER, PEER_2, LOWER_2 = map(IPv4Address, ("198.51.100.10", "198.51.100.77", "198.51.100.9"))
LED = NOW + DOWN  # when a member that started at NOW becomes MASTER
STRONGER, WEAKER = Heard(101, S, PEER), Heard(99, S, PEER)


def master(plan: VrrpPlan = PLAN) -> Member:
    member = Member(plan, NOW)
    member.handle(START, NOW)
    member.handle(TIMER, LED)
    return member


def sent(actions: list[object]) -> list[tuple[Address, Advert]]:
    """Each advert with its destination, decoded."""
    return [
        (one.destination, decode(one.pdu, one.source, one.destination)) for one in actions if isinstance(one, Transmit)
    ]


def advert(priority: int) -> Advert:
    return Advert(3, 50, priority, S, (VIP.ip,))


def test_promotion_says_it_claims_and_announces_in_this_order() -> None:  # C14, C85, C87
    member = Member(PLAN, NOW)
    assert member.handle(START, NOW) == []
    to_peer, to_lower, *rest = member.handle(TIMER, LED)
    assert sent([to_peer, to_lower]) == [(PEER, advert(100)), (LOWER, advert(100))]
    assert rest == [Claim("web", (VIP,)), Announce("web", (VIP,), 5)]
    assert [one.interface for one in (to_peer, to_lower) if isinstance(one, Transmit)] == ["eth0", "eth0"]


def test_multicast_is_one_packet_to_the_group() -> None:  # C11
    member = Member(MULTI, NOW)
    member.handle(START, NOW)
    assert sent([*member.handle(TIMER, LED)]) == [(GROUP_IPV4, advert(100))]


def test_announcements_follow_their_own_clock() -> None:  # C85
    member = master(replace(PLAN, advert_interval_us=40 * S))
    first = NOW + 3 * 40 * S + 24_375 * MS
    member.handle(TIMER, first)
    assert member.deadline_us == first + 5 * S
    assert member.handle(TIMER, first + 5 * S) == [Announce("web", (VIP,), 5)]
    assert member.counters["garp_sent"] == 10


def test_demotion_ends_announcements() -> None:  # C88
    member = master()
    actions = member.handle(STRONGER, LED + 1)
    assert actions[-1] == Release("web", (VIP,))
    assert sent([*actions]) == [(PEER, advert(100)), (LOWER, advert(100))]
    assert member.handle(TIMER, LED + 5 * S - 1) != [Announce("web", (VIP,), 5)]


def test_stop_resigns_once_to_each_before_the_addresses_go() -> None:  # C68
    member = master()
    actions = member.handle(STOP, LED + 1)
    assert sent([*actions]) == [(PEER, advert(0)), (LOWER, advert(0))]
    assert actions[2:] == [Release("web", (VIP,))]
    assert member.counters["sent_pri_zero"] == 1
    assert member.deadline_us is None


def test_contest_is_announced() -> None:  # C84
    member = master()
    member.handle(WEAKER, LED + 2 * S)
    assert member.counters["garp_sent"] == 10
    assert member.handle(WEAKER, LED + 2 * S + 1)[2:] == []


def test_counters() -> None:  # C77, C92
    assert set(Member(PLAN, NOW).counters.values()) == {0}
    member = master()
    member.handle(TIMER, LED + S)
    member.handle(STRONGER, LED + S + 1)
    member.handle(TIMER, LED + S + 1 + DOWN)
    member.handle(Unfit("link"), LED + S + 2 + DOWN)
    wanted = {"master_transitions": 2, "release_master": 2, "sent_advertisements": 5, "sent_pri_zero": 1}
    assert {name: member.counters[name] for name in wanted} == wanted
    assert set(member.counters) >= {refusal.value for refusal in Refusal} | {"rcvd_advertisements", "rcvd_pri_zero"}
    assert member.epoch == 2


def test_since_is_when_the_state_changed() -> None:
    member = master()
    member.handle(TIMER, LED + S)
    assert (member.since_us, member.state) == (LED, RouterState.MASTER)
    member.handle(STOP, LED + S)
    assert (member.since_us, member.state) == (LED + S, RouterState.INIT)


def test_will_is_what_a_stop_would_do() -> None:
    member = master()
    bequests, held = member.will()
    wanted = [one for one in member.handle(STOP, LED) if isinstance(one, Transmit)]
    assert bequests == tuple(Bequest(one.interface, one.source, one.destination, one.pdu) for one in wanted)
    assert held == Holding((VIP,))
    assert member.will() == ((), None)
    assert member.counters["sent_pri_zero"] == 1  # a will is no sending


def test_leftovers_are_resigned_first() -> None:
    member = Member(PLAN, NOW)
    actions = member.resign_leftovers((VIP,), NOW)
    assert sent([*actions]) == [(PEER, advert(0)), (LOWER, advert(0))]
    assert actions[2:] == [Release("web", (VIP,))]


def test_adopt_as_backup_changes_what_is_sent_later() -> None:  # C80: a lower priority is told by the next advert
    member = Member(PLAN, NOW)
    member.handle(START, NOW)
    assert member.adopt(replace(PLAN, priority=90, vips=(OTHER_VIP,)), NOW) == []
    assert member.handle(TIMER, LED) == []  # Skew_Time has grown by 10/256 s
    assert sent([*member.handle(TIMER, LED + 40 * MS)])[0][1] == Advert(3, 50, 90, S, (OTHER_VIP.ip,))


def test_adopt_as_master_tells_a_changed_priority_next() -> None:  # C80
    member = master()
    assert member.adopt(replace(PLAN, priority=90), LED) == []
    assert sent([*member.handle(TIMER, LED + S)])[0][1] == advert(90)


def test_adopt_as_master_exchanges_addresses() -> None:
    member = master(replace(PLAN, vips=(VIP,)))
    plan = replace(PLAN, vips=(OTHER_VIP,))
    wanted = [Release("web", (VIP,)), Claim("web", (OTHER_VIP,)), Announce("web", (OTHER_VIP,), 5)]
    assert member.adopt(plan, LED + S) == wanted
    assert member.adopt(plan, LED + S) == []
    assert sent([*member.handle(TIMER, LED + S)])[0][1] == Advert(3, 50, 100, S, (OTHER_VIP.ip,))
    assert member.adopt(replace(PLAN, vips=()), LED + S) == [Release("web", (OTHER_VIP,))]


def test_an_address_of_the_owner_is_neither_added_nor_removed() -> None:
    own = replace(VIP, fixed=True)
    member = Member(replace(PLAN, priority=255, vips=(own, OTHER_VIP)), NOW)
    assert member.handle(START, NOW)[2:] == [Claim("web", (OTHER_VIP,)), Announce("web", (own, OTHER_VIP), 5)]
    assert member.will()[1] == Holding((OTHER_VIP,))
    assert member.adopt(replace(PLAN, priority=255, vips=(OTHER_VIP,)), NOW) == []
    assert member.adopt(replace(PLAN, priority=255, vips=(own,)), NOW) == [Release("web", (OTHER_VIP,))]
    assert member.handle(STOP, NOW)[2:] == [Release("web", ())]


def test_adopt_leaves_an_address_whose_place_is_the_same() -> None:
    member = master()
    assert member.adopt(replace(PLAN, vips=(replace(VIP, track=False, advertised=False),)), LED) == []
    narrow = replace(VIP, prefix=32)
    assert member.adopt(replace(PLAN, vips=(narrow,)), LED)[:2] == [
        Release("web", (replace(VIP, track=False, advertised=False),)),
        Claim("web", (narrow,)),
    ]


def test_nothing_to_announce_without_addresses() -> None:
    member = Member(replace(PLAN, version=2, vips=()), NOW)
    member.handle(START, NOW)
    assert member.handle(TIMER, LED)[2:] == [Claim("web", ())]
    assert member.counters["garp_sent"] == 0


def view(member: Member, *, held: bool = False) -> RouterView:
    return replace(member.view(held=held), counters={})


def test_view_of_each_state() -> None:
    idle = RouterView(
        name="web",
        vrid=50,
        state=RouterState.INIT,
        priority=100,
        since_us=NOW,
        reason="not started",
        epoch=0,
        master=None,
        master_priority=None,
        heard_at_us=None,
        down_at_us=None,
        down_interval_us=DOWN,
        addresses=("203.0.113.1/24",),
        held=False,
        counters={},
        paths=(PathView(PEER, "unicast", PEER, None), PathView(LOWER, "unicast", LOWER, None)),
    )
    member = Member(PLAN, NOW)
    assert view(member) == idle
    member.handle(START, NOW)
    backup = replace(idle, state=RouterState.BACKUP, reason="started", down_at_us=LED)
    assert view(member) == backup
    member.handle(Heard(200, 100 * MS, PEER), NOW)
    learned: Micros = 360_937
    obeying = replace(backup, master=PEER, master_priority=200, down_at_us=NOW + learned, down_interval_us=learned)
    assert view(member) == obeying
    member.handle(Heard(0, S, PEER), NOW)
    assert view(member) == replace(obeying, master=None, master_priority=None, down_at_us=NOW + 60_937)
    member.handle(Unfit("link"), NOW + 1)
    ill = replace(idle, state=RouterState.FAULT, priority=0, since_us=NOW + 1, reason="link")
    assert view(member) == ill


def test_view_of_a_master() -> None:
    member = master()
    found = view(member, held=True)
    assert (found.state, found.held, found.epoch) == (RouterState.MASTER, True, 1)
    assert (found.master, found.master_priority, found.down_at_us) == (OURS, 100, None)
    assert member.view(held=True).counters == member.counters
    assert isinstance(member.instance.state, Master)


def test_same_advert_is_encoded_once() -> None:
    member = master()
    events: list[Event] = [TIMER, TIMER]
    first, second = (member.handle(event, LED + n * S) for n, event in enumerate(events, 1))
    assert first[0] is second[0]


TWO_WAYS = replace(PLAN, paths=(PathPlan(Transport.UDP, "eth1", OTHER, (PEER_2, LOWER_2)),))


def obeying(plan: VrrpPlan = PLAN) -> Member:
    member = Member(plan, NOW)
    member.handle(START, NOW)
    member.handle(Heard(200, S, PEER), NOW)
    return member


def test_the_short_way_of_a_repeated_advert() -> None:
    member = obeying()
    path = member.paths.of(PEER, PEER, udp=False)
    assert member.hear_again(Heard(200, S, PEER), path, NOW + S)
    assert (member.heard_at_us, path.heard_at_us) == (NOW + S, NOW + S)
    assert member.counters["rcvd_advertisements"] == 1
    assert member.deadline_us == LED + S
    assert not member.hear_again(Heard(201, S, PEER), path, NOW + S)
    assert member.counters["rcvd_advertisements"] == 1


def test_the_short_way_of_an_advert_on_time() -> None:
    member = master(replace(PLAN, garp_refresh_us=0, garp_delay_us=0))
    at_us = LED + S
    said = member.advertise_again(at_us, at_us)
    assert said is not None
    assert sent([*said]) == [(PEER, advert(100)), (LOWER, advert(100))]
    assert member.counters["sent_advertisements"] == 2
    assert member.deadline_us == at_us + S
    assert member.advertise_again(at_us, at_us + 2 * S) is None  # late: the long way knows what to do


def test_no_short_way_when_something_is_to_be_announced() -> None:
    member = master(replace(PLAN, garp_refresh_us=S))
    assert member.advertise_again(LED + S, LED + S) is None


def test_announcements_of_both_families_are_counted() -> None:
    six = Vip(IPv6Address("2001:db8::1"), 64, "eth0")
    member = master(replace(PLAN, vips=(VIP, replace(six, advertised=False))))
    assert (member.counters["garp_sent"], member.counters["na_sent"]) == (5, 5)


def test_routes_and_rules_move_with_the_addresses() -> None:
    route, rule = Route(VIP.ip, 32), Rule(4, 100, 1000)
    plan = replace(PLAN, routes=(route,), rules=(rule,))
    member = Member(plan, NOW)
    member.handle(START, NOW)
    claims = [one for one in member.handle(TIMER, LED) if isinstance(one, Claim)]
    assert claims == [Claim("web", (VIP,), (route,), (rule,))]
    assert member.will()[1] == Holding((VIP,), (route,), (rule,))
    other = Route(VIP.ip, 31)
    assert member.adopt(replace(plan, routes=(other,)), LED) == [
        Release("web", (), (route,), ()),
        Claim("web", (), (other,), ()),
    ]
    releases = [one for one in member.handle(STOP, LED) if isinstance(one, Release)]
    assert releases == [Release("web", (VIP,), (other,), (rule,))]


def test_a_silent_way_of_the_master_is_noticed() -> None:
    member = obeying(TWO_WAYS)
    first = member.paths.of(PEER, PEER, udp=False)
    first.heard_at_us = NOW + 10 * S
    assert [path.address for path in member.silent_paths(NOW + 10 * S)] == [PEER_2]
    assert Member(TWO_WAYS, NOW).silent_paths(NOW) == []  # nobody is obeyed
    member.handle(Heard(0, S, PEER), NOW)
    assert member.silent_paths(NOW + 10 * S) == []


def test_a_contest_is_counted_while_it_goes_on() -> None:
    member = master()
    weak = Heard(90, S, PEER)
    assert [member.note_contest(weak, LED + n * S) for n in range(3)] == [1, 2, 3]
    assert member.note_contest(replace(weak, sender=LOWER), LED + 3 * S) == 1
    assert member.note_contest(weak, LED + 3 * S) == 4  # each is counted by itself
    assert member.note_contest(weak, LED + 8 * S) == 1  # silent for more than four intervals in between


def test_contests_with_many_are_forgotten_rather_than_kept() -> None:
    member = master()
    for last in range(CONTESTS_MAX + 1):
        assert member.note_contest(Heard(90, S, IPv4Address(f"192.0.2.{100 + last}")), LED) == 1
    assert len(member.contests) == 1


def test_why_mastership_came_and_went() -> None:  # C77, C92
    member = obeying()
    member.handle(TIMER, NOW + DOWN)
    assert member.counters["new_master_reason"] == 3
    member.handle(Heard(200, S, PEER), NOW + DOWN)
    assert (member.counters["release_master"], member.counters["next_master_reason"]) == (1, 2)
    member.handle(TIMER, NOW + 2 * DOWN)
    member.handle(STOP, NOW + 2 * DOWN)
    assert member.counters["next_master_reason"] == 1


def test_the_form_that_peers_use_is_sent() -> None:
    member = master(replace(PLAN, checksum=ChecksumForm.AUTO))
    member.receiver.form = ChecksumForm.PLAIN
    (first, *_) = member.handle(TIMER, LED + S)
    assert isinstance(first, Transmit)
    assert decode(first.pdu, first.source, first.destination, ChecksumForm.PLAIN).priority == 100


def test_the_sequence_of_ah_goes_on_from_what_was_heard() -> None:
    member = master(replace(PLAN, version=2, auth=Auth.AH, auth_pass=b"ahsecret"))
    member.receiver.ah_sequence = 5_000
    (first, *_) = member.handle(TIMER, LED + S)
    assert isinstance(first, Transmit)
    assert int.from_bytes(first.pdu[28:32]) == 5_001
