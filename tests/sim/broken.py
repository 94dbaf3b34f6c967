"""Routers with one defect each, and the invariant that must find it."""

from collections.abc import Callable, Hashable
from dataclasses import replace

from firstmate.model.messages import FactChanged, Will
from firstmate.model.plan import ChecksumForm, HmacMode, Plan
from firstmate.model.units import S, Micros
from firstmate.sim.conditions import Invariant
from firstmate.vrrp.instance import (
    Action,
    Addresses,
    Advertise,
    Backup,
    Event,
    Heard,
    Instance,
    Master,
    PeerGone,
    Signal,
    Unfit,
)
from firstmate.vrrp.member import Claim, Release
from firstmate.vrrp.receive import Datagram
from firstmate.vrrp.router import Action as RouterAction
from firstmate.vrrp.router import Event as RouterEvent
from firstmate.vrrp.router import Router


def with_instances(kind: type[Instance]) -> Callable[[Plan, Micros], Router]:
    """Build routers whose state machines are of this kind."""

    def build(plan: Plan, now_us: Micros) -> Router:
        router = Router(plan, now_us)
        for member in router.members.values():
            member.instance = kind(member.plan)
        return router

    return build


class NeverClaims(Router):
    def handle(self, event: RouterEvent, now_us: Micros) -> list[RouterAction]:
        return [action for action in super().handle(event, now_us) if not isinstance(action, Claim)]


class NeverReleases(Router):
    def handle(self, event: RouterEvent, now_us: Micros) -> list[RouterAction]:
        return [action for action in super().handle(event, now_us) if not isinstance(action, Release)]


class LeavesNothing(Router):
    """Its will names no address."""

    def will(self) -> Will:
        return Will(super().will().bequests, ())


class NeverAdopts(Router):
    """Goes on with the plan that it was started with."""

    def adopt(self, _plan: Plan, _now_us: Micros) -> list[RouterAction]:
        return []


class BelievesOldNews(Router):
    """Takes every word about HAProxy for the newest."""

    def handle(self, event: RouterEvent, now_us: Micros) -> list[RouterAction]:
        return super().handle(replace(event, generation=0) if isinstance(event, FactChanged) else event, now_us)


class Chokes(Router):
    """Raises what `decode` may not raise."""

    def hear(self, datagram: Datagram, now_us: Micros, said: Hashable = None) -> list[RouterAction]:
        if datagram.pdu[2] == 0:
            raise IndexError
        return super().hear(datagram, now_us, said)


class ForgetsToCount(Router):
    def handle(self, event: RouterEvent, now_us: Micros) -> list[RouterAction]:
        actions = super().handle(event, now_us)
        for member in self.members.values():
            member.counters["rcvd_advertisements"] = 0
        return actions


class Deaf(Instance):
    """Ignores priority 0 and what the peer's host says."""

    def handle(self, event: Event, now_us: Micros) -> list[Action]:
        if (
            isinstance(self.state, Backup)
            and isinstance(event, (Heard, PeerGone))
            and not getattr(event, "priority", 0)
        ):
            return []
        return super().handle(event, now_us)


class Obstinate(Instance):
    """A MASTER that gives way to nobody."""

    def _outranked_by(self, _heard: Heard) -> bool:
        return False


class Timid(Instance):
    """A BACKUP that never takes over."""

    def handle(self, event: Event, now_us: Micros) -> list[Action]:
        if isinstance(self.state, Backup) and event is Signal.TIMER:
            self.state = replace(self.state, down_at_us=now_us + self.down_interval_us(self.state.interval_us))
            return []
        return super().handle(event, now_us)


class Sluggish(Instance):
    """Waits one interval more than the RFC says."""

    def down_interval_us(self, interval_us: Micros) -> Micros:
        return super().down_interval_us(interval_us) + interval_us


class Hasty(Instance):
    """Bears the loss of one advert, not of two."""

    def down_interval_us(self, interval_us: Micros) -> Micros:
        return super().down_interval_us(interval_us) - interval_us


