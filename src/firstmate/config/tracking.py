"""What a [[vrrp]] tracks, and whether its weights can ever move the addresses. Pure of the host."""

from dataclasses import dataclass

from firstmate.config.codes import Code
from firstmate.config.findings import Findings
from firstmate.config.paths import for_node, foreign_of
from firstmate.config.places import Path
from firstmate.config.readers import meant, shown
from firstmate.config.schema import Draft, Section
from firstmate.config.vrrp_values import TrackDraft
from firstmate.model.plan import HAPROXY_FACT, OWNER, PRIORITY_FIRST, Track
from firstmate.vrrp.tracking import link_fact

FILE_WEIGHT = 1  # keepalived's default


@dataclass(frozen=True, slots=True)
class Tracked:
    """A fact with what it means, and where the file says so."""

    draft: TrackDraft
    weight: int
    reverse: bool
    at: Path  # of the weight, when there is one
    is_number: bool  # a file: its number counts

    @property
    def label(self) -> str:
        return self.draft.name or f"the link of {_interfaces(self.draft)}"


def _interfaces(draft: TrackDraft) -> str:
    named = draft.interface
    return " or ".join(dict.fromkeys(named.values())) if isinstance(named, dict) else named


def facts_of(draft: Draft) -> dict[str, Section | None]:
    """Everything that can be tracked by name; HAProxy has no section of its own in this."""
    facts: dict[str, Section | None] = {HAPROXY_FACT: None} if draft.runs_haproxy else {}
    for section in (*draft.checks, *draft.processes, *draft.files):
        if name := section.get("name"):
            facts.setdefault(name, section)
    return facts


def tracked_by(router: Section, draft: Draft) -> tuple[Tracked, ...]:
    """As given in `track`, else HAProxy (when there is one) and every check, process and file."""
    facts = facts_of(draft)
    given: tuple[TrackDraft, ...] | None = router.get("track")
    if given is None:
        return tuple(_tracked(TrackDraft(name), section, router.at, draft) for name, section in facts.items())
    return tuple(
        _tracked(entry, facts.get(entry.name), (*router.at, "track", place), draft) for place, entry in enumerate(given)
    )


def _tracked(entry: TrackDraft, section: Section | None, at: Path, draft: Draft) -> Tracked:
    """What the entry says, else what the section of the fact says."""
    is_number = section in draft.files
    weight, reverse = entry.weight, entry.reverse
    if section is not None:
        if weight is None and section.get("weight") is not None:
            at = (*section.at, "weight")
        weight = section.get("weight", FILE_WEIGHT if is_number else 0) if weight is None else weight
        reverse = section.get("reverse", False) if reverse is None else reverse
    return Tracked(entry, weight or 0, reverse or False, at, is_number)


def tracks_of(router: Section, draft: Draft, node: str) -> tuple[Track, ...]:
    """The same for one node; an interface that is written for others only is left out."""
    tracks: list[Track] = []
    for tracked in tracked_by(router, draft):
        name = tracked.draft.name
        if not name:
            interface = for_node(tracked.draft.interface, node)
            if interface is None:
                continue
            name = link_fact(interface)
        tracks.append(Track(name, tracked.weight, tracked.reverse))
    return tuple(tracks)


def judge(
    router: Section, draft: Draft, priorities: dict[str, int], findings: Findings, *, weights_count: bool
) -> None:
    """`weights_count`: this router moves alone, or its group counts weights."""
    _judge_names(router, draft, findings)
    weighted = [tracked for tracked in tracked_by(router, draft) if tracked.weight]
    if not weights_count:
        for tracked in weighted:
            text = f"the weight of {tracked.label} does not count, for this virtual router moves with others"
            findings.add(Code.IDLE_WEIGHT, tracked.at, text, "say move_with_weights = true, or take the weight out")
        return
    if weighted and OWNER in priorities.values():
        owner = next(node for node, priority in priorities.items() if priority == OWNER)
        text = f"no weight changes the priority of {shown(owner)}, which is {OWNER}"
        findings.add(Code.IDLE_WEIGHT, (*router.at, "priority", owner), text, f"at most {PRIORITY_FIRST}")
        return
    switches = [tracked for tracked in weighted if not tracked.is_number]
    if switches and router.get("preempt") is False:
        text = f"with preempt = false nobody takes over from a lower priority, so {switches[0].label} moves nothing"
        findings.add(Code.IDLE_WEIGHT, switches[0].at, text, "take out preempt = false, or the weight")
        return
    if not foreign_of(router, draft) and len(weighted) == len(switches):
        _judge_gap(priorities, switches, findings)


def _judge_names(router: Section, draft: Draft, findings: Findings) -> None:
    known = list(facts_of(draft))
    given: tuple[TrackDraft, ...] = router.get("track", ())
    seen: list[tuple[str, str]] = []
    for place, entry in enumerate(given):
        path = (*router.at, "track", place)
        key = (entry.name, repr(entry.interface))
        if key in seen:
            text = f"{shown(entry.name or _interfaces(entry))} stands twice in track"
            findings.add(Code.LISTED_TWICE, path, text, "keep one")
        elif entry.name == HAPROXY_FACT and not draft.runs_haproxy:
            text = "there is no HAProxy to track: neither [[service]] nor [haproxy]"
            findings.add(Code.UNKNOWN_FACT, path, text, "add one, or take it out of track")
        elif entry.name and entry.name not in known:
            hint = meant(entry.name, known)
            hint = hint or ("known: " + ", ".join(known) if known else "add a [[check]] of that name")
            findings.add(Code.UNKNOWN_FACT, path, f"nothing here is called {shown(entry.name)}", hint)
        seen.append(key)


def _judge_gap(priorities: dict[str, int], switches: list[Tracked], findings: Findings) -> None:
    """The MASTER must fall below the next node, which is all well (`reference/keepalived.md` section 4.6).

    Weights that are too small one by one, and enough together, are as the operator wants them.
    """
    order = sorted(priorities.items(), key=lambda item: -item[1])
    if len(order) < 2:
        return
    (first, high), (second, low) = order[:2]
    bonus = sum(max(tracked.weight, 0) for tracked in switches)
    next_one = _clamped(low + bonus)

    def left(*failed: Tracked) -> int:
        return _clamped(high + bonus - sum(abs(tracked.weight) for tracked in failed))

    idle = [tracked for tracked in switches if left(tracked) >= next_one]
    if left(*idle) < next_one:
        return
    for tracked in idle:
        text = (
            f"{tracked.label} alone moves nothing: without it {shown(first)} still has priority {left(tracked)}, "
            f"and {shown(second)} has {next_one}"
        )
        findings.add(Code.IDLE_WEIGHT, tracked.at, text, _enough(high, low, bonus, tracked))


def _enough(high: int, low: int, bonus: int, tracked: Tracked) -> str:
    """Which weight would do; a positive one also lifts the other node."""
    least = high - low + 1
    others = bonus - max(tracked.weight, 0)
    if low + others + (least if tracked.weight > 0 else 0) > PRIORITY_FIRST:
        return f"give the nodes lower priorities: nothing rises above {PRIORITY_FIRST}"
    return f"a weight of {least if tracked.weight > 0 else -least} would be enough"


def _clamped(priority: int) -> int:
    return min(max(priority, 1), PRIORITY_FIRST)
