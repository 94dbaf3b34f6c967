"""All decisions of `ops`: `decide(world, event, now_us)` gives the next world and what to do.

Pure. Facts about this node flow to pulse, orders about HAProxy to the supervisor, records to people.
"""

from dataclasses import replace

from firstmate.model.messages import (
    Beat,
    ChildExited,
    ChildStarted,
    FactChanged,
    FactView,
    HandOver,
    Notice,
    RouterState,
    Snapshot,
    StartHaproxy,
    Transition,
    WantSnapshot,
)
from firstmate.model.plan import HAPROXY_FACT, CommandCheck, HaproxyPlan, Plan
from firstmate.model.units import MS, S, Micros, format_duration
from firstmate.policy import life as lives
from firstmate.policy.health import Health, answered, first_run, missed
from firstmate.policy.life import Absent, Answered, Hung, Killing, Life, LifeEvent, Look, Missed, Serving, Starting
from firstmate.policy.restart import cause
from firstmate.policy.view import haproxy_text, in_words, master_of, servers_text
from firstmate.policy.world import (
    NOTICES_MAX,
    Action,
    CheckRan,
    CheckView,
    ConfigAccepted,
    ConfigRefused,
    Drain,
    Event,
    MasterView,
    PlanLoaded,
    Prepare,
    Record,
    ServersSeen,
    Tick,
    World,
)

PREPARE_AGAIN_US: Micros = 10 * S  # HAProxy may have been installed, or a name resolves again
TELL_AGAIN_US: Micros = 900 * MS  # pulse answers in its next snapshot, a second later
AT_ONCE_US: Micros = 10 * MS
SETTLE_US: Micros = 500 * MS  # the supervisor's news of an exit reach pulse before they reach us

Step = tuple[World, list[Action]]


def decide(world: World, event: Event, now_us: Micros) -> Step:
    """The next world, and the actions in the order in which they must be done."""
    match event:
        case PlanLoaded(plan):
            return _plan_loaded(world, plan, now_us)
        case ConfigAccepted():
            return _config_accepted(world, event, now_us)
        case ConfigRefused():
            return _config_refused(world, event, now_us)
        case ChildStarted(name="haproxy") | ChildExited(name="haproxy") | Answered() | Missed():
            return _live(world, event, now_us)
        case ChildStarted() | ChildExited():
            return world, [_child_record(event)]
        case HandOver(parked_at_ns):
            return world, [Drain(parked_at_ns)]
        case Snapshot():
            return _snapshot(world, event, now_us)
        case Transition():
            return _transition(world, event, now_us)
        case Notice():
            notices = (*world.notices, event)[-NOTICES_MAX:]
            seen, actions = _seen(world, event.seq)
            return replace(seen, notices=notices), [Record("notice", event.code, event.text), *actions]
        case ServersSeen():
            return _servers_seen(world, event)
        case CheckRan():
            return _check_ran(world, event, now_us)
        case Tick():
            return _tick(world, event, now_us)


def deadline_us(world: World) -> Micros | None:
    """When a `Tick` is due beside those of each second; None: never."""
    times = [at for at in (lives.deadline_us(world.life), world.prepare_at_us) if at is not None]
    return min(times, default=None)


# The plan and HAProxy's configuration


def _plan_loaded(world: World, plan: Plan, now_us: Micros) -> Step:
    actions: list[Action] = [
        Record("info", "plan", f"{plan.node}: configuration {plan.digest}", {"config": plan.digest})
    ]
    if world.snapshot is None:
        actions.append(WantSnapshot())
    names = {check.name for check in plan.checks}
    checks = {name: view for name, view in world.checks.items() if name in names}
    was, world = world.plan, replace(world, plan=plan, checks=checks, problems=(), prepare_at_us=None)
    if plan.haproxy is None:
        return replace(world, life=Absent("this node runs no HAProxy", now_us), servers=()), actions
    if world.owns_haproxy:
        return world, [*actions, Prepare()]
    if was.haproxy != plan.haproxy or isinstance(world.life, Absent):
        world = replace(world, life=Starting(0, 0, now_us, _fresh(plan.haproxy), "looking for it"))
    return world, actions


def _config_accepted(world: World, event: ConfigAccepted, now_us: Micros) -> Step:
    """The supervisor starts HAProxy, reloads it, or finds that it runs with just this."""
    world = replace(world, config=event, problems=(), prepare_at_us=None)
    if not world.owns_haproxy:
        return world, []  # the plan changed meanwhile
    if isinstance(world.life, Serving):
        world = replace(world, life=replace(world.life, reloads_until_us=now_us + lives.RELOAD_GRACE_US))
    text = f"HAProxy {event.version} ({event.binary}) takes configuration {event.digest}"
    record = Record("info", "haproxy-config", text, {"config": event.config, "digest": event.digest})
    return world, [record, StartHaproxy(event.binary, event.config, event.digest)]


