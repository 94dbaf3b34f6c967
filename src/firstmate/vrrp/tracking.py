"""Facts about this node -> may it hold the addresses, and with which priority?

A fact is down until somebody says that it is up. Each has a generation (which start of the thing it is
about), so that an old "up" cannot hide a newer "down". The arithmetic is keepalived's
(`reference/keepalived.md` section 4.6).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from firstmate.model.addresses import Address
from firstmate.model.messages import FactChanged, FactView
from firstmate.model.plan import OWNER, GroupPlan, Track, VrrpPlan

FACTS_MAX = 5_000  # names come from our own processes; a bound all the same
PRIORITY_LEAST, PRIORITY_MOST = 1, 254  # what tracking may make of a priority; 255 is the owner's
SHARE_MOST = 253  # of one tracker; a number that asks for more counts as this
SHARE_FAULT = -254  # a number that takes so much is a FAULT


def link_fact(interface: str) -> str:
    """The interface is there, administratively up, and has carrier."""
    return f"link {interface}"


def source_fact(interface: str, source: Address) -> str:
    """Adverts can come from this address, which is on the interface."""
    return f"address {source} on {interface}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`unfit`: the first thing that keeps this node from holding the addresses; empty: it is fit."""

    unfit: str
    priority: int  # 1..255


def needed_facts(plan: VrrpPlan, group: GroupPlan | None = None) -> tuple[Track, ...]:
    """Everything that this virtual router depends on; each name once, in the order in which it is asked."""
    tracks: dict[str, Track] = {}
    if plan.track_primary:
        tracks[link_fact(plan.interface)] = Track(link_fact(plan.interface))
    if plan.track_source:
        name = source_fact(plan.interface, plan.source)
        tracks[name] = Track(name)
    devices = [(vip.dev, vip.track) for vip in plan.vips] + [(one.dev, one.track) for one in plan.routes]
    own = plan.vmac.name if plan.vmac else plan.interface
    for device, tracked in devices:
        if tracked and device and device not in {plan.interface, own}:
            tracks.setdefault(link_fact(device), Track(link_fact(device)))
    for track in (*plan.track, *(group.track if group else ())):
        if track.name == link_fact(plan.interface) and track.weight and plan.track_primary:
            continue  # as keepalived: its own interface is tracked already, and its loss is FAULT
        tracks.setdefault(track.name, track)
    return tuple(tracks.values())


class Facts:
    def __init__(self) -> None:
        self._known: dict[str, FactChanged] = {}
        self._presumed: set[str] = set()  # not known yet, and not held against anybody for a while

    def learn(self, fact: FactChanged) -> bool:
        """Take a fact; False when it changes nothing (known already, or about an older generation)."""
        known = self._known.get(fact.name)
        if known is not None and fact.generation < known.generation:
            return False
        if known is None and len(self._known) >= FACTS_MAX:
            return False
        self._known[fact.name] = fact
        self._presumed.discard(fact.name)
        return known is None or (known.up, known.why, known.value) != (fact.up, fact.why, fact.value)

    def adopt(self, before: Collection[str], now: Collection[str]) -> bool:
        """Other facts are tracked now: what is not any more is forgotten, and what is new is presumed to be well.

        Nothing that leads falls because its check has not run yet; the caller ends that with `presume_no_more`. True:
        something is presumed.
        """
        for name in set(before) - set(now):
            self._known.pop(name, None)
        self._presumed = {name for name in now if name not in before and name not in self._known}
        return bool(self._presumed)

    def presume_no_more(self) -> None:
        self._presumed.clear()

    def judge(self, plan: VrrpPlan, tracks: Iterable[Track], *, weights: bool = True) -> Verdict:
        """`weights` False: only what is FAULT counts, as in a sync group without `tracking_weight`."""
        total = plan.priority
        for track in tracks:
            fact = self._known.get(track.name)
            why = self._why_fault(track, fact)
            if why:
                return Verdict(why, plan.priority)
            if weights and fact is not None:
                total += _share(track, fact)
        if plan.priority == OWNER:
            return Verdict("", OWNER)
        return Verdict("", min(max(total, PRIORITY_LEAST), PRIORITY_MOST))

    def views(self) -> tuple[FactView, ...]:
        return tuple(FactView(fact.name, fact.up, fact.why, fact.at_us, fact.value) for fact in self._known.values())

    def _why_fault(self, track: Track, fact: FactChanged | None) -> str:
        if fact is None:
            return "" if track.weight or track.name in self._presumed else f"{track.name}: not known to be well yet"
        if fact.value is not None:
            if not track.weight:
                return f"{track.name}: it says {fact.value}" if fact.value else ""
            product = _product(track, fact.value)
            return f"{track.name}: {fact.value} times {track.weight} is a fault" if product <= SHARE_FAULT else ""
        if track.weight or fact.up is not track.reverse:
            return ""
        if track.reverse:
            return f"{track.name} is up, and must not be"
        return f"{track.name}: {fact.why}" if fact.why else f"{track.name} is down"


def _product(track: Track, value: int) -> int:
    return -value * track.weight if track.reverse else value * track.weight


def _share(track: Track, fact: FactChanged) -> int:
    """What a fact adds to the priority."""
    if fact.value is not None:
        return min(_product(track, fact.value), SHARE_MOST)
    well = fact.up is not track.reverse
    return track.weight if well is (track.weight > 0) else 0
