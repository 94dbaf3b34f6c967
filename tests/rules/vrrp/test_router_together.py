"""What virtual routers do together, and what they remember of the wire: groups, weights, oddities, short ways."""

import sys
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from tests.rules.vrrp.example import DOWN, LOWER, NOW, OTHER_VIP, OURS, PEER, PLAN, SKEW, STRANGER, VIP

from firstmate.model.messages import FactChanged, RouterState
from firstmate.model.plan import (
    Auth,
    GroupPlan,
    HmacKey,
    HmacPlan,
    Node,
    PathPlan,
    Plan,
    Track,
    Transport,
    Vip,
    VrrpPlan,
)
from firstmate.model.units import MS, S, Micros
from firstmate.vrrp.instance import Master, PeerGone, Signal
from firstmate.vrrp.member import Claim
from firstmate.vrrp.packet import GROUP_IPV6, Advert, encode
from firstmate.vrrp.receive import Datagram
from firstmate.vrrp.router import FAMILIAR_MAX, PRESUMED_US, Action, Changed, Noticed, Router
from firstmate.vrrp.sender import Sender, Transmit
from firstmate.vrrp.tracking import link_fact

INIT, FAULT, BACKUP, MASTER = RouterState
START, TIMER = Signal.STARTUP, Signal.TIMER
LED = NOW + DOWN
FRONT, BACK = replace(PLAN, name="front"), replace(PLAN, name="back", vrid=51, vips=(OTHER_VIP,))
PAIR = GroupPlan("pair", ("front", "back"))
LINK = FactChanged(link_fact("eth0"), up=True, why="", at_us=NOW)


def plan(*routers: VrrpPlan, groups: tuple[GroupPlan, ...] = (), **more: object) -> Plan:
    nodes = (Node("lb-a", OURS), Node("lb-b", PEER, IPv6Address("fe80::77"), (IPv4Address("198.51.100.77"),)))
    return Plan("site", "lb-a", nodes, routers or (PLAN,), groups=groups, **more)  # type: ignore[arg-type]


def started(asked: Plan, *facts: FactChanged) -> Router:
    made = Router(asked, NOW)
    for fact in (LINK, *facts):
        made.handle(fact, NOW)
    made.handle(START, NOW)
    return made


def said_by(who: VrrpPlan, priority: int, source: IPv4Address = PEER) -> Datagram:
    advert = Advert(who.version, who.vrid, priority, who.advert_interval_us, tuple(vip.ip for vip in who.advertised))
    return Datagram("eth0", source, OURS, 255, encode(advert, source, OURS))


def moves(actions: list[Action]) -> list[tuple[str, RouterState]]:
    return [(one.router, one.is_) for one in actions if isinstance(one, Changed)]


def codes(actions: list[Action]) -> list[str]:
    return [one.code for one in actions if isinstance(one, Noticed)]


def states(made: Router) -> list[RouterState]:
    return [one.state for one in made.members.values()]


# Sync groups


def test_a_group_leads_when_its_last_member_would() -> None:
    made = started(plan(FRONT, BACK, groups=(PAIR,)))
    made.handle(said_by(BACK, 200), NOW + S)
    assert moves(made.handle(TIMER, LED)) == []
    assert states(made) == [BACKUP, BACKUP]
    assert moves(made.handle(TIMER, LED + S)) == [("back", MASTER), ("front", MASTER)] or states(made) == [MASTER] * 2


def test_a_group_yields_together() -> None:
    made = started(plan(FRONT, BACK, groups=(PAIR,)))
    made.handle(TIMER, LED)
    assert states(made) == [MASTER, MASTER]
    actions = made.handle(said_by(FRONT, 200), LED + S)
    assert moves(actions) == [("front", BACKUP), ("back", BACKUP)]
    resigned = [one for one in actions if isinstance(one, Transmit) and one.pdu[1] == BACK.vrid]
    assert {one.pdu[2] for one in resigned} == {0}


