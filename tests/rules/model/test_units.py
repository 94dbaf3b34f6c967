import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstmate.model.units import DURATION_MAX_US, MS, S, format_duration, parse_duration

MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86_400 * S

# fmt: off
WRITTEN = {
    "1us": 1,               "200ms": 200 * MS,      "30s": 30 * S,          "5m": 5 * MINUTE,
    "2h": 2 * HOUR,         "366d": 366 * DAY,      "1.5s": 1_500 * MS,     "0.25ms": 250,
    " 10 ms ": 10 * MS,     "0s": 0,                "0.9us": 0,             "1.9999999s": 1_999_999,
    "007s": 7 * S,          "0." + "1" * 99 + "s": 111_111,
}
NOT_A_DURATION = [
    "", "s", "200", "-1s", "+1s", "1.s", ".5s", "1,5s", "1e3s", "1 000ms", "200 MS", "2hours", "1h30m", "1s\0", "٣s",
]
TOO_LONG = ["367d", "8785h", "99999999999999s", "9" * 5000 + "us", "1" + "0" * 30 + ".5d"]
SPOKEN = [
    (0, "0.0 ms"),          (49, "0.0 ms"),         (50, "0.1 ms"),         (1_250, "1.3 ms"),
    (9_949, "9.9 ms"),      (9_950, "10 ms"),       (200 * MS, "200 ms"),   (999_499, "999 ms"),
    (999_500, "1.0 s"),     (1_740 * MS, "1.7 s"),  (59_949_999, "59.9 s"), (59_950_000, "1 min 0 s"),
    (MINUTE, "1 min 0 s"),  (90 * S, "1 min 30 s"), (3_599_500_000, "1 h 0 min"),
    (HOUR, "1 h 0 min"),    (DAY, "1 d 0 h"),       (76 * HOUR, "3 d 4 h"), (-200 * MS, "-200 ms"),
]
# fmt: on


@pytest.mark.parametrize(("text", "duration_us"), WRITTEN.items())
def test_duration_is_read(text: str, duration_us: int) -> None:
    assert parse_duration(text) == duration_us


@pytest.mark.parametrize("text", NOT_A_DURATION)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write a number and a unit"):
        parse_duration(text)


@pytest.mark.parametrize("text", TOO_LONG, ids=lambda text: text[:20])
def test_more_than_a_year_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="longer than a year"):
        parse_duration(text)


@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        duration_us = parse_duration(text)
    except ValueError:
        return
    assert 0 <= duration_us <= DURATION_MAX_US


@given(st.integers(0, DURATION_MAX_US))
def test_microseconds_are_exact(duration_us: int) -> None:
    assert parse_duration(f"{duration_us}us") == duration_us
    assert parse_duration(f"{duration_us // S}.{duration_us % S:06}s") == duration_us


@pytest.mark.parametrize(("duration_us", "text"), SPOKEN)
def test_duration_is_said(duration_us: int, text: str) -> None:
    assert format_duration(duration_us) == text


@given(st.integers(0, DURATION_MAX_US))
def test_what_is_said_is_near_the_truth(duration_us: int) -> None:
    units = {"ms": MS, "s": S, "min": MINUTE, "h": HOUR, "d": DAY}
    words = format_duration(duration_us).split()
    said_us = sum(float(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
    smallest_us = units[words[-1]]
    assert abs(said_us - duration_us) <= smallest_us
