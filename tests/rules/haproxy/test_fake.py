"""The fake answers as a real HAProxy does, as far as we ask."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rules.haproxy.example import HAPROXYS

from firstmate.haproxy.binary import Binary
from firstmate.haproxy.fake import FakeHaproxy
from firstmate.haproxy.sockets import NoAnswer, ask_blocking
from firstmate.haproxy.stats import parse_info, parse_servers

CONFIG = """global
    stats socket {path} level admin expose-fd listeners
defaults
    timeout connect 1s
    timeout client 1s
    timeout server 1s
listen web
    bind {folder}/web.sock
    server web1 127.0.0.1:1
    server web2 127.0.0.1:1 disabled
"""


@pytest.fixture(params=["fake", *HAPROXYS], ids=lambda one: one if isinstance(one, str) else one.version_text)
def haproxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The runtime socket of an HAProxy with web1 and web2, of which only the first takes connections."""
    path = tmp_path / "s"
    if isinstance(request.param, Binary):
        (tmp_path / "cfg").write_text(CONFIG.format(path=path, folder=tmp_path))
        command = [request.param.path, "-db", "-f", str(tmp_path / "cfg")]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            _wait(path)
            yield str(path)
        finally:
            process.kill()
            process.wait()
    else:
        with FakeHaproxy(path):
            yield str(path)


def _wait(path: Path) -> None:
    for _ in range(1000):
        try:
            ask_blocking(str(path), "show info", 1)
        except NoAnswer:
            time.sleep(0.005)
        else:
            return
    pytest.fail("HAProxy did not start")


def test_info(haproxy: str) -> None:
    info = parse_info(ask_blocking(haproxy, "show info", 5))
    assert info.pid > 1
    assert info.version.count(".") == 2


def test_servers(haproxy: str) -> None:
    found = parse_servers(ask_blocking(haproxy, "show stat -1 4 -1", 5))
    assert [(one.service, one.server, one.up) for one in found] == [("web", "web1", True), ("web", "web2", False)]


def test_states(haproxy: str) -> None:
    assert ask_blocking(haproxy, "show servers state", 5).startswith("1\n# be_id be_name")


def test_unknown(haproxy: str) -> None:
    assert ask_blocking(haproxy, "sing", 5).startswith("Unknown command")
