"""When each virtual router was settled, or taken over, told from what was said on the wires. Pure.

All times are microseconds of one clock. A virtual router is named by its wire and its VRID.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from firstmate.model.units import MS, Micros

Key = tuple[int, int]  # wire, VRID


class Said(NamedTuple):
    """An advert, or a gratuitous ARP, as it passed the switch's port of a host."""

    at_us: Micros
    port: str  # the host behind the port
    wire: int
    vrid: int  # -1: ARP
    priority: int
    delivered: bool  # it leaves the switch towards that host; else that host has sent it
    ip: bytes = b""  # ARP


@dataclass(frozen=True, slots=True)
class Taken:
    """How long after a fault the other host had everything; None: as long as we watched it had not."""

    adverts_us: Micros | None  # the first advert of the last virtual router
    addresses_us: Micros | None  # the first gratuitous ARP of the last address
    late_p50_us: float | None  # from the last advert heard to its own first, less the down interval
    late_p99_us: float | None


@dataclass(frozen=True, slots=True)
class Cost:
    host: str
    name: str
    cpu: float  # percent of a core
    pss: int  # octets


@dataclass(frozen=True, slots=True)
class Scale:
    """One set-up of many virtual routers."""

    subject: str
    round: int
    routers: int
    wires: int
    interval_us: Micros
    opened_us: Micros | None = None  # from the start of both to the VRRP sockets of the preferred host
    settled_us: Micros | None = None  # from the start of both
    changes: float | None = None  # of the advertiser until then, of each virtual router
    busy_ms: int | None = None  # milliseconds of one interval in which the MASTER says something: 1 is all at once
    sent: float | None = None  # packets a second that the MASTER sends
    master_cpu: float | None = None  # percent of a core
    backup_cpu: float | None = None
    master_pss: int | None = None  # octets
    backup_pss: int | None = None
    processes: tuple[Cost, ...] = ()
    cut: Taken | None = None
    kill: Taken | None = None
    problem: str = ""  # why the rest is missing


@dataclass(frozen=True, slots=True)
class Silences:
    """Takeovers of one virtual router, one after the other, in one set-up."""

    subject: str
    round: int
    interval_us: Micros
    loops: int  # busy loops beside it
    scheduling: str
    late_us: tuple[Micros, ...]  # from the last advert heard to the first of the new MASTER, less the down interval
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Calm:
    """Nothing happens, and nobody may fail over."""

    subject: str
    interval_us: Micros
    loops: int
    seconds: int
    adverts: int
    changes: int  # of the advertiser
    longest_us: Micros  # between two adverts of the MASTER
    scheduling: str
    problem: str = ""


def down_interval_us(interval_us: Micros, priority: int) -> Micros:
    """Master_Down_Interval of version 3 (RFC 9568, 6.1)."""
    return 3 * interval_us + (256 - priority) * interval_us // 256


def busy_ms(heard: Iterable[Said], host: str) -> int:
    """In how many different milliseconds that host advertises."""
    return len({said.at_us // MS for said in heard if said.port == host and not said.delivered and said.vrid >= 0})


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The least value that so many percent do not exceed; None without values."""
    if not values:
        return None
    ranked = sorted(values)
    return ranked[max(0, -int(-len(ranked) * percent // 100) - 1)]


@dataclass(slots=True)
class Reign:
    """Who advertises one virtual router, and since when nobody else does."""

    host: str
    since_us: Micros
    last_us: Micros
    changes: int = 0


@dataclass(slots=True)
class Reigns:
    """Who advertises what. Hears the ports where adverts come in; adverts of priority 0 are no claim."""

    of: dict[Key, Reign] = field(default_factory=dict)
    adverts: int = 0
    longest_us: Micros = 0  # between two adverts of one host
    resigned: int = 0

    def hear(self, heard: Iterable[Said]) -> None:
        for said in heard:
            if said.delivered or said.vrid < 0:
                continue
            if not said.priority:
                self.resigned += 1
                continue
            self.adverts += 1
            key = (said.wire, said.vrid)
            reign = self.of.get(key)
            if reign is None:
                self.of[key] = Reign(said.port, said.at_us, said.at_us)
                continue
            if reign.host != said.port:
                reign.host, reign.since_us = said.port, said.at_us
                reign.changes += 1
            else:
                self.longest_us = max(self.longest_us, said.at_us - reign.last_us)
            reign.last_us = said.at_us

    @property
    def changes(self) -> int:
        return sum(reign.changes for reign in self.of.values())

    def settled_us(self, host: str, count: int) -> Micros | None:
        """Since when `host` alone advertises all of them; None: it does not."""
        if len(self.of) < count or any(reign.host != host for reign in self.of.values()):
            return None
        return max(reign.since_us for reign in self.of.values())

    def missing(self, host: str, count: int) -> str:
        led = sum(reign.host == host for reign in self.of.values())
        return f"{host} leads {led} of {count}, {len(self.of) - led} are led by others, {self.changes} changes"


@dataclass(slots=True)
class Takeover:
    """What reaches the heir, and what it says itself. Told of everything since before the fault at `at_us`."""

    heir: str
    count: int  # virtual routers, with an address each
    at_us: Micros | None = None
    heard: dict[Key, Micros] = field(default_factory=dict)
    own: dict[Key, Micros] = field(default_factory=dict)
    announced: dict[bytes, Micros] = field(default_factory=dict)

    def hear(self, heard: Iterable[Said]) -> None:
        for said in heard:
            if said.port != self.heir:
                continue
            key = (said.wire, said.vrid)
            if said.delivered:
                if said.priority and key not in self.own:
                    self.heard[key] = said.at_us
            elif self.at_us is not None and said.at_us >= self.at_us:
                if said.vrid < 0:
                    self.announced.setdefault(said.ip, said.at_us)
                elif said.priority:
                    self.own.setdefault(key, said.at_us)

    @property
    def complete(self) -> bool:
        return len(self.own) >= self.count and len(self.announced) >= self.count

    def late_us(self, down_us: Micros) -> tuple[Micros, ...]:
        """Of each, in order of size: from the last advert heard to its own first, less the down interval."""
        return tuple(sorted(at - self.heard[key] - down_us for key, at in self.own.items() if key in self.heard))

    def taken(self, down_us: Micros) -> Taken:
        assert self.at_us is not None
        late_us = self.late_us(down_us)
        return Taken(
            max(self.own.values()) - self.at_us if len(self.own) >= self.count else None,
            max(self.announced.values()) - self.at_us if len(self.announced) >= self.count else None,
            percentile(late_us, 50),
            percentile(late_us, 99),
        )


def in_ms(us: float | None, digits: int = 1) -> str:
    return "–" if us is None else f"{us / MS:.{digits}f}"


def late_row(late_us: Sequence[Micros]) -> list[str]:
    """How many, least, median, p99 and greatest, in milliseconds."""
    found = [percentile(late_us, percent) for percent in (0, 50, 99, 100)]
    return [str(len(late_us)), *(in_ms(us, 2) for us in found)]
