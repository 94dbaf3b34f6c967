from hypothesis import given
from hypothesis import strategies as st

from firstmate.lab.answers import Answer, Outcome, count_by, decode, encode, outage
from firstmate.model.units import MS

OK, REFUSED, TIMEOUT, STALL = Outcome.OK, Outcome.REFUSED, Outcome.TIMEOUT, Outcome.STALL


def at(end_ms: int, outcome: Outcome = OK, took_ms: int = 1) -> Answer:
    return Answer((end_ms - took_ms) * MS, end_ms * MS, outcome, "web1", "10.0.1.10")


# Good answers each 2 ms, none between 100 and 350, refusals in it.
SEEN = (
    [at(t) for t in range(0, 102, 2)]
    + [at(t, REFUSED) for t in range(110, 340, 10)]
    + [at(t) for t in range(350, 502, 2)]
)


def test_the_gap_is_between_two_good_answers() -> None:
    lost = outage(SEEN, 101 * MS, 500 * MS)
    assert (lost.stopped_us, lost.back_us, lost.gap_us) == (100 * MS, 350 * MS, 250 * MS)
    assert (lost.failed, lost.by_outcome) == (23, {"refused": 23})
    assert lost.total == 23 + 76
    assert lost.first_failed_us == 109 * MS


def test_a_gap_that_began_before_the_window_counts_in_full() -> None:
    assert outage(SEEN, 200 * MS, 500 * MS).gap_us == 250 * MS


def test_a_gap_outside_the_window_does_not_count() -> None:
    assert outage(SEEN, 0, 90 * MS).gap_us == 2 * MS
    assert outage(SEEN, 400 * MS, 500 * MS).gap_us == 2 * MS


def test_an_open_gap_counts_to_the_end_of_the_window() -> None:
    lost = outage(SEEN, 400 * MS, 900 * MS)
    assert (lost.stopped_us, lost.back_us, lost.gap_us) == (500 * MS, None, 400 * MS)


def test_no_good_answer_at_all() -> None:
    lost = outage([at(120, TIMEOUT, 20)], 100 * MS, 300 * MS)
    assert (lost.stopped_us, lost.back_us, lost.gap_us, lost.failed) == (None, None, 200 * MS, 1)
    assert outage([], 100 * MS, 300 * MS).gap_us == 200 * MS


def test_the_first_good_answer_ends_a_gap_from_the_start() -> None:
    lost = outage([at(250)], 100 * MS, 251 * MS)
    assert (lost.stopped_us, lost.back_us, lost.gap_us) == (None, 250 * MS, 150 * MS)


def test_a_request_on_its_way_when_the_window_begins_counts() -> None:
    assert outage([at(90), at(600, TIMEOUT, 500)], 110 * MS, 700 * MS).failed == 1
    assert outage([at(90, TIMEOUT, 50)], 110 * MS, 700 * MS).failed == 0


def test_the_probers_own_pause_disturbs_only_when_it_explains_the_gap() -> None:
    pause = [at(t) for t in range(0, 12, 2)] + [at(160, STALL, 150)] + [at(161)]
    lost = outage(pause, 0, 161 * MS)
    assert (lost.gap_us, lost.stall_us, lost.disturbed) == (151 * MS, 150 * MS, True)
    assert lost.failed == 0
    long = outage([at(0), at(160, STALL, 150), at(3000)], 0, 3000 * MS)
    assert not long.disturbed
    short = outage([at(0), at(60, STALL, 58), at(61)], 0, 61 * MS)
    assert not short.disturbed


def test_counting_good_answers() -> None:
    seen = [at(1), at(2), at(3, REFUSED), Answer(0, 4, OK, "web0", "10.0.1.11")]
    assert count_by(seen, "server") == {"web0": 1, "web1": 2}
    assert count_by(seen, "via") == {"10.0.1.10": 2, "10.0.1.11": 1}


answers = st.builds(
    Answer,
    st.integers(0, 2**62),
    st.integers(0, 2**62),
    st.sampled_from(Outcome),
    st.text("abcdefgh123", max_size=7),
    st.sampled_from(["", "10.0.1.10", "255.1.2.3"]),
)


@given(st.lists(answers, max_size=5), st.binary(max_size=27))
def test_records_come_back_and_a_half_written_one_waits(seen: list[Answer], rest: bytes) -> None:
    assert decode(b"".join(map(encode, seen)) + rest[:27]) == seen
