from dataclasses import replace

import pytest
from tests.rules.sim.example import NODES, ROUTER

from firstmate.model.messages import FactChanged
from firstmate.model.plan import HAPROXY_FACT, OWNER, GroupPlan, Plan, Track, VrrpPlan
from firstmate.sim import standing
from firstmate.vrrp.tracking import Facts, needed_facts

WELL: dict[str, bool | int] = {HAPROXY_FACT: True}


def plan(*track: Track, priority: int = 100, group: GroupPlan | None = None) -> tuple[Plan, VrrpPlan]:
    first = replace(
        ROUTER, priority=priority, track=(Track(HAPROXY_FACT), *track), track_primary=False, track_source=False
    )
    second = replace(ROUTER, name="vi2", vrid=8, track=(Track(HAPROXY_FACT), Track("part")))
    return Plan("sim", "n1", NODES, (first, second), groups=(group,) if group else ()), first


@pytest.mark.parametrize(("track", "value", "fit", "priority"), [
    (Track("x", 20),                 True,  True,  120),
    (Track("x", 20),                 False, True,  100),
    (Track("x", -20),                True,  True,  100),
    (Track("x", -20),                False, True,  80),
    (Track("x", -200),               False, True,  1),
    (Track("x", 200),                True,  True,  254),
    (Track("x", 20, reverse=True),   True,  True,  100),
    (Track("x", 20, reverse=True),   False, True,  120),
    (Track("x"),                     True,  True,  100),
    (Track("x"),                     False, False, 100),
    (Track("x", reverse=True),       True,  False, 100),
    (Track("x", 2),                  7,     True,  114),
    (Track("x", 2, reverse=True),    7,     True,  86),
    (Track("x", -3),                 120,   False, 1),
    (Track("x"),                     1,     False, 100),
    (Track("x"),                     0,     True,  100),
])  # fmt: skip
def test_it_agrees_with_the_router_by_other_means(track: Track, value: bool | int, *, fit: bool, priority: int) -> None:
    asked, router = plan(track)
    told = {**WELL, "x": value}
    assert standing.is_fit(asked, "vi1", told) is fit
    assert standing.priority(asked, router, told) == priority
    facts = Facts()
    facts.learn(FactChanged(HAPROXY_FACT, up=True, why="", at_us=0))
    number = None if isinstance(value, bool) else value
    facts.learn(FactChanged("x", up=value is not False, why="", at_us=0, value=number))
    verdict = facts.judge(router, needed_facts(router))
    assert fit != bool(verdict.unfit)
    assert not fit or verdict.priority == priority


def test_what_was_not_said_is_unfit_unless_it_only_weighs() -> None:
    assert not standing.is_fit(plan()[0], "vi1", {})
    assert not standing.is_fit(plan(Track("x"))[0], "vi1", WELL)
    assert standing.is_fit(plan(Track("x", -5))[0], "vi1", WELL)


def test_an_owner_is_an_owner() -> None:
    asked, router = plan(Track("x", -20), priority=OWNER)
    assert standing.priority(asked, router, {**WELL, "x": False}) == OWNER
    assert standing.lowest(router) == OWNER


def test_one_of_a_group_is_unfit_for_all_and_its_weights_count_if_asked() -> None:
    group = GroupPlan("all", ("vi1", "vi2"))
    asked, router = plan(Track("x", -20), group=group)
    assert standing.together(asked, "vi1") == ("vi1", "vi2")
    assert not standing.is_fit(asked, "vi1", {**WELL, "part": False})
    assert standing.is_fit(asked, "vi1", {**WELL, "part": True})
    assert standing.priority(asked, router, {**WELL, "x": False}) == 100
    asked, router = plan(Track("x", -20), group=replace(group, tracking_weight=True))
    assert standing.priority(asked, router, {**WELL, "x": False}) == 80


def test_the_bounds_of_what_facts_can_make() -> None:
    weighs, tracks = plan(Track("x", 20))[1], plan(Track("x"))[1]
    assert (standing.lowest(weighs), standing.highest(weighs)) == (1, 254)
    assert (standing.lowest(tracks), standing.highest(tracks)) == (100, 100)
