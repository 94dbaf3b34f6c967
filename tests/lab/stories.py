"""Tests that mostly wait, told side by side: each yields what it waits for, and goes on when that has come."""

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

LOOK_S = 0.003  # between two looks at everybody


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
    while running:
        for name, telling in list(running.items()):
            try:
                ended = telling.go_on()
            except Exception as error:  # noqa: BLE001 - whatever it is, the others are told to their ends first
                error.add_note(f"in the story {name!r}")
                failures[name] = error
                ended = True
            if ended:
                del running[name]
        time.sleep(LOOK_S)
    return failures


def check(failures: Failures, *names: str) -> None:
    """For one of several tests whose stories were told together: raise what went wrong in these."""
    for name in names:
        if name in failures:
            raise failures[name]


class _Telling:
    def __init__(self, story: Story) -> None:
        self._story = story
        self._waits_for: Until | None = None
        self._since_s = 0.0

    def go_on(self) -> bool:
        """As far as it goes without waiting; True when it has ended."""
        if self._waits_for is not None and not self._waits_for.condition():
            late = time.monotonic() > self._since_s + self._waits_for.timeout_s
            assert not late, f"not within {self._waits_for.timeout_s} s: {self._waits_for.what()}"
            return False
        self._since_s = time.monotonic()
        self._waits_for = next(self._story, None)
        return self._waits_for is None
