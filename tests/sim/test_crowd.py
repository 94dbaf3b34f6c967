"""A thousand stories in which every invariant holds, the stories that once failed, and routers that must not pass."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sim.broken import BROKEN

from firstmate.model.plan import Plan
from firstmate.model.units import Micros
from firstmate.sim import draw, report
from firstmate.sim.conditions import Invariant
from firstmate.sim.world import World
from firstmate.vrrp.router import Router

STORIES, CHUNK = 1_200, 100
FIRST = 1
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


@pytest.mark.parametrize("first", range(FIRST, FIRST + STORIES, CHUNK))
def test_stories(first: int) -> None:
    for seed in range(first, first + CHUNK):
        play(seed)


@pytest.mark.parametrize(("build", "caught_by"), BROKEN.values(), ids=BROKEN)
def test_a_broken_router_is_caught(build: Callable[[Plan, Micros], Router], caught_by: set[Invariant]) -> None:
    found: Counter[Invariant] = Counter()
    for seed in range(FIRST, FIRST + HUNT_MAX):
        violation = World(draw.schedule(seed), build).run()
        if violation is not None:
            found[violation.what] += 1
            if violation.what in caught_by:
                return
    pytest.fail(f"none of {caught_by} in {HUNT_MAX} stories, only {dict(found)}")


def test_every_invariant_can_fail() -> None:
    assert set().union(*(caught_by for _, caught_by in BROKEN.values())) == set(Invariant)


def test_a_seed_tells_the_same_story_again() -> None:
    for seed in (3, 40):
        once, again = play(seed), play(seed)
        assert once.events == again.events
        assert once.journal.lines(1_000) == again.journal.lines(1_000)
        assert once.journal.lines(1)
