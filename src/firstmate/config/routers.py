"""What a [[vrrp]] must agree with: the nodes, the other virtual routers, its own version. Pure of the host."""

from typing import TypeAlias

from firstmate.config import families, groups, paths, signing, tracking
from firstmate.config.addresses import VipDraft
from firstmate.config.codes import Code
from firstmate.config.findings import Findings
from firstmate.config.places import Path
from firstmate.config.readers import shown
from firstmate.config.schema import Draft, Section
from firstmate.model.addresses import Address
from firstmate.model.plan import OWNER, PRIORITY_FIRST, Transport
from firstmate.model.units import MS, S, Micros, format_duration

INTERVAL_DEFAULT_US = {2: 1 * S, 3: 200 * MS}
INTERVAL_RANGE_US = {2: (1 * S, 255 * S, 1 * S), 3: (10 * MS, 40_950 * MS, 10 * MS)}  # least, most, step
Priorities: TypeAlias = dict[str, int]  # by node, of those that take part


def version_of(router: Section) -> int:
    version: int = router.get("version", 3)
    return version


def interval_us_of(router: Section) -> Micros:
    interval_us: Micros = router.get("advert_interval", INTERVAL_DEFAULT_US[version_of(router)])
    return interval_us


def down_adverts_of(router: Section) -> int:
    """How many silent intervals make a MASTER lost."""
    adverts: int = router.get("down_timer_adverts", 3)
    return adverts


def priorities_of(router: Section, draft: Draft) -> Priorities:
    """Which nodes take part, and how strongly: `priority`, or the order of `prefer`, or that of the file."""
    given: Priorities | None = router.get("priority")
    if given is not None:
        return given
    names = router.get("prefer") or [node.get("name") for node in draft.nodes]
    return {name: PRIORITY_FIRST - place for place, name in enumerate(names) if name is not None}


def skew_us(router: Section, priority: int) -> Micros:
    """Skew_Time: RFC 5798, 6.1; of version 2 (RFC 3768, 6.1) in fractions of a second."""
    unit_us = S if version_of(router) == 2 else interval_us_of(router)
    return (256 - priority) * unit_us // 256


def judge(draft: Draft, findings: Findings) -> None:
    nodes = {node.get("name"): node for node in draft.nodes if node.get("name")}
    addresses = {address: node for node in draft.nodes for address in addresses_of(node)}
    grouped = groups.groups_of(draft)
    signing.judge_cluster(draft, findings)
    for router in draft.routers:
        priorities = priorities_of(router, draft)
        signed = signing.signing_of(router, draft, interval_us_of(router))
        _judge_order(router, nodes, findings)
        _judge_tables(router, nodes, findings)
        _judge_version(router, findings)
        _judge_effect(router, findings)
        families.judge(router, findings, signed=signed is not None)
        taking_part = [node for name, node in nodes.items() if name in priorities]
        paths.judge(router, taking_part, families.family_of(router), findings)
        signing.judge(router, draft, signed, findings)
        tracking.judge(router, draft, priorities, findings, weights_count=groups.weights_count(router, grouped))
        _judge_vips(router, addresses, findings)
        _judge_owner(router, nodes, findings)
    groups.judge(draft, {r.get("name"): priorities_of(r, draft) for r in draft.routers if r.get("name")}, findings)
    _judge_vrids(draft, findings)
    _judge_vip_clashes(draft, findings)
    _judge_vmacs(draft, findings)


def addresses_of(node: Section) -> tuple[Address, ...]:
    """Every address that the file gives a node."""
    more: tuple[Address, ...] = node.get("more_addresses", ())
    return tuple(address for address in (node.get("address"), node.get("address6"), *more) if address is not None)


