"""The supervisor's loop: signals, ends of children, their messages, and starts that are due."""

import contextlib
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from firstmate.ipc.channel import Channel
from firstmate.linux import process
from firstmate.linux.firewall import Firewall, FirewallError
from firstmate.linux.notify import notify
from firstmate.linux.process import clock_us
from firstmate.model.messages import (
    Bequeathed,
    ChildExited,
    ChildStarted,
    FactChanged,
    FromPulseToSupervisor,
    KillHaproxy,
    StartHaproxy,
    ToSupervisor,
)
from firstmate.model.plan import HAPROXY_FACT, Plan
from firstmate.model.units import S, Micros, format_duration
from firstmate.policy.restart import Exited, GiveUp, Restarts, Start, cause
from firstmate.supervisor import log
from firstmate.supervisor.child import bury_orphans
from firstmate.supervisor.children import HAPROXY, OPS, PULSE, Family, Slot, Wires
from firstmate.supervisor.ending import CHILD_STOP_S, end, end_haproxy, hand_over, wait_ended
from firstmate.supervisor.executor import Executor
from firstmate.supervisor.haproxy import LOADING_FAILED, HaproxyChild
from firstmate.supervisor.parking import heed_new_connections
from firstmate.supervisor.runtime import Runtime

NICE = -10  # a killed pulse must be spoken for at once; the supervisor is idle otherwise
SLEEP_MAX_US: Micros = 1 * S
NOT_ALLOWED = 77  # what pulse says when it lacks a right: a restart cannot help
CANNOT_START = 127  # in place of the exit code of a program that could not be started
QUIET_AFTER_TRIES = 2  # an HAProxy that fails again and again says the same each time
API_LOOK_US: Micros = 1 * S
API_AGAIN_US: Micros = 10 * S


