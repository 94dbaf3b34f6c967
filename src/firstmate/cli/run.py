"""`firstmate run`: the daemon, in the foreground, for systemd or a terminal."""

import os
import sys
from pathlib import Path

import click

from firstmate.cli.options import (
    EXIT_AGAIN,
    EXIT_CONFIG,
    EXIT_NOT_ALLOWED,
    EXIT_UNREACHABLE,
    Options,
    with_config,
    with_node,
)
from firstmate.config import report
from firstmate.config.compile import compile_plan, net_namespace_of
from firstmate.config.toml import TEXT_BYTES_MAX
from firstmate.linux.interfaces import read_host_facts
from firstmate.linux.process import enter_net_namespace
from firstmate.linux.secrets import read_secret
from firstmate.model.plan import Plan
from firstmate.supervisor import log
from firstmate.supervisor.loop import Supervisor
from firstmate.supervisor.runtime import DEFAULT, AlreadyRunning, NetworkTaken, Runtime, claim_network


@click.command(short_help="the daemon (systemd Type=notify)")
@with_config
@with_node
@click.pass_obj
def command(options: Options, node: str | None) -> int:
    """Run the daemon: VRRP, HAProxy, checks. Ends on SIGTERM; SIGHUP reads the file again."""
    file = os.path.abspath(options.config)  # noqa: PTH100 - resolve() would follow links
    plan = _compile(file, node)
    if plan is None:
        return EXIT_CONFIG
    path = Path(os.environ.get("FIRSTMATE_RUNTIME", DEFAULT))
    try:
        runtime = Runtime(path)
        claim = claim_network()
        supervisor = Supervisor(plan, runtime, lambda: _compile(file, plan.node, plan.net_namespace))
    except NetworkTaken as error:
        log.error(f"another firstmate (pid {error}) works in this network: each would take the other's addresses away")
        return EXIT_AGAIN
    except AlreadyRunning as error:
        log.error(f"another firstmate (pid {error}) runs in {path}: stop it first")
        return EXIT_AGAIN
    except PermissionError as error:
        log.error(f"{path} cannot be the runtime directory: {error.strerror}; run as root, or set FIRSTMATE_RUNTIME")
        return EXIT_NOT_ALLOWED
    except OSError as error:
        log.error(f"{path} cannot be the runtime directory: {error.strerror or error}")
        return EXIT_UNREACHABLE
    if claim is None:
        log.warning(
            "somebody else holds the name that tells one firstmate of another: see that no second one is started"
        )
    return supervisor.run()


def _compile(file: str, node: str | None, inside: str | None = None) -> Plan | None:
    """The plan of the file as it is now; None when it has errors. What is wrong goes to stderr.

    `inside` is the network namespace that we run in already ("": that we were started in); None: go where it says.
    """
    try:
        with Path(file).open("rb") as source:
            content = source.read(TEXT_BYTES_MAX + 1)
        namespace = net_namespace_of(content, file)
        if inside is None and namespace:
            enter_net_namespace(namespace)
        host = read_host_facts()
    except OSError as error:
        log.error(f"{error.filename or 'netlink'}: {error.strerror}")
        return None
    plan, problems = compile_plan(content, file, host, node, read_secret)
    if problems:
        end = "Nothing was changed." if plan is None else ""
        sys.stderr.write(report.render(problems, {file: content.decode(errors="replace")}, end=end) + "\n")
    if plan is not None and inside not in (None, plan.net_namespace):
        log.error("net_namespace cannot change while firstmate runs: restart it")
        return None
    return plan
