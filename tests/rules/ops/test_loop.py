import asyncio
import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.rules.ops.office import QUICK, QUIET_PLAN, Office, play

from firstmate.haproxy.fake import FakeHaproxy
from firstmate.model import jsonable
from firstmate.model.messages import (
    Beat,
    ChildExited,
    ChildStarted,
    FactChanged,
    KillHaproxy,
    RouterState,
    StartHaproxy,
    Transition,
    WantSnapshot,
)
from firstmate.model.plan import CommandCheck, FileCheck, HaproxyPlan, ProcessCheck
from firstmate.model.units import MS
from firstmate.ops import loop as module
from firstmate.ops.loop import Loop
from firstmate.policy.world import Tick

DISK = CommandCheck("disk", ("/bin/sh", "-c", "echo disk is full; exit 1"), interval_us=10 * MS, timeout_us=20_000_000)


@pytest.fixture
def haproxy(tmp_path: Path) -> Iterator[FakeHaproxy]:
    with FakeHaproxy(tmp_path / "haproxy.sock") as fake:
        yield fake


def stub(folder: Path) -> HaproxyPlan:
    """A program that accepts every file."""
    path = folder / "accepts"
    path.write_text('#!/bin/sh\necho "HAProxy version 2.6.12 2026 - x"\n')
    path.chmod(0o755)
    return replace(QUICK, binary=str(path))


def test_from_start_to_a_hang_to_the_end(tmp_path: Path, haproxy: FakeHaproxy) -> None:
    """The whole story that ops is for, with every message in its order."""

    async def talk(office: Office) -> None:
        await office.pulse.expect(WantSnapshot)
        order = await office.supervisor.expect(StartHaproxy)
        assert order.config == f"{tmp_path}/ops/haproxy.cfg"
        office.lead()
        office.supervisor.send(ChildStarted("haproxy", haproxy.pid, 1, 0))
        up = await office.pulse.expect(FactChanged, lambda fact: fact.name == "haproxy")
        assert (up.up, up.generation) == (True, 1)
        haproxy.hang()
        down = await office.pulse.expect(FactChanged, lambda fact: not fact.up)
        assert (down.generation, down.why) == (1, "HAProxy hangs: no answer within 100 ms")
        now_us = down.at_us
        left = Transition(2, now_us, "web", 7, RouterState.MASTER, RouterState.FAULT, down.why, 1)
        office.pulse.send(left)
        kill = await office.supervisor.expect(KillHaproxy)
        assert kill.generation == 1
        office.supervisor.send(ChildExited("haproxy", 901, 1, -9, 0, now_us))
        gone = await office.pulse.expect(FactChanged)
        assert (gone.up, gone.why) == (False, "HAProxy killed by signal 9")

    office = play(tmp_path, talk, replace(QUIET_PLAN, haproxy=stub(tmp_path)))
    log = office.log.getvalue()
    assert "NOTICE transition" not in log
    assert "WARNING transition web: lb-a FAULT (was MASTER): HAProxy hangs: no answer within 100 ms" in log
    journal = (tmp_path / "ops" / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in journal].count("transition") == 1


