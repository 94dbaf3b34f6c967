"""`python -m firstmate.lab.keeper`: holds one lab, and does what clients ask through its socket.

Two processes. The guardian stays outside: it waits, and removes the lab's directory when the keeper has ended.
The keeper is process 1 of a process namespace in which all hosts live: when it ends, however it ends, the kernel
ends everything in the lab. It ends when asked, when its guardian dies, or, until `detach`, when the client that
made it goes away.
"""

import argparse
import errno
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from firstmate.lab import hosts, kernel, state, wire
from firstmate.lab.hosts import Host
from firstmate.lab.state import CONTROL
from firstmate.lab.topology import Site
from firstmate.lab.wire import Document, LabError
from firstmate.lab.wiring import Wiring
from firstmate.model import jsonable

_CLIENTS_MAX = 64
_EXITS_MAX = 4096  # exit codes remembered; the oldest go first
_PACKET_BUFFER_BYTES = 4 * 1024 * 1024  # some minutes of adverts and ARPs

Answer = tuple[Document, list[int]]

_NOT_ALLOWED = (
    "this kernel does not let an ordinary user make namespaces ({error}): run the lab as root, or allow it with"
    " `sysctl -w kernel.unprivileged_userns_clone=1` (Debian)"
    " or `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu)"
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m firstmate.lab.keeper")
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument(
        "--lifeline", type=int, required=True, help="descriptor of the socket to the client that made us"
    )
    options = parser.parse_args()
    lifeline = socket.socket(fileno=options.lifeline)
    try:
        _enter_namespaces()
    except OSError as error:
        wire.send(lifeline, _refusal(error))
        sys.exit(1)
    keeper = os.fork()
    if keeper == 0:
        _run_keeper(options.directory, lifeline)
    lifeline.close()
    _guard(options.directory, keeper)


def _refusal(error: OSError) -> Document:
    if error.errno in {errno.EPERM, errno.EACCES, errno.ENOSPC, errno.EINVAL}:
        return {"error": _NOT_ALLOWED.format(error=error), "not_allowed": True}
    return {"error": f"the lab's keeper cannot begin: {error}"}


def _enter_namespaces() -> None:
    if os.geteuid() != 0:
        kernel.become_user_root()
    # Our own network too: one can only come back to a network that one may administer.
    kernel.unshare(kernel.CLONE_NEWPID | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC)


def _guard(directory: Path, keeper: int) -> None:
    kernel.set_process_name("lab:guardian")
    with suppress(FileNotFoundError):  # the keeper failed already, and its client has cleared up
        state.record(directory, {"guardian": os.getpid(), "keeper": keeper})
    for sig in (signal.SIGINT, signal.SIGHUP):
        signal.signal(sig, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(keeper, signal.SIGKILL))
    os.waitpid(keeper, 0)
    state.remove(directory)


def _run_keeper(directory: Path, lifeline: socket.socket) -> NoReturn:
    status = 1
    try:
        kernel.die_with_parent()
        kernel.set_process_name("lab:keeper")
        kernel.unshare(kernel.CLONE_NEWNS)  # here, so that the guardian keeps the /proc in which it can see us
        kernel.mount("", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
        kernel.mount("proc", "/proc", "proc")
        Keeper(directory, lifeline).serve()
        status = 0
    except OSError as error:
        with suppress(OSError):
            wire.send(lifeline, _refusal(error))
    finally:
        os._exit(status)


class Keeper:
    """Serves requests one at a time; none of them waits for anything slow."""

    def __init__(self, directory: Path, lifeline: socket.socket) -> None:
        self._directory = directory
        self._lifeline = lifeline
        self._attached = True
        self._going_down = False
        self._hosts: dict[str, Host] = {}
        self._wiring: Wiring | None = None
        self._site: Site | None = None
        self._notes: dict[str, Any] = {}
        self._exits: dict[int, int] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(lifeline, selectors.EVENT_READ, self._on_request)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(directory / CONTROL))
        self._listener.listen(_CLIENTS_MAX)
        self._selector.register(self._listener, selectors.EVENT_READ, self._on_client)
        self._ops: dict[str, Callable[..., Document | Answer]] = {
            name.removeprefix("do_"): getattr(self, name) for name in dir(self) if name.startswith("do_")
        }

    def serve(self) -> None:
        wire.send(self._lifeline, {"ready": True})
        while not self._going_down:
            for key, _ in self._selector.select(timeout=1.0):  # once a second at least, to bury the dead
                key.data(key.fileobj)
            self._reap()

    def _on_client(self, listener: socket.socket) -> None:
        client, _ = listener.accept()
        if len(self._selector.get_map()) > _CLIENTS_MAX:
            client.close()
            return
        self._selector.register(client, selectors.EVENT_READ, self._on_request)

    def _on_request(self, client: socket.socket) -> None:
        received = wire.receive(client)
        if received is None:
            self._selector.unregister(client)
            client.close()
            if client is self._lifeline and self._attached:
                self._going_down = True
            return
        request, fds = received
        answer, answer_fds = self._answer(request, fds)
        with suppress(BrokenPipeError, ConnectionResetError):
            wire.send(client, answer, answer_fds)
        for fd in (*fds, *answer_fds):
            os.close(fd)

    def _answer(self, request: Document, fds: list[int]) -> Answer:
        op = self._ops.get(request.pop("op", ""))
        if op is None:
            return {"error": "the lab's keeper is of another version: `firstmate lab down`, then `up`"}, []
        try:
            result = op(**request, fds=fds) if fds else op(**request)
        except (OSError, LabError, KeyError, TypeError, ValueError) as error:
            text = f"no host {error}" if isinstance(error, KeyError) else str(error)
            return {"error": text}, []
        return result if isinstance(result, tuple) else (result, [])

    # The operations: what `Lab` may ask. Each is one message there and one back.

    def do_build(self, site: Document) -> Document:
        self._site = jsonable.from_jsonable(Site, site)
        for plan in self._site.hosts:
            self._hosts[plan.name] = hosts.create(plan.name, plan.role, self._directory)
        self._wiring = Wiring(self._site, self._hosts)
        return {}

    def do_site(self) -> Document:
        return {"site": jsonable.to_jsonable(self._site), "notes": self._notes}

    def do_note(self, notes: Document) -> Document:
        self._notes |= notes
        return {}

    def do_spawn(self, host: str, argv: list[str], env: dict[str, str], fds: list[int], *, tty: bool = False) -> Answer:
        pid = hosts.spawn(self._hosts[host], argv, env, fds, tty=tty)
        return {"pid": pid}, [os.pidfd_open(pid)]

    def do_exit_code(self, pid: int) -> Document:
        self._reap()
        return {"code": self._exits.get(pid)}

    def do_processes(self) -> Document:
        """Every process of every host, inits left out."""
        names = {host.pid_namespace: host.name for host in self._hosts.values()}
        inits = {host.pid for host in self._hosts.values()}
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        found = [_describe(pid, names) for pid in pids if pid not in inits]
        return {"processes": [process for process in found if process is not None]}

    def do_kill(self, pids: list[int], signal: int) -> Document:
        now_us = time.monotonic_ns() // 1000
        for pid in pids:
            if pid <= 1 or pid in {host.pid for host in self._hosts.values()}:
                message = f"process {pid} holds the lab together; take it down with `firstmate lab down`"
                raise LabError(message)
            with suppress(ProcessLookupError):
                os.kill(pid, signal)
        return {"at_us": now_us}

    def do_addresses(self, host: str) -> Document:
        return {"addresses": self._wires().addresses(host)}

    def do_port(self, host: str, up: bool) -> Document:  # noqa: FBT001 (it comes as a keyword from the wire)
        return {"at_us": self._wires().set_port(host, up=up)}

    def do_isolate(self, hosts: list[str], isolated: bool) -> Document:  # noqa: FBT001
        return {"at_us": self._wires().set_isolated(hosts, isolated=isolated)}

    def do_ports(self) -> Document:
        return {"ports": self._wires().ports()}

    def do_socket(self, host: str, family: int, kind: int, protocol: int) -> Answer:
        sock = self._wires().open_socket(host, family, kind, protocol)
        if family == socket.AF_PACKET:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, 33, _PACKET_BUFFER_BYTES)  # SO_RCVBUFFORCE
        return {}, [sock.detach()]

    def do_open(self, host: str, path: str) -> Answer:
        """A file as the host sees it, for reading."""
        return {}, [os.open(f"/proc/{self._hosts[host].pid}/root{path}", os.O_RDONLY | os.O_CLOEXEC)]

    def do_connect(self, host: str, path: str) -> Answer:
        """A connection to a unix socket as the host sees it."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(f"/proc/{self._hosts[host].pid}/root{path}")
        except OSError:
            sock.close()
            raise
        return {}, [sock.detach()]

    def do_detach(self) -> Document:
        self._attached = False
        return {}

    def do_down(self) -> Document:
        self._going_down = True
        return {}

    def _wires(self) -> Wiring:
        if self._wiring is None:
            message = "the lab is not built yet"
            raise LabError(message)
        return self._wiring

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._exits[pid] = os.waitstatus_to_exitcode(status)
                while len(self._exits) > _EXITS_MAX:
                    del self._exits[next(iter(self._exits))]


def _describe(pid: int, names: dict[int, str]) -> Document | None:
    """One process, or None when it is none of a host or has just ended."""
    try:
        host = names.get(Path(f"/proc/{pid}/ns/pid").stat().st_ino)
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    if host is None or stat[0] in "ZX":
        return None
    words = [word.decode(errors="replace") for word in argv if word]
    return {"host": host, "pid": pid, "parent": int(stat[1]), "state": stat[0], "argv": words}


if __name__ == "__main__":
    main()
