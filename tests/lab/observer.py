"""An eye on every cable of a site."""

import bisect
import select
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from tests.vectors.vrrp.oracle import Judged, SeenAdvert, SeenArp, SeenNeighbour, judge

from firstmate.linux.bpf import Program, attach

if TYPE_CHECKING:
    from tests.lab.netns import Namespace

SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
PACKET_OUTGOING = 4
STALL_S = 0.1  # longer between two looks: we did not run, and perhaps nobody did
OBSERVED_OCTETS = 8 << 20  # a test's worth of frames waits in the kernel until it is asked for
LOAD_IFINDEX, IF_EQUAL, RETURN = (0x20, 0, 0, 0xFFFFF000 + 8), 0x15, 0x06  # BPF_LD | BPF_W | BPF_ABS, SKF_AD_IFINDEX

_at = attrgetter("at")


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame that entered the switch."""

    at: float  # seconds, CLOCK_REALTIME: `time.time()`
    host: str  # who sent it
    what: Judged


class Observer:
    """Every advert, ARP and NA that a host sends into the switch, with the kernel's time, judged by the oracle."""

    def __init__(self, switch: "Namespace") -> None:
        self._switch = switch
        with switch.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(3))
        self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, OBSERVED_OCTETS)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._seen: list[Seen] = []
        self._by_host: dict[str, list[Seen]] = defaultdict(list)
        self.unreadable: list[tuple[str, bytes]] = []  # host and frame: an advert or ARP that is none

    def close(self) -> None:
        self._socket.close()

    def only(self, *hosts: str) -> None:
        """Look at these alone from now on: the kernel passes over what the others send."""
        with self._switch.entered():
            ports = [socket.if_nametoindex(f"p-{host}") for host in hosts]
        keep, pass_over = (RETURN, 0, 0, 0xFFFFFFFF), (RETURN, 0, 0, 0)
        tests = [(IF_EQUAL, len(ports) - at, 0, port) for at, port in enumerate(ports)]
        program: Program = (LOAD_IFINDEX, *tests, pass_over, keep)
        attach(self._socket, program)

    def look(self) -> list[Seen]:
        """Everything seen so far."""
        while True:
            try:
                frame, ancillary, _, (port, _, direction, *_) = self._socket.recvmsg(2048, 64)
            except BlockingIOError:
                return self._seen
            if direction == PACKET_OUTGOING or not port.startswith("p-"):
                continue
            host = port.removeprefix("p-")
            try:
                what = judge(frame)
            except (ValueError, IndexError, struct.error):
                self.unreadable.append((host, frame))
                continue
            if what is not None:
                seconds, nanoseconds = struct.unpack("@ll", ancillary[0][2])
                one = Seen(seconds + nanoseconds / 1e9, host, what)
                self._seen.append(one)
                self._by_host[host].append(one)

    def since(self, host: str, since: float) -> Iterator[Seen]:
        self.look()
        seen = self._by_host[host]
        return iter(seen[bisect.bisect_left(seen, since, key=_at) :])

    def adverts(self, host: str, since: float = 0, vrid: int = 0, family: int = 0) -> list[tuple[float, SeenAdvert]]:
        """`vrid` and `family` 0: any."""
        return [
            (one.at, one.what)
            for one in self.since(host, since)
            if isinstance(one.what, SeenAdvert) and vrid in {0, one.what.vrid} and family in {0, one.what.family}
        ]

    def arps(self, host: str, since: float = 0, address: str = "192.0.2.100") -> list[tuple[float, SeenArp]]:
        """Gratuitous ones for the virtual address."""
        return [
            (at, claim)
            for at, claim in self.claims(host, since)
            if isinstance(claim, SeenArp) and claim.claims == address
        ]

    def claims(self, host: str, since: float = 0) -> list[tuple[float, SeenArp | SeenNeighbour]]:
        """Gratuitous ARPs and unsolicited neighbour advertisements, for any address."""
        return [
            (one.at, one.what)
            for one in self.since(host, since)
            if not isinstance(one.what, SeenAdvert) and one.what.claims
        ]

    def priorities(self, host: str, since: float = 0) -> list[int]:
        return [advert.priority for _, advert in self.adverts(host, since)]

    def wait(self, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Until the condition holds, looked at with each frame and every 5 ms."""
        awake_s, last = 0.0, time.monotonic()
        while not condition():
            passed, last = time.monotonic() - last, time.monotonic()
            awake_s += min(passed, STALL_S)
            assert awake_s < timeout_s, f"not within {timeout_s} s: {what}"
            select.select([self._socket], [], [], 0.005)
            self.look()
            time.sleep(0.001)
