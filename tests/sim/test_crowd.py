"""Thousands of stories in which every invariant holds, the stories that once failed, and routers that must not pass."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sim.broken import BROKEN, BROKEN_IN_DRESS

from firstmate.model.plan import Plan
from firstmate.model.units import Micros
from firstmate.sim import draw, dress, report
from firstmate.sim.conditions import Invariant
from firstmate.sim.world import World
from firstmate.vrrp.router import Router

CHUNK = 50
FIRST = 1
PLAIN = range(FIRST, 1_000, CHUNK)
MORE = int(os.environ.get("FIRSTMATE_SIM_SCHEDULES", "2000")) - len(PLAIN) * CHUNK  # those with every feature
DRESSED = range(dress.FIRST, dress.FIRST + max(MORE, CHUNK), CHUNK)
HUNT_FROM = {"one contest at a time": 1_250, "old form": 1_075}  # it takes long to meet these
HUNT_MAX = 400  # stories in which a broken router must have been caught
PAST = [
    int(line.split()[0]) for line in (Path(__file__).parent / "seeds.txt").read_text().splitlines() if line[0] != "#"
]


def play(seed: int) -> World:
    world = World(draw.schedule(seed))
    violation = world.run()
    if violation is not None:
        pytest.fail("\n" + "\n".join(report.failure(world, violation, None, 60)), pytrace=False)
    return world


@pytest.mark.parametrize("seed", PAST)
def test_a_story_that_once_failed(seed: int) -> None:
    play(seed)


@pytest.mark.parametrize("first", [*PLAIN, *DRESSED])
def test_stories(first: int) -> None:
    for seed in range(first, first + CHUNK):
        play(seed)


@pytest.mark.parametrize(("build", "caught_by"), BROKEN.values(), ids=BROKEN)
def test_a_broken_router_is_caught(build: Callable[[Plan, Micros], Router], caught_by: set[Invariant]) -> None:
    hunt(build, caught_by, FIRST)


@pytest.mark.parametrize("name", BROKEN_IN_DRESS)
def test_a_broken_feature_is_caught(name: str) -> None:
    build, caught_by = BROKEN_IN_DRESS[name]
    hunt(build, caught_by, HUNT_FROM.get(name, dress.FIRST))


def hunt(build: Callable[[Plan, Micros], Router], caught_by: set[Invariant], first: int) -> None:
    found: Counter[Invariant] = Counter()
    for seed in range(first, first + HUNT_MAX):
        violation = World(draw.schedule(seed), build).run()
        if violation is not None:
            found[violation.what] += 1
            if violation.what in caught_by:
                return
    pytest.fail(f"none of {caught_by} in {HUNT_MAX} stories, only {dict(found)}")


def test_every_invariant_can_fail() -> None:
    every = {**BROKEN, **BROKEN_IN_DRESS}
    assert set().union(*(caught_by for _, caught_by in every.values())) == set(Invariant)


def test_a_seed_tells_the_same_story_again() -> None:
    for seed in (3, 40, 1_005):
        once, again = play(seed), play(seed)
        assert once.events == again.events
        assert once.journal.lines(1_000) == again.journal.lines(1_000)
        assert once.journal.lines(1)
