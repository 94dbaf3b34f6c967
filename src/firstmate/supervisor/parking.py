"""The supervisor's part in a planned handover (see `pulse.handover`): HAProxy's listeners ignore new connections.

It is done here because some kernels let only a process with CAP_NET_ADMIN attach a filter, which ops has not.
"""

import contextlib
import socket
import time
from pathlib import Path

from firstmate.haproxy.listeners import fetch_listeners
from firstmate.haproxy.paths import socket_path
from firstmate.linux import bpf
from firstmate.model.plan import Plan

TAP_S = 0.005  # for pulse to open its packet socket before the first SYN is ignored
STEP_S = 0.1  # a hung HAProxy must not hold up a stop


def ignore_new_connections(plan: Plan, runtime: Path) -> int:
    """Make every TCP listener of HAProxy drop SYNs in silence; returns since when, CLOCK_REALTIME in ns.

    The filter stays with the sockets until HAProxy ends. Raises `OSError`.
    """
    listeners = fetch_listeners(socket_path(plan, str(runtime)), STEP_S)
    parked_at_ns = time.time_ns()
    for listener in listeners:
        with listener:
            if listener.family in {socket.AF_INET, socket.AF_INET6}:
                bpf.attach(listener, bpf.ALL_BUT_NEW_CONNECTIONS)
    return parked_at_ns


def heed_new_connections(plan: Plan, runtime: Path) -> None:
    """Take the filters off again: a stop that was killed half way leaves an HAProxy that seems well and is deaf.

    Raises `OSError`.
    """
    for listener in fetch_listeners(socket_path(plan, str(runtime)), STEP_S):
        with listener, contextlib.suppress(FileNotFoundError):  # ENOENT: it has no filter
            bpf.detach(listener)
