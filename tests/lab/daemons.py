"""Two real daemons in a lab of their own, and what a test asks of them."""

import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from firstmate.lab import state
from firstmate.lab.balancers import CONFIG, Firstmate, haproxy, read_journal, read_status, wait_whole
from firstmate.lab.faults import Scene
from firstmate.lab.lab import Lab, LabHost, Process, ProcessView, wait_until
from firstmate.lab.sightings import Kind, Sighting
from firstmate.lab.topology import firstmate_toml, standard_site
from firstmate.lab.wire import LabError, NotAllowed
from firstmate.model.units import S, Micros

SOON_US: Micros = 40 * S  # a loaded machine is slow, not wrong
RUN = [sys.executable, "-m", "firstmate"]

# What a host says of its own processes: the state, the rights and the descriptors of each.
_CENSUS = """
import json, os, re
found = []
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        status = dict(re.findall(r"^(\\w+):\\s*(.*)$", open(f"/proc/{pid}/status").read(), re.M))
        fds = {fd: os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        words = open(f"/proc/{pid}/cmdline").read().split("\\0")
    except OSError:
        continue
    found.append({"pid": int(pid), "status": status, "fds": fds, "words": words})
print(json.dumps(found))
"""


class Daemons(Firstmate):
    """Starts firstmate so that its exit code is known; `env` is added to what it sees."""

    def __init__(self, config: str) -> None:
        super().__init__(config=config)
        self.started: dict[str, Process] = {}
        self.env: dict[str, str] = {}
        self.argv = [*RUN, "run"]

    def start(self, host: LabHost) -> None:
        if host.name in self.started:
            self.started[host.name].close()
        argv = [*self.argv, "-c", str(host.lab.directory / CONFIG)]
        self.started[host.name] = host.spawn(argv, env=self.env, log="firstmate.log")


class Pair:
    """lb-a, which leads when all is well, and lb-b."""

    def __init__(self, lab: Lab, config: str) -> None:
        self.lab, self.config = lab, config
        self.daemons = Daemons(config)
        self.scene = Scene(lab, self.daemons)
        self.a, self.b = lab.host("lb-a"), lab.host("lb-b")
        self._marks: dict[str, int] = {}
        self._digest = ""

    def make_whole(self) -> None:
        """Everything runs and lb-a leads; what was said so far is past."""
        self.daemons.env, self.daemons.argv = {}, [*RUN, "run"]
        self.write(self.config)
        self.scene.heal()
        self.until(lambda: [host.name for host in (self.a, self.b) if not read_digest(host)], "every daemon's answer")
        self._digest = self._digest or read_digest(self.a)
        for host in (self.a, self.b):
            if read_digest(host) != self._digest:
                self.reload(host)
        self.until(lambda: {read_digest(self.a), read_digest(self.b)} - {self._digest}, "the plain configuration")
        wait_whole(self.lab, self.daemons, SOON_US, leader="lb-a")
        self.mark()

    def mark(self) -> None:
        self._marks = {host.name: len(self.whole_log(host)) for host in (self.a, self.b)}

    def write(self, config: str) -> None:
        (self.lab.directory / CONFIG).write_text(config, encoding="utf-8")

    def reload(self, *hosts: LabHost) -> None:
        for host in hosts or (self.a, self.b):
            self.lab.kill(self.part(host, "run"), signal.SIGHUP)

    def part(self, host: LabHost, name: str) -> list[ProcessView]:
        return self.daemons.part(host.processes(), name)

    def kill(self, host: LabHost, name: str, number: int = signal.SIGKILL) -> Micros:
        found = self.part(host, name)
        assert found, f"{name} does not run on {host.name}"
        return self.lab.kill(found, number)

    def haproxy_pids(self, host: LabHost) -> list[int]:
        return sorted(process.pid for process in haproxy(host.processes()) if "-W" in process.argv)

    def whole_log(self, host: LabHost) -> str:
        file = host.directory / "firstmate.log"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def log(self, host: LabHost) -> str:
        """What was said since the last `mark`."""
        return self.whole_log(host)[self._marks.get(host.name, 0) :]

    def hears(self, host: LabHost, *texts: str) -> None:
        """Wait until the log of this host has every text."""
        self.until(lambda: [text for text in texts if text not in self.log(host)], f"the log of {host.name}")

    def until(self, missing: Callable[[], Any], what: str) -> None:
        """Wait until `missing` returns nothing."""

        def condition() -> str:
            try:
                found = missing()
            except LabError as error:
                return str(error)
            return str(found) if found else ""

        wait_until(condition, SOON_US, what)

    def until_leads(self, name: str) -> None:
        self.until(lambda: "" if self.lab.leader() == name else f"{self.lab.leader() or 'nobody'} leads", name)

    def until_gone(self, host: LabHost) -> None:
        self.until(lambda: [process.argv for process in host.processes()], f"the end of {host.name}")

    def census(self, host: LabHost) -> list[dict[str, Any]]:
        """Every process of the host as /proc has it, its init left out."""
        done = host.run([sys.executable, "-c", _CENSUS])
        assert done.returncode == 0, done.stderr
        return [process for process in json.loads(done.stdout) if process["pid"] != 1]

    def transitions(self, host: LabHost) -> list[tuple[str, int]]:
        """(state, when) of every change that the host's journal has."""
        entries = [entry for entry in read_journal(host) if entry.get("event") == "transition"]
        return [(str(entry["to"]), int(str(entry["at_us"]))) for entry in entries]


def read_digest(host: LabHost) -> str:
    """The configuration that runs there; "" when nothing answers."""
    try:
        status = read_status(host)
    except LabError:
        return ""
    return next(node.config for node in status.nodes if node.this)


def resignations(seen: list[Sighting], host: str) -> list[Micros]:
    return [one.at_us for one in seen if one.host == host and one.kind is Kind.ADVERT and one.priority == 0]


def claims(seen: list[Sighting], host: str, after_us: Micros = 0) -> list[Micros]:
    found = [one for one in seen if one.host == host and one.kind is Kind.ARP]
    return [one.at_us for one in found if one.at_us > after_us]


@contextmanager
def pair(name: str, changes: Mapping[str, str] | None = None, webs: int = 2) -> Iterator[Pair]:
    """A lab whose configuration is the lab's own, with texts replaced. Skips where the kernel allows no lab."""
    lab = Lab(standard_site(webs=webs), name=name)
    config = firstmate_toml(lab.site, "100ms", "500ms")
    for before, after in (changes or {}).items():
        assert before in config
        config = config.replace(before, after)
    try:
        lab.up()
    except NotAllowed as error:
        pytest.skip(str(error))
    try:
        yield Pair(lab, config)
    finally:
        lab.down()
        state.clear(state.directory_of(name))
