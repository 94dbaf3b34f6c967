"""One fault tried: what was done, what the client lost, whether that was within the limit. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from firstmate.lab.answers import Outage
from firstmate.lab.sightings import Kind, Sighting, changes
from firstmate.model.units import MS, Micros, format_duration

_TEXT_MAX = 110
_NOTICED_US: Micros = 30 * MS


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a timeline; `at_us` counts from the fault."""

    at_us: Micros
    who: str  # a host, or "client"
    text: str


@dataclass(frozen=True, slots=True)
class Trial:
    """Times are monotonic microseconds."""

    fault: str
    says: str  # what was done, to people
    host: str  # "" when the network was hit
    at_us: Micros  # the fault
    healed_us: Micros  # the loss is measured from `at_us` to here, then the fault was healed
    whole_us: Micros  # the standby was ready again
    outage: Outage
    way_back: Outage  # from `healed_us` to `whole_us`
    limit_us: Micros | None  # None: nothing was promised
    moments: tuple[Moment, ...] = ()
    problem: str = ""  # why the trial could not be finished; "" when it was
    failed_max: int | None = None  # None: as many as the outage costs

    @property
    def passed(self) -> bool:
        in_time = self.limit_us is None or self.outage.gap_us <= self.limit_us
        return not self.problem and in_time and (self.failed_max is None or self.outage.failed <= self.failed_max)

    @property
    def limit(self) -> str:
        """What was promised, to people; "" for nothing."""
        time = in_words(self.limit_us) if self.limit_us is not None else ""
        return time + (f", {self.failed_max} failed" if self.failed_max is not None else "")

    @property
    def verdict(self) -> str:
        return "PASS" if self.passed else "FAIL"


def in_words(gap_us: Micros) -> str:
    """An outage for people: below a second in whole milliseconds."""
    return f"{round(gap_us / 1000)} ms" if gap_us < 1_000_000 else f"{gap_us / 1_000_000:.2f} s"


def rows(trials: Sequence[Trial]) -> list[tuple[str, ...]]:
    """The table at the end, headings first."""
    table: list[tuple[str, ...]] = [("FAULT", "HOST", "OUTAGE", "LIMIT", "FAILED REQUESTS", "WAY BACK", "VERDICT")]
    for trial in trials:
        lost = trial.outage
        kinds = ", ".join(f"{count} {kind}" for kind, count in lost.by_outcome.items())
        failed = f"{lost.failed} of {lost.total}" + (f" ({kinds})" if kinds else "")
        verdict = trial.verdict + (" (disturbed)" if lost.disturbed else "")
        back = in_words(trial.way_back.gap_us)
        table.append((trial.fault, trial.host or "-", in_words(lost.gap_us), trial.limit or "-", failed, back, verdict))
    return table


def align(table: Sequence[Sequence[str]]) -> list[str]:
    """Columns two spaces apart, no trailing spaces."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def timeline(
    at_us: Micros,
    until_us: Micros,
    sightings: Sequence[Sighting],
    outage: Outage,
    journal: Mapping[str, Sequence[Mapping[str, object]]],
) -> tuple[Moment, ...]:
    """What each node did and what the client saw, from the fault on.

    `sightings` may begin earlier: they tell what is news. `journal`: host -> entries with `at_us` on our clock.
    """
    moments = [
        Moment(sighting.at_us - at_us, sighting.host, _seen(sighting))
        for sighting in changes(sightings)
        if at_us <= sighting.at_us <= until_us
    ]
    for host, entries in journal.items():
        for entry in entries:
            when = entry.get("at_us")
            if isinstance(when, int) and at_us <= when <= until_us:
                moments.append(Moment(when - at_us, host, str(entry.get("text", ""))[:_TEXT_MAX]))
    moments += _client(at_us, outage)
    return tuple(sorted(moments, key=lambda moment: moment.at_us))


def tell(moment: Moment) -> str:
    """`+0.012  lb-a    says priority 0: it leaves`."""
    return f"{moment.at_us / 1_000_000:+7.3f}  {moment.who:<6}  {moment.text}"


def took(trial: Trial) -> str:
    """How long the site was not whole."""
    return format_duration(trial.whole_us - trial.at_us)


def _client(at_us: Micros, outage: Outage) -> list[Moment]:
    """What the client noticed; a pause as short as its pace and the scheduler's make it is no news."""
    moments = []
    if outage.first_failed_us is not None:
        count = "one request fails" if outage.failed == 1 else f"the first of {outage.failed} requests that fail"
        moments.append(Moment(max(outage.first_failed_us - at_us, 0), "client", count))
    if outage.gap_us >= _NOTICED_US and outage.back_us is not None:
        moments.append(Moment(outage.back_us - at_us, "client", f"good answers again: {in_words(outage.gap_us)} lost"))
    return moments


def _seen(sighting: Sighting) -> str:
    if sighting.kind is Kind.ARP:
        return f"announces {sighting.address} by gratuitous ARP"
    if sighting.priority == 0:
        return "says priority 0: it leaves"
    return f"advertises priority {sighting.priority}: it leads"
