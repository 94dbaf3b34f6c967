"""What this host and our supervisor, which starts HAProxy, can give it. Blocking, for some microseconds: /proc."""

import grp
import math
import os
import pwd
import resource
from pathlib import Path

from firstmate.haproxy.ground import Ground

HAPROXY_USER = "haproxy"  # what distributions make for it
CAP_NET_ADMIN = 12
NOFILE_MAX = 1_000_000  # without a limit HAProxy would take memory for every descriptor there could be


def survey(runtime: str, supervisor: int | None = None) -> Ground:
    """Look at the host. `supervisor`: its process id; None: our parent."""
    proc = Path("/proc") / str(supervisor or os.getppid())
    status = _fields(proc / "status")
    root = status.get("Uid", "").split()[1:2] == ["0"]
    haproxy = _haproxy_ids() if root else None
    return Ground(
        runtime=runtime,
        nofile=min(_nofile(proc), NOFILE_MAX),
        cpus=_cpus(),
        transparent=_may_bind_foreign(status),
        user=haproxy and HAPROXY_USER,
        group=haproxy and haproxy[1],
        socket_uid=os.geteuid() if root else None,
        socket_gid=os.getegid() if root else None,
    )


def _haproxy_ids() -> tuple[str, str] | None:
    """User and group for HAProxy, where they exist and this user namespace knows them."""
    try:
        user = pwd.getpwnam(HAPROXY_USER)
        group = grp.getgrgid(user.pw_gid)
    except KeyError:
        return None
    known = _maps(Path("/proc/self/uid_map"), user.pw_uid) and _maps(Path("/proc/self/gid_map"), group.gr_gid)
    return (user.pw_name, group.gr_name) if known else None


def _maps(path: Path, number: int) -> bool:
    spans = [[int(word) for word in line.split()] for line in _read(path).splitlines()]
    return any(first <= number < first + count for first, _, count in spans)


def _may_bind_foreign(status: dict[str, str]) -> bool:
    """Bind addresses that are elsewhere now: `transparent` needs CAP_NET_ADMIN; the sysctl needs nothing."""
    capable = bool(int(status.get("CapEff", "0").strip() or "0", 16) >> CAP_NET_ADMIN & 1)
    return capable or _read(Path("/proc/sys/net/ipv4/ip_nonlocal_bind")).strip() == "1"


def _nofile(proc: Path) -> int:
    for line in _read(proc / "limits").splitlines():
        if line.startswith("Max open files"):
            hard = line.split()[4]
            return NOFILE_MAX if hard == "unlimited" else int(hard)
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def _cpus() -> int:
    """Processors that we may use, also under a quota of the control group."""
    allowed = len(os.sched_getaffinity(0))
    quota, _, period = _read(Path("/sys/fs/cgroup/cpu.max")).strip().partition(" ")
    if quota.isdigit() and period.isdigit() and int(period):
        return max(1, min(allowed, math.ceil(int(quota) / int(period))))
    return allowed


def _fields(path: Path) -> dict[str, str]:
    return dict(line.split(":", 1) for line in _read(path).splitlines() if ":" in line)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
