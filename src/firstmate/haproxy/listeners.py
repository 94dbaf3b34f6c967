"""HAProxy's own listening sockets, as it hands them to a successor (`stats socket ... expose-fd listeners`)."""

import array
import contextlib
import socket
import struct

FDS_AT_ONCE = 252  # what HAProxy puts in one message
LISTENERS_MAX = 4_096
DETAIL_OCTETS_MAX = 65_536  # namespace and interface names of each


def fetch_listeners(path: str, timeout_s: float) -> list[socket.socket]:
    """Duplicates of every listening socket of the worker behind this runtime socket; the caller closes them.

    Raises `OSError` (`TimeoutError` when it does not answer within `timeout_s` a step).
    """
    fds: list[int] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout_s)
        client.connect(path)
        client.sendall(b"_getsocks\n")
        head = client.recv(4)
        wanted = struct.unpack("=i", head)[0] if len(head) == 4 else -1
        if not 0 <= wanted <= LISTENERS_MAX:
            message = f"{path}: no listening sockets are handed out"
            raise OSError(message)
        while len(fds) < wanted:
            data, extra, _, _ = client.recvmsg(DETAIL_OCTETS_MAX, socket.CMSG_SPACE(FDS_AT_ONCE * 4))
            for _, _, packed in extra:
                some = array.array("i")
                some.frombytes(packed[: len(packed) - len(packed) % some.itemsize])
                fds += some
            if not data:
                break
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.sendall(struct.pack("=i", len(fds)))  # it waits for an answer to each message but the last
    return [socket.socket(fileno=fd) for fd in fds]
