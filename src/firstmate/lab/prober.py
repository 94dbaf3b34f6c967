"""`python -m firstmate.lab.prober TARGET`: a client that opens a new connection every 2 ms and writes down each answer.

Records (`firstmate.lab.answers`) go to standard output. One thread, one epoll, edge-triggered, one system call to
watch a connection: it must keep its pace on a core that it shares. It ends at SIGTERM, or after `--for` seconds.
"""

import argparse
import errno
import gc
import os
import select
import signal
import socket
import struct
import time
from collections import deque
from contextlib import suppress

from firstmate.lab.answers import RECORD, Outcome
from firstmate.model.units import MS, S, Micros

OUTSTANDING_MAX = 1024
_LATE_LAUNCHES_MAX = 4  # a short delay is caught up, in small steps so as not to make a burst
_STALL_US: Micros = 20 * MS
_FLUSH_US: Micros = 20 * MS
_ANSWER_BYTES_MAX = 4096
_FOR_S_MAX = 24 * 3600
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

_REFUSED, _RESET = Outcome.REFUSED.value, Outcome.RESET.value
_REASONS = {errno.ECONNREFUSED: _REFUSED, errno.ECONNRESET: _RESET, errno.EPIPE: _RESET}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m firstmate.lab.prober")
    parser.add_argument("target", help="ADDRESS:PORT")
    parser.add_argument("--interval-us", type=int, default=2 * MS)
    parser.add_argument("--timeout-us", type=int, default=500 * MS)
    parser.add_argument("--for", type=int, default=3600, dest="for_s", help="seconds")
    options = parser.parse_args()
    address, _, port = options.target.partition(":")
    with suppress(OSError):
        os.nice(-10)  # the measure must not be what waits
    prober = Prober((address, int(port)), options.interval_us, options.timeout_us)
    signal.signal(signal.SIGTERM, lambda *_: prober.stop())
    gc.collect()
    gc.disable()  # nothing here makes cycles, and a collection is a pause
    prober.run(min(options.for_s, _FOR_S_MAX) * S)


class Prober:
    def __init__(self, target: tuple[str, int], interval_us: Micros, timeout_us: Micros) -> None:
        self._target = target
        self._interval_us = max(interval_us, 100)
        self._timeout_us = timeout_us
        self._request = f"GET / HTTP/1.0\r\nHost: {target[0]}\r\n\r\n".encode()
        self._epoll = select.epoll()
        self._open: dict[int, list[socket.socket | int | bool]] = {}  # fd -> [socket, start_us, asked]
        self._started: deque[tuple[int, Micros]] = deque()  # (fd, start_us), oldest first
        self._records: list[bytes] = []
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True

    def run(self, for_us: Micros) -> None:
        due_us = time.monotonic_ns() // 1000
        flush_us, end_us = due_us, due_us + for_us
        while not self._stopping:
            now_us = time.monotonic_ns() // 1000
            due_us = self._launch_due(due_us, now_us)
            self._expire(now_us - self._timeout_us)
            if now_us >= flush_us:
                self._flush()
                flush_us = now_us + _FLUSH_US
                self._stopping |= now_us > end_us
            wait_us = max(due_us - time.monotonic_ns() // 1000, 0)
            for fd, events in self._epoll.poll(wait_us / S):
                self._on_event(fd, events)
        self._flush()

    def _launch_due(self, due_us: Micros, now_us: Micros) -> Micros:
        """Open what is due; returns when the next one is."""
        if now_us - due_us > _STALL_US:
            self._write(due_us, now_us, Outcome.STALL.value)
            due_us = now_us
        for _ in range(_LATE_LAUNCHES_MAX):
            if due_us > now_us:
                break
            self._launch()
            due_us += self._interval_us
        return due_us

    def _launch(self) -> None:
        start_us = time.monotonic_ns() // 1000
        if len(self._open) >= OUTSTANDING_MAX:
            self._write(start_us, start_us, Outcome.UNREACHABLE.value)
            return
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        refused = sock.connect_ex(self._target)
        if refused != errno.EINPROGRESS and refused:
            sock.close()
            self._write(start_us, start_us, _REASONS.get(refused, Outcome.UNREACHABLE.value))
            return
        fd = sock.fileno()
        self._open[fd] = [sock, start_us, False]
        self._started.append((fd, start_us))
        self._epoll.register(fd, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)

    def _on_event(self, fd: int, events: int) -> None:
        entry = self._open.get(fd)
        if entry is None:
            return
        sock = entry[0]
        assert isinstance(sock, socket.socket)
        try:
            if not entry[2] and events & select.EPOLLOUT:
                sock.send(self._request)
                entry[2] = True
            if not events & (select.EPOLLIN | select.EPOLLERR | select.EPOLLHUP):
                return
            data = sock.recv(_ANSWER_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError as error:
            self._finish(fd, _REASONS.get(error.errno or 0, Outcome.UNREACHABLE.value))
            return
        self._judge(fd, data)

    def _judge(self, fd: int, data: bytes) -> None:
        """The web servers' answers fit one segment, so the first bytes are all."""
        if data.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
            words = data.partition(b"\r\n\r\n")[2].split()
            if len(words) == 3 and words[1] == b"via":
                self._finish(fd, Outcome.OK.value, words[0], words[2])
            else:
                self._finish(fd, Outcome.OK.value)
        else:
            self._finish(fd, Outcome.BAD.value if data else _RESET)

    def _expire(self, before_us: Micros) -> None:
        while self._started and self._started[0][1] <= before_us:
            fd, start_us = self._started.popleft()
            entry = self._open.get(fd)
            if entry is not None and entry[1] == start_us:  # not a later connection that got the same number
                self._finish(fd, Outcome.TIMEOUT.value)

    def _finish(self, fd: int, outcome: int, server: bytes = b"", via: bytes = b"") -> None:
        sock, start_us, _ = self._open.pop(fd)
        assert isinstance(sock, socket.socket)
        if outcome == Outcome.TIMEOUT.value:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        sock.close()
        self._write(int(start_us), time.monotonic_ns() // 1000, outcome, server, via)  # type: ignore[arg-type]

    def _write(self, start_us: Micros, end_us: Micros, outcome: int, server: bytes = b"", via: bytes = b"") -> None:
        address = b""
        if via:
            with suppress(OSError):
                address = socket.inet_aton(via.decode("ascii", "replace"))
        self._records.append(RECORD.pack(start_us, end_us, outcome, server[:7], address))

    def _flush(self) -> None:
        if self._records:
            os.write(1, b"".join(self._records))
            self._records.clear()


if __name__ == "__main__":
    main()
