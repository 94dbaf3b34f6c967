"""One lab with one subject on its load balancers: every measure that the benches take."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import lan
from figures import Boot, Healing, Loss, advertisers, leaders, servers, steady_us
from keepalived import Keepalived
from styles import STYLES

from firstmate.lab import answers
from firstmate.lab.balancers import Balancer, Firstmate, start_all, wait_whole
from firstmate.lab.faults import Scene
from firstmate.lab.lab import Lab, LabHost, now_us
from firstmate.lab.observer import Observer
from firstmate.lab.probe import INTERVAL_US, Probe
from firstmate.lab.sightings import Sighting, first_advert
from firstmate.lab.topology import standard_site
from firstmate.model.units import MS, S, Micros

SUBJECTS = ("firstmate", *STYLES)

_WHOLE_WAIT_US: Micros = 30 * S
_GOOD_WAIT_US: Micros = 10 * S
_GOOD_US: Micros = 400 * MS  # so long without a failed request before a fault
_QUIET_US: Micros = 700 * MS  # so long without one afterwards: longer than the prober's time limit
_WATCH_US: Micros = 1200 * MS
_WATCH_MAX_US: Micros = 8 * S  # what has not come back by then is said never to have come back
_LOOK_S = 0.05
_PARTITION_US = (2 * S, 4 * S)
_HEALED_US: Micros = 3 * S
_BOOTED_US: Micros = 4 * S
_CROSSED_US: Micros = 50 * MS  # half an advert interval: two MASTERs at once for less are one handover
_LAST_US: Micros = 1500 * MS  # longer than the longest advert interval: who leads at the end
_SERVED_LAST_US: Micros = 500 * MS
_PHASE_US = {"article": 2 * S, "firstmate": 500 * MS}  # longest interval of anything that looks at the site
_PHASE_OTHERS_US: Micros = 1 * S

Faults = Mapping[str, Callable[[LabHost], Micros]]


class Subject(Balancer, Protocol):
    """A balancer that the benches can do everything to."""

    @property
    def faults(self) -> Faults: ...

    def scheduling(self, host: LabHost) -> str: ...


class FirstmateSubject(Firstmate):
    """firstmate as it is: the lab's faults reach it."""

    @property
    def faults(self) -> Faults:
        return {}

    def scheduling(self, host: LabHost) -> str:
        """How pulse is scheduled."""
        found = self.part(host.processes(), "pulse")
        if not found:
            return "gone"
        # Its number here is not its number there: chrt is asked in the host.
        words = host.run(["sh", "-c", "chrt -p $(pgrep -f firstmate.pulse | head -n 1)"]).stdout.split()
        return f"{words[5].partition('|')[0]} {words[-1]}".removesuffix(" 0") if len(words) > 5 else "unknown"


@contextmanager
def set_up(subject: str, rng: random.Random, interval_us: Micros = INTERVAL_US) -> Iterator["Stage"]:
    """A new lab with a prober and an observer, nothing started on its load balancers yet."""
    site = standard_site()
    with Lab(site, name=lan.LAB) as lab:
        if subject == "firstmate":
            balancer: Subject = FirstmateSubject(config=lan.config(site))
            with Probe(lab, interval_us=interval_us) as probe, Observer(lab) as observer:
                yield Stage(subject, lab, balancer, probe, observer, rng)
            return
        with (
            Keepalived(STYLES[subject]) as keepalived,
            Probe(lab, interval_us=interval_us) as probe,
            Observer(lab) as observer,
        ):
            yield Stage(subject, lab, keepalived, probe, observer, rng)


