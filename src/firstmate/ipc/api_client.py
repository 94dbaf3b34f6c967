"""A GET over the unix socket of the API: for the command line, which must not wait for `http.client` to load.

HTTP/1.0 on purpose: the server closes after its answer, and sends no chunks.
"""

import socket
import time

ANSWER_BYTES_MAX = 16 * 1024 * 1024
CHUNK_BYTES = 65_536
TIMEOUT_S = 5.0


class Unreachable(Exception):
    """No answer from the daemon; the text says why, for people."""


class NotAllowed(Unreachable):
    """The daemon may be well, but we may not ask it."""


def get(socket_path: str, target: str, timeout_s: float = TIMEOUT_S) -> bytes:
    """The body of `target` ("/status"). `timeout_s` is for all of it. Raises `Unreachable`."""
    deadline = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as client:
        try:
            client.settimeout(timeout_s)
            client.connect(socket_path)
            client.sendall(f"GET {target} HTTP/1.0\r\nHost: firstmate\r\n\r\n".encode())
            answer = _read(client, deadline)
        except OSError as error:
            raise _explained(error, socket_path, timeout_s) from error
    return _body(answer)


def _read(client: socket.socket, deadline: float) -> bytes:
    answer = bytearray()
    while len(answer) <= ANSWER_BYTES_MAX:
        client.settimeout(max(0.001, deadline - time.monotonic()))
        chunk = client.recv(CHUNK_BYTES)
        if not chunk:
            return bytes(answer)
        answer += chunk
    message = f"the daemon's answer is longer than {ANSWER_BYTES_MAX} bytes"
    raise Unreachable(message)


def _body(answer: bytes) -> bytes:
    head, separator, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split()
    if not separator or len(words) < 2 or not words[0].startswith(b"HTTP/"):
        message = "the daemon ended before it had answered; it may be restarting: try again"
        raise Unreachable(message)
    if words[1] != b"200":
        message = (
            f"the daemon answered {words[1].decode(errors='replace')}: {body[:200].decode(errors='replace').strip()}"
        )
        raise Unreachable(message)
    return body


def _explained(error: OSError, path: str, timeout_s: float) -> Unreachable:
    match error:
        case PermissionError():
            return NotAllowed(f"no right to use {path}: be root, or a member of the group firstmate")
        case FileNotFoundError() | ConnectionRefusedError():
            return Unreachable(f"firstmate is not running on this host (nobody answers at {path})")
        case TimeoutError() | BlockingIOError():
            return Unreachable(f"firstmate did not answer at {path} within {timeout_s:g} s")
        case _:
            return Unreachable(f"{path} cannot be used: {error.strerror or error}")