def _judge_order(router: Section, nodes: dict[str, Section], findings: Findings) -> None:
    """The tables and lists that name nodes."""
    for key in ("prefer", "priority", "source", "interface"):
        given = router.get(key)
        if not isinstance(given, (tuple, dict)):
            continue
        for place, name in enumerate(given):
            part = name if isinstance(given, dict) else place
            if name not in nodes:
                _not_a_node((*router.at, key, part), name, nodes, findings, on_key=isinstance(given, dict))
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
            findings.add(Code.SAME_PRIORITY, (*router.at, "priority", name), text, hint)
        seen.setdefault(number, name)
    taking_part = priority if priority is not None else prefer if prefer is not None else nodes
    if len(taking_part) == 1 and not router.get("peers"):
        at = next((key for key in ("priority", "prefer") if router.get(key)), "name")
        text = "one node alone takes part in this virtual router: nobody takes over"
        findings.add(Code.ALONE, (*router.at, at), text, "name a second node")


def _not_a_node(path: Path, name: str, nodes: dict[str, Section], findings: Findings, *, on_key: bool) -> None:
    lines = ((known, findings.document.place((*node.at, "name")).value.line) for known, node in nodes.items())
    listed = ", ".join(f'"{known}" (line {line})' for known, line in lines)
    hint = f"nodes: {listed}" if listed else "there is no [[node]]"
    findings.add(Code.NOT_A_NODE, path, f"{shown(name)} is not a node of this cluster", hint, on_key=on_key)


def _judge_tables(router: Section, nodes: dict[str, Section], findings: Findings) -> None:
    """Interfaces by node, inside of entries."""
    for key, part in (("addresses", "dev"), ("routes", "dev"), ("rules", "iif"), ("track", "interface")):
        for place, entry in enumerate(router.get(key, ())):
            by_node = getattr(entry, part)
            for name in by_node if isinstance(by_node, dict) else ():
                if name not in nodes:
                    _not_a_node((*router.at, key, place, part, name), name, nodes, findings, on_key=True)


def _judge_version(router: Section, findings: Findings) -> None:
    version, interval_us = version_of(router), interval_us_of(router)
    least_us, most_us, step_us = INTERVAL_RANGE_US[version]
    if not least_us <= interval_us <= most_us or interval_us % step_us:
        steps = "whole seconds, 1 s to 255 s" if version == 2 else "whole hundredths of a second, 10 ms to 40.95 s"
        text = f"VRRP version {version} cannot send every {format_duration(interval_us)}"
        findings.add(Code.INTERVAL_RANGE, (*router.at, "advert_interval"), text, steps)
    for key in ("auth", "auth_pass"):
        if version == 3 and router.get(key) is not None:
            text = "VRRP version 3 has no password"
            hint = "take it out (hmac signs adverts), or version = 2"
            findings.add(Code.WRONG_VERSION, (*router.at, key), text, hint, on_key=True)
    if version == 2 and router.get("checksum") is not None:
        text = "the form of the checksum is a choice of version 3 alone"
        findings.add(Code.WRONG_VERSION, (*router.at, "checksum"), text, "take it out", on_key=True)
    if router.get("auth") is not None and router.get("auth_pass") is None:
        findings.add(Code.MISSING, (*router.at, "auth"), 'auth needs "auth_pass"', 'auth_pass = "..."')


_UNICAST_ONLY, _MULTICAST_ONLY = ("ttl", "min_ttl", "check_source"), ("multicast_group",)


def _judge_effect(router: Section, findings: Findings) -> None:
    """Keys that another one makes meaningless."""
    if router.get("preempt") is False and router.get("preempt_delay") is not None:
        text = "preempt_delay has no effect with preempt = false"
        findings.add(Code.NO_EFFECT, (*router.at, "preempt_delay"), text, "take it out", on_key=True)
    transports = {*paths.transports_of(router)}
    for keys, useless, why in (
        (_UNICAST_ONLY, transports == {Transport.MULTICAST}, 'transport = "multicast"'),
        (_MULTICAST_ONLY, Transport.MULTICAST not in transports, "unicast"),
    ):
        for key in keys:
            if useless and router.get(key) is not None:
                text = f"{key} has no effect with {why}"
                findings.add(Code.NO_EFFECT, (*router.at, key), text, "take it out", on_key=True)


