"""The runtime socket of HAProxy: one command a connection, one text as the answer.

HAProxy answers and closes, so the end of the stream is the end of the answer. A stopped HAProxy still lets us
connect and write, as the kernel does that for it; only a deadline on the answer tells.
"""

import asyncio
import contextlib
import socket
import time

ANSWER_BYTES_MAX = 8 * 1024 * 1024  # `show stat` of 20,000 servers
CHUNK_BYTES = 65_536


class NoAnswer(Exception):
    """The socket is not there, refuses, or answers with nothing; the text says which, for people."""


async def ask(path: str, command: str) -> str:
    """Send `command`, wait for the whole answer. The caller sets the deadline. Raises `NoAnswer`."""
    loop = asyncio.get_running_loop()
    with _closing_socket() as sock:
        sock.settimeout(0)
        try:
            sock.connect(path)  # a unix socket connects at once, or not at all
            await loop.sock_sendall(sock, command.encode() + b"\n")
            answer = bytearray()
            while chunk := await loop.sock_recv(sock, CHUNK_BYTES):
                answer += chunk
                _limit(answer)
        except OSError as error:
            raise NoAnswer(reason_of(path, error)) from error
    return _text(answer)


def ask_blocking(path: str, command: str, timeout_s: float) -> str:
    """The same for programs without a loop. Raises `NoAnswer`, also when `timeout_s` is over."""
    deadline = time.monotonic() + timeout_s
    with _closing_socket() as sock:
        try:
            sock.settimeout(timeout_s)
            sock.connect(path)
            sock.sendall(command.encode() + b"\n")
            answer = bytearray()
            while True:
                sock.settimeout(max(0.001, deadline - time.monotonic()))
                chunk = sock.recv(CHUNK_BYTES)
                if not chunk:
                    break
                answer += chunk
                _limit(answer)
        except OSError as error:
            raise NoAnswer(reason_of(path, error)) from error
    return _text(answer)


def _closing_socket() -> contextlib.closing[socket.socket]:
    return contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC))


def _limit(answer: bytearray) -> None:
    if len(answer) > ANSWER_BYTES_MAX:
        message = f"the answer is longer than {ANSWER_BYTES_MAX} bytes"
        raise NoAnswer(message)


def _text(answer: bytearray) -> str:
    text = answer.decode(errors="replace")
    if not text.strip():
        message = "HAProxy closed the runtime socket without an answer"
        raise NoAnswer(message)
    return text


def reason_of(path: str, error: OSError) -> str:
    """Why there was no answer, for people."""
    match error:
        case TimeoutError():
            return "no answer in time on the runtime socket"
        case FileNotFoundError():
            return f"no runtime socket at {path}"
        case ConnectionRefusedError():
            return "nobody listens on the runtime socket"
        case BlockingIOError():
            return "the queue of the runtime socket is full"
        case PermissionError():
            return f"no right to use the runtime socket {path}"
        case _:
            return f"the runtime socket failed: {error.strerror or error}"