def test_a_beat_tells_the_peers_of_us(tmp_path: Path, haproxy: FakeHaproxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_US", 5 * MS)

    async def talk(office: Office) -> None:
        office.supervisor.send(ChildStarted("haproxy", haproxy.pid, 1, 0))
        await office.pulse.expect(Beat, lambda beat: beat.haproxy == "2.6.12 up")

    play(tmp_path, talk, replace(QUIET_PLAN, haproxy=stub(tmp_path)))


def test_a_hang_without_a_word_from_pulse_ends_in_a_kill(tmp_path: Path, haproxy: FakeHaproxy) -> None:
    async def talk(office: Office) -> None:
        office.lead()
        office.supervisor.send(ChildStarted("haproxy", haproxy.pid, 1, 0))
        await office.pulse.expect(FactChanged, lambda fact: fact.up)
        haproxy.hang()
        await office.pulse.expect(FactChanged, lambda fact: not fact.up)
        await office.supervisor.expect(KillHaproxy)

    office = play(tmp_path, talk, replace(QUIET_PLAN, haproxy=stub(tmp_path)))
    assert "the addresses did not leave in time; HAProxy is killed" in office.log.getvalue()


def test_a_check_becomes_a_fact(tmp_path: Path) -> None:
    async def talk(office: Office) -> None:
        fact = await office.pulse.expect(FactChanged)
        assert (fact.name, fact.up, fact.why) == ("disk", False, 'check "disk" fails: exit 1: disk is full')

    play(tmp_path, talk, replace(QUIET_PLAN, haproxy=None, checks=(DISK,)))


def test_processes_and_files_become_facts(tmp_path: Path) -> None:
    """This very process is one; the file comes, changes and goes."""
    comm, prio = Path("/proc/self/comm").read_text().strip(), tmp_path / "prio"
    checks = (ProcessCheck("me", comm, interval_us=10 * MS), FileCheck("prio", str(prio), 10 * MS))

    async def talk(office: Office) -> None:
        values: list[tuple[bool, int | None]] = []
        for content in ("", "7", "-3", ""):
            await asyncio.to_thread(prio.write_text, content)
            fact = await office.pulse.expect(FactChanged, lambda fact: fact.name == "prio")
            values.append((fact.up, fact.value))
        assert values == [(True, 0), (True, 7), (True, -3), (True, 0)]
        assert office.loop.world.checks["me"].health.up

    play(tmp_path, talk, replace(QUIET_PLAN, haproxy=None, checks=checks))


def test_whoever_asks_for_the_status_has_it_made_fresh(tmp_path: Path) -> None:
    async def talk(office: Office) -> None:
        await office.pulse.expect(WantSnapshot)
        office.lead()
        await office.until(lambda: office.loop.world.snapshot is not None)
        office.loop.world = replace(office.loop.world, wanted_at_us=None)
        office.loop.status()
        await office.pulse.expect(WantSnapshot)

    play(tmp_path, talk, replace(QUIET_PLAN, haproxy=None))


def test_a_new_plan_is_applied(tmp_path: Path) -> None:
    async def talk(office: Office) -> None:
        await office.pulse.expect(WantSnapshot)
        new = replace(QUIET_PLAN, haproxy=None, checks=(DISK,), digest="new")
        (tmp_path / "plan.json").write_text(jsonable.dumps(new))
        signal.raise_signal(signal.SIGHUP)
        await office.pulse.expect(FactChanged, lambda fact: fact.name == "disk")
        assert office.loop.world.plan == new

    play(tmp_path, talk, replace(QUIET_PLAN, haproxy=None))


def test_a_plan_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    async def talk(office: Office) -> None:
        await office.pulse.expect(WantSnapshot)
        office.loop.reload()
        await office.until(lambda: "plan.json cannot be read" in office.log.getvalue())
        assert office.loop.world.plan.haproxy is None

    play(tmp_path, talk, replace(QUIET_PLAN, haproxy=None))


def test_sigterm_ends_it(tmp_path: Path) -> None:
    async def talk(office: Office) -> None:
        await office.pulse.expect(WantSnapshot)
        signal.raise_signal(signal.SIGTERM)
        await office.until(office.loop._stop.is_set)

    play(tmp_path, talk, replace(QUIET_PLAN, haproxy=None))


def test_without_a_supervisor_it_ends(tmp_path: Path) -> None:
    async def talk(office: Office) -> None:
        await office.pulse.expect(WantSnapshot)
        office.supervisor.channel.close()
        await office.until(office.loop._stop.is_set)

    play(tmp_path, talk, replace(QUIET_PLAN, haproxy=None))


def test_an_order_that_does_not_fit_is_sent_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEND_PAUSE_S", 0.001)
    refusals = 3

    async def talk(office: Office) -> None:
        send = office.loop._supervisor.send

        def reluctant(message: object) -> bool:
            nonlocal refusals
            refusals -= 1
            return refusals < 0 and send(message)

        monkeypatch.setattr(office.loop._supervisor, "send", reluctant)
        await office.supervisor.expect(StartHaproxy)

    play(tmp_path, talk, replace(QUIET_PLAN, haproxy=stub(tmp_path)))
    assert refusals < 0


def test_a_full_inbox_drops_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INBOX_MAX", 2)

    async def fill() -> Loop:
        office = Office(tmp_path, QUIET_PLAN)
        for _ in range(5):
            office.loop.put(Tick())
        office.close()
        return office.loop

    assert asyncio.run(fill()).dropped == 3


def test_an_error_of_our_own_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor starts us again, with nothing lost: a half-dead ops would be worse."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "decide", broken)

    async def talk(office: Office) -> None:
        await office.pulse.expect(Beat)

    with pytest.raises(ExceptionGroup) as caught:
        play(tmp_path, talk)
    assert caught.group_contains(ZeroDivisionError)
