"""A good configuration, the host it is for, and a way to write a mistake with its place: `«here»`."""

from ipaddress import IPv4Interface

from firstmate.config.compile import check, compile_plan
from firstmate.model.host import HostFacts, Interface
from firstmate.model.plan import Plan
from firstmate.model.problems import Problem

GOOD = """\
[cluster]
name = "web-edge"

[[node]]
name = "lb-a"
address = "10.0.1.10"

[[node]]
name = "lb-b"
address = "10.0.1.11"

[[vrrp]]
name = "web"
vrid = 1
prefer = ["lb-a", "lb-b"]
addresses = ["10.0.1.100/24"]

[[service]]
name = "web"
mode = "http"
bind = [":80"]
[service.servers]
web1 = "10.0.1.21:80"
web2 = "10.0.1.22:80"
"""


def interface(name: str, *addresses: str) -> Interface:
    return Interface(name, 1, up=True, mac="", addresses=tuple(map(IPv4Interface, addresses)))


LO = interface("lo", "127.0.0.1/8")
HOST = HostFacts("lb-a", (LO, interface("eth0", "10.0.1.10/24"), interface("eth1", "192.168.7.1/24")))


def edited(*edits: tuple[str, str]) -> str:
    """GOOD with each `old` replaced by its `new`."""
    text = GOOD
    for old, new in edits:
        assert old in text, f"the sample has no {old!r}"
        text = text.replace(old, new, 1)
    return text


def unmarked(text: str) -> tuple[str, tuple[int, int, int]]:
    """The text without its `«»`, and the line, column and width of what they held."""
    before, _, rest = text.partition("«")
    inside, _, after = rest.partition("»")
    return before + inside + after, (before.count("\n") + 1, len(before) - before.rfind("\n"), len(inside))


def problems_of(text: str, host: HostFacts | None = None) -> tuple[Problem, ...]:
    return check(text, "firstmate.toml", host).problems


def found(text: str, host: HostFacts | None = None) -> list[tuple[str, int, int, int]]:
    """Code, line, column, width of every problem."""
    return [(problem.code, problem.line, problem.column, problem.width) for problem in problems_of(text, host)]


def plan_of(text: str, host: HostFacts = HOST, node: str | None = None) -> Plan:
    plan, problems = compile_plan(text, "firstmate.toml", host, node)
    assert plan is not None, problems
    return plan
