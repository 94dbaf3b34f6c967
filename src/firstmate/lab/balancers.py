"""What runs on the load balancers: firstmate here, keepalived in the benches, anything in a test.

Faults and the demo speak to a `Balancer`; they know no daemon by name.
"""

import http.client
import json
import signal
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from firstmate.lab.lab import Lab, LabHost, ProcessView, wait_until
from firstmate.lab.topology import firstmate_toml
from firstmate.lab.wire import LabError
from firstmate.model import jsonable
from firstmate.model.status import Status
from firstmate.model.units import S, Micros

API_SOCKET = "/run/firstmate/api.sock"
JOURNAL = "/run/firstmate/ops/journal.jsonl"
CONFIG = "firstmate.toml"

_STATUS_WAIT_S = 2.0
_STATUS_BYTES_MAX = 1024 * 1024
_STOP_WAIT_US: Micros = 10 * S


class Balancer(Protocol):
    """A way of running failover and HAProxy on a host."""

    name: str
    mends_haproxy: bool  # it starts HAProxy again by itself

    def prepare(self, lab: Lab) -> None:
        """Write the files that the daemons will read."""

    def start(self, host: LabHost) -> None:
        """Start the daemon, which brings HAProxy with it; return without waiting for it to serve."""

    def start_haproxy(self, host: LabHost) -> None:
        """Start HAProxy alone; asked only of those that do not mend it themselves."""

    def stop(self, host: LabHost) -> Micros:
        """Ask the daemon to end in good order; returns when it was asked, without waiting."""

    def daemon(self, processes: Sequence[ProcessView]) -> list[ProcessView]:
        """Which of a host's processes are the daemon's own: HAProxy is not."""

    def part(self, processes: Sequence[ProcessView], name: str) -> list[ProcessView]:
        """The processes of the daemon's part `name`, "pulse" or "ops"; empty when it has no such part."""

    def trouble(self, host: LabHost) -> str:
        """Why this host could not lead now; "" when it leads or could."""


class Firstmate:
    """The real daemon, with the same file on every load balancer."""

    name = "firstmate"
    mends_haproxy = True

    def __init__(self, *, advert_interval: str = "100ms", preempt_delay: str = "1s", config: str = "") -> None:
        """`config` replaces the whole file, for those who want another."""
        self._advert_interval = advert_interval
        self._preempt_delay = preempt_delay
        self._config = config

    def prepare(self, lab: Lab) -> None:
        text = self._config or firstmate_toml(lab.site, self._advert_interval, self._preempt_delay)
        (lab.directory / CONFIG).write_text(text, encoding="utf-8")

    def start(self, host: LabHost) -> None:
        argv = [sys.executable, "-m", "firstmate", "run", "-c", str(host.lab.directory / CONFIG)]
        host.spawn(argv, log="firstmate.log").close()

    def start_haproxy(self, host: LabHost) -> None:
        raise LabError(f"{host.name}: firstmate starts HAProxy itself")

    def stop(self, host: LabHost) -> Micros:
        return host.lab.kill(self.part(host.processes(), "run"), signal.SIGTERM)

    def daemon(self, processes: Sequence[ProcessView]) -> list[ProcessView]:
        return [process for process in processes if _part_of_firstmate(process.argv)]

    def part(self, processes: Sequence[ProcessView], name: str) -> list[ProcessView]:
        return [process for process in processes if _part_of_firstmate(process.argv) == name]

    def trouble(self, host: LabHost) -> str:
        try:
            status = read_status(host)
        except LabError as error:
            return f"{host.name}: {error}"
        if status.haproxy is not None and not status.haproxy.up:
            return f"{host.name}: HAProxy {status.haproxy.why or 'is not up'}"
        if status.haproxy is not None and status.haproxy.servers_up < status.haproxy.servers_total:
            return f"{host.name}: {status.haproxy.servers_up} of {status.haproxy.servers_total} servers up"
        states = [router.state for router in status.routers]
        if not states or any(state not in {"MASTER", "BACKUP"} for state in states):
            return f"{host.name}: {', '.join(states) or 'no virtual router yet'}"
        return ""


def read_status(host: LabHost) -> Status:
    """Ask the firstmate of this host. Raises `LabError` when it does not answer in time or in form."""
    connection = http.client.HTTPConnection("localhost", timeout=_STATUS_WAIT_S)
    connection.sock = host.connect(API_SOCKET)
    connection.sock.settimeout(_STATUS_WAIT_S)
    try:
        connection.request("GET", "/status")
        answer = connection.getresponse()
        body = answer.read(_STATUS_BYTES_MAX)
    except (OSError, http.client.HTTPException) as error:
        raise LabError(f"firstmate on {host.name} does not answer: {error}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise LabError(f"firstmate on {host.name} answers {answer.status}")
    try:
        return jsonable.loads(Status, body)
    except jsonable.BadJson as error:
        raise LabError(f"firstmate on {host.name} answers what is no status: {error}") from error


def read_journal(host: LabHost) -> list[dict[str, object]]:
    """What firstmate wrote down on this host, oldest first; empty when it wrote nothing yet."""
    try:
        lines = host.read_text(JOURNAL).splitlines()
    except LabError:
        return []
    entries = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # a line that is just being written
        if isinstance(entry, dict):
            entries.append(entry)
    return entries


def start_all(lab: Lab, balancer: Balancer) -> None:
    """Prepare and start the daemon on every load balancer."""
    balancer.prepare(lab)
    for host in lab.balancers:
        balancer.start(host)


def wait_whole(lab: Lab, balancer: Balancer, timeout_us: Micros, *, leader: str = "") -> None:
    """Wait until one host, `leader` if given, has the address, and every other could take it.

    Raises `LabError` with what is still missing.
    """
    wait_until(lambda: _missing(lab, balancer, leader), timeout_us, "making the site whole", poll_us=S // 20)


def wait_stopped(host: LabHost, balancer: Balancer) -> None:
    """Wait until the daemon of that host has ended. Raises `LabError`."""
    wait_until(
        lambda: "the daemon still runs" if balancer.daemon(host.processes()) else "",
        _STOP_WAIT_US,
        f"stopping {balancer.name} on {host.name}",
    )


def haproxy(processes: Sequence[ProcessView]) -> list[ProcessView]:
    """HAProxy's processes, master and workers."""
    return [process for process in processes if process.argv and process.argv[0].rpartition("/")[2] == "haproxy"]


def haproxy_workers(processes: Sequence[ProcessView]) -> list[ProcessView]:
    """Those that carry traffic; HAProxy run without a master is its own worker."""
    every = haproxy(processes)
    pids = {process.pid for process in every}
    workers = [process for process in every if process.parent in pids]
    return workers or every


def _missing(lab: Lab, balancer: Balancer, leader: str) -> str:
    holders = [host.name for host in lab.balancers if host.holds_vip()]
    if len(holders) != 1:
        return f"{lab.site.vip} is on {' and '.join(holders) or 'no host'}"
    if leader and holders[0] != leader:
        return f"{lab.site.vip} is still on {holders[0]}, not on {leader}"
    troubles = (balancer.trouble(host) for host in lab.balancers)
    return next((trouble for trouble in troubles if trouble), "")


def _part_of_firstmate(argv: Sequence[str]) -> str:
    """Which part of firstmate these words start: "run" (the supervisor), "pulse", "ops", or "" for none."""
    for before, word in pairwise(argv):
        if before == "-m" and word in {"firstmate.pulse", "firstmate.ops"}:
            return word.rpartition(".")[2]
        if word == "run" and (before == "firstmate" or before.endswith("/firstmate")):
            return "run"
    return ""
