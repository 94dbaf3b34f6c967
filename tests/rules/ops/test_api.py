import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.rules.ops.office import QUIET_PLAN, Office, play

from firstmate.ipc.api_client import Unreachable, get
from firstmate.model import jsonable
from firstmate.model.status import Status
from firstmate.ops.api import serve
from firstmate.ops.loop import Loop


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(f"{tmp_path}/api.sock")
        server.listen(8)
        yield server


def asked(tmp_path: Path, listener: socket.socket, *targets: str) -> list[bytes | Unreachable]:
    """What ops answers to these, one after another."""
    answers: list[bytes | Unreachable] = []

    async def servant(loop: Loop) -> None:
        await serve(listener, loop.status)

    async def talk(office: Office) -> None:
        office.lead()
        await office.until(lambda: office.loop.world.snapshot is not None)
        for target in targets:
            try:
                answers.append(await asyncio.to_thread(get, f"{tmp_path}/api.sock", target, 20))
            except Unreachable as error:
                answers.append(error)

    play(tmp_path, talk, replace(QUIET_PLAN, haproxy=None), servant)
    return answers


def test_status(tmp_path: Path, listener: socket.socket) -> None:
    (body,) = asked(tmp_path, listener, "/status")
    assert isinstance(body, bytes)
    document = jsonable.loads(Status, body)
    assert (document.node, document.routers[0].state) == ("lb-a", "MASTER")


def test_health(tmp_path: Path, listener: socket.socket) -> None:
    assert asked(tmp_path, listener, "/healthz") == [b"DEGRADED\n"]


def test_anything_else_is_not_there(tmp_path: Path, listener: socket.socket) -> None:
    (error,) = asked(tmp_path, listener, "/passwd")
    assert str(error) == "the daemon answered 404: Not Found"
