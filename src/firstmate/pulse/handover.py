"""A planned handover that loses no connection.

When we resign, clients learn the new MASTER's MAC within a millisecond or two; what they send after that on
connections to *us* reaches a host that does not know them, and is reset. So the supervisor first has HAProxy's
listening sockets ignore new SYNs, and ops waits until what is under way has finished. The SYNs that come
meanwhile are kept here (a packet socket sees them before TCP ignores them) and, once the new MASTER has
announced itself, sent on to its MAC. The client notices a connect that took some tens of milliseconds longer.
"""

import select
from typing import TYPE_CHECKING

from firstmate.linux.process import clock_us
from firstmate.linux.tap import ArpSaid, NewConnection, Tap
from firstmate.model.plan import Plan
from firstmate.model.units import MS, S, Micros

if TYPE_CHECKING:
    from ipaddress import IPv4Address

KEPT_MAX = 20_000  # SYNs; more than a second's worth for most, 2 MB at most
SUCCESSOR_WAIT_US: Micros = 300 * MS  # skew, one advert and an ARP take a few; without a successor nobody gains
STRAYS_US: Micros = 150 * MS  # clients that learn the new MAC late


class Handover:
    """Watches the interfaces of our addresses from its creation on. Raises `OSError`."""

    def __init__(self, plan: Plan) -> None:
        self._vips = {vip.ip for router in plan.routers for vip in router.vips}
        devices = {vip.dev for router in plan.routers for vip in router.vips}
        self._taps = [Tap(device) for device in sorted(devices)]
        self._kept: list[tuple[Tap, NewConnection]] = []
        self._successors: dict[IPv4Address, bytes] = {}
        self._parked_at_ns = 0
        self.forwarded = 0

    def taps(self) -> list[Tap]:
        """For select: what is readable is to be read soon, by `read`."""
        return self._taps

    def read(self) -> None:
        """Keep new connections; learn who announces our addresses."""
        for tap in self._taps:
            while (seen := _receive(tap)) is not None:
                self._take(tap, seen)

    def parked(self, at_ns: int) -> None:
        """HAProxy has ignored SYNs since `at_ns`: those before it are being served."""
        self._parked_at_ns = at_ns
        self._kept = [(tap, one) for tap, one in self._kept if one.at_ns >= at_ns]
        self._successors.clear()  # until now it was ourselves

    def finish(self) -> None:
        """After priority 0: wait for the successor, send on what was kept, and strays for a little longer.

        Only once HAProxy ignores them (`parked`): a SYN that is being served here must not be seen there.
        """
        if not self._parked_at_ns:
            self.close()
            return
        started_us = clock_us()
        while (now_us := clock_us()) < started_us + SUCCESSOR_WAIT_US + STRAYS_US:
            if not self._successors and now_us >= started_us + SUCCESSOR_WAIT_US:
                break
            wait_us = started_us + SUCCESSOR_WAIT_US + STRAYS_US - now_us
            if self._successors:
                wait_us = min(wait_us, STRAYS_US)
            if not select.select(self._taps, [], [], wait_us / S)[0] and self._successors:
                break
            self.read()
        self.close()

    def close(self) -> None:
        for tap in self._taps:
            tap.close()

    def _take(self, tap: Tap, seen: NewConnection | ArpSaid) -> None:
        match seen:
            case ArpSaid(ip, mac) if ip in self._vips and mac != tap.mac:
                self._successors[ip] = mac
                waiting, self._kept = self._kept, []
                for kept_on, one in waiting:
                    self._take(kept_on, one)
            case NewConnection(destination) if destination in self._vips and seen.at_ns >= self._parked_at_ns:
                if destination in self._successors:
                    self._forward(tap, seen.frame, self._successors[destination])
                elif len(self._kept) < KEPT_MAX:
                    self._kept.append((tap, seen))
            case _:
                pass

    def _forward(self, tap: Tap, frame: bytes, mac: bytes) -> None:
        try:
            tap.forward(frame, mac)
        except OSError:
            return  # the client tries again within a second
        self.forwarded += 1


def _receive(tap: Tap) -> NewConnection | ArpSaid | None:
    try:
        return tap.receive()
    except OSError:
        return None  # the interface is going away, and with it the clients