@dataclass(slots=True)
class Stage:
    subject: str
    lab: Lab
    balancer: Subject
    probe: Probe
    observer: Observer
    rng: random.Random
    sightings: list[Sighting] = field(default_factory=list)

    @property
    def scene(self) -> Scene:
        return Scene(self.lab, self.balancer)

    def boot(self, number: int) -> Boot:
        """Start both at once. Raises `LabError` when no site comes of it."""
        at_us = now_us()
        start_all(self.lab, self.balancer)
        wait_whole(self.lab, self.balancer, _WHOLE_WAIT_US)
        self._look_for(_BOOTED_US)
        until_us = now_us()
        seen = self.probe.answers()
        first = min((a.end_us for a in seen if a.outcome is answers.Outcome.OK and a.end_us > at_us), default=None)
        changes = max(len(leaders(self.sightings, at_us, until_us, _CROSSED_US)) - 1, 0)
        return Boot(self.subject, number, None if first is None else first - at_us, changes, self._agreed(until_us))

    def settle(self) -> None:
        """Wait until lb-a leads, lb-b is ready, the client is served. Raises `LabError` with what is missing."""
        self._wait_well()
        self._look_for(self.rng.randrange(_PHASE_US.get(self.subject, _PHASE_OTHERS_US)))
        self.sightings.clear()

    def lose(self, fault: str, number: int) -> Loss:
        """One fault on a settled site, its healing, and the way back. Raises `LabError` when that does not end."""
        at_us = self._inject(fault)
        other = self.lab.balancers[1].name
        self._watch(at_us, lambda: first_advert(self.sightings, other, at_us) is not None)
        self.scene.heal()
        healed_us = now_us()
        self._wait_well()
        self.sightings.extend(self.observer.look())
        settled_us = now_us()
        announced_us = first_advert(self.sightings, other, at_us)
        until_us = self._way_back_us(at_us, announced_us, healed_us)
        seen = self.probe.answers()
        lost = answers.outage(seen, at_us, until_us)
        back_at_us = max(until_us, lost.back_us or until_us)
        back = answers.outage(seen, back_at_us, settled_us)
        return Loss(
            self.subject,
            fault,
            number,
            None if (lost.back_us or healed_us) >= healed_us and lost.gap_us > S else lost.gap_us,
            lost.failed,
            announced_us,
            back.gap_us,
            sum(answer.failed and back_at_us < answer.start_us < settled_us for answer in seen),
            lost.stall_us,
            lost.disturbed,
        )

    def divide(self, number: int) -> Healing:
        """A partition and its end."""
        at_us = self.scene.inject("partition").at_us
        self._look_for(self.rng.randrange(*_PARTITION_US))
        healed_us = self.lab.join()
        self._look_for(_HEALED_US)
        until_us = now_us()
        self.probe.settle()
        seen = self.probe.answers()
        during, after = answers.outage(seen, at_us, healed_us), answers.outage(seen, healed_us, until_us)
        final = servers(seen, until_us - _SERVED_LAST_US, until_us)
        return Healing(
            self.subject,
            number,
            max(len(servers(seen, at_us, healed_us)) - 1, 0),
            _ended(during),
            _ended(after),
            steady_us(seen, healed_us, until_us, final[-1] if final else ""),
            self._agreed(until_us),
            during.disturbed or after.disturbed,
        )

    def endure(self, for_us: Micros) -> tuple[int, answers.Outage]:
        """Only watch; returns how often the advertiser changed, and what the client lost."""
        at_us = now_us()
        self._look_for(for_us)
        until_us = now_us()
        return max(len(advertisers(self.sightings, at_us, until_us)) - 1, 0), self.probe.outage(at_us, until_us)

    @property
    def _first(self) -> LabHost:
        return self.lab.balancers[0]

    def _wait_well(self) -> None:
        wait_whole(self.lab, self.balancer, _WHOLE_WAIT_US, leader=self._first.name)
        self.probe.wait_good(_GOOD_US, _GOOD_WAIT_US)

    def _inject(self, fault: str) -> Micros:
        own = self.balancer.faults.get(fault)
        return own(self._first) if own is not None else self.scene.inject(fault, self._first.name).at_us

    def _watch(self, at_us: Micros, moved: Callable[[], bool]) -> None:
        while True:
            self._look_for(0)
            past_us = now_us() - at_us
            if past_us > _WATCH_MAX_US or (past_us > _WATCH_US and moved() and self._quiet()):
                return

    def _quiet(self) -> bool:
        """Every request that ended lately was good, and there were some."""
        since_us, good = now_us() - _QUIET_US, False
        for answer in reversed(self.probe.answers()):
            if answer.end_us < since_us:
                break
            if answer.failed:
                return False
            good |= answer.outcome is answers.Outcome.OK
        return good

    def _look_for(self, for_us: Micros) -> None:
        """Sleep, at least for one look, and keep what is seen."""
        end_us = now_us() + for_us
        while True:
            time.sleep(_LOOK_S if end_us - now_us() > _LOOK_S * S else max(end_us - now_us(), _LOOK_S / 5 * S) / S)
            self.sightings.extend(self.observer.look())
            if now_us() >= end_us:
                return

    def _way_back_us(self, at_us: Micros, announced_us: Micros | None, healed_us: Micros) -> Micros:
        """When the loss ends and the way back begins: with the healing, or where lb-a leads again by itself."""
        if announced_us is None:
            return healed_us
        again_us = first_advert(self.sightings, self._first.name, at_us + announced_us)
        return healed_us if again_us is None else min(at_us + announced_us + again_us, healed_us)

    def _agreed(self, until_us: Micros) -> bool:
        """One host advertises, and the same serves."""
        leading = set(advertisers(self.sightings, until_us - _LAST_US, until_us))
        vias = set(servers(self.probe.answers(), until_us - _SERVED_LAST_US, until_us))
        return len(leading) == 1 and vias == {host.plan.address for host in self.lab.balancers if host.name in leading}


def _ended(outage: answers.Outage) -> Micros | None:
    """The gap; None when it was still open at the end, and long."""
    return None if outage.back_us is None and outage.gap_us > S else outage.gap_us
