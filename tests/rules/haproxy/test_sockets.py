import asyncio
import contextlib
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from firstmate.haproxy import sockets
from firstmate.haproxy.fake import FakeHaproxy
from firstmate.haproxy.sockets import NoAnswer, ask, ask_blocking

Ask = Callable[[str, str], str]


def _async(path: str, command: str) -> str:
    async def limited() -> str:
        async with asyncio.timeout(5):
            return await ask(path, command)

    return asyncio.run(limited())


def _blocking(path: str, command: str) -> str:
    return ask_blocking(path, command, 5)


both = pytest.mark.parametrize("ask_it", [_async, _blocking])


@both
def test_an_answer(tmp_path: Path, ask_it: Ask) -> None:
    with FakeHaproxy(tmp_path / "s") as haproxy:
        assert "Pid: 901" in ask_it(str(haproxy.path), "show info")
        assert haproxy.commands == ["show info"]


@both
def test_a_long_answer_comes_whole(tmp_path: Path, ask_it: Ask) -> None:
    with FakeHaproxy(tmp_path / "s") as haproxy:
        haproxy.answers["long"] = "x" * 1_000_000
        assert len(ask_it(str(haproxy.path), "long")) == 1_000_000


@both
def test_an_endless_answer_ends(tmp_path: Path, ask_it: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "ANSWER_BYTES_MAX", 1000)
    with FakeHaproxy(tmp_path / "s") as haproxy:
        haproxy.answers["long"] = "x" * 1_000_000
        with pytest.raises(NoAnswer, match="longer than 1000 bytes"):
            ask_it(str(haproxy.path), "long")


@both
def test_nothing_is_no_answer(tmp_path: Path, ask_it: Ask) -> None:
    with FakeHaproxy(tmp_path / "s") as haproxy:
        haproxy.answers["quiet"] = "\n"
        with pytest.raises(NoAnswer, match="without an answer"):
            ask_it(str(haproxy.path), "quiet")


@both
def test_no_socket(tmp_path: Path, ask_it: Ask) -> None:
    with pytest.raises(NoAnswer, match=f"no runtime socket at {tmp_path}/s"):
        ask_it(f"{tmp_path}/s", "show info")


@both
def test_nobody_listens(tmp_path: Path, ask_it: Ask) -> None:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(f"{tmp_path}/s")
    assert stat.S_ISSOCK((tmp_path / "s").stat().st_mode)
    with pytest.raises(NoAnswer, match="nobody listens"):
        ask_it(f"{tmp_path}/s", "show info")


def test_a_full_queue_is_no_answer(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX)))
        server.bind(f"{tmp_path}/s")
        server.listen(0)
        stack.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX))).connect(f"{tmp_path}/s")
        with pytest.raises(NoAnswer, match="queue of the runtime socket is full"):
            _async(f"{tmp_path}/s", "show info")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermissionError(13, "x"), "no right to use"),
        (OSError(5, "Input/output error"), "the runtime socket failed: Input/output error"),
        (OSError("odd"), "the runtime socket failed: odd"),
    ],
)
def test_reasons(error: OSError, text: str) -> None:
    assert text in sockets.reason_of("/s", error)


def test_a_hung_one_meets_the_deadline(tmp_path: Path) -> None:
    async def hurried(path: str) -> str:
        async with asyncio.timeout(0.01):
            return await ask(path, "show info")

    with FakeHaproxy(tmp_path / "s") as haproxy:
        haproxy.hang()
        with pytest.raises(TimeoutError):
            asyncio.run(hurried(str(haproxy.path)))
        with pytest.raises(NoAnswer, match="no answer in time"):
            ask_blocking(str(haproxy.path), "show info", 0.01)
        haproxy.resume()
        assert ask_blocking(str(haproxy.path), "show info", 5)
