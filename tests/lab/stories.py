"""Tests that mostly wait, told side by side: each yields what it waits for, and goes on when that has come."""

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

LOOK_S = 0.003  # between two looks at everybody
STALL_S = 0.1  # longer between two looks: we did not run, and perhaps nobody did; time that counts for nobody


@dataclass(frozen=True, slots=True)
class Until:
    condition: Callable[[], bool]
    what: Callable[[], str]  # asked when it did not come to pass
    timeout_s: float = 12.0


Story = Generator[Until, None, None]
Failures = dict[str, Exception]  # by the name of the story


def tell(stories: Mapping[str, Story]) -> None:
    """Run all of them to their ends; raises an `ExceptionGroup` of those that failed, each with its name."""
    failures = list(fates(stories).values())
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(stories)} stories failed", failures)


def fates(stories: Mapping[str, Story]) -> Failures:
    """Run all of them to their ends; what went wrong in those that failed."""
    running = {name: _Telling(story) for name, story in stories.items()}
    failures: Failures = {}
    awake_s, last = 0.0, time.monotonic()
    while running:
        passed, last = time.monotonic() - last, time.monotonic()
        awake_s += min(passed, STALL_S)
        if passed > STALL_S:
            _stalls.append((time.time(), passed))
        for name, telling in list(running.items()):
            try:
                ended = telling.go_on(awake_s)
            except Exception as error:  # noqa: BLE001 - whatever it is, the others are told to their ends first
                error.add_note(f"in the story {name!r}")
                failures[name] = error
                ended = True
            if ended:
                del running[name]
        time.sleep(LOOK_S)
    return failures


def stalled_s(since: float) -> float:
    """How long this machine has stood still since then (`time.time()`), as far as we have seen it."""
    return sum(length for at, length in _stalls if at >= since)


def check(failures: Failures, *names: str) -> None:
    """For one of several tests whose stories were told together: raise what went wrong in these."""
    for name in names:
        if name in failures:
            raise failures[name]


_stalls: list[tuple[float, float]] = []  # end and length


class _Telling:
    def __init__(self, story: Story) -> None:
        self._story = story
        self._waits_for: Until | None = None
        self._since_s = 0.0

    def go_on(self, awake_s: float) -> bool:
        """As far as it goes without waiting; True when it has ended."""
        if self._waits_for is not None and not self._waits_for.condition():
            late = awake_s > self._since_s + self._waits_for.timeout_s
            assert not late, f"not within {self._waits_for.timeout_s} s: {self._waits_for.what()}"
            return False
        self._since_s = awake_s
        self._waits_for = next(self._story, None)
        return self._waits_for is None
