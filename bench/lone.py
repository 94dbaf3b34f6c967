"""One virtual router: how exactly a silence is followed by a takeover, and whether one comes without a silence."""

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from crowd import Failed, Pair, Place, pair
from ear import Ear, clock_us
from timing import Calm, Reigns, Silences
from twins import Setting
from wires import HOSTS

from firstmate.lab import kernel
from firstmate.model.units import MS, S, Micros

_PREFERRED, _HEIR = HOSTS
_LOOP = "while True: pass"
_REST_US: Micros = 200 * MS  # at least, between two takeovers
_REST_INTERVALS = 6


@dataclass(frozen=True, slots=True)
class Case:
    subject: str
    interval_us: Micros
    loops: int  # busy loops beside it


def silence(place: Place, case: Case, number: int, takeovers: int, rng: random.Random) -> Silences:
    """Cut the MASTER off, see how late the other is, mend, again."""
    late_us: list[Micros] = []
    scheduling = problem = ""
    with pair(place, case.subject, Setting(1, case.interval_us)) as both, Ear(both.wires) as ear:
        try:
            scheduling = _begin(both, ear)
            with busy(case.loops):
                for _ in range(takeovers):
                    both.rest(ear, max(_REST_US, _REST_INTERVALS * case.interval_us) + rng.randrange(case.interval_us))
                    late_us += both.lose(ear, both.cut).late_us(both.setting.down_us)
                    both.wires.mend(_PREFERRED)
                    both.settle(ear, Reigns())
        except Failed as error:
            problem = str(error)
    return Silences(case.subject, number, case.interval_us, case.loops, scheduling, tuple(late_us), problem)


def endure(place: Place, case: Case, seconds: int) -> Calm:
    """Only listen."""
    reigns = Reigns()
    scheduling = problem = ""
    with pair(place, case.subject, Setting(1, case.interval_us)) as both, Ear(both.wires) as ear:
        try:
            scheduling = _begin(both, ear)
            with busy(case.loops):
                until_us = clock_us() + seconds * S
                while clock_us() < until_us:
                    reigns.hear(ear.listen(until_us))
            if lost := ear.lost():
                raise Failed(f"{lost} frames were not heard")
        except Failed as error:
            problem = str(error)
    return Calm(
        case.subject,
        case.interval_us,
        case.loops,
        seconds,
        reigns.adverts,
        reigns.changes,
        reigns.longest_us,
        scheduling,
        problem,
    )


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Ordinary processes that never sleep, each in a session of its own: the kernel shares the processors by session.

    All in one session they would together get as much as the daemon alone.
    """
    started: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(loops):
            words = [sys.executable, "-S", "-c", _LOOP]
            loop = subprocess.Popen(words, preexec_fn=kernel.die_with_parent, start_new_session=True)  # noqa: PLW1509
            started.append(loop)
        yield
    finally:
        for loop in started:
            loop.kill()
        for loop in started:
            loop.wait()


def _begin(both: Pair, ear: Ear) -> str:
    """Start both and wait until they have settled; how they are scheduled. Raises `Failed`."""
    both.start()
    both.wait_open()
    both.settle(ear, Reigns())
    return both.twins[_HEIR].scheduling()
