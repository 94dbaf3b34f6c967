"""All virtual routers of a node behind one `handle`: what pulse runs, and the simulator.

Events in, in the order in which they happened; actions out, to be carried in order. A change of state comes
as a `Changed` among them, an oddity that an operator should hear of as a `Noticed`.
"""

from dataclasses import dataclass
from typing import TypeAlias, assert_never

from firstmate.model.addresses import Address
from firstmate.model.messages import FactChanged, FactView, RouterState, RouterView, Will
from firstmate.model.plan import Plan, VrrpPlan
from firstmate.model.units import S, Micros
from firstmate.vrrp import member
from firstmate.vrrp.instance import Event as InstanceEvent
from firstmate.vrrp.instance import Fault, Initialize, PeerGone, Signal, Unfit
from firstmate.vrrp.member import Member
from firstmate.vrrp.packet import BadAdvert, Refusal
from firstmate.vrrp.receive import Datagram, Receiver
from firstmate.vrrp.tracking import Facts

NOTICES_MAX = 256  # different things said; beyond that only counters speak
NOTICE_AGAIN_US: Micros = 3600 * S


@dataclass(frozen=True, slots=True)
class Changed:
    router: str
    vrid: int
    was: RouterState
    is_: RouterState
    reason: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Noticed:
    code: str
    text: str


Event: TypeAlias = Signal | Datagram | FactChanged | PeerGone
Action: TypeAlias = member.Action | Changed | Noticed

_HINTS = {
    Refusal.VERSION: "make vrrp version equal on both",
    Refusal.CHECKSUM: 'if it is healthy, try checksum = "plain" (RFC 9568) or "pseudo" (keepalived, FRR)',
    Refusal.AUTH_TYPE_MISMATCH: "make auth_pass equal on both",
    Refusal.AUTH_FAILURE: "make auth_pass equal on both",
    Refusal.ADV_INTERVAL: "version 2 wants the same advert_interval on both",
    Refusal.IP_TTL: "adverts must come from the same network",
    Refusal.UNKNOWN_SOURCE: "add it to peers if it belongs here",
    Refusal.VRID_CLASH: "give one of the two another vrid",
    Refusal.ADDRESS_LIST: "make transport and addresses equal on both",
}


