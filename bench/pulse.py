"""What the election itself costs and how exact it is: firstmate beside keepalived, without HAProxy. Needs root.

    nox -s bench -- pulse --only a --routers 200 --interval 100ms --rounds 5
    nox -s bench -- pulse --only b --interval 10ms,100ms --takeovers 50
    nox -s bench -- pulse --only c

(a) 1, 50 and 200 virtual routers at 1 s and 100 ms: processor time, memory, time until all are settled, time until
all are taken over. (b) takeover after silence less the ideal down interval, idle and under eight busy loops, and
whether anybody fails over when nothing happens. (c) 1,000 virtual routers on four interfaces.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import crowd
import lone
import pulse_page
from load import LOOPS
from record import RESULTS, listed, machine, needs_root, write
from timing import Calm, Scale, Silences
from twins import PRIORITIES, SUBJECTS, Setting

from firstmate.model.units import MS, S, Micros

PARTS = ("a", "b", "c")
COMPARED = ("firstmate", "keepalived")
ROUTERS = (1, 50, 200)
INTERVALS = {"a": (1 * S, 100 * MS), "b": (10 * MS, 100 * MS, 1 * S), "c": (1 * S, 100 * MS)}
CROWD, CROWD_WIRES = 1000, 4
FALSE = ((10 * MS, 0), (100 * MS, LOOPS))  # interval and busy loops while nothing may happen
SETTINGS_SLOW_US: Micros = 1 * S  # from here on, fewer takeovers


@dataclass(slots=True)
class Book:
    """All that was measured."""

    scales: list[Scale] = field(default_factory=list)
    silences: list[Silences] = field(default_factory=list)
    calms: list[Calm] = field(default_factory=list)


def main() -> None:
    options = _options()
    ground = machine(sys.argv, options.seed, options.rounds)
    book, whole = Book(), False
    with tempfile.TemporaryDirectory(prefix="fm-bench-") as directory:
        try:
            with needs_root():
                for part in options.only:
                    _PARTS[part](options, book, Path(directory))
                whole = True
        except KeyboardInterrupt:
            print("interrupted: everything was taken down, nothing is written", file=sys.stderr)
    page = pulse_page.render(book.scales, book.silences, book.calms, ground.text)
    print(page)
    if options.output is not None and whole:
        write(options.output, "pulse", page, ground, book)
    if not whole:
        sys.exit(1)


def _a(options: argparse.Namespace, book: Book, directory: Path) -> None:
    for routers in options.routers:
        for interval_us in options.interval or INTERVALS["a"]:
            _scale(options, book, directory, _setting(options, routers, interval_us))


def _c(options: argparse.Namespace, book: Book, directory: Path) -> None:
    for interval_us in options.interval or INTERVALS["c"]:
        setting = _setting(options, options.crowd // CROWD_WIRES, interval_us, CROWD_WIRES)
        _scale(options, book, directory, setting)


def _setting(options: argparse.Namespace, routers: int, interval_us: Micros, wires: int = 1) -> Setting:
    return Setting(routers, interval_us, wires, options.garp_refresh, tuple(options.priorities))


def _scale(options: argparse.Namespace, book: Book, directory: Path, setting: Setting) -> None:
    for number, subject, rng in _turns(options):
        with _stage(options, directory) as stage:
            scale = crowd.measure(stage, subject, number, setting, options.window, rng)
        book.scales.append(scale)
        _say(f"{number} {subject:<13} {pulse_page.say_scale(scale)}")


def _b(options: argparse.Namespace, book: Book, directory: Path) -> None:
    for loops in options.loops:
        for interval_us in options.interval or INTERVALS["b"]:
            fewer = options.takeovers_slow if interval_us >= SETTINGS_SLOW_US else options.takeovers
            for number, subject, rng in _turns(options):
                takeovers = fewer // options.rounds + (number <= fewer % options.rounds)
                if not takeovers:
                    continue
                with _stage(options, directory) as stage:
                    silences = lone.silence(stage, lone.Case(subject, interval_us, loops), number, takeovers, rng)
                book.silences.append(silences)
                _say(f"{number} {subject:<13} {pulse_page.say_silences(silences)}")
    if not options.false_minutes:
        return
    for interval_us, loops in FALSE:
        for subject in options.subjects:
            with _stage(options, directory) as stage:
                calm = lone.endure(stage, lone.Case(subject, interval_us, loops), round(options.false_minutes * 60))
            book.calms.append(calm)
            _say(f"- {subject:<13} {calm}")


_PARTS: dict[str, Callable[[argparse.Namespace, Book, Path], None]] = {"a": _a, "b": _b, "c": _c}


def _turns(options: argparse.Namespace) -> Iterator[tuple[int, str, random.Random]]:
    """Round by round, all subjects in an order drawn by the seed."""
    for number in range(1, options.rounds + 1):
        rng = random.Random(f"{options.seed}/{number}")
        for subject in rng.sample(options.subjects, len(options.subjects)):
            yield number, subject, rng


@contextmanager
def _stage(options: argparse.Namespace, directory: Path) -> Iterator[crowd.Place]:
    """A directory of its own for what a set-up writes."""
    with tempfile.TemporaryDirectory(dir=directory) as own:
        yield crowd.Place(Path(own), options.python)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _intervals(text: str) -> list[Micros]:
    """`100ms,1s`"""
    units = {"ms": MS, "s": S}
    found = []
    for word in text.split(","):
        unit = "ms" if word.endswith("ms") else "s"
        found.append(int(word.removesuffix(unit)) * units[unit])
    return found


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pulse", description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=listed(PARTS), default=list(PARTS), help="parts, separated by commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--subjects", type=listed(SUBJECTS), default=list(COMPARED), help="separated by commas")
    parser.add_argument("--routers", type=_numbers, default=list(ROUTERS), help="a: how many; 1,50,200")
    parser.add_argument("--interval", type=_intervals, help="10ms,100ms,1s; of all parts that are run")
    parser.add_argument("--window", type=float, default=10.0, help="a, c: seconds of steady state that are measured")
    parser.add_argument("--crowd", type=int, default=CROWD, help="c: how many virtual routers, over four interfaces")
    parser.add_argument("--loops", type=_numbers, default=[0, LOOPS], help="b: busy loops beside it; 0,8")
    parser.add_argument("--takeovers", type=int, default=50, help="b: of each subject, in all rounds")
    parser.add_argument("--takeovers-slow", type=int, default=20, help="b: the same at intervals of 1 s and more")
    parser.add_argument("--false-minutes", type=float, default=10.0, help="b: how long nothing happens; 0: never")
    parser.add_argument("--garp-refresh", default="", help="firstmate's garp_refresh; keepalived has none of it")
    parser.add_argument("--priorities", type=_numbers, default=list(PRIORITIES), help="of both hosts, a, c: 254,253")
    parser.add_argument("--python", default=sys.executable, help="the environment whose firstmate is measured")
    parser.add_argument("--report", action="store_true", help="print the page and write nothing")
    parser.add_argument("--output", type=Path, help=f"directory for the page and the record (default: {RESULTS})")
    options = parser.parse_args()
    whole = set(options.only) == set(PARTS) and set(COMPARED) <= set(options.subjects) and not options.interval
    if options.report:
        options.output = None
    elif options.output is None and whole:
        options.output = RESULTS
    return options


if __name__ == "__main__":
    main()
