from dataclasses import replace

import pytest

from firstmate.model.messages import ChildExited, ChildStarted, FactChanged, KillHaproxy
from firstmate.model.units import S
from firstmate.policy.health import Health
from firstmate.policy.life import (
    KILL_AGAIN_US,
    LEAVE_US,
    START_GRACE_US,
    Absent,
    Answered,
    Hung,
    Killing,
    Life,
    LifeAction,
    LifeEvent,
    Look,
    Missed,
    Serving,
    Silent,
    Starting,
    deadline_us,
    step,
    verdict,
)

NOW = 1_000 * S
FRESH = Health(rise=2, fall=2)
WELL = Health(2, 2, up=True, good=2, answered_start_us=NOW - 1)
ONE_MISS = replace(WELL, good=0, bad=1)
ONE_GOOD = Health(2, 2, good=1, answered_start_us=NOW - 1)

ABSENT = Absent("not started", NOW - S)
STARTING = Starting(3, 900, NOW - S, FRESH)
RISING = replace(STARTING, health=ONE_GOOD)
ADOPTED = replace(STARTING, since_us=NOW - 60 * S, health=Health(2, 2, bad=1))
SERVING = Serving(3, 900, NOW - S, WELL, 901, "2.6.12")
DOUBTED = replace(SERVING, health=ONE_MISS)
WHY = "HAProxy hangs: no answer"
HUNG = Hung(3, 900, NOW, WHY, NOW + LEAVE_US)
KILLING = Killing(3, 900, NOW, WHY, NOW + KILL_AGAIN_US)
RELOADS = replace(DOUBTED, reloads_until_us=NOW + 1)
RELOADED = replace(DOUBTED, reloads_until_us=NOW)
THEIRS = replace(DOUBTED, generation=0, pid=0)
SILENT = Silent(0, 0, NOW, Health(2, 2), WHY)

STARTED = ChildStarted("haproxy", 950, 4, NOW)
EXITED = ChildExited("haproxy", 900, 3, -9, 0, NOW)
OLD_EXIT = replace(EXITED, generation=2)
ANSWERED = Answered(NOW, 901, 900, "2.6.12")
ORPHAN = Answered(NOW, 801, 1, "2.6.12")
MISSED = Missed(NOW, "no answer")
LOOK = Look()

REBORN = Starting(4, 950, NOW, FRESH)
GONE = Absent("HAProxy killed by signal 9", NOW, 3)


def fact(why: str, *, up: bool = False, generation: int = 3) -> FactChanged:
    return FactChanged("haproxy", up=up, why=why, at_us=NOW, generation=generation)


DOWN, EXIT_DOWN, UP = fact(WHY), fact("HAProxy killed by signal 9"), fact("HAProxy 2.6.12 answers", up=True)
KILL = KillHaproxy(3, WHY)
NEVER = "HAProxy does not answer: no answer"
AGAIN_WELL = replace(FRESH, good=1, answered_start_us=NOW)

# fmt: off
RULES = {                  # given    when      leading  then                                     do
    "first start":          (ABSENT,   STARTED,  True,  REBORN,                                    []),
    "restart":              (KILLING,  STARTED,  True,  REBORN,                                    []),
    "start seen first":     (SERVING,  STARTED,  True,  REBORN,                                    []),
    "exit":                 (SERVING,  EXITED,   True,  GONE,                                      [EXIT_DOWN]),
    "exit of a hung one":   (HUNG,     EXITED,   True,  GONE,                                      [EXIT_DOWN]),
    "exit after our kill":  (KILLING,  EXITED,   True,  GONE,                                      [EXIT_DOWN]),
    "exit of an old one":   (SERVING,  OLD_EXIT, True,  SERVING,                                   []),
    "first answer":         (STARTING, ANSWERED, True,  replace(STARTING, health=AGAIN_WELL),      []),
    "second answer":        (RISING,   ANSWERED, True,  replace(SERVING, since_us=NOW, health=replace(WELL, answered_start_us=NOW)), [UP]),
    "not there yet":        (STARTING, MISSED,   True,  replace(STARTING, health=replace(FRESH, bad=1), why="no answer"), []),
    "well":                 (SERVING,  ANSWERED, True,  replace(SERVING, health=replace(WELL, answered_start_us=NOW)), []),
    "one miss":             (SERVING,  MISSED,   True,  DOUBTED,                                   []),
    "two misses, MASTER":   (DOUBTED,  MISSED,   True,  HUNG,                                      [DOWN]),
    "two misses, BACKUP":   (DOUBTED,  MISSED,   False, KILLING,                                   [DOWN, KILL]),
    "miss in a reload":     (RELOADS,  MISSED,   False, RELOADS,                                   []),
    "miss after a reload":  (RELOADED, MISSED,   False, KILLING,                                   [DOWN, KILL]),
    "orphan answers":       (DOUBTED,  ORPHAN,   True,  replace(HUNG, why="HAProxy hangs: an older HAProxy still answers"),
                                                               [fact("HAProxy hangs: an older HAProxy still answers")]),
    "never answered":       (ADOPTED,  MISSED,   True,  replace(HUNG, why=NEVER),                  [fact(NEVER)]),
    "routers left":         (HUNG,     LOOK,     False, KILLING,                                   [KILL]),
    "routers stay":         (HUNG,     LOOK,     True,  HUNG,                                      []),
    "hung, still missing":  (HUNG,     MISSED,   True,  HUNG,                                      []),
    "hung, answers again":  (HUNG,     ANSWERED, True,  Starting(3, 900, NOW, AGAIN_WELL, "answers again"), []),
    "killed, no exit yet":  (KILLING,  LOOK,     False, KILLING,                                   []),
    "killed, answers":      (KILLING,  ANSWERED, False, KILLING,                                   []),
    "theirs hangs":         (THEIRS,   MISSED,   True,  SILENT,                                    [fact(WHY, generation=0)]),
    "theirs stays silent":  (SILENT,   MISSED,   True,  replace(SILENT, why="no answer"),          []),
    "theirs answers once":  (SILENT,   ANSWERED, True,  replace(SILENT, health=AGAIN_WELL),        []),
    "nothing to look at":   (SERVING,  LOOK,     True,  SERVING,                                   []),
    "answer of nobody":     (ABSENT,   ANSWERED, True,  ABSENT,                                    []),
    "miss of nobody":       (ABSENT,   MISSED,   True,  ABSENT,                                    []),
}
# fmt: on


