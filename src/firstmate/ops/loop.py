"""The heart of ops: one inbox, one decider, and its actions carried out. Every decision is in `policy`."""

import asyncio
import signal
import time
from collections import deque
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeAlias

from firstmate.haproxy.ground import Ground
from firstmate.haproxy.paths import socket_path
from firstmate.ipc.channel import Channel, EndOfChannel
from firstmate.linux.process import clock_us
from firstmate.model import jsonable
from firstmate.model.messages import Beat, Drained, FactChanged, KillHaproxy, StartHaproxy, WantSnapshot
from firstmate.model.plan import Plan
from firstmate.model.status import Status
from firstmate.model.units import S, Micros
from firstmate.ops.checks import Checks
from firstmate.ops.draining import wait_drained
from firstmate.ops.haproxy_keeper import Keeper
from firstmate.ops.journal import Journal
from firstmate.ops.log import Log
from firstmate.policy.decide import deadline_us, decide
from firstmate.policy.status_view import status
from firstmate.policy.world import Action, Drain, Event, PlanLoaded, Prepare, Record, StatusAsked, Tick, World, begin

INBOX_MAX = 10_000  # events; a second's worth at the very worst
BEAT_US: Micros = 1 * S
SEND_TRIES, SEND_PAUSE_S = 50, 0.1  # an order to the supervisor must not be lost


class Stop(Exception):
    """We were told to end, or nobody is left to work for."""


Servant: TypeAlias = Callable[["Loop"], Coroutine[Any, Any, None]]
"""A task that serves the world to others for as long as ops runs."""


