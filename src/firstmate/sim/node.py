"""A host with its pulse: a real `Router` and around it what `pulse.loop`, the supervisor and the kernel do."""

from collections import deque
from collections.abc import Callable
from functools import partial

from firstmate.model.addresses import Address
from firstmate.model.messages import FactChanged, Will
from firstmate.model.plan import HAPROXY_FACT, Plan, Vip, VrrpPlan
from firstmate.model.units import MS, S, Micros
from firstmate.sim import standing
from firstmate.sim.news import Around, Disturbed, Moved
from firstmate.sim.parcel import Parcel
from firstmate.sim.schedule import Start
from firstmate.sim.senses import Senses
from firstmate.vrrp.instance import PeerGone, Signal
from firstmate.vrrp.member import Announce, Claim, Release
from firstmate.vrrp.packet import BadAdvert
from firstmate.vrrp.receive import unwrap
from firstmate.vrrp.router import Action, Changed, Event, Noticed, Router
from firstmate.vrrp.sender import Transmit
from firstmate.vrrp.testament import seal

PACKETS_AT_ONCE = 64  # as in pulse.loop: then the rest of the inbox and the timers get their turn
SOCKET_PACKETS_MAX = 256  # about what a receive buffer of 208 KiB holds
EXECUTOR_US: Micros = 1 * MS  # the supervisor's way from the death of pulse to its will
REPAIR_US: Micros = 1 * S  # as in pulse.loop: how often what is missing is looked for
EPOCH_US: Micros = 1_790_000_000 * S  # the true time of day when a story begins


