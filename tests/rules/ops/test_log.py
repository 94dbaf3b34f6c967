import io

import pytest

from firstmate.ops.log import LINE_CHARS_MAX, Log, line
from firstmate.policy.world import Record

MOVED = Record(
    "notice",
    "transition",
    "web: lb-b MASTER (was BACKUP): lb-a said priority 0",
    {"router": "web", "vrid": 1, "node": "lb-b", "epoch": 8, "at_us": 5},
)

# fmt: off
LINES = {
    "a transition":   (MOVED, "NOTICE transition web: lb-b MASTER (was BACKUP): lb-a said priority 0 router=web vrid=1 epoch=8"),
    "no fields":      (Record("info", "plan", "x"), "INFO plan x"),
    "words in one":   (Record("error", "check", "x", {"line": "two words"}), 'ERROR check x line="two words"'),
    "not known":      (Record("error", "check", "x", {"pid": None}), "ERROR check x"),
    "somebody else's": (Record("info", "check", "a\nERROR forged\x1b[31m"), "INFO check a ERROR forged [31m"),
}
# fmt: on


@pytest.mark.parametrize(("record", "text"), LINES.values(), ids=LINES)
def test_a_record_is_one_line(record: Record, text: str) -> None:
    assert line(record) == text


def test_a_long_one_is_cut() -> None:
    text = line(Record("info", "check", "x" * 10_000))
    assert len(text) == LINE_CHARS_MAX
    assert text.endswith("...")


@pytest.mark.parametrize(("journald", "prefix"), [(True, "<5>"), (False, "")])
def test_journald_reads_the_priority(journald: bool, prefix: str) -> None:
    stream = io.StringIO()
    Log(stream, journald=journald).write(MOVED)
    assert stream.getvalue() == f"{prefix}{line(MOVED)}\n"


def test_journald_is_known_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    Log(stream).write(MOVED)
    assert stream.getvalue().startswith("<5>")


def test_a_log_that_nobody_reads_is_no_reason_to_stop() -> None:
    stream = io.StringIO()
    log = Log(stream, journald=False)
    stream.close()
    log.write(MOVED)
