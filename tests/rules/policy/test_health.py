import pytest

from firstmate.model.units import MS, S
from firstmate.policy.health import GRACE_MAX_US, LATE_US, Health, answered, first_run, grace_us, missed

GOOD, BAD = True, False


def judged(rise: int, fall: int, *results: bool) -> Health:
    """Probes that do not overlap, each later than the one before."""
    health = Health(rise, fall)
    for at_us, result in enumerate(results):
        health = answered(health, at_us) if result is GOOD else missed(health, at_us)
    return health


# fmt: off
RULES = {                       # rise fall results                      verdict
    "nothing yet":               (2, 2, [],                              None),
    "one of two is not enough":  (2, 2, [GOOD],                          None),
    "two are":                   (2, 2, [GOOD, GOOD],                    True),
    "a miss starts the count":   (2, 2, [GOOD, BAD, GOOD],               None),
    "one miss is forgiven":      (2, 2, [GOOD, GOOD, BAD],               True),
    "two are not":               (2, 2, [GOOD, GOOD, BAD, BAD],          False),
    "an answer between forgives":(2, 2, [GOOD, GOOD, BAD, GOOD, BAD],    True),
    "never answered":            (2, 3, [BAD, BAD, BAD],                 False),
    "back after rise":           (2, 1, [BAD, GOOD, GOOD],               True),
    "not before":                (2, 1, [BAD, GOOD],                     False),
}
# fmt: on


@pytest.mark.parametrize(("rise", "fall", "results", "verdict"), RULES.values(), ids=RULES)
def test_rise_and_fall(rise: int, fall: int, results: list[bool], verdict: bool | None) -> None:
    assert judged(rise, fall, *results).up is verdict


def test_counts_stay_bounded() -> None:
    assert judged(2, 2, *[GOOD] * 100).good == 2
    assert judged(2, 2, *[BAD] * 100).bad == 2


def test_a_miss_proves_nothing_when_a_later_probe_was_answered() -> None:
    health = answered(answered(Health(2, 1), 0), 200 * MS)
    assert missed(health, 100 * MS) == health


def test_overlapping_probes_of_a_hang_are_all_counted() -> None:
    health = answered(answered(Health(2, 2), 0), 100 * MS)
    after = missed(missed(health, 200 * MS), 300 * MS)
    assert after.up is False


def test_a_late_answer_proves_life() -> None:
    health = missed(answered(answered(Health(2, 2), 0), 1), 200 * MS)
    assert missed(answered(health, 100 * MS), 300 * MS).up is True


@pytest.mark.parametrize("ok", [True, False])
def test_the_first_run_of_a_check_decides(ok: bool) -> None:
    health = first_run(Health(3, 3), ok=ok)
    assert health.up is ok
    after = missed(health, 0) if ok else answered(health, 0)
    assert after.up is ok, "the second one does not"


def test_grace_follows_our_own_lateness() -> None:
    assert grace_us(0) == 0
    assert grace_us(LATE_US) == 0
    assert grace_us(LATE_US + 1) == LATE_US + 1
    assert grace_us(10 * S) == GRACE_MAX_US
