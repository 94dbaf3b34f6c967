"""One VRRP virtual router: the state machine of RFC 5798 section 6.4, without I/O.

`Instance.handle(event, now_us)` is the only way in, and its result the only way out.
Nothing here reads a clock, a socket or a file. Durations are ints, in microseconds.

What goes beyond the RFC, each said where it stands: FAULT; a priority that changes; keepalived's `preempt_delay`
and sync groups; RFC 9568's answer to a weaker MASTER; a last advert on losing an election; listening first after a
pause; a peer known to be dead; a resignation of somebody whom we do not obey.
"""

from dataclasses import dataclass, replace
from enum import Enum, IntEnum, auto
from typing import TypeAlias

from firstmate.model.addresses import Address
from firstmate.model.messages import RouterState
from firstmate.model.plan import OWNER, VrrpPlan
from firstmate.model.units import S, Micros, format_duration


class Signal(Enum):
    STARTUP = auto()  # configured and fit
    SHUTDOWN = auto()
    TIMER = auto()  # `deadline_us` has come
    LEAD = auto()  # the whole sync group is ready
    FOLLOW = auto()  # another of the sync group is not MASTER any more


class WhyMaster(IntEnum):
    """RFC 6527, vrrpv3OperationsNewMasterReason."""

    NOT_MASTER = 0
    PRIORITY = 1  # the one before said priority 0
    PREEMPTED = 2  # a weaker one was MASTER, or the owner came
    NO_RESPONSE = 3


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
class Reprioritized:
    """What this node tracks makes it a better or worse MASTER than before."""

    priority: int  # 1..255, the effective one


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
    ANNOUNCE_CONTEST = auto()  # the same, because a weaker one was MASTER beside us


@dataclass(frozen=True, slots=True)
class Initialize: ...


@dataclass(frozen=True, slots=True)
class Fault:
    why: str


@dataclass(slots=True)
class Backup:
    """Not frozen: the timer starts again with each advert, and 200 virtual routers hear 2,000 a second."""

    interval_us: Micros  # Master_Adver_Interval: learned from the MASTER, our own until then
    down_at_us: Micros  # Master_Down_Timer
    master: Heard | None = None  # whom we obey; None: nobody heard yet
    preempt_at_us: Micros | None = None  # a weaker MASTER is borne until then; None: no such delay runs
    ignored_at_us: Micros | None = None  # when a weaker MASTER was last heard and ignored; None: not since
    bereaved: bool = False  # the MASTER did not resign: its host says that it is gone
    ready: str = ""  # in a sync group: why it would be MASTER now; no timer runs then


@dataclass(slots=True)
class Master:
    advert_at_us: Micros  # Adver_Timer


Event: TypeAlias = Signal | Heard | Unfit | Reprioritized | PeerGone
Action: TypeAlias = Advertise | Addresses
State: TypeAlias = Initialize | Fault | Backup | Master  # each holds only what is true in it

STATE_NAMES = {
    Initialize: RouterState.INIT,
    Fault: RouterState.FAULT,
    Backup: RouterState.BACKUP,
    Master: RouterState.MASTER,
}


