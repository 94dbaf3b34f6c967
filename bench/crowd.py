"""Many virtual routers on two hosts, from the start of both daemons to the end of one."""

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ear import Ear, clock_us
from timing import Cost, Reigns, Said, Scale, Takeover, busy_ms
from twins import Setting, Twin, comm, cpu_ns, pss, vips
from wires import HOSTS, Wires

from firstmate.model.units import MS, S, Micros

_PREFERRED, _HEIR = HOSTS
_OPEN_WAIT_US: Micros = 30 * S
_SETTLE_WAIT_US: Micros = 90 * S
_TAKEN_WAIT_US: Micros = 20 * S  # beyond the down interval
_LOOK_US: Micros = 5 * MS
_REST_US: Micros = 7 * S  # after settling: the second burst of gratuitous ARPs comes after five


class Failed(Exception):
    """What kept this set-up from being measured."""


@dataclass(frozen=True, slots=True)
class Place:
    directory: Path
    python: str  # of the environment whose firstmate is measured


@dataclass(slots=True)
class Pair:
    """Both daemons, and the wires between them."""

    wires: Wires
    twins: dict[str, Twin]
    setting: Setting

    def start(self) -> Micros:
        """Start both; when."""
        at_us = clock_us()
        for twin in self.twins.values():
            twin.start()
        return at_us

    def wait_open(self) -> Micros:
        """Until both have their sockets; when the preferred host had its own. Raises `Failed`."""
        until_us = clock_us() + _OPEN_WAIT_US
        opened: dict[str, Micros] = {}
        while len(opened) < len(HOSTS):
            for host, twin in self.twins.items():
                if host not in opened and twin.is_open():
                    opened[host] = clock_us()
            self._check(until_us, lambda: "no VRRP socket")
            time.sleep(_LOOK_US / S)
        return opened[_PREFERRED]

    def settle(self, ear: Ear, reigns: Reigns) -> Micros:
        """Until the preferred host alone advertises everything, and has for a while; since when. Raises `Failed`."""
        hold_us = 2 * self.setting.down_us + 200 * MS
        until_us = clock_us() + _SETTLE_WAIT_US
        count = self.setting.count
        while True:
            reigns.hear(ear.listen(clock_us() + _LOOK_US))
            since_us = reigns.settled_us(_PREFERRED, count)
            if since_us is not None and clock_us() - since_us > hold_us:
                return since_us
            self._check(until_us, lambda: f"not settled: {reigns.missing(_PREFERRED, count)}; {self._said()}")

    def lose(self, ear: Ear, fault: Callable[[], Micros]) -> Takeover:
        """The fault, and what the other host makes of it."""
        takeover = Takeover(_HEIR, self.setting.count)
        self._hear_for(ear, takeover.hear, 2 * self.setting.interval_us)
        takeover.at_us = fault()
        until_us = takeover.at_us + self.setting.down_us + _TAKEN_WAIT_US
        while not takeover.complete and clock_us() < until_us:
            takeover.hear(ear.listen(clock_us() + _LOOK_US))
        if lost := ear.lost():
            raise Failed(f"{lost} frames were not heard")
        return takeover

    def busy_ms(self, ear: Ear) -> int:
        heard: list[Said] = []
        self._hear_for(ear, heard.extend, self.setting.interval_us)
        return busy_ms(heard, _PREFERRED)

    def cut(self) -> Micros:
        at_us = clock_us()
        self.wires.cut(_PREFERRED)
        return at_us

    def sent(self) -> int:
        """Packets that the preferred host has sent so far."""
        fd = self.wires.open_file(_PREFERRED, "dev")
        try:
            lines = os.pread(fd, 1 << 16, 0).decode().splitlines()
        finally:
            os.close(fd)
        return sum(int(line.partition(":")[2].split()[9]) for line in lines if line.strip().startswith("eth"))

    def rest(self, ear: Ear, for_us: Micros) -> None:
        """Let time pass; what is said meanwhile is forgotten."""
        self._hear_for(ear, lambda _: None, for_us)

    def _hear_for(self, ear: Ear, hear: Callable[[list[Said]], None], for_us: Micros) -> None:
        until_us = clock_us() + for_us
        while clock_us() < until_us:
            hear(ear.listen(until_us))

    def _said(self) -> str:
        return f"{_PREFERRED} said: {self.twins[_PREFERRED].said()}"

    def _check(self, until_us: Micros, what: Callable[[], str]) -> None:
        for twin in self.twins.values():
            if trouble := twin.trouble():
                raise Failed(trouble)
        if clock_us() > until_us:
            raise Failed(what())