class Modest(Instance):
    """Never preempts, whatever the plan says."""

    @property
    def _preempts(self) -> bool:
        return False


class Impatient(Instance):
    """Preempts without waiting for `preempt_delay`."""

    def _bear_weaker(self, state: Backup, heard: Heard, now_us: Micros) -> list[Action]:
        state.preempt_at_us = now_us
        return super()._bear_weaker(state, heard, now_us)


class Trusting(Instance):
    """Lets anybody's resignation stand for the MASTER's."""

    def handle(self, event: Event, now_us: Micros) -> list[Action]:
        if isinstance(self.state, Backup) and isinstance(event, Heard) and event.priority == 0:
            self.state = replace(self.state, master=event)
        return super().handle(event, now_us)


class Postpones(Instance):
    """Each priority 0 arms Skew_Time anew."""

    def _await_skew(self, state: Backup, resigned: Heard, now_us: Micros) -> list[Action]:
        state.down_at_us, state.master = now_us + self.skew_us(state.interval_us), resigned
        return []


class LeavesSilently(Instance):
    """Loses an election without a last advert."""

    def _concede(self, heard: Heard, now_us: Micros) -> list[Action]:
        return [action for action in super()._concede(heard, now_us) if not isinstance(action, Advertise)]


class WakesSilently(Instance):
    """Releases its addresses after a pause without a word."""

    def _listen_first(self, now_us: Micros) -> list[Action]:
        return [action for action in super()._listen_first(now_us) if not isinstance(action, Advertise)]


class NeverAnnouncesAgain(Instance):
    def handle(self, event: Event, now_us: Micros) -> list[Action]:
        return [action for action in super().handle(event, now_us) if action is not Addresses.ANNOUNCE]


class SleepsSoundly(Instance):
    """Goes on after a pause as if nothing had been."""

    def _overslept(self, _now_us: Micros) -> bool:
        return False


class Careless(Instance):
    """Leads although the node is unfit."""

    def handle(self, event: Event, now_us: Micros) -> list[Action]:
        if isinstance(self.state, Master) and isinstance(event, Unfit):
            return []
        return super().handle(event, now_us)


class Chatty(Instance):
    """Sends twice whatever it says."""

    def _advertise(self, now_us: Micros) -> list[Action]:
        return 2 * super()._advertise(now_us)


class Moody(Instance):
    """A MASTER that has enough after some adverts."""

    patience = 6
    said = 0

    def advertise_again(self, _due_us: Micros, _now_us: Micros) -> bool:
        return False

    def handle(self, event: Event, now_us: Micros) -> list[Action]:
        if isinstance(self.state, Master) and event is Signal.TIMER:
            self.said += 1
            if self.said % self.patience == 0:
                return [Advertise(0), Addresses.RELEASE, *self._to_backup(None, now_us)]
        return super().handle(event, now_us)


class Fickle(Moody):
    patience = 17


class Lonely(Instance):
    """Leads alone where its group is not ready."""

    def _to_master(self, now_us: Micros, reason: str) -> list[Action]:
        return self._lead(now_us, reason)


class Weightless(Router):
    """Tracks whether it is fit, and weighs nothing."""

    def handle(self, event: RouterEvent, now_us: Micros) -> list[RouterAction]:
        actions = super().handle(event, now_us)
        for member in self.members.values():
            member.instance.priority = member.plan.priority
        return actions


class ForgetsToWait(Router):
    """Its short way takes an advert and lets the timer run."""

    def hear_again(self, said: Hashable, now_us: Micros) -> bool:
        known = self._familiar.get(said)
        state = known[0].instance.state if known else None
        before_us = state.down_at_us if isinstance(state, Backup) else 0
        found = super().hear_again(said, now_us)
        if found and isinstance(state, Backup):
            state.down_at_us = before_us
        return found


