from dataclasses import replace

import pytest
from tests.rules.policy.example import (
    DISK_UP,
    LEADING,
    NOW,
    PLAN,
    UP,
    VIEW,
    answer,
    decided,
    orders,
    serving,
    snapshot,
    texts,
    told,
)

from firstmate.model.messages import (
    Beat,
    ChildExited,
    ChildStarted,
    FactChanged,
    FactView,
    HandOver,
    KillHaproxy,
    Notice,
    RouterState,
    StartHaproxy,
    Transition,
    WantSnapshot,
)
from firstmate.model.plan import HaproxyPlan, HaproxyRun, Plan
from firstmate.model.problems import Problem
from firstmate.model.units import MS, S, Micros
from firstmate.policy.decide import PREPARE_AGAIN_US, deadline_us, decide
from firstmate.policy.life import LEAVE_US, RELOAD_GRACE_US, Absent, Hung, Killing, Missed, Serving, Starting
from firstmate.policy.sightings import SETTLE_US, TELL_AGAIN_US
from firstmate.policy.world import (
    NOTICES_MAX,
    CheckRan,
    ConfigAccepted,
    ConfigRefused,
    Drain,
    PlanLoaded,
    Prepare,
    Record,
    ServersSeen,
    ServerView,
    Tick,
    begin,
)

ACCEPTED = ConfigAccepted("/usr/sbin/haproxy", "2.6.12", "/run/firstmate/ops/haproxy.cfg", "d1")
REFUSED = ConfigRefused((Problem("E410", "HAProxy refuses this: unknown keyword 'x'", file="f.toml", line=3),))
EXTERNAL = replace(PLAN, haproxy=HaproxyPlan(run=HaproxyRun.EXTERNAL, socket="/run/haproxy.sock"))
WITHOUT = replace(PLAN, haproxy=None, checks=())
EXIT = ChildExited("haproxy", 900, 1, -9, 0, NOW)
TO_FAULT = Transition(2, NOW, "web", 7, RouterState.MASTER, RouterState.FAULT, "HAProxy hangs", 1)
TO_MASTER = Transition(2, NOW, "web", 7, RouterState.BACKUP, RouterState.MASTER, "192.0.2.11 said priority 0", 2)


def test_a_reload_may_silence_haproxy_for_a_while() -> None:
    """A port that is taken lets HAProxy pause and try for two seconds: it must not be killed for that."""
    world = told(serving(), ACCEPTED)
    for number in range(20):
        world, actions = decide(world, missed(NOW + number), NOW + number)
        assert actions == []
    assert isinstance(world.life, Serving)
    later_us = NOW + RELOAD_GRACE_US
    world, _ = decide(world, missed(later_us), later_us)
    assert decide(world, missed(later_us + 1), later_us + 1)[1]


def missed(started_us: Micros) -> Missed:
    return Missed(started_us, "no answer within 250 ms")


# The plan and HAProxy's configuration


def test_a_start_asks_pulse_and_prepares_haproxy() -> None:
    _, actions = decided(begin(PLAN, NOW), PlanLoaded(PLAN))
    assert orders(actions) == [WantSnapshot(), Prepare()]


def test_a_start_says_nothing_of_haproxy_to_pulse() -> None:
    """ops was restarted, and HAProxy serves: a word too early would move the addresses."""
    _, actions = decided(begin(PLAN, NOW), PlanLoaded(PLAN), snapshot(LEADING), Tick(), ACCEPTED)
    assert not [action for action in actions if isinstance(action, FactChanged)]


def test_what_was_accepted_is_started() -> None:
    world, actions = decided(begin(PLAN, NOW), ACCEPTED)
    assert orders(actions) == [StartHaproxy("/usr/sbin/haproxy", "/run/firstmate/ops/haproxy.cfg", "d1")]
    assert world.config == ACCEPTED


def test_an_answer_to_a_plan_of_before_starts_nothing() -> None:
    assert decided(begin(WITHOUT, NOW), ACCEPTED)[1] == []


def test_a_refusal_at_start_makes_the_node_unfit_and_is_tried_again() -> None:
    world, actions = decided(begin(PLAN, NOW), REFUSED)
    why = "HAProxy refuses this: unknown keyword 'x'"
    assert orders(actions) == [FactChanged("haproxy", up=False, why=why, at_us=NOW)]
    assert texts(actions) == [f"f.toml:3: {why}"]
    assert deadline_us(world) == NOW + PREPARE_AGAIN_US
    later, actions = decided(world, Tick(beat=False), now_us=NOW + PREPARE_AGAIN_US)
    assert (actions, deadline_us(later)) == ([Prepare()], None)


