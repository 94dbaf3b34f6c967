from dataclasses import replace

import pytest
from tests.rules.sim.example import PLANS, ROUTER, STORY, WIRE

from firstmate.model.plan import ChecksumForm, Track
from firstmate.model.units import MS, S, Micros
from firstmate.sim import bounds
from firstmate.sim.schedule import Schedule, Weather
from firstmate.vrrp.instance import Instance

SKEW = 1_171  # of priority 253 at 100 ms


def changed(**router: object) -> Schedule:
    plans = tuple(replace(plan, routers=(replace(plan.routers[0], **router),)) for plan in PLANS)  # type: ignore[arg-type]
    return replace(STORY, plans=plans)


def test_bounds_of_the_example() -> None:
    found = bounds.of(STORY)  # I = 100 ms, d = 0.1 ms, l = 0
    assert found.contest_us == 100 * MS + WIRE
    assert found.silence_us == 300 * MS + SKEW
    assert found.gap_us == 300 * MS + WIRE + SKEW
    assert found.handover_us == SKEW
    assert found.reaction_us == 0
    assert found.preempt_us == (300 * MS + WIRE + SKEW) + (100 * MS + WIRE) + (300 * MS + SKEW)
    assert found.black_hole_us == 100 * MS + 3 * WIRE
    assert found.refresh_us == 10 * S + WIRE
    assert bounds.settled_us(STORY) == 1 * S + found.preempt_us + found.contest_us


def test_lateness_and_stragglers_count() -> None:
    storm = replace(STORY, weather=Weather((0, 2 * MS), 3 * MS, straggle_us=5 * MS))
    found = bounds.of(storm)  # d = 7 ms, l = 3 ms
    assert found.contest_us == 100 * MS + 7 * MS + 6 * MS
    assert found.handover_us == SKEW + 3 * MS
    assert found.reaction_us == 6 * MS


def test_a_delay_of_preemption_counts_once() -> None:
    before, after = bounds.of(STORY), bounds.of(changed(preempt_delay_us=5 * S))
    assert after.preempt_us == before.preempt_us + 5 * S
    assert after.gap_us == before.gap_us


def test_refresh_may_be_lost_in_the_calm() -> None:
    calm = Weather((WIRE, WIRE), 0, loss=0.4, losses_in_a_row_max=2)
    assert bounds.of(replace(STORY, calm=calm)).refresh_us == 30 * S + WIRE


def test_without_refresh_there_is_no_bound() -> None:
    assert bounds.of(changed(garp_refresh_us=0)).refresh_us is None


@pytest.mark.parametrize(
    "router",
    [{"lower_prio_no_advert": True}, {"higher_prio_send_advert": False}, {"checksum": ChecksumForm.AUTO}],
)
def test_where_no_word_corrects_a_client_only_a_refresh_does(router: dict[str, object]) -> None:
    assert bounds.of(changed(**router)).black_hole_us is None


def test_more_silent_intervals_are_borne_and_weights_have_the_longest_skew() -> None:
    found = bounds.of(changed(down_timer_adverts=5))
    assert found.silence_us == 500 * MS + SKEW
    found = bounds.of(changed(track=(Track("check", -20),)))
    assert found.handover_us == 255 * 100 * MS // 256


def test_bounds_are_those_of_the_names_that_are_asked_for() -> None:
    slow = replace(ROUTER, name="vi2", advert_interval_us=1 * S)
    told = replace(STORY, plans=tuple(replace(plan, routers=(*plan.routers, slow)) for plan in PLANS))
    assert bounds.of(told, {"vi1"}) == bounds.of(STORY)
    assert bounds.of(told, {"vi1", "vi2"}).contest_us == 1 * S + WIRE


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("priority", [1, 100, 254, 255])
@pytest.mark.parametrize("interval_us", [1 * S, 2 * S])
def test_skew_is_that_of_the_router(version: int, priority: int, interval_us: Micros) -> None:
    plan = replace(ROUTER, version=version, priority=priority, advert_interval_us=interval_us)
    assert bounds.skew(plan, interval_us) == Instance(plan).skew_us(interval_us)
