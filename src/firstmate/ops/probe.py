"""One `show info` to HAProxy, by callbacks: ten of them a second are what ops does when nothing happens.

A task with streams and a timeout for each takes several times as long.
"""

import asyncio
import socket
from collections.abc import Callable

from firstmate.haproxy.sockets import CHUNK_BYTES, NoAnswer, reason_of
from firstmate.model.units import S, Micros

COMMAND = b"show info\n"
END = b"\n\n"  # of an answer: HAProxy closes the connection a moment later
ANSWER_BYTES_MAX = 256 * 1024


class Probe:
    """Begins with `start`; calls `ended` once, with the answer or why there is none, unless it is closed before.

    `more_us` is asked once, at the deadline: how much longer to wait, 0 for no longer. `late`: the words for it.
    """

    def __init__(
        self,
        path: str,
        deadline_us: Micros,
        late: str,
        more_us: Callable[[], Micros],
        ended: Callable[["Probe", str | NoAnswer], None],
    ) -> None:
        self._path, self._deadline_us, self._late = path, deadline_us, late
        self._more_us, self._ended = more_us, ended
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._answer = b""
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        try:
            self._socket.connect(self._path)  # a unix socket connects at once, or not at all
            self._socket.send(COMMAND)
        except OSError as error:
            self._end(NoAnswer(reason_of(self._path, error)))
            return
        self._loop.add_reader(self._socket, self._read)
        self._timer = self._loop.call_later(self._deadline_us / S, self._look_at_the_clock)

    def close(self) -> None:
        """Say nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        try:
            chunk = self._socket.recv(CHUNK_BYTES)
        except OSError as error:
            self._end(NoAnswer(reason_of(self._path, error)))
            return
        self._answer += chunk
        if not chunk or self._answer.endswith(END):
            silent = NoAnswer("HAProxy closed the runtime socket without an answer")
            self._end(self._answer.decode(errors="replace") if self._answer.strip() else silent)
        elif len(self._answer) > ANSWER_BYTES_MAX:
            self._end(NoAnswer(f"the answer is longer than {ANSWER_BYTES_MAX} bytes"))

    def _look_at_the_clock(self) -> None:
        more_us = self._more_us()
        if more_us > 0:
            self._timer = self._loop.call_later(more_us / S, self._end, NoAnswer(self._late))
        else:
            self._end(NoAnswer(self._late))

    def _end(self, outcome: str | NoAnswer) -> None:
        self.close()
        self._ended(self, outcome)
