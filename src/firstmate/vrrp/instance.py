"""One VRRP virtual router: the state machine of RFC 5798 section 6.4, without I/O.

`Instance.handle(event, now_us)` is the only way in, and its result the only way out.
Nothing here reads a clock, a socket or a file. Durations are ints, in microseconds.

What goes beyond the RFC, each said where it stands: FAULT; keepalived's `preempt_delay`; RFC 9568's answer to
a weaker MASTER; a last advert on losing an election; listening first after a pause; a peer known to be dead;
a resignation of somebody whom we do not obey.
"""

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TypeAlias

from firstmate.model.addresses import Address
from firstmate.model.messages import RouterState
from firstmate.model.plan import OWNER, VrrpPlan
from firstmate.model.units import S, Micros, format_duration


class Signal(Enum):
    STARTUP = auto()  # configured and fit
    SHUTDOWN = auto()
    TIMER = auto()  # `deadline_us` has come


@dataclass(frozen=True, slots=True)
class Heard:
    """An advertisement for our VRID that passed every check of `receive`."""

    priority: int  # 0: the sender resigns
    interval_us: Micros  # the sender's Advertisement_Interval
    sender: Address


@dataclass(frozen=True, slots=True)
class Unfit:
    """This node must not hold the addresses: keepalived's FAULT."""

    why: str


@dataclass(frozen=True, slots=True)
class PeerGone:
    """The host of a peer says that nobody advertises there any more (`ipc.lifeline`)."""

    sender: Address


@dataclass(frozen=True, slots=True)
class Advertise:
    priority: int  # 0: we resign


class Addresses(Enum):
    CLAIM = auto()  # add them to the interface, then announce them by gratuitous ARP
    RELEASE = auto()
    ANNOUNCE = auto()  # others may have learned another host for them: say it again


@dataclass(frozen=True, slots=True)
class Initialize: ...


@dataclass(frozen=True, slots=True)
class Fault:
    why: str


@dataclass(frozen=True, slots=True)
class Backup:
    interval_us: Micros  # Master_Adver_Interval: learned from the MASTER, our own until then
    down_at_us: Micros  # Master_Down_Timer
    master: Heard | None = None  # whom we obey; None: nobody heard yet
    preempt_at_us: Micros | None = None  # a weaker MASTER is borne until then; None: no such delay runs
    ignored_at_us: Micros | None = None  # when a weaker MASTER was last heard and ignored; None: not since
    bereaved: bool = False  # the MASTER did not resign: its host says that it is gone


@dataclass(frozen=True, slots=True)
class Master:
    advert_at_us: Micros  # Adver_Timer


Event: TypeAlias = Signal | Heard | Unfit | PeerGone
Action: TypeAlias = Advertise | Addresses
State: TypeAlias = Initialize | Fault | Backup | Master  # each holds only what is true in it

STATE_NAMES = {
    Initialize: RouterState.INIT,
    Fault: RouterState.FAULT,
    Backup: RouterState.BACKUP,
    Master: RouterState.MASTER,
}