def test_a_refusal_later_leaves_haproxy_as_it_is() -> None:
    world, actions = decided(serving(), PlanLoaded(PLAN), REFUSED)
    assert orders(actions) == [Prepare()]
    assert isinstance(world.life, Serving)
    assert world.problems == REFUSED.problems
    assert told(world, ACCEPTED).problems == ()


@pytest.mark.parametrize(("file", "line", "text"), [("", 0, "t"), ("f", 0, "f: t"), ("f", 2, "f:2: t")])
def test_a_refusal_says_where(file: str, line: int, text: str) -> None:
    _, actions = decided(serving(), ConfigRefused((Problem("E401", "t", file=file, line=line),)))
    assert texts(actions) == [text]


def test_somebody_elses_haproxy_is_only_watched() -> None:
    world, actions = decided(begin(EXTERNAL, NOW), PlanLoaded(EXTERNAL))
    assert orders(actions) == [WantSnapshot()]
    assert isinstance(world.life, Starting)
    world, actions = decided(world, answer(NOW, parent=1), answer(NOW + 1, parent=1))
    assert orders(actions) == [FactChanged("haproxy", up=True, why="HAProxy 2.6.12 answers", at_us=NOW)]
    again, _ = decided(world, PlanLoaded(EXTERNAL))
    assert again.life == world.life, "a reload that changes nothing here disturbs nothing"
    _, actions = decided(world, missed(NOW + 2), missed(NOW + 3))
    assert [type(action) for action in orders(actions)] == [FactChanged], "and never killed"


def test_a_node_without_haproxy() -> None:
    world, actions = decided(begin(WITHOUT, NOW), PlanLoaded(WITHOUT), snapshot(VIEW), Tick(), answer())
    assert [action for action in actions if not isinstance(action, Record)] == [WantSnapshot(), Beat(NOW, "none", "?")]
    assert isinstance(world.life, Absent)


# HAProxy's life


def test_up_after_rise_answers() -> None:
    started = ChildStarted("haproxy", 900, 1, NOW - 150 * MS)
    world, actions = decided(begin(PLAN, NOW), started, answer())
    assert texts(actions) == ["HAProxy started, pid 900"]
    _, actions = decided(world, answer(NOW + 1))
    up = FactChanged("haproxy", up=True, why="HAProxy 2.6.12 answers", at_us=NOW, generation=1)
    assert orders(actions) == [up]
    assert texts(actions) == ["HAProxy 2.6.12 answers, 150 ms after it began"]


def test_a_hang_down_first_then_the_routers_leave_then_the_kill() -> None:
    world, actions = decided(serving(), missed(NOW + 2), missed(NOW + 3))
    why = "HAProxy hangs: no answer within 250 ms"
    assert orders(actions) == [FactChanged("haproxy", up=False, why=why, at_us=NOW, generation=1)]
    assert isinstance(world.life, Hung)
    assert deadline_us(world) == NOW + LEAVE_US
    world, actions = decided(world, TO_FAULT)
    assert orders(actions) == [KillHaproxy(1, why)]
    assert texts(actions) == [
        "web: lb-a FAULT (was MASTER): HAProxy hangs",
        "the addresses are gone from here; HAProxy is killed",
    ]
    assert isinstance(actions[0], KillHaproxy), "what is told comes after what is done"
    assert isinstance(world.life, Killing)


def test_a_hang_on_a_backup_is_killed_at_once() -> None:
    _, actions = decided(serving(PLAN, VIEW), missed(NOW + 2), missed(NOW + 3))
    assert [type(action) for action in orders(actions)] == [FactChanged, KillHaproxy]
    assert len(texts(actions)) == 1


def test_a_hang_with_a_silent_pulse_is_killed_after_a_while() -> None:
    world, _ = decided(serving(), missed(NOW + 2), missed(NOW + 3))
    assert decide(world, Tick(beat=False), NOW + LEAVE_US - 1)[1] == []
    _, actions = decide(world, Tick(beat=False), NOW + LEAVE_US)
    assert [type(action) for action in orders(actions)] == [KillHaproxy]
    assert texts(actions) == ["the addresses did not leave in time; HAProxy is killed"]


