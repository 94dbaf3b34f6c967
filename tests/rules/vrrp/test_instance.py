from collections.abc import Iterable
from copy import copy
from dataclasses import replace
from ipaddress import IPv4Address
from itertools import product

import pytest
from hypothesis import given as hypothetically
from hypothesis import strategies as st
from tests.rules.vrrp.example import DOWN, LOWER, NOW, OURS, PEER, PLAN, SKEW, STRANGER

from firstmate.model.messages import RouterState
from firstmate.model.plan import OWNER, VrrpPlan
from firstmate.model.units import MS, S, Micros
from firstmate.vrrp.instance import (
    STATE_NAMES,
    Action,
    Addresses,
    Advertise,
    Backup,
    Event,
    Fault,
    Heard,
    Initialize,
    Instance,
    Master,
    PeerGone,
    Reprioritized,
    Signal,
    State,
    Unfit,
)

START, STOP, TIMER, LEAD, FOLLOW = Signal
CLAIM, RELEASE, ANNOUNCE, CONTEST = Addresses
SICK = Unfit("haproxy is down")


def heard(priority: int, sender: IPv4Address = PEER, interval_us: Micros = S) -> Heard:
    return Heard(priority, interval_us, sender)


IDLE, ILL = Initialize(), Fault("haproxy is down")
ALONE, OBEYS, RESIGNED = Backup(S, NOW), Backup(S, NOW, heard(101)), Backup(S, NOW, heard(0))
MASTER = Master(NOW)
READY = Backup(S, NOW, ready="no MASTER heard")
WAITING, LEADING = Backup(S, NOW + DOWN), Master(NOW + S)
FRESH, SOON = Backup(S, NOW + DOWN, heard(101)), Backup(S, NOW + 1, heard(101))
OWN, V2 = replace(PLAN, priority=OWNER), replace(PLAN, version=2)
MEEK, PATIENT = replace(PLAN, preempt=False), replace(PLAN, preempt_delay_us=5 * S)


def obeying(master: Heard) -> Backup:
    return Backup(S, NOW + DOWN, master)


