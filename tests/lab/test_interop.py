"""firstmate among daemons of other makes: every version, family, transport and authentication that both sides speak.

Each virtual router of the matrix is there twice, once with firstmate stronger, once weaker, and all of them live
through the same faults on one site, side by side. Judged are the adverts on the wire, the addresses on the hosts, and
whom a client asks.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import count, permutations

import pytest
from tests.lab import frr, keepalived, netns
from tests.lab.crew import Crew
from tests.lab.makes import Cell
from tests.lab.stories import Failures, Story, Until, check, fates

from firstmate.model.plan import Auth, Transport

WHY_NOT = netns.why_not() or keepalived.why_not() or frr.why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

MULTICAST, UNICAST, UDP = Transport.MULTICAST, Transport.UNICAST, Transport.UDP
NONE, PASS, AH = Auth.NONE, Auth.PASS, Auth.AH
STRONG, WEAK = 200, 100
LEARNED = ((("a", 1.0), ("b", 0.4)), (("a", 0.4), ("b", 1.0)))  # intervals that differ

# fmt: off
#     version, family, transport, authentication, interval
BY_KEEPALIVED = [
    (3, 4, MULTICAST, NONE, 0.5),
    (3, 4, UNICAST,   NONE, 0.5),
    (2, 4, MULTICAST, NONE, 1),
    (2, 4, UNICAST,   NONE, 1),
    (2, 4, MULTICAST, PASS, 1),
    (2, 4, UNICAST,   PASS, 1),
    (2, 4, MULTICAST, AH,   1),
    (2, 4, UNICAST,   AH,   1),
    (3, 6, MULTICAST, NONE, 0.5),
    (3, 6, UNICAST,   NONE, 0.5),
    (2, 6, MULTICAST, NONE, 1),
    (2, 6, UNICAST,   NONE, 1),
]
BY_FRR = [
    (3, 4, MULTICAST, NONE, 0.5),
    (2, 4, MULTICAST, NONE, 1),
    (3, 6, MULTICAST, NONE, 0.5),
]
# fmt: on
SPOKEN = [(3, 4, NONE), (2, 4, NONE), (2, 4, PASS)]  # what firstmate speaks yet


def cells_of(rows: Sequence[tuple[int, int, Transport, Auth, float]]) -> list[Cell]:
    """a is firstmate. A VRID is used in both families where there are both."""
    cells = []
    numbers = {family: count(101) for family in (4, 6)}
    for version, family, transport, auth, interval_s in rows:
        if (version, family, auth) not in SPOKEN:
            continue
        for priorities in ({"a": STRONG, "b": WEAK}, {"a": WEAK, "b": STRONG}):
            one = Cell(next(numbers[family]), priorities, version, family, transport, auth, interval_s)
            cells.append(one)
            if version == 3 and transport is MULTICAST:
                cells += [
                    Cell(next(numbers[family]), priorities, 3, family, MULTICAST, intervals_s=intervals_s)
                    for intervals_s in LEARNED
                ]
            if transport is MULTICAST and auth is NONE:
                cells.append(
                    Cell(next(numbers[family]), priorities, version, family, MULTICAST, NONE, interval_s, preempt=False)
                )
    return cells


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


def three_makes() -> list[Cell]:
    """Every order of the three, in all that the three of them speak."""
    cells = []
    for at, hosts in enumerate(permutations("abc")):
        priorities = dict(zip(hosts, (200, 150, 100), strict=True))
        for vrid, version, family in ((101 + at, 3, 4), (111 + at, 2, 4), (101 + at, 3, 6)):
            if (version, family, NONE) in SPOKEN:
                cells.append(Cell(vrid, priorities, version, family, interval_s=1))
    return cells


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


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Failures:
    """All of the stories are told side by side, as each of them mostly waits."""
    wanted = {
        "keepalived": (whole_life, {"a": "firstmate", "b": "keepalived"}, cells_of(BY_KEEPALIVED)),
        "frr": (whole_life, {"a": "firstmate", "b": "frr"}, cells_of(BY_FRR)),
        "three makes": (life_of_three, {"a": "firstmate", "b": "keepalived", "c": "frr"}, three_makes()),
    }
    with ExitStack() as stack:
        stories = {}
        for name, (life, members, cells) in wanted.items():
            crew = Crew(tmp_path_factory.mktemp(name), members, cells)
            stack.callback(crew.close)
            stories[name] = life(crew)
        return fates(stories)


@pytest.mark.timeout(240)
def test_firstmate_and_keepalived(failures: Failures) -> None:  # C94, C83, C84, C55
    check(failures, "keepalived")


@pytest.mark.timeout(240)
def test_firstmate_and_frr(failures: Failures) -> None:  # C95, C83, C84, C55
    check(failures, "frr")


@pytest.mark.timeout(240)
def test_three_makes_in_one_group(failures: Failures) -> None:  # C97
    """A graceful stop of 200 makes 150 MASTER after its skew; 100 never is."""
    check(failures, "three makes")
