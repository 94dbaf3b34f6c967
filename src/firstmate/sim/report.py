"""A story for people: its schedule, its last events, what went wrong and how to see it again."""

from collections import Counter
from collections.abc import Mapping

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
        lines.append(f"  {plan.node} {plan.me.address}, starts at {start.at_us / S:.6f} s")
        for one in plan.routers:
            delay = f" after {format_duration(one.preempt_delay_us)}" if one.preempt_delay_us else ""
            preempts = "preempts" + delay if one.preempt else "no preempt"
            lines.append(
                f"     {one.name}: VRRPv{one.version} {one.transport.value}, priority {one.priority}, "
                f"every {format_duration(one.advert_interval_us)}, {preempts}"
            )
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
    where = f"n{fault.node + 1}"
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