# fmt: off
RULES = {  # RFC 5798              given     when                       then                              do
    "6.4.1 C63 start":           (IDLE,     START,                     WAITING,                          []),
    "6.4.2 C53 silence":         (ALONE,    TIMER,                     LEADING,                          [Advertise(100), CLAIM]),
    "6.4.2 master silent":       (OBEYS,    TIMER,                     LEADING,                          [Advertise(100), CLAIM]),
    "6.4.2 after priority 0":    (RESIGNED, TIMER,                     LEADING,                          [Advertise(100), CLAIM]),
    "6.4.2 C57 resigned":        (FRESH,    heard(0),                  Backup(S, NOW + SKEW, heard(0)),  []),
    "ours: another resigned":    (FRESH,    heard(0, LOWER),           FRESH,                            []),
    "ours: another resigned too": (RESIGNED, heard(0, LOWER),          Backup(S, NOW, heard(0, LOWER)),  []),
    "ours: resigned, later than silence": (SOON, heard(0),            Backup(S, NOW + 1, heard(0)),     []),
    "6.4.2 resigned, unheard":   (WAITING,  heard(0),                  Backup(S, NOW + SKEW, heard(0)),  []),
    "6.4.2 C65 weaker":          (OBEYS,    heard(99),                 Backup(S, NOW, heard(99), NOW, NOW), []),
    "6.4.2 C64 equal, higher":   (ALONE,    heard(100),                obeying(heard(100)),              []),
    "6.4.2 C64 equal, lower":    (ALONE,    heard(100, LOWER),         obeying(heard(100, LOWER)),       []),
    "6.4.2 stronger":            (ALONE,    heard(101),                obeying(heard(101)),              []),
    "6.4.2 C67 stop":            (OBEYS,    STOP,                      IDLE,                             []),
    "6.4.3 interval":            (MASTER,   TIMER,                     LEADING,                          [Advertise(100)]),
    "6.4.3 C73 resigned":        (MASTER,   heard(0),                  LEADING,                          [Advertise(100), ANNOUNCE]),
    "6.4.3 C70 tie, high":       (MASTER,   heard(100),                obeying(heard(100)),              [Advertise(100), RELEASE]),
    "6.4.3 C45 our echo":        (MASTER,   heard(100, OURS),          MASTER,                           []),
    "6.4.3 C69 stronger":        (MASTER,   heard(101),                obeying(heard(101)),              [Advertise(100), RELEASE]),
    "6.4.3 stronger, low":       (MASTER,   heard(101, LOWER),         obeying(heard(101, LOWER)),       [Advertise(100), RELEASE]),
    "6.4.3 C68 stop":            (MASTER,   STOP,                      IDLE,                             [Advertise(0), RELEASE]),
    "9568 C74 weaker":           (MASTER,   heard(99),                 LEADING,                          [Advertise(100), CONTEST]),
    "9568 C70 tie, low":         (MASTER,   heard(100, LOWER),         LEADING,                          [Advertise(100), CONTEST]),
    "ours: unfit idle":          (IDLE,     SICK,                      ILL,                              []),
    "ours: unfit again":         (ILL,      Unfit("link"),             Fault("link"),                    []),
    "ours: unfit backup":        (OBEYS,    SICK,                      ILL,                              []),
    "ours: unfit master":        (MASTER,   SICK,                      ILL,                              [Advertise(0), RELEASE]),
    "ours: fit again":           (ILL,      START,                     WAITING,                          []),
    "ours: stop in fault":       (ILL,      STOP,                      IDLE,                             []),
    "ours: master's host says":  (FRESH,    PeerGone(PEER),            Backup(S, NOW + SKEW, heard(0), bereaved=True), []),
    "ours: another's host says": (OBEYS,    PeerGone(LOWER),           OBEYS,                            []),
    "ours: nobody's host says":  (ALONE,    PeerGone(PEER),            ALONE,                            []),
    "discard C81 idle hears":    (IDLE,     heard(255),                IDLE,                             []),
    "discard C81 idle hears 0":  (IDLE,     heard(0),                  IDLE,                             []),
    "discard idle timer":        (IDLE,     TIMER,                     IDLE,                             []),
    "discard idle stop":         (IDLE,     STOP,                      IDLE,                             []),
    "discard idle peer gone":    (IDLE,     PeerGone(PEER),            IDLE,                             []),
    "discard ill hears":         (ILL,      heard(99),                 ILL,                              []),
    "discard ill timer":         (ILL,      TIMER,                     ILL,                              []),
    "discard ill peer gone":     (ILL,      PeerGone(PEER),            ILL,                              []),
    "discard second start 1":    (OBEYS,    START,                     OBEYS,                            []),
    "discard second start 2":    (MASTER,   START,                     MASTER,                           []),
    "discard master peer gone":  (MASTER,   PeerGone(PEER),            MASTER,                           []),
    "ours: group is ready":      (READY,    LEAD,                      LEADING,                          [Advertise(100), CLAIM]),
    "ours: group, not ready":    (OBEYS,    LEAD,                      OBEYS,                            []),
    "ours: group ends":          (MASTER,   FOLLOW,                    WAITING,                          [Advertise(0), RELEASE]),
    "discard group of an idle":  (IDLE,     LEAD,                      IDLE,                             []),
    "discard group of an ill":   (ILL,      LEAD,                      ILL,                              []),
    "discard group leads":       (MASTER,   LEAD,                      MASTER,                           []),
    "discard end, idle":         (IDLE,     FOLLOW,                    IDLE,                             []),
    "discard end, ill":          (ILL,      FOLLOW,                    ILL,                              []),
    "discard end, backup":       (OBEYS,    FOLLOW,                    OBEYS,                            []),
    "priority, idle":            (IDLE,     Reprioritized(200),        IDLE,                             []),
    "priority, ill":             (ILL,      Reprioritized(200),        ILL,                              []),
    "priority, master":          (MASTER,   Reprioritized(200),        MASTER,                           []),
    "priority moves the timer":  (FRESH,    Reprioritized(200),        Backup(S, NOW + DOWN - 390_625, heard(101)), []),
}
EARLY, EARLY_M = Backup(S, NOW + 1, heard(101)), Master(NOW + 1)
BORNE, DONE = Backup(S, NOW + DOWN, heard(99), NOW + 1), Backup(S, NOW, heard(99), NOW)
TIMES = {  # the same with another plan, or another time
    "timer before time, backup": (PLAN, EARLY,    TIMER,                     EARLY,                            []),
    "timer before time, master": (PLAN, EARLY_M,  TIMER,                     EARLY_M,                          []),
    "timer late by less than an interval": (PLAN, Master(NOW - S + 1), TIMER, Master(NOW + 1),                 [Advertise(100)]),
    "timer late by an interval": (PLAN, Master(NOW - S), TIMER,              LEADING,                          [Advertise(100)]),
    "answer before time":        (PLAN, EARLY_M,  heard(0),                  LEADING,                          [Advertise(100), ANNOUNCE]),
    "C62 owner starts":          (OWN,  IDLE,     START,                     LEADING,                          [Advertise(255), CLAIM]),
    "C62 owner fit again":       (OWN,  ILL,      START,                     LEADING,                          [Advertise(255), CLAIM]),
    "C76 owner outranked":       (OWN,  MASTER,   heard(255),                Backup(S, NOW + 3 * S + 3906, heard(255)), [Advertise(255), RELEASE]),
    "owner hears another":       (OWN,  MASTER,   heard(254),                LEADING,                          [Advertise(255), CONTEST]),
    "owner preempts in spite":   (replace(OWN, preempt=False), ALONE, heard(254), Backup(S, NOW, heard(254), NOW, NOW), []),
    "C66 meek bears weaker":     (MEEK, ALONE,    heard(1),                  obeying(heard(1)),                []),
    "C66 meek hears priority 0": (MEEK, FRESH,    heard(0),                  Backup(S, NOW + SKEW, heard(0)),  []),
    "C75 meek master loses":     (MEEK, MASTER,   heard(101),                obeying(heard(101)),              [Advertise(100), RELEASE]),
    "meek master corrects":      (MEEK, MASTER,   heard(99),                 LEADING,                          [Advertise(100), CONTEST]),
    "C78 delay begins":          (PATIENT, ALONE, heard(99),                 replace(obeying(heard(99)), preempt_at_us=NOW + 5 * S), []),
    "C78 delay runs":            (PATIENT, BORNE, heard(98),                 replace(obeying(heard(98)), preempt_at_us=NOW + 1), []),
    "C78 delay is over":         (PATIENT, DONE,  heard(98),                 Backup(S, NOW, heard(98), NOW, NOW), []),
    "C79 delay ends by a stronger": (PATIENT, BORNE, heard(200),             obeying(heard(200)),              []),
    "delay and priority 0":      (PATIENT, BORNE, heard(0),                  Backup(S, NOW + SKEW, heard(0), NOW + 1), []),
    "C55 learns the interval":   (PLAN, ALONE,    heard(101, PEER, 100 * MS), Backup(100 * MS, NOW + 360_937, heard(101, PEER, 100 * MS)), []),
    "C69 learns when it loses":  (PLAN, MASTER,   heard(101, PEER, 100 * MS), Backup(100 * MS, NOW + 360_937, heard(101, PEER, 100 * MS)), [Advertise(100), RELEASE]),
    "C56 skew of the learned":   (PLAN, Backup(100 * MS, NOW + S, heard(101)), heard(0), Backup(100 * MS, NOW + 60_937, heard(0)), []),
    "C60 0 teaches nothing":     (PLAN, FRESH,    heard(0, PEER, 50 * MS),   Backup(S, NOW + SKEW, heard(0, PEER, 50 * MS)), []),
    "v2 learns nothing":         (V2,   ALONE,    heard(101, PEER, 2 * S),   obeying(heard(101, PEER, 2 * S)), []),
    "C59 leads by its own":      (PLAN, Backup(100 * MS, NOW), TIMER,        LEADING,                          [Advertise(100), CLAIM]),
    "C72 tie is unsigned":       (replace(PLAN, source=IPv4Address("100.0.0.1")), MASTER, heard(100, IPv4Address("200.0.0.1")), obeying(heard(100, IPv4Address("200.0.0.1"))), [Advertise(100), RELEASE]),
}
LONG = NOW - DOWN - 1
SLEPT_M, SLEPT_B = Master(LONG), Backup(S, LONG, heard(101))
PAUSED = {  # woken up more than a down interval late: listen first
    "master, timer":      (SLEPT_M, TIMER,          WAITING,                          [Advertise(0), RELEASE]),
    "master, stronger":   (SLEPT_M, heard(101),     obeying(heard(101)),              [Advertise(0), RELEASE]),
    "master, weaker":     (SLEPT_M, heard(99),      Backup(S, NOW + DOWN, heard(99), NOW, NOW), [Advertise(0), RELEASE]),
    "master, resigned":   (SLEPT_M, heard(0),       Backup(S, NOW + SKEW, heard(0)),  [Advertise(0), RELEASE]),
    "master, unfit":      (SLEPT_M, SICK,           ILL,                              [Advertise(0), RELEASE]),
    "master, stop":       (SLEPT_M, STOP,           IDLE,                             [Advertise(0), RELEASE]),
    "backup, timer":      (SLEPT_B, TIMER,          WAITING,                          []),
    "backup, stronger":   (SLEPT_B, heard(101),     obeying(heard(101)),              []),
    "backup, peer gone":  (SLEPT_B, PeerGone(PEER), WAITING,                          []),
    "backup, learned":    (Backup(10 * MS, NOW - 36_094), TIMER, WAITING,             []),
    "not yet, master":    (Master(LONG + 1), TIMER, LEADING,                          [Advertise(100)]),
    "not yet, backup":    (Backup(S, LONG + 1), TIMER, LEADING,                       [Advertise(100), CLAIM]),
    "not yet, learned":   (Backup(10 * MS, NOW - 36_093), TIMER, LEADING,             [Advertise(100), CLAIM]),
}
WHY = {
    "start":            (IDLE,     [START],      "started"),
    "fit again":        (ILL,      [START],      "fit again"),
    "alone":            (ALONE,    [TIMER],      "no MASTER heard for 3.6 s"),
    "silence":          (OBEYS,    [TIMER],      "no heartbeat of 192.0.2.77 for 3.6 s"),
    "resigned":         (OBEYS,    [heard(0)],   "not started"),
    "after priority 0": (RESIGNED, [TIMER],      "192.0.2.77 said priority 0"),
    "another, after host refuses": (replace(RESIGNED, bereaved=True), [heard(99, LOWER), TIMER],
                         "preempts 192.0.2.9, which has priority 99"),
    "host refuses":     (replace(RESIGNED, bereaved=True), [TIMER],
                                                 "the host of 192.0.2.77 refuses: nobody advertises there any more"),
    "preempts":         (ALONE,    [heard(99), TIMER], "preempts 192.0.2.77, which has priority 99"),
    "outranked":        (MASTER,   [heard(101)], "192.0.2.77 has priority 101, ours is 100"),
    "unfit":            (MASTER,   [SICK],       "haproxy is down"),
    "stop":             (MASTER,   [STOP],       "stopped"),
    "paused":           (SLEPT_M,  [TIMER],      "woke up 3.6 s late: listens before it acts as MASTER again"),
}
# fmt: on


