"""The arithmetic of the benches, and their tables. Pure.

A time is None where nothing came: an outage that did not end, an advert that was not sent. None is longer than any
time. `disturbed` trials are in the record but in no figure.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from firstmate.lab.answers import Answer, Outcome
from firstmate.lab.sightings import Kind, Sighting
from firstmate.model.units import MS, Micros

BASELINE = "expert"  # the subject that ratios are to
FIRSTMATE = "firstmate"
BLACK_HOLE_US: Micros = 1000 * MS  # a client that got no answer for so long was sent to the wrong host
NEVER = "never"
MISSING = "–"  # no figure


@dataclass(frozen=True, slots=True)
class Loss:
    """One fault on the MASTER, and the way back."""

    subject: str
    fault: str
    round: int
    outage_us: Micros | None  # None: no answer came as long as we watched
    failed: int  # requests
    announced_us: Micros | None  # from the fault to the other host's first advert
    back_us: Micros | None  # longest gap on the way back
    back_failed: int
    stall_us: Micros  # longest pause of the prober itself
    disturbed: bool


@dataclass(frozen=True, slots=True)
class Healing:
    """A partition of the load balancers, and its end."""

    subject: str
    round: int
    flips: int  # times that the client's answers changed hosts while they could not hear each other
    outage_us: Micros | None  # in that time
    gap_us: Micros | None  # longest gap after the healing
    steady_us: Micros  # from the healing to the last answer by another host than the final one, or failed request
    agreed: bool  # at the end one host advertises, and it serves
    disturbed: bool


@dataclass(frozen=True, slots=True)
class Boot:
    """Both daemons started at once."""

    subject: str
    round: int
    served_us: Micros | None  # from the start to the first answer
    changes: int  # of the MASTER, after the first
    agreed: bool


@dataclass(frozen=True, slots=True)
class Load:
    """Nothing is broken, but the processors are busy with something else."""

    subject: str
    round: int
    changes: int  # of the advertiser: each is a false failover, or the way back from one
    gap_us: Micros | None  # longest time without an answer
    failed: int
    scheduling: str


@dataclass(frozen=True, slots=True)
class Spread:
    median: float | None
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Target:
    what: str
    limit: str
    got: str
    met: bool | None  # None: there is no figure


def spread(values: Sequence[float | None]) -> Spread | None:
    """Median, least and greatest; None when there are no values. The median of an even number is the mean of two."""
    if not values:
        return None
    ranked = sorted(values, key=lambda value: (value is None, value or 0))
    low, high = ranked[(len(ranked) - 1) // 2], ranked[len(ranked) // 2]
    middle = None if low is None or high is None else (low + high) / 2
    return Spread(middle, ranked[0], ranked[-1], len(ranked))


def in_ms(found: Spread | None) -> str:
    """`95 [80–404]`, in milliseconds of values in microseconds; a dash without values."""
    return _words(found, lambda us: f"{us / MS:.0f}")


def in_numbers(found: Spread | None) -> str:
    return _words(found, lambda number: f"{number:g}")


def ratio(ours: Spread | None, theirs: Spread | None) -> float | None:
    """Of the medians; None when one of them is missing, endless or zero."""
    if ours is None or theirs is None or ours.median is None or not theirs.median:
        return None
    return ours.median / theirs.median


def advertisers(sightings: Iterable[Sighting], from_us: Micros, until_us: Micros) -> list[str]:
    """Which hosts advertised to lead in that time, in order of time, repeats left out."""
    spoken = [
        seen.host
        for seen in sightings
        if seen.kind is Kind.ADVERT and seen.priority > 0 and from_us <= seen.at_us <= until_us
    ]
    return spoken[:1] + [after for before, after in pairwise(spoken) if after != before]


def leaders(sightings: Iterable[Sighting], from_us: Micros, until_us: Micros, least_us: Micros) -> list[str]:
    """The same without those who led for less than `least_us` before another advertised: a handover that crossed."""
    led: list[tuple[str, Micros]] = []
    for seen in sightings:
        if seen.kind is not Kind.ADVERT or seen.priority <= 0 or not from_us <= seen.at_us <= until_us:
            continue
        if led and led[-1][0] != seen.host and seen.at_us - led[-1][1] < least_us:
            led.pop()
        if not led or led[-1][0] != seen.host:
            led.append((seen.host, seen.at_us))
    return [host for host, _ in led]


def servers(answers: Iterable[Answer], from_us: Micros, until_us: Micros) -> list[str]:
    """Through which addresses answers came in that time, in order of time, repeats left out."""
    came = sorted((a.end_us, a.via) for a in answers if a.outcome is Outcome.OK and from_us <= a.end_us <= until_us)
    vias = [via for _, via in came]
    return vias[:1] + [after for before, after in pairwise(vias) if after != before]


def steady_us(answers: Iterable[Answer], from_us: Micros, until_us: Micros, via: str) -> Micros:
    """How long after `from_us` the last request failed, or the last answer came through another address than `via`."""
    last_us = from_us
    for answer in answers:
        if answer.failed and from_us <= answer.start_us <= until_us:
            last_us = max(last_us, answer.start_us)
        elif answer.outcome is Outcome.OK and answer.via != via and from_us <= answer.end_us <= until_us:
            last_us = max(last_us, answer.end_us)
    return last_us - from_us


def loss_table(
    losses: Sequence[Loss], subjects: Sequence[str], faults: Sequence[str], cell: Callable[[list[Loss]], Spread | None]
) -> list[list[str]]:
    """A row for each fault, a column for each subject, and the ratio of ours to the baseline."""
    table = [["fault", *subjects, f"{FIRSTMATE} / {BASELINE}"]]
    for fault in faults:
        found = {subject: cell(_of(losses, subject, fault)) for subject in subjects}
        share = ratio(found.get(FIRSTMATE), found.get(BASELINE))
        table.append(
            [fault, *(in_ms(found[subject]) for subject in subjects), MISSING if share is None else f"{share:.2f}"]
        )
    return table


def outages(losses: list[Loss]) -> Spread | None:
    return spread([loss.outage_us for loss in losses])


def announcements(losses: list[Loss]) -> Spread | None:
    return spread([loss.announced_us for loss in losses])


def ways_back(losses: list[Loss]) -> Spread | None:
    return spread([loss.back_us for loss in losses])


def failure_table(losses: Sequence[Loss], subjects: Sequence[str], faults: Sequence[str]) -> list[list[str]]:
    table = [["fault", *subjects]]
    for fault in faults:
        cells = [spread([loss.failed for loss in _of(losses, subject, fault)]) for subject in subjects]
        table.append([fault, *map(in_numbers, cells)])
    return table


def healing_table(healings: Sequence[Healing], subjects: Sequence[str]) -> list[list[str]]:
    """What the client saw while the balancers could not hear each other, and afterwards."""
    table = [["", "flips", "outage in the partition", "gap after it", "steady after", "black holes", "MASTER serves"]]
    for subject in subjects:
        mine = [healing for healing in healings if healing.subject == subject and not healing.disturbed]
        if mine:
            table.append(
                [
                    subject,
                    in_numbers(spread([healing.flips for healing in mine])),
                    in_ms(spread([healing.outage_us for healing in mine])),
                    in_ms(spread([healing.gap_us for healing in mine])),
                    in_ms(spread([healing.steady_us for healing in mine])),
                    f"{_black_holes(mine)} of {len(mine)}",
                    f"{sum(healing.agreed for healing in mine)} of {len(mine)}",
                ]
            )
    return table


def boot_table(boots: Sequence[Boot], subjects: Sequence[str]) -> list[list[str]]:
    table = [["", "first answer after", "changes of MASTER", "MASTER serves"]]
    for subject in subjects:
        mine = [boot for boot in boots if boot.subject == subject]
        if mine:
            served = in_ms(spread([boot.served_us for boot in mine]))
            changes = in_numbers(spread([boot.changes for boot in mine]))
            table.append([subject, served, changes, f"{sum(boot.agreed for boot in mine)} of {len(mine)}"])
    return table


def load_table(loads: Sequence[Load], subjects: Sequence[str]) -> list[list[str]]:
    table = [["", "rounds", "changes of MASTER", "longest outage, ms", "failed requests", "scheduling"]]
    for subject in subjects:
        mine = [load for load in loads if load.subject == subject]
        if mine:
            table.append(
                [
                    subject,
                    str(len(mine)),
                    ", ".join(str(load.changes) for load in mine),
                    in_ms(spread([load.gap_us for load in mine])),
                    in_numbers(spread([load.failed for load in mine])),
                    ", ".join(dict.fromkeys(load.scheduling for load in mine)),
                ]
            )
    return table


def failover_targets(
    losses: Sequence[Loss], healings: Sequence[Healing], boots: Sequence[Boot], interval_us: Micros
) -> list[Target]:
    """What was promised, against what was found."""
    targets = [
        _ratio_target(losses, "haproxy-crash", "client outage", outages, 0.35),
        _ratio_target(losses, "haproxy-hang", "client outage", outages, 0.5),
        _ratio_target(losses, "link-down", "client outage", outages, 1.05),
        _ratio_target(losses, "pulse-kill", "first advert of the new MASTER", announcements, 0.3),
        _ratio_target(losses, "daemon-kill", "first advert of the new MASTER", announcements, 0.3),
    ]
    failed = [loss.failed for loss in _of(losses, FIRSTMATE, "stop")]
    targets.append(_none_target("stop: failed requests, all rounds", failed))
    return [*targets, *_healing_targets(healings, interval_us), *_boot_targets(boots)]


def load_targets(loads: Sequence[Load]) -> list[Target]:
    changes = [load.changes for load in loads if load.subject == FIRSTMATE]
    return [_none_target("changes of MASTER under load, all rounds", changes)]


def target_table(targets: Sequence[Target]) -> list[list[str]]:
    says = {True: "met", False: "**MISSED**", None: "not measured"}
    return [["target", "limit", "measured", ""], *([t.what, t.limit, t.got, says[t.met]] for t in targets)]


def markdown(table: Sequence[Sequence[str]]) -> str:
    """A table as Markdown, columns padded so that it can be read as text too."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in table
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _ratio_target(
    losses: Sequence[Loss], fault: str, what: str, cell: Callable[[list[Loss]], Spread | None], limit: float
) -> Target:
    share = ratio(cell(_of(losses, FIRSTMATE, fault)), cell(_of(losses, BASELINE, fault)))
    got, met = (MISSING, None) if share is None else (f"{share:.2f}", share <= limit)
    return Target(f"{fault}: {what}, of {BASELINE}'s", f"≤ {limit:g}", got, met)


