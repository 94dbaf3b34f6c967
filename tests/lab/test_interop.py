"""firstmate among daemons of other makes: every version, family, transport and authentication that both sides speak.

Each virtual router of the matrix is there twice, once with firstmate stronger, once weaker, and all of them live
through the same faults on one site, side by side. Judged are the adverts on the wire, the addresses on the hosts, and
whom a client asks.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import count, permutations
from typing import NamedTuple

import pytest
from tests.lab import frr, keepalived, netns
from tests.lab.crew import Crew
from tests.lab.lives import life_of_three, whole_life
from tests.lab.makes import Cell
from tests.lab.stories import Failures, check, fates

from firstmate.model.plan import Auth, HmacKey, HmacPlan, Transport

WHY_NOT = netns.why_not() or keepalived.why_not() or frr.why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

MULTICAST, UNICAST, UDP = Transport.MULTICAST, Transport.UNICAST, Transport.UDP
NONE, PASS, AH = Auth.NONE, Auth.PASS, Auth.AH
STRONG, WEAK = 200, 100
LEARNED = ((("a", 1.0), ("b", 0.4)), (("a", 0.4), ("b", 1.0)))  # intervals that differ


class Row(NamedTuple):
    version: int
    family: int
    transport: Transport = MULTICAST
    auth: Auth = NONE
    interval_s: float = 0.5
    signed: bool = False


KEEPALIVED = [
    Row(3, 4),
    Row(3, 4, UNICAST),
    Row(2, 4, MULTICAST, NONE, 1),
    Row(2, 4, UNICAST, NONE, 1),
    Row(2, 4, MULTICAST, PASS, 1),
    Row(2, 4, UNICAST, PASS, 1),
    Row(2, 4, MULTICAST, AH, 1),
    Row(2, 4, UNICAST, AH, 1),
    Row(3, 6),
    Row(3, 6, UNICAST),
    Row(2, 6, MULTICAST, NONE, 1),
    Row(2, 6, UNICAST, NONE, 1),
]
FRR = [Row(3, 4), Row(2, 4, MULTICAST, NONE, 1), Row(3, 6)]
ITSELF = [  # what Debian's keepalived cannot do
    Row(3, 4, signed=True),
    Row(3, 4, UNICAST, signed=True),
    Row(2, 4, MULTICAST, NONE, 1, signed=True),
    Row(2, 4, UNICAST, NONE, 1, signed=True),
    Row(3, 6, signed=True),
    Row(3, 6, UNICAST, signed=True),
    Row(3, 4, UDP, signed=True),
    Row(3, 6, UDP, signed=True),
]
KEYS = HmacPlan((HmacKey(1, b"0123456789abcdef0123456789abcdef"),), active=1)


def cells_of(rows: Sequence[Row]) -> list[Cell]:
    """Each VRID is used in both families, where there are both."""
    cells = []
    numbers = {family: count(101) for family in (4, 6)}
    for row in rows:
        for priorities in ({"a": STRONG, "b": WEAK}, {"a": WEAK, "b": STRONG}):
            hmac = KEYS if row.signed else None
            one = Cell(
                0, priorities, row.version, row.family, row.transport, row.auth, interval_s=row.interval_s, hmac=hmac
            )
            cells.append(replace(one, vrid=next(numbers[row.family])))
            if row.transport is MULTICAST and row.auth is NONE and not row.signed:
                cells.append(replace(one, vrid=next(numbers[row.family]), preempt=False))
                learned = LEARNED if row.version == 3 else ()
                cells += [replace(one, vrid=next(numbers[row.family]), intervals_s=both) for both in learned]
    return cells


def three_makes() -> list[Cell]:
    """Every order of the three, in all that the three of them speak."""
    cells = []
    for at, hosts in enumerate(permutations("abc")):
        priorities = dict(zip(hosts, (200, 150, 100), strict=True))
        for vrid, version, family in ((101 + at, 3, 4), (111 + at, 2, 4), (101 + at, 3, 6)):
            cells.append(Cell(vrid, priorities, version, family, interval_s=1))
    return cells


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Failures:
    """All of the stories are told side by side, as each of them mostly waits."""
    wanted = {
        "keepalived": (whole_life, {"a": "firstmate", "b": "keepalived"}, cells_of(KEEPALIVED)),
        "frr": (whole_life, {"a": "firstmate", "b": "frr"}, cells_of(FRR)),
        "itself": (whole_life, {"a": "firstmate", "b": "firstmate"}, cells_of(ITSELF)),
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
def test_firstmate_and_itself_signed_and_in_udp(failures: Failures) -> None:  # C83, C84
    check(failures, "itself")


@pytest.mark.timeout(240)
def test_three_makes_in_one_group(failures: Failures) -> None:  # C97
    """A graceful stop of 200 makes 150 MASTER after its skew; 100 never is."""
    check(failures, "three makes")