class Router:
    def __init__(self, plan: Plan, now_us: Micros) -> None:
        self.members = {router.name: Member(router, now_us) for router in plan.routers}
        self.facts = Facts()
        self.counters: dict[str, int] = {
            refusal.value: 0 for refusal in (Refusal.PACKET_LENGTH, Refusal.CHECKSUM, Refusal.VERSION, Refusal.VRID)
        }
        self._said: dict[tuple[str, str, str], Micros] = {}
        self._new_master = False
        self._by_wire: dict[tuple[str, int], Member] = {}
        self._index()

    @property
    def deadline_us(self) -> Micros | None:
        """When `Signal.TIMER` is due, or None while no timer runs."""
        times = [at for one in self.members.values() if (at := one.deadline_us) is not None]
        return min(times, default=None)

    def handle(self, event: Event, now_us: Micros) -> list[Action]:
        match event:
            case Datagram():
                return self._hear(event, now_us)
            case Signal.TIMER:
                return self._tick(now_us)
            case Signal.STARTUP:
                return [out for one in self.members.values() for out in self._weigh(one, now_us)]
            case FactChanged():
                if not self.facts.learn(event):
                    return []
                started = [one for one in self.members.values() if not isinstance(one.instance.state, Initialize)]
                return [out for one in started for out in self._weigh(one, now_us)]
            case Signal.SHUTDOWN | PeerGone():
                return [out for one in self.members.values() for out in self._step(one, event, now_us)]
            case _:
                assert_never(event)

    def release_leftovers(self, found: set[Address]) -> list[Action]:
        """Addresses with our mark that a killed predecessor left: resign, release; call before STARTUP."""
        out: list[Action] = []
        for one in self.members.values():
            if vips := tuple(vip for vip in one.plan.vips if vip.ip in found):
                out += one.resign_leftovers(vips)
        return out

    def adopt(self, plan: Plan, now_us: Micros) -> list[Action]:
        """Apply the difference between the present plan and a new one."""
        wanted = {router.name: router for router in plan.routers}
        out: list[Action] = []
        for name, one in list(self.members.items()):
            if name not in wanted or not same_router(one.plan, wanted[name]):
                out += self._step(one, Signal.SHUTDOWN, now_us)
                del self.members[name]
        for name, router in wanted.items():
            if name in self.members:
                out += self.members[name].adopt(router, now_us)
            else:
                self.members[name] = Member(router, now_us)
        self.members = {name: self.members[name] for name in wanted}
        self._index()
        return out + [action for one in self.members.values() for action in self._weigh(one, now_us)]

    def will(self) -> Will:
        wills = [one.will() for one in self.members.values()]
        bequests = tuple(one for said, _ in wills for one in said)
        return Will(bequests, tuple(held for _, held in wills if held is not None))

    def views(self, held: set[str]) -> tuple[RouterView, ...]:
        """`held`: the names of those whose addresses the courier put on the interface."""
        return tuple(one.view(held=name in held) for name, one in self.members.items())

    def fact_views(self) -> tuple[FactView, ...]:
        return self.facts.views()

    def take_new_master(self) -> bool:
        """Is a BACKUP's MASTER another one than when this was asked last? No change of state tells of that."""
        new, self._new_master = self._new_master, False
        return new

    def count(self, counter: str) -> None:
        self.counters[counter] = self.counters.get(counter, 0) + 1

    def _index(self) -> None:
        self._by_wire = {(one.plan.interface, one.plan.vrid): one for one in self.members.values()}

    def _weigh(self, one: Member, now_us: Micros) -> list[Action]:
        """May this node hold the addresses, as far as we know?"""
        why = self.facts.why_unfit(one.plan)
        if why is not None:
            return self._step(one, Unfit(why), now_us)
        if isinstance(one.instance.state, (Initialize, Fault)):
            return self._step(one, Signal.STARTUP, now_us)
        return []

    def _tick(self, now_us: Micros) -> list[Action]:
        out: list[Action] = []
        for one in self.members.values():
            at_us = one.deadline_us
            if at_us is not None and at_us <= now_us:
                out += self._step(one, Signal.TIMER, now_us)
        return out

    def _step(self, one: Member, event: InstanceEvent, now_us: Micros) -> list[Action]:
        was = one.state
        out: list[Action] = [*one.handle(event, now_us)]
        if one.state is not was:
            plan = one.plan
            out.append(Changed(plan.name, plan.vrid, was, one.state, one.instance.reason, one.epoch))
        return out

    def _hear(self, datagram: Datagram, now_us: Micros) -> list[Action]:
        """Checks 4..22 of section 6, then the election. A refused advert touches only counters."""
        vrid = datagram.pdu[1] if len(datagram.pdu) > 1 else 0
        one = self._by_wire.get((datagram.interface, vrid))
        if one is None:
            self.count(Refusal.VRID.value)
            return []
        if datagram.source == one.plan.source:
            return []  # our own multicast, or somebody with our address: nothing to learn
        try:
            heard, remarks = Receiver(one.plan).examine(datagram, 0)
        except BadAdvert as error:
            return self._refuse(one, datagram.source, error, now_us)
        one.heard_at_us = now_us
        one.counters[member.RECEIVED] += 1
        one.counters[member.RECEIVED_ZERO] += heard.priority == 0
        out: list[Action] = []
        for remark in remarks:
            if remark.counter:
                one.counters[remark.counter] += 1
            out += self._notice(one, remark.code, str(datagram.source), remark.text, now_us)
        before = one.master
        out += self._step(one, heard, now_us)
        self._new_master |= one.master != before
        return out

    def _refuse(self, one: Member, source: Address, error: BadAdvert, now_us: Micros) -> list[Action]:
        counter = error.reason.value
        one.counters[counter] += 1
        if error.reason is Refusal.IGNORED:
            return []
        if counter in self.counters:
            self.count(counter)
        hint = _HINTS.get(error.reason, "")
        text = f"refused an advert of {source}: {error.detail}" + (f"; {hint}" if hint else "")
        return self._notice(one, "refused-" + counter.replace("_", "-"), str(source), text, now_us)

    def _notice(self, one: Member, code: str, source: str, text: str, now_us: Micros) -> list[Action]:
        """Say each thing once an hour about each sender; the counters have the rest."""
        key = (one.plan.name, code, source)
        said_us = self._said.get(key)
        if said_us is None and len(self._said) >= NOTICES_MAX:
            return []
        if said_us is not None and now_us - said_us < NOTICE_AGAIN_US:
            return []
        self._said[key] = now_us
        return [Noticed(code, f"{one.plan.name}: {text}")]


def same_router(before: VrrpPlan, after: VrrpPlan) -> bool:
    """Can a running virtual router take the new plan without a stop?"""

    def identity(plan: VrrpPlan) -> tuple[object, ...]:
        return plan.vrid, plan.interface, plan.source, plan.version, plan.transport

    return identity(before) == identity(after)
