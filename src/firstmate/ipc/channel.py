"""One end of a SOCK_SEQPACKET pair: messages of `model.messages`, one a packet, never waited for."""

import socket
from typing import Any

from firstmate.model import jsonable

MESSAGE_OCTETS_MAX = 180_000  # below the default socket buffer; a snapshot of 32 virtual routers is a quarter
QUEUE_OCTETS = 1 << 22
SO_SNDBUFFORCE = 32
MESSAGES_AT_ONCE = 256  # then the loop turns to other things


class EndOfChannel(Exception):
    """Nobody holds the other end any more."""


class Channel:
    """`reads` is the union of records that may come. `dropped` counts what could not be sent or read."""

    def __init__(self, end: socket.socket, reads: Any) -> None:
        self._socket = end
        self._socket.settimeout(0)
        self._reads = reads
        self.dropped = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self, message: object) -> bool:
        """Send, or drop and count when the other side does not read. Never blocks."""
        try:
            self._socket.send(jsonable.dumps(message).encode())
        except OSError:
            self.dropped += 1
            return False
        return True

    def receive(self) -> list[Any]:
        """Everything that is there, at most `MESSAGES_AT_ONCE`. Never blocks. Raises `EndOfChannel`."""
        messages: list[Any] = []
        for _ in range(MESSAGES_AT_ONCE):
            try:
                data = self._socket.recv(MESSAGE_OCTETS_MAX)
            except BlockingIOError:
                break
            except OSError as error:
                raise EndOfChannel(str(error)) from error
            if not data:
                if messages:
                    break
                raise EndOfChannel
            try:
                messages.append(jsonable.loads(self._reads, data))
            except jsonable.BadJson:
                self.dropped += 1
        return messages


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends, inheritable only when passed on by name; with room for the news of 1,000 virtual routers at once."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    for end in ends:
        try:
            end.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, QUEUE_OCTETS)
        except PermissionError:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, QUEUE_OCTETS)
    return ends


def inherited(fd: int) -> socket.socket:
    """The end that our parent left us under this number."""
    return socket.socket(fileno=fd)
