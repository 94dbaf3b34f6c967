"""Time as `int` microseconds, and its written form (`"200ms"`)."""

import re
from typing import TypeAlias

Micros: TypeAlias = int

MS: Micros = 1_000
S: Micros = 1_000_000

_UNITS: dict[str, Micros] = {"us": 1, "ms": MS, "s": S, "m": 60 * S, "h": 3600 * S, "d": 86_400 * S}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(us|ms|s|m|h|d)")
_DIGITS_MAX = 14  # on either side of the point: a year in microseconds; more digits are no work for us
DURATION_MAX_US: Micros = 366 * 86_400 * S  # nothing that we wait for takes more than a year


def parse_duration(text: str) -> Micros:
    """Turn `"200ms"`, `"1.5s"`, `"30s"`, `"2h"` into microseconds, rounding down.

    Raises `ValueError`, with a sentence for people, for anything else or above a year.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        message = f'"{text[:40]}" is not a duration: write a number and a unit, such as "200ms", "1.5s" or "2h"'
        raise ValueError(message)
    number, unit = match.groups()
    whole, _, fraction = number.partition(".")
    duration_us = DURATION_MAX_US + 1
    fraction = fraction[:_DIGITS_MAX]
    if len(whole) <= _DIGITS_MAX:
        duration_us = int(whole + fraction) * _UNITS[unit] // 10 ** len(fraction)
    if duration_us > DURATION_MAX_US:
        message = f'"{text[:40]}" is longer than a year'
        raise ValueError(message)
    return duration_us


def format_duration(duration_us: Micros) -> str:
    """Write a duration the way people say it: `"200 ms"`, `"1.7 s"`, `"3 d 4 h"`. Rounds."""
    if duration_us < 0:
        return "-" + format_duration(-duration_us)
    tenths_of_ms, ms, tenths_of_s, seconds = (_rounded(duration_us, unit) for unit in (MS // 10, MS, S // 10, S))
    if tenths_of_ms < 100:
        return f"{tenths_of_ms / 10} ms"
    if ms < 1000:
        return f"{ms} ms"
    if tenths_of_s < 600:
        return f"{tenths_of_s / 10} s"
    for unit, smaller, size, small in (("d", "h", 86_400, 3600), ("h", "min", 3600, 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} {seconds % size // small} {smaller}"
    return f"{seconds // 60} min {seconds % 60} s"


def _rounded(duration_us: Micros, unit_us: Micros) -> int:
    return (duration_us + unit_us // 2) // unit_us
