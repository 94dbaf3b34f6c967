"""One virtual router with all that belongs to it: machine, announcements, counters, the bytes it sends."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from firstmate.model.addresses import Address
from firstmate.model.messages import Bequest, Holding, Oddity, RouterState, RouterView
from firstmate.model.plan import ChecksumForm, Route, Rule, Track, Vip, VrrpPlan
from firstmate.model.units import Micros
from firstmate.vrrp.announce import Announcer
from firstmate.vrrp.instance import (
    STATE_NAMES,
    Addresses,
    Advertise,
    Backup,
    Event,
    Fault,
    Heard,
    Instance,
    Master,
    WhyMaster,
)
from firstmate.vrrp.packet import Refusal
from firstmate.vrrp.paths import Path, Paths
from firstmate.vrrp.receive import Receiver
from firstmate.vrrp.sender import Sender, Transmit

MASTER_TRANSITIONS, RELEASES = "master_transitions", "release_master"
NEW_MASTER_REASON, NEXT_MASTER_REASON = "new_master_reason", "next_master_reason"  # values of RFC 6527
PROTO_ERR_REASON = "proto_err_reason"
RECEIVED, RECEIVED_ZERO = "rcvd_advertisements", "rcvd_pri_zero"
SENT, SENT_ZERO = "sent_advertisements", "sent_pri_zero"
GARP_SENT, NA_SENT = "garp_sent", "na_sent"
TWO_MASTERS = "two_masters"  # adverts of another MASTER while we are
CONTEST_ADVERTS, ONE_WAY_ADVERTS = 2, 4  # so many in a row, each answered by ours
CONTESTS_MAX = 16  # other MASTERs at one time that are told apart


@dataclass(frozen=True, slots=True)
class Claim:
    router: str
    vips: tuple[Vip, ...]
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Release:
    router: str
    vips: tuple[Vip, ...]
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Announce:
    """Gratuitous ARP or unsolicited NA: `rounds` times each address, in list order."""

    router: str
    vips: tuple[Vip, ...]
    rounds: int


Action: TypeAlias = Transmit | Claim | Release | Announce


@dataclass(slots=True)
class Contest:
    """Another MASTER beside us: how often it was heard since we both are."""

    adverts: int
    last_us: Micros


@dataclass(slots=True)
class Utc:
    """The time since 1970 is `ahead_us` ahead of `now_us`. All virtual routers of a node share one of these."""

    ahead_us: Micros = 0


class Member:
    """`epoch` grows with every mastership; times are monotonic."""

    def __init__(self, plan: VrrpPlan, now_us: Micros, *, udp_port: int = 0, utc: Utc | None = None) -> None:
        self.instance = Instance(plan)
        self.announcer = Announcer(plan)
        self.since_us = now_us
        self.heard_at_us: Micros | None = None
        self.epoch = 0
        self.tracks: tuple[Track, ...] = ()  # what `tracking.needed_facts` found
        self.queued_us: Micros | None = None  # its place in the router's queue of deadlines
        self.contests: dict[Address, Contest] = {}  # by sender; only while MASTER
        self.counters: dict[str, int] = dict.fromkeys(
            [MASTER_TRANSITIONS, RELEASES, RECEIVED, RECEIVED_ZERO, SENT, SENT_ZERO, GARP_SENT, NA_SENT, TWO_MASTERS], 0
        ) | {refusal.value: 0 for refusal in Refusal}
        self.counters |= dict.fromkeys([NEW_MASTER_REASON, NEXT_MASTER_REASON, PROTO_ERR_REASON], 0)
        self.sender = Sender(plan, udp_port)
        self.receiver = Receiver(plan)
        self.paths = Paths(plan)
        self._utc = utc or Utc()

    @property
    def plan(self) -> VrrpPlan:
        return self.instance.plan

    @property
    def state(self) -> RouterState:
        return STATE_NAMES[type(self.instance.state)]

    @property
    def deadline_us(self) -> Micros | None:
        first, second = self.instance.deadline_us, self.announcer.deadline_us
        if first is None or (second is not None and second < first):
            return second
        return first

    def handle(self, event: Event, now_us: Micros) -> list[Action]:
        was = type(self.instance.state)
        out: list[Action] = []
        for action in self.instance.handle(event, now_us):
            out += self._carry(action, now_us)
        if type(self.instance.state) is not was:
            self.since_us = now_us
            self._judge_change(was_master=was is Master)
        return out + self.announce_due(now_us)

    def hear_again(self, heard: Heard, path: Path, now_us: Micros) -> bool:
        """The short way for an advert that repeats the last one byte by byte. False: go the long one."""
        if not self.instance.hear_again(heard, now_us):
            return False
        self.heard_at_us = path.heard_at_us = now_us
        self.counters[RECEIVED] += 1
        return True

    def advertise_again(self, due_us: Micros, now_us: Micros) -> Sequence[Action] | None:
        """The short way for an advert on time, when nothing else is due. None: go the long one."""
        announce_us = self.announcer.deadline_us
        if announce_us is not None and announce_us <= now_us:
            return None
        if not self.instance.advertise_again(due_us, now_us):
            return None
        self.counters[SENT] += 1
        return self._say(self.instance.priority, now_us)

    def announce_due(self, now_us: Micros) -> list[Action]:
        rounds = self.announcer.due(now_us)
        if not rounds or not self.plan.vips:
            return []
        for vip in self.plan.vips:
            self.counters[GARP_SENT if vip.ip.version == 4 else NA_SENT] += rounds
        return [Announce(self.plan.name, self.plan.vips, rounds)]

    def adopt(self, plan: VrrpPlan, now_us: Micros) -> list[Action]:
        """Go on with a changed plan that speaks of the same virtual router (see `router.same_router`)."""
        before = self.plan
        self.instance.plan = self.announcer.plan = plan
        if plan.priority != before.priority:
            self.instance.reprioritize(plan.priority)  # what is tracked is weighed next
        self.sender.adopt(plan)
        self.receiver.adopt(plan)
        self.paths = Paths(plan)
        if not isinstance(self.instance.state, Master):
            return []
        had, has = ({vip.place for vip in one.moving} for one in (before, plan))
        gone = Release(
            plan.name,
            tuple(vip for vip in before.moving if vip.place not in has),
            tuple(route for route in before.routes if route not in plan.routes),
            tuple(rule for rule in before.rules if rule not in plan.rules),
        )
        new = Claim(
            plan.name,
            tuple(vip for vip in plan.moving if vip.place not in had),
            tuple(route for route in plan.routes if route not in before.routes),
            tuple(rule for rule in plan.rules if rule not in before.rules),
        )
        out: list[Action] = [gone] if gone.vips or gone.routes or gone.rules else []
        if new.vips or new.routes or new.rules:
            out.append(new)
        if new.vips:
            self.announcer.start(now_us)
            out += self.announce_due(now_us)
        return out

    def resign_leftovers(self, vips: tuple[Vip, ...], now_us: Micros) -> list[Action]:
        """A killed predecessor left these on the interface: end its mastership politely."""
        return [*self._say(0, now_us), Release(self.plan.name, vips, self.plan.routes, self.plan.rules)]

    def will(self) -> tuple[tuple[Bequest, ...], Holding | None]:
        """What the supervisor is to say and take away should we be killed now."""
        if not isinstance(self.instance.state, Master):
            return (), None
        plan = self.plan
        return self.sender.bequests(), Holding(plan.moving, plan.routes, plan.rules)

    def view(self, oddities: tuple[Oddity, ...] = (), *, held: bool) -> RouterView:
        plan, state = self.plan, self.instance.state
        learned_us = state.interval_us if isinstance(state, Backup) else plan.advert_interval_us
        master, priority = self.master
        return RouterView(
            name=plan.name,
            vrid=plan.vrid,
            state=self.state,
            priority=self.shown_priority,
            since_us=self.since_us,
            reason=self.instance.reason,
            epoch=self.epoch,
            master=master,
            master_priority=priority,
            heard_at_us=self.heard_at_us,
            down_at_us=state.down_at_us if isinstance(state, Backup) else None,
            down_interval_us=self.instance.down_interval_us(learned_us),
            addresses=tuple(f"{vip.ip}/{vip.prefix}" for vip in plan.vips),
            held=held,
            counters=dict(self.counters),
            paths=self.paths.views(),
            oddities=oddities,
        )

    @property
    def shown_priority(self) -> int:
        """The effective one; 0 in FAULT."""
        return 0 if isinstance(self.instance.state, Fault) else self.instance.priority

    @property
    def master(self) -> tuple[Address | None, int | None]:
        """Who leads as far as we know, and with which priority; None, None: nobody known."""
        match self.instance.state:
            case Master():
                return self.plan.source, self.instance.priority
            case Backup(master=Heard(priority=priority, sender=sender)) if priority:
                return sender, priority
            case _:
                return None, None

    def silent_paths(self, now_us: Micros) -> list[Path]:
        """Ways on which the MASTER that we obey is not heard, although it is on another."""
        state = self.instance.state
        if not isinstance(state, Backup) or state.master is None or not state.master.priority:
            return []
        return self.paths.silent(state.master.sender, self.instance.down_interval_us(state.interval_us), now_us)

    def note_contest(self, heard: Heard, now_us: Micros) -> int:
        """We are MASTER and so is the sender: how many adverts of it in a row we have heard and answered."""
        gap_us = 4 * max(heard.interval_us, self.plan.advert_interval_us)
        contest = self.contests.get(heard.sender)
        if contest is None or now_us - contest.last_us > gap_us:
            if len(self.contests) >= CONTESTS_MAX:
                self.contests.clear()
            contest = self.contests[heard.sender] = Contest(0, now_us)
        contest.adverts += 1
        self.counters[TWO_MASTERS] += 1
        contest.last_us = now_us
        return contest.adverts

    def _say(self, priority: int, now_us: Micros) -> Sequence[Transmit]:
        if self.plan.checksum is ChecksumForm.AUTO:
            self.sender.use_form(self.receiver.form)
        if self.receiver.ah_sequence:
            self.sender.ah_sequence.heard(self.receiver.ah_sequence)
        return self.sender.adverts(priority, now_us + self._utc.ahead_us)

    def _judge_change(self, *, was_master: bool) -> None:
        """Why mastership came or went (RFC 6527, vrrpv3OperationsNewMasterReason)."""
        if isinstance(self.instance.state, Master):
            self.counters[NEW_MASTER_REASON] = self.instance.why_master
        elif was_master:
            lost = isinstance(self.instance.state, Backup) and self.instance.state.master is not None
            self.counters[NEXT_MASTER_REASON] = WhyMaster.PREEMPTED if lost else WhyMaster.PRIORITY
        self.contests.clear()

    def _carry(self, action: Advertise | Addresses, now_us: Micros) -> Sequence[Action]:
        plan = self.plan
        match action:
            case Advertise(priority):
                self.counters[SENT] += 1
                self.counters[SENT_ZERO] += priority == 0
                return self._say(priority, now_us)
            case Addresses.CLAIM:
                self.epoch += 1
                self.counters[MASTER_TRANSITIONS] += 1
                self.announcer.start(now_us)
                return [Claim(plan.name, plan.moving, plan.routes, plan.rules)]
            case Addresses.RELEASE:
                self.counters[RELEASES] += 1
                self.announcer.stop()
                return [Release(plan.name, plan.moving, plan.routes, plan.rules)]
            case Addresses.ANNOUNCE | Addresses.ANNOUNCE_CONTEST:
                self.announcer.again(now_us, contest=action is Addresses.ANNOUNCE_CONTEST)
                return []
            case _:
                assert_never(action)
