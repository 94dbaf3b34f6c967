"""Records on disk: `journal.jsonl`, one JSON object a line, and the file before it. Bounded in every way.

A disk may be full, slow or gone. Lines wait in memory, the oldest are dropped and counted; a thread writes,
so that a hung disk holds up nothing but the journal.
"""

import asyncio
import json
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

from firstmate.policy.world import Record

FILE_BYTES_MAX = 4 * 1024 * 1024  # then it becomes `journal.jsonl.1`
LINES_WAITING_MAX = 2000


class Journal:
    """`dropped`: lines lost because they came too fast; `failed`: lines that the disk did not take."""

    def __init__(self, path: Path, file_bytes_max: int = FILE_BYTES_MAX) -> None:
        self._path = path
        self._file_bytes_max = file_bytes_max
        self._waiting: deque[str] = deque()
        self._wake = asyncio.Event()
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
            lines = list(self._waiting)
            self._waiting.clear()
            if not await asyncio.to_thread(self._append, "".join(lines)):
                self.failed += len(lines)

    def flush(self) -> None:
        """Write what waits, at the end. Blocking."""
        if self._waiting:
            self._append("".join(self._waiting))
            self._waiting.clear()

    def _append(self, text: str) -> bool:
        try:
            if self._path.exists() and self._path.stat().st_size + len(text) > self._file_bytes_max:
                self._path.replace(self._path.with_name(self._path.name + ".1"))
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError:
            return False
        return True
