"""What the client saw: one record for each connection it tried, and the arithmetic of an outage. Pure.

An outage is the longest gap between two consecutive good answers that overlaps the time asked about.
"""

import struct
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from firstmate.model.units import MS, Micros

DISTURBED_US: Micros = 100 * MS  # a prober that did not run this long cannot vouch for the figure


class Outcome(Enum):
    OK = 0
    REFUSED = 1
    RESET = 2
    TIMEOUT = 3  # no answer within the prober's time limit
    UNREACHABLE = 4  # the network said no, or the client could not even try
    BAD = 5  # an answer, but not 200
    STALL = 6  # no request: the prober itself did not run from start to end


@dataclass(frozen=True, slots=True)
class Answer:
    start_us: Micros  # monotonic
    end_us: Micros
    outcome: Outcome
    server: str = ""  # web server that answered, at most 7 characters
    via: str = ""  # address of the load balancer that the answer came through

    @property
    def failed(self) -> bool:
        return self.outcome not in {Outcome.OK, Outcome.STALL}


@dataclass(frozen=True, slots=True)
class Outage:
    """What the client lost around one event."""

    stopped_us: Micros | None  # the last good answer before the gap; None: there was none
    back_us: Micros | None  # the first good answer after it; None: none came in the time looked at
    gap_us: Micros  # longest time without a good answer
    failed: int  # requests that began in the time looked at, or were on their way when it began, and failed
    total: int  # all such requests
    stall_us: Micros  # longest time that the prober itself did not run
    by_outcome: dict[str, int]  # the failed ones: outcome -> how many
    first_failed_us: Micros | None = None  # when the first of them began; None: none failed

    @property
    def disturbed(self) -> bool:
        """The prober's own pause explains too much of it: do not count this run."""
        return self.stall_us > DISTURBED_US and self.stall_us * 4 > self.gap_us


RECORD = struct.Struct("<qqB7s4s")


def encode(answer: Answer) -> bytes:
    via = bytes(int(part) for part in answer.via.split(".")) if answer.via else b""
    return RECORD.pack(answer.start_us, answer.end_us, answer.outcome.value, answer.server.encode()[:7], via)


def decode(data: bytes) -> list[Answer]:
    """Read whole records; what is left over at the end is not looked at."""
    whole = len(data) - len(data) % RECORD.size
    return [_decode_one(*fields) for fields in RECORD.iter_unpack(data[:whole])]


def outage(answers: Sequence[Answer], from_us: Micros, until_us: Micros) -> Outage:
    """The client's loss between two moments. A gap open at `until_us` counts as far as that."""
    good = sorted(answer.end_us for answer in answers if answer.outcome is Outcome.OK)
    stopped_us, back_us, gap_us = _longest_gap(good, from_us, until_us)
    within = [answer for answer in answers if answer.start_us <= until_us and answer.end_us >= from_us]
    failed = [answer for answer in within if answer.failed]
    stalls = [answer.end_us - answer.start_us for answer in within if answer.outcome is Outcome.STALL]
    by_outcome = {
        outcome.name.lower(): count
        for outcome in Outcome
        if (count := sum(answer.outcome is outcome for answer in failed))
    }
    total = sum(answer.outcome is not Outcome.STALL for answer in within)
    first = min((answer.start_us for answer in failed), default=None)
    return Outage(stopped_us, back_us, gap_us, len(failed), total, max(stalls, default=0), by_outcome, first)


def count_by(answers: Sequence[Answer], key: str) -> dict[str, int]:
    """Good answers by `server` or `via`, in the order of names."""
    counts: dict[str, int] = {}
    for answer in answers:
        if answer.outcome is Outcome.OK:
            name = str(getattr(answer, key))
            counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))


def _longest_gap(good: list[Micros], from_us: Micros, until_us: Micros) -> tuple[Micros | None, Micros | None, Micros]:
    first = max(bisect_left(good, from_us) - 1, 0)
    last = bisect_left(good, until_us)
    seen = good[first : last + 1]
    gaps: list[tuple[Micros, Micros | None, Micros | None]] = [(b - a, a, b) for a, b in pairwise(seen)]
    if not seen or seen[0] > from_us:
        end_us = seen[0] if seen else until_us
        gaps.append((end_us - from_us, None, seen[0] if seen else None))
    if seen and seen[-1] < until_us:
        gaps.append((until_us - seen[-1], seen[-1], None))
    if not gaps:
        return None, None, 0
    gap_us, stopped_us, back_us = max(gaps, key=lambda gap: gap[0])
    return stopped_us, back_us, gap_us


_OUTCOMES = tuple(Outcome)


def _decode_one(start_us: int, end_us: int, outcome: int, server: bytes, via: bytes) -> Answer:
    address = ".".join(map(str, via)) if any(via) else ""
    return Answer(start_us, end_us, _OUTCOMES[outcome], server.rstrip(b"\0").decode(errors="replace"), address)
