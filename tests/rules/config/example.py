"""A good configuration, the host it is for, and a way to write a mistake with its place: `«here»`."""

from ipaddress import IPv4Interface, IPv6Interface

from firstmate.config.compile import check, compile_plan
from firstmate.model.host import HostFacts, Interface
from firstmate.model.plan import Plan
from firstmate.model.problems import Problem
from firstmate.model.secrets import Secret

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
    v4 = tuple(IPv4Interface(address) for address in addresses if ":" not in address)
    v6 = tuple(IPv6Interface(address) for address in addresses if ":" in address)
    return Interface(name, 1, up=True, mac="", addresses=v4, addresses6=v6)


LO = interface("lo", "127.0.0.1/8")
HOST = HostFacts("lb-a", (LO, interface("eth0", "10.0.1.10/24"), interface("eth1", "192.168.7.1/24")))


HOST6 = HostFacts(
    "lb-a",
    (
        LO,
        interface("eth0", "10.0.1.10/24", "2001:db8::10/64", "fe80::a/64"),
        interface("eth1", "192.168.7.1/24", "2001:db8:7::1/64", "fe80::b/64"),
    ),
)


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


def vrrp(lines: str) -> str:
    """GOOD with more lines in its [[vrrp]]."""
    return edited(("vrid = 1", f"vrid = 1\n{lines}"))


def with_ipv6(text: str, *addresses: str) -> str:
    """The text with these addresses in its first [[vrrp]], and with an IPv6 address for each node."""
    listed = ", ".join(f'"{address}"' for address in addresses)
    text = text.replace('addresses = ["10.0.1.100/24"]', f"addresses = [{listed}]", 1)
    for last in (10, 11):
        text = text.replace(
            f'address = "10.0.1.{last}"', f'address = "10.0.1.{last}"\naddress6 = "2001:db8::{last}"', 1
        )
    return text


def problems_of(text: str, host: HostFacts | None = None) -> tuple[Problem, ...]:
    return check(text, "firstmate.toml", host).problems


def found(text: str, host: HostFacts | None = None) -> list[tuple[str, int, int, int]]:
    """Code, line, column, width of every problem."""
    return [(problem.code, problem.line, problem.column, problem.width) for problem in problems_of(text, host)]


def read_key(reference: str) -> Secret:
    """The same good key behind every reference."""
    del reference
    return Secret(b"k" * 32)


def plan_of(text: str, host: HostFacts = HOST, node: str | None = None) -> Plan:
    plan, problems = compile_plan(text, "firstmate.toml", host, node, read_key)
    assert plan is not None, problems
    return plan