class ShortWayForAll(Router):
    """Takes what it has heard before for good, though it may be a replay."""

    def hear(self, datagram: Datagram, now_us: Micros, said: Hashable = None) -> list[RouterAction]:
        actions = super().hear(datagram, now_us, said)
        for member in self.members.values():
            known = member.plan.hmac and member.receiver._answers.get(datagram.pdu[:6] + datagram.pdu[8:-28])
            if said is not None and known:
                self._familiar[said] = (
                    member,
                    known.answer[0],
                    member.paths.of(datagram.source, datagram.source, udp=False),
                )
        return actions


class RepeatsSequences(Router):
    """Signs with the second, not with what comes after the last sequence."""

    def __init__(self, plan: Plan, now_us: Micros) -> None:
        super().__init__(plan, now_us)
        for member in self.members.values():
            if member.sender._signer is not None:
                member.sender._signer.next = lambda utc_us: utc_us // S << 32  # type: ignore[method-assign]


class HearsOneWay(Router):
    """Takes the silence of the first way for the loss of the peer."""

    def hear(self, datagram: Datagram, now_us: Micros, said: Hashable = None) -> list[RouterAction]:
        if datagram.interface == "eth1":
            for member in self.members.values():
                if member.plan.vrid == datagram.pdu[1] and member.plan.family == datagram.source.version:
                    state = member.instance.state
                    down_us = state.down_at_us if isinstance(state, Backup) else 0
                    actions = super().hear(datagram, now_us)
                    if isinstance(state, Backup) and member.instance.state is not state and down_us:
                        new = member.instance.state
                        if isinstance(new, Backup) and new.master == state.master:
                            new.down_at_us = down_us
                    return actions
        return super().hear(datagram, now_us, said)


class Early(Router):
    """Sends whenever it is awake and half an interval has gone."""

    def handle(self, event: RouterEvent, now_us: Micros) -> list[RouterAction]:
        for member in self.members.values():
            state = member.instance.state
            if isinstance(state, Master) and 0 < state.advert_at_us - now_us < member.plan.advert_interval_us // 2:
                state.advert_at_us = now_us
                self._deadlines.put(member)
        return super().handle(event, now_us)


class Gullible(Router):
    """Verifies no signature."""

    def __init__(self, plan: Plan, now_us: Micros) -> None:
        super().__init__(plan, now_us)
        for member in self.members.values():
            if member.receiver._verifier is not None:
                member.receiver._verifier.verify = _believes  # type: ignore[assignment, method-assign]


def _believes(_pdu: bytes, trailer: bytes, *_more: object) -> int:
    return int.from_bytes(trailer[4:12])


class Unsigned(Router):
    """Hears what is not signed where it must not."""

    def __init__(self, plan: Plan, now_us: Micros) -> None:
        routers = tuple(
            replace(one, hmac=replace(one.hmac, mode=HmacMode.PERMISSIVE)) if one.hmac else one for one in plan.routers
        )
        super().__init__(replace(plan, routers=routers), now_us)


class Discreet(Router):
    """Names no link that works one way only."""

    def notice(self, code: str, source: object, text: str, now_us: Micros, router: str = "") -> list[RouterAction]:
        return [] if code == "one-way-link" else super().notice(code, source, text, now_us, router)


class OneContest(Router):
    """Counts the adverts of one other MASTER only: two that take turns are never seen to be deaf."""

    def hear(self, datagram: Datagram, now_us: Micros, said: Hashable = None) -> list[RouterAction]:
        actions = super().hear(datagram, now_us, said)
        for member in self.members.values():
            last = max(member.contests.values(), key=lambda contest: contest.last_us, default=None)
            member.contests = {who: contest for who, contest in member.contests.items() if contest is last}
        return actions


