"""What a bench writes down: the machine, the page of tables, the record of every run."""

import importlib.metadata
import json
import os
import platform
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "reference" / "benchmarks"


@dataclass(frozen=True, slots=True)
class Ground:
    """Where and how it was measured."""

    command: str
    date: str
    seed: int
    rounds: int
    cores: int
    kernel: str
    versions: dict[str, str]

    @property
    def text(self) -> str:
        rounds = f"{self.rounds} round" + ("" if self.rounds == 1 else "s")
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return (
            f"Made by `{self.command}` on {self.date}: {rounds}, seed {self.seed}, "
            f"{self.cores} cores, Linux {self.kernel}; {versions}.\n\n"
            "Figures are median [least–greatest]."
        )


def machine(argv: Sequence[str], seed: int, rounds: int) -> Ground:
    """Look at the machine; say the command as one would type it."""
    name, *arguments = Path(argv[0]).stem, *argv[1:]
    command = shlex.join(["nox", "-s", "bench", "--", name, *arguments])
    commit = _first_words(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], -1)
    versions = {
        "firstmate": f"{importlib.metadata.version('firstmate')} ({commit})",
        "keepalived": _first_words(["keepalived", "-v"], 1),
        "HAProxy": _first_words(["haproxy", "-v"], 2),
        "Python": platform.python_version(),
    }
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    return Ground(command, date, seed, rounds, os.cpu_count() or 0, platform.release(), versions)


def write(directory: Path, name: str, page: str, ground: Ground, book: Any) -> None:
    """The page for people, `NAME.md`, and every single run, `NAME.json`."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.md").write_text(page.rstrip() + "\n", encoding="utf-8")
    document = json.dumps({"ground": asdict(ground), **asdict(book)}, indent=1, ensure_ascii=False)
    (directory / f"{name}.json").write_text(document + "\n", encoding="utf-8")
    print(f"written: {directory / name}.md and .json", file=sys.stderr)


@contextmanager
def needs_root() -> Iterator[None]:
    """Refuse without root; let SIGTERM and SIGINT end the block, so that everything is taken down."""
    if os.geteuid() != 0:
        sys.exit("this bench needs root: keepalived follows processes only from the initial namespaces")
    # SIGINT too: a shell starts what it puts into the background deaf to it.
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def listed(known: Sequence[str]) -> Callable[[str], list[str]]:
    """A type for argparse: words of `known` separated by commas."""

    def read(text: str) -> list[str]:
        words = [word for word in text.split(",") if word]
        unknown = [word for word in words if word not in known]
        if unknown or not words:
            raise ValueError(f"{', '.join(unknown)}: choose from {', '.join(known)}")
        return words

    return read


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _first_words(command: Sequence[str], index: int) -> str:
    """The word at `index` of the first line that a command prints; "?" without it."""
    with suppress(OSError, IndexError, subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
        return (done.stdout or done.stderr).splitlines()[0].split()[index]
    return "?"
