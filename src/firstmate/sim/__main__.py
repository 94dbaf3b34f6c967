"""`python -m firstmate.sim`: run stories; at the first violation print its seed, schedule and last events.

--schedules 5000     how many, from --seed on
--seed 7             the one that failed, again
--nodes 3            exactly so many nodes in each
--shrink             of a story that fails: only the faults that it takes
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable

from firstmate.model.plan import Plan
from firstmate.model.units import Micros
from firstmate.sim import draw, report
from firstmate.sim.shrink import shrink
from firstmate.sim.world import World
from firstmate.vrrp.router import Router


def main(arguments: list[str] | None = None, build: Callable[[Plan, Micros], Router] = Router) -> int:
    """Exit codes: 0 every invariant held, 1 one did not, 2 wrong usage."""
    options = _parse(arguments)
    count = options.schedules or (1 if options.seed is not None else 1000)
    first = 1 if options.seed is None else options.seed
    began_s = time.monotonic()
    titles: Counter[str] = Counter()
    events = told_us = 0
    for seed in range(first, first + count):
        world = World(draw.schedule(seed, options.nodes), build)
        violation = world.run()
        if violation is not None and options.shrink:
            world = World(shrink(world.schedule, violation.what, build), build)
            violation = world.run()
        if violation is not None:
            print("\n".join(report.failure(world, violation, options.nodes, options.last, shrunk=options.shrink)))
            return 1
        titles[world.schedule.title] += 1
        events += world.events
        told_us += world.agenda.now_us
        if options.timeline:
            print("\n".join(report.story(world, last=options.last)))
    print(report.summary(titles, events, told_us, time.monotonic() - began_s))
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m firstmate.sim", description="Seeded simulation of VRRP routers: every invariant must hold."
    )
    parser.add_argument("--seed", type=int, metavar="N", help="the first story (alone: only this one); default 1")
    parser.add_argument("--schedules", type=_positive, metavar="N", help="how many stories; default 1000")
    parser.add_argument(
        "--nodes", type=int, choices=range(2, draw.NODES_MAX + 1), help="nodes of each; default: varies"
    )
    parser.add_argument(
        "--last", type=_positive, default=60, metavar="N", help="events to print of a story; default 60"
    )
    parser.add_argument("--shrink", action="store_true", help="leave out the faults that a failure does not need")
    parser.add_argument("--timeline", action="store_true", help="print the events of stories that went well too")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
