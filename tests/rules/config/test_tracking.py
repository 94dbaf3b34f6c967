"""What is tracked, and weights that cannot do what they are for. `«»` marks the place of the one problem."""

import pytest
from tests.rules.config.example import GOOD, HOST, edited, found, plan_of, problems_of, unmarked, vrrp

from firstmate.model.plan import FileCheck, ProcessCheck, Track
from firstmate.model.units import MS, S

CHECK = '[[check]]\nname = "disk"\ncommand = ["/bin/true"]\n'
PROCESS = '[[process]]\nname = "dns"\nprocess = "named"\n'
FILE = '[[file]]\nname = "load"\npath = "/run/load"\n'
ALL = GOOD + CHECK + PROCESS + FILE


def priorities(a: int, b: int, track: str, more: str = "") -> str:
    return (
        edited(
            ('prefer = ["lb-a", "lb-b"]', f"priority = {{ lb-a = {a}, lb-b = {b} }}\ntrack = [{track}]\n{more}"),
        )
        + CHECK
        + PROCESS
        + FILE
    )


def tracked(text: str, node: str = "lb-a") -> tuple[Track, ...]:
    return plan_of(text, node=node).routers[0].track


def test_everything_is_tracked_unless_said_otherwise() -> None:
    assert tracked(ALL) == (Track("haproxy"), Track("disk"), Track("dns"), Track("load", 1))


@pytest.mark.parametrize(
    ("written", "track"),
    [
        ("", ()),
        ('"disk"', (Track("disk"),)),
        ('{ name = "disk", weight = -200, reverse = true }', (Track("disk", -200, reverse=True),)),
        ('{ name = "haproxy", weight = -200 }', (Track("haproxy", -200),)),
        ('{ name = "load", weight = 0 }', (Track("load"),)),
        ('{ interface = "eth1", weight = -50 }', (Track("link eth1", -50),)),
        ('{ interface = { lb-a = "eth1" } }', (Track("link eth1"),)),
        ('{ interface = { lb-b = "eth1" } }', ()),
    ],
)
def test_as_it_is_written(written: str, track: tuple[Track, ...]) -> None:
    assert tracked(vrrp(f"track = [{written}]") + CHECK + PROCESS + FILE) == track


def test_a_check_says_what_it_weighs_for_whoever_does_not() -> None:
    weighted = CHECK + "weight = -20\nreverse = true\n" + FILE + "weight = 3\n" + PROCESS + "weight = 30\n"
    assert tracked(GOOD + weighted) == (
        Track("haproxy"),
        Track("disk", -20, reverse=True),
        Track("dns", 30),
        Track("load", 3),
    )
    text = vrrp('track = [{ name = "disk", weight = -30, reverse = false }, { name = "load", weight = 0 }]') + weighted
    assert tracked(text) == (Track("disk", -30), Track("load"))


def test_processes_and_files_reach_the_plan() -> None:
    process = (
        PROCESS + 'params = []\nquorum = 2\nquorum_max = 3\ninterval = "5s"\nrise = 2\nfall = 3\ninit_fail = true\n'
    )
    checks = plan_of(GOOD + process + FILE + 'interval = "10ms"\n').checks
    assert checks == (
        ProcessCheck("dns", "named", (), 2, 3, 5 * S, 2, 3, init_fail=True),
        FileCheck("load", "/run/load", 10 * MS),
    )


def test_init_fail_of_a_check_reaches_the_plan() -> None:
    (check,) = plan_of(GOOD + CHECK + "init_fail = true\n").checks
    assert getattr(check, "init_fail") is True  # noqa: B009 - only two of the three kinds have it


# fmt: off
RULES = {  # id, and the file with its place marked
    "unknown":             ("E211", vrrp('track = ["haproxy", «{ name = "disc" }»]') + CHECK),
    "twice":               ("E210", vrrp('track = ["disk", «{ name = "disk", weight = -20 }»]') + CHECK),
    "interface twice":     ("E210", vrrp('track = [{ interface = "eth1" }, «{ interface = "eth1" }»]')),
    "interfaces twice":    ("E210", vrrp('track = [{ interface = {lb-a="a",lb-b="b"} }, «{ interface = {lb-a="a",lb-b="b"} }»]')),
    "positive, too small": ("W320", priorities(150, 100, '«{ name = "disk", weight = 50 }»')),
    "negative, too small": ("W320", priorities(150, 100, '«{ name = "disk", weight = -50 }»')),
    "reverse, too small":  ("W320", priorities(150, 100, '«{ name = "disk", weight = -50, reverse = true }»')),
    "lost at 254":         ("W320", priorities(254, 253, '«{ name = "disk", weight = 20 }»')),
    "in the check":        ("W320", edited(('prefer = ["lb-a", "lb-b"]', "priority = { lb-a = 150, lb-b = 100 }")) + CHECK + "weight = «-50»\n"),
    "link":                ("W320", priorities(150, 100, '«{ interface = "eth1", weight = -50 }»')),
    "owner":               ("W320", priorities(255, 100, '{ name = "disk", weight = -50 }').replace("lb-a = 255", "lb-a = «255»").replace("10.0.1.100", "10.0.1.10")),
    "no preemption":       ("W320", priorities(150, 100, '«{ name = "disk", weight = -60 }»', "preempt = false")),
    "one of two is idle":  ("W320", priorities(150, 100, '{ name = "dns", weight = -51 }, «{ name = "disk", weight = -5 }»')),
}
# fmt: on


