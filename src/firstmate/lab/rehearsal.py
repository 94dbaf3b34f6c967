"""Try a fault: pre-check, inject, watch, heal, wait until the site is whole, judge."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from firstmate.lab import answers, verdict
from firstmate.lab.answers import Answer
from firstmate.lab.balancers import read_journal, wait_whole
from firstmate.lab.faults import FAULTS, Injection, Scene
from firstmate.lab.lab import now_us
from firstmate.lab.observer import Observer
from firstmate.lab.probe import Probe
from firstmate.lab.sightings import Sighting
from firstmate.lab.topology import Role
from firstmate.lab.verdict import Trial
from firstmate.lab.wire import LabError
from firstmate.model.units import MS, S, Micros

WHOLE_WAIT_US: Micros = 25 * S
WATCH_MIN_US: Micros = 1200 * MS  # a takeover that goes wrong late must still be seen
WATCH_MAX_US: Micros = 6 * S
QUIET_US: Micros = 400 * MS  # so long without a failed request: it is over
BEFORE_US: Micros = 300 * MS  # shown ahead of the fault
_LOOK_US: Micros = 100 * MS
_HISTORY_US: Micros = 3 * S  # adverts before the fault, to know what is news

Progress = Callable[[Injection, Sequence[Answer], Sequence[Sighting]], None]


@dataclass(slots=True)
class Rehearsal:
    """Trials one after the other, on a site that is whole before each."""

    scene: Scene
    probe: Probe
    observer: Observer
    progress: Progress | None = None  # called some ten times a second while a trial is watched
    sightings: list[Sighting] = field(default_factory=list)

    def settle(self) -> None:
        """Wait until the preferred host leads, every other is ready, and the client is served. Raises `LabError`."""
        leader = self.scene.lab.site.of(Role.BALANCER)[0].name
        wait_whole(self.scene.lab, self.scene.balancer, WHOLE_WAIT_US, leader=leader)
        self.probe.wait_good(QUIET_US, WHOLE_WAIT_US)
        self.sightings.extend(self.observer.look())

    def run(self, name: str) -> Trial:
        """Try one fault. What goes wrong afterwards is the trial's `problem`; raises `LabError` before that."""
        injection = self.scene.inject(name)
        self._watch(injection)
        healed_us = now_us()
        problem = ""
        try:
            if not (FAULTS[name].mends_itself and self.scene.balancer.mends_haproxy):
                self.scene.heal()
            self.settle()
        except LabError as error:
            problem = str(error)
        return self._judge(injection, healed_us, now_us(), problem)

    def _watch(self, injection: Injection) -> None:
        least_us = max(WATCH_MIN_US, injection.fault.limit_us or 0)
        while True:
            time.sleep(_LOOK_US / S)
            self.sightings.extend(self.observer.look())
            seen = self.probe.answers()
            if self.progress is not None:
                self.progress(injection, seen, self.sightings)
            past_us = now_us() - injection.at_us
            if past_us > least_us + WATCH_MAX_US:
                return
            if past_us > least_us and _quiet(seen, now_us() - QUIET_US):
                return

    def _judge(self, injection: Injection, healed_us: Micros, whole_us: Micros, problem: str) -> Trial:
        seen = self.probe.answers()
        outage = answers.outage(seen, injection.at_us, healed_us)
        recent = [s for s in self.sightings if s.at_us >= injection.at_us - _HISTORY_US]
        moments = verdict.timeline(injection.at_us, whole_us, recent, outage, self._journals())
        return Trial(
            fault=injection.fault.name,
            says=injection.fault.says,
            host=injection.host,
            at_us=injection.at_us,
            healed_us=healed_us,
            whole_us=whole_us,
            outage=outage,
            way_back=answers.outage(seen, healed_us, whole_us),
            limit_us=injection.fault.limit_us,
            failed_max=injection.fault.failed_max,
            moments=moments,
            problem=problem,
        )

    def _journals(self) -> dict[str, list[dict[str, object]]]:
        """What each node wrote down, with its time (which counts sleep) brought to our clock."""
        offset_us = (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()) // 1000
        journals = {}
        for host in self.scene.lab.balancers:
            entries = read_journal(host)
            for entry in entries:
                when = entry.get("at_us", entry.get("now_us"))
                entry["at_us"] = when - offset_us if isinstance(when, int) else None
            journals[host.name] = entries
        return journals


def _quiet(seen: Sequence[Answer], since_us: Micros) -> bool:
    """Every request that ended since then was good, and there were some."""
    recent = []
    for answer in reversed(seen):
        if answer.end_us < since_us:
            break
        recent.append(answer)
    return bool(recent) and not any(answer.failed for answer in recent)
