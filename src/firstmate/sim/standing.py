"""What tracked facts make of a node (`reference/keepalived.md` 4.6), reckoned anew: no router is its own witness."""

from collections.abc import Mapping

from firstmate.model.messages import FactChanged
from firstmate.model.plan import OWNER, GroupPlan, Plan, Track, VrrpPlan
from firstmate.model.units import Micros
from firstmate.vrrp.tracking import link_fact, source_fact

LEAST, MOST, SHARE_MOST = 1, 254, 253

Truth = Mapping[str, bool | int]  # by name: up or down, or the number of a tracked file


def group_of(plan: Plan, router: str) -> GroupPlan | None:
    return next((group for group in plan.groups if router in group.members), None)


def together(plan: Plan, router: str) -> tuple[str, ...]:
    """The names of all that change state with this one, itself among them."""
    group = group_of(plan, router)
    return group.members if group else (router,)


def tracks(plan: Plan, router: VrrpPlan) -> tuple[Track, ...]:
    group = group_of(plan, router.name)
    return (*router.track, *(group.track if group else ()))


def is_fit(plan: Plan, router: str, told: Truth) -> bool:
    """May it lead, as far as the node has been told? One of a group is unfit for all."""
    members = together(plan, router)
    return all(_bears(track, told) for one in plan.routers if one.name in members for track in tracks(plan, one))


def priority(plan: Plan, router: VrrpPlan, told: Truth) -> int:
    """The effective one."""
    group = group_of(plan, router.name)
    if router.priority == OWNER or (group is not None and not group.tracking_weight):
        return router.priority
    total = router.priority + sum(
        _share(track, told[track.name]) for track in tracks(plan, router) if track.name in told
    )
    return min(max(total, LEAST), MOST)


def lowest(router: VrrpPlan) -> int:
    """No fact makes less of it."""
    return LEAST if any(track.weight for track in router.track) and router.priority != OWNER else router.priority


def highest(router: VrrpPlan) -> int:
    """No fact makes more of it."""
    return MOST if any(track.weight for track in router.track) and router.priority != OWNER else router.priority


def link_facts(plan: Plan, now_us: Micros, *, up: bool) -> list[FactChanged]:
    """What `pulse` says of the links and addresses that its virtual routers need."""
    links = {link_fact(router.interface) for router in plan.routers}
    sources = {source_fact(router.interface, router.source) for router in plan.routers}
    why = "" if up else "carrier lost"
    return [FactChanged(name, up=up, why=why, at_us=now_us) for name in sorted(links)] + [
        FactChanged(name, up=True, why="", at_us=now_us) for name in sorted(sources)
    ]


def _bears(track: Track, told: Truth) -> bool:
    if track.name not in told:
        return track.weight != 0
    value = told[track.name]
    if isinstance(value, bool):
        return track.weight != 0 or value is not track.reverse
    return value == 0 if track.weight == 0 else _product(track, value) > -SHARE_MOST - 1


def _share(track: Track, value: bool | int) -> int:  # noqa: FBT001 - a fact is one or the other
    if not isinstance(value, bool):
        return min(_product(track, value), SHARE_MOST)
    well = value is not track.reverse
    return track.weight if well == (track.weight > 0) else 0


def _product(track: Track, value: int) -> int:
    return value * track.weight * (-1 if track.reverse else 1)
