"""Rules between the sections of one file, the same on every host: E2xx references, E3xx network, W3xx advice."""

from collections.abc import Iterable
from typing import Any

from firstmate.config import routers, services
from firstmate.config.codes import Code
from firstmate.config.findings import Findings
from firstmate.config.places import Path
from firstmate.config.readers import shown
from firstmate.config.schema import Draft, Section
from firstmate.model.addresses import Address
from firstmate.model.plan import HAPROXY_FACT


def judge(draft: Draft, findings: Findings) -> None:
    """Note everything in `draft` that contradicts something else in it."""
    _nodes(draft, findings)
    unique(draft.routers, "name", Code.SAME_NAME, "[[vrrp]]", findings)
    unique(draft.services, "name", Code.SAME_NAME, "[[service]]", findings)
    _facts(draft, findings)
    routers.judge(draft, findings)
    services.judge(draft, findings)
    if not findings.document.data.get("vrrp"):
        hint = "add a [[vrrp]] with name, vrid and addresses"
        findings.add(Code.NOTHING_MOVES, ("cluster",), "there is no [[vrrp]]: no address will move", hint)


def unique(sections: Iterable[Section], key: str, code: Code, what: str, findings: Findings) -> None:
    """Each value of `key` stands in one section only."""
    first: dict[Any, Section] = {}
    for section in sections:
        value = section.get(key)
        if value is None:
            continue
        if value in first:
            line = findings.document.place((*first[value].at, key)).value.line
            findings.add(
                code,
                (*section.at, key),
                f"{shown(str(value))} is the {key} of another {what}",
                f"it stands in line {line}",
            )
        first.setdefault(value, section)


def _nodes(draft: Draft, findings: Findings) -> None:
    unique(draft.nodes, "name", Code.SAME_NAME, "[[node]]", findings)
    seen: dict[Address, Path] = {}
    for node in draft.nodes:
        more: tuple[Address, ...] = node.get("more_addresses", ())
        written: list[tuple[Path, Address | None]] = [
            (("address",), node.get("address")),
            (("address6",), node.get("address6")),
            *((("more_addresses", place), address) for place, address in enumerate(more)),
        ]
        for key, address in written:
            if address is None:
                continue
            path = (*node.at, *key)
            if address in seen:
                line = findings.document.place(seen[address]).value.line
                text = f"{shown(str(address))} is the address of another [[node]], or stands twice"
                findings.add(Code.SAME_NODE_ADDRESS, path, text, f"it stands in line {line}")
            seen.setdefault(address, path)


def _facts(draft: Draft, findings: Findings) -> None:
    """Checks, processes and files are tracked by name, so they share one set of names."""
    unique((*draft.checks, *draft.processes, *draft.files), "name", Code.SAME_NAME, "tracked fact", findings)
    for fact in (*draft.checks, *draft.processes, *draft.files):
        if fact.get("name") == HAPROXY_FACT:
            text = f'"{HAPROXY_FACT}" is the name of firstmate\'s own check of HAProxy'
            findings.add(Code.SAME_NAME, (*fact.at, "name"), text, "choose another name")
    for check in draft.checks:
        interval_us, timeout_us = check.get("interval"), check.get("timeout")
        if interval_us is not None and timeout_us is not None and timeout_us > interval_us:
            text = "a command that takes its whole timeout delays the next ones: timeout is longer than interval"
            findings.add(Code.SLOW_CHECK, (*check.at, "timeout"), text, "give it at most the interval")
    for process in draft.processes:
        least, most = process.get("quorum", 1), process.get("quorum_max")
        if most is not None and most < least:
            text = f"at least {least} and at most {most} processes: that is never so"
            hint = "reverse = true turns the meaning round"
            findings.add(Code.OUT_OF_RANGE, (*process.at, "quorum_max"), text, hint)
