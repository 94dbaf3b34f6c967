"""`python -m firstmate.lab.webserver NAME`: a web server that says who it is and who asked.

One thread and one epoll, so that five of them leave the cores to the load balancers. Any request is answered
with `NAME via ADDRESS`; `X-Via` is the address of the load balancer that the request came through.
"""

import selectors
import socket
import sys
from contextlib import suppress

PORT = 80
_REQUEST_BYTES_MAX = 8192
_CONNECTIONS_MAX = 4096
_BACKLOG = 512


def main() -> None:
    server = WebServer(sys.argv[1], socket.create_server(("", PORT), backlog=_BACKLOG))
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    server.serve()


class WebServer:
    def __init__(self, name: str, listener: socket.socket) -> None:
        self._name = name
        self._selector = selectors.DefaultSelector()
        self._pending: dict[socket.socket, bytes] = {}
        self._answers: dict[str, tuple[bytes, bytes]] = {}
        listener.setblocking(False)  # noqa: FBT003
        self._selector.register(listener, selectors.EVENT_READ)
        self._listener = listener

    def serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock is self._listener:
                    self._accept()
                else:
                    self._read(sock)

    def _accept(self) -> None:
        with suppress(BlockingIOError, ConnectionError):
            while True:
                sock, _ = self._listener.accept()
                if len(self._pending) >= _CONNECTIONS_MAX:
                    sock.close()
                    continue
                sock.setblocking(False)  # noqa: FBT003
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._pending[sock] = b""
                self._selector.register(sock, selectors.EVENT_READ)

    def _read(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(_REQUEST_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        request = self._pending[sock] + data
        if not data or len(request) > _REQUEST_BYTES_MAX:
            self._drop(sock)
            return
        while b"\r\n\r\n" in request:
            head, _, request = request.partition(b"\r\n\r\n")
            if not self._reply(sock, head):
                return
        self._pending[sock] = request

    def _reply(self, sock: socket.socket, head: bytes) -> bool:
        """Answer one request; False when the connection is over."""
        try:
            close, keep = self._answers_for(sock.getpeername()[0])
            once = head.split(b"\r\n", 1)[0].endswith(b"HTTP/1.0") or b"connection: close" in head.lower()
            body = close if once else keep
            sent = sock.send(body)
        except OSError:
            sent, once, body = 0, True, b"-"
        if once or sent < len(body):
            self._drop(sock)
            return False
        return True

    def _answers_for(self, peer: str) -> tuple[bytes, bytes]:
        if peer not in self._answers:
            body = f"{self._name} via {peer}\n"
            head = f"HTTP/1.1 200 OK\r\nServer: lab\r\nX-Server: {self._name}\r\nX-Via: {peer}\r\n"
            head += f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
            self._answers[peer] = (f"{head}Connection: close\r\n\r\n{body}".encode(), f"{head}\r\n{body}".encode())
        return self._answers[peer]

    def _drop(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)
        del self._pending[sock]
        sock.close()


if __name__ == "__main__":
    main()
