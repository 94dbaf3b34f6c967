"""What a [[vrrp]] must agree with: the nodes, the other virtual routers, its own version. Pure of the host."""

from ipaddress import IPv4Address
from typing import TYPE_CHECKING, TypeAlias

from firstmate.config.codes import Code
from firstmate.config.findings import Findings
from firstmate.config.readers import meant, shown
from firstmate.config.schema import Draft, Section
from firstmate.model.plan import HAPROXY_FACT, OWNER, PRIORITY_FIRST
from firstmate.model.units import MS, S, Micros, format_duration

if TYPE_CHECKING:
    from firstmate.config.values import VipDraft

INTERVAL_DEFAULT_US = {2: 1 * S, 3: 200 * MS}
INTERVAL_RANGE_US = {2: (1 * S, 255 * S, 1 * S), 3: (10 * MS, 40_950 * MS, 10 * MS)}  # least, most, step
Priorities: TypeAlias = dict[str, int]  # by node, of those that take part


def version_of(router: Section) -> int:
    version: int = router.get("version", 3)
    return version


def interval_us_of(router: Section) -> Micros:
    interval_us: Micros = router.get("advert_interval", INTERVAL_DEFAULT_US[version_of(router)])
    return interval_us


def priorities_of(router: Section, draft: Draft) -> Priorities:
    """Which nodes take part, and how strongly: `priority`, or the order of `prefer`, or that of the file."""
    given: Priorities | None = router.get("priority")
    if given is not None:
        return given
    names = router.get("prefer") or [node.get("name") for node in draft.nodes]
    return {name: PRIORITY_FIRST - place for place, name in enumerate(names) if name is not None}


def tracked_by(router: Section, draft: Draft) -> tuple[str, ...]:
    """The facts that keep this router fit: as given, else HAProxy (when there is one) and every check."""
    given: tuple[str, ...] | None = router.get("track")
    if given is not None:
        return given
    checks = tuple(name for check in draft.checks if (name := check.get("name")))
    return (HAPROXY_FACT, *checks) if draft.runs_haproxy else checks


def skew_us(router: Section, priority: int) -> Micros:
    """Skew_Time: RFC 5798, 6.1; of version 2 (RFC 3768, 6.1) in fractions of a second."""
    unit_us = S if version_of(router) == 2 else interval_us_of(router)
    return (256 - priority) * unit_us // 256


def judge(draft: Draft, findings: Findings) -> None:
    nodes = {node.get("name"): node for node in draft.nodes if node.get("name")}
    addresses = {node.get("address"): node for node in draft.nodes if node.get("address")}
    for router in draft.routers:
        _judge_order(router, nodes, findings)
        _judge_version(router, findings)
        _judge_facts(router, draft, findings)
        _judge_vips(router, addresses, findings)
    _judge_vrids(draft, findings)
    _judge_vip_clashes(draft, findings)


def _judge_order(router: Section, nodes: dict[str, Section], findings: Findings) -> None:
    """The tables and lists that name nodes."""
    for key in ("prefer", "priority", "source", "interface"):
        given = router.get(key)
        if not isinstance(given, (tuple, dict)):
            continue
        for place, name in enumerate(given):
            part = name if isinstance(given, dict) else place
            if name not in nodes:
                lines = (
                    (known, findings.document.place((*node.at, "name")).value.line) for known, node in nodes.items()
                )
                listed = ", ".join(f'"{known}" (line {line})' for known, line in lines)
                text = f"{shown(name)} is not a node of this cluster"
                hint = f"nodes: {listed}" if listed else "there is no [[node]]"
                findings.add(Code.NOT_A_NODE, (*router.at, key, part), text, hint, on_key=isinstance(given, dict))
            elif isinstance(given, tuple) and name in given[:place]:
                text = f"{shown(name)} stands twice in {key}"
                findings.add(Code.LISTED_TWICE, (*router.at, key, place), text, "keep one")
    prefer, priority = router.get("prefer"), router.get("priority")
    if prefer is not None and priority is not None:
        text = 'both "prefer" and "priority" are given'
        findings.add(Code.PREFER_AND_PRIORITY, (*router.at, "priority"), text, "keep one of them", on_key=True)
    seen: dict[int, str] = {}
    for name, number in (priority or {}).items():
        if number in seen:
            text = f"{shown(name)} has the same priority as {shown(seen[number])}"
            hint = "the higher one is MASTER: make them differ"
            findings.add(
                Code.SAME_PRIORITY, (*router.at, "priority", name), text, "the higher one is MASTER: make them differ"
            )
        seen.setdefault(number, name)
    taking_part = priority if priority is not None else prefer if prefer is not None else nodes
    if len(taking_part) == 1 and not router.get("peers"):
        at = next((key for key in ("priority", "prefer") if router.get(key)), "name")
        text = "one node alone takes part in this virtual router: nobody takes over"
        findings.add(Code.ALONE, (*router.at, at), text, "name a second node")


