import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.rules.supervisor.example import wait_readable

from firstmate.supervisor.child import adopt, bury_orphans, spawn

MASK = "import signal; exit(int(signal.SIGHUP in signal.pthread_sigmask(signal.SIG_BLOCK, ())))"


def test_end_and_exit_code_are_seen() -> None:
    child = spawn("a", ["/bin/sh", "-c", "exit 3"], 1)
    wait_readable(child.fileno())
    assert child.reap() == 3
    assert not Path(f"/proc/{child.pid}").exists()  # no zombie stays


def test_signal_is_a_negative_code_and_late_ones_are_harmless() -> None:
    child = spawn("a", ["/bin/sleep", "600"], 1)
    child.send(signal.SIGKILL)
    wait_readable(child.fileno())
    child.send(signal.SIGTERM)  # it has ended already
    assert child.reap() == -signal.SIGKILL


def test_end_before_anybody_looks_is_seen() -> None:
    child = spawn("a", ["/bin/true"], 1)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody watched it yet
    wait_readable(child.fileno())
    assert child.reap() == 0


def test_program_that_cannot_be_executed_raises() -> None:
    with pytest.raises(FileNotFoundError):
        spawn("a", ["/nowhere/program"], 1)
    assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_signals_are_held_back_in_the_child_alone() -> None:
    child = spawn("a", [sys.executable, "-c", MASK], 1, held_back={signal.SIGHUP})
    assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    wait_readable(child.fileno())
    assert child.reap() == 1
    free = spawn("a", [sys.executable, "-c", MASK], 1)
    wait_readable(free.fileno())
    assert free.reap() == 0


def test_child_gets_no_descriptor_but_those_named(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)  # a careless library
    os.set_inheritable(writer, True)
    named = os.open(os.devnull, os.O_RDONLY)
    script = f"ls /proc/$$/fd > {tmp_path / 'fds'}"
    child = spawn("a", ["/bin/sh", "-c", script], 1, pass_fds=(named,))
    for fd in (reader, writer, named):
        os.close(fd)
    wait_readable(child.fileno())
    assert child.reap() == 0
    fds = {int(fd) for fd in (tmp_path / "fds").read_text().split()}
    assert named in fds
    assert not {reader, writer} & fds


def test_adopted_process_is_watched_without_being_ours() -> None:
    stranger = subprocess.Popen(["/bin/sleep", "600"])
    child = adopt("a", stranger.pid, 1)
    assert child is not None
    child.send(signal.SIGKILL)
    wait_readable(child.fileno())
    assert child.reap() == 0  # nobody has its code
    assert stranger.wait() == -signal.SIGKILL  # and it was left for its parent


def test_process_that_is_gone_is_not_adopted() -> None:
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    assert adopt("a", gone.pid, 1) is None


def test_orphans_are_buried_and_own_children_are_not() -> None:
    own = spawn("a", ["/bin/true"], 1)
    os.waitid(os.P_PID, own.pid, os.WEXITED | os.WNOWAIT)
    bury_orphans({own.pid})
    assert own.reap() == 0
    orphan = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, orphan, os.WEXITED | os.WNOWAIT)
    bury_orphans({own.pid})
    assert not Path(f"/proc/{orphan}").exists()
