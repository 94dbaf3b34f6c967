import io
import os
import sys
from collections.abc import Iterator

import pytest

from firstmate.supervisor import log


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    monkeypatch.setattr(log._Lost, "lines", 0)
    yield
    monkeypatch.undo()


def test_line_says_level_and_who(capsys: pytest.CaptureFixture[str]) -> None:
    log.info("a")
    log.warning("b")
    log.error("c")
    assert capsys.readouterr().err == "INFO supervisor a\nWARNING supervisor b\nERROR supervisor c\n"


def test_journald_gets_priorities(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1234")
    log.info("a")
    log.warning("b")
    log.error("c")
    assert [line[:3] for line in capsys.readouterr().err.splitlines()] == ["<6>", "<4>", "<3>"]


def test_each_line_of_a_text_is_a_whole_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.error("one\ntwo")
    assert capsys.readouterr().err == "ERROR supervisor one\nERROR supervisor two\n"


def test_reader_that_stands_still_does_not_stop_us(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 65_536)
    except BlockingIOError:
        os.set_blocking(writer, True)
    with io.open(writer, "w") as stderr, io.open(reader, "rb") as end:  # noqa: UP020 - `open` of a descriptor
        monkeypatch.setattr(sys, "stderr", stderr)
        log.error("lost")  # hangs for ever when it is wrong
        log.error("lost too\nand this")
        os.set_blocking(reader, False)
        while end.read(65_536):
            pass
        log.info("read again")
        said = (end.read(65_536) or b"").decode().splitlines()
    assert said == [
        "WARNING supervisor 3 lines were lost: whoever reads this log did not read",
        "INFO supervisor read again",
    ]


def test_reader_that_is_gone_does_not_end_us(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stderr = open(writer, "w", closefd=False)  # noqa: SIM115 - closing it would fail: what it holds cannot be written
    monkeypatch.setattr(sys, "stderr", stderr)
    log.error("nobody hears this")
    monkeypatch.undo()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, writer)  # what it still holds has somewhere to go
    stderr.close()
    os.close(null)
    os.close(writer)
