"""What a failure costs the client: firstmate and keepalived in the same lab, fault by fault. Needs root.

    nox -s bench -- failover --rounds 5
    nox -s bench -- failover --quick --subjects firstmate,expert --faults haproxy-crash,stop

Each round sets every subject up afresh, in an order drawn by the seed, and hits it with each fault at a random
moment. A run whose figure may be the prober's own pause is repeated, and counted.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import figures
from figures import Boot, Healing, Loss
from record import RESULTS, Ground, listed, machine, needs_root, write
from stage import SUBJECTS, Stage, set_up

from firstmate.lab.wire import LabError
from firstmate.model.units import MS, Micros

FAULTS = ("haproxy-crash", "haproxy-hang", "pulse-kill", "daemon-kill", "daemon-freeze", "link-down", "stop")
PARTITION = "partition"
COMPARED = ("firstmate", "expert", "expert-254", "article")
INTERVAL_US: Micros = 100 * MS
_REPEATS_MAX = 2  # of a disturbed run, in one round
_SET_UPS_MAX = 4  # of one subject in one round


@dataclass(slots=True)
class Book:
    """All that was measured."""

    losses: list[Loss] = field(default_factory=list)
    healings: list[Healing] = field(default_factory=list)
    boots: list[Boot] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def disturbed(self) -> int:
        return sum(loss.disturbed for loss in self.losses) + sum(healing.disturbed for healing in self.healings)


def main() -> None:
    options = _options()
    ground = machine(sys.argv, options.seed, options.rounds)
    book = Book()
    try:
        with needs_root():
            for number in range(1, options.rounds + 1):
                rng = random.Random(f"{options.seed}/{number}")
                for subject in rng.sample(options.subjects, len(options.subjects)):
                    _round(subject, number, options.faults, rng, book)
    except KeyboardInterrupt:
        sys.exit("interrupted: everything was taken down, nothing is written")
    page = render(book, ground, options.subjects, options.faults)
    print(page)
    if options.output is not None:
        write(options.output, "failover", page, ground, book)


def render(book: Book, ground: Ground, subjects: Sequence[str], faults: Sequence[str]) -> str:
    """The page of tables."""
    hit = [fault for fault in faults if fault in FAULTS]
    losses = book.losses
    targets = figures.failover_targets(losses, book.healings, book.boots, INTERVAL_US)
    parts = [
        ("Targets", figures.target_table(targets)),
        ("Client outage, ms", figures.loss_table(losses, subjects, hit, figures.outages)),
        ("Failed requests, of 500 a second", figures.failure_table(losses, subjects, hit)),
        (
            "From the fault to the first advert of the new MASTER, ms",
            figures.loss_table(losses, subjects, hit, figures.announcements),
        ),
        ("Client outage on the way back, ms", figures.loss_table(losses, subjects, hit, figures.ways_back)),
        ("Partition and its healing, ms", figures.healing_table(book.healings, subjects)),
        ("Both start at once, ms", figures.boot_table(book.boots, subjects)),
    ]
    tables = "\n\n".join(f"## {title}\n\n{figures.markdown(table)}" for title, table in parts if len(table) > 1)
    problems = "".join(f"- {problem}\n" for problem in book.problems) or "- none\n"
    notes = (
        f"Disturbed runs, left out and repeated: {book.disturbed}. Runs that did not end as they should:\n\n{problems}"
    )
    return f"# Failover, measured\n\n{ground.text}\n\n{tables}\n\n## Left out\n\n{notes}"


def _round(subject: str, number: int, faults: Sequence[str], rng: random.Random, book: Book) -> None:
    """All faults on one subject; a lab that does not recover is replaced by a new one for the rest."""
    waiting = rng.sample(faults, len(faults))
    last = ""
    for _ in range(_SET_UPS_MAX):
        try:
            with set_up(subject, rng) as stage:
                boot = stage.boot(number)
                if not last:
                    book.boots.append(boot)
                    _say(f"{number} {subject:<11} boot          {boot}")
                last = "boot"
                while waiting:
                    stage.settle()
                    last = waiting.pop(0)
                    _trial(stage, last, number, book)
        except LabError as error:
            book.problems.append(f"round {number}, {subject}, after {last or 'the start'}: {error}")
            _say(f"{number} {subject:<11} {error}")
        else:
            return


def _trial(stage: Stage, fault: str, number: int, book: Book) -> None:
    """One fault on a settled site, again if it was disturbed. Raises `LabError` when the site does not recover."""
    for _ in range(1 + _REPEATS_MAX):
        run: Loss | Healing
        if fault == PARTITION:
            run = stage.divide(number)
            book.healings.append(run)
        else:
            run = stage.lose(fault, number)
            book.losses.append(run)
        _say(f"{number} {stage.subject:<11} {fault:<13} {run}")
        if not run.disturbed:
            return
        stage.settle()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="failover", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round, nothing written")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--subjects", type=listed(SUBJECTS), default=list(COMPARED), help="separated by commas")
    parser.add_argument("--faults", type=listed((*FAULTS, PARTITION)), default=[*FAULTS, PARTITION])
    parser.add_argument("--output", type=Path, help=f"directory for the page and the record (default: {RESULTS})")
    options = parser.parse_args()
    whole = set(options.subjects) == set(COMPARED) and set(options.faults) == {*FAULTS, PARTITION}
    if options.quick:
        options.rounds = 1
    elif options.output is None and whole:
        options.output = RESULTS
    return options


if __name__ == "__main__":
    main()
