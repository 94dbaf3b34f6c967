"""`firstmate lab demo`: the whole site, five faults, a verdict and a page to show around."""

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from firstmate.lab import answers, report
from firstmate.lab.balancers import Balancer, Firstmate, start_all
from firstmate.lab.faults import FAULTS, Scene
from firstmate.lab.lab import Lab, now_us
from firstmate.lab.observer import Observer
from firstmate.lab.probe import INTERVAL_US, Probe
from firstmate.lab.rehearsal import Rehearsal
from firstmate.lab.screen import Screen
from firstmate.lab.topology import Role, Site, draw, standard_site
from firstmate.lab.verdict import Trial, in_words
from firstmate.lab.wire import LabError
from firstmate.model.units import S, Micros

STORY = ("haproxy-crash", "haproxy-hang", "daemon-kill", "link-down", "stop")
_LOAD_US: Micros = 1500_000
_LOG_LINES = 8


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person asked for."""

    keep: bool = False  # leave the lab running at the end
    report: Path = Path("report.html")
    faults: Sequence[str] = STORY
    name: str = "lab"


def run_demo(wish: Wish, screen: Screen, balancer: Balancer | None = None) -> bool:
    """Play it; True when every limit held. Raises `LabError` when the site never came up."""
    site = standard_site()
    balancer = balancer or Firstmate()
    _introduce(site, screen)
    started_us = now_us()
    with Lab(site, name=wish.name) as lab:
        scene = Scene(lab, balancer)
        with Observer(lab) as observer:
            start_all(lab, balancer)
            with Probe(lab) as probe:
                rehearsal = Rehearsal(scene, probe, observer, screen.progress)
                _settle_first(rehearsal, screen, started_us)
                _show_load(probe, site, screen)
                trials = _try_all(rehearsal, wish.faults, screen)
                rehearsal.sightings.extend(observer.look())
        _conclude(trials, rehearsal, screen, wish)
        if wish.keep:
            lab.detach()
            for line in hints(site, wish.name):
                screen.say(line)
    return bool(trials) and len(trials) == len(wish.faults) and all(trial.passed for trial in trials)


def hints(site: Site, name: str = "lab") -> list[str]:
    """What to try with a lab that runs."""
    first = site.of(Role.BALANCER)[0].name
    option = f" --name {name}" if name != "lab" else ""
    tries = [
        (f"status{option}", "who leads, what is broken"),
        (f"shell{option} {first}", "then: firstmate status"),
        *([(f"shell{option} client curl -i http://{site.vip}/", "")] if shutil.which("curl") else []),
        (f"fault{option} haproxy-crash", "`fault list` shows all of them"),
        (f"heal{option}", "mend everything"),
        (f"down{option}", "take it down"),
    ]
    program = program_name()
    return ["", "The lab runs on. Try:", *(f"  {program} lab {words:<42} {why}".rstrip() for words, why in tries)]


def program_name() -> str:
    """How to call firstmate from here: by its name, or by the path of the one that runs."""
    if shutil.which("firstmate"):
        return "firstmate"
    path = Path(sys.executable).with_name("firstmate")
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def logs(lab: Lab) -> list[str]:
    """The last lines that the daemons wrote, for when the site does not come up."""
    lines = []
    for host in lab.balancers:
        for path in sorted(host.directory.glob("*.log")):
            tail = path.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
            lines += [f"{host.name} {path.name}: {line}" for line in tail]
    return lines


def _introduce(site: Site, screen: Screen) -> None:
    webs, balancers = len(site.of(Role.WEB)), len(site.of(Role.BALANCER))
    screen.say(f"{balancers} load balancers, {webs} web servers, one address that survives: {site.vip}")
    screen.say()
    screen.say(draw(site))
    screen.say()
    hosts = len(site.hosts)
    screen.say(
        f"{hosts} hosts on this machine (network namespaces), real HAProxy ×{balancers}, firstmate ×{balancers} ..."
    )


def _settle_first(rehearsal: Rehearsal, screen: Screen, started_us: Micros) -> None:
    try:
        rehearsal.settle()
    except LabError:
        for line in logs(rehearsal.scene.lab):
            screen.say(line)
        raise
    leader = rehearsal.scene.lab.leader()
    screen.say(f"ready in {(now_us() - started_us) / S:.1f} s: {leader} is MASTER, the other stands by")


def _show_load(probe: Probe, site: Site, screen: Screen) -> None:
    begin_us = now_us()
    screen.say(f"\nThe client opens a new connection every {INTERVAL_US / 1000:.0f} ms to http://{site.vip}/:")
    time.sleep(_LOAD_US / S)
    seen = [answer for answer in probe.answers() if answer.end_us >= begin_us]
    counts = answers.count_by(seen, "server")
    screen.load(counts, (now_us() - begin_us) / S)
    silent = [plan.name for plan in site.of(Role.WEB) if not counts.get(plan.name)]
    if silent:
        raise LabError(f"no answer from {', '.join(silent)}: the load does not reach every web server")


def _try_all(rehearsal: Rehearsal, faults: Sequence[str], screen: Screen) -> list[Trial]:
    trials = []
    for number, name in enumerate(faults, start=1):
        host = rehearsal.scene.target(FAULTS[name])
        screen.begin(number, len(faults), FAULTS[name], host or "the network")
        trial = rehearsal.run(name)
        screen.show(trial, rehearsal.probe.answers(), rehearsal.sightings)
        if not trial.passed and not trial.problem and trial.outage.disturbed:
            screen.say("  the machine was too busy to tell: once more")
            trial = rehearsal.run(name)
            screen.show(trial, rehearsal.probe.answers(), rehearsal.sightings)
        trials.append(trial)
        if trial.problem:
            for line in logs(rehearsal.scene.lab):
                screen.say(line)
            break
    return trials


def _conclude(trials: list[Trial], rehearsal: Rehearsal, screen: Screen, wish: Wish) -> None:
    screen.say()
    screen.table(trials)
    page = report.render(trials, rehearsal.probe.answers(), rehearsal.sightings, rehearsal.scene.lab.site)
    wish.report.write_text(page, encoding="utf-8")
    kept = sum(trial.passed for trial in trials)
    worst = max((trial.outage.gap_us for trial in trials), default=0)
    screen.say(f"\n{kept} of {len(wish.faults)} limits held; longest outage {in_words(worst)}.  Plots: {wish.report}")