class Supervisor:
    """`run` returns the exit code. `reread` gives the plan of the file as it is now, or None (and has said why)."""

    def __init__(self, plan: Plan, runtime: Runtime, reread: Callable[[], Plan | None]) -> None:
        """Raises `OSError` when the runtime directory cannot be written."""
        self._plan, self._runtime, self._reread = plan, runtime, reread
        runtime.write_plan(plan)
        self._wires = Wires()
        self._api = runtime.listen()
        self._api_look_at_us: Micros = 0
        self._family = Family(runtime, self._wires, self._api.fileno())
        self._haproxy = HaproxyChild(runtime.path, plan.node)
        self._haproxy_slot = Slot(HAPROXY, Restarts())
        self._to_pulse = Channel(self._wires.ours_to_pulse, FromPulseToSupervisor)
        self._to_ops = Channel(self._wires.ours_to_ops, ToSupervisor)
        self._executor = Executor()
        self._firewall = Firewall()
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
        self._watch(self._doorbell, self._on_doorbell)
        self._watch(self._to_pulse, self._on_pulse_message)
        self._watch(self._to_ops, self._on_ops_message)
        log.info(f"{self._plan.node} of {self._plan.cluster}: starting, configuration {self._plan.digest}")
        self._apply_firewall()
        self._start(self._family.pulse)
        self._start(self._family.ops)
        self._adopt_haproxy()
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
        self._watch_pulse(now_us)
        for slot in self._slots():
            if slot.due_us is not None and slot.due_us <= now_us:
                self._start(slot)
        if now_us >= self._api_look_at_us:
            self._api_look_at_us = now_us + API_LOOK_US
            self._mend_api()
        if os.getpid() == 1:
            bury_orphans(self._pids())
        if self._ready:
            notify("WATCHDOG=1")

    def _mend_api(self) -> None:
        """A socket whose file was removed hears nobody: make another, and an ops that listens on it."""
        if self._runtime.api_is_there():
            return
        try:
            api = self._runtime.listen()
        except OSError as error:
            log.error(f"{self._runtime.path}: the socket of the API is gone and cannot be made: {error}")
            self._api_look_at_us = clock_us() + API_AGAIN_US
            return
        os.dup2(api.fileno(), self._api.fileno(), inheritable=False)
        api.close()
        log.warning("the socket of the API was removed: made anew; ops starts again to listen on it")
        if self._family.ops.child is not None:
            self._family.ops.child.send(signal.SIGTERM)

    def _pids(self) -> set[int]:
        children = (self._family.pulse.child, self._family.ops.child, self._haproxy.child)
        return {child.pid for child in children if child is not None}

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
        if slot.name == HAPROXY:
            self._start_haproxy()
            return
        self._leave_plan()
        try:
            if slot.name == PULSE:
                self._family.start_pulse()
            else:
                self._family.start_ops()
        except OSError as error:
            self._start_again(slot, CANNOT_START, f"cannot be started: {error}")
            return
        assert slot.child is not None
        self._watch(slot.child.fileno(), lambda: self._on_exit(slot))
        if slot.name == OPS and self._haproxy.child is not None:
            self._tell_haproxy_started()

    def _on_exit(self, slot: Slot) -> None:
        child = slot.child
        assert child is not None
        if slot.name == PULSE:
            self._speak_for_pulse()
        self._forget(child.fileno())
        slot.child = None
        status = child.reap()
        if slot.name == PULSE and status == NOT_ALLOWED:
            self._exit_code = status  # it has said why
            self._stop()
            return
        self._start_again(slot, status)

    def _speak_for_pulse(self) -> None:
        """Its last will counts, also when it left one and died before we looked."""
        self._on_pulse_message()
        if done := self._executor.execute():
            log.warning(f"pulse died: {done}")  # said after the deed

    def _watch_pulse(self, now_us: Micros) -> None:
        """A pulse that hangs holds addresses that somebody else has taken: it is killed, and spoken for at once."""
        child = self._family.pulse.child
        if child is None or not self._family.watchdog.is_starved(now_us):
            return
        child.send(signal.SIGKILL)  # from here on it does nothing more, even if its end has to wait for the kernel
        self._family.watchdog.start(now_us)
        log.error(f"pulse (pid {child.pid}) hangs: killed")
        self._speak_for_pulse()

    def _leave_plan(self) -> None:
        """For a child that starts: the plan in force, whatever became of the file."""
        try:
            self._runtime.write_plan(self._plan)
        except OSError as error:
            log.error(f"{self._runtime.path}: the plan cannot be written: {error.strerror}")

    def _start_again(self, slot: Slot, status: int, why: str = "") -> None:
        now_us = clock_us()
        match slot.restarts.handle(Exited(status), now_us):
            case Start(after_us):
                slot.due_us = now_us + after_us
                when = "now" if after_us == 0 else f"in {format_duration(after_us)}"
                log.warning(f"{slot.name} ended ({why or cause(status)}); it is started again {when}")
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
        wait_ended(child, CHILD_STOP_S)
        child.send(signal.SIGKILL)
        child.reap()

    # HAProxy

    def _adopt_haproxy(self) -> None:
        if not self._haproxy.adopt():
            return
        assert self._haproxy.child is not None
        log.info(f"HAProxy (pid {self._haproxy.child.pid}) is still running: adopted")
        self._haproxy_started()
        try:
            heed_new_connections(self._plan, self._runtime.path)
        except OSError as error:
            log.error(
                f"HAProxy (pid {self._haproxy.child.pid}) is killed: its listening sockets cannot be had: {error}"
            )
            self._haproxy.kill()

    def _start_haproxy(self) -> None:
        if self._haproxy.wanted is None or self._haproxy.child is not None:
            return
        try:
            self._haproxy.start()
        except OSError as error:
            why = f"{self._haproxy.wanted.binary} cannot be started: {error.strerror}"
            self._haproxy_ended(0, CANNOT_START, why)
        else:
            self._haproxy_started()

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
        self._on_haproxy_lines()
        if self._haproxy.stderr is not None:
            self._forget(self._haproxy.stderr)
        status = self._haproxy.ended()
        why = self._haproxy.why_ended() if status > 0 else _UNKNOWN if child.popen is None else ""
        self._haproxy_ended(child.pid, status, why)

    def _haproxy_ended(self, pid: int, status: int, why: str) -> None:
        now_us = clock_us()
        self._start_again(self._haproxy_slot, status, why)
        due_us = self._haproxy_slot.due_us
        restart_in_us = None if due_us is None else max(0, due_us - now_us)
        exited = ChildExited(HAPROXY, pid, self._haproxy.generation, status, restart_in_us, now_us, why)
        self._to_ops.send(exited)

    def _on_haproxy_lines(self) -> None:
        before = self._haproxy.stderr
        quiet = self._haproxy_slot.restarts.tries > QUIET_AFTER_TRIES
        lines = self._haproxy.read_lines()
        for line in lines:
            if not (quiet and self._haproxy.has_said_before(line)):
                _log_haproxy(line)
        if any(LOADING_FAILED.search(line) for line in lines):
            self._haproxy.reload_failed()
            why = self._haproxy.why_ended() or "it does not say why"
            log.error(f"HAProxy goes on with the configuration before: {why}; reload firstmate to try again")
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
        for message in self._to_pulse.receive():
            if isinstance(message, Bequeathed):
                self._executor.keep(message.router, message.will)
            else:
                self._executor.forget()
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
        elif self._replace_plan(plan):
            for slot in (self._family.pulse, self._family.ops):
                if slot.child is not None:
                    slot.child.send(signal.SIGHUP)
            log.info(f"reloaded: configuration {plan.digest}")
        notify("READY=1")

    def _replace_plan(self, plan: Plan) -> bool:
        try:
            self._runtime.write_plan(plan)
        except OSError as error:
            log.error(
                f"reload refused: {self._runtime.path} cannot be written ({error.strerror}); the old plan goes on"
            )
            return False
        self._plan = plan
        self._apply_firewall()
        return True

    def _apply_firewall(self) -> None:
        """A node that cannot refuse what it should is still better than none."""
        try:
            self._firewall.apply(self._plan)
        except FirewallError as error:
            log.error(str(error))

    def _stop(self) -> None:
        """In this order: priority 0, addresses, then the rest."""
        notify("STOPPING=1")
        if self._executor.will.holdings:
            hand_over(self._plan, self._runtime.path, self._family, self._to_pulse, self._to_ops)
        end(self._family.pulse.child)
        self._speak_for_pulse()  # only when it had to be killed is there anything left to do
        end(self._family.ops.child)
        end_haproxy(self._haproxy)
        try:
            self._firewall.clear()
        except FirewallError as error:
            log.warning(f"nftables' table firstmate may be left behind: {error}")
        self._runtime.stop_listening()
        log.info("stopped")


_UNKNOWN = "nobody knows why, it was adopted from the firstmate before"


def _log_haproxy(line: str) -> None:
    write = log.error if line.startswith("[ALERT]") else log.warning if line.startswith("[WARNING]") else log.info
    write(f"haproxy: {line}")