def test_a_fault_of_one_is_a_fault_of_all() -> None:
    front = replace(FRONT, track=(Track("disk"),))
    disk = FactChanged("disk", up=True, why="", at_us=NOW)
    made = started(plan(front, BACK, groups=(PAIR,)), disk)
    made.handle(TIMER, LED)
    made.handle(replace(disk, up=False, why="full"), LED)
    assert states(made) == [FAULT, FAULT]
    assert made.members["back"].instance.reason == "it moves with front, which is unfit: disk: full"
    made.handle(disk, LED + 1)
    assert states(made) == [BACKUP, BACKUP]


@pytest.mark.parametrize(("counts", "priority"), [(False, 100), (True, 80)])
def test_weights_in_a_group_count_only_when_asked_for(counts: bool, priority: int) -> None:
    front = replace(FRONT, track=(Track("disk", -20),))
    made = started(plan(front, BACK, groups=(replace(PAIR, tracking_weight=counts),)))
    made.handle(FactChanged("disk", up=False, why="", at_us=NOW), NOW)
    assert made.members["front"].instance.priority == priority


def test_a_group_tracks_for_all_its_members() -> None:
    made = started(plan(FRONT, BACK, groups=(replace(PAIR, track=(Track("disk"),)),)))
    assert states(made) == [FAULT, FAULT]


# Weights and the start


def test_a_weight_changes_the_next_advert() -> None:
    made = started(plan(replace(PLAN, track=(Track("disk", -20),))))
    made.handle(TIMER, LED)
    made.handle(FactChanged("disk", up=False, why="full", at_us=LED), LED)
    adverts = [one for one in made.handle(TIMER, LED + S) if isinstance(one, Transmit)]
    assert {one.pdu[2] for one in adverts} == {80}
    (view,) = made.views(set(), LED)
    assert (view.priority, view.master_priority) == (80, 80)


def test_adverts_are_ignored_and_no_timer_runs_before_the_start_delay_is_over() -> None:
    made = started(plan(PLAN, start_delay_us=5 * S))
    assert (states(made), made.deadline_us) == ([INIT], NOW + 5 * S)
    made.handle(said_by(PLAN, 200), NOW + S)
    assert states(made) == [INIT]
    made.adopt(plan(PLAN, FRONT, start_delay_us=5 * S), NOW + 2 * S)
    assert made.deadline_us == NOW + 5 * S
    assert moves(made.handle(TIMER, NOW + 5 * S)) == [("web", BACKUP), ("front", BACKUP)]
    assert made.deadline_us == NOW + 5 * S + DOWN


def test_a_peer_is_gone_by_each_of_its_addresses() -> None:
    second = PathPlan(Transport.UNICAST, "eth1", IPv4Address("198.51.100.10"), (IPv4Address("198.51.100.77"), LOWER))
    made = started(plan(replace(PLAN, paths=(second,))))
    made.handle(said_by(PLAN, 200), NOW)
    made.handle(PeerGone(PEER), NOW + S)
    assert made.deadline_us == NOW + S + SKEW
    other = started(plan(PLAN))
    other.handle(said_by(PLAN, 200, LOWER), NOW)
    other.handle(PeerGone(LOWER), NOW + S)  # no node of ours: its address is all we know
    assert other.deadline_us == NOW + S + SKEW


# What is odd


def test_a_link_that_works_one_way_is_told_of() -> None:
    made = started(plan(PLAN))
    made.handle(TIMER, LED)
    told = [codes(made.handle(said_by(PLAN, 90), LED + n * S)) for n in range(1, 6)]
    assert told == [[], ["two-masters"], [], ["one-way-link"], []]
    (view,) = made.views(set(), LED + 5 * S)
    assert [(oddity.code, oddity.source, oddity.count) for oddity in view.oddities] == [
        ("two-masters", "192.0.2.77", 4),
        ("one-way-link", "192.0.2.77", 2),
    ]


def test_a_host_that_claims_our_address_is_told_of_and_let_speak() -> None:
    made = started(plan(replace(PLAN, garp_repeat=0, garp_refresh_us=S)))
    made.handle(TIMER, LED)
    mac = "02:00:00:00:00:0c"
    (told,) = made.claimed(VIP.ip, mac, LED)
    assert isinstance(told, Noticed)
    assert (told.code, told.text.split(",")[0]) == ("address-conflict", f"{mac} answers for {VIP.ip}")
    assert made.claimed(VIP.ip, mac, LED + S) == []
    assert made.claimed(PEER, mac, LED + S) != []
    assert made.members["web"].announcer.deadline_us == LED + 2 * S


