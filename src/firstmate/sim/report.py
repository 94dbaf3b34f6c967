"""A story for people: its schedule, its last events, what went wrong and how to see it again."""

from collections import Counter
from collections.abc import Mapping

from firstmate.model.plan import Auth, ChecksumForm, VrrpPlan
from firstmate.model.units import S, Micros, format_duration
from firstmate.sim.invariants import Violation
from firstmate.sim.schedule import Fault, FaultKind, Schedule, Weather
from firstmate.sim.world import World

_RELOADABLE = ("priority", "preempt", "preempt_delay_us", "advert_interval_us", "vips")


def failure(world: World, violation: Violation, nodes: int | None, last: int, *, shrunk: bool = False) -> list[str]:
    """Everything that a person needs to find out why."""
    again = f"python -m firstmate.sim --seed {world.schedule.seed}" + (f" --nodes {nodes}" if nodes else "")
    again += " --shrink" if shrunk else ""
    return [
        *story(world, last=last),
        "",
        f"VIOLATION of {violation.what.value} at {violation.at_us / S:.6f} s, seed {world.schedule.seed}:",
        f"  {violation.text}",
        f"again: {again}",
    ]


def story(world: World, *, last: int) -> list[str]:
    lines = [*schedule(world.schedule), "", f"the last {last} events (s):"]
    return lines + ["  " + line for line in world.journal.lines(last)]


def schedule(told: Schedule) -> list[str]:
    """Nodes, weather, and faults over time."""
    lines = [f"seed {told.seed}: {told.title}, {len(told.plans)} nodes, {told.clients} clients"]
    for plan, start in zip(told.plans, told.starts, strict=True):
        skew = f", its clock {format_duration(start.utc_skew_us)} ahead" if start.utc_skew_us else ""
        lines.append(f"  {plan.node} {plan.me.address}, starts at {start.at_us / S:.6f} s{skew}")
        for one in plan.routers:
            delay = f" after {format_duration(one.preempt_delay_us)}" if one.preempt_delay_us else ""
            preempts = "preempts" + delay if one.preempt else "no preempt"
            lines.append(
                f"     {one.name}: VRRPv{one.version} {one.transport.value}, priority {one.priority}, "
                f"every {format_duration(one.advert_interval_us)}, {preempts}{_features(one)}"
            )
    for group in told.plans[0].groups:
        weighs = "the weights of its members count" if group.tracking_weight else "weights do not count"
        lines.append(f"  group {group.name}: {' '.join(group.members)}; {weighs}")
    for place, plan in enumerate(told.reloaded):
        for before, after in zip(told.plans[place].routers, plan.routers, strict=True):
            new = [
                f"{name} {getattr(after, name)}"
                for name in _RELOADABLE
                if getattr(before, name) != getattr(after, name)
            ]
            lines.append(f"  {plan.node} after its reload: {after.name}: {', '.join(new) or 'as before'}")
    lines += [f"  weather: {_weather(told.weather)}", f"  calm:    {_weather(told.calm)}"]
    lines += [f"  {_fault(fault, told)}" for fault in told.faults]
    return [*lines, f"  {told.heal_us / S:12.6f}  all is whole"]


def summary(titles: Mapping[str, int], events: int, told_us: Micros, took_s: float) -> str:
    kinds = ", ".join(f"{count} {title}" for title, count in sorted(Counter(titles).items()))
    return (
        f"{sum(titles.values())} schedules ({kinds}), {events} events, {format_duration(told_us)} simulated "
        f"in {took_s:.1f} s: every invariant held"
    )


def _features(one: VrrpPlan) -> str:
    """What else is special about it."""
    said = []
    if one.hmac is not None:
        clock = "order only" if one.hmac.monotonic else f"window {format_duration(one.hmac.window_us)}"
        said.append(f"hmac {one.hmac.mode.value}, key {one.hmac.active}, {clock}")
    if one.auth is not Auth.NONE:
        said.append(f"auth {one.auth.value}")
    if one.checksum is not ChecksumForm.PSEUDO:
        said.append(f"checksum {one.checksum.value}")
    said += [f"also {path.transport.value} on {path.interface}" for path in one.paths]
    said += [f"{track.name} weighs {track.weight}{' reversed' * track.reverse}" for track in one.track if track.weight]
    said += [f"{track.name} must be well" for track in one.track[1:] if not track.weight]
    if one.down_timer_adverts != 3:
        said.append(f"bears {one.down_timer_adverts} silent intervals")
    said += ["does not answer a weaker one"] * one.lower_prio_no_advert
    said += ["yields in silence"] * (not one.higher_prio_send_advert)
    return "".join(f"; {one}" for one in said)


def _weather(weather: Weather) -> str:
    least, most = map(format_duration, weather.delay_us)
    rates = {
        "loss": weather.loss,
        "duplication": weather.duplication,
        "corruption": weather.corruption,
        "reordering": weather.reordering,
    }
    said = "".join(f", {name} {rate:.0%}" for name, rate in rates.items() if rate)
    return f"{least}..{most} on the wire, processes up to {format_duration(weather.lateness_us)} late{said}"


def _fault(fault: Fault, told: Schedule) -> str:
    nodes = len(told.plans)
    where = " ".join((f"n{fault.node + 1}", fault.fact)).rstrip()
    if fault.value is not None:
        where += f" {fault.value}"
    if fault.side:
        where = " ".join(f"n{at + 1}" if at < nodes else f"client{at - nodes + 1}" for at in sorted(fault.side))
    if fault.until_us is None:
        until = "for good"
    elif fault.kind is FaultKind.RELOAD:
        until = ""
    elif fault.jump_us:
        until = "by " + format_duration(fault.jump_us)
    else:
        until = "for " + format_duration(fault.until_us - fault.at_us)
    return f"{fault.at_us / S:12.6f}  {fault.kind.value}: {where} {until}".rstrip()
