"""Routers with one defect each, and the invariant that must find it."""

from collections.abc import Callable
from dataclasses import replace

from firstmate.model.messages import FactChanged, Will
from firstmate.model.plan import Plan
from firstmate.model.units import Micros
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

    def handle(self, event: RouterEvent, now_us: Micros) -> list[RouterAction]:
        if isinstance(event, Datagram) and event.pdu[2] == 0:
            raise IndexError
        return super().handle(event, now_us)


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

    def handle(self, event: Event, now_us: Micros) -> list[Action]:
        if isinstance(self.state, Master) and event is Signal.TIMER:
            self.said += 1
            if self.said % self.patience == 0:
                return [Advertise(0), Addresses.RELEASE, *self._to_backup(None, now_us)]
        return super().handle(event, now_us)


class Fickle(Moody):
    patience = 17


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
# fmt: on
