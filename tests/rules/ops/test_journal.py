import asyncio
import json
import threading
from pathlib import Path

import pytest

from firstmate.ops import journal as module
from firstmate.ops.journal import LINES_WAITING_MAX, Journal
from firstmate.policy.world import Record

RECORD = Record("notice", "transition", "web: lb-b MASTER", {"router": "web"})
WALL_US = 1_795_000_000_500_000


def write(journal: Journal, *records: Record) -> None:
    for record in records:
        journal.add(record, 7, WALL_US)
    asyncio.run(journal.flush())


def test_a_line_for_each_record(tmp_path: Path) -> None:
    write(Journal(tmp_path / "j"), RECORD, RECORD)
    lines = (tmp_path / "j").read_text().splitlines()
    assert len(lines) == 2
    assert json.loads(lines[0]) == {
        "at": "2026-11-18T11:06:40.500Z",
        "now_us": 7,
        "level": "notice",
        "event": "transition",
        "text": "web: lb-b MASTER",
        "router": "web",
    }


def test_it_turns_over_when_it_is_full(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", file_bytes_max=400)
    for _ in range(20):
        write(journal, RECORD)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["j", "j.1"]
    assert all(path.stat().st_size <= 400 for path in tmp_path.iterdir())


def test_a_disk_that_takes_nothing_is_counted(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "no such folder" / "j")
    write(journal, RECORD, RECORD)
    assert journal.failed == 2
    write(journal)
    assert journal.failed == 2


def test_a_flood_drops_the_oldest(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    records = [Record("info", "n", str(n)) for n in range(LINES_WAITING_MAX + 5)]
    write(journal, *records)
    assert journal.dropped == 5
    assert json.loads((tmp_path / "j").read_text().splitlines()[0])["text"] == "5"


def test_it_writes_by_itself(tmp_path: Path) -> None:
    async def add_and_wait() -> None:
        journal = Journal(tmp_path / "j")
        writing = asyncio.ensure_future(journal.run())
        journal.add(RECORD, 7, WALL_US)
        async with asyncio.timeout(20):
            while not await asyncio.to_thread((tmp_path / "j").exists):  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.002)
        writing.cancel()
        await asyncio.wait({writing})

    asyncio.run(add_and_wait())


def test_a_disk_that_hangs_does_not_hold_up_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(module, "FLUSH_S", 0.01)
    journal = Journal(tmp_path / "j")
    monkeypatch.setattr(journal, "_append", lambda _: release.wait(20))

    async def end() -> None:
        journal.add(RECORD, 7, WALL_US)
        await journal.flush()
        release.set()

    asyncio.run(end())
