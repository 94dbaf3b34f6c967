"""What a crew lives through."""

import time
from collections.abc import Sequence

from tests.lab.crew import Crew
from tests.lab.makes import Cell
from tests.lab.stories import Story, Until


def taken_over(crew: Crew, cells: Sequence[Cell], at: float) -> Until:
    return Until(lambda: all(crew.taken_over(cell, at) for cell in cells), crew.story)


def whole_life(crew: Crew) -> Story:
    """Election, crash and return of each, stop and return of each, partition and heal."""
    hosts = list(crew.members)
    crew.start(hosts[0])
    yield from crew.settled(client=False)
    crew.greet()
    crew.start(*hosts[1:])
    yield from crew.settled()
    for host in hosts:
        lost = crew.led_by(host)
        at = crew.kill(host)
        yield taken_over(crew, lost, at)
        for cell in lost:
            crew.check_down_time(cell, host)
        yield from crew.settled()
        crew.start(host)
        yield from crew.settled()
    for host in hosts:
        yield from stop_and_return(crew, host)
    yield from partition_and_heal(crew)
    crew.check_wire()
    crew.check_peace()


def stop_and_return(crew: Crew, host: str) -> Story:
    lost = crew.led_by(host)
    at = crew.stop(host)
    yield taken_over(crew, lost, at)
    for cell in crew.cells:
        if cell in lost:
            crew.check_resignation(cell, host, at)
        else:
            assert crew.adverts(host, cell, at) == []
    yield from crew.settled()
    crew.start(host)
    yield from crew.settled()


def partition_and_heal(crew: Crew) -> Story:
    crew.site.partition(on=True)
    yield Until(
        lambda: all(member.state(cell) == "MASTER" for cell in crew.cells for member in crew.members.values()),
        crew.story,
    )
    at = time.time()
    crew.site.partition(on=False)
    for cell in crew.cells:  # whether it preempts or not
        crew.leaders[cell.name] = max(cell.hosts, key=lambda host: cell.priorities[host])
    # A winner of FRR's says nothing to the client, and firstmate has said all that it can.
    yield from crew.settled(client=not any(map(crew.is_frr, crew.members)))
    for cell in crew.cells:
        winner = crew.leaders[cell.name]
        for loser in set(cell.hosts) - {winner}:
            said = len([advert for _, advert in crew.adverts(loser, cell, at) if advert.priority > 0])
            # Those of FRR that win do not answer, but wait for their own next advert.
            assert said <= 2 + cell.interval(winner) // cell.interval(loser), f"{cell.name}: {said} adverts of {loser}"


def life_of_three(crew: Crew) -> Story:
    crew.start(*crew.members)
    crew.greet()
    yield from crew.settled()
    for host in crew.members:
        lost, at = crew.led_by(host), time.time()
        yield from stop_and_return(crew, host)
        for cell in lost:
            _, second, third = sorted(cell.hosts, key=lambda one: -cell.priorities[one])
            if not (crew.is_frr(second) and cell.family == 6):  # its first advert is missing: the third cannot know
                assert crew.adverts(third, cell, at) == [], f"{cell.name}: {third} advertised"
    crew.check_wire()
    crew.check_peace()
