"""HAProxy's life as `ops` sees it: does it really serve, and what if it hangs.

    Absent ──started──► Starting ──`rise` answers──► Serving ──`fall` misses──► Hung ──routers left──► Killing
      ▲                    ▲                                                     │                       │
      └────── exited, from any state                      └──── answered ────────┘      └── exited ──► Absent

A hung HAProxy is killed only after the node's virtual routers have left MASTER, or `LEAVE_US` later: the
addresses move first, while the kernel still completes connections, and nobody is refused.
An HAProxy that somebody else runs is never killed: it is `Silent` until it answers again.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

from firstmate.model.messages import ChildExited, ChildStarted, FactChanged, KillHaproxy
from firstmate.model.plan import HAPROXY_FACT
from firstmate.model.units import MS, S, Micros
from firstmate.policy.health import Health, answered, missed
from firstmate.policy.restart import cause

LEAVE_US: Micros = 300 * MS  # how long a hung HAProxy is left alone so that the addresses can go first
START_GRACE_US: Micros = 10 * S  # a large configuration takes seconds to load
RELOAD_GRACE_US: Micros = 6 * S  # 2 s to save the states, 2 s of HAProxy's tries to bind, and as much to load
KILL_AGAIN_US: Micros = 3 * S  # no exit by then: say it once more


@dataclass(frozen=True, slots=True)
class Answered:
    """A probe that began at `started_us` was answered by the worker `worker_pid`."""

    started_us: Micros
    worker_pid: int
    parent_pid: int | None  # of the worker: the master; None: /proc does not tell us
    version: str


@dataclass(frozen=True, slots=True)
class Missed:
    started_us: Micros
    why: str


@dataclass(frozen=True, slots=True)
class Look:
    """Time has passed, or a virtual router has moved."""


@dataclass(frozen=True, slots=True)
class Absent:
    why: str
    since_us: Micros
    generation: int = 0  # of the one that ended; 0: none was there


@dataclass(frozen=True, slots=True)
class Starting:
    generation: int
    pid: int  # of the master; 0: somebody else's
    since_us: Micros
    health: Health
    why: str = "starting"


@dataclass(frozen=True, slots=True)
class Serving:
    generation: int
    pid: int
    since_us: Micros
    health: Health
    worker_pid: int
    version: str
    reloads_until_us: Micros = 0  # a probe begun before may go unanswered: HAProxy pauses when a port is taken


@dataclass(frozen=True, slots=True)
class Hung:
    generation: int
    pid: int
    since_us: Micros
    why: str
    kill_at_us: Micros


@dataclass(frozen=True, slots=True)
class Silent:
    """Somebody else's HAProxy does not answer; all we can do is watch it."""

    generation: int
    pid: int
    since_us: Micros
    health: Health
    why: str


@dataclass(frozen=True, slots=True)
class Killing:
    generation: int
    pid: int
    since_us: Micros
    why: str
    again_at_us: Micros


Life: TypeAlias = Absent | Starting | Serving | Hung | Silent | Killing
LifeEvent: TypeAlias = ChildStarted | ChildExited | Answered | Missed | Look
LifeAction: TypeAlias = FactChanged | KillHaproxy
LifeStep: TypeAlias = tuple[Life, list[LifeAction]]


