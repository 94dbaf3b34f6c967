"""What the keeper of a lab and its clients say to each other: one JSON document a datagram, with file descriptors.

A request is `{"op": name, ...}`; its answer is the result as an object, or `{"error": sentence}`.
"""

import json
import socket
from collections.abc import Sequence
from typing import Any

MESSAGE_BYTES_MAX = 192 * 1024  # below the kernel's default send buffer, far above the longest process list
FDS_MAX = 4

Document = dict[str, Any]


class LabError(Exception):
    """The lab cannot do it; the text says why and what to do."""


class NotAllowed(LabError):
    """The kernel, or whoever set it up, does not let us make namespaces."""


def send(sock: socket.socket, document: Document, fds: Sequence[int] = ()) -> None:
    data = json.dumps(document).encode()
    if len(data) > MESSAGE_BYTES_MAX:
        message = f"a message of {len(data)} bytes is more than the lab's socket carries"
        raise LabError(message)
    socket.send_fds(sock, [data], fds)


def receive(sock: socket.socket) -> tuple[Document, list[int]] | None:
    """The next document and the descriptors that came with it; None: the other side is gone."""
    try:
        data, fds, _, _ = socket.recv_fds(sock, MESSAGE_BYTES_MAX, FDS_MAX, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return None
    return (json.loads(data), fds) if data else None
