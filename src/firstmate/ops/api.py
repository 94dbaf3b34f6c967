"""The API on the unix socket that the supervisor made: HTTP, read only.

GET /status    the status document (model.status)
GET /healthz   200 while ops decides; its body is the health of the cluster as one word
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from firstmate.model import jsonable
from firstmate.model.status import Status

CONNECTIONS_MAX = 64
KEEP_ALIVE_S = 5
STOP_S = 1


Look: TypeAlias = Callable[[], Callable[[], Status]]
"""Called in the loop, it gives what makes the status document, which a thread of ours does: see `Loop.status`."""


def application(look: Look) -> Starlette:
    thread = ThreadPoolExecutor(1, "status")  # one: whoever asks often waits, and nobody else does

    async def get_status(_: Request) -> Response:
        make = look()
        text = await asyncio.get_running_loop().run_in_executor(thread, lambda: jsonable.dumps(make()))
        return Response(text + "\n", media_type="application/json")

    async def get_health(_: Request) -> Response:
        document = await asyncio.get_running_loop().run_in_executor(thread, look())
        return PlainTextResponse(document.health + "\n")

    return Starlette(routes=[Route("/status", get_status), Route("/healthz", get_health)])


async def serve(listener: socket.socket, look: Look) -> None:
    """Answer on `listener` until cancelled. It stays open in the supervisor, so callers wait while we restart."""
    config = uvicorn.Config(
        application(look),
        loop="none",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
    )
    await _Server(config).serve(sockets=[listener])


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the loop's: SIGTERM ends all of ops, SIGHUP reads the plan again."""
        yield
