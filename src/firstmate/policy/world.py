"""Everything `ops` knows, as one frozen value, and the words in which it learns and acts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from firstmate.model.messages import (
    Beat,
    FactChanged,
    FromPulse,
    FromSupervisor,
    KillHaproxy,
    Notice,
    RouterState,
    RouterView,
    Snapshot,
    StartHaproxy,
    WantSnapshot,
)
from firstmate.model.plan import HAPROXY_FACT, HaproxyRun, Plan
from firstmate.model.problems import Problem
from firstmate.model.units import Micros
from firstmate.policy.health import Health
from firstmate.policy.life import Absent, Answered, Life, Missed

NOTICES_MAX = 20  # the last ones, for `status`

# What ops learns.


@dataclass(frozen=True, slots=True)
class PlanLoaded:
    """At start, and each time the supervisor has replaced the plan."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class ConfigAccepted:
    """`haproxy -c` has accepted the file rendered from the plan."""

    binary: str
    version: str
    config: str  # path
    digest: str


@dataclass(frozen=True, slots=True)
class ConfigRefused:
    problems: tuple[Problem, ...]  # at least one


@dataclass(frozen=True, slots=True)
class ServerView:
    service: str
    server: str
    up: bool
    status: str  # HAProxy's word
    why: str


@dataclass(frozen=True, slots=True)
class ServersSeen:
    servers: tuple[ServerView, ...]


@dataclass(frozen=True, slots=True)
class CheckRan:
    """A `[[check]]` command ended, or was ended; or the processes of a `[[process]]` were counted."""

    name: str
    ok: bool
    line: str  # the first line it wrote, or what became of it; how many run
    at_us: Micros


@dataclass(frozen=True, slots=True)
class FileRead:
    """The number in a `[[file]]`, at start and whenever it has changed."""

    name: str
    value: int
    line: str  # "says 10", "does not exist"
    at_us: Micros


@dataclass(frozen=True, slots=True)
class StatusAsked:
    """Somebody looks at the status: what it shows should be fresh the next time."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Once a second, and whenever `decide.deadline_us` has come."""

    beat: bool = True


Event: TypeAlias = (
    FromPulse
    | FromSupervisor
    | PlanLoaded
    | ConfigAccepted
    | ConfigRefused
    | Answered
    | Missed
    | ServersSeen
    | CheckRan
    | FileRead
    | StatusAsked
    | Tick
)

# What ops does.


@dataclass(frozen=True, slots=True)
class Record:
    """Something worth telling: a line of the log and of the journal."""

    level: str  # info | notice | warning | error
    event: str  # stable, for machines: "transition", "haproxy", "check", ...
    text: str
    fields: Mapping[str, str | int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepare:
    """Render HAProxy's configuration and have it checked: ends in ConfigAccepted or ConfigRefused."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Wait until HAProxy has finished what is under way, then have pulse resign."""

    parked_at_ns: int


Action: TypeAlias = FactChanged | Beat | WantSnapshot | StartHaproxy | KillHaproxy | Record | Prepare | Drain

# What ops knows.


@dataclass(frozen=True, slots=True)
class CheckView:
    health: Health
    line: str
    since_us: Micros  # of this verdict


@dataclass(frozen=True, slots=True)
class FileView:
    value: int
    line: str
    since_us: Micros  # of this value


@dataclass(frozen=True, slots=True)
class RouterSeen:
    """The last view of one virtual router, and when pulse took it."""

    view: RouterView
    at_us: Micros


@dataclass(frozen=True, slots=True)
class MasterView:
    """Who is MASTER of one virtual router, as far as we can tell."""

    node: str  # a node's name, or an address that is no node's; "": nobody known
    since_us: Micros


@dataclass(frozen=True, slots=True)
class World:
    plan: Plan
    life: Life
    restarts: int = 0  # exits of HAProxy since ops began
    config: ConfigAccepted | None = None  # what HAProxy runs with; None: nothing was accepted yet
    problems: tuple[Problem, ...] = ()  # of the newest plan; what was accepted before still runs
    prepare_at_us: Micros | None = None  # when to try again to prepare; None: nothing to try
    servers: tuple[ServerView, ...] = ()
    checks: dict[str, CheckView] = field(default_factory=dict)  # of commands and processes
    files: dict[str, FileView] = field(default_factory=dict)
    snapshot: Snapshot | None = None  # the last one, which may hold only some of the virtual routers
    routers: dict[str, RouterSeen] = field(default_factory=dict)  # what this pulse has said of each
    states: dict[str, RouterState] = field(default_factory=dict)  # of our virtual routers; newer than the views
    masters: dict[str, MasterView] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    odd_codes: frozenset[str] = frozenset()  # of every oddity that a snapshot ever held
    seq: int | None = None  # of pulse's last message; None: none came yet
    told_at_us: Micros | None = None  # when pulse was last told again what it should know; None: this one never
    wanted_at_us: Micros | None = None  # when pulse was last asked for all virtual routers; None: never

    @property
    def leading(self) -> bool:
        """A virtual router that depends on HAProxy is MASTER here, or we cannot tell."""
        if self.snapshot is None:
            return True
        return any(
            self.states.get(router.name, RouterState.MASTER) is RouterState.MASTER
            for router in self.plan.routers
            if router.tracks(HAPROXY_FACT)
        )

    @property
    def seen(self) -> tuple[RouterSeen, ...]:
        """The last views of the plan's virtual routers, in its order; those not seen yet are missing."""
        return tuple(self.routers[router.name] for router in self.plan.routers if router.name in self.routers)

    @property
    def servers_up(self) -> int:
        return sum(server.up for server in self.servers)

    @property
    def owns_haproxy(self) -> bool:
        return self.plan.haproxy is not None and self.plan.haproxy.run is HaproxyRun.FIRSTMATE


def begin(plan: Plan, now_us: Micros) -> World:
    return World(plan, Absent("not started", now_us))


Step: TypeAlias = tuple[World, list[Action]]
"""The next world, and what to do, in this order."""
