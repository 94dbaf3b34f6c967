"""Debian's keepalived as a peer: its configuration, its processes, what it says and what of that is an error."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import TypeAlias

from tests.lab.log_file import StateLog
from tests.lab.netns import VIP, Site

from firstmate.model.addresses import Address
from firstmate.model.plan import Auth

Interface: TypeAlias = IPv4Interface | IPv6Interface

ENTERING = re.compile(r"\((\w+)\) Entering (\w+) STATE")

# Lines that a healthy pair must not cause. Left out on purpose: the two of an election ("lower priority advert ...
# forcing new election", "... discarding"), and "thread timer expired", which complains about a busy machine.
ERRORS = re.compile(
    r"error|fail|invalid|incorrect|bogus|malformed|mismatch|wrong|bad |expected|not present|can.?t send|unknown"
    r"|checksum|dropping|duplicate|ignoring|unable|not found",
    re.IGNORECASE,
)
# What it says in any namespace, about itself and before any packet.
HARMLESS = re.compile(r"default user 'keepalived_script'|Registering Kernel netlink|Command line|Configuration file|cgroup|realtime|SCHED_|rlimit", re.IGNORECASE)  # fmt: skip


def why_not() -> str:
    return "" if shutil.which("keepalived") else "needs keepalived (apt-get install keepalived)"


@dataclass(frozen=True, slots=True)
class Instance:
    """One `vrrp_instance`."""

    name: str = "web"
    vrid: int = 50
    version: int = 3
    priority: int = 100
    interval_s: float = 0.1
    vips: tuple[Interface, ...] = (VIP,)
    source: Address | None = None  # of unicast; None: multicast
    peers: tuple[Address, ...] = ()
    auth: Auth = Auth.NONE
    password: str = ""
    preempt: bool = True
    vmac: bool = False


class Keepalived:
    def __init__(self, site: Site, host: str, directory: Path, *instances: Instance) -> None:
        self.site, self.host, self.instances = site, host, instances
        self.directory = directory / f"keepalived-{host}"
        self.directory.mkdir()
        self.log = self.directory / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self._states = StateLog(self.log, ENTERING, lambda found: (found[1], found[2]))
        self._starts = 0

    def start(self) -> None:
        config = self.directory / "keepalived.conf"
        config.write_text("\n".join(map(_config, self.instances)))
        # New names each time: 2.2.7 will not start while its dead child, named in the old file, is not reaped.
        self._starts += 1
        self._states.begin()
        pids = [f"--{name}={self.directory / name}.{self._starts}" for name in ("pid", "vrrp_pid", "checkers_pid")]
        command = ["keepalived", "--dont-fork", "--log-console", "--log-detail", "--vrrp", f"--use-file={config}"]
        self.process = self.site.hosts[self.host].start([*command, *pids], self.log)

    def stop(self) -> float:
        """SIGTERM, and wait for the end."""
        assert self.process is not None
        at = time.time()
        self.process.terminate()
        assert self.process.wait(10) == 0, self.said()
        return at

    def kill(self) -> float:
        """All of it at once: left alone, its child would say priority 0 for the parent."""
        assert self.process is not None
        at = time.time()
        family = [self.process.pid, *_children(self.process.pid)]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in family:
                _signal(pid, number)
        self.process.wait(10)
        self.site.observer.wait(lambda: not any(map(_runs, family)), 5, "keepalived is dead")
        return at

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def state(self, name: str = "web") -> str:
        """MASTER, BACKUP or FAULT, as it said last; empty: nothing since its start."""
        return self._states.state(name)

    def wait(self, state: str, timeout_s: float = 9.0) -> None:
        self.site.observer.wait(lambda: self.state() == state, timeout_s, f"keepalived is {state}: {self.said()}")

    def errors(self) -> list[str]:
        return [line for line in self.said().splitlines() if ERRORS.search(line) and not HARMLESS.search(line)]


def _config(one: Instance) -> str:
    lines = [
        f"vrrp_instance {one.name} {{",
        "  state BACKUP",
        "  interface eth0",
        f"  virtual_router_id {one.vrid}",
        f"  version {one.version}",
        f"  priority {one.priority}",
        f"  advert_int {one.interval_s:g}",
        "  virtual_ipaddress {",
        *(f"    {vip} dev eth0" for vip in one.vips),
        "  }",
    ]
    if one.source is not None:
        lines += [f"  unicast_src_ip {one.source}", "  unicast_peer {", *(f"    {peer}" for peer in one.peers), "  }"]
    if one.auth is not Auth.NONE:
        kind = one.auth.value.upper()
        lines += ["  authentication {", f"    auth_type {kind}", f"    auth_pass {one.password}", "  }"]
    if not one.preempt:
        lines += ["  nopreempt"]
    if one.vmac:
        lines += ["  use_vmac"]
    return "\n".join([*lines, "}", ""])


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False
