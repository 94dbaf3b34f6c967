"""`python -m firstmate.pulse`: started by the supervisor, which leaves it two channels and a plan.

Exit codes: 0 told to stop, 77 not allowed, 70 no plan.
"""

import gc
import os
import sys

from firstmate.ipc.channel import Channel, inherited
from firstmate.linux import process
from firstmate.linux.watchdog import Feeder
from firstmate.model import jsonable
from firstmate.model.messages import ToPulse, ToPulseFromSupervisor
from firstmate.model.units import MS
from firstmate.pulse.loop import Loop, read_plan

EXIT_NO_PLAN, EXIT_NOT_ALLOWED = 70, 77
CAP_NET_ADMIN, CAP_NET_RAW = 12, 13
TURN_US, TURN_OF_EACH_US = 500 * MS, 2 * MS  # a loop that does not sleep for so long is broken: the kernel ends it
GC_THRESHOLDS = (50_000, 20, 100)  # what starts with us is frozen; afterwards little lives long


def main() -> int:
    plan_file = os.environ["FIRSTMATE_RUNTIME"] + "/pulse.json"
    process.set_name("fm-pulse")
    process.die_with_parent(int(os.environ["FIRSTMATE_SUPERVISOR_PID"]))
    try:
        plan = read_plan(plan_file)
    except (OSError, jsonable.BadJson) as error:
        return _fail(EXIT_NO_PLAN, f"{plan_file} cannot be read: {error}")
    ops = Channel(inherited(int(os.environ["FIRSTMATE_FD_OPS"])), ToPulse)
    supervisor = Channel(inherited(int(os.environ["FIRSTMATE_FD_SUPERVISOR"])), ToPulseFromSupervisor)
    process.be_nice(process.NICE_FALLBACK)  # as long as much is to be made ready in one go
    try:
        loop = Loop(plan, plan_file, ops, supervisor)
        if "--release" in sys.argv[1:]:
            loop.release()
            return 0
        # What 1,000 virtual routers have in one turn takes longer than what one has.
        loop.start(realtime=process.become_realtime(TURN_US + len(plan.routers) * TURN_OF_EACH_US))
    except PermissionError as error:
        return _fail(EXIT_NOT_ALLOWED, f"no right to raw sockets and addresses ({error.strerror}): {_NEEDED}")
    process.lock_memory()
    process.keep_capabilities(CAP_NET_ADMIN, CAP_NET_RAW)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    watchdog = os.environ.get("FIRSTMATE_FD_WATCHDOG")
    if watchdog is None:
        loop.run()
    else:
        loop.run(Feeder(int(watchdog)).feed)
    return 0


_NEEDED = "run as root, or give CAP_NET_RAW and CAP_NET_ADMIN"


def _fail(code: int, text: str) -> int:
    journald = "<3>" if os.environ.get("JOURNAL_STREAM") else ""
    sys.stderr.write(f"{journald}ERROR pulse {text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
