from random import Random

import pytest

from firstmate.sim.chance import Chance
from firstmate.sim.schedule import Weather

CALM = Weather((100, 300), 50)
STORMY = Weather((100, 300), 50, reordering=1.0, straggle_us=1_000)


def test_calm_weather_stays_within_its_numbers() -> None:
    chance = Chance(Random(1), CALM)
    delays = [chance.delay_us() for _ in range(1_000)]
    assert 100 <= min(delays) < 120
    assert 280 < max(delays) <= 300
    late = [chance.lateness_us() for _ in range(1_000)]
    assert 0 == min(late) < max(late) <= 50
    assert sum(late) / 1_000 < 15  # mostly little
    assert not any(chance.straggle_us() for _ in range(100))
    assert not any(chance.happens(0.0) for _ in range(100))
    assert all(chance.happens(1.0) for _ in range(100))


def test_stragglers() -> None:
    chance = Chance(Random(1), STORMY)
    assert 900 < max(chance.straggle_us() for _ in range(100)) <= 1_000


def test_about() -> None:
    times = [Chance(Random(seed), CALM).about_us(1_000) for seed in range(200)]
    assert 500 <= min(times) < 600
    assert 1_400 < max(times) < 1_500


@pytest.mark.parametrize("seed", range(20))
def test_flip_turns_one_bit(seed: int) -> None:
    before = bytes(range(16))
    after = Chance(Random(seed), CALM).flip(before)
    assert len(after) == len(before)
    assert (int.from_bytes(before) ^ int.from_bytes(after)).bit_count() == 1
