"""The supervisor's loop: signals, ends of children, their messages, and starts that are due."""

import contextlib
import selectors
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from firstmate.ipc.channel import Channel
from firstmate.linux import process
from firstmate.linux.notify import notify
from firstmate.linux.process import clock_us
from firstmate.model.messages import (
    ChildExited,
    ChildStarted,
    FactChanged,
    HandOver,
    KillHaproxy,
    StartHaproxy,
    ToSupervisor,
    Will,
)
from firstmate.model.plan import HAPROXY_FACT, Plan
from firstmate.model.units import S, Micros, format_duration
from firstmate.policy.restart import Exited, GiveUp, Restarts, Start, cause
from firstmate.supervisor import log
from firstmate.supervisor.children import HAPROXY, OPS, PULSE, Family, Slot, Wires
from firstmate.supervisor.executor import Executor
from firstmate.supervisor.haproxy import HaproxyChild
from firstmate.supervisor.runtime import Runtime

NICE = -10  # a killed pulse must be spoken for at once; the supervisor is idle otherwise
SLEEP_MAX_US: Micros = 1 * S
HAND_OVER_S = 1.2  # ops drains for 0.25 s at most, pulse waits 0.45 s at most
PULSE_STOP_S, OPS_STOP_S, HAPROXY_DRAIN_S, HAPROXY_STOP_S = 2.0, 2.0, 3.0, 1.0
FINAL_STATUSES = {70, 77}  # no plan, not allowed: a restart of pulse cannot help


