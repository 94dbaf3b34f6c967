import pytest

from firstmate.model.plan import Auth, ChecksumForm, HmacMode, Transport
from firstmate.sim import draw, dress, hearing
from firstmate.sim.schedule import FaultKind, Schedule

MANY = [draw.schedule(seed) for seed in range(dress.FIRST, dress.FIRST + 600)]


def test_everything_is_drawn() -> None:
    plans = [plan for told in MANY for plan in told.plans]
    routers = [router for plan in plans for router in plan.routers]
    paths = [path for router in routers for path in router.all_paths]
    assert {fault.kind for told in MANY for fault in told.faults} == set(FaultKind)
    assert {path.transport for path in paths} == set(Transport)
    assert {len(router.all_paths) for router in routers} == {1, 2}
    assert {router.family for router in routers} == {4, 6}
    assert {router.checksum for router in routers} == set(ChecksumForm)
    assert {router.auth for router in routers} == set(Auth)
    assert {router.hmac.mode for router in routers if router.hmac} == set(HmacMode)
    assert {
        router.hmac.active for told in MANY for plan in told.reloaded for router in plan.routers if router.hmac
    } == {2}
    assert {router.down_timer_adverts for router in routers} == {2, 3, 4, 5}
    assert {router.lower_prio_no_advert for router in routers} == {router.higher_prio_send_advert for router in routers}
    assert {group.tracking_weight for plan in plans for group in plan.groups} == {True, False}
    assert {track.name for router in routers for track in router.track} >= {name for name, _ in dress.FACTS}
    assert any(plan.start_delay_us for plan in plans)
    assert any({router.version for router in plan.routers} == {2, 3} for plan in plans)
    assert any(abs(start.utc_skew_us) > 5_000_000 for told in MANY for start in told.starts)
    assert any(told.title == "a blocked way" for told in MANY)


@pytest.mark.parametrize("told", MANY[:100], ids=lambda told: str(told.seed))
def test_a_dressed_schedule_makes_sense(told: Schedule) -> None:
    for plans in (told.plans, told.reloaded):
        for plan in plans:
            assert len({(router.vrid, router.family) for router in plan.routers}) == len(plan.routers)
            for router in plan.routers:
                assert all(len(path.peers) == len(plan.nodes) - 1 for path in router.all_paths)
                assert all(path.transport is not Transport.UDP or router.hmac for path in router.all_paths)
            for group in plan.groups:
                members = [router for router in plan.routers if router.name in group.members]
                assert len({(one.priority, one.preempt, one.preempt_delay_us) for one in members}) == 1
                assert not any(hearing.uses_auto(one) for one in members)
    if FaultKind.FORGE in {fault.kind for fault in told.faults}:
        assert dress.is_sealed(told.plans)
        assert dress.is_sealed(told.reloaded)
