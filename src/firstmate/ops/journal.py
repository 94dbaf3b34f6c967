"""Records on disk: `journal.jsonl`, one JSON object a line, and the file before it. Bounded in every way.

A disk may be full, slow or gone. Lines wait in memory, the oldest are dropped and counted; a thread writes,
so that a hung disk holds up nothing but the journal.
"""

import asyncio
import contextlib
import json
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

from firstmate.policy.world import Record

FILE_BYTES_MAX = 4 * 1024 * 1024  # then it becomes `journal.jsonl.1`
LINES_WAITING_MAX = 2000
FLUSH_S = 1.0


class Journal:
    """`dropped`: lines lost because they came too fast; `failed`: lines that the disk did not take."""

    def __init__(self, path: Path, file_bytes_max: int = FILE_BYTES_MAX) -> None:
        self._path = path
        self._file_bytes_max = file_bytes_max
        self._waiting: deque[str] = deque()
        self._wake = asyncio.Event()
        self._writing: asyncio.Future[None] | None = None
        self.dropped = 0
        self.failed = 0

    def add(self, record: Record, now_us: int, wall_us: int) -> None:
        """Keep a record; it is written soon. Never blocks."""
        if len(self._waiting) >= LINES_WAITING_MAX:
            self._waiting.popleft()
            self.dropped += 1
        moment = datetime.fromtimestamp(wall_us / 1_000_000, UTC).isoformat(timespec="milliseconds")
        document = {"at": moment.replace("+00:00", "Z"), "now_us": now_us, "level": record.level, "event": record.event}
        self._waiting.append(json.dumps({**document, "text": record.text, **record.fields}) + "\n")
        self._wake.set()

    async def run(self) -> None:
        """Write what waits, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._write()

    async def flush(self) -> None:
        """Write what waits, at the end; a disk that hangs is left behind."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await self._write()

    async def _write(self) -> None:
        """One thread at a time; what it has begun it finishes, also when we are cancelled."""
        if self._writing is not None and not self._writing.done():
            await asyncio.wait({self._writing})
        lines = list(self._waiting)
        self._waiting.clear()
        if lines:
            self._writing = asyncio.get_running_loop().run_in_executor(None, self._append, lines)
            await asyncio.shield(self._writing)

    def _append(self, lines: list[str]) -> None:
        text = "".join(lines)
        try:
            if self._path.exists() and self._path.stat().st_size + len(text) > self._file_bytes_max:
                self._path.replace(self._path.with_name(self._path.name + ".1"))
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError:
            self.failed += len(lines)
