"""Time drawn as a line of characters: answers, and who leads. Pure."""

from collections.abc import Sequence

from firstmate.lab.answers import Answer, Outcome
from firstmate.lab.sightings import Kind, Sighting
from firstmate.model.units import Micros

GOOD, MIXED, FAILED, NOTHING = "█", "▌", "x", "·"


def answers_strip(answers: Sequence[Answer], from_us: Micros, until_us: Micros, width: int) -> str:
    """One character for each of `width` equal spans: good requests where they ended, failed ones where they began.

    Full block: all good; half: some failed; x: all failed; dot: none.
    """
    good, failed = [0] * width, [0] * width
    span_us = max((until_us - from_us) // width, 1)
    for answer in answers:
        when_us = answer.start_us if answer.failed else answer.end_us
        place = (when_us - from_us) // span_us
        if 0 <= place < width and answer.outcome is not Outcome.STALL:
            (failed if answer.failed else good)[place] += 1
    return "".join(_letter(*counts) for counts in zip(good, failed, strict=True))


def leaders_strip(sightings: Sequence[Sighting], from_us: Micros, until_us: Micros, width: int) -> str:
    """Who advertised in each span: the last letter of its name, 2 for several, a dot for silence."""
    spans: list[set[str]] = [set() for _ in range(width)]
    span_us = max((until_us - from_us) // width, 1)
    for sighting in sightings:
        place = (sighting.at_us - from_us) // span_us
        if 0 <= place < width and sighting.kind is Kind.ADVERT and sighting.priority > 0:
            spans[place].add(sighting.host[-1])
    return "".join(min(span) if len(span) == 1 else "2" if span else NOTHING for span in spans)


def ruler(from_us: Micros, until_us: Micros, width: int) -> str:
    """Seconds above a strip, one mark each second; `from_us` counts as the distance to zero."""
    line = [" "] * (width + 6)
    span_us = max((until_us - from_us) // width, 1)
    for second in range(-(-from_us // 1_000_000), until_us // 1_000_000 + 1):
        place = (second * 1_000_000 - from_us) // span_us
        for offset, letter in enumerate(f"{second}s"):
            line[place + offset] = letter
    return "".join(line).rstrip()


def _letter(good: int, failed: int) -> str:
    if good and failed:
        return MIXED
    if good:
        return GOOD
    return FAILED if failed else NOTHING
