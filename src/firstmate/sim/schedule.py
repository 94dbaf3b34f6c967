"""What happens in one simulated story: the nodes, the weather on the wire, the faults. All of it is data."""

from dataclasses import dataclass
from enum import Enum

from firstmate.model.plan import Plan
from firstmate.model.units import Micros


class FaultKind(Enum):
    """A fault begins at `at_us` and is undone at `until_us`; the value is how people read it."""

    PARTITION = "partition"  # `side` and the rest do not hear each other
    DEAF = "one-way partition"  # what `side` says reaches only `side`; it hears everybody
    LINK = "link down"
    PAUSE = "pulse paused"  # SIGSTOP: its kernel goes on, datagrams wait in the socket buffer
    FREEZE = "host suspended"  # all of it; its clock goes on and has jumped when it wakes
    STALL = "host stalled"  # all of it with its clock: it cannot know
    CRASH = "pulse killed"  # SIGKILL; the supervisor executes the will
    KILL = "daemon killed"  # SIGKILL for the supervisor too: the addresses stay on the interface
    STOP = "stopped"
    POWER = "power lost"
    HAPROXY = "haproxy down"
    JUMP = "clock jumps"  # forward by `jump_us`; nothing to undo
    RELOAD = "plan reloaded"  # the second plan of that node; nothing to undo
    FACT = "fact changes"  # what is tracked under the name `fact` is down, or says the number `value`
    WAY = "way blocked"  # adverts of that node are dropped on the interface `fact`, coming and going
    FORGE = "forger"  # somebody says again what that node has said, and says unsigned words in its name


@dataclass(frozen=True, slots=True)
class Fault:
    at_us: Micros
    kind: FaultKind
    until_us: Micros | None  # None: never undone; that node is lost for this story
    node: int = 0  # index; partitions have a side instead
    side: frozenset[int] = frozenset()  # places: nodes first, then clients
    jump_us: Micros = 0
    fact: str = ""
    value: int | None = None


@dataclass(frozen=True, slots=True)
class Weather:
    """Rates are probabilities for each datagram and path."""

    delay_us: tuple[Micros, Micros]  # least and most; a path keeps the order
    lateness_us: Micros  # how late a process may run after it became runnable
    loss: float = 0.0
    losses_in_a_row_max: int | None = None  # None: no limit
    duplication: float = 0.0
    corruption: float = 0.0  # one bit flipped
    reordering: float = 0.0  # these overtake nobody and are overtaken
    straggle_us: Micros = 0  # how much later those arrive at most


@dataclass(frozen=True, slots=True)
class Start:
    """When pulse of one node starts, and what it finds."""

    at_us: Micros
    fact_after_us: Micros  # how long after each start it hears that HAProxy serves
    clock_us: Micros  # what the node's clock says at time 0
    utc_skew_us: Micros = 0  # how far its time of day is ahead of the true one
    facts: tuple[tuple[str, bool | int], ...] = ()  # what else it tracks, beside link and HAProxy: as it is at first


@dataclass(frozen=True, slots=True)
class Schedule:
    seed: int
    title: str
    plans: tuple[Plan, ...]  # of every node, in the order of their indexes
    starts: tuple[Start, ...]
    clients: int
    resolve_us: Micros  # each client asks anew who has an address about this often
    lifeline: float  # how likely a death is noticed by each peer's kernel
    weather: Weather  # until `heal_us`
    clear: Weather  # from then until all has settled: nothing is lost
    calm: Weather  # from then on: losses that three intervals bear
    faults: tuple[Fault, ...]
    heal_us: Micros  # everything has started and every fault is undone
    calm_us: Micros  # how long to watch after all must have settled
    reloaded: tuple[Plan, ...] = ()  # the plans after a reload; empty: this story has none

    def plans_of(self, place: int) -> tuple[Plan, ...]:
        """Every plan that this node ever has."""
        return tuple(plans[place] for plans in (self.plans, self.reloaded) if plans)
