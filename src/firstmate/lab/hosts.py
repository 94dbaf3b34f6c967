"""A host: network, mount, process, hostname and IPC namespaces, held open by an init of its own.

Nothing has a name outside: when the init ends, the kernel ends every process in it and takes the namespaces down.
Used by the keeper only, which must run one thread.
"""

import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from firstmate.lab import kernel
from firstmate.lab.topology import Role

_KINDS = {
    "mnt": kernel.CLONE_NEWNS,
    "net": kernel.CLONE_NEWNET,
    "uts": kernel.CLONE_NEWUTS,
    "ipc": kernel.CLONE_NEWIPC,
}
_ERROR_BYTES_MAX = 4096

# Written inside each host before its interface exists, so that they hold for it too.
_SYSCTLS = {
    "net/ipv6/conf/default/accept_dad": "0",  # an address must not wait for duplicate detection
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv4/ping_group_range": "0 0",
}
_CLIENT_SYSCTLS = {
    "net/ipv4/ip_local_port_range": "1024 65535",  # 500 new connections a second, each port rests for a minute
    "net/ipv4/tcp_tw_reuse": "1",
}


@dataclass(frozen=True, slots=True)
class Host:
    name: str
    pid: int  # of its init
    pid_namespace: int  # inode: tells which host a process belongs to
    pid_fd: int
    fds: dict[str, int]  # namespace kind -> descriptor

    @property
    def net(self) -> int:
        return self.fds["net"]


def create(name: str, role: Role, lab_directory: Path) -> Host:
    """Fork the init of a new host and wait until its namespaces stand. Raises `OSError` with the step that failed."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    done_read, done_write = os.pipe()
    kernel.unshare(kernel.CLONE_NEWPID)
    pid = os.fork()
    if pid == 0:
        _run_init(name, role, lab_directory, done_write)
    # A second unshare is refused unless our children are back in our own process namespace.
    kernel.setns(own, kernel.CLONE_NEWPID)
    os.close(done_write)
    os.close(own)
    with os.fdopen(done_read, "rb") as done:
        answer = done.read(_ERROR_BYTES_MAX).decode()
    if answer != "ready":
        message = f"host {name}: {answer or 'its init ended'}"
        raise OSError(message)
    fds = {kind: os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in _KINDS}
    pid_fd = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    return Host(name, pid, os.fstat(pid_fd).st_ino, pid_fd, fds)


def spawn(host: Host, argv: Sequence[str], env: Mapping[str, str], stdio: Sequence[int], *, tty: bool = False) -> int:
    """Start a program inside the host and return its pid as the keeper sees it.

    `stdio` are the three standard descriptors. `tty`: the first is a terminal that becomes the controlling one.
    Raises `OSError` when the program cannot be executed.
    """
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    failed_read, failed_write = os.pipe()
    kernel.setns(host.pid_fd, kernel.CLONE_NEWPID)
    pid = os.fork()
    if pid == 0:
        _become(host, argv, env, stdio, failed_write, tty=tty)
    kernel.setns(own, kernel.CLONE_NEWPID)
    os.close(failed_write)
    os.close(own)
    with os.fdopen(failed_read, "rb") as failed:
        reason = failed.read(_ERROR_BYTES_MAX).decode()
    if reason:
        os.waitpid(pid, 0)
        message = f"host {host.name}: {argv[0]}: {reason}"
        raise OSError(message)
    return pid


def _become(
    host: Host, argv: Sequence[str], env: Mapping[str, str], stdio: Sequence[int], failed: int, *, tty: bool
) -> NoReturn:
    try:
        for kind, fd in host.fds.items():
            kernel.setns(fd, _KINDS[kind])
        os.setsid()
        for target, fd in enumerate(stdio):
            os.dup2(fd, target)
        if tty:
            _take_terminal()
        for sig in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(sig, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.chdir("/")
        os.execvpe(argv[0], list(argv), dict(env))
    except OSError as error:
        os.write(failed, (error.strerror or str(error)).encode()[:_ERROR_BYTES_MAX])
    finally:
        os._exit(127)


def _take_terminal() -> None:
    import fcntl  # noqa: PLC0415  (only for `lab shell`)
    import termios  # noqa: PLC0415

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _run_init(name: str, role: Role, lab_directory: Path, done: int) -> NoReturn:
    try:
        try:
            _furnish(name, role, lab_directory)
        except OSError as error:
            os.write(done, str(error).encode()[:_ERROR_BYTES_MAX])
            os._exit(1)
        os.write(done, b"ready")
        _reap_for_ever()
    finally:
        os._exit(1)


def _furnish(name: str, role: Role, lab_directory: Path) -> None:
    kernel.set_process_name(f"lab:{name}")
    kernel.unshare(kernel.CLONE_NEWNET | kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC)
    socket.sethostname(name)
    kernel.mount("", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    _own_run(lab_directory)
    kernel.mount("proc", "/proc", "proc")
    _own_sys()
    sysctls = _SYSCTLS | (_CLIENT_SYSCTLS if role is Role.CLIENT else {})
    for key, value in sysctls.items():
        with suppress(OSError):  # a kernel without IPv6 has nothing to set
            Path("/proc/sys", key).write_text(value, encoding="ascii")


def _own_run(lab_directory: Path) -> None:
    """Give the host a /run (and /var/lib/firstmate) of its own that still shows the lab's directory."""
    fd = os.open(lab_directory, os.O_PATH)
    kernel.mount("lab", "/run", "tmpfs", data="mode=755,size=64m")
    if lab_directory.is_relative_to("/run"):
        lab_directory.mkdir(parents=True)
        kernel.mount(f"/proc/self/fd/{fd}", str(lab_directory), "", kernel.MS_BIND)
    os.close(fd)
    if Path("/var/lib/firstmate").is_dir():
        kernel.mount("lab", "/var/lib/firstmate", "tmpfs", data="mode=755,size=64m")


def _own_sys() -> None:
    """Show /sys/class/net of this host; keep the control groups where they were."""
    with suppress(OSError):
        groups = os.open("/sys/fs/cgroup", os.O_PATH)
        kernel.mount("sysfs", "/sys", "sysfs")
        kernel.mount(f"/proc/self/fd/{groups}", "/sys/fs/cgroup", "", kernel.MS_BIND | kernel.MS_REC)
        os.close(groups)


def _reap_for_ever() -> NoReturn:
    """Be the host's process 1: bury orphans, hold the namespaces, hold nothing else."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    os.closerange(3, 4096)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    sys.stdin = sys.stdout = sys.stderr = None
    while True:
        signal.sigwait({signal.SIGCHLD})
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
