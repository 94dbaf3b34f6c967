"""pulse's loop: wake up, read the clock once, feed the router, carry what it decided, sleep till the deadline."""

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Protocol

from firstmate.ipc.channel import Channel, EndOfChannel
from firstmate.ipc.lifeline import Hello, Lifeline
from firstmate.linux.process import clock_us
from firstmate.model import jsonable
from firstmate.model.messages import (
    Beat,
    Drained,
    FactChanged,
    Notice,
    Park,
    Snapshot,
    Transition,
    WantSnapshot,
    Will,
)
from firstmate.model.plan import Plan
from firstmate.model.units import MS, S, Micros
from firstmate.pulse.courier import REPAIR_US, Courier
from firstmate.pulse.handover import Handover
from firstmate.vrrp.instance import PeerGone, Signal
from firstmate.vrrp.packet import BadAdvert
from firstmate.vrrp.receive import unwrap
from firstmate.vrrp.router import Action, Changed, Event, Noticed, Router

SNAPSHOT_US: Micros = 1 * S
SNAPSHOT_SOON_US: Micros = 50 * MS  # after news that people would miss for a second; bounded, whatever happens
PACKETS_AT_ONCE = 64  # of one interface in one wake-up; then timers get their turn
# And then a rest: a flood must not keep the processor, nor run a real-time process into RLIMIT_RTTIME.
FLOOD_REST_S = 0.001
SLEEP_MAX_US: Micros = 1 * S
COMPLAIN_AGAIN_US: Micros = 60 * S  # what the kernel refuses each second is said once a minute
COMPLAINTS_KNOWN_MAX = 256


class HasFileno(Protocol):
    """What select takes."""

    def fileno(self) -> int: ...


