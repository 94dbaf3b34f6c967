"""What is wrong at this moment, and how long it may stay so: a pure look at the nodes, network and clients."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from firstmate.model.messages import RouterState
from firstmate.model.plan import OWNER, VrrpPlan
from firstmate.model.units import Micros
from firstmate.sim.bounds import Bounds
from firstmate.sim.network import Network
from firstmate.sim.node import Node

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


def rank(node: Node, router: str) -> tuple[int, int]:
    """Who wins a contest (RFC 5798, 6.4.3): priority, then address."""
    plan = plan_of(node, router)
    return plan.priority, int(plan.source)


class Conditions:
    """What a look can see; what it cannot, the judge hands in as the `Past`."""

    def __init__(self, nodes: Sequence[Node], network: Network, bounds: Bounds) -> None:
        self._nodes, self._network, self._bounds = nodes, network, bounds
        self._routers = [plan.name for plan in nodes[0].plan.routers]

    def masters(self, router: str) -> list[Node]:
        """Those that run and believe to be MASTER, the one that wins first."""
        found = [node for node in self._nodes if node.is_running and state_of(node, router) is RouterState.MASTER]
        if len(found) > 1:
            found.sort(key=lambda node: rank(node, router), reverse=True)
        return found

    def always(self, disturbances: int, past: Past) -> Iterator[Trouble]:
        for router in self._routers:
            masters = self.masters(router)
            yield from self._two_masters(router, masters)
            yield from self._holding(router)
            yield from self._gap(router, disturbances, past)
            for node in masters:
                if not node.is_fit:
                    text = f"{router}: {node.name} is MASTER without a link, or without HAProxy"
                    yield Trouble(Invariant.UNFIT, (router, node.place), text, self._bounds.reaction_us)
                if (node.place, router) in past.overslept:
                    text = f"{router}: {node.name} is still MASTER after it has slept longer than others wait"
                    yield Trouble(Invariant.STALE, (router, node.place), text, self._bounds.reaction_us)

    def when_whole(self) -> Iterator[Trouble]:
        """What else may not last once every fault is over."""
        for router in self._routers:
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
                    yield Trouble(Invariant.BLACK_HOLE, key, text, self._bounds.black_hole_us), lost

    def _two_masters(self, router: str, masters: list[Node]) -> Iterator[Trouble]:
        for at, winner in enumerate(masters):
            for loser in masters[at + 1 :]:
                if self._network.is_open(winner.place, loser.place):
                    missed = self._network.missed(winner.place, loser.place)
                    text = f"{router}: {winner.name} and {loser.name} are MASTER, and {loser.name} hears {winner.name}"
                    key = (winner.place, loser.place, missed)
                    yield Trouble(Invariant.TWO_MASTERS, (router, *key), text, self._bounds.contest_us)

    def _holding(self, router: str) -> Iterator[Trouble]:
        for node in self._nodes:
            if node.has_let_go and node.router is None and node.held:
                text = f"{router}: {node.name} keeps addresses although its pulse has ended in good order"
                yield Trouble(Invariant.HELD, (router, node.place), text, 0)
            if not node.is_running:
                continue
            vips = plan_of(node, router).vips
            leads = state_of(node, router) is RouterState.MASTER
            if any((vip in node.held) is not leads for vip in vips):
                held = "holds" if not leads else "does not hold"
                text = f"{router}: {node.name} {held} the addresses, being {state_of(node, router)}"
                yield Trouble(Invariant.HELD, (router, node.place), text, 0)

    def _gap(self, router: str, disturbances: int, past: Past) -> Iterator[Trouble]:
        if any(node.answers_arp and node.held.issuperset(plan_of(node, router).vips) for node in self._nodes):
            return
        for node in self._nodes:
            if not node.is_fit:
                continue
            text = f"{router}: nobody holds the addresses, and {node.name} is fit"
            yield Trouble(Invariant.GAP, (router, node.place, disturbances), text, self._bounds.gap_us)
            promised_us = past.promises.get((node.place, router))
            if promised_us is not None:
                text += " and was given priority 0"
                yield Trouble(Invariant.HANDOVER, (router, node.place, promised_us), text, self._bounds.handover_us)

    def _weak_master(self, router: str, master: Node) -> Iterator[Trouble]:
        fit = [plan_of(node, router) for node in self._nodes if node.is_fit]
        best = max(fit, key=lambda plan: plan.priority, default=None)
        if best is None or best.priority <= plan_of(master, router).priority:
            return
        if best.preempt or best.priority == OWNER:
            text = f"{router}: {master.name} leads with less than the priority {best.priority} of {best.source}"
            yield Trouble(Invariant.WEAK_MASTER, (router,), text, self._bounds.preempt_us)
