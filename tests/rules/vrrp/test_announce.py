from dataclasses import replace

import pytest
from tests.rules.vrrp.example import NOW, PLAN

from firstmate.model.plan import VrrpPlan
from firstmate.model.units import MS, S, Micros
from firstmate.vrrp.announce import Announcer

FAST = replace(PLAN, advert_interval_us=100 * MS)  # 5 rounds, 5 again after 5 s, one each 10 s
TERSE = replace(FAST, garp_delay_us=0, garp_refresh_us=0)
SILENT = replace(FAST, garp_repeat=0, garp_refresh_us=0)
REFRESH_ONLY = replace(FAST, garp_repeat=0)


def said(announcer: Announcer, until_us: Micros) -> list[tuple[Micros, int]]:
    """What is due from now on, asked exactly when the announcer wants to be: time since NOW, rounds."""
    out = []
    while (at_us := announcer.deadline_us) is not None and at_us <= NOW + until_us:
        out.append((at_us - NOW, announcer.due(at_us)))
    return out


# fmt: off
STARTS = {
    "C85 two bursts, then refresh": (FAST,         25 * S, [(0, 5), (5 * S, 5), (10 * S, 1), (20 * S, 1)]),
    "one burst":                    (TERSE,        25 * S, [(0, 5)]),
    "never":                        (SILENT,       25 * S, []),
    "refresh alone":                (REFRESH_ONLY, 25 * S, [(10 * S, 1), (20 * S, 1)]),
}
# fmt: on


@pytest.mark.parametrize(("plan", "until_us", "wanted"), STARTS.values(), ids=STARTS)
def test_start(plan: VrrpPlan, until_us: Micros, wanted: list[tuple[Micros, int]]) -> None:
    announcer = Announcer(plan)
    announcer.start(NOW)
    assert said(announcer, until_us) == wanted


def test_nothing_is_due_before_start() -> None:
    announcer = Announcer(FAST)
    assert (announcer.deadline_us, announcer.due(NOW)) == (None, 0)


def test_nothing_is_due_before_its_time() -> None:
    announcer = Announcer(FAST)
    announcer.start(NOW)
    assert announcer.due(NOW - 1) == 0
    assert (announcer.due(NOW), announcer.due(NOW), announcer.deadline_us) == (5, 0, NOW + 5 * S)


def test_stop_silences_the_second_burst() -> None:  # C88
    announcer = Announcer(FAST)
    announcer.start(NOW)
    announcer.due(NOW)
    announcer.stop()
    assert (announcer.deadline_us, announcer.due(NOW + 60 * S)) == (None, 0)


def test_a_contest_is_answered_at_once_and_again_later() -> None:  # C84
    announcer = Announcer(TERSE)
    announcer.start(NOW - S)
    announcer.due(NOW - S)
    announcer.again(NOW)
    assert said(announcer, 30 * S) == [(0, 5)]
    announcer = Announcer(FAST)
    announcer.start(NOW - 60 * S)
    announcer.due(NOW)
    announcer.again(NOW + S)
    assert said(announcer, 6 * S) == [(S, 5), (6 * S, 5)]


def test_a_contest_is_answered_once_an_interval_and_last() -> None:
    announcer = Announcer(TERSE)
    announcer.start(NOW)
    announcer.due(NOW)
    for late_ms in (1, 30, 99):
        announcer.again(NOW + late_ms * MS)
    assert said(announcer, 30 * S) == [(100 * MS, 5)]


def test_an_old_contest_does_not_delay_a_new_mastership() -> None:
    announcer = Announcer(TERSE)
    announcer.start(NOW - 1)
    announcer.due(NOW - 1)
    announcer.stop()
    announcer.start(NOW)
    announcer.again(NOW)
    assert said(announcer, 30 * S) == [(0, 5)]


def test_a_refresh_due_with_a_burst_adds_nothing() -> None:
    announcer = Announcer(replace(FAST, garp_refresh_us=5 * S))
    announcer.start(NOW)
    assert said(announcer, 10 * S) == [(0, 5), (5 * S, 5), (10 * S, 1)]


def test_who_comes_late_says_all_that_was_due() -> None:
    announcer = Announcer(FAST)
    announcer.start(NOW)
    assert (announcer.due(NOW + 12 * S), announcer.deadline_us) == (10, NOW + 22 * S)


def test_a_weaker_master_may_have_rounds_of_its_own() -> None:
    announcer = Announcer(replace(TERSE, garp_lower_prio_repeat=2, garp_lower_prio_delay_us=3 * S))
    announcer.start(NOW - S)
    announcer.due(NOW - S)
    announcer.again(NOW, contest=True)
    assert said(announcer, 30 * S) == [(0, 2), (3 * S, 2)]
    announcer.again(NOW + 60 * S)
    assert announcer.due(NOW + 60 * S) == 5


def test_a_refresh_may_be_several_rounds() -> None:
    announcer = Announcer(replace(FAST, garp_repeat=1, garp_delay_us=0, garp_refresh_us=5 * S, garp_refresh_repeat=3))
    announcer.start(NOW)
    assert said(announcer, 5 * S) == [(0, 1), (5 * S, 3)]


def test_a_claim_of_another_host_lets_all_wait() -> None:
    announcer = Announcer(FAST)
    announcer.start(NOW - 4 * S)
    announcer.due(NOW - 4 * S)
    announcer.hold(NOW)
    assert said(announcer, 20 * S) == [(2 * S, 5), (6 * S, 1), (16 * S, 1)]
    slow = Announcer(replace(FAST, advert_interval_us=3 * S, garp_delay_us=0, garp_refresh_us=5 * S))
    slow.start(NOW - 4 * S)
    slow.due(NOW - 4 * S)
    slow.hold(NOW)
    assert said(slow, 12 * S) == [(6 * S, 1), (11 * S, 1)]


def test_claims_without_end_do_not_silence_us() -> None:
    announcer = Announcer(replace(REFRESH_ONLY, garp_refresh_us=S))
    announcer.start(NOW)
    announcer.hold(NOW)
    for second in (1, 2, 3):
        announcer.hold(NOW + second * S)
    assert said(announcer, 3 * S) == [(2 * S, 1), (3 * S, 1)]
    announcer.hold(NOW + 4 * S)
    assert announcer.deadline_us == NOW + 6 * S


def test_a_claim_wakes_nothing_where_nothing_is_due() -> None:
    announcer = Announcer(SILENT)
    announcer.start(NOW)
    announcer.hold(NOW)
    assert announcer.deadline_us is None
