"""A client of a lab's keeper: one request, one answer, on one socket."""

import os
import select
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from firstmate.lab import state, wire
from firstmate.lab.wire import Document, LabError, NotAllowed

_ANSWER_WAIT_S = 30.0  # building a lab on a busy machine is the longest thing asked
_LOG = "keeper.log"


class KeeperClient:
    """Raises `LabError` for whatever the keeper refuses, and when it is gone."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sock.settimeout(_ANSWER_WAIT_S)

    def call(self, op: str, fds: tuple[int, ...] = (), **arguments: Any) -> Document:
        answer, answer_fds = self.call_with_fds(op, fds, **arguments)
        for fd in answer_fds:
            os.close(fd)
        return answer

    def call_for_fd(self, op: str, fds: tuple[int, ...] = (), **arguments: Any) -> tuple[Document, int]:
        """For the operations that answer with a descriptor; it is the caller's to close."""
        answer, (fd,) = self.call_with_fds(op, fds, **arguments)
        return answer, fd

    def call_with_fds(self, op: str, fds: tuple[int, ...], **arguments: Any) -> tuple[Document, list[int]]:
        try:
            wire.send(self._sock, {"op": op, **arguments}, fds)
            received = wire.receive(self._sock)
        except TimeoutError as error:
            message = "the lab's keeper does not answer: `firstmate lab down` ends it"
            raise LabError(message) from error
        except OSError as error:
            raise LabError(_GONE) from error
        if received is None:
            raise LabError(_GONE)
        answer, answer_fds = received
        if "error" in answer:
            raise LabError(answer["error"])
        return answer, answer_fds

    def close(self) -> None:
        self._sock.close()


_GONE = "the lab is down"


def launch(directory: Path) -> tuple[KeeperClient, "subprocess.Popen[bytes]"]:
    """Start a guardian and its keeper for a directory just claimed; the lab goes down with this process.

    Raises `LabError` when the kernel does not allow it.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    fd = theirs.fileno()
    command = [sys.executable, "-m", "firstmate.lab.keeper", "--directory", str(directory), "--lifeline", str(fd)]
    with theirs, (directory / _LOG).open("wb") as log:
        guardian = subprocess.Popen(
            command, pass_fds=(fd,), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
    ours.settimeout(_ANSWER_WAIT_S)
    try:
        received = wire.receive(ours)
        if received is None or "error" in received[0]:
            if received is None:
                raise LabError(_last_line(directory / _LOG))
            kind = NotAllowed if received[0].get("not_allowed") else LabError
            raise kind(received[0]["error"])
    except BaseException:
        ours.close()  # the keeper, if there is one, sees this and ends
        guardian.wait()
        raise
    return KeeperClient(ours), guardian


def connect(directory: Path) -> KeeperClient:
    """Reach a lab that another process has made. Raises `LabError` when there is none."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        sock.connect(str(directory / state.CONTROL))
    except OSError as error:
        sock.close()
        message = "no lab is up: `firstmate lab up` makes one"
        raise LabError(message) from error
    return KeeperClient(sock)


def wait_readable(fd: int, timeout_us: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout_us // 1000))


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except FileNotFoundError:
        lines = []
    return f"the lab's keeper did not start: {lines[-1] if lines else 'no reason given'}"
