import os
from collections.abc import Iterator

import pytest

from firstmate.linux.watchdog import HUNGER_MAX_US, LOOK_MAX_US, START_US, Feeder, Watchdog
from firstmate.model.units import MS, S, Micros

NOW = 1000 * S


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    made = Watchdog()
    made.start(NOW)
    yield made
    os.close(made.fd)


@pytest.fixture
def feeder(watchdog: Watchdog) -> Feeder:
    return Feeder(os.dup(watchdog.fd))


def starved_after(watchdog: Watchdog, now_us: Micros, step_us: Micros = 100 * MS) -> Micros:
    """How long it takes from now, looked at with each step."""
    start_us = now_us
    while not watchdog.is_starved(now_us):
        now_us += step_us
        assert now_us < start_us + 1000 * S
    return now_us - start_us


def test_a_loop_that_goes_on_is_well(watchdog: Watchdog, feeder: Feeder) -> None:
    for second in range(1000):
        feeder.feed()
        assert not watchdog.is_starved(NOW + second * S)


def test_a_loop_that_stands_still_is_seen(watchdog: Watchdog, feeder: Feeder) -> None:
    feeder.feed()
    assert not watchdog.is_starved(NOW + S)
    assert starved_after(watchdog, NOW + S) == HUNGER_MAX_US + 100 * MS


def test_a_long_sleep_of_the_host_is_no_hunger(watchdog: Watchdog, feeder: Feeder) -> None:
    feeder.feed()
    for hour in range(1, 10):
        assert not watchdog.is_starved(NOW + hour * 3600 * S)
        assert not watchdog.is_starved(NOW + hour * 3600 * S + LOOK_MAX_US)
        feeder.feed()


def test_a_start_may_take_longer(watchdog: Watchdog) -> None:
    assert starved_after(watchdog, NOW) == START_US + 100 * MS


def test_a_successor_begins_anew(watchdog: Watchdog, feeder: Feeder) -> None:
    feeder.feed()
    watchdog.is_starved(NOW + S)
    starved_after(watchdog, NOW + S)
    watchdog.start(NOW + 100 * S)
    assert not watchdog.is_starved(NOW + 101 * S)
    feeder.feed()
    assert not watchdog.is_starved(NOW + 102 * S)
