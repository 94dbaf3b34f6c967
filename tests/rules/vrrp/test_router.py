from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from tests.rules.vrrp.example import DOWN, LOWER, NOW, OTHER_VIP, OURS, PEER, PLAN, SKEW, STRANGER, VIP

from firstmate.model.addresses import Address
from firstmate.model.messages import FactChanged, FactView, RouterState, Will
from firstmate.model.plan import OWNER, Auth, ChecksumForm, Node, Plan, Track, Transport, VrrpPlan
from firstmate.model.units import MS, S, Micros
from firstmate.vrrp.instance import PeerGone, Signal
from firstmate.vrrp.member import Announce, Claim, Release
from firstmate.vrrp.oddities import ODDITIES_MAX, SAY_AGAIN_US
from firstmate.vrrp.packet import GROUP_IPV4, PROTO_ERR_REASON, Advert, Refusal, encode
from firstmate.vrrp.receive import Datagram
from firstmate.vrrp.router import Action, Changed, Noticed, Router, same_router
from firstmate.vrrp.sender import Transmit
from firstmate.vrrp.tracking import link_fact

START, STOP, TIMER = Signal.STARTUP, Signal.SHUTDOWN, Signal.TIMER
LED = NOW + DOWN
DB = replace(PLAN, name="db", vrid=51, vips=(OTHER_VIP,))
ADVERT = Advert(3, 50, 101, S, (VIP.ip,))
LINK = FactChanged(link_fact("eth0"), up=True, why="", at_us=NOW)
CUT = replace(LINK, up=False, why="carrier lost")


def plan(*routers: VrrpPlan) -> Plan:
    return Plan("site", "lb-a", (Node("lb-a", OURS), Node("lb-b", PEER)), routers, haproxy=None)


def router(*routers: VrrpPlan) -> Router:
    """A router whose link is up and that has just started."""
    made = Router(plan(*(routers or (PLAN,))), NOW)
    made.handle(LINK, NOW)
    made.handle(START, NOW)
    return made


def datagram(advert: Advert = ADVERT, source: Address = PEER, to: Address = OURS, ttl: int = 255) -> Datagram:
    return Datagram("eth0", source, to, ttl, encode(advert, source, to))


def changes(actions: list[Action]) -> list[tuple[str, RouterState, RouterState]]:
    return [(one.router, one.was, one.is_) for one in actions if isinstance(one, Changed)]


def notices(actions: list[Action]) -> list[str]:
    return [one.code for one in actions if isinstance(one, Noticed)]


INIT, FAULT, BACKUP, MASTER = RouterState.INIT, RouterState.FAULT, RouterState.BACKUP, RouterState.MASTER


def test_nothing_is_due_before_the_start() -> None:
    assert Router(plan(PLAN), NOW).deadline_us is None


def test_start_to_master() -> None:
    made = Router(plan(PLAN), NOW)
    assert made.handle(LINK, NOW) == []  # not started yet
    assert made.handle(START, NOW) == [Changed("web", 50, INIT, BACKUP, "started", 0)]
    assert made.deadline_us == LED
    assert made.handle(TIMER, LED - 1) == []
    *carried, changed = made.handle(TIMER, LED)
    assert [type(one) for one in carried] == [Transmit, Transmit, Claim, Announce]
    assert changed == Changed("web", 50, BACKUP, MASTER, "no MASTER heard for 3.6 s", 1)


def test_start_without_a_link_is_a_fault() -> None:
    made = Router(plan(PLAN), NOW)
    why = "link eth0: not known to be well yet"
    assert made.handle(START, NOW) == [Changed("web", 50, INIT, FAULT, why, 0)]
    assert changes(made.handle(LINK, NOW + 1)) == [("web", FAULT, BACKUP)]


