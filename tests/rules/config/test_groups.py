"""Virtual routers that move together. `«»` marks the place of the one problem."""

import pytest
from tests.rules.config.example import GOOD, found, interface, plan_of, problems_of, unmarked, vrrp

from firstmate.model.host import HostFacts
from firstmate.model.plan import GroupPlan


def router(name: str, vrid: int, lines: str = "") -> str:
    return f'[[vrrp]]\nname = "{name}"\nvrid = {vrid}\naddresses = ["10.0.1.{100 + vrid}/24"]\n{lines}\n'


def moves(*names: str) -> str:
    return f"move_with = [{', '.join(names)}]"


TWO, THREE, FOUR = router("two", 2), router("three", 3), router("four", 4)

# fmt: off
RULES = {  # id, and the file with its place marked
    "unknown":     ("E216", vrrp(moves('«"tow"»')) + TWO),
    "itself":      ("E217", vrrp(moves('«"web"»'))),
    "twice":       ("E210", vrrp(moves('"two"', '«"two"»')) + TWO),
    "other nodes": ("E217", vrrp(moves('«"two"»')) + router("two", 2, 'prefer = ["lb-b"]\npeers = ["10.0.1.9"]')),
    "other order": ("W322", vrrp(moves('«"two"»')) + router("two", 2, 'prefer = ["lb-b", "lb-a"]')),
    "no weights":  ("W317", vrrp("«move_with_weights» = true")),
}
# fmt: on


@pytest.mark.parametrize(("code", "marked"), RULES.values(), ids=RULES)
def test_rule(code: str, marked: str) -> None:
    text, place = unmarked(marked)
    assert found(text) == [(code, *place)], problems_of(text)


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        (GOOD + TWO, ()),
        (vrrp(moves('"two"')) + TWO, (GroupPlan("web+two", ("web", "two")),)),
        (GOOD + router("two", 2, moves('"web"')), (GroupPlan("web+two", ("web", "two")),)),
        (vrrp(moves('"two"')) + router("two", 2, moves('"web"')), (GroupPlan("web+two", ("web", "two")),)),
        (  # a chain
            vrrp(moves('"two"')) + TWO + router("three", 3, moves('"two"')),
            (GroupPlan("web+two+three", ("web", "two", "three")),),
        ),
        (
            vrrp(moves('"three"')) + TWO + THREE + router("four", 4, moves('"two"') + "\nmove_with_weights = true"),
            (GroupPlan("web+three", ("web", "three")), GroupPlan("two+four", ("two", "four"), tracking_weight=True)),
        ),
    ],
)
def test_groups(text: str, groups: tuple[GroupPlan, ...]) -> None:
    assert found(text) == []
    assert plan_of(text).groups == groups


def test_a_group_in_which_this_node_takes_no_part() -> None:
    alone = 'prefer = ["lb-b"]\npeers = ["10.0.1.9"]\n'
    text = GOOD + router("two", 2, alone + moves('"three"')) + router("three", 3, alone)
    assert plan_of(text).groups == ()
    host = HostFacts("lb-b", (interface("eth0", "10.0.1.11/24"),))
    assert [group.name for group in plan_of(text, host).groups] == ["two+three"]


def test_the_others_are_listed() -> None:
    (problem,) = problems_of(vrrp(moves('"xyz"')) + TWO)
    assert problem.hint == "others: two"


def test_a_router_without_a_name_is_in_no_group() -> None:
    text = GOOD + TWO.replace('name = "two"\n', moves('"web"') + "\n")
    assert [code for code, *_ in found(text)] == ["E111"]
