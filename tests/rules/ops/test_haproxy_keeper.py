import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.rules.ops.office import PATIENCE_S, QUIET_PLAN
from tests.rules.policy.example import NOW, answer, told

from firstmate.haproxy.fake import FakeHaproxy
from firstmate.haproxy.ground import Ground
from firstmate.model.messages import ChildStarted
from firstmate.model.plan import HaproxyPlan
from firstmate.model.units import MS
from firstmate.ops import haproxy_keeper as module
from firstmate.ops.haproxy_keeper import PROBES_AT_ONCE, Keeper
from firstmate.policy.life import Answered, Missed
from firstmate.policy.world import ConfigAccepted, ConfigRefused, Event, ServersSeen, World, begin

STARTED = ChildStarted("haproxy", 900, 1, NOW)


class Desk:
    """A keeper, and what it has put into the inbox."""

    def __init__(self, runtime: Path, world: World) -> None:
        (runtime / "ops").mkdir()
        self.world, self.events = world, list[Event]()
        self.runtime = runtime
        self.state = runtime / "ops" / "servers.state"
        ground = Ground(str(runtime), 1024, 1, transparent=False)
        self.keeper = Keeper(ground, lambda: self.world, self.events.append)

    def count(self, kind: type[Event]) -> int:
        return sum(isinstance(event, kind) for event in self.events)

    def watch(self, task: Callable[[], Coroutine[Any, Any, None]], holds: Callable[[], bool]) -> None:
        """Let the task run until something holds."""

        async def both() -> None:
            running = asyncio.ensure_future(task())
            try:
                async with asyncio.timeout(PATIENCE_S):
                    while not holds():
                        assert not running.done(), running
                        await asyncio.sleep(0.002)
            finally:
                running.cancel()
                await asyncio.wait({running})

        asyncio.run(both())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, told(begin(QUIET_PLAN, NOW), STARTED))


def test_a_well_one_is_asked_again_and_again(desk: Desk) -> None:
    with FakeHaproxy(desk.runtime / "haproxy.sock", pid=os.getpid()) as haproxy:
        desk.watch(desk.keeper.probe_forever, lambda: desk.count(Answered) >= 3)
    assert set(haproxy.commands) == {"show info"}
    first = next(event for event in desk.events if isinstance(event, Answered))
    assert (first.worker_pid, first.parent_pid) == (os.getpid(), os.getppid())
    assert first.version == "2.6.12"


def test_a_hung_one_is_missed_by_probes_that_overlap(desk: Desk) -> None:
    with FakeHaproxy(desk.runtime / "haproxy.sock") as haproxy:
        haproxy.hang()
        desk.watch(desk.keeper.probe_forever, lambda: desk.count(Missed) >= 2)
        assert haproxy.commands == []
        assert len(haproxy._held) <= PROBES_AT_ONCE + desk.count(Missed)
    first, second = (event for event in desk.events[:2] if isinstance(event, Missed))
    assert first.why == "no answer within 100 ms"
    assert second.started_us - first.started_us < QUICK_DEADLINE_US, "the second one did not wait for the first"


QUICK_DEADLINE_US = 100 * MS


def test_without_a_socket_the_miss_comes_at_once(desk: Desk) -> None:
    desk.watch(desk.keeper.probe_forever, lambda: desk.count(Missed) >= 1)
    (first, *_) = desk.events
    assert isinstance(first, Missed)
    assert first.why.startswith("no runtime socket at")


def test_nonsense_is_a_miss(desk: Desk) -> None:
    with FakeHaproxy(desk.runtime / "haproxy.sock") as haproxy:
        haproxy.answers["show info"] = "Unknown command.\n"
        desk.watch(desk.keeper.probe_forever, lambda: desk.count(Missed) >= 1)


def test_an_absent_one_is_not_asked(desk: Desk) -> None:
    desk.world = begin(QUIET_PLAN, NOW)
    rounds = 0

    def some_rounds() -> bool:
        nonlocal rounds
        rounds += 1
        return rounds > 20

    desk.watch(desk.keeper.probe_forever, some_rounds)
    desk.world = begin(replace(QUIET_PLAN, haproxy=None), NOW)
    rounds = 0
    desk.watch(desk.keeper.probe_forever, some_rounds)
    assert desk.events == []


