"""All virtual routers of a node behind one `handle`: what pulse runs, and the simulator.

Events in, in the order in which they happened; actions out, to be carried in order. A change of state comes
as a `Changed` among them, an oddity that an operator should hear of as a `Noticed`.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from firstmate.model.addresses import Address
from firstmate.model.messages import FactChanged, FactView, Oddity, RouterState, RouterView, Will
from firstmate.model.plan import Auth, Plan, Transport, VrrpPlan
from firstmate.model.units import MS, S, Micros
from firstmate.vrrp import member
from firstmate.vrrp.deadlines import Deadlines
from firstmate.vrrp.hints import HINTS
from firstmate.vrrp.instance import Event as InstanceEvent
from firstmate.vrrp.instance import Fault, Heard, Initialize, Master, PeerGone, Reprioritized, Signal, Unfit
from firstmate.vrrp.member import Member, Utc
from firstmate.vrrp.oddities import KEPT_US, Oddities
from firstmate.vrrp.packet import FIRST_OCTETS, HEADER_OCTETS, PROTO_ERR_REASON, BadAdvert, Refusal
from firstmate.vrrp.paths import Path
from firstmate.vrrp.receive import Datagram, Remark
from firstmate.vrrp.sync import SyncGroup
from firstmate.vrrp.tracking import Facts, needed_facts

VIRTUAL_MACS = ("00:00:5e:00:01:", "00:00:5e:00:02:")  # and the VRID (RFC 5798, 7.3)
PRESUMED_US: Micros = 10 * S  # a check that a new plan brings runs for the first time well before
TIMERS_AT_ONCE = 64  # that may change a state; then it is time to listen again
TOGETHER_SHARE = 32  # an advert goes up to this share of its interval early, together with others
TOGETHER_MAX_US: Micros = 5 * MS
FAMILIAR_MAX = 4  # adverts that repeat byte by byte are known by heart: so many for each virtual router


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


class Router:
    """All virtual routers. Where `signs`, the caller keeps `utc_ahead_us` right."""

    def __init__(self, plan: Plan, now_us: Micros) -> None:
        self.plan = plan
        self.signs = False  # does anything here need the time of day?
        self.facts = Facts()
        self.oddities = Oddities()
        self.counters: dict[str, int] = {
            refusal.value: 0 for refusal in (Refusal.PACKET_LENGTH, Refusal.CHECKSUM, Refusal.VERSION, Refusal.VRID)
        }
        self.members: dict[str, Member] = {}
        self._utc = Utc()
        self._start_at_us: Micros | None = None
        self._presume_until_us: Micros | None = None  # that newly tracked facts are well
        self._new_master = ""
        self._deadlines = Deadlines()
        self._familiar: dict[Hashable, tuple[Member, Heard, Path]] = {}
        self._by_wire: dict[tuple[str, int, int], Member] = {}
        self._by_address: dict[Address, Member] = {}
        self._by_fact: dict[str, list[Member]] = {}
        self._groups: dict[str, SyncGroup] = {}  # by name of a member
        self._take_in(plan, now_us)

    @property
    def deadline_us(self) -> Micros | None:
        """When `Signal.TIMER` is due, or None while no timer runs."""
        first = self._deadlines.first()
        return self._with_delays(None if first is None else first[0])

    @property
    def wake_us(self) -> Micros | None:
        """When to look whether a timer is due: at `deadline_us`, or before, and never late."""
        return self._with_delays(self._deadlines.earliest_us)

    def _with_delays(self, at_us: Micros | None) -> Micros | None:
        for other_us in (self._start_at_us, self._presume_until_us):
            if other_us is not None and (at_us is None or other_us < at_us):
                at_us = other_us
        return at_us

    @property
    def utc_ahead_us(self) -> Micros:
        """What to add to `now_us` to have the time since 1970: signed adverts say it."""
        return self._utc.ahead_us

    @utc_ahead_us.setter
    def utc_ahead_us(self, ahead_us: Micros) -> None:
        self._utc.ahead_us = ahead_us

    def handle(self, event: Event, now_us: Micros) -> list[Action]:
        match event:
            case Datagram():
                return self.hear(event, now_us)
            case Signal.TIMER:
                return self._tick(now_us)
            case Signal.STARTUP if self.plan.start_delay_us and self._start_at_us is None:
                self._start_at_us = now_us + self.plan.start_delay_us
                return []
            case Signal.STARTUP:
                return self._weigh(self.members.values(), now_us)
            case FactChanged():
                if not self.facts.learn(event):
                    return []
                touched = self._by_fact.get(event.name, [])
                return self._weigh([one for one in touched if not isinstance(one.instance.state, Initialize)], now_us)
            case PeerGone(sender):
                gone = [PeerGone(address) for address in self._addresses_of(sender)]
                return [out for one in self.members.values() for each in gone for out in self._step(one, each, now_us)]
            case Signal():
                return [out for one in self.members.values() for out in self._step(one, event, now_us)]
            case _:
                assert_never(event)

    def hear_again(self, said: Hashable, now_us: Micros) -> bool:
        """The short way: `said` stands for all of a datagram. False: give the datagram itself to `hear`."""
        known = self._familiar.get(said)
        if known is None:
            return False
        one, heard, path = known
        return one.hear_again(heard, path, now_us)

    def hear(self, datagram: Datagram, now_us: Micros, said: Hashable = None) -> list[Action]:
        """Checks 4..23 of section 6, then the election. A refused advert touches only counters.

        `said`: what stands for this datagram in `hear_again` from now on, should it be good.
        """
        vrid = datagram.pdu[1] if len(datagram.pdu) > 1 else 0
        where = f"udp {datagram.destination}" if datagram.udp else datagram.interface
        one = self._by_wire.get((where, datagram.source.version, vrid))
        if one is None:
            return self._hear_foreign(datagram, vrid, now_us)
        try:
            heard, remarks = one.receiver.examine(datagram, now_us + self.utc_ahead_us)
        except BadAdvert as error:
            return self._refuse(one, datagram, error, now_us)
        path = one.paths.of(datagram.source, heard.sender, udp=datagram.udp)
        one.heard_at_us = path.heard_at_us = now_us
        one.counters[member.RECEIVED] += 1
        one.counters[member.RECEIVED_ZERO] += heard.priority == 0
        out = self._remark(one, datagram.source, remarks, now_us)
        before, leads = one.master, one.state is RouterState.MASTER
        out += self._step(one, heard, now_us)
        if leads and heard.priority and one.state is RouterState.MASTER:
            out += self._contest(one, heard, now_us)
        if one.master != before:
            self._new_master = one.plan.name
        if said is not None and heard.priority and not remarks and not one.plan.hmac and one.plan.auth is not Auth.AH:
            self._learn_by_heart(said, one, heard, path)
        return out

    def release_leftovers(self, found: set[Address], now_us: Micros) -> list[Action]:
        """Addresses with our mark that a killed predecessor left: resign, release; call before STARTUP."""
        out: list[Action] = []
        for one in self.members.values():
            if vips := tuple(vip for vip in one.plan.moving if vip.ip in found):
                out += one.resign_leftovers(vips, now_us)
        return out

    def adopt(self, plan: Plan, now_us: Micros) -> list[Action]:
        """Apply the difference between the present plan and a new one."""
        wanted = {router.name: router for router in plan.routers}
        out: list[Action] = []
        for name, one in list(self.members.items()):
            if name not in wanted or not same_router(one.plan, wanted[name]):
                out += self._step(one, Signal.SHUTDOWN, now_us)
                del self.members[name]
        for name, one in self.members.items():
            out += one.adopt(wanted[name], now_us)
        tracked = set(self._by_fact)
        self._take_in(plan, now_us)
        if self.facts.adopt(tracked, self._by_fact):
            self._presume_until_us = now_us + PRESUMED_US
        if self._start_at_us is None:
            out += self._weigh(self.members.values(), now_us)
        return out

    def look_around(self, now_us: Micros) -> list[Action]:
        """Once a second: what can be seen only by its absence."""
        out: list[Action] = []
        for one in self.members.values():
            if len(one.plan.all_paths) < 2:
                continue
            for path in one.silent_paths(now_us):
                way = f"{path.transport.value} from {path.address}"
                text = f"no advert of {path.peer} comes by {way}, though by others"
                out += self._notice(one, "path-silent", way, text, now_us)
        return out

    def will(self) -> Will:
        wills = [one.will() for one in self.members.values()]
        bequests = tuple(one for said, _ in wills for one in said)
        return Will(bequests, tuple(held for _, held in wills if held is not None))

    def views(self, held: set[str], now_us: Micros, names: Iterable[str] | None = None) -> tuple[RouterView, ...]:
        """`held`: the names of those whose addresses the courier put on the interface; `names`: None for all."""
        found = self.members if names is None else [name for name in names if name in self.members]
        return tuple(self.members[name].view(self.oddities.current(name, now_us), held=name in held) for name in found)

    def wire_oddities(self, now_us: Micros) -> tuple[Oddity, ...]:
        """Those of no virtual router of ours."""
        return self.oddities.current("", now_us)

    def fact_views(self) -> tuple[FactView, ...]:
        return self.facts.views()

    def take_new_master(self) -> str:
        """The BACKUP whose MASTER is another one than before: no change of state tells of that. Empty: none."""
        new, self._new_master = self._new_master, ""
        return new

    def count(self, counter: str) -> None:
        self.counters[counter] = self.counters.get(counter, 0) + 1

    def notice(self, code: str, source: object, text: str, now_us: Micros, router: str = "") -> list[Action]:
        """Say each thing once an hour about each sender; the counters and `oddities` have the rest."""
        one = self.members.get(router)
        kept_us = KEPT_US if one is None else max(KEPT_US, 3 * one.plan.advert_interval_us)
        if not self.oddities.note(router, code, str(source), text, now_us, kept_us=kept_us):
            return []
        return [Noticed(code, f"{router}: {text}" if router else text)]

    def claimed(self, ip: Address, mac: str, now_us: Micros) -> list[Action]:
        """Another host says that an address which we hold is with it."""
        if (one := self._by_address.get(ip)) is not None:
            one.announcer.hold(now_us)
        if mac.startswith(VIRTUAL_MACS):
            return []  # another router of VRRP, which may be about to lead: its adverts say all that there is to say
        text = f"{mac} answers for {ip}, which we hold: another host has this address too"
        return self.notice("address-conflict", f"{ip} {mac}", text, now_us)

    def _take_in(self, plan: Plan, now_us: Micros) -> None:
        """Make the members that are missing, and every index anew."""
        self.plan = plan
        grouped = {name for group in plan.groups for name in group.members}
        kept, self.members = self.members, {}
        for router in plan.routers:
            one = kept.get(router.name) or Member(router, now_us, udp_port=plan.udp_port, utc=self._utc)
            one.instance.grouped = router.name in grouped
            self.members[router.name] = one
        self.signs = any(one.plan.hmac or one.plan.auth is Auth.AH for one in self.members.values())
        self._groups = {}
        for group in plan.groups:
            together = SyncGroup(group, [self.members[name] for name in group.members if name in self.members])
            self._groups |= dict.fromkeys(group.members, together)
        self._by_wire, self._by_fact = {}, {}
        self._by_address = {vip.ip: one for one in self.members.values() for vip in one.plan.vips}
        for name, one in self.members.items():
            for path in one.plan.all_paths:
                where = f"udp {path.source}" if path.transport is Transport.UDP else path.interface
                self._by_wire[where, one.plan.family, one.plan.vrid] = one
            of = self._groups.get(name)
            one.tracks = needed_facts(one.plan, of.plan if of else None)
            for track in one.tracks:
                self._by_fact.setdefault(track.name, []).append(one)
        self._familiar.clear()
        self._deadlines.clear()
        for one in self.members.values():
            self._deadlines.put(one)

    def _weigh(self, touched: Iterable[Member], now_us: Micros) -> list[Action]:
        """May these hold their addresses, as far as we know, and with which priority?"""
        out: list[Action] = []
        seen: set[str] = set()
        for one in touched:
            group = self._groups.get(one.plan.name)
            for each in group.members if group else [one]:
                if each.plan.name not in seen:
                    seen.add(each.plan.name)
                    out += self._weigh_one(each, group, now_us)
        return out

    def _weigh_one(self, one: Member, group: SyncGroup | None, now_us: Micros) -> list[Action]:
        verdict = self.facts.judge(one.plan, one.tracks, weights=group is None or group.plan.tracking_weight)
        why = verdict.unfit
        if not why and group is not None:
            for other in group.members:
                if unfit := self.facts.judge(other.plan, other.tracks).unfit:
                    why = f"it moves with {other.plan.name}, which is unfit: {unfit}"
                    break
        if why:
            return self._step(one, Unfit(why), now_us)
        out: list[Action] = []
        if verdict.priority != one.instance.priority:
            out += self._step(one, Reprioritized(verdict.priority), now_us)
        if isinstance(one.instance.state, (Initialize, Fault)):
            out += self._step(one, Signal.STARTUP, now_us)
        return out

    def _tick(self, now_us: Micros) -> list[Action]:
        out: list[Action] = []
        if self._start_at_us is not None and self._start_at_us <= now_us:
            self._start_at_us = None
            out += self._weigh(self.members.values(), now_us)
        if self._presume_until_us is not None and self._presume_until_us <= now_us:
            self._presume_until_us = None
            self.facts.presume_no_more()
            if self._start_at_us is None:
                out += self._weigh(self.members.values(), now_us)
        due_us, steps = now_us, 0
        while steps < TIMERS_AT_ONCE and (first := self._deadlines.first()) is not None:
            at_us, one = first
            if at_us <= now_us:
                due_us = at_us
            elif at_us - due_us > TOGETHER_MAX_US or not _may_go_early(one, at_us - due_us):
                break
            self._deadlines.take()
            sent = one.advertise_again(due_us, now_us)
            if sent is None:
                steps += 1
                out += self._step(one, Signal.TIMER, now_us)
            else:
                out += sent
                self._deadlines.put(one)
        return out

    def _step(self, one: Member, event: InstanceEvent, now_us: Micros) -> list[Action]:
        was = one.state
        out: list[Action] = [*one.handle(event, now_us)]
        if one.state is not was:
            plan = one.plan
            out.append(Changed(plan.name, plan.vrid, was, one.state, one.instance.reason, one.epoch))
        self._deadlines.put(one)
        group = self._groups.get(one.plan.name)
        if group is not None:
            out += self._keep_together(group, now_us, left=was is RouterState.MASTER is not one.state)
        return out

    def _keep_together(self, group: SyncGroup, now_us: Micros, *, left: bool) -> list[Action]:
        out: list[Action] = []
        if left:
            for one in group.to_follow():
                out += self._step(one, Signal.FOLLOW, now_us)
        for one in group.to_lead():
            out += self._step(one, Signal.LEAD, now_us)
        return out

    def _hear_foreign(self, datagram: Datagram, vrid: int, now_us: Micros) -> list[Action]:
        self.count(Refusal.VRID.value)
        if len(datagram.pdu) < HEADER_OCTETS or datagram.pdu[0] not in FIRST_OCTETS:
            return []  # whatever this is, it speaks of no virtual router
        text = f"{datagram.source} advertises vrid {vrid} on {datagram.interface}, which is none of ours there"
        return self.notice("foreign-vrid", f"{datagram.source} {vrid}", text, now_us)

    def _refuse(self, one: Member, datagram: Datagram, error: BadAdvert, now_us: Micros) -> list[Action]:
        counter, source = error.reason.value, datagram.source
        one.counters[counter] += 1
        if error.reason is Refusal.IGNORED:
            if source not in {path.source for path in one.plan.all_paths}:
                return []
            if any(vip.ip == datagram.destination for vip in one.plan.vips):
                return []  # what we tell the owner of this address, while we hold it
            text = f"an advert came with our own address {source}: another host has it, or a loop returns ours"
            return self._notice(one, "own-address", source, text, now_us)
        one.counters[member.PROTO_ERR_REASON] = PROTO_ERR_REASON.get(error.reason, 0)
        if counter in self.counters:
            self.count(counter)
        hint = HINTS.get(error.reason, "")
        text = f"refused an advert of {source}: {error.detail}" + (f"; {hint}" if hint else "")
        return self._notice(one, "refused-" + counter.replace("_", "-"), source, text, now_us)

    def _remark(self, one: Member, source: Address, remarks: list[Remark], now_us: Micros) -> list[Action]:
        out: list[Action] = []
        for remark in remarks:
            if remark.counter:
                one.counters[remark.counter] += 1
            out += self._notice(one, remark.code, source, remark.text, now_us)
        return out

    def _contest(self, one: Member, heard: Heard, now_us: Micros) -> list[Action]:
        """Two MASTERs: one advert is a network that heals; when it goes on, although we answer, it does not hear us."""
        sender, plan = heard.sender, one.plan
        adverts = one.note_contest(heard, now_us)
        if adverts < member.CONTEST_ADVERTS:
            return []
        text = f"{sender} is MASTER too, with priority {heard.priority}; ours is {one.instance.priority}"
        out = self._notice(one, "two-masters", sender, text, now_us)
        if adverts >= member.ONE_WAY_ADVERTS and not plan.lower_prio_no_advert:
            text = f"we hear {sender}, and it does not hear us: look at firewalls and the network from here to there"
            out += self._notice(one, "one-way-link", sender, f"{text} (vrid {plan.vrid} on {plan.interface})", now_us)
        return out

    def _learn_by_heart(self, said: Hashable, one: Member, heard: Heard, path: Path) -> None:
        if len(self._familiar) >= FAMILIAR_MAX * len(self.members):
            self._familiar.clear()
        self._familiar[said] = (one, heard, path)

    def _notice(self, one: Member, code: str, source: object, text: str, now_us: Micros) -> list[Action]:
        return self.notice(code, source, text, now_us, one.plan.name)

    def _addresses_of(self, address: Address) -> tuple[Address, ...]:
        """All that the node with this address advertises from."""
        for node in self.plan.nodes:
            if node.address == address:
                more = () if node.address6 is None else (node.address6,)
                return (node.address, *more, *node.more_addresses)
        return (address,)


def same_router(before: VrrpPlan, after: VrrpPlan) -> bool:
    """Can a running virtual router take the new plan without a stop?"""

    def identity(plan: VrrpPlan) -> tuple[object, ...]:
        return plan.vrid, plan.interface, plan.source, plan.version, plan.transport, plan.paths, plan.vmac

    return identity(before) == identity(after)


def _may_go_early(one: Member, early_us: Micros) -> bool:
    """Is only its next advert due, and nearly so? `early_us`: by how much its timer would move.

    Not how long it is until then: one that is far behind its time must not draw others back to where it should be.
    """
    return (
        isinstance(one.instance.state, Master)
        and one.instance.deadline_us == one.deadline_us
        and early_us <= one.plan.advert_interval_us // TOGETHER_SHARE
    )
