"""What is wrong at this moment, and how long it may stay so: a pure look at the nodes, network and clients."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from firstmate.model.messages import RouterState
from firstmate.model.plan import OWNER, VrrpPlan
from firstmate.model.units import Micros
from firstmate.sim import bounds as bounds_
from firstmate.sim import hearing, standing
from firstmate.sim.network import Network
from firstmate.sim.node import Node
from firstmate.sim.schedule import Schedule

Key: TypeAlias = tuple[object, ...]


class Invariant(Enum):
    """What must hold; the comment says when it does not."""

    TWO_MASTERS = "two-masters"  # two lead, and the weaker one hears the stronger, for longer than a contest takes
    SILENCE = "silence"  # a fit node that hears no MASTER does not become one in time
    GAP = "gap"  # nobody holds an address although a fit node is up, for longer than the RFC's bound
    HANDOVER = "handover"  # the same after priority 0 was heard: Skew_Time, not Master_Down_Interval
    NEEDLESS = "needless"  # an undisturbed MASTER is dethroned by a node that heard it within three intervals
    UNFIT = "unfit"  # a node leads without a link, or without HAProxy
    STALE = "stale"  # a MASTER goes on as one after a sleep in which others must have taken over
    HELD = "held"  # a node holds addresses without being MASTER, or leads without them
    WEAK_MASTER = "weak-master"  # all is whole, preemption is on, and still a weaker node leads
    BLACK_HOLE = "black-hole"  # a client sends to a host that is not MASTER, and nobody tells it
    RESTLESS = "restless"  # somebody changes state although nothing happened
    FLAPPING = "flapping"  # in a story without faults somebody leads, gives up and leads again
    TRAFFIC = "traffic"  # adverts nobody asked for, or counters that do not add up
    EXCEPTION = "exception"  # a router raised one
    TOGETHER = "together"  # of a sync group some lead on a node and some do not
    PRIORITY = "priority"  # the effective priority is not what the facts make it
    SEQUENCE = "sequence"  # a signed advert is not newer than the one before it
    UNHEARD = "unheard"  # in the calm a good advert is none to its receiver: too old a sequence, a wrong checksum
    ONE_WAY = "one-way"  # a MASTER hears another one that does not hear it, and has not named it


@dataclass(frozen=True, slots=True)
class Trouble:
    """`key`: what makes it the same trouble as before; when it differs, the time runs anew."""

    what: Invariant
    key: Key
    text: str
    limit_us: Micros


@dataclass(slots=True)
class Past:
    """By place and router."""

    promises: dict[tuple[int, str], Micros]  # a BACKUP that was given priority 0 by whom it obeyed, and when
    overslept: set[tuple[int, str]]  # a MASTER that has slept for so long that it may not go on as one


def state_of(node: Node, router: str) -> RouterState | None:
    """None: no pulse runs there."""
    return None if node.router is None else node.router.members[router].state


def plan_of(node: Node, router: str) -> VrrpPlan:
    return node.plans[router]


def priority_of(node: Node, router: str) -> int:
    """The effective one, as the facts that the node was told of make it."""
    return node.priority(router)


def rank(node: Node, router: str) -> tuple[int, int]:
    """Who wins a contest (RFC 5798, 6.4.3): priority, then address."""
    plan = plan_of(node, router)
    if node.router is None:
        return plan.priority, int(plan.source)
    return node.router.members[router].instance.priority, int(plan.source)


class Conditions:
    """What a look can see; what it cannot, the judge hands in as the `Past`."""

    def __init__(self, nodes: Sequence[Node], network: Network, schedule: Schedule) -> None:
        self._nodes, self._network = nodes, network
        first = nodes[0].plan
        self._routers = [plan.name for plan in first.routers]
        self._together = {name: standing.together(first, name) for name in self._routers}
        self._hearing: dict[tuple[str, tuple[int, ...]], bool] = {}  # by router and the plans, which all stay
        self.bounds = {name: bounds_.of(schedule, self._together[name]) for name in self._routers}

    def hears(self, receiver: Node, sender: Node, router: str) -> bool:
        """Does what one says reach the other, on one way at least, and is it good there?"""
        said, heard = plan_of(sender, router), plan_of(receiver, router)
        return hearing.may_hear(said, heard, sender.utc_skew_us - receiver.utc_skew_us) and any(
            self._network.is_open_on(sender.place, receiver.place, path.interface) for path in said.all_paths
        )

    def all_hear_all(self, router: str) -> bool:
        """By plans and clocks alone."""
        plans = tuple([id(node.plans[router]) for node in self._nodes])
        known = self._hearing.get((router, plans))
        if known is None:
            known = self._hearing[router, plans] = all(
                hearing.may_hear(plan_of(one, router), plan_of(other, router), one.utc_skew_us - other.utc_skew_us)
                for one in self._nodes
                for other in self._nodes
                if one is not other
            )
        return known

    def masters(self, router: str) -> list[Node]:
        """Those that run and believe to be MASTER, the one that wins first."""
        found = [node for node in self._nodes if node.is_running and state_of(node, router) is RouterState.MASTER]
        if len(found) > 1:
            found.sort(key=lambda node: rank(node, router), reverse=True)
        return found

    def always(self, disturbances: int, past: Past) -> Iterator[Trouble]:
        for router in self._routers:
            masters, bounds = self.masters(router), self.bounds[router]
            yield from self._two_masters(router, masters)
            yield from self._holding(router)
            yield from self._gap(router, disturbances, past)
            yield from self._priorities(router)
            if self._together[router][0] == router and len(self._together[router]) > 1:
                yield from self._apart(router)
            for node in masters:
                if not node.may_lead(router):
                    text = f"{router}: {node.name} is MASTER without a link, or without HAProxy"
                    yield Trouble(Invariant.UNFIT, (router, node.place), text, bounds.reaction_us)
                if (node.place, router) in past.overslept:
                    text = f"{router}: {node.name} is still MASTER after it has slept longer than others wait"
                    yield Trouble(Invariant.STALE, (router, node.place), text, bounds.reaction_us)

    def _priorities(self, router: str) -> Iterator[Trouble]:
        for node in self._nodes:
            if not node.is_running or not node.may_lead(router) or node.router is None:
                continue
            found, right = node.router.members[router].instance.priority, priority_of(node, router)
            if found != right and state_of(node, router) is not RouterState.INIT:
                text = f"{router}: {node.name} has the priority {found}, and the facts make it {right}"
                key = (router, node.place, found, right)
                yield Trouble(Invariant.PRIORITY, key, text, self.bounds[router].reaction_us)

    def _apart(self, router: str) -> Iterator[Trouble]:
        for node in self._nodes:
            if node.is_running:
                states = {name: state_of(node, name) is RouterState.MASTER for name in self._together[router]}
                if len(set(states.values())) > 1:
                    text = f"{node.name} leads some of its group, not all: {states}"
                    yield Trouble(Invariant.TOGETHER, (router, node.place), text, 0)

    def when_whole(self) -> Iterator[Trouble]:
        """What else may not last once every fault is over."""
        for router in self._routers:
            if not all(self.all_hear_all(name) for name in self._together[router]):
                continue  # who does not hear the weaker one bears whom that hides for another delay
            if masters := self.masters(router):
                yield from self._weak_master(router, masters[0])

    def misled(self) -> Iterator[tuple[Trouble, bool]]:
        """Clients that send to another than the MASTER; True: into the void, for that host has no such address.

        Their time may only run while somebody leads: `text` is empty while nobody does.
        """
        for router in self._routers:
            master = next(iter(self.masters(router)), None)
            for client in self._network.clients:
                for vip in plan_of(master or self._nodes[0], router).vips:
                    place = client.macs.get(vip.ip)
                    if place is None or (master is not None and place == master.place):
                        continue
                    lost = vip not in self._nodes[place].held or not self._nodes[place].answers_arp
                    name = f"client{client.place - len(self._nodes) + 1}"
                    text = ""
                    if master is not None:
                        where = f"{self._nodes[place].name}, but {master.name} is MASTER"
                        text = f"{router}: {name} sends {vip.ip} to {where}"
                    key = (router, client.place, vip.ip, client.lessons[vip.ip])
                    yield Trouble(Invariant.BLACK_HOLE, key, text, self.bounds[router].black_hole_us or 0), lost

    def _two_masters(self, router: str, masters: list[Node]) -> Iterator[Trouble]:
        for at, winner in enumerate(masters):
            for loser in masters[at + 1 :]:
                if self.hears(winner, loser, router):
                    yield from self._one_way(router, winner, loser)
                if self.hears(loser, winner, router):
                    missed = self._network.missed(winner.place, loser.place)
                    text = f"{router}: {winner.name} and {loser.name} are MASTER, and {loser.name} hears {winner.name}"
                    key = (winner.place, loser.place, missed)
                    yield Trouble(Invariant.TWO_MASTERS, (router, *key), text, self.bounds[router].contest_us)

    def _one_way(self, router: str, hearer: Node, deaf: Node) -> Iterator[Trouble]:
        """Has who hears named it? Only adverts that came count, and only while the other does not hear."""
        assert hearer.router is not None
        if self.hears(deaf, hearer, router) or plan_of(hearer, router).lower_prio_no_advert:
            return  # one that does not answer cannot know
        sources = {str(path.source) for path in plan_of(deaf, router).all_paths}
        known = hearer.router.oddities.current(router, hearer.clock_us)
        if any(one.code == "one-way-link" and one.source in sources for one in known):
            return
        missed = self._network.missed(deaf.place, hearer.place)
        text = f"{router}: {hearer.name} hears {deaf.name}, which does not hear it, and does not say so"
        key = (router, hearer.place, deaf.place, missed)
        yield Trouble(Invariant.ONE_WAY, key, text, self.bounds[router].one_way_us)

    def _holding(self, router: str) -> Iterator[Trouble]:
        for node in self._nodes:
            if node.has_let_go and node.router is None and node.held:
                text = f"{router}: {node.name} keeps addresses although its pulse has ended in good order"
                yield Trouble(Invariant.HELD, (router, node.place), text, 0)
            if not node.is_running:
                continue
            leads = state_of(node, router) is RouterState.MASTER
            every, some = node.holds(router)
            if (not every) if leads else some:
                held = "holds" if not leads else "does not hold"
                text = f"{router}: {node.name} {held} the addresses, being {state_of(node, router)}"
                yield Trouble(Invariant.HELD, (router, node.place), text, 0)

    def _gap(self, router: str, disturbances: int, past: Past) -> Iterator[Trouble]:
        if any(node.answers_arp and node.holds(router)[0] for node in self._nodes):
            return
        bounds = self.bounds[router]
        for node in self._nodes:
            if not node.is_fit(router):
                continue
            text = f"{router}: nobody holds the addresses, and {node.name} is fit"
            yield Trouble(Invariant.GAP, (router, node.place, disturbances), text, bounds.gap_us)
            promises = [past.promises.get((node.place, name)) for name in self._together[router]]
            if None not in promises:  # the whole group waits for the last one
                text += " and was given priority 0"
                key = (router, node.place, *promises)
                yield Trouble(Invariant.HANDOVER, key, text, bounds.handover_us)

    def _weak_master(self, router: str, master: Node) -> Iterator[Trouble]:
        """The time runs anew with each change of the effective priorities."""
        fit = [(priority_of(node, router), node) for node in self._nodes if node.is_fit(router)]
        best, strongest = max(fit, key=lambda one: one[0], default=(0, master))
        if best <= priority_of(master, router):
            return
        group = [plan_of(strongest, name) for name in self._together[router]]
        if all(plan.preempt or plan.priority == OWNER for plan in group):
            text = f"{router}: {master.name} leads with less than the priority {best} of {strongest.name}"
            key = (router, *(priority for priority, _ in fit))
            yield Trouble(Invariant.WEAK_MASTER, key, text, self.bounds[router].preempt_us)
