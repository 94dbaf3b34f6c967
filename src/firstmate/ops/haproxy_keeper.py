"""Watches HAProxy over its runtime socket, and prepares what it runs with. Decides nothing.

A probe begins each `probe_interval`, also while older ones wait: a hang is then seen one deadline and one
interval after it began. A probe whose deadline fell into a time when we ourselves were kept off the
processor waits on: what we missed says nothing of HAProxy.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from firstmate.haproxy.ground import Ground
from firstmate.haproxy.paths import socket_path, state_path
from firstmate.haproxy.sockets import NoAnswer, ask
from firstmate.haproxy.stats import BadAnswer, Info, parse_info, parse_servers
from firstmate.linux.process import clock_us
from firstmate.model.plan import HaproxyPlan, HaproxyRun, Plan
from firstmate.model.units import S, Micros, format_duration
from firstmate.ops.preparation import prepare_apart
from firstmate.ops.probe import Probe
from firstmate.policy.health import LATE_US, grace_us
from firstmate.policy.life import Absent, Answered, Missed, Serving
from firstmate.policy.world import Event, ServersSeen, ServerView, World

PROBES_AT_ONCE = 4
NOTHING_TO_PROBE_US: Micros = 1 * S  # a plan without HAProxy may be replaced by one with it
STATS_INTERVAL_US: Micros = 1 * S
STATS_TIMEOUT_S = 1.0
STATE_TIMEOUT_S = 2.0
STALLS_KEPT = 8
STATE_KEPT_S = 5.0  # a reload has read the file by then; a later start must not find old states


class Keeper:
    """`world` gives the world of now, `put` takes what was seen."""

    def __init__(self, ground: Ground, world: Callable[[], World], put: Callable[[Event], None]) -> None:
        self._ground, self._world, self._put = ground, world, put
        self._stalls: deque[tuple[Micros, Micros]] = deque(maxlen=STALLS_KEPT)  # when, how late we were
        self._probes: set[Probe] = set()  # those that wait for their answer
        self._parents: tuple[int, int | None] = (0, None)  # of the worker seen last
        self._preparing = asyncio.Lock()
        self._saves = 0

    async def probe_forever(self) -> None:
        due_us = clock_us()
        async with self._probing() as tasks:
            while True:
                haproxy = self._world().plan.haproxy
                if haproxy is not None and self._expected(haproxy) and len(self._probes) < PROBES_AT_ONCE:
                    self._probe(haproxy, tasks)
                interval_us = haproxy.probe_interval_us if haproxy is not None else NOTHING_TO_PROBE_US
                now_us = clock_us()
                due_us = max(due_us + interval_us, now_us)
                await asyncio.sleep((due_us - now_us) / S)
                late_us = clock_us() - due_us
                if late_us > LATE_US:
                    self._stalls.append((clock_us(), late_us))

    async def read_stats_forever(self) -> None:
        """The states of the servers, for people: nothing depends on them."""
        while True:
            await asyncio.sleep(STATS_INTERVAL_US / S)
            world = self._world()
            if not isinstance(world.life, Serving):
                continue
            with contextlib.suppress(NoAnswer, BadAnswer, TimeoutError):
                async with asyncio.timeout(STATS_TIMEOUT_S):
                    text = await ask(self._socket(world.plan), "show stat -1 4 -1")
                found = [ServerView(s.service, s.server, s.up, s.status, s.why) for s in parse_servers(text)]
                self._put(ServersSeen(tuple(found)))

    async def prepare(self) -> None:
        """Render, check and put in place what the plan of now asks for."""
        async with self._preparing:
            self._put(await asyncio.to_thread(prepare_apart, self._world().plan, self._ground))

    async def save_states(self) -> None:
        """Before a reload: weights, drains and check results for the next worker (best effort)."""
        plan = self._world().plan
        if not isinstance(self._world().life, Serving):
            return
        self._saves += 1
        with contextlib.suppress(NoAnswer, TimeoutError, OSError):
            async with asyncio.timeout(STATE_TIMEOUT_S):
                text = await ask(self._socket(plan), "show servers state")
            await asyncio.to_thread(self._state_file.write_text, text)

    async def forget_states(self) -> None:
        """After a reload: a start much later must not take up drains of long ago."""
        save = self._saves
        await asyncio.sleep(STATE_KEPT_S)
        if save == self._saves:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(self._state_file.write_text, "1\n")

    @property
    def _state_file(self) -> Path:
        return Path(state_path(self._ground.runtime))

    def _socket(self, plan: Plan) -> str:
        return socket_path(plan, self._ground.runtime)

    def _expected(self, haproxy: HaproxyPlan) -> bool:
        return haproxy.run is HaproxyRun.EXTERNAL or not isinstance(self._world().life, Absent)

    @contextlib.asynccontextmanager
    async def _probing(self) -> AsyncIterator[asyncio.TaskGroup]:
        try:
            async with asyncio.TaskGroup() as tasks:
                yield tasks
        finally:
            while self._probes:
                self._probes.pop().close()

    def _probe(self, haproxy: HaproxyPlan, tasks: asyncio.TaskGroup) -> None:
        started_us = clock_us()

        def ended(probe: Probe, outcome: str | NoAnswer) -> None:
            self._probes.discard(probe)
            self._judge(started_us, outcome, tasks)

        def more_us() -> Micros:
            """How much longer to wait at the deadline: we may have been late ourselves."""
            late_us = clock_us() - started_us - haproxy.probe_deadline_us
            return grace_us(max(late_us, self._stalled_us(started_us)))

        why = f"no answer within {format_duration(haproxy.probe_deadline_us)}"
        probe = Probe(self._socket(self._world().plan), haproxy.probe_deadline_us, why, more_us, ended)
        self._probes.add(probe)
        probe.start()

    def _judge(self, started_us: Micros, outcome: str | NoAnswer, tasks: asyncio.TaskGroup) -> None:
        try:
            if isinstance(outcome, NoAnswer):
                raise outcome
            info = parse_info(outcome)
        except (NoAnswer, BadAnswer) as error:
            self._put(Missed(started_us, str(error)))
            return
        if self._parents[0] == info.pid:
            self._put(Answered(started_us, info.pid, self._parents[1], info.version))
        else:
            tasks.create_task(self._learn_parent(started_us, info))

    async def _learn_parent(self, started_us: Micros, info: Info) -> None:
        """The master of this worker, asked once for each worker; None: /proc does not tell."""
        self._parents = (info.pid, await asyncio.to_thread(_parent, info.pid))
        self._put(Answered(started_us, info.pid, self._parents[1], info.version))

    def _stalled_us(self, since_us: Micros) -> Micros:
        """The longest time that we ourselves were late since then."""
        return max((late_us for at_us, late_us in self._stalls if at_us >= since_us), default=0)


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None