class Loop:
    """`run` returns when ops was told to stop. `dropped`: events that found the inbox full."""

    def __init__(self, plan: Plan, ground: Ground, pulse: Channel, supervisor: Channel, log: Log) -> None:
        self.world: World = begin(plan, clock_us())
        self.dropped = 0
        self._runtime = Path(ground.runtime)
        self._pulse, self._supervisor, self._log = pulse, supervisor, log
        self._inbox: deque[Event] = deque()
        self._deciding = True  # until `run`, and while a decision is carried out: events wait
        self._broken: BaseException | None = None
        self._beat_at_us = clock_us() + BEAT_US  # the first one knows whether HAProxy answers
        self._alarm: tuple[Micros, asyncio.TimerHandle] | None = None  # when the next `Tick` is due
        self._stop = asyncio.Event()
        self._journal = Journal(self._runtime / "ops" / "journal.jsonl")
        self._keeper = Keeper(ground, lambda: self.world, self.put)
        self._tasks: asyncio.TaskGroup
        self._checks: Checks

    def put(self, event: Event) -> None:
        """Tell the decider, which decides at once unless it is at it. Never blocks, never raises."""
        if len(self._inbox) >= INBOX_MAX:
            self.dropped += 1
            return
        self._inbox.append(event)
        if not self._deciding:
            self._decide()

    def status(self) -> Callable[[], Status]:
        """What makes the status document of this moment, in any thread; the next one is fresher.

        That of 1,000 virtual routers takes 0.1 s, and probes of HAProxy must not wait for it.
        """
        self.put(StatusAsked())
        world, now_us, wall_us = self.world, clock_us(), time.time_ns() // 1000
        return lambda: status(world, now_us, wall_us)

    def stop(self) -> None:
        self._stop.set()

    def reload(self) -> None:
        """The supervisor has replaced the plan."""
        self._tasks.create_task(self._read_plan())

    async def run(self, *servants: Servant) -> None:
        """Work until told to stop; `servants` (the API) run beside."""
        loop = asyncio.get_running_loop()
        for channel in (self._pulse, self._supervisor):
            loop.add_reader(channel.fileno(), self._receive, channel)
        self.put(PlanLoaded(self.world.plan))
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks, self._checks = tasks, Checks(tasks, self.put)
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C at the terminal is the supervisor's
                loop.add_signal_handler(signal.SIGTERM, self.stop)
                loop.add_signal_handler(signal.SIGHUP, self.reload)
                tasks.create_task(self._keeper.probe_forever())
                tasks.create_task(self._keeper.read_stats_forever())
                tasks.create_task(self._journal.run())
                for servant in servants:
                    tasks.create_task(servant(self))
                tasks.create_task(self._wait_for_stop())
                self._decide()
        except* Stop:
            await self._journal.flush()
        finally:
            self._deciding = True
            if self._alarm is not None:
                self._alarm[1].cancel()
            self._checks.stop()
            for channel in (self._pulse, self._supervisor):
                loop.remove_reader(channel.fileno())

    async def _wait_for_stop(self) -> None:
        await self._stop.wait()
        raise self._broken or Stop

    def _receive(self, channel: Channel) -> None:
        try:
            for message in channel.receive():
                self.put(message)
        except EndOfChannel:
            asyncio.get_running_loop().remove_reader(channel.fileno())
            self.stop()  # the supervisor holds every end: when one is closed, it is gone

    def _decide(self) -> None:
        """Work off the inbox. An error of our own ends ops: the supervisor starts it again, with nothing lost."""
        self._deciding = True
        try:
            while self._inbox:
                self._step(self._inbox.popleft())
        except Exception as error:  # noqa: BLE001 - whoever put the event must not have it
            self._broken = error
            self.stop()
            return
        self._set_alarm()
        self._deciding = False

    def _step(self, event: Event) -> None:
        now_us = clock_us()
        self.world, actions = decide(self.world, event, now_us)
        for action in actions:
            self._act(action, now_us)
        if isinstance(event, PlanLoaded):
            self._checks.apply(event.plan.checks)

    def _set_alarm(self) -> None:
        deadline = deadline_us(self.world)
        due_us = self._beat_at_us if deadline is None else min(self._beat_at_us, deadline)
        if self._alarm is not None:
            if self._alarm[0] == due_us:
                return
            self._alarm[1].cancel()
        rest_s = max(0, due_us - clock_us()) / S
        self._alarm = due_us, asyncio.get_running_loop().call_later(rest_s, self._tick)

    def _tick(self) -> None:
        now_us = clock_us()
        self._alarm = None
        beat = now_us >= self._beat_at_us
        if beat:
            self._beat_at_us = now_us + BEAT_US
        self.put(Tick(beat=beat))

    def _act(self, action: Action, now_us: Micros) -> None:
        match action:
            case FactChanged() | Beat() | WantSnapshot():
                self._pulse.send(action)  # a lost one is said again after pulse's next snapshot
            case KillHaproxy():
                self._supervisor.send(action)  # said again while HAProxy lives
            case StartHaproxy():
                self._tasks.create_task(self._start_haproxy(action))
            case Prepare():
                self._tasks.create_task(self._keeper.prepare())
            case Drain(parked_at_ns):
                self._tasks.create_task(self._drain(parked_at_ns))
            case Record():
                self._log.write(action)
                self._journal.add(action, now_us, time.time_ns() // 1000)

    async def _drain(self, parked_at_ns: int) -> None:
        outcome = await wait_drained(socket_path(self.world.plan, str(self._runtime)))
        self._pulse.send(Drained(parked_at_ns))
        self._act(Record("info", "handover", f"planned handover: {outcome}"), clock_us())

    async def _start_haproxy(self, order: StartHaproxy) -> None:
        await self._keeper.save_states()
        for _ in range(SEND_TRIES):
            if self._supervisor.send(order):
                break
            await asyncio.sleep(SEND_PAUSE_S)
        await self._keeper.forget_states()

    async def _read_plan(self) -> None:
        path = self._runtime / "plan.json"
        try:
            plan = await asyncio.to_thread(read_plan, path)
        except (OSError, jsonable.BadJson) as error:
            text = f"{path} cannot be read ({error}): the plan before goes on"
            self._act(Record("error", "plan", text), clock_us())
        else:
            self.put(PlanLoaded(plan))


def read_plan(path: Path) -> Plan:
    """Raises `OSError`, `BadJson`."""
    return jsonable.loads(Plan, path.read_bytes())
