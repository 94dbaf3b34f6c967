"""The part of ops in a planned handover: HAProxy takes no new connection, and finishes those it has.

See `pulse.handover` for the other part. Nothing here may hold up a stop: every step has its limit, and what
fails only costs the connections that would have been cut without it.
"""

import asyncio
import contextlib
import re
import socket
import time

from firstmate.haproxy.listeners import fetch_listeners
from firstmate.haproxy.sockets import NoAnswer, ask
from firstmate.ipc.channel import Channel
from firstmate.linux import bpf
from firstmate.linux.process import clock_us
from firstmate.model.messages import Drained, Park

TAP_S = 0.005  # for pulse to open its packet socket before the first SYN is ignored
DRAIN_MIN_S = 0.05  # an accepted SYN whose request is still on its way is no connection of HAProxy's yet
DRAIN_MAX_S = 0.25  # nobody's connect should wait much longer; below the second after which a SYN is sent again
POLL_S = 0.005
STEP_S = 0.1

_CONNECTIONS = re.compile(r"^CurrConns: (\d+)$", re.MULTILINE)
OURS = 1  # the question itself is one of HAProxy's connections


async def drain(pulse: Channel, runtime_socket: str, *, park: bool) -> None:
    """Park and drain, then have pulse resign. `park` False: there is nothing to hand over."""
    parked_at_ns = 0
    if park:
        pulse.send(Park(clock_us()))
        await asyncio.sleep(TAP_S)
        with contextlib.suppress(OSError, NoAnswer, TimeoutError):
            listeners = await asyncio.to_thread(fetch_listeners, runtime_socket, STEP_S)
            parked_at_ns = time.time_ns()
            _ignore_new_connections(listeners)
            await _wait_idle(runtime_socket)
    pulse.send(Drained(parked_at_ns))


def _ignore_new_connections(listeners: list[socket.socket]) -> None:
    for listener in listeners:
        with listener:
            if listener.family in (socket.AF_INET, socket.AF_INET6):
                bpf.attach(listener, bpf.ALL_BUT_NEW_CONNECTIONS)  # stays when our duplicate is closed


async def _wait_idle(runtime_socket: str) -> None:
    """Until HAProxy has no connection twice in a row, within the limits."""
    await asyncio.sleep(DRAIN_MIN_S)
    idle = 0
    async with asyncio.timeout(DRAIN_MAX_S - DRAIN_MIN_S):
        while idle < 2:  # once may be the moment between two of one client
            found = _CONNECTIONS.search(await ask(runtime_socket, "show info"))
            idle = idle + 1 if found is not None and int(found[1]) <= OURS else 0
            await asyncio.sleep(POLL_S)
