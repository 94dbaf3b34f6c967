"""TCP between the nodes' pulse processes: the kernel says that a peer's pulse is dead when nobody else can.

Each pulse dials every peer and tells it of itself once a second. When a process dies, however suddenly, its
kernel ends its connections; we dial again at once, and a *refused* connection proves that the host lives and
nobody advertises there: `PeerGone`. A reset, a time-out or a silence alone proves nothing and changes
nothing: then the VRRP timers decide, as they do with peers that do not know the lifeline (keepalived, FRR).

Only configured peers are let in, by address; what they say is shown to people and decides nothing.
"""

import errno
import socket
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from firstmate.model import jsonable
from firstmate.model.messages import PeerView
from firstmate.model.units import MS, Micros

REDIAL_US: Micros = 300 * MS
LINE_OCTETS_MAX = 1 << 17  # a hello of 2,000 virtual routers fits
CALLERS_PER_PEER = 2  # a new one may come before the old one's end is seen
USER_TIMEOUT_MS = 5_000  # unacknowledged for so long: the connection is worth nothing
BACKLOG = 16

TCP_USER_TIMEOUT = 18


@dataclass(frozen=True, slots=True)
class Hello:
    """What a node says of itself; see `PeerView`."""

    node: str
    config: str
    states: dict[str, str]
    priorities: dict[str, int]
    haproxy: str
    servers: str


@dataclass(slots=True)
class _Dial:
    """Our connection to one peer."""

    peer: IPv4Address
    end: socket.socket | None = None
    connected: bool = False
    bereaved: bool = False  # it was connected and ended; a refusal now means that the peer is gone
    redial_at_us: Micros = 0
    unsent: bytes = b""  # the rest of a hello that was longer than the kernel took


@dataclass(slots=True)
class _Call:
    """A peer's connection to us."""

    peer: IPv4Address
    end: socket.socket
    buffer: bytes = b""


@dataclass(slots=True)
class _Peer:
    hello: Hello | None = None
    at_us: Micros = 0