def test_lost_link_of_a_master() -> None:  # C82: up again is a start: own interval, nothing learned
    made = router()
    made.handle(datagram(replace(ADVERT, interval_us=100 * MS)), NOW)
    made.handle(TIMER, NOW + 360_937)
    actions = made.handle(CUT, NOW + S)
    assert changes(actions) == [("web", MASTER, FAULT)]
    assert Release("web", (VIP,)) in actions
    assert made.handle(TIMER, NOW + 100 * S) == []
    assert made.handle(replace(CUT, at_us=NOW + 2 * S), NOW + 2 * S) == []
    assert changes(made.handle(LINK, NOW + 3 * S)) == [("web", FAULT, BACKUP)]
    assert made.deadline_us == NOW + 3 * S + DOWN
    assert made.fact_views() == (FactView("link eth0", up=True, why="", at_us=NOW),)


def test_two_virtual_routers_are_two() -> None:
    made = router(PLAN, DB)
    made.handle(datagram(), NOW + S)
    assert made.deadline_us == LED
    assert changes(made.handle(TIMER, LED)) == [("db", BACKUP, MASTER)]
    assert [(view.name, view.state, view.held) for view in made.views({"db"}, NOW)] == [
        ("web", BACKUP, False),
        ("db", MASTER, True),
    ]
    assert changes(made.handle(STOP, LED)) == [("web", BACKUP, INIT), ("db", MASTER, INIT)]


def test_counts_what_it_hears() -> None:  # C91
    made = router()
    made.handle(datagram(), NOW)
    made.handle(datagram(), NOW)
    made.handle(datagram(replace(ADVERT, priority=0)), NOW + 1)
    made.handle(datagram(to=GROUP_IPV4), NOW + 2)
    (view,) = made.views(set(), NOW)
    assert (view.counters["rcvd_advertisements"], view.counters["rcvd_pri_zero"]) == (3, 1)
    assert view.heard_at_us == NOW + 1


UNCOUNTED = {refusal.value: 0 for refusal in (Refusal.PACKET_LENGTH, Refusal.CHECKSUM, Refusal.VERSION, Refusal.VRID)}
MULTI = replace(PLAN, transport=Transport.MULTICAST)
NAIVE = replace(MULTI, peers=())
OLD, PASS = replace(PLAN, version=2), replace(PLAN, version=2, auth=Auth.PASS, auth_pass=b"abc")
V2 = replace(ADVERT, version=2)
BROKEN = replace(datagram(), pdu=datagram().pdu[:-1] + b"\0")

# fmt: off
REFUSED = {  # plan, what comes, router-wide counter or "", counter of the virtual router, what the notice advises
    "C22 TTL":        (MULTI, datagram(to=GROUP_IPV4, ttl=254), "", "ip_ttl_errors",            "adverts must come from the same network"),
    "C24 version":    (PLAN,  datagram(V2),        "version_errors", "version_errors",          "make vrrp version equal on both"),
    "C26 checksum":   (PLAN,  BROKEN,              "checksum_errors", "checksum_errors",        'try checksum = "plain"'),
    "C28 length":     (PLAN,  replace(datagram(), pdu=datagram().pdu[:-4]), "packet_length_errors", "packet_length_errors", "do not hold 1 addresses"),
    "C28 no header":  (PLAN,  replace(datagram(), pdu=b"\x31\x32"), "packet_length_errors", "packet_length_errors", "2 octets are no VRRP header"),
    "C35 interval":   (OLD,   datagram(replace(V2, interval_us=2 * S)), "", "adv_interval_errors", "the same advert_interval on both"),
    "C36 count 0":    (PLAN,  datagram(replace(ADVERT, addresses=())), "", "address_list_errors", "make transport and addresses equal"),
    "C39 auth type":  (OLD,   datagram(replace(V2, auth_type=3)), "", "invalid_auth_type_errors", "authentication type 3"),
    "C39 auth":       (PASS,  datagram(V2),        "", "auth_type_mismatch_errors",             "make auth and auth_pass equal on both"),
    "C40 password":   (PASS,  datagram(replace(V2, auth_type=1, auth_data=b"abx")), "", "auth_failures", "make auth_pass equal on both"),
    "C43 multicast":  (PLAN,  datagram(to=GROUP_IPV4), "", "address_list_errors",               "make transport and addresses equal"),
    "C44 stranger":   (PLAN,  datagram(source=STRANGER), "", "unknown_source_errors",           "add it to peers if it belongs here"),
    "VRID clash":     (NAIVE, datagram(replace(ADVERT, addresses=(OTHER_VIP.ip,)), STRANGER, GROUP_IPV4), "", "vrid_clash_errors", "give one of the two another vrid"),
}
ODD = {  # plan, what comes, counter or "", code of the notice
    "C34 interval":   (PLAN,  datagram(replace(ADVERT, interval_us=500 * MS)), "adv_interval_errors", "interval-differs"),
    "C37 addresses":  (PLAN,  datagram(replace(ADVERT, addresses=(OTHER_VIP.ip,))), "address_list_errors", "addresses-differ"),
    "unknown peer":   (NAIVE, datagram(to=GROUP_IPV4),                  "", "unknown-peer"),
    "C76 two owners": (replace(PLAN, priority=255), datagram(replace(ADVERT, priority=255)), "", "two-owners"),
}
# fmt: on


