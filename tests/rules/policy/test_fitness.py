from dataclasses import replace

import pytest
from tests.rules.policy.example import (
    DISK,
    DISK_UP,
    LEADING,
    NGINX,
    NOW,
    PLAN,
    PRIO,
    RICH,
    UP,
    decided,
    orders,
    serving,
    snapshot,
    texts,
    told,
)

from firstmate.model.messages import FactChanged, FactView
from firstmate.model.plan import Plan
from firstmate.model.units import S
from firstmate.policy.fitness import against, facts
from firstmate.policy.world import CheckRan, CheckView, Event, FileRead, FileView, PlanLoaded, World, begin

RAN, FAILED = CheckRan("nginx", True, "1 of nginx run", NOW), CheckRan("nginx", False, "0 of nginx run", NOW)
BEGUN = begin(RICH, NOW)


def ups(world: World, *events: Event) -> list[bool]:
    """What pulse is told of the process, one after the other."""
    _, actions = decided(world, *events)
    return [action.up for action in actions if isinstance(action, FactChanged) and action.name == "nginx"]


def first_decides(plan: Plan = RICH) -> World:
    return begin(replace(plan, checks=(DISK, replace(NGINX, init_fail=False), PRIO)), NOW)


# Commands and processes


def test_the_first_run_decides() -> None:
    """One success is enough at start, whatever `rise` says (keepalived 4.3)."""
    assert ups(first_decides(), RAN) == [True]
    assert ups(first_decides(), FAILED) == [False]
    assert ups(first_decides(), FAILED, RAN) == [False]
    assert ups(first_decides(), FAILED, RAN, RAN) == [False, True]


def test_what_begins_failed_must_pass_as_often_as_a_rise_needs() -> None:
    assert ups(BEGUN, RAN) == [False]
    assert ups(BEGUN, RAN, RAN) == [False, True]
    assert ups(BEGUN, RAN, FAILED, RAN, RAN) == [False, True]
    assert ups(BEGUN, FAILED) == [False]


def test_words() -> None:
    assert texts(decided(BEGUN, RAN)[1]) == ['process check "nginx" has passed 1 of 2 times: 1 of nginx run']
    assert texts(decided(first_decides(), RAN)[1]) == ['process check "nginx" passes: 1 of nginx run']
    assert texts(decided(first_decides(), FAILED)[1]) == ['process check "nginx" fails: 0 of nginx run']
    assert texts(decided(BEGUN, CheckRan("disk", True, "", NOW))[1]) == ['check "disk" passes']


def test_pulse_hears_that_it_begins_failed() -> None:
    world, actions = decided(serving(RICH), snapshot(LEADING, facts=(UP,)), now_us=NOW + S)
    (fact,) = (action for action in actions if isinstance(action, FactChanged))
    assert (fact.name, fact.up, fact.why) == ("nginx", False, 'process check "nginx" has not passed yet')
    assert world.checks == {}


def test_a_start_of_ops_moves_nothing() -> None:
    """It begins with what pulse knows: one failure or one success is then no more than that."""
    nginx = FactView("nginx", up=True, why="", at_us=NOW - S)
    world = told(BEGUN, snapshot(LEADING, facts=(UP, replace(DISK_UP, up=False), nginx)))
    assert world.checks["nginx"].since_us == NOW - S
    assert ups(world, FAILED) == []
    assert ups(world, FAILED, FAILED) == [False]
    disk = CheckRan("disk", True, "", NOW)
    assert orders(decided(world, disk)[1]) == []
    assert [action.up for action in orders(decided(world, disk, disk)[1]) if isinstance(action, FactChanged)] == [True]


def test_what_ran_already_is_not_replaced_by_what_pulse_knew() -> None:
    world = told(first_decides(), FAILED, snapshot(LEADING, facts=(replace(UP, name="nginx"),)))
    assert world.checks["nginx"].health.up is False


@pytest.mark.parametrize("event", [CheckRan("gone", True, "", NOW), FileRead("gone", 1, "says 1", NOW)])
def test_what_a_reload_left_out_says_no_more(event: Event) -> None:
    assert decided(BEGUN, event) == (BEGUN, [])


def test_a_name_that_means_another_thing_now_begins_anew() -> None:
    world = told(BEGUN, RAN, FileRead("prio", 3, "says 3", NOW))
    plan = replace(RICH, checks=(replace(PRIO, name="nginx"), replace(NGINX, name="prio")))
    world = told(world, PlanLoaded(plan))
    assert (world.checks, world.files) == ({}, {})
    assert decided(world, CheckRan("nginx", True, "", NOW)) == (world, [])
    assert decided(world, FileRead("prio", 1, "says 1", NOW)) == (world, [])