def _judge_vips(router: Section, nodes: dict[Address, Section], findings: Findings) -> None:
    vips: tuple[VipDraft, ...] = router.get("addresses", ())
    given: Priorities = router.get("priority") or {}
    for place, vip in enumerate(vips):
        path = (*router.at, "addresses", place)
        node = nodes.get(vip.ip)
        if node is not None and given.get(node.get("name")) != OWNER:
            line = findings.document.place(node.at).value.line
            text = f"{vip.ip} is the fixed address of a node (line {line}) and cannot move"
            hint = f"choose an address that no host has; only a node with priority {OWNER} owns it"
            findings.add(Code.VIP_IS_NODE, path, text, hint)
        elif vip.ip.is_loopback:
            text = f"{vip.ip} is a loopback address: no other host can reach it"
            findings.add(Code.LOOPBACK_VIP, path, text)


def _judge_owner(router: Section, nodes: dict[str, Section], findings: Findings) -> None:
    """Priority 255 says that the addresses are the node's own (RFC 5798, 5.2.4)."""
    given: Priorities = router.get("priority") or {}
    vips = {vip.ip for vip in router.get("addresses", ())}
    for name, number in given.items():
        if number != OWNER:
            continue
        if name in nodes and vips and not vips & {*addresses_of(nodes[name])}:
            text = f"priority {OWNER} is for the owner, and none of the addresses is {shown(name)}'s own"
            findings.add(Code.NOT_THE_OWNER, (*router.at, "priority", name), text, f"at most {PRIORITY_FIRST}")
        if router.get("preempt") is False:
            text = f"{shown(name)} owns the address and always takes it back"
            findings.add(Code.NO_EFFECT, (*router.at, "preempt"), text, "take it out", on_key=True)


def _judge_vrids(draft: Draft, findings: Findings) -> None:
    """One vrid names one virtual router of a family on a LAN; other interfaces are other LANs."""
    used = {router.get("vrid") for router in draft.routers}
    seen: dict[tuple[int, int, str], Section] = {}
    for router in draft.routers:
        vrid = router.get("vrid")
        if vrid is None:
            continue
        key = (vrid, families.family_of(router), repr(router.get("interface")))
        if key in seen:
            line = findings.document.place((*seen[key].at, "vrid")).value.line
            free = next((number for number in range(1, 256) if number not in used), None)
            text = f"vrid {vrid} is that of another virtual router on the same interface (line {line})"
            findings.add(Code.SAME_VRID, (*router.at, "vrid"), text, f"{free} is free" if free else "")
        seen.setdefault(key, router)


def _judge_vip_clashes(draft: Draft, findings: Findings) -> None:
    seen: dict[tuple[Address, str], tuple[str | int, ...]] = {}
    for router in draft.routers:
        vips: tuple[VipDraft, ...] = router.get("addresses", ())
        for place, vip in enumerate(vips):
            path = (*router.at, "addresses", place)
            link = repr(vip.dev or router.get("interface")) if families.is_link_local(vip.ip) else ""
            if (vip.ip, link) in seen:
                line = findings.document.place(seen[vip.ip, link]).value.line
                findings.add(Code.SAME_VIP, path, f"{vip.ip} already moves (line {line})", "keep one")
            seen.setdefault((vip.ip, link), path)


def _judge_vmacs(draft: Draft, findings: Findings) -> None:
    seen: dict[str, Section] = {}
    for router in draft.routers:
        vmac = families.vmac_of(router)
        if vmac is None:
            continue
        if vmac.name in seen:
            line = findings.document.place((*seen[vmac.name].at, "vmac")).value.line
            text = f"{vmac.name} is the interface of another virtual router (line {line})"
            hint = 'name it: vmac = { name = "vrrp.web" }'
            findings.add(Code.SAME_NAME, (*router.at, "vmac"), text, hint)
        seen.setdefault(vmac.name, router)
