"""All decisions of `ops`: `decide(world, event, now_us)` gives the next world and what to do.

Pure. Facts about this node flow to pulse, orders about HAProxy to the supervisor, records to people.
"""

from dataclasses import replace

from firstmate.model.messages import (
    Beat,
    ChildExited,
    ChildStarted,
    FactChanged,
    HandOver,
    Notice,
    RouterState,
    Snapshot,
    StartHaproxy,
    Transition,
)
from firstmate.model.plan import HAPROXY_FACT, HaproxyPlan, Plan
from firstmate.model.units import MS, S, Micros, format_duration
from firstmate.policy import life as lives
from firstmate.policy.fitness import check_ran, file_read, keep_known
from firstmate.policy.health import Health
from firstmate.policy.life import Absent, Answered, Hung, Killing, Life, LifeEvent, Look, Missed, Serving, Starting
from firstmate.policy.restart import cause
from firstmate.policy.sightings import facts_again, merge, want_all
from firstmate.policy.view import haproxy_text, in_words, servers_text
from firstmate.policy.world import (
    NOTICES_MAX,
    Action,
    CheckRan,
    ConfigAccepted,
    ConfigRefused,
    Drain,
    Event,
    FileRead,
    MasterView,
    PlanLoaded,
    Prepare,
    Record,
    ServersSeen,
    StatusAsked,
    Step,
    Tick,
    World,
)

PREPARE_AGAIN_US: Micros = 10 * S  # HAProxy may have been installed, or a name resolves again
AT_ONCE_US: Micros = 10 * MS


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
            seen, actions = _seen(world, event.seq, now_us)
            return replace(seen, notices=notices), [Record("notice", event.code, in_words(world, event.text)), *actions]
        case ServersSeen():
            return _servers_seen(world, event)
        case CheckRan():
            return check_ran(world, event, now_us)
        case FileRead():
            return file_read(world, event, now_us)
        case StatusAsked():
            return want_all(world, now_us)
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
        world, wants = want_all(world, now_us)
        actions += wants
    was, world = world.plan, replace(keep_known(world, plan), problems=(), prepare_at_us=None)
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
    # Ten times a second nothing changes; `leading` looks at every virtual router.
    quiet = isinstance(was, Serving) and isinstance(event, Answered) and event.worker_pid == was.worker_pid
    leading = not quiet and world.leading
    life, actions = lives.step(was, event, _fresh(world.plan.haproxy), now_us, leading=leading)
    restarts = world.restarts + (isinstance(event, ChildExited) and life is not was)
    servers = world.servers if isinstance(life, Serving) else ()
    before = haproxy_text(world)
    world = replace(world, life=life, restarts=restarts, servers=servers)
    # Peers need not believe for a second what is past.
    beats = [_beat(world, now_us)] if actions and haproxy_text(world) != before else []
    return world, [*actions, *beats, *_life_records(was, life, event, now_us, leading=leading)]


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
    gap: list[Action] = []
    if not event.whole and world.snapshot is not None and world.snapshot.pid == event.pid:
        world, gap = _seen(world, event.seq, now_us)
    world, actions = _look(merge(world, event, now_us), now_us)
    world, again = facts_again(world, event, now_us)
    return world, [*actions, *again, *gap]


def _transition(world: World, event: Transition, now_us: Micros) -> Step:
    world, wants = _seen(world, event.seq, now_us)
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


def _seen(world: World, seq: int, now_us: Micros) -> Step:
    """A gap means that pulse had to drop messages: ask for the whole."""
    gap = world.seq is not None and seq > world.seq + 1
    world = replace(world, seq=seq)
    return want_all(world, now_us) if gap else (world, [])


# Time


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
