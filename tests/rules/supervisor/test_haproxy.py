"""HAProxy as a child, with a shell script in its place: what is tested is what we do with a process."""

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest
from tests.rules.supervisor.example import wait_readable

from firstmate.model.messages import StartHaproxy
from firstmate.supervisor.haproxy import HaproxyChild

SERVES = """
trap 'echo "[NOTICE]   ($$) : reloading" >&2' USR2
echo "[NOTICE]   ($$) : $*" >&2
sleep 600 &
while :; do wait; done
"""
REFUSES = """
echo "[NOTICE]   ($$) : haproxy version is 2.6.12" >&2
echo "[ALERT]    ($$) : Binding [haproxy.cfg:9] for frontend web: cannot bind socket (Address already in use)\
 for [0.0.0.0:80]" >&2
echo "[ALERT]    ($$) : [haproxy.main()] Some protocols failed to start their listeners! Exiting." >&2
exit 1
"""


def _program(directory: Path, script: str) -> StartHaproxy:
    program = directory / "haproxy"
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(0o755)
    return StartHaproxy(str(program), str(directory / "haproxy.cfg"), "d1")


def _started(runtime: Path, script: str) -> HaproxyChild:
    haproxy = HaproxyChild(runtime, "lb-a")
    haproxy.wanted = _program(runtime, script)
    haproxy.start()
    return haproxy


def _line(haproxy: HaproxyChild) -> str:
    assert haproxy.stderr is not None
    wait_readable(haproxy.stderr)
    return haproxy.read_lines()[0]


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _is_there(group: int) -> bool:
    """Does anybody of this process group run? A zombie waits for its parent, and does nothing."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError):
            state, _, pgrp, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(pgrp) == group and state != "Z":
                return True
    return False


def _end(haproxy: HaproxyChild) -> int:
    assert haproxy.child is not None
    wait_readable(haproxy.child.fileno())
    haproxy.read_lines()
    return haproxy.ended()


def test_is_started_as_master_with_its_file_and_name(tmp_path: Path) -> None:
    haproxy = _started(tmp_path, SERVES)
    wanted = f"-W -S {tmp_path}/haproxy-master.sock,mode,600 -f {tmp_path}/haproxy.cfg -L lb-a"
    assert _line(haproxy).endswith(f": {wanted}")
    haproxy.kill()
    assert _end(haproxy) == -signal.SIGKILL


def test_what_systemd_tells_us_is_not_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("FM_TEST", "kept")
    haproxy = _started(tmp_path, 'echo "[NOTICE] ($$) : $NOTIFY_SOCKET,$FM_TEST" >&2')
    assert _line(haproxy).endswith(" ,kept")
    assert _end(haproxy) == 0


def test_workers_are_killed_with_it(tmp_path: Path) -> None:
    haproxy = _started(tmp_path, SERVES)
    child = haproxy.child
    assert child is not None
    _line(haproxy)
    assert os.getsid(child.pid) == child.pid  # a session of its own: no Ctrl-C of ours reaches it
    child.send(signal.SIGKILL)  # the master alone
    assert _end(haproxy) == -signal.SIGKILL
    while _is_there(child.pid):  # of its group nobody is left
        pass


def test_record_lets_a_successor_adopt_it(tmp_path: Path) -> None:
    first = _started(tmp_path, SERVES)
    assert first.child is not None
    second = HaproxyChild(tmp_path, "lb-a")
    assert second.adopt()
    assert second.child is not None
    assert (second.child.pid, second.running) == (first.child.pid, first.wanted)
    assert second.child.generation == 1
    second.kill()
    wait_readable(second.child.fileno())
    assert second.ended() == 0
    assert not (tmp_path / "haproxy.json").exists()
    assert first.child.reap() == -signal.SIGKILL


@pytest.mark.parametrize(
    "change", [{"start": "1"}, {"pid": 2**22}, {"pid": "x"}, {"pid": None}, {"binary": None, "start": ""}]
)
def test_record_of_another_process_is_not_believed(tmp_path: Path, change: dict[str, object]) -> None:
    haproxy = _started(tmp_path, SERVES)
    record = tmp_path / "haproxy.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | change))
    before = _descriptors()
    assert not HaproxyChild(tmp_path, "lb-a").adopt()
    assert _descriptors() == before  # nothing stays open
    haproxy.kill()
    _end(haproxy)


@pytest.mark.parametrize("text", ["", "[]", "{", "7", "\x00"])
def test_damaged_record_is_not_believed(tmp_path: Path, text: str) -> None:
    (tmp_path / "haproxy.json").write_text(text)
    assert not HaproxyChild(tmp_path, "lb-a").adopt()


def test_reload_is_a_signal_and_a_new_record(tmp_path: Path) -> None:
    haproxy = _started(tmp_path, SERVES)
    assert haproxy.wanted is not None
    _line(haproxy)
    haproxy.wanted = StartHaproxy(haproxy.wanted.binary, haproxy.wanted.config, "d2")
    haproxy.reload()
    assert _line(haproxy).endswith("reloading")
    assert json.loads((tmp_path / "haproxy.json").read_text())["digest"] == "d2"
    assert haproxy.running == haproxy.wanted
    haproxy.reload_failed()
    assert haproxy.running != haproxy.wanted  # so that the same order is carried out again
    haproxy.kill()
    _end(haproxy)


def test_reason_of_a_failed_start_is_told(tmp_path: Path) -> None:
    haproxy = _started(tmp_path, REFUSES)
    assert _end(haproxy) == 1
    assert 'service "web": port 80 on 0.0.0.0 is taken' in haproxy.why_ended()
    assert (haproxy.child, haproxy.stderr) == (None, None)


def test_what_it_says_each_time_is_known(tmp_path: Path) -> None:
    haproxy = _started(tmp_path, REFUSES)
    line = _line(haproxy)
    assert not haproxy.has_said_before(line)
    _end(haproxy)
    haproxy.start()
    again = _line(haproxy)
    assert again != line  # it has another number
    assert haproxy.has_said_before(again)
    assert haproxy.generation == 2
    _end(haproxy)


def test_program_that_is_gone_raises_and_counts(tmp_path: Path) -> None:
    haproxy = HaproxyChild(tmp_path, "lb-a")
    haproxy.wanted = StartHaproxy(str(tmp_path / "gone"), "haproxy.cfg", "d1")
    before = _descriptors()
    with pytest.raises(FileNotFoundError):
        haproxy.start()
    assert (haproxy.child, haproxy.generation) == (None, 1)
    assert _descriptors() == before


def test_record_that_cannot_be_written_is_said_and_no_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "haproxy.json").mkdir()
    haproxy = _started(tmp_path, SERVES)
    assert "a restart will not adopt HAProxy" in capsys.readouterr().err
    haproxy.kill()
    assert _end(haproxy) == -signal.SIGKILL
