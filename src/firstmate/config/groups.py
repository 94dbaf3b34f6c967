"""Virtual routers that move together: `move_with`."""

from firstmate.config.codes import Code
from firstmate.config.findings import Findings
from firstmate.config.readers import meant, shown
from firstmate.config.schema import Draft, Section
from firstmate.model.plan import GroupPlan

Priorities = dict[str, int]


def groups_of(draft: Draft) -> tuple[GroupPlan, ...]:
    """Whoever is reached by `move_with`, in either direction, is one group."""
    names = [name for router in draft.routers if (name := router.get("name"))]
    component = {name: {name} for name in names}
    for router in draft.routers:
        for other in router.get("move_with", ()):
            if router.get("name") in component and other in component:
                joined = component[router.get("name")] | component[other]
                component |= dict.fromkeys(joined, joined)
    weights = {router.get("name") for router in draft.routers if router.get("move_with_weights")}
    place = {name: index for index, name in enumerate(component)}
    groups = []
    for name, joined in component.items():
        members = tuple(sorted(joined, key=place.__getitem__))
        if len(members) > 1 and members[0] == name:
            groups.append(GroupPlan("+".join(members), members, bool(weights & joined)))
    return tuple(groups)


def weights_count(router: Section, groups: tuple[GroupPlan, ...]) -> bool:
    """False: it is in a group that looks at what is FAULT only."""
    return all(group.tracking_weight for group in groups if router.get("name") in group.members)


def judge(draft: Draft, priorities: dict[str, Priorities], findings: Findings) -> None:
    """`priorities`: of each router by its name."""
    names = [name for router in draft.routers if (name := router.get("name"))]
    grouped = {member for group in groups_of(draft) for member in group.members}
    for router in draft.routers:
        name = router.get("name")
        if router.get("move_with_weights") and name not in grouped:
            text = "move_with_weights has no effect on a virtual router that moves alone"
            findings.add(Code.NO_EFFECT, (*router.at, "move_with_weights"), text, "take it out", on_key=True)
        given: tuple[str, ...] = router.get("move_with", ())
        for place, other in enumerate(given):
            path = (*router.at, "move_with", place)
            if other == name:
                findings.add(
                    Code.CANNOT_MOVE_TOGETHER, path, f"{shown(other)} is this virtual router itself", "take it out"
                )
            elif other in given[:place]:
                findings.add(Code.LISTED_TWICE, path, f"{shown(other)} stands twice in move_with", "keep one")
            elif other not in names:
                hint = meant(other, names) or "others: " + ", ".join(each for each in names if each != name)
                findings.add(Code.NOT_A_ROUTER, path, f"there is no [[vrrp]] of the name {shown(other)}", hint)
            elif name in priorities:
                _judge_nodes(path, priorities[name], priorities[other], other, findings)


def _judge_nodes(
    path: tuple[str | int, ...], ours: Priorities, theirs: Priorities, other: str, findings: Findings
) -> None:
    if ours.keys() != theirs.keys():
        text = f"other nodes take part in {shown(other)}, so the two cannot move together"
        findings.add(Code.CANNOT_MOVE_TOGETHER, path, text, "give both the same nodes")
    elif _order(ours) != _order(theirs):
        text = f"{shown(other)} prefers its nodes in another order: which of them gets both is left to chance"
        findings.add(Code.OTHER_ORDER, path, text, "give both the same order")


def _order(priorities: Priorities) -> list[str]:
    return sorted(priorities, key=lambda node: -priorities[node])
