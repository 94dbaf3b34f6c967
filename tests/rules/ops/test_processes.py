import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstmate.model.plan import ProcessCheck
from firstmate.ops.processes import Counting, count, judge


class Crowd:
    """Copies of `sleep` with names of our own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: list[subprocess.Popen[bytes]] = []

    def program(self, name: str) -> str:
        path = self._folder / name
        if not path.exists():
            shutil.copy("/bin/sleep", path)
        return str(path)

    def run(self, name: str, *arguments: str, argv0: str = "") -> subprocess.Popen[bytes]:
        path = self.program(name)
        child = subprocess.Popen([argv0 or path, *(arguments or ("60",))], executable=path)
        self._children.append(child)
        while not Path(f"/proc/{child.pid}/cmdline").read_bytes():
            pass  # the kernel fills it in a moment after the program was started
        return child

    def end(self) -> None:
        for child in self._children:
            child.kill()
            child.wait()


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Crowd]:
    with contextlib.ExitStack() as stack:
        crowd = Crowd(tmp_path)
        stack.callback(crowd.end)
        yield crowd


def counted(check: ProcessCheck) -> int:
    return count((check,))[check.name]


def test_processes_are_known_by_their_name(crowd: Crowd) -> None:
    assert counted(ProcessCheck("x", "fm-one")) == 0
    crowd.run("fm-one")
    crowd.run("fm-one", argv0="something else")
    crowd.run("fm-two")
    assert counted(ProcessCheck("x", "fm-one")) == 2


def test_a_long_name_is_cut_as_the_kernel_cuts_it(crowd: Crowd) -> None:
    crowd.run("fm-a-rather-long-name")
    assert counted(ProcessCheck("x", "fm-a-rather-long-name")) == 1
    assert counted(ProcessCheck("x", "fm-a-rather-lon")) == 1
    assert counted(ProcessCheck("x", "fm-a-rather-lo")) == 0


def test_arguments_are_compared_exactly(crowd: Crowd) -> None:
    crowd.run("fm-one", "60", "1")
    assert counted(ProcessCheck("x", "fm-one", ("60", "1"))) == 1
    for others in ((), ("60",), ("1", "60"), ("60", "1", ""), ("60 1",)):
        assert counted(ProcessCheck("x", "fm-one", others)) == 0


def test_a_path_is_compared_with_the_first_argument(crowd: Crowd) -> None:
    path = crowd.program("fm-one")
    crowd.run("fm-one", "60")
    crowd.run("fm-one", "61", argv0="/opt/other/fm-one")
    assert counted(ProcessCheck("x", path)) == 1
    assert counted(ProcessCheck("x", path, ("60",))) == 1
    assert counted(ProcessCheck("x", path, ("61",))) == 0
    assert counted(ProcessCheck("x", "/opt/other/fm-one", ("61",))) == 1


def test_a_zombie_does_not_count(crowd: Crowd) -> None:
    child = crowd.run("fm-one")
    child.kill()
    stat = Path(f"/proc/{child.pid}/stat")
    while stat.read_text().rpartition(")")[2].split()[0] != "Z":
        pass
    assert counted(ProcessCheck("x", "fm-one")) == 0


def test_one_look_serves_all(crowd: Crowd) -> None:
    crowd.run("fm-one")
    crowd.run("fm-two", "60")
    checks = (
        ProcessCheck("a", "fm-one"),
        ProcessCheck("b", "fm-one", quorum=2),
        ProcessCheck("c", crowd.program("fm-two")),
        ProcessCheck("d", "fm-two", ("61",), quorum=0, quorum_max=0),
    )
    assert [(ran.name, ran.ok) for ran in Counting(checks).look()] == [
        ("a", True),
        ("b", False),
        ("c", True),
        ("d", True),
    ]


# fmt: off
VERDICTS = {
    "enough":   (ProcessCheck("x", "nginx"),                    1, True,  "1 of nginx run"),
    "none":     (ProcessCheck("x", "nginx"),                    0, False, "0 of nginx run, at least 1 must"),
    "too few":  (ProcessCheck("x", "nginx", quorum=3),          2, False, "2 of nginx run, at least 3 must"),
    "not too many": (ProcessCheck("x", "nginx", quorum_max=2),  2, True,  "2 of nginx run"),
    "too many": (ProcessCheck("x", "nginx", quorum_max=2),      3, False, "3 of nginx run, at most 2 may"),
}
# fmt: on


@pytest.mark.parametrize(("check", "number", "ok", "line"), VERDICTS.values(), ids=VERDICTS)
def test_how_many_are_right(check: ProcessCheck, number: int, ok: bool, line: str) -> None:
    assert judge(check, number) == (ok, line)


def test_without_proc_nothing_passes(tmp_path: Path) -> None:
    (ran,) = Counting((ProcessCheck("x", "nginx", quorum=0),), proc=f"{tmp_path}/nosuch").look()
    assert (ran.ok, ran.line) == (False, f"{tmp_path}/nosuch cannot be read: No such file or directory")


def test_processes_that_end_while_we_look_are_passed_over(tmp_path: Path) -> None:
    """A /proc of our own, with what such a process leaves behind: a folder and no file that can be read."""
    for pid, comm, stat in (("1", "fm-one", "1 (fm) one) S 0"), ("2", "fm-one", ""), ("3", "", "3 (x) S 0")):
        (tmp_path / pid).mkdir()
        if comm:
            (tmp_path / pid / "comm").write_text(comm + "\n")
        if stat:
            (tmp_path / pid / "stat").write_text(stat)
    (tmp_path / "4" / "comm").mkdir(parents=True)
    (tmp_path / "uptime").write_text("1")
    assert count((ProcessCheck("x", "fm-one"), ProcessCheck("y", "/fm-one")), str(tmp_path)) == {"x": 1, "y": 0}


def test_what_was_there_and_is_missing_is_looked_for_twice(tmp_path: Path) -> None:
    """A program that starts itself anew while we look is on neither side of the look."""
    here = tmp_path / "5"
    here.mkdir()
    (here / "comm").write_text("fm-one\n")
    (here / "stat").write_text("5 (fm-one) S 0")
    counting = Counting((ProcessCheck("x", "fm-one"),), str(tmp_path))
    assert [ran.ok for ran in counting.look()] == [True]
    looks: list[int] = []
    look = counting._look

    def away_at_first(at_us: int) -> list[object]:
        looks.append(at_us)
        (here / "comm").write_text("fm-one\n" if len(looks) > 1 else "other\n")
        return [*look(at_us)]

    counting._look = away_at_first  # type: ignore[method-assign,assignment]
    assert [ran.ok for ran in counting.look()] == [True]
    assert len(looks) == 2
