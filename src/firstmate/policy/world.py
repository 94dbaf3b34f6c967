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
    """A `[[check]]` command ended, or was ended."""

    name: str
    ok: bool
    line: str  # the first line it wrote, or what became of it
    at_us: Micros


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
    checks: dict[str, CheckView] = field(default_factory=dict)
    snapshot: Snapshot | None = None
    states: dict[str, RouterState] = field(default_factory=dict)  # of our virtual routers; newer than the snapshot
    masters: dict[str, MasterView] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    seq: int | None = None  # of pulse's last message; None: none came yet
    told_at_us: Micros | None = None  # when pulse was last told again what it should know; None: this one never

    @property
    def leading(self) -> bool:
        """A virtual router that depends on HAProxy is MASTER here, or we cannot tell."""
        if self.snapshot is None:
            return True
        return any(
            self.states.get(router.name) is RouterState.MASTER
            for router in self.plan.routers
            if router.tracks(HAPROXY_FACT)
        )

    @property
    def servers_up(self) -> int:
        return sum(server.up for server in self.servers)

    @property
    def owns_haproxy(self) -> bool:
        return self.plan.haproxy is not None and self.plan.haproxy.run is HaproxyRun.FIRSTMATE


def begin(plan: Plan, now_us: Micros) -> World:
    return World(plan, Absent("not started", now_us))