class OldForm(Router):
    """Does not learn which checksum its peers want."""

    def hear(self, datagram: Datagram, now_us: Micros, said: Hashable = None) -> list[RouterAction]:
        actions = super().hear(datagram, now_us, said)
        for member in self.members.values():
            if member.plan.checksum is ChecksumForm.AUTO:
                member.receiver.form = ChecksumForm.PSEUDO
        return actions


# fmt: off
BROKEN: dict[str, tuple[Callable[[Plan, Micros], Router], set[Invariant]]] = {
    "never claims":          (NeverClaims,                         {Invariant.HELD}),
    "never releases":        (NeverReleases,                       {Invariant.HELD}),
    "leaves nothing":        (LeavesNothing,                       {Invariant.HELD}),
    "never adopts":          (NeverAdopts,                         {Invariant.HELD}),
    "believes old news":     (BelievesOldNews,                     {Invariant.UNFIT}),
    "chokes":                (Chokes,                              {Invariant.EXCEPTION}),
    "forgets to count":      (ForgetsToCount,                      {Invariant.TRAFFIC}),
    "deaf to resignations":  (with_instances(Deaf),                {Invariant.HANDOVER}),
    "obstinate":             (with_instances(Obstinate),           {Invariant.TWO_MASTERS}),
    "timid":                 (with_instances(Timid),               {Invariant.SILENCE, Invariant.GAP}),
    "sluggish":              (with_instances(Sluggish),            {Invariant.SILENCE, Invariant.GAP}),
    "hasty":                 (with_instances(Hasty),               {Invariant.NEEDLESS}),
    "modest":                (with_instances(Modest),              {Invariant.WEAK_MASTER}),
    "impatient":             (with_instances(Impatient),           {Invariant.NEEDLESS}),
    "trusting":              (with_instances(Trusting),            {Invariant.NEEDLESS}),
    "postpones":             (with_instances(Postpones),           {Invariant.HANDOVER, Invariant.SILENCE}),
    "leaves silently":       (with_instances(LeavesSilently),      {Invariant.BLACK_HOLE}),
    "wakes silently":        (with_instances(WakesSilently),       {Invariant.BLACK_HOLE}),
    "never announces again": (with_instances(NeverAnnouncesAgain), {Invariant.BLACK_HOLE}),
    "sleeps soundly":        (with_instances(SleepsSoundly),       {Invariant.STALE}),
    "careless":              (with_instances(Careless),            {Invariant.UNFIT}),
    "moody":                 (with_instances(Moody),               {Invariant.FLAPPING}),
    "fickle":                (with_instances(Fickle),              {Invariant.RESTLESS}),
    "chatty":                (with_instances(Chatty),              {Invariant.TRAFFIC}),
}
BROKEN_IN_DRESS: dict[str, tuple[Callable[[Plan, Micros], Router], set[Invariant]]] = {
    "leads alone":           (with_instances(Lonely),              {Invariant.TOGETHER}),
    "weighs nothing":        (Weightless,                          {Invariant.PRIORITY}),
    "forgets to wait":       (ForgetsToWait,                       {Invariant.NEEDLESS}),
    "believes a replay":     (ShortWayForAll,                      {Invariant.TRAFFIC, Invariant.TWO_MASTERS, Invariant.NEEDLESS, Invariant.SILENCE}),
    "repeats sequences":     (RepeatsSequences,                    {Invariant.SEQUENCE}),
    "hears one way":         (HearsOneWay,                         {Invariant.NEEDLESS}),
    "early":                 (Early,                               {Invariant.TRAFFIC}),
    "gullible":              (Gullible,                            {Invariant.TRAFFIC}),
    "hears the unsigned":    (Unsigned,                            {Invariant.TRAFFIC, Invariant.HELD, Invariant.NEEDLESS}),
    "discreet":              (Discreet,                            {Invariant.ONE_WAY}),
    "one contest at a time": (OneContest,                          {Invariant.ONE_WAY}),
    "old form":              (OldForm,                             {Invariant.UNHEARD, Invariant.TRAFFIC}),
}
# fmt: on
