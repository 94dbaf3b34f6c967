import grp
import os
import pwd
import resource
from pathlib import Path

import pytest

from firstmate.ops import ground as module
from firstmate.ops.ground import NOFILE_MAX, survey

STATUS = "Name:\tfirstmate\nUid:\t0\t{uid}\t0\t0\nCapEff:\t{capabilities}\n"
LIMITS = (
    "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 {hard}               files\n"
)
ALL, NONE, NET_ADMIN = "000001ffffffffff", "0000000000000000", "0000000000001000"


class Host:
    """/proc and /sys of a host of our own making."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: dict[str, str] = {
            "/proc/7/status": STATUS.format(uid=0, capabilities=ALL),
            "/proc/7/limits": LIMITS.format(hard="20000"),
            "/proc/self/uid_map": "0 0 4294967295",
            "/proc/self/gid_map": "0 0 4294967295",
            "/proc/sys/net/ipv4/ip_nonlocal_bind": "0\n",
            "/sys/fs/cgroup/cpu.max": "max 100000\n",
        }
        monkeypatch.setattr(module, "_read", lambda path: self.files.get(str(path), ""))
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


def test_a_real_host() -> None:
    found = survey("/run/firstmate", os.getpid())
    assert found.runtime == "/run/firstmate"
    assert found.nofile == min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], NOFILE_MAX)
    assert 1 <= found.cpus <= (os.cpu_count() or 1)


def test_our_parent_is_the_supervisor_unless_said() -> None:
    assert survey("/r") == survey("/r", os.getppid())


@pytest.mark.parametrize(("hard", "nofile"), [("20000", 20_000), ("unlimited", NOFILE_MAX), ("1073741816", NOFILE_MAX)])
def test_descriptors(host: Host, hard: str, nofile: int) -> None:
    host.files["/proc/7/limits"] = LIMITS.format(hard=hard)
    assert survey("/r", 7).nofile == nofile


def test_descriptors_where_proc_is_hidden(host: Host) -> None:
    host.files.clear()
    assert survey("/r", 7).nofile == min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], NOFILE_MAX)


@pytest.mark.parametrize(
    ("quota", "cpus"), [("max 100000", 4), ("150000 100000", 2), ("50000 100000", 1), ("900000 100000", 4), ("", 4)]
)
def test_processors(host: Host, quota: str, cpus: int) -> None:
    host.files["/sys/fs/cgroup/cpu.max"] = quota
    assert survey("/r", 7).cpus == cpus


@pytest.mark.parametrize(
    ("capabilities", "sysctl", "transparent"),
    [(ALL, "0", True), (NET_ADMIN, "0", True), (NONE, "0", False), (NONE, "1", True), ("", "", False)],
)
def test_addresses_that_are_elsewhere(host: Host, capabilities: str, sysctl: str, transparent: bool) -> None:
    host.files["/proc/7/status"] = STATUS.format(uid=0, capabilities=capabilities)
    host.files["/proc/sys/net/ipv4/ip_nonlocal_bind"] = f"{sysctl}\n"
    assert survey("/r", 7).transparent is transparent


class User:
    pw_name, pw_uid, pw_gid = "haproxy", 107, 113


class Group:
    gr_name, gr_gid = "haproxy", 113


# fmt: off
USERS = {                     # supervisor, known in this namespace, haproxy exists -> user
    "root":                   (0,    "0 0 4294967295",  True,  "haproxy"),
    "no such user":           (0,    "0 0 4294967295",  False, None),
    "alone in a namespace":   (0,    "0 1000 1",        True,  None),
    "no root":                (1000, "0 0 4294967295",  True,  None),
}
# fmt: on


@pytest.mark.parametrize(("uid", "mapped", "exists", "user"), USERS.values(), ids=USERS)
def test_whom_haproxy_becomes(
    host: Host, monkeypatch: pytest.MonkeyPatch, uid: int, mapped: str, exists: bool, user: str | None
) -> None:
    def getpwnam(name: str) -> type[User]:
        if not exists:
            raise KeyError(name)
        return User

    monkeypatch.setattr(pwd, "getpwnam", getpwnam)
    monkeypatch.setattr(grp, "getgrgid", lambda _: Group)
    host.files["/proc/7/status"] = STATUS.format(uid=uid, capabilities=ALL)
    host.files["/proc/self/uid_map"] = host.files["/proc/self/gid_map"] = mapped
    found = survey("/r", 7)
    assert (found.user, found.group) == (user, user)
    assert found.socket_uid == (os.geteuid() if uid == 0 else None)


def test_a_file_that_is_not_there_reads_as_empty(tmp_path: Path) -> None:
    assert module._read(tmp_path / "nosuch") == ""