@pytest.mark.parametrize(("code", "marked"), RULES.values(), ids=RULES)
def test_rule(code: str, marked: str) -> None:
    text, place = unmarked(marked)
    assert found(text) == [(code, *place)], problems_of(text)


@pytest.mark.parametrize(
    "text",
    [
        ALL,
        priorities(150, 100, '{ name = "disk", weight = 51 }'),
        priorities(150, 100, '{ name = "disk", weight = -51 }'),
        priorities(254, 253, '{ name = "disk", weight = -2 }'),
        priorities(150, 100, '{ name = "disk", weight = -30 }, { name = "dns", weight = -30 }'),  # enough together
        priorities(150, 100, '{ name = "disk", weight = -5 }, "load"'),  # a file has any number
        priorities(150, 100, '{ name = "disk", weight = -5 }', 'peers = ["10.0.1.9"]'),  # whose priority nobody knows
        priorities(150, 100, '"load"', "preempt = false"),
        priorities(150, 100, '"disk"', "preempt = false"),
        edited(('prefer = ["lb-a", "lb-b"]', 'prefer = ["lb-a"]\npeers = ["10.0.1.9"]')) + CHECK + "weight = -1\n",
    ],
)
def test_no_problem(text: str) -> None:
    assert found(text) == []


def test_alone_a_weight_has_nobody_to_compare_with() -> None:
    text = edited(('prefer = ["lb-a", "lb-b"]', 'prefer = ["lb-a"]')) + CHECK + "weight = -1\n"
    assert [code for code, *_ in found(text)] == ["W312"]


@pytest.mark.parametrize(
    ("a", "b", "weight", "said", "hint"),
    [
        (150, 100, 20, "has priority 150, and", "a weight of 51 would be enough"),
        (150, 100, -20, "has priority 130, and", "a weight of -51 would be enough"),
        (254, 253, 20, "has priority 254, and", "give the nodes lower priorities: nothing rises above 254"),
        (254, 253, -1, "has priority 253, and", "a weight of -2 would be enough"),
    ],
)
def test_the_arithmetic_is_shown(a: int, b: int, weight: int, said: str, hint: str) -> None:
    (problem,) = problems_of(priorities(a, b, f'{{ name = "disk", weight = {weight} }}'))
    assert said in problem.text
    assert problem.hint == hint


def test_weights_in_a_group_count_only_when_it_says_so() -> None:
    second = '[[vrrp]]\nname = "two"\nvrid = 2\naddresses = ["10.0.1.101/24"]\ntrack = []\nmove_with = ["web"]\n'
    text, place = unmarked(priorities(150, 100, '«{ name = "disk", weight = -60 }»'))
    prefer = "priority = { lb-a = 150, lb-b = 100 }\n"
    assert found(text + second + prefer) == [("W320", *place)]
    assert "move_with_weights" in problems_of(text + second + prefer)[0].hint
    assert found(text + second + prefer + "move_with_weights = true\n") == []


def test_a_missing_interface_counts_as_down() -> None:
    text, place = unmarked(vrrp('track = [{ interface = «"eth7"» }, { interface = "eth1" }]'))
    assert found(text, HOST) == [("W319", *place)]
    assert found(text) == []  # nobody was asked
    assert found(vrrp('track = [{ interface = { lb-b = "eth7" } }]'), HOST) == []


def test_the_message_names_the_interfaces_of_a_link() -> None:
    (problem,) = problems_of(priorities(150, 100, '{ interface = { lb-a = "eth1", lb-b = "ens5" }, weight = -1 }'))
    assert problem.text.startswith("the link of eth1 or ens5 alone moves nothing")


def test_a_check_without_a_name_is_tracked_by_nobody() -> None:
    text = GOOD + CHECK.replace('name = "disk"\n', "")
    assert [code for code, *_ in found(text)] == ["E111"]