# Files


def test_a_number_is_told_when_it_changes() -> None:
    world, actions = decided(BEGUN, FileRead("prio", 0, "does not exist: counted as 0", NOW))
    why = 'file "prio" does not exist: counted as 0'
    assert orders(actions) == [FactChanged("prio", up=True, why=why, at_us=NOW, value=0)]
    assert texts(actions) == [why]
    world, actions = decided(world, FileRead("prio", 0, "is empty: counted as 0", NOW), now_us=NOW + S)
    assert (actions, world.files["prio"]) == ([], FileView(0, "is empty: counted as 0", NOW))
    world, actions = decided(world, FileRead("prio", -4, "says -4", NOW), now_us=NOW + S)
    assert [(fact.up, fact.value) for fact in orders(actions) if isinstance(fact, FactChanged)] == [(True, -4)]
    assert world.files["prio"].since_us == NOW + S


# fmt: off
KNOWN = {                 # pulse knows                                                  it is told again
    "the same":           (FactView("prio", up=True, why="", at_us=NOW, value=3),        False),
    "another number":     (FactView("prio", up=True, why="", at_us=NOW, value=4),        True),
    "no number":          (FactView("prio", up=True, why="", at_us=NOW),                 True),
}
# fmt: on


@pytest.mark.parametrize(("known", "again"), KNOWN.values(), ids=KNOWN)
def test_a_new_pulse_is_told_the_numbers(known: FactView, again: bool) -> None:
    world = told(serving(RICH), FileRead("prio", 3, "says 3", NOW))
    nginx = FactView("nginx", up=False, why="", at_us=NOW)
    _, actions = decided(world, snapshot(LEADING, facts=(UP, nginx, known), pid=51), now_us=NOW)
    assert [action.value for action in actions if isinstance(action, FactChanged)] == ([3] if again else [])


def test_a_start_of_ops_goes_on_with_the_number_that_pulse_knows() -> None:
    three = FactView("prio", up=True, why="", at_us=NOW - S, value=3)
    world = told(BEGUN, snapshot(LEADING, facts=(three,)))
    assert world.files == {"prio": FileView(3, "says 3", NOW - S)}
    assert orders(decided(world, FileRead("prio", 3, "says 3", NOW))[1]) == []
    assert told(BEGUN, snapshot(LEADING, facts=(replace(three, value=None),))).files == {}


# What it means


def test_nothing_is_known_in_the_beginning() -> None:
    assert [fact.name for fact in facts(BEGUN, NOW)] == ["nginx"]
    assert facts(begin(PLAN, NOW), NOW) == []


# fmt: off
AGAINST = {
    "all is well":        ((CheckRan("nginx", True, "", NOW),) * 2,           []),
    "weaker":             ((FAILED,),                                         [("nginx", False)]),
    "unfit":              ((CheckRan("disk", False, "full", NOW),),           [("disk", True)]),
    "reversed":           ((CheckRan("disk", True, "", NOW),),                [("disk", True)]),
    "a number and FAULT": ((FileRead("prio", 3, "says 3", NOW),),             [("prio", True)]),
    "no number":          ((FileRead("prio", 0, "is empty", NOW),),           []),
}
# fmt: on


@pytest.mark.parametrize(("events", "names"), AGAINST.values(), ids=AGAINST)
def test_what_speaks_against_this_node(events: tuple[Event, ...], names: list[tuple[str, bool]]) -> None:
    passing = {"nginx": CheckView(told(BEGUN, RAN, RAN).checks["nginx"].health, "", NOW)}
    world = told(replace(BEGUN, checks=passing), *events)
    if events[0] == FAILED:
        world = told(world, FAILED)
    assert [(name, unfit) for name, unfit, _ in against(world)] == names


def test_what_nobody_tracks_speaks_against_nobody() -> None:
    routers = tuple(replace(router, track=()) for router in RICH.routers)
    assert list(against(told(begin(replace(RICH, routers=routers), NOW), FAILED))) == []


def test_what_a_group_tracks_counts() -> None:
    plan = replace(
        PLAN,
        routers=(replace(PLAN.routers[0], track=()),),
        groups=(replace(RICH.groups[0], track=RICH.routers[0].track),),
    )
    assert [name for name, _, _ in against(told(begin(plan, NOW), CheckRan("disk", False, "", NOW)))] == ["disk"]