@pytest.mark.parametrize(("given", "when", "leading", "then", "do"), RULES.values(), ids=RULES)
def test_rule(given: Life, when: LifeEvent, leading: bool, then: Life, do: list[LifeAction]) -> None:
    assert step(given, when, FRESH, NOW, leading=leading) == (then, do)


def test_the_order_is_down_first_then_kill() -> None:
    _, actions = step(DOUBTED, MISSED, FRESH, NOW, leading=False)
    assert [type(action) for action in actions] == [FactChanged, KillHaproxy]


def test_a_router_that_will_not_leave_holds_up_the_kill_no_longer_than_allowed() -> None:
    assert step(HUNG, LOOK, FRESH, NOW + LEAVE_US - 1, leading=True) == (HUNG, [])
    _, actions = step(HUNG, LOOK, FRESH, NOW + LEAVE_US, leading=True)
    assert actions == [KILL]


def test_an_order_to_kill_that_was_lost_is_given_again() -> None:
    life, actions = step(KILLING, LOOK, FRESH, KILLING.again_at_us, leading=False)
    assert actions == [KILL]
    assert deadline_us(life) == KILLING.again_at_us + KILL_AGAIN_US


def test_a_start_takes_its_time() -> None:
    started = replace(STARTING, since_us=NOW, health=Health(2, 2, bad=1))
    life, actions = step(started, MISSED, FRESH, NOW + START_GRACE_US - 1, leading=True)
    assert (type(life), actions) == (Starting, [])
    life, _ = step(life, MISSED, FRESH, NOW + START_GRACE_US, leading=True)
    assert isinstance(life, Hung)


def test_somebody_elses_is_never_killed_and_comes_back() -> None:
    looking: Life = Starting(0, 0, NOW, FRESH)
    life, _ = step(looking, MISSED, FRESH, NOW, leading=True)
    life, actions = step(life, MISSED, FRESH, NOW, leading=True)
    assert isinstance(life, Silent)
    assert actions == [fact(NEVER, generation=0)]
    life, _ = step(life, ANSWERED, FRESH, NOW, leading=True)
    life, actions = step(life, replace(ANSWERED, started_us=NOW + 1), FRESH, NOW, leading=True)
    assert isinstance(life, Serving)
    assert actions == [fact("HAProxy 2.6.12 answers", up=True, generation=0)]


@pytest.mark.parametrize(
    ("answer", "ours"),
    [
        (ANSWERED, True),
        (ORPHAN, False),
        (Answered(NOW, 900, 1, "2.6.12"), True),  # without a master it is itself the child
        (Answered(NOW, 801, None, "2.6.12"), True),  # /proc is hidden: the supervisor swept up the one before
    ],
)
def test_only_the_haproxy_started_last_counts(answer: Answered, ours: bool) -> None:
    life, _ = step(STARTING, answer, FRESH, NOW, leading=True)
    assert isinstance(life, Starting)
    assert (life.health.good == 1) is ours


def test_an_exit_for_good_says_so() -> None:
    life, _ = step(SERVING, replace(EXITED, restart_in_us=None), FRESH, NOW, leading=True)
    assert life == Absent("HAProxy killed by signal 9 and is not started again", NOW, 3)


# fmt: off
VERDICTS = {
    "serving": (SERVING,  fact("", up=True)),
    "hung":    (HUNG,     DOWN),
    "killing": (KILLING,  DOWN),
    "silent":  (SILENT,   fact(WHY, generation=0)),
    "gone":    (GONE,     EXIT_DOWN),
    "unknown": (ABSENT,   None),
    "starting":(STARTING, None),
}
# fmt: on


@pytest.mark.parametrize(("life", "then"), VERDICTS.values(), ids=VERDICTS)
def test_verdict(life: Life, then: FactChanged | None) -> None:
    assert verdict(life, NOW) == then


def test_only_waits_have_deadlines() -> None:
    assert (deadline_us(SERVING), deadline_us(HUNG)) == (None, NOW + LEAVE_US)
