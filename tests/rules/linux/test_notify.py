import os
import socket
from pathlib import Path

import pytest

from firstmate.linux.notify import notify


def listen(path: str) -> socket.socket:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    manager.bind(path)
    return manager


def test_notify_tells_a_socket_in_the_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    with listen(path) as manager:
        assert notify("READY=1", "STATUS=MASTER of web") is True
        assert manager.recv(4096) == b"READY=1\nSTATUS=MASTER of web"


def test_notify_tells_an_abstract_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"firstmate-test-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
    with listen("\0" + name) as manager:
        assert notify("WATCHDOG=1") is True
        assert manager.recv(4096) == b"WATCHDOG=1"


@pytest.mark.parametrize("path", ["", "vsock:2:1234", "/nowhere/notify", "@nobody-listens-here"])
def test_notify_does_without_systemd(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    assert notify("READY=1") is False


def test_notify_does_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert notify("READY=1") is False
