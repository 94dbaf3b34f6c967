"""FRR's zebra and vrrpd as a peer (Debian's package frr), in a namespace and a directory of their own.

vrrpd speaks multicast only, without authentication. It wants an interface with the virtual MAC and the virtual
addresses for each virtual router, which it switches off (protodown, by zebra) while it is BACKUP.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

from tests.lab.log_file import StateLog
from tests.lab.netns import Site

Interface: TypeAlias = IPv4Interface | IPv6Interface

PROGRAMS = "/usr/lib/frr"
USER = "frr"  # its daemons drop to it, and read and write as it
LATE_READY_S = 10
WORDS = {"Master": "MASTER", "Backup": "BACKUP", "Initialize": "INIT"}
CHANGE = re.compile(r"\[VRID (\d+)\] \[IPv(\d)\] \w+ -> (\w+)")


def why_not() -> str:
    return "" if shutil.which("vrrpd", path=PROGRAMS) else "needs FRR's vrrpd (apt-get install frr)"


@dataclass(frozen=True, slots=True)
class Instance:
    """One virtual router. Those of the same VRID in both families share everything but the addresses."""

    vrid: int
    version: int
    priority: int  # 1..254
    interval_s: float
    vips: tuple[Interface, ...]
    preempt: bool = True

    @property
    def family(self) -> int:
        return self.vips[0].version

    @property
    def link(self) -> str:
        return f"vrrp{self.family}-{self.vrid}"


class Frr:
    def __init__(self, site: Site, host: str, instances: Sequence[Instance]) -> None:
        self.site, self.host = site, host
        self.instances = sorted(instances, key=lambda one: (one.vrid, one.family))
        # Not below pytest's directory, into which only root can look.
        self.directory = Path(tempfile.mkdtemp(prefix="frr-"))
        shutil.chown(self.directory, USER, USER)
        self.log = self.directory / "vrrpd.log"
        self._states = StateLog(self.log, CHANGE, lambda found: (f"{found[1]}/{found[2]}", WORDS[found[3]]))
        self._processes: list[subprocess.Popen[bytes]] = []
        self._make_links()

    def start(self) -> None:
        self._states.begin()
        for name in ("zserv.api", "vrrpd.vty"):
            (self.directory / name).unlink(missing_ok=True)
        (self.directory / "zebra.conf").write_text("")
        (self.directory / "vrrpd.conf").write_text(self._config())
        self._processes = []
        for program, shows in (("zebra", "zserv.api"), ("vrrpd", "vrrpd.vty")):
            self._processes.append(self._start(program))
            self.site.observer.wait((self.directory / shows).exists, LATE_READY_S, f"{program} is ready: {self.said()}")

    def stop(self) -> float:
        """SIGTERM to vrrpd, which says priority 0, then to zebra; wait for the end of both."""
        at = time.time()
        for process in reversed(self._processes):
            process.terminate()
            process.wait(10)
        return at

    def kill(self) -> float:
        at = time.time()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            self._signal(number)
        for process in self._processes:
            process.wait(10)
        return at

    def pause(self, *, on: bool) -> None:
        self._signal(signal.SIGSTOP if on else signal.SIGCONT)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.directory)

    def state(self, vrid: int, family: int) -> str:
        """MASTER, BACKUP or INIT, as it logged last; empty: nothing since its start."""
        return self._states.state(f"{vrid}/{family}")

    def said(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(line for line in lines if "Refusing to start" not in line)

    def show(self, command: str = "show vrrp json") -> str:
        """What vrrpd answers on its terminal."""
        with socket.socket(socket.AF_UNIX) as terminal:
            terminal.settimeout(5)
            terminal.connect(str(self.directory / "vrrpd.vty"))
            said = b""
            for words in ("enable", command):
                terminal.sendall(words.encode() + b"\0")
                said = b""
                while said[-4:-1] != b"\0\0\0":  # three zeros and a status
                    said += terminal.recv(65_536)
        return said[:-4].decode()

    def _start(self, program: str) -> subprocess.Popen[bytes]:
        here = self.directory
        command = [f"{PROGRAMS}/{program}", "-z", f"{here}/zserv.api", "-i", f"{here}/{program}.pid"]
        command += ["--vty_socket", str(here), "-f", f"{here}/{program}.conf", "-P", "0"]
        command += ["--log", f"file:{here}/{program}.log"]
        return self.site.hosts[self.host].start(command, here / f"{program}.out")

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)

    def _make_links(self) -> None:
        host = self.site.hosts[self.host]
        with host.entered():
            # Or eth0 would answer for the addresses of interfaces that are switched off, and ask with them.
            for name, value in (("arp_ignore", "1"), ("arp_announce", "2")):
                Path(f"/proc/sys/net/ipv4/conf/all/{name}").write_text(value)
        commands = []
        for one in self.instances:
            mac = f"00:00:5e:00:{1 if one.family == 4 else 2:02x}:{one.vrid:02x}"
            commands += [
                f"link add {one.link} link eth0 type macvlan mode bridge",
                # All routers of the VRID would have the same link-local address by EUI-64, and none would win a tie.
                f"link set {one.link} addrgenmode {'random' if one.family == 6 else 'none'}",
                f"link set {one.link} address {mac}",
                *(f"addr add {_own(vip)} dev {one.link}" for vip in one.vips),
                f"link set {one.link} up",
            ]
        host.ip(*commands)

    def _config(self) -> str:
        lines = ["interface eth0"]
        for vrid, instances in groupby(self.instances, key=lambda one: one.vrid):
            families = list(instances)
            one = families[0]
            lines += [
                f" vrrp {vrid} version {one.version}",
                f" vrrp {vrid} priority {one.priority}",
                f" vrrp {vrid} advertisement-interval {one.interval_s * 1000:.0f}",
                *([] if one.preempt else [f" no vrrp {vrid} preempt"]),
                *(
                    f" vrrp {vrid} ip{'v6' if vip.version == 6 else ''} {vip.ip}"
                    for one in families
                    for vip in one.vips
                ),
            ]
        return "\n".join([*lines, ""])


def _own(vip: Interface) -> str:
    """No network comes with it but that of link-local addresses."""
    if vip.ip.is_link_local:
        return f"{vip.ip}/64"
    return f"{vip.ip}/{vip.max_prefixlen}"
