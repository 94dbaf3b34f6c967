import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from firstmate.ipc import api_client
from firstmate.ipc.api_client import NotAllowed, Unreachable, get

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"


def served(tmp_path: Path, answer: bytes, ask: Callable[[str], bytes]) -> tuple[bytes, bytes]:
    """What `ask` gets from a server with this answer, and what it asked for."""
    path, heard = str(tmp_path / "s"), bytearray()
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(path)
        server.listen(1)

        def serve() -> None:
            client, _ = server.accept()
            with client, contextlib.suppress(OSError):
                heard.extend(client.recv(4096))
                client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            return ask(path), bytes(heard)
        finally:
            thread.join()


def status(path: str) -> bytes:
    return get(path, "/status", 20)


def test_a_body(tmp_path: Path) -> None:
    body, asked = served(tmp_path, OK + b"x" * 200_000, status)
    assert body == b"x" * 200_000
    assert asked == b"GET /status HTTP/1.0\r\nHost: firstmate\r\n\r\n"


# fmt: off
BAD = {
    "an error":      (b"HTTP/1.1 503 Busy\r\n\r\ntoo many", "the daemon answered 503: too many"),
    "nothing":       (b"",                                  "ended before it had answered"),
    "half a head":   (b"HTTP/1.1 200 OK\r\nContent",        "ended before it had answered"),
    "no HTTP":       (b"SSH-2.0-x\r\n\r\n",                 "ended before it had answered"),
    "not even that": (b"\r\n\r\n",                          "ended before it had answered"),
}
# fmt: on


@pytest.mark.parametrize(("answer", "says"), BAD.values(), ids=BAD)
def test_a_bad_answer(tmp_path: Path, answer: bytes, says: str) -> None:
    with pytest.raises(Unreachable, match=says):
        served(tmp_path, answer, status)


def test_an_endless_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_client, "ANSWER_BYTES_MAX", 1000)
    with pytest.raises(Unreachable, match="longer than 1000 bytes"):
        served(tmp_path, OK + b"x" * 5_000_000, status)


def test_nobody(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=f"not running on this host .nobody answers at {tmp_path}/s"):
        get(f"{tmp_path}/s", "/status")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(f"{tmp_path}/s")
    with pytest.raises(Unreachable, match="not running on this host"):
        get(f"{tmp_path}/s", "/status")


def test_one_that_hangs(tmp_path: Path) -> None:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(f"{tmp_path}/s")
        server.listen(1)
        with pytest.raises(Unreachable, match=r"did not answer at .* within 0\.01 s"):
            get(f"{tmp_path}/s", "/status", 0.01)


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (PermissionError(13, "x"), NotAllowed, "a member of the group firstmate"),
        (OSError(5, "Input/output error"), Unreachable, "cannot be used: Input/output error"),
        (OSError("path too long"), Unreachable, "cannot be used: path too long"),
    ],
)
def test_reasons(error: OSError, kind: type[Unreachable], says: str) -> None:
    explained = api_client._explained(error, "/s", 5)
    assert type(explained) is kind
    assert says in str(explained)