def _config_refused(world: World, event: ConfigRefused, now_us: Micros) -> Step:
    actions: list[Action] = [
        Record("error", "haproxy-config", f"{_place(problem.file, problem.line)}{problem.text}", {"code": problem.code})
        for problem in event.problems
    ]
    again = now_us + PREPARE_AGAIN_US
    world = replace(world, problems=event.problems, prepare_at_us=again)
    if isinstance(world.life, Absent):
        why = event.problems[0].text
        generation = world.life.generation
        world = replace(world, life=replace(world.life, why=why))
        actions.append(FactChanged(HAPROXY_FACT, up=False, why=why, at_us=now_us, generation=generation))
    return world, actions


# HAProxy's life


def _live(world: World, event: LifeEvent, now_us: Micros) -> Step:
    if world.plan.haproxy is None:
        return world, []
    was = world.life
    life, actions = lives.step(was, event, _fresh(world.plan.haproxy), now_us, leading=world.leading)
    restarts = world.restarts + (isinstance(event, ChildExited) and life is not was)
    servers = world.servers if isinstance(life, Serving) else ()
    before = haproxy_text(world)
    world = replace(world, life=life, restarts=restarts, servers=servers)
    # Peers need not believe for a second what is past.
    beats = [_beat(world, now_us)] if actions and haproxy_text(world) != before else []
    return world, [*actions, *beats, *_life_records(was, life, event, now_us, leading=world.leading)]


def _life_records(was: Life, life: Life, event: LifeEvent, now_us: Micros, *, leading: bool) -> list[Action]:
    fields = {"generation": life.generation}
    match was, life:
        case _, Absent(why=why) if isinstance(event, ChildExited) and life is not was:
            pause = event.restart_in_us
            when = f"in {format_duration(pause)}" if pause and pause >= AT_ONCE_US else "at once"
            tail = "" if pause is None else f"; started again {when}"
            return [Record("error", "haproxy", f"{why}{tail}", {**fields, "status": event.status, "pid": event.pid})]
        case _, Starting() if isinstance(event, ChildStarted):
            return [Record("info", "haproxy", f"HAProxy started, pid {event.pid}", {**fields, "pid": event.pid})]
        case (Hung(), Starting() | Serving()):
            return [Record("warning", "haproxy", "HAProxy answers again and is left alone", fields)]
        case _, Serving(version=version) if not isinstance(was, Serving):
            after = format_duration(now_us - was.since_us)
            return [Record("info", "haproxy", f"HAProxy {version} answers, {after} after it began", fields)]
        case Hung(), Killing():
            gone = "did not leave in time" if leading else "are gone from here"
            return [Record("warning", "haproxy", f"the addresses {gone}; HAProxy is killed", fields)]
        case ((Starting() | Serving()), (Hung(why=why) | Killing(why=why) | lives.Silent(why=why))):
            return [Record("error", "haproxy", why, fields)]
        case _:
            return []


def _servers_seen(world: World, event: ServersSeen) -> Step:
    before = {(server.service, server.server): server.up for server in world.servers}
    actions: list[Action] = []
    for server in event.servers:
        name = f"{server.service}/{server.server}"
        fields = {"service": server.service, "server": server.server, "status": server.status}
        if before.get((server.service, server.server), True) and not server.up:
            why = f": {server.why}" if server.why else ""
            actions.append(Record("warning", "server", f"{name} is {server.status}{why}", fields))
        elif server.up and before.get((server.service, server.server)) is False:
            actions.append(Record("info", "server", f"{name} is {server.status} again", fields))
    return replace(world, servers=event.servers), actions


# What pulse says


def _snapshot(world: World, event: Snapshot, now_us: Micros) -> Step:
    states = {router.name: router.state for router in event.routers}
    if world.snapshot is None or world.snapshot.pid != event.pid:
        world = replace(world, told_at_us=None)
    world = replace(world, snapshot=event, states=states, seq=event.seq)
    world = replace(world, masters=_masters(world, now_us))
    world, actions = _look(world, now_us)
    told_at_us = world.told_at_us
    if told_at_us is not None and now_us - told_at_us < TELL_AGAIN_US:
        return world, actions
    again = _facts_again(world, event, now_us)
    return (replace(world, told_at_us=now_us) if again else world), [*actions, *again]


