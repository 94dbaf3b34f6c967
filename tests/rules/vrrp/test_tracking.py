from dataclasses import replace

import pytest
from tests.rules.vrrp.example import NOW, OTHER_VIP, PLAN, VIP

from firstmate.model.messages import FactChanged, FactView
from firstmate.model.plan import GroupPlan, Route, Track, Vip, Vmac, VrrpPlan
from firstmate.vrrp.tracking import FACTS_MAX, Facts, Verdict, link_fact, needed_facts

TRACKING = replace(PLAN, track=(Track("haproxy"), Track("disk")))
LINK = FactChanged(link_fact("eth0"), up=True, why="", at_us=NOW)
HAPROXY = FactChanged("haproxy", up=True, why="", at_us=NOW, generation=2)
DISK = FactChanged("disk", up=True, why="", at_us=NOW)
DEAD = replace(HAPROXY, up=False, why="killed by SIGSEGV")

# fmt: off
FITNESS = {
    "nothing is known":     ([],                                            "link eth0: not known to be well yet"),
    "a fact is missing":    ([LINK, DISK],                                  "haproxy: not known to be well yet"),
    "all is well":          ([LINK, DISK, HAPROXY],                         ""),
    "down, and why":        ([LINK, DISK, DEAD],                            "haproxy: killed by SIGSEGV"),
    "down, nobody says why": ([LINK, HAPROXY, replace(DISK, up=False)],     "disk is down"),
    "the link comes first": ([replace(LINK, up=False, why="carrier lost"), DISK, DEAD], "link eth0: carrier lost"),
    "up again":             ([LINK, DISK, DEAD, HAPROXY],                   ""),
    "an older up is void":  ([LINK, DISK, DEAD, replace(HAPROXY, generation=1)], "haproxy: killed by SIGSEGV"),
    "a newer up holds":     ([LINK, DISK, DEAD, replace(HAPROXY, generation=3)], ""),
    "others do not count":  ([LINK, DISK, HAPROXY, FactChanged("link eth1", up=False, why="", at_us=NOW)], ""),
}
LEARNS = {
    "new":                ([],                                HAPROXY,                           True),
    "the same":           ([HAPROXY],                         HAPROXY,                           False),
    "the same, later":    ([HAPROXY],                         replace(HAPROXY, at_us=NOW + 1),   False),
    "the same, restarted": ([HAPROXY],                        replace(HAPROXY, generation=3),    False),
    "down":               ([HAPROXY],                         DEAD,                              True),
    "down for another reason": ([DEAD],                       replace(DEAD, why="hangs"),        True),
    "down, older":        ([HAPROXY],                         replace(DEAD, generation=1),       False),
}
# fmt: on


@pytest.mark.parametrize(("told", "wanted"), FITNESS.values(), ids=FITNESS)
def test_fitness(told: list[FactChanged], wanted: str) -> None:
    facts = Facts()
    for fact in told:
        facts.learn(fact)
    assert facts.judge(TRACKING, needed_facts(TRACKING)) == Verdict(wanted, 100)


@pytest.mark.parametrize(("before", "fact", "wanted"), LEARNS.values(), ids=LEARNS)
def test_learn(before: list[FactChanged], fact: FactChanged, wanted: bool) -> None:
    facts = Facts()
    for known in before:
        facts.learn(known)
    assert facts.learn(fact) is wanted


def test_views_show_the_last_of_each() -> None:
    facts = Facts()
    for fact in (LINK, HAPROXY, DEAD, replace(DEAD, at_us=NOW + 5)):
        facts.learn(fact)
    wanted = FactView("haproxy", up=False, why="killed by SIGSEGV", at_us=NOW + 5)
    assert facts.views() == (FactView("link eth0", up=True, why="", at_us=NOW), wanted)


def test_facts_are_bounded() -> None:
    facts = Facts()
    names = [f"fact {n}" for n in range(FACTS_MAX)]
    assert all(facts.learn(replace(DISK, name=name)) for name in names)
    assert facts.learn(DISK) is False
    assert facts.learn(replace(DISK, name=names[0], up=False)) is True
    assert len(facts.views()) == FACTS_MAX


