"""firstmate and keepalived with the same virtual routers on two hosts, and what their processes cost."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ear import clock_us
from keepalived import scheduling_of, tree
from timing import down_interval_us
from wires import HOSTS, Wires, host_address, vip

from firstmate.lab import kernel
from firstmate.model.units import MS, S, Micros

PRIORITIES = (254, 253)  # of HOSTS: what firstmate's `prefer` gives
SUBJECTS = ("firstmate", "keepalived", "keepalived-rt")

_CPUCLOCK_SCHED = 2  # linux/posix-timers.h: what the scheduler has counted, to the nanosecond
_PROTOCOL = "0070"  # 112, as /proc/net/raw has it
_DEATH_WAIT_S = 10.0
_END_WAIT_S = 15.0
_LINES, _TEXT_MAX = 6, 400  # of a log that tells of trouble


@dataclass(frozen=True, slots=True)
class Setting:
    routers: int  # on each wire, VRIDs from 1 on
    interval_us: Micros
    wires: int = 1
    garp_refresh: str = ""  # firstmate's; empty: as it comes
    priorities: tuple[int, ...] = PRIORITIES  # of HOSTS

    @property
    def count(self) -> int:
        return self.routers * self.wires

    @property
    def down_us(self) -> Micros:
        """Master_Down_Interval of the host that takes over."""
        return down_interval_us(self.interval_us, self.priorities[1])


@dataclass(slots=True)
class Twin:
    """The daemon of one host."""

    subject: str
    host: str
    wires: Wires
    setting: Setting
    directory: Path
    python: str = sys.executable  # the environment whose firstmate is measured
    _process: subprocess.Popen[bytes] | None = None
    _starts: int = 0
    _raw: int = field(default=-1)

    def start(self) -> None:
        self._starts += 1
        self.directory.mkdir(exist_ok=True)
        command = self._firstmate() if self.subject == "firstmate" else self._keepalived()
        environment = os.environ | {"FIRSTMATE_RUNTIME": str(self.directory / "run")}
        self._process = self.wires.hosts[self.host].start(command, self._log, environment)

    def is_open(self) -> bool:
        """Is there a socket of protocol 112 on every wire?"""
        if self._raw < 0:
            self._raw = self.wires.open_file(self.host, "raw")
        lines = os.pread(self._raw, 1 << 16, 0).decode().splitlines()[1:]
        return sum(line.split()[1].endswith(f":{_PROTOCOL}") for line in lines) >= self.setting.wires

    def pids(self) -> list[int]:
        """Every process of it, parents first; empty when it does not run."""
        if self._process is None or self._process.poll() is not None:
            return []
        return tree(self._process.pid)

    def scheduling(self) -> str:
        """Of the process that speaks VRRP."""
        return " and ".join(dict.fromkeys(scheduling_of(pid) for pid in self.pids()[1:2]))

    def kill(self) -> Micros:
        """All at once, so that nobody is left to say anything for the others; when that began."""
        assert self._process is not None
        pids, at_us = self.pids(), clock_us()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        self._process.wait(_DEATH_WAIT_S)
        deadline = time.monotonic() + _DEATH_WAIT_S
        while any(kernel.start_ticks(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.001)
        return at_us

    def close(self) -> None:
        """End it in good order, or else."""
        if self._raw >= 0:
            os.close(self._raw)
            self._raw = -1
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_WAIT_S)
                return
            self.kill()

    def trouble(self) -> str:
        """Why it does not run; "" when it does."""
        return "" if self.pids() else f"{self.host}: {self.subject} does not run: {self.said()}"

    def said(self) -> str:
        """The end of its log, on one line."""
        text = self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""
        return " / ".join(text.splitlines()[-_LINES:])[-_TEXT_MAX:]

    @property
    def _log(self) -> Path:
        return self.directory / "log"

    def _firstmate(self) -> list[str]:
        config = self.directory / "firstmate.toml"
        config.write_text(firstmate_toml(self.setting), encoding="utf-8")
        return [self.python, "-m", "firstmate", "run", "-c", str(config)]

    def _keepalived(self) -> list[str]:
        config = self.directory / "keepalived.conf"
        text = keepalived_conf(self.host, self.setting, realtime=self.subject == "keepalived-rt")
        config.write_text(text, encoding="utf-8")
        # New names each time: 2.2.7 will not start while its dead child, named in the old file, is not reaped.
        files = [f"--{name}={self.directory / name}.{self._starts}" for name in ("pid", "vrrp_pid", "checkers_pid")]
        return ["keepalived", "--dont-fork", "--log-console", "--vrrp", f"--use-file={config}", *files]


def firstmate_toml(setting: Setting) -> str:
    """As few keys as the task allows: everything else as it comes."""
    nodes = [f'[[node]]\nname = "{host}"\naddress = "{host_address(host, 0).ip}"\n' for host in HOSTS]
    priorities = ", ".join(f"{host} = {value}" for host, value in zip(HOSTS, setting.priorities, strict=True))
    refresh = f'garp_refresh = "{setting.garp_refresh}"\n' if setting.garp_refresh else ""
    routers = []
    for wire, number in _all(setting):
        where = ""
        if wire:
            sources = ", ".join(f'{host} = "{host_address(host, wire).ip}"' for host in HOSTS)
            where = f'interface = "eth{wire}"\nsource = {{ {sources} }}\n'
        elif setting.wires > 1:
            where = 'interface = "eth0"\n'
        routers.append(
            f'[[vrrp]]\nname = "r{wire}-{number + 1}"\nvrid = {number + 1}\npriority = {{ {priorities} }}\n'
            f'addresses = ["{vip(number, wire)}"]\nadvert_interval = "{setting.interval_us // MS}ms"\n'
            f'preempt_delay = "0s"\n{where}{refresh}'
        )
    return "\n".join(['[cluster]\nname = "bench"\n', *nodes, *routers])


def keepalived_conf(host: str, setting: Setting, *, realtime: bool) -> str:
    """The same for keepalived; it has no preempt delay unless told so."""
    rt = "  vrrp_rt_priority 50\n  vrrp_rlimit_rttime 500000\n" if realtime else ""
    blocks = [f"global_defs {{\n  router_id {host}\n  vrrp_version 3\n{rt}}}\n"]
    for wire, number in _all(setting):
        peers = " ".join(str(host_address(other, wire).ip) for other in HOSTS if other != host)
        blocks.append(
            f"vrrp_instance r{wire}-{number + 1} {{\n  state BACKUP\n  interface eth{wire}\n"
            f"  virtual_router_id {number + 1}\n  priority {setting.priorities[HOSTS.index(host)]}\n"
            f"  advert_int {setting.interval_us / S:g}\n  unicast_src_ip {host_address(host, wire).ip}\n"
            f"  unicast_peer {{\n    {peers}\n  }}\n"
            f"  virtual_ipaddress {{\n    {vip(number, wire)} dev eth{wire}\n  }}\n}}\n"
        )
    return "\n".join(blocks)


def vips(setting: Setting) -> set[str]:
    return {str(vip(number, wire).ip) for wire, number in _all(setting)}


def cpu_ns(pids: Sequence[int]) -> Mapping[int, int]:
    """What each process has used, with all its threads. One that has ended is left out."""
    used = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            used[pid] = time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED)
    return used


def pss(pid: int) -> int:
    """Proportional set size, in octets; 0 when it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return 0


def comm(pid: int) -> str:
    """Its name as `ps` shows it; "" when it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    return ""


def _all(setting: Setting) -> list[tuple[int, int]]:
    return [(wire, number) for wire in range(setting.wires) for number in range(setting.routers)]
