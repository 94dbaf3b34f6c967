"""Checks, processes and files of this node: what pulse is told of them, and what they mean for it.

A fact about a command or a process is up or down, by rise and fall; a fact about a file has a number.
"""

from collections.abc import Iterator
from dataclasses import replace

from firstmate.model.messages import FactChanged, FactView
from firstmate.model.plan import Check, CommandCheck, FileCheck, Plan, ProcessCheck, Track
from firstmate.model.units import Micros
from firstmate.policy.health import Health, answered, first_run, missed
from firstmate.policy.world import CheckRan, CheckView, FileRead, FileView, Record, Step, World


def check_ran(world: World, event: CheckRan, now_us: Micros) -> Step:
    check = _check(world.plan, event.name)
    if not isinstance(check, CommandCheck | ProcessCheck):
        return world, []  # its last words after a reload that left it out
    before = world.checks.get(event.name)
    health = _health(before, check, event)
    changed = before is None or before.health.up != health.up
    since = now_us if changed or before is None else before.since_us
    view = CheckView(health, event.line, since)
    world = replace(world, checks={**world.checks, event.name: view})
    if not changed:
        return world, []
    fact = _check_fact(check, view, now_us)
    record = Record("info" if fact.up else "error", "check", fact.why, {"check": event.name})
    return world, [fact, record]


def file_read(world: World, event: FileRead, now_us: Micros) -> Step:
    if not isinstance(_check(world.plan, event.name), FileCheck):
        return world, []
    before = world.files.get(event.name)
    changed = before is None or before.value != event.value
    since = now_us if changed or before is None else before.since_us
    view = FileView(event.value, event.line, since)
    world = replace(world, files={**world.files, event.name: view})
    if not changed:
        return world, []
    fact = _file_fact(event.name, view, now_us)
    record = Record("info", "file", fact.why, {"file": event.name, "value": event.value})
    return world, [fact, record]


def keep_known(world: World, plan: Plan) -> World:
    """The world with a new plan: what it no longer has is forgotten."""
    names = {check.name: type(check) for check in plan.checks}
    routers = {router.name for router in plan.routers}
    return replace(
        world,
        plan=plan,
        checks={name: view for name, view in world.checks.items() if names.get(name) in (CommandCheck, ProcessCheck)},
        files={name: view for name, view in world.files.items() if names.get(name) is FileCheck},
        routers={name: seen for name, seen in world.routers.items() if name in routers},
        states={name: state for name, state in world.states.items() if name in routers},
        masters={name: master for name, master in world.masters.items() if name in routers},
    )


def inherit(world: World, facts: tuple[FactView, ...]) -> World:
    """What pulse knows when ops begins is where it goes on: its own restart must not change a verdict."""
    checks, files = dict(world.checks), dict(world.files)
    for fact in facts:
        match _check(world.plan, fact.name):
            case CommandCheck(rise=rise, fall=fall) | ProcessCheck(rise=rise, fall=fall):
                good, bad = (rise, 0) if fact.up else (0, fall)
                checks.setdefault(fact.name, CheckView(Health(rise, fall, fact.up, good, bad), "", fact.at_us))
            case FileCheck() if fact.value is not None:
                files.setdefault(fact.name, FileView(fact.value, f"says {fact.value}", fact.at_us))
    return replace(world, checks=checks, files=files)


def facts(world: World, now_us: Micros) -> list[FactChanged]:
    """All that pulse should know of them by now."""
    found = []
    for check in world.plan.checks:
        if isinstance(check, FileCheck):
            if check.name in world.files:
                found.append(_file_fact(check.name, world.files[check.name], now_us))
        elif check.name in world.checks:
            found.append(_check_fact(check, world.checks[check.name], now_us))
        elif check.init_fail:
            why = f"{_noun(check)} has not passed yet"
            found.append(FactChanged(check.name, up=False, why=why, at_us=now_us))
    return found


def against(world: World) -> Iterator[tuple[str, bool, str]]:
    """What speaks against this node: the name, whether it makes it unfit (else only weaker), and a sentence."""
    for fact in facts(world, 0):
        costs = [track.weight for track in _tracks(world.plan, fact.name) if _counts(track, fact)]
        if costs:
            yield fact.name, 0 in costs, fact.why


def _counts(track: Track, fact: FactChanged) -> bool:
    if fact.value is not None:
        return track.weight == 0 and fact.value != 0
    return fact.up is track.reverse


def _tracks(plan: Plan, name: str) -> list[Track]:
    every = [*(router.track for router in plan.routers), *(group.track for group in plan.groups)]
    return [track for tracks in every for track in tracks if track.name == name]


def _check(plan: Plan, name: str) -> Check | None:
    return next((check for check in plan.checks if check.name == name), None)


def _health(before: CheckView | None, check: CommandCheck | ProcessCheck, event: CheckRan) -> Health:
    if before is not None:
        health = replace(before.health, rise=check.rise, fall=check.fall)
    elif check.init_fail:
        health = Health(check.rise, check.fall, up=False, bad=check.fall)
    else:
        return first_run(Health(check.rise, check.fall), ok=event.ok)
    return answered(health, event.at_us) if event.ok else missed(health, event.at_us)


def _check_fact(check: CommandCheck | ProcessCheck, view: CheckView, now_us: Micros) -> FactChanged:
    health, line = view.health, f": {view.line}" if view.line else ""
    verdict = "passes" if health.up else f"has passed {health.good} of {health.rise} times" if health.good else "fails"
    return FactChanged(check.name, up=bool(health.up), why=f"{_noun(check)} {verdict}{line}", at_us=now_us)


def _file_fact(name: str, view: FileView, now_us: Micros) -> FactChanged:
    return FactChanged(name, up=True, why=f'file "{name}" {view.line}', at_us=now_us, value=view.value)


def _noun(check: CommandCheck | ProcessCheck) -> str:
    kind = "check" if isinstance(check, CommandCheck) else "process check"
    return f'{kind} "{check.name}"'
