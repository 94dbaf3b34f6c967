"""The API on the unix socket that the supervisor made: HTTP, read only.

GET /status    the status document (model.status)
GET /healthz   200 while ops decides; its body is the health of the cluster as one word
"""

import contextlib
import socket
from collections.abc import Callable, Iterator

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


def application(status: Callable[[], Status]) -> Starlette:
    """Its functions are `async` although they wait for nothing: Starlette would run others in a thread."""

    async def get_status(_: Request) -> Response:
        return Response(jsonable.dumps(status()) + "\n", media_type="application/json")

    async def get_health(_: Request) -> Response:
        return PlainTextResponse(status().health + "\n")

    return Starlette(routes=[Route("/status", get_status), Route("/healthz", get_health)])


async def serve(listener: socket.socket, status: Callable[[], Status]) -> None:
    """Answer on `listener` until cancelled. It stays open in the supervisor, so callers wait while we restart."""
    config = uvicorn.Config(
        application(status),
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
