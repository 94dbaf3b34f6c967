import pytest

from firstmate.model.units import MS, S
from firstmate.policy.restart import HEALTHY_US, Exited, GiveUp, Restarts, Start, cause


def test_the_first_restart_is_at_once_and_the_next_ones_slower() -> None:
    restarts, now_us = Restarts(), 0
    pauses = []
    for _ in range(10):
        action = restarts.handle(Exited(1), now_us)
        assert isinstance(action, Start)
        pauses.append(action.after_us)
        now_us += action.after_us + 10 * MS  # it lives for 10 ms
    assert pauses == [0, 100_000, 200_000, 400_000, 800_000, 1_600_000, 3_200_000, 6_400_000, 10 * S, 10 * S]


def test_a_long_life_makes_the_next_restart_a_first_one() -> None:
    restarts = Restarts()
    for _ in range(5):
        restarts.handle(Exited(1), 0)
    due_us = 800 * MS
    assert restarts.handle(Exited(1), due_us + HEALTHY_US - 1) == Start(1_600 * MS)
    assert restarts.handle(Exited(1), due_us + 3 * HEALTHY_US) == Start(0)


def test_it_gives_up_where_that_is_asked_for() -> None:
    restarts = Restarts(tries_max=2)
    restarts.handle(Exited(-11), 0)
    restarts.handle(Exited(-11), 0)
    assert restarts.handle(Exited(-11), 0) == GiveUp("killed by signal 11 after 2 restarts")
    assert restarts.handle(Exited(-11), HEALTHY_US + S) == Start(0), "a long life is a new beginning"


@pytest.mark.parametrize(
    ("status", "text"),
    [(0, "exit 0"), (1, "exit 1"), (-9, "killed by signal 9"), (139, "killed by signal 11"), (255, "exit 255")],
)
def test_cause(status: int, text: str) -> None:
    assert cause(status) == text
