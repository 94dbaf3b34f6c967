"""ops, as its own process, with a real HAProxy on the loopback: started, hung, crashed, reloaded, adopted.

The test plays pulse and the supervisor; it needs no right that an ordinary user lacks.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.rules.haproxy.example import needs_haproxy
from tests.rules.policy.example import LEADING, PLAN, snapshot

from firstmate.haproxy.sockets import NoAnswer, ask_blocking
from firstmate.haproxy.stats import parse_info
from firstmate.ipc.api_client import Unreachable, get
from firstmate.ipc.channel import Channel, pair
from firstmate.linux.process import clock_us
from firstmate.model import jsonable
from firstmate.model.messages import (
    ChildExited,
    ChildStarted,
    FactChanged,
    KillHaproxy,
    RouterState,
    StartHaproxy,
    ToPulse,
    ToSupervisor,
    Transition,
)
from firstmate.model.plan import Bind, HaproxyPlan, HaproxyRun, HttpCheck, Mode, Plan, Server, ServicePlan
from firstmate.model.status import Status
from firstmate.supervisor.haproxy import HaproxyChild

pytestmark = [pytest.mark.lab, needs_haproxy]

PATIENCE_S = 30.0
T = TypeVar("T")


def free_port() -> int:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def plan_on(port: int, *names: str, haproxy: HaproxyPlan | None = None) -> Plan:
    """A service on the loopback; nobody serves behind it."""
    servers = tuple(Server(name, "127.0.0.1", 1) for name in names)
    binds = (Bind(port, IPv4Address("127.0.0.1")),)
    web = ServicePlan("web", Mode.HTTP, binds, servers, HttpCheck("GET", "/"))
    return replace(PLAN, services=(web,), checks=(), haproxy=haproxy or HaproxyPlan())


class Stage:
    """One node: ops as a process, HAProxy as the supervisor starts it; we are everything else."""

    def __init__(self, runtime: Path, plan: Plan) -> None:
        self.runtime = runtime
        (runtime / "ops").mkdir()
        self.write(plan)
        ours, self._pulse_end = pair()
        ours_too, self._supervisor_end = pair()
        self.pulse, self.supervisor = Channel(ours, ToPulse), Channel(ours_too, ToSupervisor)
        self._api = socket.socket(socket.AF_UNIX)
        self._api.bind(str(runtime / "api.sock"))
        self._api.listen(8)
        self.haproxy = HaproxyChild(runtime, plan.node)
        self._to_pulse: list[Any] = []
        self._to_supervisor: list[Any] = []
        self.ops = self.start_ops()

    def write(self, plan: Plan) -> None:
        (self.runtime / "plan.json").write_text(jsonable.dumps(plan))

    def start_ops(self) -> subprocess.Popen[bytes]:
        fds = {"PULSE": self._pulse_end, "SUPERVISOR": self._supervisor_end, "API": self._api}
        environment = os.environ | {f"FIRSTMATE_FD_{name}": str(end.fileno()) for name, end in fds.items()}
        environment |= {"FIRSTMATE_RUNTIME": str(self.runtime), "FIRSTMATE_SUPERVISOR_PID": str(os.getpid())}
        command = [sys.executable, "-m", "firstmate.ops"]
        with (self.runtime / "ops.log").open("ab") as log:
            return subprocess.Popen(
                command, env=environment, pass_fds=[end.fileno() for end in fds.values()], stderr=log
            )

    def log(self) -> str:
        return (self.runtime / "ops.log").read_text()

    def expect(self, kind: type[T], fits: Callable[[T], bool] = lambda _: True) -> T:
        """The next message of this kind that fits; what came on that channel before is past."""
        messages = self._to_supervisor if kind in (StartHaproxy, KillHaproxy) else self._to_pulse
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            while messages:
                message = messages.pop(0)
                if isinstance(message, kind) and fits(message):
                    return message
            select.select([self.pulse, self.supervisor], [], [], 0.05)
            self._to_pulse += self.pulse.receive()
            self._to_supervisor += self.supervisor.receive()
        pytest.fail(f"no {kind.__name__} came:\n{self.log()}")

    def start_haproxy(self, order: StartHaproxy) -> None:
        self.haproxy.wanted = order
        child = self.haproxy.start()
        self.supervisor.send(ChildStarted("haproxy", child.pid, child.generation, child.started_at_us))

    def bring_up(self) -> None:
        """Start, and wait until ops says that HAProxy serves."""
        self.lead()
        self.start_haproxy(self.expect(StartHaproxy))
        self.expect(FactChanged, lambda fact: fact.up)

    def lead(self) -> None:
        now_us = clock_us()
        self.pulse.send(replace(snapshot(replace(LEADING, since_us=now_us), facts=()), at_us=now_us))

    def leave(self, why: str) -> None:
        self.pulse.send(Transition(2, clock_us(), "web", 7, RouterState.MASTER, RouterState.FAULT, why, 1))

    def worker(self) -> int:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return parse_info(ask_blocking(str(self.runtime / "haproxy.sock"), "show info", PATIENCE_S)).pid
            except NoAnswer:  # a worker that hands over closes what it has just accepted
                assert time.monotonic() < deadline

    def exit_of_haproxy(self) -> int:
        """Wait for the end of HAProxy, and tell ops of it."""
        child = self.haproxy.child
        assert child is not None
        assert select.select([child], [], [], PATIENCE_S)[0], "HAProxy lives on"
        status = self.haproxy.ended()
        self.supervisor.send(ChildExited("haproxy", child.pid, child.generation, status, 0, clock_us()))
        return status

    def status(self) -> Status:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return jsonable.loads(Status, get(str(self.runtime / "api.sock"), "/status"))
            except Unreachable:
                if time.monotonic() > deadline:
                    raise

    def close(self) -> None:
        self.ops.terminate()
        assert self.ops.wait(PATIENCE_S) == 0, self.log()
        if self.haproxy.child is not None:
            self.haproxy.kill()
            self.haproxy.ended()
        for end in (self.pulse, self.supervisor, self._pulse_end, self._supervisor_end, self._api):
            end.close()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def stage(tmp_path: Path, port: int) -> Iterator[Stage]:
    made = Stage(tmp_path, plan_on(port, "web1", "web2"))
    yield made
    made.close()


def test_it_serves_and_says_so(stage: Stage, port: int) -> None:
    stage.bring_up()
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 503"), "there is no web server, but an HAProxy"
    document = stage.status()
    assert document.haproxy is not None
    assert (document.haproxy.up, document.haproxy.pid) == (True, stage.haproxy.child and stage.haproxy.child.pid)


def test_a_hang_is_seen_the_address_goes_first_and_it_comes_back(stage: Stage) -> None:
    stage.bring_up()
    os.kill(stage.worker(), signal.SIGSTOP)
    down = stage.expect(FactChanged, lambda fact: not fact.up)
    assert down.why.startswith("HAProxy hangs: no answer within")
    stage.leave(down.why)
    kill = stage.expect(KillHaproxy)
    assert kill.generation == down.generation == 1
    stage.haproxy.kill()
    assert stage.exit_of_haproxy() == -signal.SIGKILL
    assert stage.haproxy.wanted is not None
    stage.start_haproxy(stage.haproxy.wanted)
    up = stage.expect(FactChanged, lambda fact: fact.up)
    assert up.generation == 2


def test_a_hang_of_the_master_process_alone_is_none(stage: Stage) -> None:
    """Workers serve without it; to fail over would cost connections for nothing."""
    stage.bring_up()
    child = stage.haproxy.child
    assert child is not None
    os.kill(child.pid, signal.SIGSTOP)
    time.sleep(1.5)  # ten probes, and the deadline of the last
    assert "hangs" not in stage.log()


def test_a_crash_of_the_worker_ends_the_whole(stage: Stage) -> None:
    stage.bring_up()
    os.kill(stage.worker(), signal.SIGSEGV)
    assert stage.exit_of_haproxy() == 128 + signal.SIGSEGV
    gone = stage.expect(FactChanged, lambda fact: fact.why == "HAProxy killed by signal 11")
    assert not gone.up


def test_a_reload_keeps_the_master_and_the_states_of_servers(stage: Stage, port: int) -> None:
    stage.bring_up()
    runtime_socket, before = str(stage.runtime / "haproxy.sock"), stage.worker()
    with contextlib.suppress(NoAnswer):  # silence means that it was done
        ask_blocking(runtime_socket, "set server web/web1 weight 7;set server web/web2 state drain", PATIENCE_S)
    stage.write(plan_on(port, "web1", "web2", "web3"))
    stage.ops.send_signal(signal.SIGHUP)
    stage.haproxy.wanted = stage.expect(StartHaproxy)
    assert stage.haproxy.running is not None
    assert stage.haproxy.wanted.digest != stage.haproxy.running.digest
    stage.haproxy.reload()
    deadline = time.monotonic() + PATIENCE_S
    while stage.worker() == before:
        assert time.monotonic() < deadline, stage.log()
    states = ask_blocking(runtime_socket, "show servers state", PATIENCE_S)
    found = {words[3]: words for words in (line.split() for line in states.splitlines()) if len(words) > 6}
    assert {"web1", "web2", "web3"} <= found.keys()
    assert (found["web1"][7], found["web2"][6]) == ("7", "8"), "weight 7; drained by an operator"
    assert "hangs" not in stage.log()
    assert "killed" not in stage.log()


def test_a_new_ops_finds_haproxy_as_it_is(stage: Stage) -> None:
    stage.bring_up()
    stage.ops.kill()
    stage.ops.wait()
    stage.ops = stage.start_ops()
    child = stage.haproxy.child
    assert child is not None
    stage.supervisor.send(ChildStarted("haproxy", child.pid, child.generation, child.started_at_us))
    again = stage.expect(StartHaproxy)
    assert again == stage.haproxy.running, "the same digest: the supervisor leaves it alone"
    fact = stage.expect(FactChanged)
    assert (fact.up, fact.generation) == (True, 1), "and no word before that it were down"


def test_a_taken_port_has_a_clear_reason(stage: Stage, port: int) -> None:
    order = stage.expect(StartHaproxy)
    with contextlib.closing(socket.create_server(("127.0.0.1", port))):
        stage.haproxy.wanted = order
        child = stage.haproxy.start()
        assert select.select([child], [], [], PATIENCE_S)[0]
        stage.haproxy.read_lines()
        stage.haproxy.ended()
    reason = stage.haproxy.why_ended()
    assert reason.startswith(f'service "web": port {port} on 127.0.0.1 is taken by another program')


def test_a_file_that_haproxy_refuses_is_a_trouble_with_its_reason(stage: Stage, port: int) -> None:
    stage.bring_up()
    plan = plan_on(port, "web1")
    stage.write(replace(plan, services=(replace(plan.services[0], raw=("bogus keyword",)),)))
    stage.ops.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + PATIENCE_S
    while not any("bogus" in trouble for trouble in stage.status().troubles):
        assert time.monotonic() < deadline, stage.log()
    document = stage.status()
    assert document.haproxy is not None
    assert document.haproxy.up, "the one before goes on"


def test_the_operators_own_file_is_run_and_watched(tmp_path: Path, port: int) -> None:
    own = tmp_path / "own.cfg"
    times = "".join(f"    timeout {name} 1s\n" for name in ("connect", "client", "server"))
    own.write_text(f"global\n    daemon\ndefaults\n{times}listen own\n    bind 127.0.0.1:{port}\n")
    stage = Stage(tmp_path, plan_on(port, haproxy=HaproxyPlan(config=str(own))))
    with contextlib.closing(stage):
        stage.bring_up()


def test_somebody_elses_haproxy_is_watched_and_left_alone(tmp_path: Path, port: int) -> None:
    theirs = tmp_path / "theirs.sock"
    plan = plan_on(port, haproxy=HaproxyPlan(run=HaproxyRun.EXTERNAL, socket=str(theirs)))
    config = tmp_path / "theirs.cfg"
    config.write_text(
        f"global\n    stats socket {theirs}\ndefaults\n    timeout client 1s\nlisten x\n    bind 127.0.0.1:{port}\n"
    )
    stage = Stage(tmp_path, plan)
    with contextlib.closing(stage):
        stage.lead()
        assert not stage.expect(FactChanged).up
        command = ["haproxy", "-db", "-f", str(config)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            up = stage.expect(FactChanged, lambda fact: fact.up)
            assert up.generation == 0
            process.send_signal(signal.SIGSTOP)
            stage.expect(FactChanged, lambda fact: not fact.up)
            process.send_signal(signal.SIGCONT)
            stage.expect(FactChanged, lambda fact: fact.up)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == -signal.SIGKILL, "by us alone"