def step(life: Life, event: LifeEvent, fresh: Health, now_us: Micros, *, leading: bool) -> LifeStep:
    """One step of the machine.

    `fresh`: the rise and fall of the plan, with no answers yet. `leading`: a virtual router that depends on
    HAProxy is MASTER on this node.
    """
    match life, event:
        case _, ChildStarted():
            return Starting(event.generation, event.pid, event.at_us, fresh), []
        case _, ChildExited() if event.generation < life.generation:
            return life, []
        case _, ChildExited():
            why = _ended(event)
            return Absent(why, now_us, event.generation), [_down(event.generation, why, now_us)]

        case Starting() | Serving() | Hung(), Answered() if not _ours(life, event):
            return step(life, Missed(event.started_us, _FOREIGN), fresh, now_us, leading=leading)

        case Starting() | Silent(), Answered():
            return _answered_starting(life, event, now_us)
        case Starting(), Missed():
            return _missed_starting(life, event, now_us, leading=leading)
        case Silent(), Missed():
            return replace(life, health=fresh, why=event.why), []

        case Serving(), Answered():
            health = answered(life.health, event.started_us)
            return replace(life, health=health, worker_pid=event.worker_pid, version=event.version), []
        case Serving(), Missed() if event.started_us < life.reloads_until_us:
            return life, []
        case Serving(), Missed():
            health = missed(life.health, event.started_us)
            if health.up:
                return replace(life, health=health), []
            return _hung(life, f"HAProxy hangs: {event.why}", now_us, leading=leading)

        case Hung(), Answered():
            again = Starting(life.generation, life.pid, now_us, fresh, "answers again")
            return _answered_starting(again, event, now_us)
        case Hung(), Look() if not leading or now_us >= life.kill_at_us:
            return _kill(life, now_us)

        case Killing(), Look() if now_us >= life.again_at_us:
            return replace(life, again_at_us=now_us + KILL_AGAIN_US), [KillHaproxy(life.generation, life.why)]
        case _:
            return life, []


def deadline_us(life: Life) -> Micros | None:
    """When a `Look` is due, or None while nothing waits."""
    match life:
        case Hung(kill_at_us=at) | Killing(again_at_us=at):
            return at
        case _:
            return None


def verdict(life: Life, now_us: Micros) -> FactChanged | None:
    """The fact about HAProxy as it is now; None: not known yet, and pulse keeps what it knows."""
    match life:
        case Serving():
            return FactChanged(HAPROXY_FACT, up=True, why="", at_us=now_us, generation=life.generation)
        case Hung() | Killing() | Silent():
            return _down(life.generation, life.why, now_us)
        case Absent(generation=generation) if generation:
            return _down(generation, life.why, now_us)
        case _:
            return None


_FOREIGN = "an older HAProxy still answers"


def _ours(life: Starting | Serving | Hung | Silent, event: Answered) -> bool:
    """The answer comes from the HAProxy that was started last, not from a worker that outlived its master."""
    if life.pid in (0, event.worker_pid):  # somebody else's; or without a master
        return True
    return event.parent_pid in (None, life.pid)


def _answered_starting(life: Starting | Silent, event: Answered, now_us: Micros) -> LifeStep:
    health = answered(life.health, event.started_us)
    if not health.up:
        return replace(life, health=health), []
    serving = Serving(life.generation, life.pid, now_us, health, event.worker_pid, event.version)
    why = f"HAProxy {event.version} answers"
    return serving, [FactChanged(HAPROXY_FACT, up=True, why=why, at_us=now_us, generation=life.generation)]


def _missed_starting(life: Starting, event: Missed, now_us: Micros, *, leading: bool) -> LifeStep:
    health = missed(life.health, event.started_us)
    grace_us = START_GRACE_US if life.pid else 0  # we cannot know when somebody else's was started
    if health.up is not False or now_us - life.since_us < grace_us:
        return replace(life, health=health, why=event.why), []
    return _hung(life, f"HAProxy does not answer: {event.why}", now_us, leading=leading)


def _hung(life: Starting | Serving, why: str, now_us: Micros, *, leading: bool) -> LifeStep:
    down = _down(life.generation, why, now_us)
    if life.pid == 0:
        return Silent(life.generation, 0, now_us, Health(life.health.rise, life.health.fall), why), [down]
    hung = Hung(life.generation, life.pid, now_us, why, now_us + LEAVE_US)
    if leading:
        return hung, [down]
    killing, actions = _kill(hung, now_us)
    return killing, [down, *actions]


def _kill(life: Hung, now_us: Micros) -> LifeStep:
    killing = Killing(life.generation, life.pid, life.since_us, life.why, now_us + KILL_AGAIN_US)
    return killing, [KillHaproxy(life.generation, life.why)]


def _down(generation: int, why: str, now_us: Micros) -> FactChanged:
    return FactChanged(HAPROXY_FACT, up=False, why=why, at_us=now_us, generation=generation)


def _ended(event: ChildExited) -> str:
    why = f"HAProxy ended: {event.why}" if event.why else f"HAProxy {cause(event.status)}"
    return why if event.restart_in_us is not None else f"{why} and is not started again"
