"""Is a thing well? Counting good and bad answers (rise and fall), also of probes that overlap.

A new probe starts while older ones are still waiting, so answers and misses arrive out of order. Two rules
keep that honest: any answer proves life at the moment it arrives, and a miss proves nothing when a probe
that began later was answered.
"""

from dataclasses import dataclass, replace

from firstmate.model.units import MS, Micros

LATE_US: Micros = 50 * MS  # we woke up this much after a deadline: we were kept off the processor ourselves
GRACE_MAX_US: Micros = 500 * MS  # our own lateness never hides a hang for longer than this


@dataclass(frozen=True, slots=True)
class Health:
    """A verdict and what speaks against it. `up` None: too few answers so far."""

    rise: int
    fall: int
    up: bool | None = None
    good: int = 0  # good answers in a row
    bad: int = 0  # misses in a row
    answered_start_us: Micros = -1  # the latest start of a probe that was answered


def answered(health: Health, started_us: Micros) -> Health:
    """A probe that began at `started_us` got a good answer."""
    good = min(health.good + 1, health.rise)
    latest = max(health.answered_start_us, started_us)
    up = True if good >= health.rise else health.up
    return replace(health, good=good, bad=0, up=up, answered_start_us=latest)


def missed(health: Health, started_us: Micros) -> Health:
    """A probe that began at `started_us` got no answer before its deadline, or a bad one."""
    if started_us < health.answered_start_us:
        return health
    bad = min(health.bad + 1, health.fall)
    up = False if bad >= health.fall else health.up
    return replace(health, good=0, bad=bad, up=up)


def first_run(health: Health, *, ok: bool) -> Health:
    """The first result of a check decides at once: a node does not wait `fall` intervals to know itself."""
    if ok:
        return replace(health, up=True, good=health.rise, bad=0)
    return replace(health, up=False, good=0, bad=health.fall)


def grace_us(late_us: Micros) -> Micros:
    """How much longer to wait for an answer when we ourselves were late by `late_us`; 0: no longer.

    The other side may have answered, or may have been kept off the same processors as we were.
    """
    if late_us <= LATE_US:
        return 0
    return min(late_us, GRACE_MAX_US)