def _judge_version(router: Section, findings: Findings) -> None:
    version, interval_us = version_of(router), interval_us_of(router)
    least_us, most_us, step_us = INTERVAL_RANGE_US[version]
    if not least_us <= interval_us <= most_us or interval_us % step_us:
        steps = "whole seconds, 1 s to 255 s" if version == 2 else "whole hundredths of a second, 10 ms to 40.95 s"
        text = f"VRRP version {version} cannot send every {format_duration(interval_us)}"
        findings.add(Code.INTERVAL_RANGE, (*router.at, "advert_interval"), text, steps)
    if version == 3 and router.get("auth_pass") is not None:
        text = "VRRP version 3 has no password"
        findings.add(Code.WRONG_VERSION, (*router.at, "auth_pass"), text, "take it out, or version = 2", on_key=True)
    if version == 2 and router.get("checksum") is not None:
        text = "the form of the checksum is a choice of version 3 alone"
        findings.add(Code.WRONG_VERSION, (*router.at, "checksum"), text, "take it out", on_key=True)
    if router.get("preempt") is False and router.get("preempt_delay") is not None:
        text = "preempt_delay has no effect with preempt = false"
        findings.add(Code.NO_EFFECT, (*router.at, "preempt_delay"), text, "take it out", on_key=True)


def _judge_facts(router: Section, draft: Draft, findings: Findings) -> None:
    known = [name for check in draft.checks if (name := check.get("name"))]
    if draft.runs_haproxy:
        known.insert(0, HAPROXY_FACT)
    given: tuple[str, ...] = router.get("track", ())
    for place, fact in enumerate(given):
        path = (*router.at, "track", place)
        if fact in given[:place]:
            findings.add(Code.LISTED_TWICE, path, f"{shown(fact)} stands twice in track", "keep one")
        elif fact == HAPROXY_FACT and not draft.runs_haproxy:
            text = "there is no HAProxy to track: neither [[service]] nor [haproxy]"
            findings.add(Code.UNKNOWN_FACT, path, text, "add one, or take it out of track")
        elif fact not in known:
            hint = meant(fact, known) or ("known: " + ", ".join(known) if known else "add a [[check]] of that name")
            findings.add(Code.UNKNOWN_FACT, path, f"nothing here is called {shown(fact)}", hint)


def _judge_vips(router: Section, nodes: dict[IPv4Address, Section], findings: Findings) -> None:
    vips: tuple[VipDraft, ...] = router.get("addresses", ())
    for place, vip in enumerate(vips):
        path = (*router.at, "addresses", place)
        if vip.ip in nodes:
            line = findings.document.place((*nodes[vip.ip].at, "address")).value.line
            text = f"{vip.ip} is the fixed address of a node (line {line}) and cannot move"
            findings.add(Code.VIP_IS_NODE, path, text, "choose an address that no host has")
        elif vip.ip.is_loopback:
            text = f"{vip.ip} is a loopback address: no other host can reach it"
            findings.add(Code.LOOPBACK_VIP, path, text)
    if OWNER in (router.get("priority") or {}).values():
        owner = next(name for name, number in router.get("priority").items() if number == OWNER)
        text = f"priority {OWNER} is for the host that owns the address as its own"
        hint = f"at most {PRIORITY_FIRST}"
        findings.add(Code.OUT_OF_RANGE, (*router.at, "priority", owner), text, hint)


def _judge_vrids(draft: Draft, findings: Findings) -> None:
    """One vrid names one virtual router on a LAN; other interfaces are other LANs."""
    used = {router.get("vrid") for router in draft.routers}
    seen: dict[tuple[int, str], Section] = {}
    for router in draft.routers:
        vrid = router.get("vrid")
        if vrid is None:
            continue
        key = (vrid, repr(router.get("interface")))
        if key in seen:
            line = findings.document.place((*seen[key].at, "vrid")).value.line
            free = next((number for number in range(1, 256) if number not in used), None)
            text = f"vrid {vrid} is that of another virtual router on the same interface (line {line})"
            findings.add(Code.SAME_VRID, (*router.at, "vrid"), text, f"{free} is free" if free else "")
        seen.setdefault(key, router)


def _judge_vip_clashes(draft: Draft, findings: Findings) -> None:
    seen: dict[IPv4Address, tuple[str | int, ...]] = {}
    for router in draft.routers:
        vips: tuple[VipDraft, ...] = router.get("addresses", ())
        for place, vip in enumerate(vips):
            path = (*router.at, "addresses", place)
            if vip.ip in seen:
                line = findings.document.place(seen[vip.ip]).value.line
                findings.add(Code.SAME_VIP, path, f"{vip.ip} already moves (line {line})", "keep one")
            seen.setdefault(vip.ip, path)