class Node:
    """`router` is None while no pulse runs; `bury` is told when one ends."""

    def __init__(
        self, place: int, plan: Plan, start: Start, around: Around, build: Callable[[Plan, Micros], Router]
    ) -> None:
        self.place, self.plan, self.name = place, plan, plan.node
        self.read_plan = plan  # as pulse has read it
        self.plans = {router.name: router for router in plan.routers}
        self.router: Router | None = None
        self.held: set[Vip] = set()  # on the interface, as its kernel has it
        self.powered, self.paused, self.frozen = False, False, False
        self.told: dict[str, bool | int] = {}  # what this pulse has heard of itself
        self.starting = False  # the start delay runs
        self.has_let_go = False  # the last pulse ended in good order, or its will was done
        self.bury: Callable[[Node], None] = lambda _: None
        self._haproxy_up, self._generation = True, 1
        self._truth: dict[str, bool | int] = dict(start.facts)
        self._holds: dict[str, tuple[int, VrrpPlan, bool, bool]] = {}
        self._standings: dict[str, tuple[bool, int]] = {}  # by router; until it is told something else
        self._senses = Senses(place, around)
        self._begins_at_us: Micros = 0  # by its own clock: the end of the start delay
        self._looks_at_us: Micros = 0
        self._start, self._build = start, build
        self._reloading = False
        self._clock_ahead_us = start.clock_us
        self._around = around
        self._adverts: deque[Parcel] = deque()
        self._messages: deque[Event] = deque()
        self._mourned: deque[Node] = deque()
        self._wake_at_us: Micros | None = None
        self._asleep_since_us: Micros = 0  # by its own clock
        self._stopped_clock_at_us: Micros | None = None
        self._start_on_thaw = False
        self._will = Will((), ())

    @property
    def address(self) -> Address:
        return self.plan.me.address

    @property
    def clock_us(self) -> Micros:
        return self._around.agenda.now_us + self._clock_ahead_us

    @property
    def is_running(self) -> bool:
        return self.router is not None and self.powered and not self.paused and not self.frozen

    @property
    def utc_us(self) -> Micros:
        return EPOCH_US + self._around.agenda.now_us + self._start.utc_skew_us

    @property
    def utc_skew_us(self) -> Micros:
        return self._start.utc_skew_us

    def may_lead(self, router: str) -> bool:
        """It runs, has a link, and knows of nothing that forbids it."""
        return self.is_running and not self._around.network.unplugged[self.place] and self._standing(router)[0]

    def holds(self, router: str) -> tuple[bool, bool]:
        """All of its addresses, and any of them."""
        known = self._holds.get(router)
        if known is None or known[0] != len(self.held) or known[1] is not self.plans[router]:
            plan = self.plans[router]
            found = [vip in self.held for vip in plan.vips]
            known = self._holds[router] = len(self.held), plan, all(found), any(found)
        return known[2:]

    def priority(self, router: str) -> int:
        """The effective one, as what it was told makes it."""
        return self._standing(router)[1]

    def _standing(self, router: str) -> tuple[bool, int]:
        found = self._standings.get(router)
        if found is None:
            plan, told = self.read_plan, self.told
            fit, priority = standing.is_fit(plan, router, told), standing.priority(plan, self.plans[router], told)
            found = self._standings[router] = fit, priority
        return found

    def is_fit(self, router: str) -> bool:
        """It could hold the addresses, and nothing holds it back."""
        return not self.starting and self.may_lead(router)

    @property
    def answers_arp(self) -> bool:
        return self.powered and not self.frozen

    # What befalls it.

    def power_on(self) -> None:
        self.powered, self.frozen = True, False
        self.start()

    def power_off(self) -> None:
        self._end_pulse()
        self.powered, self.held = False, set()
        self._clock_ahead_us = -self._around.agenda.now_us  # the next boot begins at 0
        self._disturb("goes dark")

    def start(self) -> None:
        """The supervisor starts pulse, unless it runs or the host does not."""
        if self.router is not None or not self.powered:
            return
        if self.frozen:
            self._start_on_thaw = True
            return
        self._read_plan()
        router = self.router = self._build(self.plan, self.clock_us)
        self.paused, self.has_let_go, self._will = False, False, Will((), ())
        self._senses, self.told = Senses(self.place, self._around), {}
        self._standings.clear()
        self.starting = self.plan.start_delay_us > 0
        self._begins_at_us = self._looks_at_us = self.clock_us
        if self.starting:
            self._begins_at_us += self.plan.start_delay_us
            self._around.agenda.after(self.plan.start_delay_us, partial(self._begin, router))
        self._disturb("pulse starts")
        router.utc_ahead_us = self.utc_us - self.clock_us
        self._carry(router.release_leftovers({vip.ip for vip in self.held}, self.clock_us))
        self.held = set()
        self._feed_link_facts()
        self._feed(Signal.STARTUP)
        self._around.agenda.after(self._start.fact_after_us, partial(self._hear_of_haproxy, router))
        self._sleep()

    def stop(self) -> None:
        """SIGTERM. One that does not react is killed by the supervisor."""
        if self.router is None or self.frozen:
            return
        if self.paused:
            self.crash(with_will=True)
            return
        self._feed(Signal.SHUTDOWN)
        self.has_let_go = True
        self._end_pulse()

    def crash(self, *, with_will: bool) -> None:
        """SIGKILL to pulse; `with_will`: the supervisor lives and does what the will says."""
        if self.router is None or self.frozen:
            return
        self._end_pulse()
        if with_will:
            self._around.agenda.after(EXECUTOR_US, self._execute_will)

    def pause(self) -> None:
        if self.is_running:
            self.paused, self._asleep_since_us = True, self.clock_us
            self._disturb("paused")

    def resume(self) -> None:
        if self.paused:
            self.paused = False
            self._disturb("goes on", 0 if self.frozen else self.clock_us - self._asleep_since_us)
            self._wake_after(0)

    def freeze(self, *, clock_stops: bool) -> None:
        if self.powered and not self.frozen:
            self.frozen = True
            self._asleep_since_us = self._asleep_since_us if self.paused else self.clock_us
            self._stopped_clock_at_us = self._around.agenda.now_us if clock_stops else None
            self._disturb("freezes")

    def thaw(self) -> None:
        if not self.frozen:
            return
        self.frozen = False
        if self._stopped_clock_at_us is not None:
            self._clock_ahead_us -= self._around.agenda.now_us - self._stopped_clock_at_us
        self._disturb("thaws", self.clock_us - self._asleep_since_us)
        if self._start_on_thaw:
            self._start_on_thaw = False
            self.start()
        self._wake_after(0)

    def jump(self, jump_us: Micros) -> None:
        if self.powered and not self.frozen:
            self._clock_ahead_us += jump_us
            self._disturb("clock jumps", jump_us)
            self._wake_after(0)

    def reload(self, plan: Plan) -> None:
        """The supervisor replaces the plan and sends SIGHUP."""
        self.plan, self._reloading = plan, True
        self._wake_after(0)

    def haproxy_ends(self, *, late_news_us: Micros | None) -> None:
        """The supervisor says so at once; ops may say `late_news_us` later that the old one was well."""
        if self._haproxy_up:
            before, self._generation = self._generation, self._generation + 1
            self._haproxy_up = False
            self._tell_haproxy(up=False, generation=self._generation)
            if late_news_us is not None:
                self._around.agenda.after(late_news_us, partial(self._hear_late, self.router, before))

    def haproxy_serves(self) -> None:
        if not self._haproxy_up:
            self._haproxy_up = True
            self._tell_haproxy(up=True, generation=self._generation)

    def link_changed(self) -> None:
        self._disturb("link down" if self._around.network.unplugged[self.place] else "link up")
        for fact in self._link_facts():
            self._message(fact)

    def learn(self, fact: str, value: bool | int) -> None:  # noqa: FBT001 - a fact is one or the other
        """A check, or a number in a file, is another one now."""
        self._truth[fact] = value
        if self.router is not None and HAPROXY_FACT in self.told:
            self._tell(fact)

    # What reaches it.

    def receive(self, parcel: Parcel) -> None:
        """An advert comes to the raw socket, if there is one; a full one takes no more."""
        if self.router is None or not self.powered or len(self._adverts) >= SOCKET_PACKETS_MAX:
            return
        if self.frozen and self._stopped_clock_at_us is None:
            return  # a suspended host's card is off; a stalled guest's fills its ring
        self._adverts.append(parcel)
        self._wake_after(0)

    def mourn(self, peer: "Node") -> None:
        """A connection of the lifeline ends; pulse will ask who is there."""
        if self.router is not None and self.powered and not self.frozen:
            self._mourned.append(peer)
            self._wake_after(0)

    # How it works.

    def _wake_after(self, wait_us: Micros) -> None:
        agenda = self._around.agenda
        at_us = agenda.now_us + max(0, wait_us)
        if self._wake_at_us is None or at_us < self._wake_at_us:
            self._wake_at_us = at_us
            agenda.at(at_us + self._around.chance.lateness_us(), partial(self._wake, at_us))

    def _wake(self, due_us: Micros) -> None:
        if due_us != self._wake_at_us:
            return
        self._wake_at_us = None
        if not self.is_running:
            return  # whatever makes it run again wakes it
        for _ in range(min(len(self._adverts), PACKETS_AT_ONCE)):
            self._listen(self._adverts.popleft())
        while self._messages:
            self._feed(self._messages.popleft())
            self._around.agenda.changed = True
        while self._mourned:
            peer = self._mourned.popleft()
            if peer.router is None and peer.answers_arp:
                self._feed(PeerGone(peer.address))
        if self._reloading:
            self._adopt()
        assert self.router is not None
        deadline_us = self.router.deadline_us
        if deadline_us is not None and deadline_us <= self.clock_us:
            self._feed(Signal.TIMER)
        if self.clock_us >= self._looks_at_us:
            self._looks_at_us = self.clock_us + REPAIR_US
            self._carry(self.router.look_around(self.clock_us))
        self._sleep()

    def _begin(self, router: Router) -> None:
        """By its own clock, which may have stood still meanwhile."""
        if self.router is not router or not self.starting:
            return
        if self.clock_us < self._begins_at_us or not self.is_running:
            self._around.agenda.after(max(self._begins_at_us - self.clock_us, 1 * MS), partial(self._begin, router))
            return
        self.starting = False
        self._disturb("its start delay is over")

    def _adopt(self) -> None:
        assert self.router is not None
        self._read_plan()
        self._carry(self.router.adopt(self.plan, self.clock_us))
        self._feed_link_facts()
        self._will = self.router.will()
        self._disturb("goes by the new plan")

    def _read_plan(self) -> None:
        self._reloading, self.read_plan = False, self.plan
        self._standings.clear()
        self.plans = {router.name: router for router in self.plan.routers}

    def _sleep(self) -> None:
        assert self.router is not None
        if self._adverts:
            self._wake_after(0)
        elif (deadline_us := self.router.deadline_us) is not None:
            self._wake_after(deadline_us - self.clock_us)

    def _listen(self, parcel: Parcel) -> None:
        """As `pulse.loop` hears: what repeats the last one goes the short way."""
        router = self.router
        assert router is not None
        datagram = parcel.datagram
        if parcel.packet:
            try:
                datagram = unwrap(parcel.packet, datagram.interface)
            except BadAdvert as error:
                router.count(error.reason.value)
                return
        vrid, priority = parcel.datagram.pdu[1:3]
        for one in self.read_plan.routers:
            if one.vrid == vrid and one.family == datagram.source.version and parcel.intact:
                self._senses.heard(one, parcel, priority, self.utc_us)
        said = parcel.said
        if said and not parcel.packet and router.hear_again(said, self.clock_us):
            return
        router.utc_ahead_us = self.utc_us - self.clock_us
        self._carry(router.hear(datagram, self.clock_us, None if parcel.packet else said or None))
        router.take_new_master()

    def _feed(self, event: Event) -> None:
        assert self.router is not None
        self.router.utc_ahead_us = self.utc_us - self.clock_us
        self._carry(self.router.handle(event, self.clock_us))

    def _carry(self, actions: list[Action]) -> None:
        around = self._around
        for action in actions:
            match action:
                case Transmit():
                    parcel = around.network.transmit(self.place, action)
                    self._senses.spoken(self.read_plan.routers, action, parcel)
                case Claim(_, vips):
                    self.held.update(vips)
                    self._holds.clear()
                case Release(_, vips):
                    self.held.difference_update(vips)
                    self._holds.clear()
                case Announce(_, vips, rounds):
                    around.network.announce(self.place, vips, rounds)
                case Changed():
                    self._changed(action)
                case Noticed(code, text):
                    around.journal.note(self.name, "notice {}: {}", code, text)

    def _changed(self, changed: Changed) -> None:
        self._around.news.append(Moved(self.place, changed))
        self._around.agenda.changed = True
        text = "{}: {} -> {}: {}"
        values = (changed.router, changed.was.value, changed.is_.value, changed.reason)
        self._around.journal.note(self.name, text, *values)
        if self.router is not None:
            self._will = self.router.will()

    def _execute_will(self) -> None:
        if self.frozen:
            self._around.agenda.after(EXECUTOR_US, self._execute_will)
            return
        will, self._will = self._will, Will((), ())
        for one in seal(will.bequests, self.utc_us):
            self._around.network.transmit(self.place, one)
        gone = {vip.ip for holding in will.holdings for vip in holding.addresses}
        self.held = {vip for vip in self.held if vip.ip not in gone}
        self._holds.clear()
        self.has_let_go = True
        self._disturb("its will is done")

    def _end_pulse(self) -> None:
        if self.router is None:
            return
        self.router, self.paused, self.starting, self.told = None, False, False, {}
        self._standings.clear()
        for queue in (self._adverts, self._messages, self._mourned):
            queue.clear()
        self._wake_at_us = None
        self._disturb("pulse ends")
        self.bury(self)

    def _message(self, message: Event) -> None:
        if self.router is not None and self.powered:
            self._messages.append(message)
            self._wake_after(0)

    def _hear_of_haproxy(self, router: Router) -> None:
        if self.router is not router:
            return
        for fact in self._truth:
            self._tell(fact)
        if self._haproxy_up:
            self._tell_haproxy(up=True, generation=self._generation)

    def _hear_late(self, router: Router | None, generation: int) -> None:
        """What is on its way to a pulse that has ended is lost with it."""
        if self.router is router:
            self._tell_haproxy(up=True, generation=generation)

    def _tell_haproxy(self, *, up: bool, generation: int) -> None:
        if self.router is None:
            return
        if generation == self._generation:
            self.told[HAPROXY_FACT] = up
            self._standings.clear()
            self._disturb(f"HAProxy {'serves' if up else 'is down'}")
        why = "" if up else "HAProxy has exited"
        self._message(FactChanged(HAPROXY_FACT, up=up, why=why, at_us=self.clock_us, generation=generation))

    def _tell(self, fact: str) -> None:
        value = self.told[fact] = self._truth[fact]
        self._standings.clear()
        up, number = (value, None) if isinstance(value, bool) else (True, value)
        self._disturb(f"{fact} is {value}")
        self._message(FactChanged(fact, up=up, why="" if up else "as drawn", at_us=self.clock_us, value=number))

    def _feed_link_facts(self) -> None:
        for fact in self._link_facts():
            self._feed(fact)

    def _link_facts(self) -> list[FactChanged]:
        return standing.link_facts(self.plan, self.clock_us, up=not self._around.network.unplugged[self.place])

    def _disturb(self, text: str, slept_us: Micros = 0) -> None:
        self._around.agenda.changed = True
        self._around.news.append(Disturbed(self.place, slept_us))
        self._around.journal.note(self.name, text)
