"""What pulse tells the others: ops of states and oddities, the supervisor its will, the peers of this node."""

import os
from collections.abc import Iterable

from firstmate.ipc.channel import Channel
from firstmate.ipc.lifeline import Hello
from firstmate.model.messages import Beat, Bequeathed, Notice, PeerView, Snapshot, Transition, Will
from firstmate.model.plan import Plan
from firstmate.model.units import MS, S, Micros
from firstmate.vrrp.router import Changed, Router

SNAPSHOT_US: Micros = 1 * S
SNAPSHOT_SOON_US: Micros = 20 * MS  # after news that people would miss for a second; bounded, whatever happens
ROUTERS_AT_ONCE = 32  # in one message; beside those that changed, so many are told of in turn each second
COMPLAIN_AGAIN_US: Micros = 60 * S  # what the kernel refuses each second is said once a minute
COMPLAINTS_KNOWN_MAX = 256


class Teller:
    def __init__(self, plan: Plan, router: Router, ops: Channel, supervisor: Channel) -> None:
        self.snapshot_at_us: Micros = 0
        self.beat = Beat(0)
        self._plan, self._router, self._realtime = plan, router, False
        self._ops, self._supervisor = ops, supervisor
        self._seq = 0
        self._fresh: dict[str, None] = {}  # virtual routers that changed since the last snapshot
        self._unbequeathed: dict[str, None] = {}  # those whose part of the will is not with the supervisor
        self._bequeathed: dict[str, Will] = {}
        self._turn = 0  # which of the others are told of next
        self._complained: dict[str, Micros] = {}  # what was said, and when

    @property
    def is_quick(self) -> bool:
        """One message holds all: it need not wait until a crowd has moved."""
        return len(self._router.members) <= ROUTERS_AT_ONCE

    def adopt(self, plan: Plan) -> None:
        self._plan = plan
        for name in [*self._bequeathed, *self._router.members]:
            self._fresh[name] = self._unbequeathed[name] = None

    def begin(self, *, realtime: bool) -> None:
        """We are here, and have nothing to bequeath yet."""
        self._realtime = realtime
        self._supervisor.send(Will((), ()))

    def changed(self, change: Changed, now_us: Micros) -> None:
        self._seq += 1
        self._fresh[change.router] = self._unbequeathed[change.router] = None
        self._ops.send(
            Transition(
                self._seq, now_us, change.router, change.vrid, change.was, change.is_, change.reason, change.epoch
            )
        )
        self.soon(now_us)

    def notice(self, code: str, text: str, now_us: Micros) -> None:
        self._seq += 1
        self._ops.send(Notice(self._seq, now_us, code, text))

    def complain(self, complaints: Iterable[str], now_us: Micros) -> None:
        for text in complaints:
            if now_us - self._complained.get(text, -COMPLAIN_AGAIN_US) >= COMPLAIN_AGAIN_US:
                self._complained[text] = now_us
                self.notice("kernel-refused", text, now_us)
        while len(self._complained) > COMPLAINTS_KNOWN_MAX:
            del self._complained[next(iter(self._complained))]

    def soon(self, now_us: Micros, router: str = "") -> None:
        """Something is worth a snapshot before its time."""
        if router:
            self._fresh[router] = None
        self.snapshot_at_us = min(self.snapshot_at_us, now_us + SNAPSHOT_SOON_US)

    def bequeath(self) -> None:
        """Leave with the supervisor what has changed of our will; what cannot be sent now is sent next time."""
        for name in list(self._unbequeathed):
            one = self._router.members.get(name)
            bequests, holding = one.will() if one is not None else ((), None)
            will = Will(bequests, () if holding is None else (holding,))
            if will != self._bequeathed.get(name, Will((), ())):
                if not self._supervisor.send(Bequeathed(name, will)):
                    return
                self._bequeathed[name] = will
            del self._unbequeathed[name]

    def snapshot(
        self,
        held: set[str],
        peers: tuple[PeerView, ...],
        counters: dict[str, int],
        now_us: Micros,
        *,
        everything: bool = False,
    ) -> None:
        """Tell ops: all virtual routers when they are few or `everything`, else those that changed and a share."""
        self.snapshot_at_us = now_us + SNAPSHOT_US
        names = list(self._router.members)
        whole = len(names) <= ROUTERS_AT_ONCE
        if not whole and not everything:
            names = self._some(names)
        facts, odd = self._router.fact_views(), self._router.wire_oddities(now_us)
        for first in range(0, max(1, len(names)), ROUTERS_AT_ONCE):
            self._seq += 1
            views = self._router.views(held, now_us, names[first : first + ROUTERS_AT_ONCE])
            self._ops.send(
                Snapshot(
                    self._seq,
                    now_us,
                    os.getpid(),
                    self._realtime,
                    views,
                    facts,
                    peers,
                    counters,
                    whole=whole,
                    oddities=odd,
                )
            )

    def hello(self) -> Hello:
        """What the peers are told."""
        members = self._router.members.items()
        states = {name: one.state.value for name, one in members}
        priorities = {name: one.shown_priority for name, one in members}
        return Hello(self._plan.node, self._plan.digest, states, priorities, self.beat.haproxy, self.beat.servers)

    def _some(self, names: list[str]) -> list[str]:
        """Those that changed, as many as one message holds, and some of the others in turn."""
        fresh = [name for name in self._fresh if name in self._router.members]
        self._fresh.clear()
        share = ROUTERS_AT_ONCE // 4
        turn = [names[(self._turn + step) % len(names)] for step in range(share)]
        self._turn = (self._turn + share) % len(names)
        return list(dict.fromkeys([*fresh, *turn]))