@contextmanager
def pair(place: Place, subject: str, setting: Setting) -> Iterator[Pair]:
    """Two hosts with the daemon ready to be started; at the end everything is taken down."""
    with ExitStack() as stack:
        wires = stack.enter_context(Wires(setting.wires))
        twins = {}
        for host in HOSTS:
            twins[host] = Twin(subject, host, wires, setting, place.directory / host, place.python)
            stack.callback(twins[host].close)
        yield Pair(wires, twins, setting)


def measure(place: Place, subject: str, number: int, setting: Setting, window_s: float, rng: random.Random) -> Scale:
    """Start, settle, steady state, a cut wire and its mending, a killed daemon."""
    found = Scale(subject, number, setting.count, setting.wires, setting.interval_us)
    with pair(place, subject, setting) as both:
        try:
            for found in _story(both, found, window_s, rng):  # noqa: B007, B020 - it grows; the last one is kept
                pass
        except Failed as error:
            found = replace(found, problem=str(error))
    return found


def _story(both: Pair, scale: Scale, window_s: float, rng: random.Random) -> Iterator[Scale]:
    """Yields what is known so far, step by step. Raises `Failed`."""
    reigns = Reigns()
    with Ear(both.wires) as ear:
        at_us = both.start()
        scale = replace(scale, opened_us=both.wait_open() - at_us)
        yield scale
        settled_us = both.settle(ear, reigns)
        scale = replace(scale, settled_us=settled_us - at_us, changes=reigns.changes / both.setting.count)
        yield scale
        both.rest(ear, _REST_US)
        scale = replace(scale, busy_ms=both.busy_ms(ear))
    if missing := vips(both.setting) - both.wires.held(_PREFERRED):
        raise Failed(f"{_PREFERRED} advertises and does not have {len(missing)} addresses")
    scale = _steady(both, scale, window_s)
    yield scale
    with Ear(both.wires) as ear:
        both.settle(ear, Reigns())
        both.rest(ear, rng.randrange(both.setting.interval_us))
        scale = replace(scale, cut=both.lose(ear, both.cut).taken(both.setting.down_us))
        yield scale
        both.wires.mend(_PREFERRED)
        both.settle(ear, Reigns())
        both.rest(ear, _REST_US + rng.randrange(both.setting.interval_us))
        scale = replace(scale, kill=both.lose(ear, both.twins[_PREFERRED].kill).taken(both.setting.down_us))
        yield scale
        both.rest(ear, 1 * S)
    if missing := vips(both.setting) - both.wires.held(_HEIR):
        raise Failed(f"{_HEIR} advertises and does not have {len(missing)} addresses")


def _steady(both: Pair, scale: Scale, window_s: float) -> Scale:
    """Nobody listens meanwhile: an ear on the wire costs whoever speaks."""
    pids = {host: twin.pids() for host, twin in both.twins.items()}
    before = {host: cpu_ns(pids[host]) for host in HOSTS}
    sent, at_ns = both.sent(), time.monotonic_ns()
    time.sleep(window_s)
    past_ns = time.monotonic_ns() - at_ns
    after = {host: cpu_ns(pids[host]) for host in HOSTS}
    if any(before[host].keys() != after[host].keys() for host in HOSTS):
        raise Failed("a process ended by itself")
    costs = tuple(
        Cost(host, comm(pid), 100 * (after[host][pid] - before[host][pid]) / past_ns, pss(pid))
        for host in HOSTS
        for pid in pids[host]
    )
    master, backup = ([cost for cost in costs if cost.host == host] for host in HOSTS)
    return replace(
        scale,
        sent=(both.sent() - sent) * S * 1000 / past_ns,
        master_cpu=sum(cost.cpu for cost in master),
        backup_cpu=sum(cost.cpu for cost in backup),
        master_pss=sum(cost.pss for cost in master),
        backup_pss=sum(cost.pss for cost in backup),
        processes=costs,
    )