class Loop:
    """Everything that pulse does after its start. `run` returns when it was told to stop."""

    def __init__(self, plan: Plan, plan_file: str, ops: Channel, supervisor: Channel, *, realtime: bool) -> None:
        now_us = clock_us()
        self._plan, self._plan_file, self._realtime = plan, plan_file, realtime
        self._ops, self._supervisor = ops, supervisor
        self._router = Router(plan, now_us)
        self._courier = Courier(plan)
        self._lifeline = _lifeline(plan)
        self._handover: Handover | None = None  # None: no planned handover is under way
        self._beat = Beat(0)
        self._will = Will((), ())
        self._seq = 0
        self._complained: dict[str, Micros] = {}  # what was said, and when
        self._snapshot_at_us = self._repair_at_us = now_us
        self._stopping = self._reloading = self._flooded = False
        self._doorbell, self._bell = socket.socketpair()
        self._doorbell.settimeout(0)
        self._bell.settimeout(0)

    def start(self) -> None:
        """Open sockets, release what a killed predecessor left, begin. Raises `OSError`."""
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C at the terminal is the supervisor's
        signal.signal(signal.SIGHUP, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP, signal.SIGINT})  # held back by our parent until now
        now_us = clock_us()
        self._courier.check_rights()
        self._courier.look()
        self._release_leftovers()
        self._supervisor.send(self._will)  # we are here, and have nothing to bequeath yet
        for fact in self._courier.link_facts(now_us):
            self._feed(fact, now_us)
        self._feed(Signal.STARTUP, now_us)

    def run(self, feed: Callable[[], None] = lambda: None) -> None:
        """`feed` is called in each turn: who stops calling it hangs."""
        while not self._stopping:
            feed()
            ready = self._sleep()
            now_us = clock_us()
            self._read(ready, now_us)
            self._keep_time(now_us)
            if self._flooded:
                self._flooded = False
                time.sleep(FLOOD_REST_S)
        self._feed(Signal.SHUTDOWN, clock_us())
        self._send_snapshot(clock_us())
        if self._handover is not None:
            self._handover.finish()
        self._lifeline.close()

    def release(self) -> None:
        """`pulse --release`: take off what carries our mark and go."""
        self._courier.look()
        self._release_leftovers()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._reloading = True
        else:
            self._stopping = True

    def _sleep(self) -> set[int]:
        """Wait until something is readable or a deadline has come; returns the file numbers that are ready."""
        now_us = clock_us()
        deadline_us = min(now_us + SLEEP_MAX_US, self._snapshot_at_us, self._lifeline.deadline_us)
        if (router_us := self._router.deadline_us) is not None:
            deadline_us = min(deadline_us, router_us)
        readers: list[HasFileno] = [
            self._doorbell,
            self._ops,
            self._supervisor,
            *self._courier.vrrp.values(),
            *self._lifeline.readers(),
        ]
        if self._handover is not None:
            readers += self._handover.taps()
        if self._courier.netlink.events is not None:
            readers.append(self._courier.netlink.events)
        wait_s = max(0, deadline_us - now_us) / S
        readable, writable, _ = select.select(readers, self._lifeline.writers(), [], wait_s)
        return {end.fileno() for end in readable} | {end.fileno() for end in writable}

    def _read(self, ready: set[int], now_us: Micros) -> None:
        """Adverts first: what was said while we slept counts before the timer that it would have reset."""
        for vrrp in list(self._courier.vrrp.values()):
            if vrrp.fileno() in ready:
                self._hear_adverts(vrrp.receive, vrrp.interface, now_us)
        if self._courier.netlink.events is not None and self._courier.netlink.events.fileno() in ready:
            self._hear_netlink(now_us)
        if self._supervisor.fileno() in ready:
            self._hear_supervisor(now_us)
        if self._ops.fileno() in ready:
            self._hear_ops(now_us)
        for peer in self._lifeline.handle(ready, now_us):
            self._feed(PeerGone(peer), now_us)
        if self._lifeline.take_arrivals():
            self._snapshot_soon(now_us)  # it also tells the peer of ourselves
        if self._handover is not None:
            self._handover.read()
        if self._doorbell.fileno() in ready:
            self._doorbell.recv(256)
        if self._reloading:
            self._reload(now_us)

    def _keep_time(self, now_us: Micros) -> None:
        deadline_us = self._router.deadline_us
        if deadline_us is not None and deadline_us <= now_us:
            self._feed(Signal.TIMER, now_us)
        if self._lifeline.deadline_us <= now_us:
            for peer in self._lifeline.tick(now_us):
                self._feed(PeerGone(peer), now_us)
        if now_us >= self._repair_at_us:
            self._repair_at_us = now_us + REPAIR_US
            for vip in self._courier.repair():
                text = f"{vip.ip} was not on {vip.dev} although we are MASTER: put back"
                self._notice("address-missing", text, now_us)
        if now_us >= self._snapshot_at_us:
            self._send_snapshot(now_us)

    def _hear_adverts(self, receive: Callable[[], bytes | None], interface: str, now_us: Micros) -> None:
        for _ in range(PACKETS_AT_ONCE):
            try:
                packet = receive()
            except OSError:
                return  # the link went down: netlink says so
            if packet is None:
                return
            try:
                datagram = unwrap(packet, interface)
            except BadAdvert as error:
                self._router.count(error.reason.value)
                continue
            self._feed(datagram, now_us)
            if self._router.take_new_master():
                self._snapshot_soon(now_us)
        self._flooded = True

    def _hear_netlink(self, now_us: Micros) -> None:
        if self._courier.hear_news():
            for fact in self._courier.link_facts(now_us):
                self._feed(fact, now_us)

    def _hear_supervisor(self, now_us: Micros) -> None:
        try:
            messages = self._supervisor.receive()
        except EndOfChannel:
            self._stopping = True  # no supervisor, no successor: leave in good order
            return
        for message in messages:
            if isinstance(message, Park):
                self._park(now_us)
            else:
                self._feed(message, now_us)

    def _hear_ops(self, now_us: Micros) -> None:
        try:
            messages = self._ops.receive()
        except EndOfChannel:
            self._stopping = True  # the supervisor holds every end: it is gone
            return
        for message in messages:
            match message:
                case FactChanged():
                    self._feed(message, now_us)
                case Beat():
                    self._beat = message
                case WantSnapshot():
                    self._send_snapshot(now_us)
                case Drained(parked_at_ns):
                    self._stopping = True
                    if self._handover is not None:
                        self._handover.read()
                        self._handover.parked(parked_at_ns)

    def _park(self, now_us: Micros) -> None:
        """A handover without parking loses what is under way, and is a handover all the same."""
        try:
            self._handover = self._handover or Handover(self._plan)
        except OSError as error:
            self._notice("kernel-refused", f"connections cannot be kept for the successor: {error.strerror}", now_us)

    def _feed(self, event: Event, now_us: Micros) -> None:
        self._carry(self._router.handle(event, now_us), now_us)

    def _carry(self, actions: Iterable[Action], now_us: Micros) -> None:
        changed = False
        for action in actions:
            match action:
                case Changed(router, vrid, was, is_, reason, epoch):
                    changed = True
                    self._seq += 1
                    self._ops.send(Transition(self._seq, now_us, router, vrid, was, is_, reason, epoch))
                case Noticed(code, text):
                    self._notice(code, text, now_us)
                case _:
                    self._courier.carry((action,))
        if changed:
            self._leave_will()
            self._send_snapshot(now_us)

    def _snapshot_soon(self, now_us: Micros) -> None:
        self._snapshot_at_us = min(self._snapshot_at_us, now_us + SNAPSHOT_SOON_US)

    def _leave_will(self) -> None:
        will = self._router.will()
        if will != self._will and self._supervisor.send(will):
            self._will = will

    def _notice(self, code: str, text: str, now_us: Micros) -> None:
        self._seq += 1
        self._ops.send(Notice(self._seq, now_us, code, text))

    def _send_snapshot(self, now_us: Micros) -> None:
        self._snapshot_at_us = now_us + SNAPSHOT_US
        for text in self._courier.take_complaints():
            if now_us - self._complained.get(text, -COMPLAIN_AGAIN_US) >= COMPLAIN_AGAIN_US:
                self._complained[text] = now_us
                self._notice("kernel-refused", text, now_us)
        while len(self._complained) > COMPLAINTS_KNOWN_MAX:
            del self._complained[next(iter(self._complained))]
        self._seq += 1
        routers = self._router.views(self._courier.held, now_us)
        counters = dict(self._router.counters)
        counters |= {"dropped_messages": self._ops.dropped, "kernel_failures": self._courier.failures}
        facts = self._router.fact_views()
        self._ops.send(
            Snapshot(self._seq, now_us, os.getpid(), self._realtime, routers, facts, self._lifeline.views(), counters)
        )
        states = {view.name: view.state.value for view in routers}
        priorities = {view.name: view.priority for view in routers}
        hello = Hello(self._plan.node, self._plan.digest, states, priorities, self._beat.haproxy, self._beat.servers)
        for peer in self._lifeline.say(hello, now_us):
            self._feed(PeerGone(peer), now_us)

    def _release_leftovers(self) -> None:
        """First the adverts with priority 0, then the addresses."""
        found = self._courier.leftovers()
        self._carry(self._router.release_leftovers({address.ip for _, address in found}, clock_us()), clock_us())
        for interface, address in found:
            self._courier.remove(interface, address)

    def _reload(self, now_us: Micros) -> None:
        """Apply the new plan; the supervisor has checked it. One that cannot be read changes nothing."""
        self._reloading = False
        try:
            plan = read_plan(self._plan_file)
        except (OSError, jsonable.BadJson) as error:
            self._notice("reload-failed", f"the new plan cannot be read, the old one stands: {error}", now_us)
            return
        before, self._plan = self._plan, plan
        actions = self._router.adopt(plan, now_us)
        self._carry(actions, now_us)  # while the old sockets are still open
        self._courier.adopt(plan)
        for fact in self._courier.link_facts(now_us):
            self._feed(fact, now_us)
        if (before.me, before.nodes, before.peer_port) != (plan.me, plan.nodes, plan.peer_port):
            self._lifeline.close()
            self._lifeline = _lifeline(plan)
        self._leave_will()


def read_plan(path: str) -> Plan:
    """Raises `OSError` and `BadJson`."""
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib brings urllib into a process that must stay small
        return jsonable.loads(Plan, file.read())


def _lifeline(plan: Plan) -> Lifeline:
    others = tuple(node.address for node in plan.nodes if node.name != plan.node)
    return Lifeline(plan.me.address, plan.peer_port, others if plan.peer_port else ())
