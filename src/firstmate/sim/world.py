"""One story from beginning to end: nodes, network, clients and faults on one agenda, and a judge beside it."""

import traceback
from collections.abc import Callable
from functools import partial
from random import Random

from firstmate.model.addresses import Address
from firstmate.model.plan import Plan
from firstmate.model.units import MS, Micros
from firstmate.sim import bounds
from firstmate.sim.agenda import Agenda
from firstmate.sim.chance import Chance
from firstmate.sim.conditions import Invariant
from firstmate.sim.faults import Faults
from firstmate.sim.invariants import Judge, Violation
from firstmate.sim.journal import Journal
from firstmate.sim.network import Client, Network
from firstmate.sim.news import Around, News
from firstmate.sim.node import Node
from firstmate.sim.schedule import Schedule, Weather
from firstmate.vrrp.router import Router

REDIAL_US: Micros = 3 * MS  # the longest that the lifeline needs to be refused
EVENTS_MAX = 200_000  # a storm of adverts must end the story, not the machine


class World:
    """`build` makes the routers: `vrrp.router.Router`, or a broken one that the invariants must catch."""

    def __init__(self, schedule: Schedule, build: Callable[[Plan, Micros], Router] = Router) -> None:
        self.schedule = schedule
        self.agenda = Agenda()
        self.journal = Journal(self.agenda)
        self.events = 0
        self._chance = Chance(Random(f"story {schedule.seed}"), schedule.weather)
        places: dict[Address, int] = {
            path.source: place
            for place, plan in enumerate(schedule.plans)
            for router in plan.routers
            for path in router.all_paths
        }
        self.network = Network(self.agenda, self._chance, self.journal, places, schedule.clients)
        news: list[News] = []
        around = Around(self.agenda, self._chance, self.network, self.journal, news)
        pairs = zip(schedule.plans, schedule.starts, strict=True)
        self.nodes = [Node(place, plan, start, around, build) for place, (plan, start) in enumerate(pairs)]
        self._faults = Faults(schedule, self.nodes, self.network, self.agenda, self._chance, self.journal)
        self.judge = Judge(schedule, self.nodes, self.network, self.agenda, news, lambda: self._faults.cuts)
        self._plan_everything()

    def run(self) -> Violation | None:
        """Play the story; returns the first violation."""
        end_us = bounds.settled_us(self.schedule) + self.schedule.calm_us
        violation = None
        while violation is None and (what := self.agenda.next(end_us)) is not None:
            self.events += 1
            violation = self.judge.overdue()
            if violation is None:
                violation = self._step(what)
            if self.events > EVENTS_MAX:
                violation = Violation(Invariant.TRAFFIC, self.agenda.now_us, f"more than {EVENTS_MAX} events")
        return violation or self.judge.overdue() or self.judge.last_word()

    def _step(self, what: Callable[[], None]) -> Violation | None:
        try:
            what()
        except Exception:  # noqa: BLE001 - whatever a router raises is what we are looking for
            return Violation(Invariant.EXCEPTION, self.agenda.now_us, traceback.format_exc(limit=-4))
        return self.judge.look()

    def _plan_everything(self) -> None:
        schedule, agenda = self.schedule, self.agenda
        for node, start in zip(self.nodes, schedule.starts, strict=True):
            self.network.receivers[node.place] = node.receive
            node.bury = self._bury
            agenda.at(start.at_us, node.power_on)
        for fault in schedule.faults:
            agenda.at(fault.at_us, partial(self._faults.begin, fault))
            if fault.until_us is not None:
                agenda.at(fault.until_us, partial(self._faults.end, fault))
        agenda.at(schedule.heal_us, self._heal)
        agenda.at(bounds.settled_us(schedule), self._calm)
        for client in self.network.clients:
            agenda.after(self._chance.about_us(schedule.resolve_us), partial(self._resolve, client))

    def _heal(self) -> None:
        self.journal.note("whole", "every fault is over; nothing is lost any more")
        self.judge.heal()
        self._change_weather(self.schedule.clear)

    def _calm(self) -> None:
        self.journal.note("calm", "nothing may move from here on")
        self._change_weather(self.schedule.calm)
        self.judge.calm()

    def _change_weather(self, weather: Weather) -> None:
        self._chance.weather = weather

    def _resolve(self, client: Client) -> None:
        rng = self._chance.rng
        vip = rng.choice(rng.choice(self.schedule.plans[0].routers).vips)
        holders = [node.place for node in self.nodes if node.answers_arp and vip in node.held]
        self.network.resolve(client, vip.ip, holders)
        self.agenda.after(self._chance.about_us(self.schedule.resolve_us), partial(self._resolve, client))

    def _bury(self, dead: Node) -> None:
        """The lifeline: each peer's kernel may tell its pulse."""
        for peer in self.nodes:
            if peer is not dead and self._chance.happens(self.schedule.lifeline):
                wait_us = self._chance.delay_us() + self._chance.rng.randrange(REDIAL_US)
                self.agenda.after(wait_us, partial(self._tell_of_death, peer, dead))

    def _tell_of_death(self, peer: Node, dead: Node) -> None:
        ways = (dead.place, peer.place), (peer.place, dead.place)
        if dead.router is None and dead.answers_arp and all(self.network.is_open(*way) for way in ways):
            peer.mourn(dead)
