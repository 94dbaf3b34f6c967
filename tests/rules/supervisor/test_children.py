"""pulse and ops as children, with a shell script in the place of Python: what is tested is what they are given."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rules.supervisor.example import wait_readable

from firstmate.ipc.channel import Channel
from firstmate.model.messages import FactChanged, WantSnapshot
from firstmate.model.units import MS, S
from firstmate.policy.restart import Exited, GiveUp, Start
from firstmate.supervisor.children import PULSE_TRIES_MAX, Family, Slot, Wires
from firstmate.supervisor.runtime import Runtime

TELLS = """#!/bin/sh
{ echo "$@"; grep ^SigBlk /proc/$$/status | tr -d '\t' | tr : =; env | grep ^FIRSTMATE_ | sort; } > "$FIRSTMATE_RUNTIME/told"
ls /proc/$$/fd > "$FIRSTMATE_RUNTIME/fds"
"""


@pytest.fixture
def wires() -> Iterator[Wires]:
    made = Wires()
    yield made
    for end in vars(made).values():
        end.close()


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wires: Wires) -> Family:
    program = tmp_path / "python"
    program.write_text(TELLS)
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    runtime = Runtime(tmp_path)
    runtime.ops_user = None
    return Family(runtime, wires, os.open(os.devnull, os.O_RDONLY))


def _told(family: Family, slot: Slot) -> tuple[list[str], dict[str, str], set[int]]:
    assert slot.child is not None
    wait_readable(slot.child.fileno())
    assert slot.child.reap() == 0
    words, *lines = (family.runtime.path / "told").read_text().splitlines()
    fds = {int(fd) for fd in (family.runtime.path / "fds").read_text().split()}
    return words.split(), dict(line.split("=", 1) for line in lines), fds


def test_pulse_gets_its_ends_and_no_others(family: Family) -> None:
    family.start_pulse("--release")
    words, told, fds = _told(family, family.pulse)
    assert words == ["-m", "firstmate.pulse", "--release"]
    assert told["FIRSTMATE_RUNTIME"] == str(family.runtime.path)
    assert told["FIRSTMATE_SUPERVISOR_PID"] == str(os.getpid())
    ends = {int(told[f"FIRSTMATE_FD_{name}"]) for name in ("OPS", "SUPERVISOR", "WATCHDOG")}
    assert ends == {family.wires.pulse_to_ops.fileno(), family.wires.pulse_to_us.fileno(), family.watchdog.fd}
    ours = {family.wires.ours_to_ops.fileno(), family.wires.ours_to_pulse.fileno(), family.api_fd, family.runtime._lock}
    assert ends <= fds
    assert not fds & ours


def test_ops_gets_the_api_too(family: Family) -> None:
    family.start_ops()
    words, told, fds = _told(family, family.ops)
    assert words == ["-m", "firstmate.ops"]
    assert int(told["SigBlk"], 16) == 1 << signal.SIGHUP - 1 | 1 << signal.SIGINT - 1  # until it has handlers
    ends = {int(told[f"FIRSTMATE_FD_{name}"]) for name in ("PULSE", "SUPERVISOR", "API")}
    assert ends == {family.wires.ops_to_pulse.fileno(), family.wires.ops_to_us.fileno(), family.api_fd}
    assert ends <= fds


def test_each_start_is_a_generation(family: Family) -> None:
    for generation in (1, 2):
        family.start_ops()
        child = family.ops.child
        assert child is not None
        assert child.generation == generation
        assert not family.ops.due_us
        wait_readable(child.fileno())
        child.reap()


def test_messages_to_a_dead_child_wait_for_its_successor(wires: Wires) -> None:
    sender = Channel(wires.ops_to_pulse, WantSnapshot)
    assert sender.send(FactChanged("haproxy", up=True, why="", at_us=1))
    heir = Channel(wires.pulse_to_ops, FactChanged)
    assert [message.name for message in heir.receive()] == ["haproxy"]


def test_no_end_is_inherited_by_accident(wires: Wires) -> None:
    ends = list(vars(wires).values())
    assert len(ends) == 6
    assert not any(end.get_inheritable() for end in ends)


def test_pulse_is_given_up_and_ops_is_not(family: Family) -> None:
    now_us, pauses = 0, []
    for _ in range(PULSE_TRIES_MAX):
        action = family.pulse.restarts.handle(Exited(-signal.SIGKILL), now_us)
        assert isinstance(action, Start)
        pauses.append(action.after_us)
        now_us += action.after_us
    assert pauses[:3] == [0, 100 * MS, 200 * MS]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 10 * S
    assert isinstance(family.pulse.restarts.handle(Exited(1), now_us), GiveUp)
    for _ in range(100):
        assert isinstance(family.ops.restarts.handle(Exited(1), now_us), Start)
