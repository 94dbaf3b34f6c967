"""The judge of a story: what must never happen, and what may not last.

`conditions` has the list of invariants and what may not last, `bounds` how long it may.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from firstmate.model.messages import RouterState
from firstmate.model.plan import OWNER, VrrpPlan
from firstmate.model.units import Micros, format_duration
from firstmate.sim import bounds as bounds_
from firstmate.sim import hearing, standing
from firstmate.sim.agenda import Agenda
from firstmate.sim.conditions import Conditions, Invariant, Key, Past, Trouble, plan_of, priority_of, state_of
from firstmate.sim.network import Network
from firstmate.sim.news import Disturbed, Listened, Moved, News, Odd
from firstmate.sim.node import Node
from firstmate.sim.schedule import FaultKind, Schedule
from firstmate.vrrp.member import MASTER_TRANSITIONS, RECEIVED, RELEASES, SENT, Member
from firstmate.vrrp.oddities import ODDITIES_MAX
from firstmate.vrrp.packet import Refusal


@dataclass(frozen=True, slots=True)
class Violation:
    what: Invariant
    at_us: Micros
    text: str


@dataclass(slots=True)
class _Seen:
    """What the judge knows of one virtual router on one node; times are of the story, not of the node."""

    last: int | None = None  # the place of whom it heard last
    heard_us: Micros = 0  # when
    heard_priority: int = 0  # and what it said
    listened: int = 0  # good adverts given to this pulse
    idle_us: Micros = 0  # since when it hears no MASTER
    humble_us: Micros = 0  # by its own clock: since when it has not heard its equal or better
    state: RouterState = RouterState.INIT  # as far as the news was told
    since_us: Micros = 0  # of its state
    disturbed_us: Micros = 0
    led: int = 0  # how often it became MASTER


@dataclass(frozen=True, slots=True)
class _Open:
    trouble: Trouble
    since_us: Micros

    @property
    def deadline_us(self) -> Micros:
        return self.since_us + self.trouble.limit_us


class Judge:
    """`look` after every event, `overdue` before the next; `cuts` counts changes of the network."""

    def __init__(
        self,
        schedule: Schedule,
        nodes: Sequence[Node],
        network: Network,
        agenda: Agenda,
        news: list[News],
        cuts: Callable[[], int],
    ) -> None:
        self._schedule, self._nodes, self._network = schedule, nodes, network
        self._agenda, self._news, self._cuts = agenda, news, cuts
        self._all = bounds_.of(schedule)
        self._conditions = Conditions(nodes, network, schedule)
        self._bounds = self._conditions.bounds
        self._together = {name: standing.together(nodes[0].plan, name) for name in self._bounds}
        self._routers = [plan.name for plan in nodes[0].plan.routers]
        self._seen = {(node.place, router): _Seen() for node in nodes for router in self._routers}
        self._past = Past({}, set())
        self._open: dict[tuple[Invariant, Key], _Open] = {}
        self._deadline_us: Micros | None = None
        self._disturbances = 0
        self._healed_us: Micros | None = None
        self._excused: set[Key] = set()  # clients misled because something could not be heard: only refresh helps
        self._echo_until_us: Micros = -1  # until then something may arrive from before all was whole
        self._contested: set[str] = set()  # routers that had several MASTERs when all became whole
        self._calm_us: Micros | None = None
        self._sent_before: Counter[tuple[int, str]] = Counter()

    def heal(self) -> None:
        """All becomes whole: to be told while the weather is still that of before."""
        self._healed_us = self._agenda.now_us
        if not self._network.is_whole:
            self._echo_until_us = self._agenda.now_us + self._all.wire_us
        self._contested = {router for router in self._routers if len(self._conditions.masters(router)) > 1}
        self._excused = {key for key in self._excused if key[0] not in self._contested}
        self._agenda.changed = True

    def calm(self) -> None:
        self._calm_us = self._agenda.now_us
        self._sent_before = Counter({place: member.counters[SENT] for place, member in self._members()})

    def look(self) -> Violation | None:
        """Take in what the nodes did in the last event."""
        for news in self._news:
            found = self._weigh(news)
            if found is not None:
                return found
        self._news.clear()
        if self._agenda.changed:
            self._agenda.changed = False
            self._take_stock()
        return None

    def overdue(self) -> Violation | None:
        """Has something lasted too long until now?"""
        if self._deadline_us is None or self._agenda.now_us <= self._deadline_us:
            return None
        late = min(self._open.values(), key=lambda one: one.deadline_us)
        lasted, limit = format_duration(self._agenda.now_us - late.since_us), format_duration(late.trouble.limit_us)
        return Violation(
            late.trouble.what, self._agenda.now_us, f"{late.trouble.text}: for {lasted}, at most {limit} is right"
        )

    def last_word(self) -> Violation | None:
        """What can only be said when the story is over."""
        for node in self._nodes:
            for router in self._routers:
                found = self._idle_too_long(node, router)
                if found is not None:
                    return found
        for (place, router), member in self._members():
            for text in self._odd_counters(place, router, member):
                return self._violation(Invariant.TRAFFIC, f"{router}: {self._nodes[place].name} {text}")
        return None

    def _weigh(self, news: News) -> Violation | None:
        match news:
            case Listened(place, router, sender, priority):
                return self._listened(self._nodes[place], router, sender, priority)
            case Moved(place, changed):
                return self._moved(self._nodes[place], changed.router, changed.was, changed.is_)
            case Disturbed(place, slept_us):
                self._disturbed(self._nodes[place], slept_us)
            case Odd("sequence", place, text):
                return self._violation(Invariant.SEQUENCE, f"{self._nodes[place].name} says again {text}")
            case Odd(_, place, text) if self._calm_us is not None and self._all_hear(text.split()[0]):
                return self._violation(Invariant.UNHEARD, f"{self._nodes[place].name} cannot hear {text}")
        return None

    def _all_hear(self, router: str) -> bool:
        return self._conditions.all_hear_all(router)

    def _listened(self, node: Node, router: str, sender: int, priority: int) -> Violation | None:
        seen, now_us = self._seen[node.place, router], self._agenda.now_us
        seen.listened += 1
        if priority == 0:
            if seen.last == sender and seen.state is RouterState.BACKUP:
                self._past.promises[node.place, router] = now_us
                self._agenda.changed = True
            return None
        found = self._idle_too_long(node, router)
        seen.last, seen.heard_us, seen.heard_priority, seen.idle_us = sender, now_us, priority, now_us
        if priority >= priority_of(node, router):
            seen.humble_us = node.clock_us
        if self._past.promises.pop((node.place, router), None) is not None:
            self._agenda.changed = True
        return found

    def _moved(self, node: Node, router: str, was: RouterState, is_: RouterState) -> Violation | None:
        seen, now_us = self._seen[node.place, router], self._agenda.now_us
        found = None
        if was is RouterState.BACKUP and is_ is RouterState.MASTER:
            found = self._needless(node, router) or self._idle_too_long(node, router)
        if is_ is RouterState.MASTER:
            seen.led += 1
        elif is_ is RouterState.BACKUP:
            seen.idle_us, seen.humble_us = now_us, node.clock_us
        seen.state, seen.since_us = is_, now_us
        self._past.promises.pop((node.place, router), None)
        self._past.overslept.discard((node.place, router))
        if found is None and self._calm_us is not None:
            found = self._violation(Invariant.RESTLESS, f"{router}: {node.name} went from {was.value} to {is_.value}")
        if found is None and self._is_quiet and seen.led > 1 and self._all_hear(router):
            found = self._violation(Invariant.FLAPPING, f"{router}: {node.name} became MASTER {seen.led} times")
        return found

    @property
    def _is_quiet(self) -> bool:
        """Nothing happens that anybody may act upon: one way of two is blocked at most."""
        told = self._schedule
        ways = {fault.fact for fault in told.faults}
        if not told.faults:
            return True
        return (
            all(fault.kind is FaultKind.WAY for fault in told.faults)
            and len(ways) == 1
            and not told.weather.loss + told.weather.corruption
            and all(len(router.paths) > 0 for plan in told.plans for router in plan.routers)
        )

    def _disturbed(self, node: Node, slept_us: Micros) -> None:
        self._disturbances += 1
        for router in self._routers:
            self._past.promises.pop((node.place, router), None)
            seen, plan = self._seen[node.place, router], plan_of(node, router)
            interval_us = max(
                self._intervals_us(node, router)
            )  # its next advert was due, others wait three and the skew
            if seen.state is RouterState.MASTER and slept_us > (
                1 + plan.down_timer_adverts
            ) * interval_us + bounds_.skew(plan, interval_us):
                self._past.overslept.add((node.place, router))
            if node.router is None:
                self._past.overslept.discard((node.place, router))
                seen.last, seen.listened, seen.state = None, 0, RouterState.INIT
            seen.disturbed_us = seen.idle_us = self._agenda.now_us

    def _idle_too_long(self, node: Node, router: str) -> Violation | None:
        seen, limit_us = self._seen[node.place, router], self._bounds[router].silence_us
        since_us = max(self._seen[node.place, name].idle_us for name in self._together[router])
        lasted_us = self._agenda.now_us - since_us
        if not node.is_fit(router) or seen.state is RouterState.MASTER or lasted_us <= limit_us:
            return None
        lasted, limit = format_duration(lasted_us), format_duration(limit_us)
        return self._violation(
            Invariant.SILENCE, f"{router}: {node.name} heard nobody for {lasted}, at most {limit} is right"
        )

    def _needless(self, node: Node, router: str) -> Violation | None:
        """Had whom it obeys been MASTER all along, and heard within three intervals?"""
        seen, now_us = self._seen[node.place, router], self._agenda.now_us
        master = None if seen.last is None else self._nodes[seen.last]
        if master is None or not master.is_fit(router) or state_of(master, router) is not RouterState.MASTER:
            return None
        own, theirs = plan_of(node, router), self._seen[master.place, router]
        if max(theirs.since_us, theirs.disturbed_us, seen.since_us) >= seen.heard_us:
            return None
        if seen.disturbed_us + self._bounds[router].reaction_us >= seen.heard_us:
            return None  # what waited in the socket during a pause may be old
        if (node.place, router) in self._past.promises:
            return None  # a resignation that was overtaken by the next mastership of the same node
        if now_us - seen.heard_us >= own.down_timer_adverts * min(self._intervals_us(master, router)):
            return None
        may_preempt = (own.preempt or own.priority == OWNER) and priority_of(node, router) > seen.heard_priority
        delay_us = min(
            plan.preempt_delay_us for plan in self._every_plan(node, router)
        )  # it may have run before a reload
        if may_preempt and node.clock_us - seen.humble_us >= delay_us:
            return None
        ago = format_duration(now_us - seen.heard_us)
        text = f"{router}: {node.name} becomes MASTER although it heard {master.name} {ago} ago"
        return self._violation(Invariant.NEEDLESS, text)

    def _take_stock(self) -> None:
        """Which troubles are there now? Those that were there before keep their time."""
        now_us = self._agenda.now_us
        troubles = list(self._conditions.always(self._disturbances + self._cuts(), self._past))
        if self._healed_us is not None:
            troubles += self._conditions.when_whole()
        troubles += self._black_holes()
        before, self._open = self._open, {}
        for trouble in troubles:
            name = (trouble.what, trouble.key)
            self._open[name] = before.get(name) or _Open(trouble, now_us)
        self._deadline_us = min((one.deadline_us for one in self._open.values()), default=None)

    def _black_holes(self) -> Iterator[Trouble]:
        """Before all is whole only clients count that nobody answers, and only if every word about it was heard.

        The excused ones count when all is whole, but have the time of `garp_refresh`. A gratuitous ARP from before
        may still arrive then, though the word that would have corrected it was lost.
        """
        whole = self._healed_us is not None
        early = whole and self._agenda.now_us <= self._echo_until_us
        all_hear = self._network.is_whole and not any(node.frozen or not node.powered for node in self._nodes)
        for trouble, lost in self._conditions.misled():
            router = str(trouble.key[0])
            if not self._all_hear(router):  # several lead for good, or until a reload
                self._excused.add(trouble.key)
                continue
            if (not all_hear and not whole) or (early and router not in self._contested):
                self._excused.add(trouble.key)
            if not trouble.text or not (whole or lost):
                continue
            if trouble.key not in self._excused and self._bounds[router].black_hole_us is not None:
                yield trouble
            elif whole and (refresh_us := self._bounds[router].refresh_us) is not None:
                yield replace(trouble, key=(*trouble.key, "excused"), limit_us=refresh_us)

    def _members(self) -> Iterator[tuple[tuple[int, str], Member]]:
        for node in self._nodes:
            if node.router is not None:
                for router, member in node.router.members.items():
                    yield (node.place, router), member

    def _odd_counters(self, place: int, router: str, member: Member) -> Iterator[str]:
        counters, seen, node = member.counters, self._seen[place, router], self._nodes[place]
        assert node.router is not None
        interval_us = min(self._intervals_us(node, router)) * 31 // 32  # some go a little early, with others
        if counters[RECEIVED] != seen.listened:
            yield f"counted {counters[RECEIVED]} adverts, but was given {seen.listened} good ones"
        causes = counters[RECEIVED] + 2 * counters[MASTER_TRANSITIONS] + counters[RELEASES] + 2
        if counters[SENT] > self._agenda.now_us // interval_us + causes:
            yield f"sent {counters[SENT]} adverts; its timer and what it heard explain {causes} and one an interval"
        if self._calm_us is not None and self._all_hear(router):
            sent = counters[SENT] - self._sent_before[place, router]
            due = (self._agenda.now_us - self._calm_us) // interval_us + 2 if member.state is RouterState.MASTER else 0
            if sent > due:
                yield f"sent {sent} adverts while all was calm: at most {due} are right"
        refused = {one.value: counters[one.value] for one in Refusal if counters[one.value]}
        if refused and not self._may_refuse(router):
            yield f"refused good adverts: {refused}"
        if len(node.router.oddities) > ODDITIES_MAX:
            yield f"remembers {len(node.router.oddities)} oddities"

    def _may_refuse(self, router: str) -> bool:
        """Corrupted adverts are refused; another interval and another list of addresses are counted."""
        intervals = {interval_us for node in self._nodes for interval_us in self._intervals_us(node, router)}
        told = self._schedule
        routers = [one for plan in told.plans for one in plan.routers if one.name == router]
        strict = any(one.hmac is not None or hearing.has_ah(one) or hearing.uses_auto(one) for one in routers)
        return told.weather.corruption > 0 or bool(told.reloaded) or len(intervals) > 1 or strict

    def _intervals_us(self, node: Node, router: str) -> list[Micros]:
        return [plan.advert_interval_us for plan in self._every_plan(node, router)]

    def _every_plan(self, node: Node, router: str) -> list[VrrpPlan]:
        """Before and after a reload."""
        plans = self._schedule.plans_of(node.place)
        return [one for plan in plans for one in plan.routers if one.name == router]

    def _violation(self, what: Invariant, text: str) -> Violation:
        return Violation(what, self._agenda.now_us, text)