def test_a_silent_way_is_told_of() -> None:
    udp = PathPlan(Transport.UDP, "eth0", OURS, (PEER, LOWER))
    key = HmacPlan((HmacKey(1, bytes(32)),), 1)
    ours = replace(PLAN, paths=(udp,), hmac=key)
    theirs = replace(ours, source=PEER, peers=(OURS, LOWER), priority=200, paths=())
    made = started(plan(ours, BACK))
    (advert, _) = Sender(theirs, 0).adverts(200, NOW)
    made.handle(Datagram("eth0", PEER, OURS, 255, advert.pdu), NOW)
    told = [one.text for one in made.look_around(NOW) if isinstance(one, Noticed)]
    assert told == ["web: no advert of 192.0.2.77 comes by udp from 192.0.2.77, though by others"]


def test_a_signed_advert_is_heard_on_every_way() -> None:
    udp = PathPlan(Transport.UDP, "eth0", OURS, (PEER, LOWER))
    ours = replace(PLAN, paths=(udp,), hmac=HmacPlan((HmacKey(1, bytes(32)),), 1))
    theirs = replace(
        ours, source=PEER, peers=(OURS, LOWER), priority=200, paths=(replace(udp, source=PEER, peers=(OURS, LOWER)),)
    )
    made = started(plan(ours))
    assert made.signs
    made.utc_ahead_us = 1_000 * S
    for advert in Sender(theirs, 7113).adverts(200, NOW + 1_000 * S):
        if advert.destination == OURS:
            made.hear(Datagram("eth0", PEER, OURS, 255, advert.pdu, udp=advert.transport is Transport.UDP), NOW)
    (view,) = made.views(set(), NOW)
    assert view.counters["rcvd_advertisements"] == 2
    assert [(path.transport, path.heard_at_us) for path in view.paths if path.peer == PEER] == [
        ("unicast", NOW),
        ("udp", NOW),
    ]


def test_a_wrong_clock_is_refused_with_its_skew() -> None:
    ours = replace(PLAN, hmac=HmacPlan((HmacKey(1, bytes(32)),), 1))
    made = started(plan(ours))
    made.utc_ahead_us = 1_000 * S
    (advert, _) = Sender(replace(ours, source=PEER, peers=(OURS, LOWER)), 0).adverts(200, NOW + 990 * S)
    told = [
        one.text for one in made.hear(Datagram("eth0", PEER, OURS, 255, advert.pdu), NOW) if isinstance(one, Noticed)
    ]
    assert told == [
        (
            "web: refused an advert of 192.0.2.77: its clock is 10.0 s behind ours, 5.0 s is what we bear; "
            "set the clocks right (chrony, NTP) on both"
        )
    ]
    assert made.members["web"].counters["auth_ext_stale"] == 1


def test_what_an_owner_ignores_is_no_oddity() -> None:
    made = started(plan(replace(PLAN, priority=255, owner_ignore_adverts=True)))
    assert made.handle(said_by(PLAN, 255), LED) == []
    assert made.members["web"].counters["ignored_adverts"] == 1


# Short ways


def test_a_repeated_advert_takes_the_short_way() -> None:
    made = started(plan(PLAN))
    given = said_by(PLAN, 200)
    assert not made.hear_again(b"x", NOW)
    made.hear(given, NOW, b"x")
    assert made.hear_again(b"x", NOW + S)
    assert made.deadline_us == LED + S
    made.adopt(plan(PLAN), NOW + S)
    assert not made.hear_again(b"x", NOW + S)


def test_only_what_is_well_and_not_signed_is_known_by_heart() -> None:
    old = replace(PLAN, version=2, auth=Auth.AH, auth_pass=b"ahsecret")
    for asked, priority in ((replace(PLAN, advert_interval_us=2 * S), 200), (PLAN, 0), (old, 200)):
        made = started(plan(asked))
        made.hear(said_by(PLAN, priority), NOW, b"x")
        assert not made.hear_again(b"x", NOW)


