import os
import threading
from pathlib import Path

import pytest

from firstmate.model.plan import FileCheck
from firstmate.model.units import MS
from firstmate.ops.files import Reading, read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prio"


# fmt: off
CONTENTS = {
    "a number":       (b"10\n",          (10, "says 10", False)),
    "below zero":     (b" -0x10",        (-16, "says -16", False)),
    "nothing":        (b"",              (0, "is empty: counted as 0", True)),
    "blanks":         (b" \n",           (0, "is empty: counted as 0", True)),
    "a word":         (b"ten",           (0, "holds no number: counted as 0", False)),
    "too far behind": (b"#" * 64 + b"1", (0, "holds no number: counted as 0", False)),
    "much":           (b"1 " * 100_000,  (1, "says 1", False)),
}
# fmt: on


@pytest.mark.parametrize(("content", "result"), CONTENTS.values(), ids=CONTENTS)
def test_what_a_file_says(path: Path, content: bytes, result: tuple[int, str, bool]) -> None:
    path.write_bytes(content)
    assert read(str(path)) == result


def test_what_is_no_file(path: Path) -> None:
    assert read(str(path)) == (0, "does not exist: counted as 0", True)
    os.mkfifo(path)
    for no_file in (path, path.parent, Path("/dev/zero")):
        assert read(str(no_file)) == (0, "is no regular file: counted as 0", False)
    assert read(f"{path}/x") == (0, "cannot be read: Not a directory: counted as 0", False)
    assert read("a\0b")[1].startswith("cannot be read: embedded null")


def test_a_file_is_told_at_start_and_when_its_number_changes(path: Path) -> None:
    reading = Reading(FileCheck("prio", str(path), 2 * MS))
    assert [(one.name, one.value) for one in reading.look()] == [("prio", 0)], "also when it is missing"
    assert reading.look() == []
    path.write_text("5")
    assert [(one.value, one.line) for one in reading.look()] == [(5, "says 5")]
    path.write_text("5\n")
    assert reading.look() == []
    path.write_text("six")
    assert [one.value for one in reading.look()] == [0]
    path.unlink()
    assert [one.line for one in reading.look()] == ["does not exist: counted as 0"]


def test_a_file_that_is_being_written_is_not_empty(path: Path) -> None:
    path.write_text("5")
    reading = Reading(FileCheck("prio", str(path), 40_000 * MS))
    reading._again_us = 5_000 * MS
    reading.look()
    path.write_text("")
    writer = threading.Timer(0.05, path.write_text, ("7",))
    reading._again_us = 500 * MS
    writer.start()
    assert [one.value for one in reading.look()] == [7], "0 would have moved the address"
    writer.join()


def test_a_change_is_told_within_the_interval() -> None:
    for interval_us in (1 * MS, 20 * MS, 100 * MS, 10_000 * MS):
        reading = Reading(FileCheck("prio", "/x", interval_us))
        assert 0 < reading.rest_us + reading._again_us <= interval_us
