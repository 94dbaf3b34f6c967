"""Readers of the routes and policy rules that exist on the MASTER only."""

import re
from dataclasses import dataclass
from typing import Any

from firstmate.config.addresses import Prefix, host_address, interface_name, prefix, scope
from firstmate.config.codes import Code
from firstmate.config.findings import Refusal, Spot
from firstmate.config.readers import boolean, choice, integer, number_choice, per_node, shown, text
from firstmate.config.tables import Key, read_value
from firstmate.model.plan import Route, RouteKind, Rule

TABLE_MAX = 2**32 - 1
_MARK = re.compile(r"(0x[0-9a-fA-F]{1,8}|\d{1,10})(?:/(0x[0-9a-fA-F]{1,8}|\d{1,10}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class RouteDraft:
    route: Route  # without its interface
    dev: str | dict[str, str] | None  # a table: by node


@dataclass(frozen=True, slots=True)
class RuleDraft:
    rule: Rule  # without its interface
    iif: str | dict[str, str] | None


ROUTE_KEYS: dict[str, Key] = {
    "to": Key(prefix, required=True),
    "via": Key(host_address()),
    "dev": Key(per_node(interface_name)),
    "source": Key(host_address()),
    "table": Key(integer(1, TABLE_MAX)),
    "metric": Key(integer(0, TABLE_MAX)),
    "scope": Key(scope),
    "onlink": Key(boolean),
    "type": Key(choice({word.value: word for word in RouteKind})),
    "track": Key(boolean),
}


def route(spot: Spot) -> RouteDraft | None:
    """`{ to = "0.0.0.0/0", via = "10.0.1.1" }`."""
    fields = read_value(spot, ROUTE_KEYS, "routes")
    if fields is None:
        return None
    to: Prefix = fields.pop("to")
    wrong = next((key for key in ("via", "source") if key in fields and fields[key].version != to.version), None)
    if wrong is not None:
        return _mixed(spot, wrong, to.version)
    kind = fields.pop("type", RouteKind.UNICAST)
    dev = fields.pop("dev", None)
    onward = [key for key in ("via", "dev", "onlink") if key in spot.value]
    if kind is RouteKind.UNICAST and not {"via", "dev"} & {*onward}:
        return spot.error(Code.MISSING, "a route leads somewhere", 'via = "10.0.1.1", or dev = "eth1", or both')
    if kind is not RouteKind.UNICAST and onward:
        text_ = f"a route of the type {shown(kind.value)} leads nowhere"
        return spot.child(onward[0]).error(Code.BAD_ROUTE, text_, f'take "{onward[0]}" out', on_key=True)
    if fields.get("onlink") and not {"via", "dev"} <= {*onward}:
        return spot.child("onlink").error(Code.BAD_ROUTE, "onlink needs via and dev", 'say dev = "eth1"', on_key=True)
    return RouteDraft(Route(to.network_address, to.prefixlen, kind, **fields), dev)


def _mark(spot: Spot) -> tuple[int, int | None] | None:
    """`"0x1"`, `"0x1/0xff"`, or a number."""
    if isinstance(spot.value, int) and not isinstance(spot.value, bool):
        number = integer(0, TABLE_MAX)(spot)
        return None if number is None else (number, None)
    given = text(spot)
    if given is None:
        return None
    match = _MARK.fullmatch(given)
    numbers = (
        [] if match is None else [int(part, 0 if part.startswith("0x") else 10) for part in match.groups() if part]
    )
    if not numbers or max(numbers) > TABLE_MAX:
        return spot.error(Code.BAD_ROUTE, f"{shown(given)} is not a mark of packets", 'such as "0x1" or "0x1/0xff"')
    return numbers[0], numbers[1] if len(numbers) > 1 else None


RULE_KEYS: dict[str, Key] = {
    "table": Key(integer(1, TABLE_MAX), required=True),
    "priority": Key(integer(0, TABLE_MAX), required=True),
    "from": Key(prefix),
    "to": Key(prefix),
    "iif": Key(per_node(interface_name)),
    "fwmark": Key(_mark),
    "family": Key(number_choice((4, 6))),
    "track": Key(boolean),
}


def rule(spot: Spot) -> RuleDraft | None:
    """`{ from = "10.0.1.100", table = 100, priority = 1000 }`."""
    fields = read_value(spot, RULE_KEYS, "rules")
    if fields is None:
        return None
    given: dict[str, Prefix] = {key: fields.pop(key) for key in ("from", "to") if key in fields}
    family = fields.pop("family", next((found.version for found in given.values()), 4))
    wrong = next((key for key, found in given.items() if found.version != family), None)
    if wrong is not None:
        return _mixed(spot, wrong, family)
    taken: dict[str, Any] = {}
    for key, name in (("from", "source"), ("to", "destination")):
        if key in given:
            taken |= {name: given[key].network_address, f"{name}_prefix": given[key].prefixlen}
    iif = fields.pop("iif", None)
    fwmark, fwmask = fields.pop("fwmark", (None, None))
    return RuleDraft(Rule(family, fwmark=fwmark, fwmask=fwmask, **taken, **fields), iif)


def _mixed(spot: Spot, key: str, family: int) -> Refusal:
    text_ = f'"{key}" is not IPv{family}, as the rest is'
    return spot.child(key).error(Code.OTHER_FAMILY, text_, "one family in one entry")