# fmt: off
SHARES = {  # keepalived.md 4.6   track                                       fact: up, value         priority of 100 becomes
    "positive, up":             (Track("x", 20),                              True,  None,            120),
    "positive, down":           (Track("x", 20),                              False, None,            100),
    "positive, not known":      (Track("x", 20),                              None,  None,            100),
    "negative, up":             (Track("x", -20),                             True,  None,            100),
    "negative, down":           (Track("x", -20),                             False, None,            80),
    "negative, not known":      (Track("x", -20),                             None,  None,            100),
    "reversed positive, up":    (Track("x", 20, reverse=True),                True,  None,            100),
    "reversed positive, down":  (Track("x", 20, reverse=True),                False, None,            120),
    "reversed negative, up":    (Track("x", -20, reverse=True),               True,  None,            80),
    "at least 1":               (Track("x", -253),                            False, None,            1),
    "at most 254":              (Track("x", 253),                             True,  None,            254),
    "a number":                 (Track("x", 2),                               True,  -15,             70),
    "a number reversed":        (Track("x", 2, reverse=True),                 True,  -15,             130),
    "a number of weight 0":     (Track("x"),                                  True,  0,               100),
    "a product of -253":        (Track("x", 1),                               True,  -253,            1),
    "a product beyond 253":     (Track("x", 100),                             True,  100,             254),
}
FAULTS = {
    "weight 0, reversed, up":   (Track("x", reverse=True),                    True,  None,            "x is up, and must not be"),
    "weight 0, a number":       (Track("x"),                                  True,  3,               "x: it says 3"),
    "a product of -254":        (Track("x", 2),                               True,  -127,            "x: -127 times 2 is a fault"),
}
# fmt: on


def judged(track: Track, up: bool | None, value: int | None, *, weights: bool = True, priority: int = 100) -> Verdict:
    facts = Facts()
    if up is not None:
        facts.learn(FactChanged("x", up=up, why="", at_us=NOW, value=value))
    return facts.judge(replace(PLAN, priority=priority), [track], weights=weights)


@pytest.mark.parametrize(("track", "up", "value", "priority"), SHARES.values(), ids=SHARES)
def test_weights(track: Track, up: bool | None, value: int | None, priority: int) -> None:
    assert judged(track, up, value) == Verdict("", priority)


@pytest.mark.parametrize(("track", "up", "value", "why"), FAULTS.values(), ids=FAULTS)
def test_faults(track: Track, up: bool, value: int | None, why: str) -> None:
    assert judged(track, up, value).unfit == why


def test_weight_0_reversed_and_down_is_well() -> None:
    assert judged(Track("x", reverse=True), False, None) == Verdict("", 100)


def test_an_owner_has_no_other_priority() -> None:
    assert judged(Track("x", -20), False, None, priority=255) == Verdict("", 255)
    assert judged(Track("x"), False, None, priority=255).unfit == "x is down"


def test_a_sync_group_may_leave_weights_out() -> None:
    assert judged(Track("x", -20), False, None, weights=False) == Verdict("", 100)
    assert judged(Track("x"), False, None, weights=False).unfit == "x is down"


def names(plan: VrrpPlan, group: GroupPlan | None = None) -> list[tuple[str, int]]:
    return [(track.name, track.weight) for track in needed_facts(plan, group)]


def test_what_a_virtual_router_depends_on() -> None:
    assert names(replace(PLAN, track_source=True)) == [("link eth0", 0), ("address 192.0.2.10 on eth0", 0)]
    assert names(replace(PLAN, track_primary=False)) == []
    elsewhere = replace(PLAN, vips=(Vip(VIP.ip, 24, "eth1"), Vip(OTHER_VIP.ip, 24, "eth2", track=False)))
    assert names(elsewhere) == [("link eth0", 0), ("link eth1", 0)]
    route = Route(VIP.ip, 24, dev="eth3")
    assert names(replace(PLAN, routes=(route, Route(VIP.ip, 24)))) == [("link eth0", 0), ("link eth3", 0)]
    on_macvlan = replace(PLAN, vips=(Vip(VIP.ip, 24, "vrrp.50"),), vmac=Vmac("vrrp.50", "00:00:5e:00:01:32"))
    assert names(on_macvlan) == [("link eth0", 0)]


def test_tracks_of_the_group_come_after_its_own() -> None:
    group = GroupPlan("pair", ("web", "db"), track=(Track("disk"), Track("haproxy", -5)))
    plan = replace(PLAN, track=(Track("haproxy", -20), Track("link eth0", -30)))
    # The loss of its own interface is FAULT whatever weight is given; its own word counts before the group's.
    assert names(plan, group) == [("link eth0", 0), ("haproxy", -20), ("disk", 0)]


def test_a_number_that_changes_is_news() -> None:
    facts = Facts()
    said = FactChanged("load", up=True, why="", at_us=NOW, value=3)
    assert facts.learn(said)
    assert not facts.learn(said)
    assert facts.learn(replace(said, value=4))
    assert facts.views() == (FactView("load", up=True, why="", at_us=NOW, value=4),)


def test_the_own_interface_may_weigh_where_its_loss_is_no_fault() -> None:
    plan = replace(PLAN, track_primary=False, track=(Track("link eth0", -30),))
    assert names(plan) == [("link eth0", -30)]
