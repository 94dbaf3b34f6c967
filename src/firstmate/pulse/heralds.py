"""Says on each interface that addresses are here (gratuitous ARP, unsolicited NA), and hears who else says so."""

from collections import deque
from collections.abc import Callable, Collection, Iterable

from firstmate.linux.conflicts import ConflictWatch
from firstmate.linux.neighbours import Announcer, Claim
from firstmate.model.addresses import Address
from firstmate.model.plan import Plan, Vip
from firstmate.model.units import MS, S, Micros

GRACE_US: Micros = 1 * S  # who held an address until now may still have words of his in a queue
PROBE_US: Micros = 60 * S  # how often it is asked for that nobody else has it
PROBES_AT_ONCE = 16
QUEUED_MAX = 10_000  # announcements that wait for their turn


class Heralds:
    """`failed` is called for each announcement that could not be sent."""

    def __init__(self, plan: Plan, failed: Callable[[], None]) -> None:
        self._failed = failed
        self._announcers: dict[str, Announcer] = {}
        self._queue: dict[tuple[str, int], deque[Address]] = {}  # interface, family -> what waits for its turn
        self._turn_at_us: dict[tuple[str, int], Micros] = {}
        self.adopt(plan)

    def adopt(self, plan: Plan) -> None:
        self._pace_us = {4: plan.garp_interval_us, 6: plan.gna_interval_us}

    @property
    def deadline_us(self) -> Micros | None:
        """When `tick` has something to say."""
        return min((self._turn_at_us.get(key, 0) for key, queue in self._queue.items() if queue), default=None)

    def announce(self, vips: Iterable[Vip], rounds: int) -> None:
        for _ in range(rounds):
            for vip in vips:
                if self._pace_us[vip.ip.version]:
                    queue = self._queue.setdefault((vip.dev, vip.ip.version), deque())
                    if len(queue) < QUEUED_MAX and queue.count(vip.ip) < rounds:
                        queue.append(vip.ip)
                else:
                    self._say(vip.dev, vip.ip)

    def silence(self, vips: Iterable[Vip]) -> None:
        """They are not ours any more: what waits is not said."""
        gone = {vip.ip for vip in vips}
        for key, queue in self._queue.items():
            if not gone.isdisjoint(queue):
                self._queue[key] = deque(ip for ip in queue if ip not in gone)

    def tick(self, now_us: Micros) -> None:
        for key, queue in self._queue.items():
            if queue and self._turn_at_us.get(key, 0) <= now_us:
                self._turn_at_us[key] = now_us + self._pace_us[key[1]]
                self._say(key[0], queue.popleft())

    def lose(self, interface: str) -> None:
        if interface in self._announcers:
            self._announcers.pop(interface).close()

    def _say(self, interface: str, ip: Address) -> None:
        try:
            if interface not in self._announcers:
                self._announcers[interface] = Announcer(interface)
            self._announcers[interface].announce(ip)
        except OSError:
            self._failed()
            self.lose(interface)


class Rivals:
    """Notices that another host claims addresses that we hold: see `ConflictWatch`.

    Without the right to packet sockets, or without the interface, nobody is noticed.
    """

    def __init__(self) -> None:
        self._watches: dict[tuple[str, int], ConflictWatch] = {}
        self._since_us: dict[Vip, Micros] = {}
        self._probe_at_us: dict[Vip, Micros] = {}
        self._seen: set[Claim] = set()

    def readers(self) -> list[ConflictWatch]:
        return list(self._watches.values())

    def heed(self, vips: Iterable[Vip], now_us: Micros) -> None:
        """These are ours from now on."""
        held = set(vips)
        if held == self._since_us.keys():
            return
        self._since_us = {vip: self._since_us.get(vip, now_us) for vip in held}
        self._probe_at_us = {
            vip: self._probe_at_us.get(vip, now_us + 2 * GRACE_US + hash(vip.ip) % 1000 * MS) for vip in held
        }
        wanted: dict[tuple[str, int], list[Address]] = {}
        for vip in held:
            wanted.setdefault((vip.dev, vip.ip.version), []).append(vip.ip)
        for key in self._watches.keys() - wanted.keys():
            self._watches.pop(key).close()
        for key, addresses in wanted.items():
            try:
                if key not in self._watches:
                    self._watches[key] = ConflictWatch(*key)
                self._watches[key].heed(addresses)
            except OSError:
                self._lose(key)

    def lose(self, interface: str) -> None:
        for key in [key for key in self._watches if key[0] == interface]:
            self._lose(key)

    def read(self, ready: set[int], held: Collection[Vip], now_us: Micros) -> list[Claim]:
        """Who claims what we have held for a while, and still hold."""
        found: list[Claim] = []
        for key, watch in list(self._watches.items()):
            if watch.fileno() not in ready:
                continue
            try:
                claims = watch.receive()
            except OSError:
                self._lose(key)
                continue
            ours = {vip.ip for vip in held if now_us - self._since_us.get(vip, now_us) >= GRACE_US}
            found += [claim for claim in claims if claim.ip in ours]
        return found

    def probe(self, now_us: Micros) -> None:
        """Once a second: ask for a few of them who has them, so that each is asked for once in `PROBE_US`."""
        due = [vip for vip, at_us in self._probe_at_us.items() if at_us <= now_us][:PROBES_AT_ONCE]
        for vip in due:
            self._probe_at_us[vip] = now_us + PROBE_US
            key = (vip.dev, vip.ip.version)
            watch = self._watches.get(key)
            if watch is None:
                continue
            try:
                watch.probe(vip.ip)
            except OSError:
                self._lose(key)

    def _lose(self, key: tuple[str, int]) -> None:
        if key in self._watches:
            self._watches.pop(key).close()
        self._since_us.clear()  # so that they are heeded anew
