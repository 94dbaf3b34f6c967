"""How a node leaves: connections are handed over, children told to end, and ended when they do not."""

import selectors
import signal
import time
from pathlib import Path

from firstmate.ipc.channel import Channel
from firstmate.linux.process import clock_us
from firstmate.model.messages import HandOver, Park
from firstmate.model.plan import Plan
from firstmate.supervisor import log
from firstmate.supervisor.child import Child
from firstmate.supervisor.children import Family
from firstmate.supervisor.haproxy import HaproxyChild
from firstmate.supervisor.parking import TAP_S, ignore_new_connections

HAND_OVER_S = 1.2  # ops drains for 0.25 s at most, pulse waits 0.45 s at most
CHILD_STOP_S = 2.0
HAPROXY_DRAIN_S, HAPROXY_STOP_S = 3.0, 1.0


def hand_over(plan: Plan, runtime: Path, family: Family, to_pulse: Channel, to_ops: Channel) -> None:
    """Let HAProxy finish what is under way, and nothing new begin; pulse then resigns and ends by itself."""
    pulse = family.pulse.child
    if pulse is None or family.ops.child is None or plan.haproxy is None:
        return
    to_pulse.send(Park(clock_us()))
    time.sleep(TAP_S)
    try:
        parked_at_ns = ignore_new_connections(plan, runtime)
    except OSError as error:
        log.warning(f"connections under way will be cut: HAProxy's listening sockets cannot be had: {error}")
        return
    if not to_ops.send(HandOver(parked_at_ns)) or not wait_ended(pulse, HAND_OVER_S):
        log.warning(f"no planned handover within {HAND_OVER_S:g} s; pulse resigns as it is")


def end(child: Child | None) -> None:
    """SIGTERM, and SIGKILL when that is not heard."""
    if child is None:
        return
    child.send(signal.SIGTERM)
    if not wait_ended(child, CHILD_STOP_S):
        log.warning(f"{child.name} did not stop within {CHILD_STOP_S:g} s: killed")
        child.send(signal.SIGKILL)
        wait_ended(child, CHILD_STOP_S)
    child.reap()


def end_haproxy(haproxy: HaproxyChild) -> None:
    """Stop listening, finish what is under way; then less patiently."""
    if haproxy.child is None:
        return
    haproxy.child.send(signal.SIGUSR1)
    if not wait_ended(haproxy.child, HAPROXY_DRAIN_S):
        haproxy.child.send(signal.SIGTERM)
        wait_ended(haproxy.child, HAPROXY_STOP_S)
    haproxy.ended()


def wait_ended(child: Child, wait_s: float) -> bool:
    """False when the time is over before the process has ended."""
    with selectors.DefaultSelector() as selector:
        selector.register(child, selectors.EVENT_READ)
        return bool(selector.select(wait_s))