def check(plan: VrrpPlan, given: State, when: Event, then: State, do: list[Action]) -> None:
    instance = Instance(plan)
    instance.state = copy(given)  # a state may change in place
    assert (instance.handle(when, NOW), instance.state) == (do, then)


@pytest.mark.parametrize(("given", "when", "then", "do"), RULES.values(), ids=RULES)
def test_rule(given: State, when: Event, then: State, do: list[Action]) -> None:
    check(PLAN, given, when, then, do)


@pytest.mark.parametrize(("plan", "given", "when", "then", "do"), TIMES.values(), ids=TIMES)
def test_plan_and_time(plan: VrrpPlan, given: State, when: Event, then: State, do: list[Action]) -> None:
    check(plan, given, when, then, do)


@pytest.mark.parametrize(("given", "when", "then", "do"), PAUSED.values(), ids=PAUSED)
def test_after_a_pause(given: State, when: Event, then: State, do: list[Action]) -> None:
    check(PLAN, given, when, then, do)


def test_every_state_meets_every_event() -> None:
    met = {(type(row[0]), row[1] if isinstance(row[1], Signal) else type(row[1])) for row in RULES.values()}
    assert met == set(product((Initialize, Fault, Backup, Master), (*Signal, Heard, Unfit, PeerGone, Reprioritized)))


