import pytest
from bench import timing
from bench.timing import Reigns, Said, Takeover, percentile

MS = 1000
A, B = "lb-a", "lb-b"


def advert(at_ms: float, port: str, vrid: int = 1, priority: int = 100, *, delivered: bool = False) -> Said:
    return Said(round(at_ms * MS), port, 0, vrid, priority, delivered)


def arp(at_ms: float, port: str, ip: bytes = b"\x0a\x0a\x01\x01") -> Said:
    return Said(round(at_ms * MS), port, 0, -1, 0, delivered=False, ip=ip)


def test_the_down_interval_is_three_adverts_and_skew() -> None:
    assert timing.down_interval_us(100 * MS, 253) == 301_171
    assert timing.down_interval_us(1000 * MS, 101) == 3_605_468


# fmt: off
PERCENTILES = {
    "nothing":       ([],                      50, None),
    "one":           ([7],                     99, 7),
    "the median":    ([3, 1, 2],               50, 2),
    "least":         ([3, 1, 2],               0, 1),
    "greatest":      ([3, 1, 2],               100, 3),
    "99 of 100":     (list(range(1, 101)),     99, 99),
    "99 of 50":      (list(range(1, 51)),      99, 50),
}
# fmt: on


@pytest.mark.parametrize(("values", "percent", "found"), PERCENTILES.values(), ids=PERCENTILES)
def test_percentiles(values: list[float], percent: float, found: float | None) -> None:
    assert percentile(values, percent) == found


def test_a_host_has_settled_when_it_alone_advertises_everything() -> None:
    reigns = Reigns()
    reigns.hear([advert(1, A), advert(2, B, vrid=2)])
    assert reigns.settled_us(A, 2) is None
    reigns.hear([advert(3, A, vrid=2), advert(4, A), advert(5, A, vrid=2)])
    assert reigns.settled_us(A, 2) == 3 * MS
    assert reigns.settled_us(A, 3) is None
    assert reigns.settled_us(B, 2) is None
    assert (reigns.changes, reigns.adverts, reigns.longest_us) == (1, 5, 3 * MS)


def test_one_advert_of_the_other_and_it_has_not() -> None:
    reigns = Reigns()
    reigns.hear([advert(1, A), advert(2, B), advert(3, A)])
    assert reigns.settled_us(A, 1) == 3 * MS
    assert reigns.changes == 2


def test_a_resignation_is_no_claim_and_what_is_delivered_was_heard_where_it_came_in() -> None:
    reigns = Reigns()
    reigns.hear([advert(1, A), advert(2, B, priority=0), advert(3, B, delivered=True), arp(4, B)])
    assert reigns.settled_us(A, 1) == 1 * MS
    assert reigns.resigned == 1


def test_a_takeover_is_complete_with_the_last_advert_and_the_last_address() -> None:
    takeover = Takeover(B, 2)
    takeover.hear([advert(1, B, 1, delivered=True), advert(2, B, 2, delivered=True), advert(2, A, 2), arp(3, B)])
    takeover.at_us = 10 * MS
    takeover.hear([advert(11, B, 1, delivered=True), advert(42, B, 1), arp(43, B), advert(50, B, 2)])
    assert takeover.taken(30 * MS) == timing.Taken(40 * MS, None, 1 * MS, 18 * MS)
    takeover.hear([arp(44, B), arp(60, B, b"\x0a\x0a\x01\x02"), advert(61, B, 2)])
    assert takeover.complete
    assert takeover.late_us(30 * MS) == (1 * MS, 18 * MS)
    assert takeover.taken(30 * MS) == timing.Taken(40 * MS, 50 * MS, 1 * MS, 18 * MS)


def test_what_never_came_is_no_time() -> None:
    takeover = Takeover(B, 1, at_us=0)
    assert takeover.taken(1) == timing.Taken(None, None, None, None)


def test_all_at_once_is_one_busy_millisecond() -> None:
    heard = [advert(1.1, A, 1), advert(1.9, A, 2), advert(5, A, 3), advert(6, A, delivered=True), advert(7, B)]
    assert timing.busy_ms(heard, A) == 2


def test_times_are_shown_in_milliseconds() -> None:
    assert timing.in_ms(None) == "–"
    assert timing.late_row([1500, 500]) == ["2", "0.50", "0.50", "1.50", "1.50"]
    assert timing.late_row([]) == ["0", "–", "–", "–", "–"]
