"""Rules between sections: names that must differ, checks, and what is worth a warning. `«»` marks the place."""

import pytest
from tests.rules.config.example import GOOD, edited, found, problems_of, unmarked

CHECK = '[[check]]\nname = "{}"\ncommand = ["/bin/true"]\n'

PROCESS = '[[process]]\nname = "a"\nprocess = "x"\n'
FILE = '[[file]]\nname = "a"\npath = "/x"\n'

# fmt: off
RULES = {  # id, and the file with its place marked
    "node named twice":     ("E203", edited(('"lb-b"\naddress', '«"lb-a"»\naddress'), (', "lb-b"]', ', "lb-a"]'))),
    "node address twice":   ("E204", edited(('"10.0.1.11"', '«"10.0.1.10"»'))),
    "check named twice":    ("E203", GOOD + CHECK.format("a") + CHECK.format("a").replace('"a"', '«"a"»')),
    "check named haproxy":  ("E203", GOOD + CHECK.format("haproxy").replace('"haproxy"', '«"haproxy"»')),
    "process and check":    ("E203", GOOD + CHECK.format("a") + PROCESS.replace('"a"', '«"a"»')),
    "file and process":     ("E203", GOOD + PROCESS + FILE.replace('"a"', '«"a"»')),
    "file named haproxy":   ("E203", GOOD + FILE.replace('"a"', '«"haproxy"»')),
    "never so many":        ("E117", GOOD + PROCESS + "quorum = 3\nquorum_max = «2»"),
    "never none":           ("E117", GOOD + PROCESS + "quorum_max = «0»"),
    "further address":      ("E204", edited(('"10.0.1.11"', '"10.0.1.11"\nmore_addresses = [«"10.0.1.10"»]'), ("vrid = 1", 'vrid = 1\ntransport = "multicast"'))),
    "address twice in one": ("E204", edited(('"10.0.1.11"', '"10.0.1.11"\naddress6 = "2001:db8::1"\nmore_addresses = [«"2001:db8::1"»]'))),
    "slow check":           ("W318", GOOD + CHECK.format("a") + 'interval = "1s"\ntimeout = «"2s"»'),
    "nothing moves":        ("W313", edited(("[cluster]", "«[cluster]»"))[:GOOD.index("[[vrrp]]") + 2]),
    "service named twice":  ("E203", GOOD + GOOD[GOOD.index("[[service]]"):].replace('"web"', '«"web"»').replace(":80", ":81", 1)),
    "router named twice":   ("E203", GOOD + '[[vrrp]]\nname = «"web"»\nvrid = 2\naddresses = ["10.0.1.101/24"]'),
}
# fmt: on


@pytest.mark.parametrize(("code", "marked"), RULES.values(), ids=RULES)
def test_rule(code: str, marked: str) -> None:
    text, place = unmarked(marked)
    assert (code, *place) in found(text), problems_of(text)


def test_the_good_file_has_no_problem() -> None:
    assert found(GOOD) == []


def test_the_other_one_is_named_by_its_line() -> None:
    (problem,) = problems_of(edited(('"10.0.1.11"', '"10.0.1.10"')))
    assert problem.hint == "it stands in line 6"
