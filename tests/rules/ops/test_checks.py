import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from firstmate.model.plan import CommandCheck, FileCheck, ProcessCheck
from firstmate.model.units import MS, S
from firstmate.ops import checks as module
from firstmate.ops.checks import LINE_CHARS_MAX, Checks, run_check
from firstmate.policy.world import CheckRan, Event, FileRead


def shell(script: str, **others: object) -> CommandCheck:
    return replace(CommandCheck("disk", ("/bin/sh", "-c", script), timeout_us=20 * S), **others)  # type: ignore[arg-type]


# fmt: off
ENDS = {
    "passes":              (shell("echo all is well; echo more"),       (True, "all is well")),
    "passes without words":(shell("exit 0"),                            (True, "")),
    "fails":               (shell("echo disk is full >&2; exit 3"),     (False, "exit 3: disk is full")),
    "fails without words": (shell("exit 1"),                            (False, "exit 1")),
    "killed":              (shell("kill -9 $$"),                        (False, "killed by signal 9")),
    "does not end":        (shell("echo waiting; exec sleep 60", timeout_us=200 * MS), (False, "did not end within 200 ms; said: waiting")),
    "says nothing":        (shell("exec sleep 60", timeout_us=50 * MS), (False, "did not end within 50 ms")),
    "control characters":  (shell("printf 'a\\033[31mb'"),              (True, "a [31mb")),
    "many lines":          (shell("yes | head -c 1000000; exit 0"),     (True, "y")),
    "a long line":         (shell("yes | head -c 1000000 | tr -d '\\n'"), (True, "y" * LINE_CHARS_MAX)),
    "not there":           (CommandCheck("x", ("/nosuch/check",)),      (False, "/nosuch/check does not exist")),
    "not a program":       (CommandCheck("x", ("/etc/passwd",)),        (False, "not allowed to run /etc/passwd")),
    "no such user":        (shell("exit 0", user="nosuchuser"),         (False, "/bin/sh cannot be run: ")),
}
# fmt: on


@pytest.mark.parametrize(("check", "result"), ENDS.values(), ids=ENDS)
def test_how_it_ends(check: CommandCheck, result: tuple[bool, str]) -> None:
    ok, line = asyncio.run(run_check(check))
    assert ok is result[0]
    assert line == result[1] or (result[1].endswith(": ") and line.startswith(result[1]))


def gone(pid: int) -> bool:
    """No such process, or one that has ended and waits to be collected by whoever adopted it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


@pytest.mark.parametrize("ending", ["exit 0", "exec sleep 60"])
def test_what_it_left_in_the_background_is_gone(tmp_path: Path, ending: str) -> None:
    script = f"sleep 60 & echo $! > {tmp_path}/pid; {ending}"
    asyncio.run(run_check(shell(script, timeout_us=500 * MS)))
    pid = int((tmp_path / "pid").read_text())
    for _ in range(1000):
        if gone(pid):
            return
        os.sched_yield()
    pytest.fail("it lives on")


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_command_that_cannot_be_ended_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another user, or hung in the kernel: it must not hold up ops."""
    left: list[int] = []

    def refuse(group: int, _signal: int) -> None:
        left.append(group)
        raise PermissionError

    monkeypatch.setattr(module, "REAP_TIMEOUT_S", 0.01)
    kill = os.killpg
    monkeypatch.setattr(os, "killpg", refuse)
    try:
        ok, line = asyncio.run(run_check(shell("exec sleep 60", timeout_us=10 * MS)))
        assert (ok, line) == (False, "did not end within 10 ms")
    finally:
        kill(left[0], signal.SIGKILL)


def test_checks_come_and_go_with_the_plan() -> None:
    async def scenario() -> list[str]:
        found: list[Event] = []
        first, second = shell("echo one", interval_us=MS), shell("echo two", name="other", interval_us=MS)
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            checks = Checks(tasks, found.append)
            for plan in ((first,), (first, second), (second,), ()):
                checks.apply(plan)
                del found[:]
                names = {check.name for check in plan}
                while names != {e.name for e in found if isinstance(e, CheckRan)}:  # noqa: ASYNC110 - a plain list
                    await asyncio.sleep(0.002)
        return [event.line for event in found if isinstance(event, CheckRan)]

    assert asyncio.run(scenario()) == []


def test_processes_and_files_are_watched_and_let_go(tmp_path: Path) -> None:
    (tmp_path / "prio").write_text("5")

    async def scenario() -> None:
        found: list[Event] = []
        nobody, many = ProcessCheck("nobody", "fm-nosuch", interval_us=MS), ProcessCheck("many", "x", interval_us=MS)
        prio = FileCheck("prio", str(tmp_path / "prio"), 2 * MS)
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            checks = Checks(tasks, found.append)
            checks.apply((nobody, many, prio, replace(nobody, name="slow", interval_us=20 * S)))
            assert len(checks._lookouts) == 3, "one look through /proc for all that are due"
            seen: set[str] = set()
            while seen != {"nobody", "many", "slow", "prio"}:
                await asyncio.sleep(0.002)
                seen = {one.name for one in found if isinstance(one, CheckRan | FileRead)}
            assert FileRead in map(type, found)
            kept = checks._lookouts[prio]
            checks.apply((prio,))
            assert list(checks._lookouts.values()) == [kept]
            checks.stop()

    asyncio.run(scenario())