@pytest.mark.parametrize(("given", "events", "reason"), WHY.values(), ids=WHY)
def test_reason(given: State, events: list[Event], reason: str) -> None:
    instance = Instance(PLAN)
    instance.state = copy(given)  # a state may change in place
    for event in events:
        instance.handle(event, NOW)
    assert instance.reason == reason


def test_reason_after_ignoring_a_weaker_master_that_died_long_ago() -> None:
    instance = Instance(PLAN)
    instance.state = Backup(S, NOW, heard(99), preempt_at_us=0, ignored_at_us=NOW - 2 * S)
    instance.handle(TIMER, NOW)
    assert instance.reason == "preempts 192.0.2.77, which has priority 99"
    instance.state = Backup(S, NOW, heard(99), preempt_at_us=0, ignored_at_us=NOW - 2 * S - 1)
    instance.handle(TIMER, NOW)
    assert instance.reason == "no heartbeat of 192.0.2.77 for 3.6 s"


def test_reason_of_an_owner() -> None:
    instance = Instance(OWN)
    instance.handle(START, NOW)
    assert instance.reason == "it owns the addresses (priority 255)"


@pytest.mark.parametrize(("given", "wanted"), [(IDLE, None), (ILL, None), (OBEYS, NOW), (MASTER, NOW)])
def test_deadline(given: State, wanted: Micros | None) -> None:
    instance = Instance(PLAN)
    instance.state = copy(given)  # a state may change in place
    assert instance.deadline_us == wanted


