"""What every room of tests shares: the order of the rooms, and the coverage that may only rise."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent
RATCHET = ROOT / "tests" / "ratchet.json"
TOLERANCE = 0.1  # percent: releases of Python differ in the branches that they make of one `match`
ORDER = ("rules", "test_tidy.py", "test_docs.py", "vectors", "sim", "lab")  # the quick and the general first

# No deadline, no hurry: a loaded machine is not a wrong answer. Few examples, often: `--hypothesis-profile thorough` for many.
settings.register_profile("firstmate", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", deadline=None, max_examples=5_000)
settings.load_profile("firstmate")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--ratchet", action="store_true", help="measure the branch coverage of the pure rooms by tests/rules"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("ratchet"):
        config.pluginmanager.register(Ratchet(), "ratchet")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    room = item.path.relative_to(ROOT / "tests").parts[0]
    return ORDER.index(room) if room in ORDER else len(ORDER)


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    """Give the handlers back: a loop under test takes Ctrl-C for itself, and every later child would inherit that."""
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


class Ratchet:
    """Branch coverage of each pure room, by tests/rules alone, against the number in tests/ratchet.json.

    Begins before anything of firstmate is imported and ends with the last rule, so that sim and lab, which
    are about time, run unhindered.
    """

    def __init__(self) -> None:
        self._coverage: coverage.Coverage | None = coverage.Coverage(
            data_file=None, config_file=ROOT / "pyproject.toml"
        )
        self._coverage.start()
        self._lines: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        yield
        if _place(item) == 0 and (nextitem is None or _place(nextitem) > 0):
            self._judge(item.session)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("branch coverage of the pure rooms by tests/rules")
        for line in self._lines:
            terminalreporter.line(line)

    def _judge(self, session: pytest.Session) -> None:
        assert self._coverage is not None
        self._coverage.stop()
        found, missing = _by_room(self._coverage)
        self._coverage = None
        for room, floor in json.loads(RATCHET.read_text())["branch coverage, percent"].items():
            percent = found.get(room, 0.0)  # nothing of it was even imported
            verdict = ""
            if percent < floor - TOLERANCE:
                verdict = f"   FELL: it was {floor}; test what is new, this number may only rise"
                session.testsfailed += 1
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            elif percent > floor:
                verdict = f"   better than {floor}: write it into tests/ratchet.json"
            self._lines.append(f"{room:8} {percent:6.2f} %{verdict}")
            self._lines += missing.get(room, [])


def _by_room(measured: coverage.Coverage) -> tuple[dict[str, float], dict[str, list[str]]]:
    """Percent, and the lines and branches that were not taken, of each room."""
    sums: dict[str, list[int]] = {}
    missing: dict[str, list[str]] = {}
    for name in sorted(measured.get_data().measured_files()):
        path = Path(name)
        analysis = measured._analyze(name)  # the same figures without a report in a file
        done, total = analysis.numbers.ratio_covered
        room = sums.setdefault(path.parent.name, [0, 0])
        room[0] += done
        room[1] += total
        if done < total:
            missing.setdefault(path.parent.name, []).append(
                f"    {path.name}: {analysis.missing_formatted(branches=True)}"
            )
    return {room: int(10_000 * done / total) / 100 if total else 100.0 for room, (done, total) in sums.items()}, missing