class Instance:
    """`reason` says why the present state was entered, for people; `priority` is the effective one.

    `grouped`: it belongs to a sync group, and waits for `Signal.LEAD` where it would become MASTER alone.
    """

    def __init__(self, plan: VrrpPlan) -> None:
        self.plan = plan
        self.grouped = False
        self.priority = plan.priority
        self.state: State = Initialize()
        self.reason = "not started"
        self.why_master = WhyMaster.NOT_MASTER

    @property
    def deadline_us(self) -> Micros | None:
        """When `Signal.TIMER` is due, or None while no timer runs."""
        match self.state:
            case Backup(ready=ready) if ready:
                return None
            case Backup(down_at_us=at) | Master(advert_at_us=at):
                return at
            case _:
                return None

    def handle(self, event: Event, now_us: Micros) -> list[Action]:
        if self._overslept(now_us):
            return [*self._listen_first(now_us), *self.handle(event, now_us)]
        if event is Signal.TIMER and (self.deadline_us is None or now_us < self.deadline_us):
            return []
        match self.state, event:
            case _, Reprioritized(priority):
                return self.reprioritize(priority)
            case ((Initialize() | Fault()), _):
                return self._at_rest(event, now_us)
            case Backup() as state, _:
                return self._in_backup(state, event, now_us)
            case _:
                return self._in_master(event, now_us)

    def hear_again(self, heard: Heard, now_us: Micros) -> bool:
        """What `handle` does with an advert equal to the one that we obey, and nothing else. False: use `handle`."""
        state = self.state
        if (
            type(state) is not Backup
            or (state.master is not heard and state.master != heard)
            or now_us > state.down_at_us
            or state.ready
            or state.ignored_at_us is not None
            or state.preempt_at_us is not None
            or not 0 < heard.priority >= self.priority
        ):
            return False
        plan, interval_us = self.plan, state.interval_us  # `down_interval_us`, without two calls
        skew_us = (256 - self.priority) * (interval_us if plan.version == 3 else S) // 256
        state.down_at_us = now_us + plan.down_timer_adverts * interval_us + skew_us
        return True

    def advertise_again(self, due_us: Micros, now_us: Micros) -> bool:
        """What `handle` does when Adver_Timer expires on time. False: use `handle`.

        The advert may be somewhat early, to go together with another that was due at `due_us`; the next ones then
        are due together, so that many virtual routers wake the process once.
        """
        state = self.state
        if type(state) is not Master or now_us - due_us >= self.plan.advert_interval_us:
            return False
        state.advert_at_us = due_us + self.plan.advert_interval_us
        return True

    def _at_rest(self, event: Event, now_us: Micros) -> list[Action]:
        """6.4.1 Initialize, and our FAULT: fit again is a start."""
        match event:
            case Signal.STARTUP if self.plan.priority == OWNER and not self.grouped:
                self.why_master = WhyMaster.PREEMPTED
                return self._to_master(now_us, "it owns the addresses (priority 255)")
            case Signal.STARTUP:
                self.reason = "started" if isinstance(self.state, Initialize) else "fit again"
                return self._to_backup(None, now_us)
            case Unfit(why):
                return self._to_fault(why)
            case Signal.SHUTDOWN if isinstance(self.state, Fault):
                return self._to_initialize([])
            case _:
                return []

    def _in_backup(self, state: Backup, event: Event, now_us: Micros) -> list[Action]:
        """6.4.2."""
        known = state.master
        match event:
            case Unfit(why):
                return self._to_fault(why)
            case Signal.SHUTDOWN:
                return self._to_initialize([])
            case Signal.TIMER:
                return self._to_master(now_us, self._why_nobody_leads(state, now_us))
            case Signal.LEAD if state.ready:
                return self._lead(now_us, state.ready)
            case Heard(priority=0) if known and known.priority and event.sender != known.sender:
                return []  # somebody resigned, but not whom we obey: a host that left addresses behind, say
            case Heard(priority=0):
                return self._await_skew(state, event, now_us)
            case Heard() if event.priority >= self.priority or not self._preempts:
                return self._to_backup(event, now_us)
            case Heard():
                return self._bear_weaker(state, event, now_us)
            case PeerGone(sender) if known and sender == known.sender:
                self._await_skew(state, replace(known, priority=0), now_us)
                state.bereaved = True
                return []
            case _:
                return []

    def _in_master(self, event: Event, now_us: Micros) -> list[Action]:
        """6.4.3."""
        match event:
            case Signal.TIMER:
                return self._advertise(now_us)
            case Heard(priority=0):
                # Who resigns has held the addresses until now, beside us: clients may have learned its MAC.
                return [*self._advertise(now_us), Addresses.ANNOUNCE]
            case Heard() if self._outranked_by(event):
                return self._concede(event, now_us)
            case Heard() if event.sender != self.plan.source and not self.plan.lower_prio_no_advert:
                # RFC 9568, 6.4.3: correct the weaker one at once. Its clients may have learned its MAC.
                return [*self._advertise(now_us), Addresses.ANNOUNCE_CONTEST]
            case Unfit(why):
                return [Advertise(0), Addresses.RELEASE, *self._to_fault(why)]
            case Signal.FOLLOW:
                self.reason = "moves with another virtual router, which is not MASTER any more"
                return [Advertise(0), Addresses.RELEASE, *self._to_backup(None, now_us)]
            case Signal.SHUTDOWN:
                return self._to_initialize([Advertise(0), Addresses.RELEASE])
            case _:
                return []

    def down_interval_us(self, interval_us: Micros) -> Micros:
        """Master_Down_Interval (6.1) for a Master_Adver_Interval."""
        return self.plan.down_timer_adverts * interval_us + self.skew_us(interval_us)

    def skew_us(self, interval_us: Micros) -> Micros:
        """Skew_Time: a lower priority waits longer, so that a single backup wins.

        Version 3 scales it with the interval (RFC 5798, 6.1), version 2 with a second (RFC 3768, 6.1).
        """
        return (256 - self.priority) * (interval_us if self.plan.version == 3 else S) // 256

    @property
    def _preempts(self) -> bool:
        return self.plan.preempt or self.plan.priority == OWNER

    def _to_master(self, now_us: Micros, reason: str) -> list[Action]:
        """Become MASTER, or in a sync group be ready for it."""
        if self.grouped and isinstance(self.state, Backup):
            self.state.ready = reason
            return []
        return self._lead(now_us, reason)

    def _lead(self, now_us: Micros, reason: str) -> list[Action]:
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

    def _why_nobody_leads(self, state: Backup, now_us: Micros) -> str:
        """Whose silence ended the Master_Down_Timer, and what we know of it."""
        self.why_master = WhyMaster.NO_RESPONSE
        master, at_us = state.master, state.ignored_at_us
        if master is None:
            return f"no MASTER heard for {self._down_text(state.interval_us)}"
        if state.bereaved:
            return f"the host of {master.sender} refuses: nobody advertises there any more"
        if not master.priority:
            self.why_master = WhyMaster.PRIORITY
            return f"{master.sender} said priority 0"
        if at_us is not None and now_us - at_us <= 2 * state.interval_us:
            self.why_master = WhyMaster.PREEMPTED
            return f"preempts {master.sender}, which has priority {master.priority}"
        return f"no heartbeat of {master.sender} for {self._down_text(state.interval_us)}"

    def _await_skew(self, state: Backup, resigned: Heard, now_us: Micros) -> list[Action]:
        """6.4.2: priority 0 arms the timer with Skew_Time and teaches no interval.

        It never puts off what is due before: the resignation may come twice, or late by a successor's mouth.
        """
        state.down_at_us = min(state.down_at_us, now_us + self.skew_us(state.interval_us))
        state.master, state.bereaved = resigned, False
        return []

    def reprioritize(self, priority: int) -> list[Action]:
        """The next advert says the new priority. A running Master_Down_Timer moves by what Skew_Time changes."""
        state = self.state
        if isinstance(state, Backup):
            before_us = self.skew_us(state.interval_us)
            self.priority = priority
            state.down_at_us += self.skew_us(state.interval_us) - before_us
        self.priority = priority
        return []

    def _bear_weaker(self, state: Backup, heard: Heard, now_us: Micros) -> list[Action]:
        """keepalived's `preempt_delay`: obey a weaker MASTER for so long, then ignore it (6.4.2)."""
        preempt_at_us = state.preempt_at_us
        if preempt_at_us is None:
            preempt_at_us = now_us + self.plan.preempt_delay_us
        if now_us < preempt_at_us:
            self._to_backup(heard, now_us)
            assert isinstance(self.state, Backup)
            self.state.preempt_at_us = preempt_at_us
        else:
            state.master, state.preempt_at_us, state.ignored_at_us = heard, preempt_at_us, now_us
            state.bereaved = False
        return []

    def _concede(self, heard: Heard, now_us: Micros) -> list[Action]:
        """6.4.3, outranked. The last advert tells a MASTER that heard nothing of us (a partition healed in the
        order we-hear-it-first) that there were two, so that it announces its addresses again. RFC 9568 has it
        answer and stay; nobody else changes state by an advert that loses.
        """
        self.reason = f"{heard.sender} has priority {heard.priority}, ours is {self.priority}"
        last = [Advertise(self.priority)] if self.plan.higher_prio_send_advert else []
        return [*last, Addresses.RELEASE, *self._to_backup(heard, now_us)]

    def _advertise(self, now_us: Micros) -> list[Action]:
        self.state = Master(self._next_advert_us(now_us))
        return [Advertise(self.priority)]

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
            case Backup(down_at_us=due_us, interval_us=learned, ready=""):
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
        return (heard.priority, heard.sender.packed) > (self.priority, self.plan.source.packed)

    def _down_text(self, interval_us: Micros) -> str:
        return format_duration(self.down_interval_us(interval_us))