@dataclass(slots=True)
class Lifeline:
    """Sockets are watched by the caller: `readers` and `writers` for select, `handle` for what is ready."""

    own: IPv4Address
    port: int
    peers: tuple[IPv4Address, ...]
    _listener: socket.socket | None = None
    _listen_at_us: Micros = 0
    _dials: dict[IPv4Address, _Dial] = field(default_factory=dict)
    _calls: list[_Call] = field(default_factory=list)
    _known: dict[IPv4Address, _Peer] = field(default_factory=dict)
    _arrived: bool = False

    def __post_init__(self) -> None:
        self._dials = {peer: _Dial(peer) for peer in self.peers}
        self._known = {peer: _Peer() for peer in self.peers}

    @property
    def deadline_us(self) -> Micros:
        """When `tick` wants to be called next."""
        waits = [dial.redial_at_us for dial in self._dials.values() if dial.end is None]
        if self._listener is None:
            waits.append(self._listen_at_us)
        return min(waits, default=2**62)

    def readers(self) -> list[socket.socket]:
        ends = [call.end for call in self._calls]
        ends += [dial.end for dial in self._dials.values() if dial.end is not None and dial.connected]
        return [*ends, self._listener] if self._listener is not None else ends

    def writers(self) -> list[socket.socket]:
        dials = self._dials.values()
        return [dial.end for dial in dials if dial.end is not None and (dial.unsent or not dial.connected)]

    def tick(self, now_us: Micros) -> list[IPv4Address]:
        """Listen and dial where it is time to; returns peers that were found to be gone."""
        if self._listener is None and now_us >= self._listen_at_us:
            self._listen(now_us)
        gone = []
        for dial in self._dials.values():
            if dial.end is None and now_us >= dial.redial_at_us:
                gone += self._dial(dial, now_us)
        return gone

    def handle(self, ready: set[int], now_us: Micros) -> list[IPv4Address]:
        """Serve the sockets with these file numbers; returns peers that were found to be gone."""
        if self._listener is not None and self._listener.fileno() in ready:
            self._accept()
        for call in list(self._calls):
            if call.end.fileno() in ready:
                self._hear(call, now_us)
        gone: list[IPv4Address] = []
        for dial in self._dials.values():
            if dial.end is None or dial.end.fileno() not in ready:
                continue
            if not dial.connected:
                gone += self._connected(dial, now_us)
            elif self._is_over(dial):
                gone += self._ended(dial, now_us)
            else:
                gone += self._send(dial, b"", now_us)
        return gone

    def say(self, hello: Hello, now_us: Micros) -> list[IPv4Address]:
        """Tell every connected peer; one that does not read is not waited for."""
        line = jsonable.dumps(hello).encode() + b"\n"
        gone: list[IPv4Address] = []
        for dial in self._dials.values():
            if dial.end is not None and dial.connected and not dial.unsent:
                gone += self._send(dial, line, now_us)
        return gone

    def take_arrivals(self) -> bool:
        """Has a peer answered our call since the last time? It knows nothing of us yet."""
        arrived, self._arrived = self._arrived, False
        return arrived

    def views(self) -> tuple[PeerView, ...]:
        return tuple(self._view(peer) for peer in self.peers)

    def close(self) -> None:
        for end in [*self.readers(), *self.writers()]:
            end.close()
        self._listener, self._calls = None, []
        for dial in self._dials.values():
            dial.end, dial.connected, dial.unsent = None, False, b""

    def _view(self, peer: IPv4Address) -> PeerView:
        connected, known = self._dials[peer].connected, self._known[peer]
        if known.hello is None:
            return PeerView(peer, connected)
        hello = known.hello
        return PeerView(
            peer,
            connected,
            hello.node,
            hello.config,
            hello.states,
            hello.priorities,
            hello.haproxy,
            hello.servers,
            known.at_us,
        )

    def _listen(self, now_us: Micros) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((str(self.own), self.port))
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            self._listen_at_us = now_us + REDIAL_US
            return
        self._listener = listener

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            end, (host, _) = self._listener.accept()
        except OSError:
            return
        peer = IPv4Address(host)
        calls = [call for call in self._calls if call.peer == peer]
        if peer not in self._dials:
            end.close()
            return
        for call in calls[: len(calls) - CALLERS_PER_PEER + 1]:
            self._hang_up(call)
        end.settimeout(0)
        self._calls.append(_Call(peer, end))

    def _hear(self, call: _Call, now_us: Micros) -> None:
        try:
            data = call.end.recv(LINE_OCTETS_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, call.buffer = (call.buffer + data).split(b"\n")
        if not data or len(call.buffer) > LINE_OCTETS_MAX:
            self._hang_up(call)
            return
        for line in lines[-1:]:  # only the newest counts
            try:
                self._known[call.peer] = _Peer(jsonable.loads(Hello, line), now_us)
            except jsonable.BadJson:
                self._hang_up(call)

    def _send(self, dial: _Dial, line: bytes, now_us: Micros) -> list[IPv4Address]:
        """Send it, or what the kernel takes of it and of what is left; the rest when it takes more."""
        assert dial.end is not None
        dial.unsent += line
        try:
            dial.unsent = dial.unsent[dial.end.send(dial.unsent) :]
        except BlockingIOError:
            return []
        except OSError:
            return self._ended(dial, now_us)
        return []

    def _is_over(self, dial: _Dial) -> bool:
        """The peer never writes on it, so that what can be read is its end."""
        assert dial.end is not None
        try:
            dial.end.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def _hang_up(self, call: _Call) -> None:
        call.end.close()
        self._calls.remove(call)

    def _dial(self, dial: _Dial, now_us: Micros) -> list[IPv4Address]:
        end = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
            end.bind((str(self.own), 0))
            code = end.connect_ex((str(dial.peer), self.port))
        except OSError as error:
            code = error.errno or errno.EIO
        dial.end = end
        if code in (0, errno.EINPROGRESS):
            return []
        return self._failed(dial, code, now_us)

    def _connected(self, dial: _Dial, now_us: Micros) -> list[IPv4Address]:
        assert dial.end is not None
        code = dial.end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            return self._failed(dial, code, now_us)
        dial.connected, dial.bereaved, self._arrived = True, False, True
        return []

    def _failed(self, dial: _Dial, code: int, now_us: Micros) -> list[IPv4Address]:
        assert dial.end is not None
        dial.end.close()
        dial.end, dial.redial_at_us = None, now_us + REDIAL_US
        gone = dial.bereaved and code == errno.ECONNREFUSED
        dial.bereaved = False
        return [dial.peer] if gone else []

    def _ended(self, dial: _Dial, now_us: Micros) -> list[IPv4Address]:
        """Our connection has ended: ask who is there."""
        assert dial.end is not None
        dial.end.close()
        dial.end, dial.connected, dial.bereaved, dial.unsent = None, False, True, b""
        return self._dial(dial, now_us)