def test_state_names() -> None:
    assert {STATE_NAMES[kind] for kind in (Initialize, Fault, Backup, Master)} == set(RouterState)


# fmt: off
TIMERS = {  # version, priority: [(interval, skew, down)], reference/vrrp.md section 4, floored
    (2, 1):   [(S, 996_093, 3_996_093), (10 * S, 996_093, 30_996_093)],
    (2, 100): [(S, 609_375, 3_609_375), (10 * S, 609_375, 30_609_375)],
    (2, 150): [(S, 414_062, 3_414_062), (10 * S, 414_062, 30_414_062)],
    (2, 254): [(S, 7_812, 3_007_812), (10 * S, 7_812, 30_007_812)],
    (3, 1):   [(S, 996_093, 3_996_093), (10 * MS, 9_960, 39_960), (40_950 * MS, 40_790_039, 163_640_039)],
    (3, 100): [(S, 609_375, 3_609_375), (10 * MS, 6_093, 36_093), (40_950 * MS, 24_953_906, 147_803_906)],
    (3, 150): [(S, 414_062, 3_414_062), (10 * MS, 4_140, 34_140), (40_950 * MS, 16_955_859, 139_805_859)],
    (3, 254): [(S, 7_812, 3_007_812), (10 * MS, 78, 30_078), (40_950 * MS, 319_921, 123_169_921)],
}
# fmt: on


@pytest.mark.parametrize(
    ("key", "rows"), TIMERS.items(), ids=lambda value: str(value) if isinstance(value, tuple) else ""
)
def test_timers(key: tuple[int, int], rows: list[tuple[Micros, Micros, Micros]]) -> None:  # C53, C54, C57, C58
    version, priority = key
    for interval_us, skew_us, down_us in rows:
        instance = Instance(replace(PLAN, version=version, priority=priority, advert_interval_us=interval_us))
        assert (instance.skew_us(interval_us), instance.down_interval_us(interval_us)) == (skew_us, down_us)


def play(plan: VrrpPlan, events: Iterable[tuple[Micros, Event]], until_us: Micros) -> list[tuple[Micros, Action]]:
    """Start at 0, hand in the events at their times and each TIMER when it is due; what was done when."""
    instance = Instance(plan)
    done: list[tuple[Micros, Action]] = []
    todo = [(0, START), *events]
    while True:
        due_us = instance.deadline_us
        at_us = min((*(at for at, _ in todo[:1]), *([] if due_us is None else [due_us])), default=until_us)
        if at_us >= until_us:
            return done
        event: Event = todo.pop(0)[1] if todo and todo[0][0] == at_us else TIMER
        done += [(at_us, action) for action in instance.handle(event, at_us)]


def test_weaker_adverts_do_not_postpone_takeover() -> None:  # C65
    adverts = [(n * S + 1, heard(99)) for n in range(10)]
    assert play(PLAN, adverts, 3_700 * MS)[0] == (DOWN, Advertise(100))


