"""ops between a pulse and a supervisor that the test plays, with an HAProxy that is a fake."""

import asyncio
import contextlib
import io
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from tests.rules.policy.example import LEADING, PLAN

from firstmate.haproxy.ground import Ground
from firstmate.ipc.channel import Channel, pair
from firstmate.linux.process import clock_us
from firstmate.model.messages import (
    FromPulse,
    FromSupervisor,
    PeerView,
    RouterState,
    RouterView,
    Snapshot,
    ToPulse,
    ToSupervisor,
)
from firstmate.model.plan import HaproxyPlan, Plan
from firstmate.model.units import MS
from firstmate.ops.log import Log
from firstmate.ops.loop import Loop, Servant

T = TypeVar("T")
PATIENCE_S = 20.0  # a loaded machine is not a wrong answer
QUICK = HaproxyPlan(probe_interval_us=10 * MS, probe_deadline_us=100 * MS)
QUIET_PLAN = replace(PLAN, checks=(), haproxy=QUICK)

Talk = Callable[["Office"], Coroutine[Any, Any, None]]


class End:
    """One end of a channel, read as a test reads: the next message of a kind, whatever comes between."""

    def __init__(self, end: socket.socket, reads: Any) -> None:
        self.channel = Channel(end, reads)
        self.seen: list[object] = []

    def send(self, message: object) -> None:
        assert self.channel.send(message)

    async def expect(self, kind: type[T], fits: Callable[[T], bool] = lambda _: True) -> T:
        """Wait for the next message of this kind that fits."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                while self.seen:
                    message = self.seen.pop(0)
                    if isinstance(message, kind) and fits(message):
                        return message
                readable = asyncio.Event()
                loop.add_reader(self.channel.fileno(), readable.set)
                try:
                    await readable.wait()
                finally:
                    loop.remove_reader(self.channel.fileno())
                self.seen += self.channel.receive()


class Office:
    def __init__(self, runtime: Path, plan: Plan) -> None:
        (runtime / "ops").mkdir(exist_ok=True)
        ours, theirs = pair()
        ours_too, theirs_too = pair()
        self.pulse, self.supervisor = End(ours, ToPulse), End(ours_too, ToSupervisor)
        self._their_ends = (Channel(theirs, FromPulse), Channel(theirs_too, FromSupervisor))
        self.log = io.StringIO()
        self.runtime = runtime
        ground = Ground(str(runtime), 1024, 1, transparent=False)
        self.loop = Loop(plan, ground, *self._their_ends, Log(self.log, journald=False))

    def snapshot(self, *routers: RouterView, seq: int = 1, peers: tuple[PeerView, ...] = ()) -> None:
        """pulse tells its states, as of now."""
        self.pulse.send(Snapshot(seq, clock_us(), 50, True, routers, (), peers, {}))

    def lead(self, seq: int = 1) -> None:
        """pulse says that this node is MASTER."""
        now_us = clock_us()
        self.snapshot(replace(LEADING, since_us=now_us, state=RouterState.MASTER), seq=seq)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds, looking often."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():  # noqa: ASYNC110 - what it looks at tells nobody
                await asyncio.sleep(0.002)

    def close(self) -> None:
        for channel in (self.pulse.channel, self.supervisor.channel, *self._their_ends):
            channel.close()


def play(runtime: Path, talk: Talk, plan: Plan = QUIET_PLAN, *servants: Servant) -> Office:
    """Run ops, talk with it, stop it."""

    async def both() -> Office:
        office = Office(runtime, plan)
        with contextlib.closing(office):
            async with asyncio.timeout(2 * PATIENCE_S), _running(office, *servants):
                await talk(office)
        return office

    return asyncio.run(both())


@contextlib.asynccontextmanager
async def _running(office: Office, *servants: Servant) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(office.loop.run(*servants))
        try:
            yield
        finally:
            office.loop.stop()