def _transition(world: World, event: Transition, now_us: Micros) -> Step:
    world, wants = _seen(world, event.seq)
    world = replace(world, states={**world.states, event.router: event.is_})
    reason = in_words(world, event.reason)
    text = f"{event.router}: {world.plan.node} {event.is_.value} (was {event.was.value}): {reason}"
    fields: dict[str, str | int | None] = {
        "router": event.router, "vrid": event.vrid, "node": world.plan.node, "from": event.was.value,
        "to": event.is_.value, "reason": reason, "epoch": event.epoch, "at_us": event.at_us,
    }  # fmt: skip
    level = "warning" if event.is_ is RouterState.FAULT else "notice"
    if event.is_ is RouterState.MASTER:
        world = replace(world, masters={**world.masters, event.router: MasterView(world.plan.node, event.at_us)})
    world, actions = _look(world, now_us)
    orders = [action for action in actions if not isinstance(action, Record)]
    records = [action for action in actions if isinstance(action, Record)]
    return world, [*orders, Record(level, "transition", text, fields), *records, *wants]


def _seen(world: World, seq: int) -> Step:
    """A gap means that pulse had to drop messages: ask for the whole."""
    gap = world.seq is not None and seq > world.seq + 1
    return replace(world, seq=seq), [WantSnapshot()] if gap else []


def _masters(world: World, now_us: Micros) -> dict[str, MasterView]:
    found: dict[str, MasterView] = {}
    for router in world.snapshot.routers if world.snapshot else ():
        node = master_of(world, router, now_us)
        known = world.masters.get(router.name)
        if known is not None and known.node == node:
            found[router.name] = known
        else:  # at first sight a BACKUP has most likely obeyed this one since it became BACKUP
            moved_here = router.state is RouterState.MASTER or known is None
            found[router.name] = MasterView(node, router.since_us if moved_here else now_us)
    return found


def _facts_again(world: World, event: Snapshot, now_us: Micros) -> list[Action]:
    """Tell pulse again what it should know and does not: it was restarted, or a message was lost."""
    known = {fact.name: fact for fact in event.facts}
    own = [lives.verdict(world.life, now_us)] if world.plan.haproxy is not None else []
    own += [
        FactChanged(name, up=bool(view.health.up), why=view.line, at_us=now_us)
        for name, view in world.checks.items()
        if view.health.up is not None
    ]
    return [fact for fact in own if fact is not None and _differs(known.get(fact.name), fact, event.at_us)]


def _differs(known: FactView | None, fact: FactChanged, seen_at_us: Micros) -> bool:
    if known is None:
        return True
    if known.up == fact.up:
        return False
    return not fact.up or seen_at_us - known.at_us >= SETTLE_US


# Checks and time


def _check_ran(world: World, event: CheckRan, now_us: Micros) -> Step:
    check = next((check for check in world.plan.checks if check.name == event.name), None)
    if not isinstance(check, CommandCheck):
        return world, []  # its last words after a reload that left it out
    before = world.checks.get(event.name)
    health = _check_health(before, check, event)
    changed = before is None or before.health.up != health.up
    since = now_us if changed or before is None else before.since_us
    checks = {**world.checks, event.name: CheckView(health, event.line, since)}
    world = replace(world, checks=checks)
    if not changed:
        return world, []
    up = bool(health.up)
    why = f'check "{event.name}" {"passes" if up else "fails"}' + (f": {event.line}" if event.line else "")
    record = Record("info" if up else "error", "check", why, {"check": event.name})
    return world, [FactChanged(event.name, up=up, why=why, at_us=now_us), record]


def _check_health(before: CheckView | None, check: CommandCheck, event: CheckRan) -> Health:
    if before is None:
        return first_run(Health(check.rise, check.fall), ok=event.ok)
    health = replace(before.health, rise=check.rise, fall=check.fall)
    return answered(health, event.at_us) if event.ok else missed(health, event.at_us)


def _tick(world: World, event: Tick, now_us: Micros) -> Step:
    world, actions = _look(world, now_us)
    if world.prepare_at_us is not None and now_us >= world.prepare_at_us:
        world = replace(world, prepare_at_us=None)
        actions.append(Prepare())
    if event.beat:
        actions.append(_beat(world, now_us))
    return world, actions


def _beat(world: World, now_us: Micros) -> Beat:
    return Beat(now_us, haproxy_text(world), servers_text(world))


def _look(world: World, now_us: Micros) -> Step:
    return _live(world, Look(), now_us)


def _fresh(plan: HaproxyPlan) -> Health:
    return Health(plan.rise, plan.fall)


def _child_record(event: ChildStarted | ChildExited) -> Record:
    if isinstance(event, ChildStarted):
        return Record("info", "child", f"{event.name} started, pid {event.pid}", {"child": event.name})
    return Record("warning", "child", f"{event.name} {cause(event.status)}", {"child": event.name, "pid": event.pid})


def _place(file: str, line: int) -> str:
    return f"{file}:{line}: " if file and line else f"{file}: " if file else ""
