"""The fewest faults with which a story still goes wrong in the same way: easier to understand."""

from collections.abc import Callable
from dataclasses import replace

from firstmate.model.plan import Plan
from firstmate.model.units import Micros
from firstmate.sim.conditions import Invariant
from firstmate.sim.schedule import Schedule
from firstmate.sim.world import World
from firstmate.vrrp.router import Router


def shrink(told: Schedule, what: Invariant, build: Callable[[Plan, Micros], Router] = Router) -> Schedule:
    """Leave out one fault after the other, as long as `what` is violated without it."""
    for fault in told.faults:
        fewer = replace(told, faults=tuple(one for one in told.faults if one is not fault))
        violation = World(fewer, build).run()
        if violation is not None and violation.what is what:
            told = fewer
    return told