def test_our_own_lateness_is_not_its_fault(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """ops slept through the deadline: HAProxy is given as much time again, and answers."""
    monkeypatch.setattr(desk.keeper, "_stalled_us", lambda _: 400 * MS)
    haproxy_plan = HaproxyPlan(probe_interval_us=50 * MS, probe_deadline_us=MS)
    desk.world = told(begin(replace(QUIET_PLAN, haproxy=haproxy_plan), NOW), STARTED)
    with FakeHaproxy(desk.runtime / "haproxy.sock") as haproxy:
        haproxy.hang()
        held = 0

        def answered() -> bool:
            nonlocal held
            held += 1
            if held == 10:
                haproxy.resume()
            return desk.count(Answered) >= 1

        desk.watch(desk.keeper.probe_forever, answered)
    assert isinstance(desk.events[0], Answered)


def test_a_stall_counts_for_the_probes_that_lived_through_it(desk: Desk) -> None:
    desk.keeper._stalls.append((NOW, 70 * MS))
    assert desk.keeper._stalled_us(NOW - 1) == 70 * MS
    assert desk.keeper._stalled_us(NOW + 1) == 0


def serving(desk: Desk) -> None:
    desk.world = told(desk.world, answer(), answer(NOW + 1))


def test_the_servers_are_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STATS_INTERVAL_US", MS)
    with FakeHaproxy(desk.runtime / "haproxy.sock") as haproxy:
        desk.watch(desk.keeper.read_stats_forever, lambda: not haproxy.commands)
        serving(desk)
        desk.watch(desk.keeper.read_stats_forever, lambda: desk.count(ServersSeen) >= 1)
    (seen, *_) = desk.events
    assert isinstance(seen, ServersSeen)
    assert [(one.service, one.server, one.up) for one in seen.servers] == [
        ("web", "web1", True),
        ("web", "web2", False),
    ]


def test_servers_that_cannot_be_read_are_read_later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STATS_INTERVAL_US", MS)
    monkeypatch.setattr(module, "STATS_TIMEOUT_S", 0.02)
    serving(desk)
    with FakeHaproxy(desk.runtime / "haproxy.sock") as haproxy:
        haproxy.answers["show stat -1 4 -1"] = "nonsense"
        desk.watch(desk.keeper.read_stats_forever, lambda: len(haproxy.commands) >= 2)
        assert desk.events == []
        haproxy.answers.clear()
        desk.watch(desk.keeper.read_stats_forever, lambda: desk.count(ServersSeen) >= 1)


def test_states_are_kept_for_a_reload_and_no_longer(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STATE_KEPT_S", 0.0)
    with FakeHaproxy(desk.runtime / "haproxy.sock"):
        asyncio.run(desk.keeper.save_states())
        assert not desk.state.exists(), "nothing runs: nothing to save"
        serving(desk)
        asyncio.run(desk.keeper.save_states())
    assert desk.state.read_text().startswith("1\n# be_id")
    asyncio.run(desk.keeper.forget_states())
    assert desk.state.read_text() == "1\n"


def test_states_that_cannot_be_saved_hold_up_nothing(desk: Desk) -> None:
    serving(desk)
    asyncio.run(desk.keeper.save_states())
    assert not desk.state.exists()


def test_a_second_reload_keeps_its_own_states(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STATE_KEPT_S", 0.05)
    serving(desk)

    async def twice() -> None:
        await desk.keeper.save_states()
        first = asyncio.ensure_future(desk.keeper.forget_states())
        await asyncio.sleep(0)
        await desk.keeper.save_states()
        await first

    with FakeHaproxy(desk.runtime / "haproxy.sock"):
        asyncio.run(twice())
    assert "be_id" in desk.state.read_text()


def test_preparing_ends_in_a_verdict(desk: Desk, tmp_path: Path) -> None:
    program = tmp_path / "haproxy"
    program.write_text('#!/bin/sh\necho "HAProxy version 2.6.12 2026 - x"\n')
    program.chmod(0o755)
    desk.world = begin(replace(QUIET_PLAN, haproxy=HaproxyPlan(binary=str(program))), NOW)
    asyncio.run(desk.keeper.prepare())
    (accepted,) = desk.events
    assert isinstance(accepted, ConfigAccepted)
    assert (accepted.binary, accepted.version) == (str(program), "2.6.12")
    assert accepted.config == f"{tmp_path}/ops/haproxy.cfg"
    desk.world = begin(replace(QUIET_PLAN, haproxy=HaproxyPlan(binary="/nosuch")), NOW)
    asyncio.run(desk.keeper.prepare())
    assert isinstance(desk.events[1], ConfigRefused)


def test_a_worker_that_is_gone_has_no_parent() -> None:
    assert module._parent(os.getpid()) == os.getppid()
    assert module._parent(2**22 + 1) is None
