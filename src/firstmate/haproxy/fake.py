"""An HAProxy for tests: a runtime socket that answers, hangs, or hands out listening sockets, as it is told.

It serves in a thread, so that a test may ask it from a loop that must not block.
"""

import array
import contextlib
import select
import socket
import struct
import threading
import types
from pathlib import Path
from typing import Self

COMMAND_BYTES_MAX = 1024
STAT_HEADER = "# pxname,svname,status,type,check_status,last_chk,"


class FakeHaproxy:
    """Use it as a context. `pid` is the worker's; `servers` gives the status of each "service/server"."""

    def __init__(self, path: Path, *, pid: int = 901, version: str = "2.6.12-1+deb12u4") -> None:
        self.path = path
        self.pid, self.version = pid, version
        self.connections = 0
        self.servers: dict[str, str] = {"web/web1": "UP", "web/web2": "DOWN"}
        self.answers: dict[str, str] = {}  # by command, before the usual ones
        self.listeners: list[socket.socket] | None = []  # None: it hands out none
        self.commands: list[str] = []
        self._hung = False
        self._held: list[socket.socket] = []
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="fake haproxy")

    def __enter__(self) -> Self:
        self._server.bind(str(self.path))
        self._server.listen(64)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._stop.close()
        self._thread.join()
        self._stopped.close()
        self._server.close()
        for client in self._held:
            client.close()
        self.path.unlink(missing_ok=True)

    def hang(self) -> None:
        """Answer nothing from now on, as when stopped: the kernel goes on to take connections and bytes."""
        self._hung = True

    def resume(self) -> None:
        """Answer again; those who asked meanwhile are answered too if they still wait."""
        self._hung = False

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._server, self._stopped], [], [], 0.005)
            if self._stopped in ready:
                return
            if self._server in ready:
                self._held.append(self._server.accept()[0])
            if not self._hung:
                waiting, self._held = self._held, []
                for client in waiting:
                    self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(1)
            command = client.recv(COMMAND_BYTES_MAX).decode().strip()
            self.commands.append(command)
            if command == "_getsocks":
                self._hand_out(client)
            else:
                client.sendall(self._text(command).encode())

    def _text(self, command: str) -> str:
        if command in self.answers:
            return self.answers[command]
        if command == "show info":
            facts = {
                "Version": self.version,
                "Pid": self.pid,
                "CurrConns": self.connections,
            }
            return "".join(f"{name}: {value}\n" for name, value in facts.items()) + "\n"
        if command.startswith("show stat"):
            rows = [f"{name.replace('/', ',')},{status},2,L4OK,," for name, status in self.servers.items()]
            return "\n".join([STAT_HEADER, *rows, "", ""])
        if command == "show servers state":
            return "1\n# be_id be_name srv_id srv_name\n"
        return "Unknown command.\n"

    def _hand_out(self, client: socket.socket) -> None:
        if self.listeners is None:
            return
        fds = array.array("i", [listener.fileno() for listener in self.listeners])
        client.sendall(struct.pack("=i", len(fds)))
        if fds:
            client.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            client.recv(4)
