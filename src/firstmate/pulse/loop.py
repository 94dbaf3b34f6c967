"""pulse's loop: wake up, read the clock once, feed the router, carry what it decided, sleep till the deadline."""

import select
import signal
import socket
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Protocol

from firstmate.ipc.channel import Channel, EndOfChannel
from firstmate.ipc.lifeline import Lifeline
from firstmate.linux.links import Link
from firstmate.linux.listeners import Listener
from firstmate.linux.netlink import Netlink
from firstmate.linux.process import clock_us, utc_us
from firstmate.model import jsonable
from firstmate.model.messages import Beat, Drained, FactChanged, Park, WantSnapshot
from firstmate.model.plan import Plan
from firstmate.model.units import MS, S, Micros
from firstmate.pulse.courier import REPAIR_US, Courier
from firstmate.pulse.ears import PACKETS_AT_ONCE, STRANGERS_AT_ONCE, Ears
from firstmate.pulse.handover import Handover
from firstmate.pulse.heralds import Rivals
from firstmate.pulse.surroundings import Surroundings
from firstmate.pulse.teller import Teller
from firstmate.vrrp.instance import PeerGone, Signal
from firstmate.vrrp.packet import BadAdvert
from firstmate.vrrp.router import Action, Changed, Event, Noticed, Router

# And then a rest: a flood must not keep the processor, nor run a real-time process into RLIMIT_RTTIME.
FLOOD_REST_S = 0.001
BUSY_ADVERTS = 400  # so many in a second come in crowds: who lets the first wait a little reads many at once
BUSY_SHARE, BUSY_REST_MAX_US = 20, 5 * MS  # of the shortest interval
BREATH_S = 0.00005  # a real-time process must sleep now and then, or RLIMIT_RTTIME ends it in a takeover of 1,000
SLEEP_MAX_US: Micros = 1 * S


class HasFileno(Protocol):
    """What select takes."""

    def fileno(self) -> int: ...


