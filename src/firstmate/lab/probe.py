"""A prober that runs in the lab's client, and what it has seen so far."""

import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from firstmate.lab import answers
from firstmate.lab.answers import Answer, Outage, Outcome
from firstmate.lab.lab import Lab, now_us, wait_until
from firstmate.lab.topology import Role
from firstmate.lab.wire import LabError
from firstmate.model.units import MS, S, Micros

INTERVAL_US: Micros = 2 * MS
TIMEOUT_US: Micros = 500 * MS
_STOP_WAIT_US: Micros = 3 * S
_SETTLE_US: Micros = 100 * MS  # from an answer to its record in the file


class Probe:
    """`with Probe(lab) as probe: ...; probe.outage(from_us)`. `target` is ADDRESS:PORT, the site's by default."""

    def __init__(
        self, lab: Lab, *, target: str = "", interval_us: Micros = INTERVAL_US, timeout_us: Micros = TIMEOUT_US
    ) -> None:
        self._timeout_us = timeout_us
        client = lab.hosts(Role.CLIENT)[0]
        path = client.directory / f"answers-{now_us()}.bin"
        argv = [sys.executable, "-m", "firstmate.lab.prober", target or f"{lab.site.vip}:80"]
        argv += ["--interval-us", str(interval_us), "--timeout-us", str(timeout_us)]
        with path.open("wb") as output:
            self._process = client.spawn(argv, log="prober.log", stdout=output.fileno())
        self._log = client.directory / "prober.log"
        self._file = path.open("rb", buffering=0)
        self._rest = b""
        self._seen: list[Answer] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the prober; what it saw stays readable."""
        if self._file.closed:
            return
        with suppress(LabError):
            if self._process.running:
                self._process.signal(signal.SIGTERM)
                self._process.wait(_STOP_WAIT_US)
            self.answers()
        self._process.close()
        self._file.close()

    def answers(self) -> Sequence[Answer]:
        """All answers so far, by the time at which they were recorded."""
        if not self._file.closed:
            data = self._rest + self._file.read()
            whole = len(data) - len(data) % answers.RECORD.size
            self._rest = data[whole:]
            self._seen.extend(answers.decode(data[:whole]))
        return self._seen

    def outage(self, from_us: Micros, until_us: Micros | None = None) -> Outage:
        """What the client lost; `until_us` is now when not given, less what cannot be in the file yet."""
        return answers.outage(self.answers(), from_us, until_us or now_us() - _SETTLE_US)

    def wait_good(self, for_us: Micros, timeout_us: Micros) -> None:
        """Wait until every answer of the last `for_us` was good. Raises `LabError` with what is wrong."""
        begin_us = now_us()
        wait_until(lambda: self._missing(begin_us, for_us), timeout_us, "the site's answers", poll_us=20 * MS)

    def settle(self) -> None:
        """Wait until requests begun by now have ended one way or the other, and are in the file."""
        time.sleep((self._timeout_us + _SETTLE_US) / S)

    def _missing(self, begin_us: Micros, for_us: Micros) -> str:
        if not self._process.running:
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise LabError(f"the prober ended: {lines[-1] if lines else 'no reason given'}")
        seen = self.answers()
        since_us = max(begin_us, now_us() - for_us - _SETTLE_US)
        if now_us() - begin_us < for_us + _SETTLE_US:
            return "it has not been watched long enough"
        recent = [answer for answer in reversed(seen[-4096:]) if answer.end_us >= since_us]
        failed = [answer for answer in recent if answer.failed]
        good = sum(answer.outcome is Outcome.OK for answer in recent)
        if failed:
            return f"{len(failed)} requests failed, the last by {failed[0].outcome.name.lower()}"
        return "" if good else "no answer at all"