class Supervisor:
    """`run` returns the exit code. `reread` gives the plan of the file as it is now, or None (and has said why)."""

    def __init__(self, plan: Plan, runtime: Runtime, reread: Callable[[], Plan | None]) -> None:
        self._plan, self._runtime, self._reread = plan, runtime, reread
        self._wires = Wires()
        self._api = runtime.listen()
        self._family = Family(runtime, self._wires, self._api.fileno())
        self._haproxy = HaproxyChild(runtime.path, plan.node)
        self._haproxy_slot = Slot(HAPROXY, Restarts())
        self._to_pulse = Channel(self._wires.ours_to_pulse, Will)
        self._to_ops = Channel(self._wires.ours_to_ops, ToSupervisor)
        self._executor = Executor()
        self._selector = selectors.DefaultSelector()
        self._signals: list[int] = []
        self._exit_code: int | None = None
        self._ready = False
        self._doorbell, bell = socket.socketpair()
        self._doorbell.settimeout(0)
        bell.settimeout(0)
        self._bell = bell

    def run(self) -> int:
        self._catch_signals()
        process.set_name("firstmate")
        process.be_nice(NICE)
        self._runtime.write_plan(self._plan)
        self._watch(self._doorbell, self._on_doorbell)
        self._watch(self._to_pulse, self._on_pulse_message)
        self._watch(self._to_ops, self._on_ops_message)
        log.info(f"{self._plan.node} of {self._plan.cluster}: starting, configuration {self._plan.digest}")
        self._start(self._family.pulse)
        self._start(self._family.ops)
        if self._haproxy.adopt():
            assert self._haproxy.child is not None
            log.info(f"HAProxy (pid {self._haproxy.child.pid}) is still running: adopted")
            self._haproxy_started()
        while self._exit_code is None:
            self._turn()
        return self._exit_code

    def _catch_signals(self) -> None:
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _turn(self) -> None:
        dues = [slot.due_us for slot in self._slots() if slot.due_us is not None]
        wait_us = min([SLEEP_MAX_US, *(due - clock_us() for due in dues)])
        for key, _ in self._selector.select(max(0, wait_us) / S):
            key.data()
            if self._exit_code is not None:
                return
        now_us = clock_us()
        for slot in self._slots():
            if slot.due_us is not None and slot.due_us <= now_us:
                self._start(slot)
        if self._ready:
            notify("WATCHDOG=1")

    def _slots(self) -> list[Slot]:
        return [self._family.pulse, self._family.ops, self._haproxy_slot]

    def _watch(self, end: Any, handler: Callable[[], None]) -> None:
        self._selector.register(end, selectors.EVENT_READ, handler)

    def _forget(self, end: Any) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(end)

    # Starts and ends

    def _start(self, slot: Slot) -> None:
        slot.due_us = None
        try:
            if slot.name == PULSE:
                self._family.start_pulse()
            elif slot.name == OPS:
                self._family.start_ops()
            elif self._haproxy.wanted is not None and self._haproxy.child is None:
                self._haproxy.start()
        except OSError as error:
            log.error(f"cannot start {slot.name}: {error}")
            self._start_again(slot, 127)
            return
        if slot.name == HAPROXY:
            self._haproxy_started()
            return
        assert slot.child is not None
        self._watch(slot.child.fileno(), lambda: self._on_exit(slot))
        if slot.name == OPS and self._haproxy.child is not None:
            self._tell_haproxy_started()

    def _on_exit(self, slot: Slot) -> None:
        child = slot.child
        assert child is not None
        if slot.name == PULSE and (done := self._executor.execute()):
            log.warning(f"pulse died: {done}")  # said after the deed
        self._forget(child.fileno())
        slot.child = None
        status = child.reap()
        if slot.name == PULSE and status in FINAL_STATUSES:
            self._exit_code = status  # it has said why
            self._stop()
            return
        self._start_again(slot, status)

    def _start_again(self, slot: Slot, status: int) -> None:
        now_us = clock_us()
        match slot.restarts.handle(Exited(status), now_us):
            case Start(after_us):
                slot.due_us = now_us + after_us
                when = "now" if after_us == 0 else f"in {format_duration(after_us)}"
                log.warning(f"{slot.name} ended ({cause(status)}); it is started again {when}")
            case GiveUp(why):
                log.error(f"{slot.name} does not stay up ({why}); this node gives up its addresses")
                self._release_for_good()

    def _release_for_good(self) -> None:
        """A pulse that cannot stay up must not leave addresses behind; HAProxy and ops go on."""
        try:
            self._family.start_pulse("--release")
        except OSError as error:
            log.error(f"cannot start pulse to release addresses: {error}")
            return
        child = self._family.pulse.child
        assert child is not None
        self._family.pulse.child = None
        _wait(child.fileno(), PULSE_STOP_S)
        child.send(signal.SIGKILL)
        child.reap()

    # HAProxy

    def _haproxy_started(self) -> None:
        child = self._haproxy.child
        assert child is not None
        self._watch(child.fileno(), self._on_haproxy_exit)
        if self._haproxy.stderr is not None:
            self._watch(self._haproxy.stderr, self._on_haproxy_lines)
        self._tell_haproxy_started()

    def _tell_haproxy_started(self) -> None:
        child = self._haproxy.child
        assert child is not None
        self._to_ops.send(ChildStarted(HAPROXY, child.pid, child.generation, child.started_at_us))

    def _on_haproxy_exit(self) -> None:
        """pulse hears of it first, and from us: an address without HAProxy behind it helps nobody."""
        child, now_us = self._haproxy.child, clock_us()
        assert child is not None
        why = "HAProxy has exited"
        self._to_pulse.send(FactChanged(HAPROXY_FACT, up=False, why=why, at_us=now_us, generation=child.generation + 1))
        self._forget(child.fileno())
        if self._haproxy.stderr is not None:
            self._forget(self._haproxy.stderr)
        status = self._haproxy.ended()
        for line in list(self._haproxy.last_lines):
            log.warning(f"haproxy: {line}")
        self._start_again(self._haproxy_slot, status)
        due_us = self._haproxy_slot.due_us
        restart_in_us = None if due_us is None else max(0, due_us - now_us)
        self._to_ops.send(ChildExited(HAPROXY, child.pid, child.generation, status, restart_in_us, now_us))

    def _on_haproxy_lines(self) -> None:
        before = self._haproxy.stderr
        for line in self._haproxy.read_lines():
            log.info(f"haproxy: {line}")
        self._haproxy.last_lines.clear()  # they are in the log already
        if before is not None and self._haproxy.stderr is None:
            self._forget(before)

    def _want_haproxy(self, wanted: StartHaproxy) -> None:
        self._haproxy.wanted = wanted
        running = self._haproxy.running if self._haproxy.child is not None else None
        if running is None:
            if self._haproxy_slot.due_us is None:
                self._start(self._haproxy_slot)
        elif running.digest != wanted.digest:
            log.info(f"HAProxy reloads: {wanted.config} changed to {wanted.digest}")
            self._haproxy.reload()

    # Messages and signals

    def _on_pulse_message(self) -> None:
        for will in self._to_pulse.receive():
            self._executor.keep(will)
            if not self._ready:
                self._ready = True
                notify("READY=1", f"STATUS={self._plan.node} of {self._plan.cluster}")

    def _on_ops_message(self) -> None:
        for message in self._to_ops.receive():
            match message:
                case StartHaproxy():
                    self._want_haproxy(message)
                case KillHaproxy(generation, why):
                    child = self._haproxy.child
                    if child is not None and child.generation == generation:
                        log.warning(f"HAProxy (pid {child.pid}) is killed: {why}")
                        self._haproxy.kill()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def _on_doorbell(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._doorbell.recv(256)
        signals, self._signals = self._signals, []
        for number in signals:
            if number == signal.SIGHUP:
                self._reload()
            elif self._exit_code is None:
                self._exit_code = 0
                log.info(f"{signal.Signals(number).name}: stopping")
                self._stop()

    def _reload(self) -> None:
        """A file that does not hold changes nothing."""
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        plan = self._reread()
        if plan is None:
            log.error("reload refused: the configuration has errors; the old one goes on")
        else:
            self._plan = plan
            self._runtime.write_plan(plan)
            for slot in (self._family.pulse, self._family.ops):
                if slot.child is not None:
                    slot.child.send(signal.SIGHUP)
            log.info(f"reloaded: configuration {plan.digest}")
        notify("READY=1")

    def _stop(self) -> None:
        """In this order: priority 0, addresses, then the rest."""
        notify("STOPPING=1")
        self._hand_over()
        self._end(self._family.pulse.child, signal.SIGTERM, PULSE_STOP_S)
        self._executor.execute()  # only when it had to be killed is there anything left to do
        self._end(self._family.ops.child, signal.SIGTERM, OPS_STOP_S)
        haproxy = self._haproxy.child
        if haproxy is not None:
            haproxy.send(signal.SIGUSR1)  # stop listening, finish what is under way
            if not _wait(haproxy.fileno(), HAPROXY_DRAIN_S):
                haproxy.send(signal.SIGTERM)
                _wait(haproxy.fileno(), HAPROXY_STOP_S)
            self._haproxy.ended()
        with contextlib.suppress(OSError):
            (self._runtime.path / "api.sock").unlink()
        log.info("stopped")

    def _hand_over(self) -> None:
        """Give ops a moment to let HAProxy finish what is under way; pulse then resigns and ends by itself."""
        pulse = self._family.pulse.child
        if pulse is None or self._family.ops.child is None or self._plan.haproxy is None:
            return
        if self._to_ops.send(HandOver(clock_us())) and not _wait(pulse.fileno(), HAND_OVER_S):
            log.warning(f"no planned handover within {HAND_OVER_S:g} s; pulse resigns as it is")

    def _end(self, child: Any, number: int, wait_s: float) -> None:
        if child is None:
            return
        child.send(number)
        if not _wait(child.fileno(), wait_s):
            log.warning(f"{child.name} did not stop within {wait_s:g} s: killed")
            child.send(signal.SIGKILL)
            _wait(child.fileno(), wait_s)
        child.reap()


def _wait(fd: int, wait_s: float) -> bool:
    """Wait for a pidfd; False when the time is over."""
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        return bool(selector.select(wait_s))