class Instance:
    """`reason` says why the present state was entered, for people."""

    def __init__(self, plan: VrrpPlan) -> None:
        self.plan = plan
        self.state: State = Initialize()
        self.reason = "not started"

    @property
    def deadline_us(self) -> Micros | None:
        """When `Signal.TIMER` is due, or None while no timer runs."""
        match self.state:
            case Backup(down_at_us=at) | Master(advert_at_us=at):
                return at
            case _:
                return None

    def handle(self, event: Event, now_us: Micros) -> list[Action]:
        if self._overslept(now_us):
            return [*self._listen_first(now_us), *self.handle(event, now_us)]
        if event is Signal.TIMER and (self.deadline_us is None or now_us < self.deadline_us):
            return []
        plan = self.plan
        match self.state, event:
            # 6.4.1 Initialize, and our FAULT: fit again is a start
            case Initialize() | Fault(), Signal.STARTUP if plan.priority == OWNER:
                return self._to_master(now_us, "it owns the addresses (priority 255)")
            case Initialize() | Fault(), Signal.STARTUP:
                self.reason = "started" if isinstance(self.state, Initialize) else "fit again"
                return self._to_backup(None, now_us)
            case Initialize() | Fault() | Backup(), Unfit(why):
                return self._to_fault(why)
            case Fault() | Backup(), Signal.SHUTDOWN:
                return self._to_initialize([])

            # 6.4.2 Backup
            case Backup(master=None, interval_us=learned), Signal.TIMER:
                return self._to_master(now_us, f"no MASTER heard for {self._down_text(learned)}")
            case Backup(master=Heard(sender=sender), bereaved=True), Signal.TIMER:
                return self._to_master(now_us, f"the host of {sender} refuses: nobody advertises there any more")
            case Backup(master=Heard(priority=0, sender=sender)), Signal.TIMER:
                return self._to_master(now_us, f"{sender} said priority 0")
            case Backup(master=Heard(sender=sender) as master, interval_us=learned, ignored_at_us=at), Signal.TIMER:
                if at is not None and now_us - at <= 2 * learned:
                    return self._to_master(now_us, f"preempts {sender}, which has priority {master.priority}")
                return self._to_master(now_us, f"no heartbeat of {sender} for {self._down_text(learned)}")
            case Backup(master=Heard() as known), Heard(priority=0) if known.priority and event.sender != known.sender:
                return []  # somebody resigned, but not whom we obey: a host that left addresses behind, say
            case Backup(), Heard(priority=0):
                return self._await_skew(event, now_us)
            case Backup(), Heard() if event.priority >= plan.priority or not self._preempts:
                return self._to_backup(event, now_us)
            case Backup(), Heard():
                return self._bear_weaker(event, now_us)
            case Backup(master=Heard(sender=sender) as master), PeerGone() if event.sender == sender:
                self._await_skew(replace(master, priority=0), now_us)
                self.state = replace(self.state, bereaved=True)
                return []

            # 6.4.3 Master
            case Master(), Signal.TIMER:
                return self._advertise(now_us)
            case Master(), Heard(priority=0):
                # Who resigns has held the addresses until now, beside us: clients may have learned its MAC.
                return [*self._advertise(now_us), Addresses.ANNOUNCE]
            case Master(), Heard() if self._outranked_by(event):
                return self._concede(event, now_us)
            case Master(), Heard() if event.sender != plan.source:
                # RFC 9568, 6.4.3: correct the weaker one at once. Its clients may have learned its MAC.
                return [*self._advertise(now_us), Addresses.ANNOUNCE]
            case Master(), Unfit(why):
                return [Advertise(0), Addresses.RELEASE, *self._to_fault(why)]
            case Master(), Signal.SHUTDOWN:
                return self._to_initialize([Advertise(0), Addresses.RELEASE])

            case _:
                return []  # section 6.4 discards every other pair

    def down_interval_us(self, interval_us: Micros) -> Micros:
        """Master_Down_Interval (6.1) for a Master_Adver_Interval."""
        return 3 * interval_us + self.skew_us(interval_us)

    def skew_us(self, interval_us: Micros) -> Micros:
        """Skew_Time: a lower priority waits longer, so that a single backup wins.

        Version 3 scales it with the interval (RFC 5798, 6.1), version 2 with a second (RFC 3768, 6.1).
        """
        return (256 - self.plan.priority) * (interval_us if self.plan.version == 3 else S) // 256

    @property
    def _preempts(self) -> bool:
        return self.plan.preempt or self.plan.priority == OWNER

    def _to_master(self, now_us: Micros, reason: str) -> list[Action]:
        self.reason = reason
        return [*self._advertise(now_us), Addresses.CLAIM]

    def _to_backup(self, heard: Heard | None, now_us: Micros) -> list[Action]:
        interval_us = heard.interval_us if heard and self.plan.version == 3 else self.plan.advert_interval_us
        self.state = Backup(interval_us, now_us + self.down_interval_us(interval_us), heard)
        return []

    def _to_fault(self, why: str) -> list[Action]:
        self.state, self.reason = Fault(why), why
        return []

    def _to_initialize(self, actions: list[Action]) -> list[Action]:
        self.state, self.reason = Initialize(), "stopped"
        return actions

    def _await_skew(self, resigned: Heard, now_us: Micros) -> list[Action]:
        """6.4.2: priority 0 arms the timer with Skew_Time and teaches no interval.

        It never puts off what is due before: the resignation may come twice, or late by a successor's mouth.
        """
        assert isinstance(self.state, Backup)
        at_us = min(self.state.down_at_us, now_us + self.skew_us(self.state.interval_us))
        self.state = replace(self.state, down_at_us=at_us, master=resigned, bereaved=False)
        return []

    def _bear_weaker(self, heard: Heard, now_us: Micros) -> list[Action]:
        """keepalived's `preempt_delay`: obey a weaker MASTER for so long, then ignore it (6.4.2)."""
        assert isinstance(self.state, Backup)
        preempt_at_us = self.state.preempt_at_us
        if preempt_at_us is None:
            preempt_at_us = now_us + self.plan.preempt_delay_us
        if now_us < preempt_at_us:
            self._to_backup(heard, now_us)
            self.state = replace(self.state, preempt_at_us=preempt_at_us)
        else:
            self.state = replace(
                self.state, master=heard, preempt_at_us=preempt_at_us, ignored_at_us=now_us, bereaved=False
            )
        return []

    def _concede(self, heard: Heard, now_us: Micros) -> list[Action]:
        """6.4.3, outranked. The last advert tells a MASTER that heard nothing of us (a partition healed in the
        order we-hear-it-first) that there were two, so that it announces its addresses again. RFC 9568 has it
        answer and stay; nobody else changes state by an advert that loses.
        """
        self.reason = f"{heard.sender} has priority {heard.priority}, ours is {self.plan.priority}"
        return [Advertise(self.plan.priority), Addresses.RELEASE, *self._to_backup(heard, now_us)]

    def _advertise(self, now_us: Micros) -> list[Action]:
        self.state = Master(self._next_advert_us(now_us))
        return [Advertise(self.plan.priority)]

    def _next_advert_us(self, now_us: Micros) -> Micros:
        """One interval after the last was *due*, not sent, so that lateness never adds up."""
        interval_us = self.plan.advert_interval_us
        match self.state:
            case Master(advert_at_us=due_us) if 0 <= now_us - due_us < interval_us:
                return due_us + interval_us
            case _:
                return now_us + interval_us

    def _overslept(self, now_us: Micros) -> bool:
        """Were we paused so long after the timer was due that others must have moved on?"""
        match self.state:
            case Master(advert_at_us=due_us):
                return now_us - due_us > self.down_interval_us(self.plan.advert_interval_us)
            case Backup(down_at_us=due_us, interval_us=learned):
                return now_us - due_us > self.down_interval_us(learned)
            case _:
                return False

    def _listen_first(self, now_us: Micros) -> list[Action]:
        """After a pause (SIGSTOP, a frozen VM) what we know is stale: wait a down interval, as at start.

        A MASTER resigns in words too: our kernel has answered for the addresses meanwhile, and who leads now does
        not know it. If nobody does, a backup need not wait for silence.
        """
        due_us = self.deadline_us
        assert due_us is not None
        self.reason = f"woke up {format_duration(now_us - due_us)} late: listens before it acts as MASTER again"
        was_master = isinstance(self.state, Master)
        self._to_backup(None, now_us)
        return [Advertise(0), Addresses.RELEASE] if was_master else []

    def _outranked_by(self, heard: Heard) -> bool:
        return (heard.priority, heard.sender) > (self.plan.priority, self.plan.source)

    def _down_text(self, interval_us: Micros) -> str:
        return format_duration(self.down_interval_us(interval_us))