@pytest.mark.parametrize(("asked", "given", "wide", "counter", "advice"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("leads", [False, True], ids=["backup", "master"])
def test_a_refused_advert_changes_a_counter_and_nothing_else(  # C52
    asked: VrrpPlan,
    given: Datagram,
    wide: str,
    counter: str,
    advice: str,
    leads: bool,
) -> None:
    made = router(asked)
    now_us = LED if leads else NOW
    if leads:
        made.handle(TIMER, now_us)
    (before,), deadline_us = made.views(set(), NOW), made.deadline_us
    (notice,) = made.handle(given, now_us)
    assert isinstance(notice, Noticed)
    (after,) = made.views(set(), now_us)
    (oddity,) = after.oddities
    assert (oddity.code, oddity.source, oddity.count) == (notice.code, str(given.source), 1)
    reason = PROTO_ERR_REASON.get(Refusal(counter), 0)
    counted = before.counters | {counter: before.counters[counter] + 1, "proto_err_reason": reason}
    assert after == replace(before, counters=counted, oddities=(oddity,))
    assert made.deadline_us == deadline_us
    assert made.counters == UNCOUNTED | ({wide: 1} if wide else {})
    assert notice.code == "refused-" + counter.replace("_", "-")
    assert notice.text.startswith(f"web: refused an advert of {given.source}: ")
    assert advice in notice.text


@pytest.mark.parametrize(("asked", "given", "counter", "code"), ODD.values(), ids=ODD)
def test_an_odd_advert_is_heard_counted_and_told_once(
    asked: VrrpPlan, given: Datagram, counter: str, code: str
) -> None:
    made = router(asked)
    assert notices(made.handle(given, NOW)) == code.split()
    assert notices(made.handle(given, NOW)) == []
    (view,) = made.views(set(), NOW)
    assert view.counters["rcvd_advertisements"] == 2
    assert not counter or view.counters[counter] == 2
    assert made.counters == UNCOUNTED


def test_another_vrid_is_not_ours() -> None:  # C27
    made = router()
    before = made.views(set(), NOW)
    assert notices(made.handle(datagram(replace(ADVERT, vrid=51)), NOW)) == ["foreign-vrid"]
    assert notices(made.handle(replace(datagram(), interface="eth1"), NOW)) == ["foreign-vrid"]
    assert [oddity.text for oddity in made.wire_oddities(NOW)] == [
        "192.0.2.77 advertises vrid 51 on eth0, which is none of ours there",
        "192.0.2.77 advertises vrid 50 on eth1, which is none of ours there",
    ]
    assert made.handle(replace(datagram(), pdu=b""), NOW) == []
    assert made.handle(replace(datagram(), pdu=b"\x31"), NOW) == []
    assert made.views(set(), NOW) == before
    assert made.counters == UNCOUNTED | {Refusal.VRID.value: 4}


@pytest.mark.parametrize("leads", [False, True], ids=["backup", "master"])
def test_our_own_source_is_ignored(leads: bool) -> None:  # C45
    made = router(MULTI)
    if leads:
        made.handle(TIMER, LED)
    before = made.views(set(), NOW)
    assert notices(made.handle(datagram(source=OURS, to=GROUP_IPV4), LED)) == ["own-address"]
    ignored = before[0].counters | {"ignored_adverts": 1}
    assert [replace(view, oddities=()) for view in made.views(set(), NOW)] == [replace(before[0], counters=ignored)]


def test_what_we_tell_the_owner_of_an_address_that_we_hold_is_no_news() -> None:
    made = router(replace(PLAN, vips=(replace(VIP, ip=PEER),)))
    made.handle(TIMER, LED)
    advert = replace(ADVERT, addresses=(PEER,))
    assert made.handle(datagram(advert, source=OURS, to=PEER), LED) == []


def test_an_owner_that_ignores_adverts_says_nothing_of_them() -> None:  # C76
    made = router(replace(PLAN, priority=OWNER, owner_ignore_adverts=True))
    assert made.handle(datagram(), NOW + S) == []
    counters = made.members["web"].counters
    assert (counters["ignored_adverts"], counters["rcvd_advertisements"]) == (1, 0)


def test_a_notice_is_said_once_an_hour_about_each_sender() -> None:  # C93
    made = router(MULTI)
    given = datagram(to=GROUP_IPV4, ttl=1)
    said = [notices(made.handle(given, at)) for at in (NOW, NOW + 1, NOW + SAY_AGAIN_US - 1, NOW + SAY_AGAIN_US)]
    assert said == [["refused-ip-ttl-errors"], [], [], ["refused-ip-ttl-errors"]]
    assert notices(made.handle(datagram(source=LOWER, to=GROUP_IPV4, ttl=1), NOW + 1)) == ["refused-ip-ttl-errors"]


def test_a_flood_of_senders_gives_a_bounded_number_of_notices() -> None:  # C93
    made = router()
    sources = [IPv4Address(0x0A000000 + n) for n in range(1000)]
    said = [notices(made.handle(datagram(source=source), NOW)) for source in sources]
    assert sum(map(len, said)) == ODDITIES_MAX
    assert made.views(set(), NOW)[0].counters["unknown_source_errors"] == 1000


def test_count_takes_new_names() -> None:
    made = router()
    made.count("auth_type_mismatch_errors")
    assert made.counters["auth_type_mismatch_errors"] == 1


def test_word_of_a_dead_peer_reaches_every_virtual_router() -> None:
    made = router(PLAN, DB)
    for vrid, vip in ((50, VIP), (51, OTHER_VIP)):
        made.handle(datagram(replace(ADVERT, vrid=vrid, addresses=(vip.ip,))), NOW)
    assert made.handle(PeerGone(PEER), NOW + 1) == []
    assert made.deadline_us == NOW + 1 + SKEW
    assert changes(made.handle(TIMER, NOW + 1 + SKEW)) == [("web", BACKUP, MASTER), ("db", BACKUP, MASTER)]


def test_a_fact_moves_who_tracks_it() -> None:
    made = router(PLAN, replace(DB, track=(Track("haproxy"),)))
    assert [view.state for view in made.views(set(), NOW)] == [BACKUP, FAULT]
    assert made.handle(FactChanged("haproxy", up=False, why="dead", at_us=NOW), NOW) == []  # FAULT for another reason
    assert made.views(set(), NOW)[1].reason == "haproxy: dead"
    assert changes(made.handle(FactChanged("haproxy", up=True, why="", at_us=NOW), NOW)) == [("db", FAULT, BACKUP)]
    assert made.handle(FactChanged("haproxy", up=True, why="", at_us=NOW), NOW) == []


def test_leftovers_of_each_virtual_router() -> None:
    made = Router(plan(PLAN, DB), NOW)
    assert made.release_leftovers(set(), NOW) == []
    assert made.release_leftovers({STRANGER}, NOW) == []
    *adverts, release = made.release_leftovers({OTHER_VIP.ip}, NOW)
    assert release == Release("db", (OTHER_VIP,))
    assert [(one.pdu[1], one.pdu[2]) for one in adverts if isinstance(one, Transmit)] == [(51, 0), (51, 0)]


def test_will() -> None:
    made = router(PLAN, DB)
    assert made.will() == Will((), ())
    made.handle(datagram(), NOW + 1)
    made.handle(TIMER, LED)  # db leads, web does not
    will = made.will()
    assert {(bequest.pdu[1], bequest.pdu[2]) for bequest in will.bequests} == {(51, 0)}
    assert {bequest.destination for bequest in will.bequests} == {PEER, LOWER}
    assert [vip.ip for held in will.holdings for vip in held.addresses] == [OTHER_VIP.ip]


def test_adopt_the_same_plan_changes_nothing() -> None:
    made = router()
    before = made.views(set(), NOW)
    assert made.adopt(plan(PLAN), NOW + 1) == []
    assert made.views(set(), NOW) == before


def test_adopt_adds_removes_and_keeps() -> None:
    made = router(PLAN, DB)
    made.handle(TIMER, LED)
    new = replace(PLAN, name="mail", vrid=52, vips=(replace(VIP, ip=STRANGER),))
    actions = made.adopt(plan(new, replace(PLAN, priority=200)), LED + 1)
    assert changes(actions) == [("db", MASTER, INIT), ("mail", INIT, BACKUP)]
    assert [view.name for view in made.views(set(), NOW)] == ["mail", "web"]
    assert [(view.state, view.priority) for view in made.views(set(), NOW)] == [(BACKUP, 100), (MASTER, 200)]
    made.handle(datagram(replace(ADVERT, vrid=51)), LED + 2)
    assert made.counters[Refusal.VRID.value] == 1
    made.handle(datagram(replace(ADVERT, vrid=52, addresses=(STRANGER,))), LED + 2)
    assert made.views(set(), NOW)[0].heard_at_us == LED + 2


def test_adopt_another_vrid_is_a_new_start() -> None:
    made = router()
    made.handle(TIMER, LED)
    actions = made.adopt(plan(replace(PLAN, vrid=60)), LED + 1)
    assert changes(actions) == [("web", MASTER, INIT), ("web", INIT, BACKUP)]
    resigned = [one for one in actions if isinstance(one, Transmit)]
    assert [(one.pdu[1], one.pdu[2]) for one in resigned] == [(50, 0), (50, 0)]
    assert actions.index(Release("web", (VIP,))) > actions.index(resigned[-1])


def test_adopt_weighs_facts_anew() -> None:
    made = router()
    made.handle(TIMER, LED)
    made.handle(FactChanged("haproxy", up=False, why="it crashed", at_us=LED), LED)
    assert changes(made.adopt(plan(replace(PLAN, track=(Track("haproxy"),))), LED + 1)) == [("web", MASTER, FAULT)]
    assert changes(made.adopt(plan(PLAN), LED + 2)) == [("web", FAULT, BACKUP)]


# fmt: off
SAME = {
    "priority":  (replace(PLAN, priority=1),                       True),
    "vips":      (replace(PLAN, vips=(OTHER_VIP,)),                True),
    "interval":  (replace(PLAN, advert_interval_us=2 * S),         True),
    "peers":     (replace(PLAN, peers=()),                         True),
    "checksum":  (replace(PLAN, checksum=ChecksumForm.PLAIN),      True),
    "vrid":      (replace(PLAN, vrid=51),                          False),
    "interface": (replace(PLAN, interface="eth1"),                 False),
    "source":    (replace(PLAN, source=LOWER),                     False),
    "version":   (replace(PLAN, version=2),                        False),
    "transport": (replace(PLAN, transport=Transport.MULTICAST),    False),
}
# fmt: on


@pytest.mark.parametrize(("after", "wanted"), SAME.values(), ids=SAME)
def test_same_router(after: VrrpPlan, wanted: bool) -> None:
    assert same_router(PLAN, after) is wanted


class Pair:
    """Two routers and the wire between them: priority 150 at .11, 100 at .12, one second."""

    def __init__(self) -> None:
        a, b = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12")
        self.plans: dict[Address, VrrpPlan] = {
            a: replace(PLAN, priority=150, source=a, peers=(b,)),
            b: replace(PLAN, priority=100, source=b, peers=(a,)),
        }
        self.now_us = NOW
        self.routers: dict[Address, Router] = {}
        self.whole = True
        self.log: list[tuple[Micros, Address, str]] = []  # since NOW
        self.a, self.b = a, b

    def start(self, who: Address) -> None:
        self.routers[who] = made = Router(plan(self.plans[who]), self.now_us)
        made.handle(LINK, self.now_us)
        self.carry(who, made.handle(START, self.now_us))

    def carry(self, who: Address, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Transmit(interface=interface, source=source, destination=to, pdu=pdu):
                    self.log.append((self.now_us - NOW, who, f"advert {pdu[2]}"))
                    if self.whole and to in self.routers:
                        found = Datagram(interface, source, to, 255, pdu)
                        self.carry(to, self.routers[to].handle(found, self.now_us))
                case Changed():
                    self.log.append((self.now_us - NOW, who, action.is_.value))
                case Announce():
                    self.log.append((self.now_us - NOW, who, "ARP"))
                case _:
                    pass

    def run(self, until_us: Micros) -> None:
        while self.routers:
            due_us, who = min((made.deadline_us or 2**62, who) for who, made in self.routers.items())
            if due_us > NOW + until_us:
                break
            self.now_us = due_us
            self.carry(who, self.routers[who].handle(TIMER, due_us))
        self.now_us = NOW + until_us

    def said(self, who: Address, since_us: Micros) -> list[tuple[Micros, str]]:
        return [(at - since_us, text) for at, one, text in self.log if one == who and at >= since_us]


def test_crash_and_return() -> None:  # C83, C92
    pair = Pair()
    pair.start(pair.a)
    pair.start(pair.b)
    pair.run(10 * S)
    last_us = max(at for at, who, text in pair.log if text == "advert 150")
    del pair.routers[pair.a]
    pair.run(30 * S)
    assert pair.said(pair.b, last_us)[0] == (DOWN, "advert 100")
    (view,) = pair.routers[pair.b].views(set(), NOW)
    assert (view.state, view.counters["master_transitions"]) == (MASTER, 1)
    pair.start(pair.a)
    pair.run(40 * S)
    assert pair.said(pair.a, 30 * S)[:2] == [(0, "BACKUP"), (3_414_062, "advert 150")]
    assert (3_414_062, "BACKUP") in pair.said(pair.b, 30 * S)


def test_healed_partition() -> None:  # C84
    pair = Pair()
    pair.start(pair.a)
    pair.start(pair.b)
    pair.run(10 * S)
    pair.whole = False
    pair.run(20 * S)
    pair.whole = True
    pair.run(30 * S)
    lower = [text for _, text in pair.said(pair.b, 20 * S)]
    assert lower.count("BACKUP") == 1
    assert lower.count("advert 100") <= 2
    higher = pair.said(pair.a, 20 * S)
    assert {text for _, text in higher} == {"advert 150", "ARP"}
    assert min(at for at, text in higher if text == "ARP") <= S


def test_graceful_stop() -> None:  # C97, with the two that matter
    pair = Pair()
    pair.start(pair.a)
    pair.start(pair.b)
    pair.run(10 * S)
    pair.carry(pair.a, pair.routers.pop(pair.a).handle(STOP, pair.now_us))
    pair.run(20 * S)
    assert pair.said(pair.a, 10 * S) == [(0, "advert 0"), (0, "INIT")]
    assert pair.said(pair.b, 10 * S)[0] == (SKEW, "advert 100")


def test_another_master_is_told_of_once() -> None:
    made = router()
    assert not made.take_new_master()
    made.handle(datagram(), NOW + 1)
    assert made.take_new_master()
    made.handle(datagram(), NOW + 2)
    assert not made.take_new_master()
    made.handle(datagram(source=LOWER), NOW + 3)
    made.handle(datagram(source=LOWER), NOW + 4)
    assert made.take_new_master()
    made.handle(datagram(replace(ADVERT, priority=0), source=LOWER), NOW + 5)  # nobody is known now
    assert made.take_new_master()