def test_a_hang_that_ends_by_itself_is_left_alone() -> None:
    world, _ = decided(serving(), missed(NOW + 2), missed(NOW + 3))
    world, actions = decided(world, answer(NOW + 4), answer(NOW + 5))
    assert [action.up for action in orders(actions) if isinstance(action, FactChanged)] == [True]
    assert texts(actions)[0] == "HAProxy answers again and is left alone"
    assert deadline_us(world) is None


@pytest.mark.parametrize(
    ("pause", "text"),
    [
        (0, "HAProxy killed by signal 9; started again at once"),
        (20, "HAProxy killed by signal 9; started again at once"),
        (400 * MS, "HAProxy killed by signal 9; started again in 400 ms"),
        (None, "HAProxy killed by signal 9 and is not started again"),
    ],
)
def test_an_exit_is_told_and_counted(pause: Micros | None, text: str) -> None:
    world, actions = decided(serving(), replace(EXIT, restart_in_us=pause))
    assert texts(actions) == [text]
    assert world.restarts == 1
    assert world.servers == ()
    assert told(world, replace(EXIT, generation=0)).restarts == 1, "an older one is not counted again"


def test_an_exit_that_gave_its_reason() -> None:
    exited = replace(EXIT, status=1, why="port 80 is taken")
    world, actions = decided(serving(), exited)
    assert texts(actions) == ["HAProxy ended: port 80 is taken; started again at once"]
    assert isinstance(world.life, Absent)
    assert world.life.why == "HAProxy ended: port 80 is taken"


def test_servers_that_fall_and_rise_are_told_once() -> None:
    down = ServersSeen((ServerView("web", "web1", False, "DOWN", "L4CON Connection refused"),))
    bare = ServersSeen((ServerView("web", "web1", False, "MAINT", ""),))
    up = ServersSeen((ServerView("web", "web1", True, "UP", ""),))
    world, actions = decided(serving(), down, down, bare)
    assert texts(actions) == ["web/web1 is DOWN: L4CON Connection refused"]
    world, actions = decided(world, up, up)
    assert texts(actions) == ["web/web1 is UP again"]
    assert texts(decided(world, bare)[1]) == ["web/web1 is MAINT"]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (ChildStarted("pulse", 5, 2, NOW), "pulse started, pid 5"),
        (ChildExited("pulse", 5, 2, 1, 0, NOW), "pulse exit 1"),
    ],
)
def test_other_children_are_only_told_of(event: ChildStarted | ChildExited, text: str) -> None:
    world, actions = decided(serving(), event)
    assert (world, texts(actions), orders(actions)) == (serving(), [text], [])


# What pulse says


def test_a_transition_is_a_line_of_the_log() -> None:
    world, actions = decided(serving(PLAN, VIEW), TO_MASTER)
    (record,) = actions
    assert isinstance(record, Record)
    assert record.text == "web: lb-a MASTER (was BACKUP): lb-b said priority 0"
    assert (record.event, record.level) == ("transition", "notice")
    assert record.fields["epoch"] == 2
    assert world.states == {"web": RouterState.MASTER}
    assert world.masters["web"].node == "lb-a"
    _, (fault, *_) = decided(world, replace(TO_FAULT, seq=3))
    assert isinstance(fault, Record)
    assert fault.level == "warning"


def test_a_gap_asks_for_the_whole() -> None:
    assert WantSnapshot() not in decided(serving(), replace(TO_MASTER, seq=2))[1]
    assert WantSnapshot() in decided(serving(), replace(TO_MASTER, seq=3))[1]
    assert WantSnapshot() not in decided(begin(PLAN, NOW), replace(TO_MASTER, seq=30))[1]


def test_notices_are_kept_and_told() -> None:
    notices = [Notice(n, NOW, "vrid-clash", f"a foreign router uses vrid {n}") for n in range(2, 50)]
    world, actions = decided(serving(), *notices)
    assert texts(actions)[0] == "a foreign router uses vrid 2"
    assert len(world.notices) == NOTICES_MAX
    assert texts(decided(world, Notice(50, NOW, "one-way-link", "192.0.2.11 does not hear us"))[1]) == [
        "lb-b does not hear us"
    ]


# fmt: off
FACTS = {                       # pulse knows                                 it is told
    "all well":                  ((UP, DISK_UP),                                []),
    "restarted":                 ((),                                           ["haproxy", "disk"]),
    "believes it down":          ((replace(UP, up=False, at_us=NOW - SETTLE_US), DISK_UP), ["haproxy"]),
    "heard of an exit just now": ((replace(UP, up=False), DISK_UP),             []),
    "believes a check fails":    ((UP, replace(DISK_UP, up=False, at_us=0)),    ["disk"]),
}
# fmt: on


