from collections import Counter

import pytest

from firstmate.model.plan import Transport
from firstmate.sim import draw
from firstmate.sim.schedule import FaultKind, Schedule

MANY = [draw.schedule(seed) for seed in range(400)]


def test_a_seed_is_a_schedule() -> None:
    assert draw.schedule(7) == draw.schedule(7)
    assert draw.schedule(7) != draw.schedule(8)


@pytest.mark.parametrize("nodes", range(2, draw.NODES_MAX + 1))
def test_nodes_can_be_asked_for(nodes: int) -> None:
    assert all(len(draw.schedule(seed, nodes).plans) == nodes for seed in range(10))


def test_everything_is_drawn() -> None:
    routers = [router for told in MANY for plan in told.plans for router in plan.routers]
    assert {len(told.plans) for told in MANY} == {2, 3, 4, 5}
    assert {told.title for told in MANY} == {story[0] for story in draw.STORIES}
    assert {fault.kind for told in MANY for fault in told.faults} == set(FaultKind) - set(draw.DRESSED)
    assert {router.version for router in routers} == {2, 3}
    assert {router.transport for router in routers} == {Transport.UNICAST, Transport.MULTICAST}
    assert {router.preempt for router in routers} == {True, False}
    assert {router.advert_interval_us for router in routers} >= {*draw.INTERVALS_V3_US, *draw.INTERVALS_V2_US}
    assert {1, 100, 254, 255} <= {router.priority for router in routers}
    assert any(len({plan.routers[0].priority for plan in told.plans}) == 1 for told in MANY)
    assert any(fault.until_us is None for told in MANY for fault in told.faults)


@pytest.mark.parametrize("told", MANY[:100], ids=lambda told: str(told.seed))
def test_a_schedule_makes_sense(told: Schedule) -> None:
    places = len(told.plans) + told.clients
    assert len({plan.me.address for plan in told.plans}) == len(told.plans)
    assert told.heal_us > max(start.at_us + start.fact_after_us for start in told.starts)
    assert [fault.at_us for fault in told.faults] == sorted(fault.at_us for fault in told.faults)
    for fault in told.faults:
        assert fault.until_us is None or fault.at_us <= fault.until_us < told.heal_us
        assert 0 <= fault.node < len(told.plans)
        assert fault.side < set(range(places))
    assert bool(told.reloaded) == (FaultKind.RELOAD in {fault.kind for fault in told.faults})
    assert told.plans_of(0) == (told.plans[0], *told.reloaded[:1])
    for before, after in zip(told.plans, told.reloaded, strict=False):
        assert before.me == after.me
    lost = Counter(fault.node for fault in told.faults if fault.until_us is None)
    assert len(lost) < len(told.plans)
    assert told.clear.loss == told.clear.corruption == 0
    assert told.calm.losses_in_a_row_max in (1, 2)
