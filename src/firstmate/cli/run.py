"""`firstmate run`: the daemon, in the foreground, for systemd or a terminal."""

import os
import sys
from pathlib import Path

import click

from firstmate.config.compile import compile_plan
from firstmate.linux.interfaces import read_host_facts
from firstmate.model.plan import Plan
from firstmate.model.problems import Problem
from firstmate.supervisor import log
from firstmate.supervisor.loop import Supervisor
from firstmate.supervisor.runtime import DEFAULT, AlreadyRunning, Runtime

EXIT_RUNNING, EXIT_NOT_ALLOWED, EXIT_CONFIG = 75, 77, 78
FILE_OCTETS_MAX = 1 << 20  # config refuses more; we do not even read it


@click.command()
@click.option("-c", "--config", "file", default="/etc/firstmate/firstmate.toml", show_default=True, help="The one file.")
@click.option("--node", envvar="FIRSTMATE_NODE", help="Which [[node]] this host is; otherwise its address tells.")
def run(file: str, node: str | None) -> None:
    """Run the daemon: VRRP, HAProxy, checks. Ends on SIGTERM; SIGHUP reads the file again."""
    plan = _compile(file, node)
    if plan is None:
        log.error(f"{file} has errors: nothing was started.  firstmate check {file}")
        sys.exit(EXIT_CONFIG)
    path = Path(os.environ.get("FIRSTMATE_RUNTIME", DEFAULT))
    try:
        supervisor = Supervisor(plan, Runtime(path), lambda: _compile(file, plan.node))
    except AlreadyRunning as error:
        log.error(f"another firstmate (pid {error}) runs in {path}: stop it first, or set FIRSTMATE_RUNTIME")
        sys.exit(EXIT_RUNNING)
    except OSError as error:
        log.error(f"{path} cannot be used: {error.strerror or error}; run as root, or set FIRSTMATE_RUNTIME")
        sys.exit(EXIT_NOT_ALLOWED)
    sys.exit(supervisor.run())


def _compile(file: str, node: str | None) -> Plan | None:
    """The plan of the file as it is now, or None; what is wrong goes to the log."""
    try:
        with Path(file).open("rb") as source:
            text = source.read(FILE_OCTETS_MAX + 1)
        host = read_host_facts()
    except OSError as error:
        log.error(f"{error.filename or 'netlink'}: {error.strerror}")
        return None
    plan, problems = compile_plan(text, os.path.abspath(file), host, node)  # noqa: PTH100 - resolve() would follow links
    for problem in problems:
        (log.error if plan is None else log.warning)(_line(problem))
    return plan


def _line(problem: Problem) -> str:
    place = f"{problem.file}:{problem.line}:{problem.column}: " if problem.line else f"{problem.file}: "
    hint = f" ({problem.hint})" if problem.hint else ""
    return f"{place}{problem.severity.value}[{problem.code}]: {problem.text}{hint}"