class Loop:
    """Everything that pulse does after its start. `run` returns when it was told to stop."""

    def __init__(self, plan: Plan, plan_file: str, ops: Channel, supervisor: Channel) -> None:
        now_us = clock_us()
        self._plan, self._plan_file = plan, plan_file
        self._ops, self._supervisor = ops, supervisor
        self._netlink = Netlink(watch=True)
        self._router = Router(plan, now_us)
        self._around = Surroundings(self._netlink, plan)
        self._courier = Courier(plan, self._netlink, self._around)
        self._ears, self._rivals = Ears(plan), Rivals()
        self._teller = Teller(plan, self._router, ops, supervisor)
        self._lifeline = _lifeline(plan)
        self._handover: Handover | None = None  # None: no planned handover is under way
        self._repair_at_us = now_us
        self._busy_rest_s = _busy_rest_s(plan)
        self._heard = self._heard_before = 0  # adverts in this second, and in the one before
        self._stopping = self._reloading = self._flooded = self._moved = False
        self._doorbell, self._bell = socket.socketpair()
        self._doorbell.settimeout(0)
        self._bell.settimeout(0)

    def start(self, *, realtime: bool) -> None:
        """Open sockets, release what a killed predecessor left, begin. Raises `OSError`."""
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C at the terminal is the supervisor's
        signal.signal(signal.SIGHUP, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP, signal.SIGINT})  # held back by our parent until now
        now_us = clock_us()
        self._router.utc_ahead_us = utc_us() - now_us
        self._courier.check_rights()
        self._around.look()
        self._open()
        self._release_leftovers()
        self._teller.begin(realtime=realtime)
        self._feed_facts(now_us)
        self._feed(Signal.STARTUP, now_us)

    def run(self, feed: Callable[[], None] = lambda: None) -> None:
        """`feed` is called in each turn: who stops calling it hangs."""
        while not self._stopping:
            feed()
            ready = self._sleep()
            now_us = clock_us()
            if self._router.signs:
                self._router.utc_ahead_us = utc_us() - now_us
            self._moved = False
            self._read(ready, now_us)
            self._keep_time(now_us)
            if self._moved:
                self._settle(now_us)
                time.sleep(BREATH_S)
            if self._flooded:
                self._flooded = False
                time.sleep(FLOOD_REST_S)
        now_us = clock_us()
        self._feed(Signal.SHUTDOWN, now_us)
        self._courier.remove_vmacs()
        self._tell(now_us, everything=True)
        if self._handover is not None:
            self._handover.finish()
        self._lifeline.close()

    def release(self) -> None:
        """`pulse --release`: take off what carries our mark and go."""
        self._around.look()
        self._release_leftovers()
        self._courier.remove_vmacs()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._reloading = True
        else:
            self._stopping = True

    def _sleep(self) -> set[int]:
        """Wait until something is readable or a deadline has come; returns the file numbers that are ready."""
        now_us = clock_us()
        deadline_us = min(now_us + SLEEP_MAX_US, self._teller.snapshot_at_us, self._lifeline.deadline_us)
        for at_us in (self._router.wake_us, self._courier.heralds.deadline_us, self._ears.deadline_us):
            if at_us is not None and at_us < deadline_us:
                deadline_us = at_us
        readers: list[HasFileno] = [
            self._doorbell,
            self._ops,
            self._supervisor,
            *self._ears.awake(now_us),
            *self._lifeline.readers(),
            *self._rivals.readers(),
        ]
        if self._handover is not None:
            readers += self._handover.taps()
        if self._netlink.events is not None:
            readers.append(self._netlink.events)
        wait_s = max(0, deadline_us - now_us) / S
        readable, writable, _ = select.select(readers, self._lifeline.writers(), [], wait_s)
        ready = {end.fileno() for end in readable} | {end.fileno() for end in writable}
        if self._heard_before > BUSY_ADVERTS and any(ear.fileno() in ready for ear in self._ears.listeners.values()):
            time.sleep(self._busy_rest_s)
        return ready

    def _read(self, ready: set[int], now_us: Micros) -> None:
        """Adverts first: what was said while we slept counts before the timer that it would have reset."""
        for listener in list(self._ears.listeners.values()):
            if listener.fileno() in ready:
                self._hear_adverts(listener, now_us)
        if self._netlink.events is not None and self._netlink.events.fileno() in ready:
            self._hear_netlink(now_us)
        if self._supervisor.fileno() in ready:
            self._hear_supervisor(now_us)
        if self._ops.fileno() in ready:
            self._hear_ops(now_us)
        for peer in self._lifeline.handle(ready, now_us):
            self._feed(PeerGone(peer), now_us)
        if self._lifeline.take_arrivals():
            self._teller.soon(now_us)  # it also tells the peer of ourselves
        for claim in self._rivals.read(ready, self._courier.vips, now_us):
            self._carry(self._router.claimed(claim.ip, claim.mac.hex(":"), now_us), now_us)
        if self._handover is not None:
            self._handover.read()
        if self._doorbell.fileno() in ready:
            self._doorbell.recv(256)
        if self._reloading:
            self._reload(now_us)

    def _keep_time(self, now_us: Micros) -> None:
        wake_us = self._router.wake_us
        if wake_us is not None and wake_us <= now_us:
            self._feed(Signal.TIMER, now_us)
        self._courier.heralds.tick(now_us)
        if self._lifeline.deadline_us <= now_us:
            for peer in self._lifeline.tick(now_us):
                self._feed(PeerGone(peer), now_us)
        if now_us >= self._repair_at_us:
            self._repair(now_us)
        if now_us >= self._teller.snapshot_at_us:
            self._tell(now_us)

    def _repair(self, now_us: Micros) -> None:
        """Once a second: what may have gone wrong without a word."""
        self._repair_at_us = now_us + REPAIR_US
        self._heard_before, self._heard = self._heard, 0
        for vip in self._courier.repair():
            self._teller.notice(
                "address-missing", f"{vip.ip} was not on {vip.dev} although we are MASTER: put back", now_us
            )
        self._carry(self._router.look_around(now_us), now_us)
        self._rivals.heed(self._courier.vips, now_us)
        self._rivals.probe(now_us)

    def _hear_adverts(self, listener: Listener, now_us: Micros) -> None:
        router, said, receive = self._router, listener.said, listener.receive
        for _ in range(STRANGERS_AT_ONCE if listener.strangers else PACKETS_AT_ONCE):
            try:
                received = receive()
            except OSError:
                return  # the link went down: netlink says so
            if received is None:
                return
            self._heard += 1
            whole = said(received)
            if whole is not None and router.hear_again(whole, now_us):
                continue
            if not self._ears.may_look(received, now_us):
                continue
            try:
                datagram = listener.datagram(received)
            except BadAdvert as error:
                router.count(error.reason.value)
                continue
            self._carry(router.hear(datagram, now_us, whole), now_us)
            if name := router.take_new_master():
                self._teller.soon(now_us, name)
        self._flooded = True
        self._ears.rest(listener, now_us)

    def _hear_netlink(self, now_us: Micros) -> None:
        try:
            news = list(self._netlink.news())
        except OSError:  # news was lost
            self._around.look()
            self._open()
        else:
            for item in news:
                if isinstance(item, Link):
                    self._learn_link(item)
                self._around.learn(item)
            if any(isinstance(item, Link) for item in news):
                self._open()
        self._feed_facts(now_us)

    def _learn_link(self, link: Link) -> None:
        """One that is gone needs new sockets should it return, one with another MAC too."""
        before = self._around.mac_of(link.name)
        if link.gone:
            self._ears.lose(link.name)
        if link.gone or (before and before != link.mac):
            self._courier.lose(link.name)
            self._rivals.lose(link.name)

    def _open(self) -> None:
        self._courier.prepare(self._around.interfaces)
        self._ears.open(self._around.interfaces, self._courier.complain)

    def _feed_facts(self, now_us: Micros) -> None:
        for fact in self._around.facts(self._ears.hears_on, now_us):
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
                    self._teller.beat = message
                case WantSnapshot():
                    self._tell(now_us, everything=True)
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
            text = f"connections cannot be kept for the successor: {error.strerror}"
            self._teller.notice("kernel-refused", text, now_us)

    def _feed(self, event: Event, now_us: Micros) -> None:
        self._carry(self._router.handle(event, now_us), now_us)

    def _carry(self, actions: Iterable[Action], now_us: Micros) -> None:
        for action in actions:
            match action:
                case Changed():
                    self._moved = True
                    self._teller.changed(action, now_us)
                case Noticed(code, text):
                    self._teller.notice(code, text, now_us)
                case _:
                    self._courier.carry(action)

    def _settle(self, now_us: Micros) -> None:
        """Something changed state in this turn: the rest may wait until every advert and address is out."""
        self._teller.bequeath()
        self._rivals.heed(self._courier.vips, now_us)
        if self._teller.is_quick:
            self._tell(now_us)

    def _tell(self, now_us: Micros, *, everything: bool = False) -> None:
        self._teller.complain(self._courier.take_complaints(), now_us)
        self._teller.bequeath()
        counters = self._router.counters | {
            "dropped_messages": self._ops.dropped,
            "kernel_failures": self._courier.failures,
            "flood_dropped": self._ears.dropped,
        }
        held = self._courier.held
        self._teller.snapshot(held, self._lifeline.views(), counters, now_us, everything=everything)
        for peer in self._lifeline.say(self._teller.hello(), now_us):
            self._feed(PeerGone(peer), now_us)

    def _release_leftovers(self) -> None:
        """First the adverts with priority 0, then what is in the kernel."""
        found, now_us = self._courier.leftovers(), clock_us()
        self._carry(self._router.release_leftovers({address.ip for address in found}, now_us), now_us)
        self._courier.remove_leftovers(found)

    def _reload(self, now_us: Micros) -> None:
        """Apply the new plan; the supervisor has checked it. One that cannot be read changes nothing."""
        self._reloading = False
        try:
            plan = read_plan(self._plan_file)
        except (OSError, jsonable.BadJson) as error:
            text = f"the new plan cannot be read, the old one stands: {error}"
            self._teller.notice("reload-failed", text, now_us)
            return
        before, self._plan = self._plan, plan
        self._busy_rest_s = _busy_rest_s(plan)
        time.sleep(BREATH_S)
        actions = self._router.adopt(plan, now_us)
        self._carry(actions, now_us)  # while the old sockets are still open
        self._courier.adopt(plan)
        self._around.adopt(plan)
        self._ears.adopt(plan)
        self._teller.adopt(plan)
        time.sleep(BREATH_S)
        self._open()
        self._feed_facts(now_us)
        if (before.me, before.nodes, before.peer_port) != (plan.me, plan.nodes, plan.peer_port):
            self._lifeline.close()
            self._lifeline = _lifeline(plan)
        self._moved = True


def read_plan(path: str) -> Plan:
    """Raises `OSError` and `BadJson`."""
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib brings urllib into a process that must stay small
        return jsonable.loads(Plan, file.read())


def _busy_rest_s(plan: Plan) -> float:
    """How long adverts may wait for each other: little beside the interval that they come in."""
    shortest_us = min((router.advert_interval_us for router in plan.routers), default=S)
    return min(BUSY_REST_MAX_US, shortest_us // BUSY_SHARE) / S


def _lifeline(plan: Plan) -> Lifeline:
    others = tuple(node.address for node in plan.nodes if node.name != plan.node)
    return Lifeline(plan.me.address, plan.peer_port, others if plan.peer_port else ())