def test_what_is_known_by_heart_is_bounded() -> None:
    made = started(plan(PLAN))
    for number in range(FAMILIAR_MAX + 1):
        made.hear(said_by(PLAN, 200), NOW, number)
    assert [made.hear_again(number, NOW) for number in range(FAMILIAR_MAX + 1)] == [False] * FAMILIAR_MAX + [True]


def test_adverts_that_are_nearly_due_go_together() -> None:
    made = started(plan(FRONT, replace(BACK, advert_interval_us=S)))
    made.handle(said_by(BACK, 200), NOW + 4 * MS)
    made.handle(TIMER, LED)
    made.handle(TIMER, LED + 4 * MS)
    assert states(made) == [MASTER, MASTER]
    sent = [one.pdu[1] for one in made.handle(TIMER, LED + S) if isinstance(one, Transmit)]
    assert set(sent) == {FRONT.vrid, BACK.vrid}
    sent = [one.pdu[1] for one in made.handle(TIMER, LED + 2 * S) if isinstance(one, Transmit)]
    assert set(sent) == {FRONT.vrid, BACK.vrid}  # and are due together now


def test_one_that_is_due_much_later_waits() -> None:
    made = started(plan(FRONT, BACK))
    made.handle(said_by(BACK, 200), NOW + 50 * MS)
    made.handle(TIMER, LED)
    made.handle(TIMER, LED + 50 * MS)
    sent = {one.pdu[1] for one in made.handle(TIMER, LED + S) if isinstance(one, Transmit)}
    assert sent == {FRONT.vrid}


@pytest.mark.timeout(5)
def test_who_is_far_behind_its_time_draws_nobody_back() -> None:
    """A node that woke 0.9 s late once sent the other's advert for ever: its next one was always due before now."""
    made = started(plan(FRONT, replace(BACK, advert_interval_us=100 * MS)))
    for name, due_us in (("front", NOW), ("back", NOW + 900 * MS)):
        made.members[name].instance.state = Master(due_us)
        made._deadlines.put(made.members[name])
    sent = [one.pdu[1] for one in made.handle(TIMER, NOW + 900 * MS - 1) if isinstance(one, Transmit)]
    assert set(sent) == {FRONT.vrid}
    assert made.deadline_us == NOW + 900 * MS


# Both families


def test_vrid_5_of_ipv4_and_of_ipv6_are_two() -> None:
    link, far = IPv6Address("fe80::10"), IPv6Address("fe80::77")
    six = replace(
        PLAN, name="six", source=link, peers=(far,), vips=(Vip(IPv6Address("fe80::50:1"), 64, "eth0"),),
        transport=Transport.MULTICAST,
    )  # fmt: skip
    made = started(plan(PLAN, six))
    advert = Advert(3, 50, 200, S, (six.vips[0].ip,))
    made.handle(Datagram("eth0", far, GROUP_IPV6, 255, encode(advert, far, GROUP_IPV6)), NOW + S)
    actions = made.handle(TIMER, LED)
    assert moves(actions) == [("web", MASTER)]
    assert [one for one in actions if isinstance(one, Claim)] == [Claim("web", (VIP,))]
    found: Micros | None = made.members["six"].heard_at_us
    assert found == NOW + S


def test_a_view_of_some() -> None:
    made = started(plan(FRONT, BACK))
    assert [view.name for view in made.views(set(), NOW, ["back", "unheard of"])] == ["back"]
    assert [view.name for view in made.views(set(), NOW)] == ["front", "back"]


def test_a_notice_of_no_virtual_router() -> None:
    made = started(plan(PLAN))
    assert made.notice("address-conflict", "02:00", "it is so", NOW) == [Noticed("address-conflict", "it is so")]
    assert made.notice("address-conflict", "02:00", "it is so", NOW) == []
    assert [oddity.code for oddity in made.wire_oddities(NOW)] == ["address-conflict"]


# Facts that come with a new plan


def test_a_check_that_has_not_run_yet_does_not_end_a_mastership() -> None:
    made = started(plan(PLAN))
    made.handle(TIMER, LED)
    tracking = plan(replace(PLAN, track=(Track("disk"),)))
    assert moves(made.adopt(tracking, LED)) == []
    assert moves(made.handle(FactChanged("disk", up=True, why="", at_us=LED), LED + S)) == []
    for at_us in range(LED + S, LED + PRESUMED_US + S, S):
        made.handle(TIMER, at_us)
    assert states(made) == [MASTER]