def _none_target(what: str, counts: Sequence[int]) -> Target:
    return Target(what, "0", str(sum(counts)) if counts else MISSING, not sum(counts) if counts else None)


def _healing_targets(healings: Sequence[Healing], interval_us: Micros) -> list[Target]:
    mine = [healing for healing in healings if healing.subject == FIRSTMATE and not healing.disturbed]
    steady = spread([healing.steady_us for healing in mine])
    met = None if steady is None or steady.median is None else steady.median <= interval_us
    back = Target("partition healed: client steady after, ms", f"≤ {interval_us / MS:.0f}", in_ms(steady), met)
    lost = _black_holes(mine) + sum(not healing.agreed for healing in mine)
    holes = Target(
        "partition healed: black holes, or MASTER does not serve",
        "0",
        str(lost) if mine else MISSING,
        not lost if mine else None,
    )
    return [back, holes]


def _boot_targets(boots: Sequence[Boot]) -> list[Target]:
    mine = [boot for boot in boots if boot.subject == FIRSTMATE]
    changes = max((boot.changes for boot in mine), default=0)
    agreed = sum(boot.agreed for boot in mine)
    if not mine:
        return [Target("boot", "", MISSING, None)]
    return [
        Target("boot: one MASTER, and it serves", f"{len(mine)} of {len(mine)}", str(agreed), agreed == len(mine)),
        Target("boot: changes of MASTER, worst round", "≤ 1", str(changes), changes <= 1),
    ]


def _black_holes(healings: Sequence[Healing]) -> int:
    return sum(healing.gap_us is None or healing.gap_us > BLACK_HOLE_US for healing in healings)


def _of(losses: Sequence[Loss], subject: str, fault: str) -> list[Loss]:
    return [loss for loss in losses if loss.subject == subject and loss.fault == fault and not loss.disturbed]


def _words(found: Spread | None, say: Callable[[float], str]) -> str:
    if found is None:
        return MISSING
    middle, low, high = (NEVER if value is None else say(value) for value in (found.median, found.low, found.high))
    return middle if low == middle == high else f"{middle} [{low}–{high}]"
