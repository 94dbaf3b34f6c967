"""Prepares HAProxy's configuration in a process of its own: `python -m firstmate.ops.preparation`.

It takes an order on its standard input and writes the outcome to its standard output. What it needs for that (8 MiB,
most of it Jinja) is needed once for each plan: ops would keep it for ever.
"""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass

from firstmate.haproxy.ground import Ground
from firstmate.model import jsonable
from firstmate.model.plan import Plan
from firstmate.model.problems import Problem
from firstmate.policy.restart import cause
from firstmate.policy.world import ConfigAccepted, ConfigRefused

COMMAND = (sys.executable, "-m", "firstmate.ops.preparation")
TIMEOUT_S = 60.0  # `haproxy -c` has 30 s of them
STDERR_CHARS_MAX = 300


@dataclass(frozen=True, slots=True)
class Order:
    plan: Plan
    ground: Ground
    parent: int  # our process id: two at once would write the same file


def prepare_apart(
    plan: Plan, ground: Ground, command: tuple[str, ...] = COMMAND, timeout_s: float = TIMEOUT_S
) -> ConfigAccepted | ConfigRefused:
    """Blocking: call it in a thread."""
    order = jsonable.dumps(Order(plan, ground, os.getpid())).encode()
    try:
        done = subprocess.run(  # noqa: S603 - ourselves
            command, input=order, capture_output=True, cwd="/", timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return _failed(f"it took longer than {timeout_s:.0f} s")
    except OSError as error:
        return _failed(f"{command[0]}: {error.strerror}")
    try:
        outcome: ConfigAccepted | ConfigRefused = jsonable.loads(ConfigAccepted | ConfigRefused, done.stdout)
    except jsonable.BadJson:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:STDERR_CHARS_MAX]
        return _failed(f"{cause(done.returncode)}: {said}" if said else cause(done.returncode))
    return outcome


def _failed(why: str) -> ConfigRefused:
    text = f"HAProxy's configuration could not be prepared: {why}"
    return ConfigRefused((Problem("E413", text, "it is tried again in 10 s"),))


def main() -> None:
    from firstmate.haproxy.prepare import Refused, prepare  # noqa: PLC0415 - what ops must not load
    from firstmate.linux import process  # noqa: PLC0415

    order = jsonable.loads(Order, sys.stdin.buffer.read())
    process.die_with_parent(order.parent, signal.SIGKILL)
    outcome: ConfigAccepted | ConfigRefused
    try:
        done = prepare(order.plan, order.ground)
    except Refused as refused:
        outcome = ConfigRefused(refused.problems)
    else:
        outcome = ConfigAccepted(done.binary.path, done.binary.version_text, done.config, done.digest)
    sys.stdout.write(jsonable.dumps(outcome))


if __name__ == "__main__":
    main()
