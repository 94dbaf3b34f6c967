"""One virtual router with all that belongs to it: machine, announcements, counters, the bytes it sends."""

from dataclasses import dataclass
from typing import TypeAlias, assert_never

from firstmate.model.addresses import Address
from firstmate.model.messages import Bequest, Holding, RouterState, RouterView
from firstmate.model.plan import Transport, Vip, VrrpPlan
from firstmate.model.units import Micros
from firstmate.vrrp.announce import Announcer
from firstmate.vrrp.instance import STATE_NAMES, Addresses, Advertise, Backup, Event, Fault, Heard, Instance, Master
from firstmate.vrrp.packet import AUTH_NONE, AUTH_PASS, GROUP_IPV4, Advert, Refusal, encode

MASTER_TRANSITIONS, RELEASES = "master_transitions", "release_master"
RECEIVED, RECEIVED_ZERO = "rcvd_advertisements", "rcvd_pri_zero"
SENT, SENT_ZERO = "sent_advertisements", "sent_pri_zero"
GARP_SENT = "garp_sent"


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send this PDU by protocol 112, TTL 255."""

    interface: str
    source: Address
    destination: Address
    pdu: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    router: str
    vips: tuple[Vip, ...]


@dataclass(frozen=True, slots=True)
class Release:
    router: str
    vips: tuple[Vip, ...]


@dataclass(frozen=True, slots=True)
class Announce:
    """Gratuitous ARP: `rounds` times each address, in list order."""

    router: str
    vips: tuple[Vip, ...]
    rounds: int


Action: TypeAlias = Transmit | Claim | Release | Announce


class Member:
    """`epoch` grows with every mastership; times are monotonic."""

    def __init__(self, plan: VrrpPlan, now_us: Micros) -> None:
        self.instance = Instance(plan)
        self.announcer = Announcer(plan)
        self.since_us = now_us
        self.heard_at_us: Micros | None = None
        self.epoch = 0
        self.counters: dict[str, int] = dict.fromkeys(
            [MASTER_TRANSITIONS, RELEASES, RECEIVED, RECEIVED_ZERO, SENT, SENT_ZERO, GARP_SENT], 0
        ) | {refusal.value: 0 for refusal in Refusal}
        self._transmits: dict[int, list[Action]] = {}  # priority -> what to send; adverts repeat byte by byte

    @property
    def plan(self) -> VrrpPlan:
        return self.instance.plan

    @property
    def state(self) -> RouterState:
        return STATE_NAMES[type(self.instance.state)]

    @property
    def deadline_us(self) -> Micros | None:
        times = [at for at in (self.instance.deadline_us, self.announcer.deadline_us) if at is not None]
        return min(times, default=None)

    def handle(self, event: Event, now_us: Micros) -> list[Action]:
        was = self.state
        out: list[Action] = []
        for action in self.instance.handle(event, now_us):
            out += self._carry(action, now_us)
        if self.state is not was:
            self.since_us = now_us
        return out + self.announce_due(now_us)

    def announce_due(self, now_us: Micros) -> list[Action]:
        rounds = self.announcer.due(now_us)
        if not rounds or not self.plan.vips:
            return []
        self.counters[GARP_SENT] += rounds * len(self.plan.vips)
        return [Announce(self.plan.name, self.plan.vips, rounds)]

    def adopt(self, plan: VrrpPlan, now_us: Micros) -> list[Action]:
        """Go on with a changed plan that speaks of the same virtual router (see `router.same_router`)."""
        before = self.plan.vips
        self.instance.plan = self.announcer.plan = plan
        self._transmits.clear()
        if not isinstance(self.instance.state, Master):
            return []
        gone = tuple(vip for vip in before if vip not in plan.vips)
        new = tuple(vip for vip in plan.vips if vip not in before)
        out: list[Action] = [Release(plan.name, gone)] if gone else []
        if new:
            self.announcer.start(now_us)
            out += [Claim(plan.name, new), *self.announce_due(now_us)]
        return out

    def resign_leftovers(self, vips: tuple[Vip, ...]) -> list[Action]:
        """A killed predecessor left these on the interface: end its mastership politely."""
        return [*self._transmit(0), Release(self.plan.name, vips)]

    def will(self) -> tuple[tuple[Bequest, ...], Holding | None]:
        """What the supervisor is to say and take away should we be killed now."""
        if not isinstance(self.instance.state, Master):
            return (), None
        bequests = tuple(
            Bequest(sent.interface, sent.source, sent.destination, sent.pdu)
            for sent in self._encode(0)
            if isinstance(sent, Transmit)
        )
        return bequests, Holding(self.plan.vips)

    def view(self, *, held: bool) -> RouterView:
        plan, state = self.plan, self.instance.state
        learned_us = state.interval_us if isinstance(state, Backup) else plan.advert_interval_us
        master, priority = self.master
        return RouterView(
            name=plan.name,
            vrid=plan.vrid,
            state=self.state,
            priority=0 if isinstance(state, Fault) else plan.priority,
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
        )

    @property
    def master(self) -> tuple[Address | None, int | None]:
        """Who leads as far as we know, and with which priority; None, None: nobody known."""
        match self.instance.state:
            case Master():
                return self.plan.source, self.plan.priority
            case Backup(master=Heard(priority=priority, sender=sender)) if priority:
                return sender, priority
            case _:
                return None, None

    def _carry(self, action: Advertise | Addresses, now_us: Micros) -> list[Action]:
        plan = self.plan
        match action:
            case Advertise(priority):
                self.counters[SENT] += 1
                self.counters[SENT_ZERO] += priority == 0
                return self._transmit(priority)
            case Addresses.CLAIM:
                self.epoch += 1
                self.counters[MASTER_TRANSITIONS] += 1
                self.announcer.start(now_us)
                return [Claim(plan.name, plan.vips)]
            case Addresses.RELEASE:
                self.counters[RELEASES] += 1
                self.announcer.stop()
                return [Release(plan.name, plan.vips)]
            case Addresses.ANNOUNCE:
                self.announcer.again(now_us)
                return []
            case _:
                assert_never(action)

    def _transmit(self, priority: int) -> list[Action]:
        if priority not in self._transmits:
            self._transmits[priority] = self._encode(priority)
        return self._transmits[priority]

    def _encode(self, priority: int) -> list[Action]:
        plan = self.plan
        advert = Advert(
            plan.version,
            plan.vrid,
            priority,
            plan.advert_interval_us,
            tuple(vip.ip for vip in plan.vips),
            AUTH_PASS if plan.auth_pass else AUTH_NONE,
            plan.auth_pass,
        )
        destinations = (GROUP_IPV4,) if plan.transport is Transport.MULTICAST else plan.peers
        return [
            Transmit(plan.interface, plan.source, to, encode(advert, plan.source, to, plan.checksum))
            for to in destinations
        ]