def test_a_check_that_never_runs_does_in_the_end() -> None:
    made = started(plan(PLAN))
    made.handle(TIMER, LED)
    made.adopt(plan(replace(PLAN, advert_interval_us=30 * S, garp_refresh_us=0, track=(Track("disk"),))), LED)
    for at_us in range(LED, LED + PRESUMED_US, S):
        made.handle(TIMER, at_us)
    assert states(made) == [MASTER]
    assert moves(made.handle(TIMER, LED + PRESUMED_US)) == [("web", FAULT)]


def test_what_is_not_tracked_any_more_is_forgotten() -> None:
    tracking = plan(replace(PLAN, track=(Track("disk"),)))
    made = started(tracking, FactChanged("disk", up=False, why="full", at_us=NOW))
    made.adopt(plan(PLAN), NOW)
    assert [fact.name for fact in made.fact_views()] == ["link eth0"]
    made.adopt(tracking, NOW)
    assert states(made) == [BACKUP]


def test_presuming_ends_during_a_start_delay_too() -> None:
    made = started(plan(PLAN, start_delay_us=20 * S))
    made.adopt(plan(replace(PLAN, track=(Track("disk"),)), start_delay_us=20 * S), NOW)
    assert made.deadline_us == NOW + PRESUMED_US
    assert made.handle(TIMER, NOW + PRESUMED_US) == []
    assert moves(made.handle(TIMER, NOW + 20 * S)) == [("web", FAULT)]


# On time, and at no cost


def test_lateness_never_adds_up() -> None:
    made = started(plan(replace(PLAN, garp_refresh_us=0, garp_delay_us=0)))
    made.handle(TIMER, LED)
    due_us = LED
    for turn in range(1, 1001):
        due_us += S
        late_us = turn * 7919 % (S // 2)
        assert made.deadline_us == due_us
        assert [one for one in made.handle(TIMER, due_us + late_us) if isinstance(one, Transmit)]
    assert made.deadline_us == due_us + S


def test_the_short_ways_keep_nothing() -> None:
    backup, master = started(plan(PLAN)), started(plan(replace(PLAN, garp_refresh_us=0)))
    backup.hear(said_by(PLAN, 200), NOW, b"x")
    for second in range(6):  # then a new MASTER has announced all
        master.handle(TIMER, LED + second * S)

    def steadily(first: int, turns: int) -> None:
        for turn in range(first, first + turns):
            assert backup.hear_again(b"x", NOW + turn * MS)
            assert master.handle(TIMER, LED + (6 + turn) * S)
            assert (backup.deadline_us, master.deadline_us) != (None, None)

    steadily(0, 100)
    before = sys.getallocatedblocks()
    steadily(100, 2000)
    assert sys.getallocatedblocks() - before < 100


def test_a_virtual_mac_that_claims_our_address_is_left_to_its_adverts() -> None:
    made = started(plan(PLAN))
    made.handle(TIMER, LED)
    assert made.claimed(VIP.ip, "00:00:5e:00:02:32", LED + 4 * S) == []
    assert made.members["web"].announcer.deadline_us == LED + 6 * S  # what is due waits all the same


def test_the_time_to_look_is_never_after_a_deadline() -> None:
    made = started(plan(PLAN, start_delay_us=0))
    made.hear(said_by(PLAN, 200), NOW, b"x")
    assert made.hear_again(b"x", NOW + S)
    assert (made.wake_us, made.deadline_us) == (LED, LED + S)
    assert made.handle(TIMER, LED) == []
    assert made.wake_us == LED + S


def test_what_is_odd_each_interval_goes_on_between_two_adverts() -> None:
    made = started(plan(replace(PLAN, advert_interval_us=20 * S)))
    made.handle(replace(said_by(PLAN, 200), ttl=255, destination=STRANGER), NOW)
    (view,) = made.views(set(), NOW + 40 * S)
    assert [oddity.code for oddity in view.oddities] == ["refused-checksum-errors"]
    (view,) = made.views(set(), NOW + 61 * S)
    assert view.oddities == ()
