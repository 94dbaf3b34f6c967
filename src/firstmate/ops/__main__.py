"""`python -m firstmate.ops`: started by the supervisor, which leaves it two channels, a socket and a plan.

Exit codes: 0 told to stop, 70 no plan.
"""

import asyncio
import importlib
import os
import signal
import socket
import sys
from pathlib import Path

from firstmate.haproxy.ground import Ground
from firstmate.ipc.channel import Channel, inherited
from firstmate.linux import process
from firstmate.model import jsonable
from firstmate.model.messages import FromPulse, FromSupervisor
from firstmate.model.plan import Plan
from firstmate.ops.ground import survey
from firstmate.ops.log import Log
from firstmate.ops.loop import Loop, Servant, read_plan

EXIT_NO_PLAN = 70


def main() -> int:
    runtime = os.environ["FIRSTMATE_RUNTIME"]
    supervisor = int(os.environ.get("FIRSTMATE_SUPERVISOR_PID") or os.getppid())
    process.set_name("fm-ops")
    process.die_with_parent(supervisor)
    plan_file = Path(runtime) / "plan.json"
    try:
        plan = read_plan(plan_file)
    except (OSError, jsonable.BadJson) as error:
        journald = "<3>" if os.environ.get("JOURNAL_STREAM") else ""
        print(f"{journald}ERROR ops {plan_file} cannot be read: {error}", file=sys.stderr)
        return EXIT_NO_PLAN
    asyncio.run(_run(plan, survey(runtime, supervisor)))
    return 0


async def _run(plan: Plan, ground: Ground) -> None:
    pulse = Channel(inherited(int(os.environ["FIRSTMATE_FD_PULSE"])), FromPulse)
    supervisor = Channel(inherited(int(os.environ["FIRSTMATE_FD_SUPERVISOR"])), FromSupervisor)
    listener = inherited(int(os.environ["FIRSTMATE_FD_API"]))
    loop = Loop(plan, ground, pulse, supervisor, Log())
    await loop.run(_hear_reloads, _api_on(listener))
    sys.stderr.flush()
    os._exit(0)  # a thread that hangs on a dead disk must not keep us


async def _hear_reloads(_: Loop) -> None:
    """The supervisor held them back until there are handlers."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP, signal.SIGINT})


def _api_on(listener: socket.socket) -> Servant:
    async def serve(loop: Loop) -> None:
        """The web server takes 8 MiB and 0.2 s of a processor to import: only when somebody calls."""
        called = asyncio.Event()
        asyncio.get_running_loop().add_reader(listener, called.set)
        try:
            await called.wait()
        finally:
            asyncio.get_running_loop().remove_reader(listener)
        api = await asyncio.to_thread(importlib.import_module, "firstmate.ops.api")
        await api.serve(listener, loop.status)

    return serve


if __name__ == "__main__":
    sys.exit(main())