@pytest.mark.parametrize(("facts", "again"), FACTS.values(), ids=FACTS)
def test_pulse_is_told_again_what_it_should_know(facts: tuple[FactView, ...], again: list[str]) -> None:
    world = replace(told(serving(), CheckRan("disk", True, "fine", NOW)), told_at_us=None)
    _, actions = decided(world, snapshot(LEADING, facts=facts))
    assert [action.name for action in actions if isinstance(action, FactChanged)] == again


def test_pulse_is_told_of_a_fault_at_once() -> None:
    world = told(serving(), EXIT)
    _, actions = decided(world, snapshot(LEADING, facts=(UP,)))
    assert [action.up for action in actions if isinstance(action, FactChanged)] == [False]


def test_pulse_is_not_told_again_and_again() -> None:
    world, actions = decided(serving(), snapshot(LEADING, facts=()))
    assert len(orders(actions)) == 1
    assert decide(world, snapshot(LEADING, facts=()), NOW + TELL_AGAIN_US - 1)[1] == []
    assert decide(world, snapshot(LEADING, facts=()), NOW + TELL_AGAIN_US)[1] != []
    assert decide(world, snapshot(LEADING, facts=(), pid=51), NOW + 1)[1] != [], "but a new pulse is"


def test_since_when_somebody_is_master() -> None:
    world = told(begin(PLAN, NOW), snapshot(VIEW))
    assert (world.masters["web"].node, world.masters["web"].since_us) == ("lb-b", VIEW.since_us)
    world = told(world, snapshot(LEADING), now_us=NOW + S)
    assert (world.masters["web"].node, world.masters["web"].since_us) == ("lb-a", LEADING.since_us)
    world = told(world, snapshot(replace(VIEW, heard_at_us=NOW + 2 * S)), now_us=NOW + 2 * S)
    assert (world.masters["web"].node, world.masters["web"].since_us) == ("lb-b", NOW + 2 * S)
    again = told(world, snapshot(replace(VIEW, heard_at_us=NOW + 3 * S)), now_us=NOW + 3 * S)
    assert again.masters == world.masters


# Checks and time


def ran(ok: bool, at_us: Micros = NOW) -> CheckRan:
    return CheckRan("disk", ok, "disk is full" if not ok else "", at_us)


def test_the_first_run_of_a_check_is_told() -> None:
    _, actions = decided(serving(), ran(True))
    assert orders(actions) == [FactChanged("disk", up=True, why='check "disk" passes', at_us=NOW)]
    _, actions = decided(serving(), ran(False))
    why = 'check "disk" fails: disk is full'
    assert orders(actions) == [FactChanged("disk", up=False, why=why, at_us=NOW)]
    assert texts(actions) == [why]


def test_a_check_falls_and_rises_as_planned() -> None:
    world = told(serving(), ran(True))
    falls = []
    for n in range(1, 4):
        world, actions = decided(world, ran(False, NOW + n))
        falls.append(bool(actions))
    assert falls == [False, False, True]
    rises = []
    for n in range(4, 6):
        world, actions = decided(world, ran(True, NOW + n))
        rises.append(bool(actions))
    assert rises == [False, True]


def test_a_check_that_a_reload_left_out_says_no_more() -> None:
    plan: Plan = replace(PLAN, checks=())
    world = told(told(serving(), ran(True)), PlanLoaded(plan))
    assert world.checks == {}
    assert decided(world, ran(False)) == (world, [])


def test_peers_hear_of_a_change_at_once() -> None:
    world, actions = decided(serving(), missed(NOW + 2), missed(NOW + 3), TO_FAULT)
    assert [action for action in actions if isinstance(action, Beat)] == [Beat(NOW, "down: hangs", "?")]
    actions = decided(world, EXIT)[1]
    assert [action for action in actions if isinstance(action, Beat)] == [Beat(NOW, "down: killed by signal 9", "?")]


def test_a_planned_handover_drains_haproxy() -> None:
    world = serving()
    assert decided(world, HandOver(12_345)) == (world, [Drain(12_345)])


def test_a_beat_each_second_says_what_we_are() -> None:
    assert decided(serving(), Tick())[1] == [Beat(NOW, "2.6.12 up", "2/2")]
    assert decided(serving(), Tick(beat=False))[1] == []
