"""False failovers on a busy machine: eight busy loops, nothing broken, 100 ms adverts. Needs root.

    nox -s bench -- load --rounds 3
    nox -s bench -- load --quick

firstmate against keepalived with and without real-time priority; all of them check HAProxy as in `failover`. The
loops are ordinary processes, as anything is that somebody else runs on a load balancer.
"""

import argparse
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import figures
from figures import Load
from record import RESULTS, Ground, listed, machine, needs_root, write
from stage import SUBJECTS, set_up

from firstmate.lab import kernel
from firstmate.lab.wire import LabError
from firstmate.model.units import MS, S, Micros

COMPARED = ("firstmate", "expert", "expert-nort")
LOOPS = 8
LOAD_US: Micros = 20 * S
PROBE_INTERVAL_US: Micros = 4 * MS  # the client shares the processors too
_LOOP = "import time, sys; end = time.monotonic() + float(sys.argv[1])\nwhile time.monotonic() < end: pass"
_LOOP_SPARE_S = 5.0  # a loop ends by itself so long after its time


@dataclass(slots=True)
class Book:
    """All that was measured."""

    loads: list[Load] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def main() -> None:
    options = _options()
    ground = machine(sys.argv, options.seed, options.rounds)
    book = Book()
    try:
        with needs_root():
            for number in range(1, options.rounds + 1):
                rng = random.Random(f"{options.seed}/{number}")
                for subject in rng.sample(options.subjects, len(options.subjects)):
                    _round(subject, number, rng, book)
    except KeyboardInterrupt:
        sys.exit("interrupted: everything was taken down, nothing is written")
    page = render(book, ground, options.subjects)
    print(page)
    if options.output is not None:
        write(options.output, "load", page, ground, book)


def render(book: Book, ground: Ground, subjects: Sequence[str]) -> str:
    """The page of tables."""
    targets = figures.markdown(figures.target_table(figures.load_targets(book.loads)))
    table = figures.markdown(figures.load_table(book.loads, subjects))
    problems = "".join(f"- {problem}\n" for problem in book.problems) or "- none\n"
    what = f"{LOOPS} busy loops for {LOAD_US // S} s, adverts every 100 ms; changes of MASTER round by round."
    return (
        f"# Load, measured\n\n{ground.text} {what}\n\n## Targets\n\n{targets}\n\n## Under load\n\n{table}\n\n"
        f"## Left out\n\nRounds that could not be measured:\n\n{problems}"
    )


def _round(subject: str, number: int, rng: random.Random, book: Book) -> None:
    try:
        with set_up(subject, rng, PROBE_INTERVAL_US) as stage:
            stage.boot(number)
            stage.settle()
            scheduling = stage.balancer.scheduling(stage.lab.balancers[0])
            with _busy():
                changes, lost = stage.endure(LOAD_US)
    except LabError as error:
        book.problems.append(f"round {number}, {subject}: {error}")
        print(f"{number} {subject:<11} {error}", file=sys.stderr, flush=True)
        return
    load = Load(subject, number, changes, lost.gap_us, lost.failed, scheduling)
    book.loads.append(load)
    print(f"{number} {subject:<11} {load}", file=sys.stderr, flush=True)


@contextmanager
def _busy() -> Iterator[None]:
    """Keep every processor busy with several ordinary processes."""
    words = [sys.executable, "-S", "-c", _LOOP, str(LOAD_US / S + _LOOP_SPARE_S)]
    loops: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(LOOPS):
            loops.append(subprocess.Popen(words, preexec_fn=kernel.die_with_parent))  # noqa: PERF401, PLW1509
        yield
    finally:
        for loop in loops:
            loop.kill()
        for loop in loops:
            loop.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="load", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round, nothing written")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--subjects", type=listed(SUBJECTS), default=list(COMPARED), help="separated by commas")
    parser.add_argument("--output", type=Path, help=f"directory for the page and the record (default: {RESULTS})")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    elif options.output is None and set(options.subjects) == set(COMPARED):
        options.output = RESULTS
    return options


if __name__ == "__main__":
    main()
