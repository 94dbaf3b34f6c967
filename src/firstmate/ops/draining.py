"""The part of ops in a planned handover (see `pulse.handover`): HAProxy finishes what is under way.

The supervisor has seen to it that nothing new comes. Nothing here may hold up a stop: every step has its limit, and
what fails only costs the connections that would have been cut without it.
"""

import asyncio
import contextlib
import re

from firstmate.haproxy.sockets import NoAnswer, ask

DRAIN_MIN_S = 0.03  # an accepted SYN whose request is still on its way is no connection of HAProxy's yet
DRAIN_MAX_S = 0.25  # nobody's connect should wait much longer; below the second after which a SYN is sent again
POLL_S = 0.005

_CONNECTIONS = re.compile(r"^CurrConns: (\d+)$", re.MULTILINE)


async def wait_drained(runtime_socket: str) -> str:
    """Wait until HAProxy has no connection twice in a row, within the limits; returns how it went, for the log."""
    idle, left = 0, "some"
    await asyncio.sleep(DRAIN_MIN_S)
    with contextlib.suppress(TimeoutError, NoAnswer):
        async with asyncio.timeout(DRAIN_MAX_S - DRAIN_MIN_S):
            while idle < 2:  # once may be the moment between two of one client
                found = _CONNECTIONS.search(await ask(runtime_socket, "show info"))
                left = found[1] if found is not None else left
                idle = idle + 1 if left == "0" else 0
                await asyncio.sleep(POLL_S)
    return "every connection has ended" if idle else f"{left} connections outlast it and are cut"