def test_meek_backup_waits_for_silence_or_priority_0() -> None:  # C66
    meek = replace(PLAN, priority=254, preempt=False)
    adverts: list[tuple[Micros, Event]] = [(n * S, heard(1)) for n in range(1, 10)]
    assert play(meek, adverts, 12 * S) == []
    assert play(meek, [*adverts, (10 * S, heard(0))], 11 * S)[0] == (10 * S + 7_812, Advertise(254))


def test_each_accepted_advert_restarts_the_timer() -> None:  # C61
    assert play(PLAN, [(S, heard(101)), (3 * S, heard(101))], 3 * S + DOWN) == []
    assert play(PLAN, [(S, heard(101)), (3 * S, heard(101))], 3 * S + DOWN + 1)[0] == (3 * S + DOWN, Advertise(100))


def test_master_advertises_by_its_own_interval() -> None:  # C59
    done = play(PLAN, [(0, heard(101, PEER, 100 * MS))], 3 * S)
    assert [at for at, action in done if action == Advertise(100)] == [360_937, 360_937 + S, 360_937 + 2 * S]


def test_answer_to_priority_0_restarts_the_advert_timer() -> None:  # C73
    done = play(replace(PLAN, priority=OWNER), [(400 * MS, heard(0))], 1_500 * MS)
    answer = [(400 * MS, Advertise(255)), (400 * MS, ANNOUNCE)]
    assert done == [(0, Advertise(255)), (0, CLAIM), *answer, (1_400 * MS, Advertise(255))]


def test_preemption_delay() -> None:  # C78
    patient = replace(PLAN, priority=150, preempt_delay_us=5 * S)
    first = 100 * MS
    done = play(patient, [(first + n * S, heard(100)) for n in range(10)], 20 * S)
    assert first + 7_410 * MS < done[0][0] < first + 8_420 * MS


def test_preemption_delay_starts_anew_after_a_stronger_master() -> None:  # C79
    patient = replace(PLAN, priority=150, preempt_delay_us=5 * S)
    weaker: list[tuple[Micros, Event]] = [(n * S, heard(100)) for n in range(1, 4)]
    again = [(n * S, heard(100)) for n in range(5, 20)]
    done = play(patient, [*weaker, (4 * S, heard(200, STRANGER)), *again], 40 * S)
    assert 5 * S + 7_410 * MS < done[0][0] < 5 * S + 8_420 * MS


def test_lateness_of_adverts_does_not_add_up() -> None:
    instance = Instance(replace(PLAN, advert_interval_us=100 * MS))
    instance.state = Master(NOW)
    for n in range(10):
        instance.handle(TIMER, NOW + n * 100 * MS + 7 * MS)
    assert instance.deadline_us == NOW + S


ANY_EVENT = st.one_of(
    st.sampled_from([*Signal, SICK, PeerGone(PEER), PeerGone(LOWER)]),
    st.builds(
        Heard,
        st.sampled_from([0, 1, 99, 100, 101, 254, 255]),
        st.sampled_from([10 * MS, S, 40_950 * MS]),
        st.sampled_from([LOWER, OURS, PEER]),
    ),
)


@hypothetically(
    st.sampled_from([PLAN, OWN, V2, MEEK, PATIENT]),
    st.lists(st.tuples(ANY_EVENT, st.sampled_from([0, 1, 10 * MS, S, DOWN, 300 * S])), max_size=40),
)
def test_whatever_happens(plan: VrrpPlan, story: list[tuple[Event, Micros]]) -> None:
    """Addresses are held by a MASTER and by nobody else; who is not MASTER advertises only on leaving."""
    instance, now_us, held = Instance(plan), NOW, False
    for event, pause_us in story:
        now_us += pause_us
        was = held
        for action in instance.handle(event, now_us):
            assert action is not CLAIM or not held
            assert action is not RELEASE or held
            held = {CLAIM: True, RELEASE: False}.get(action, held) if isinstance(action, Addresses) else held
            assert not isinstance(action, Advertise) or was or isinstance(instance.state, Master)
        assert held == isinstance(instance.state, Master)
        assert (instance.deadline_us is None) == isinstance(instance.state, (Initialize, Fault))
        assert event is not TIMER or instance.deadline_us is None or instance.deadline_us > now_us
