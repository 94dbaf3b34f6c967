"""Rules between the sections of one file, the same on every host: E2xx references, E3xx network, W3xx advice."""

from collections.abc import Iterable
from typing import Any

from firstmate.config import routers, services
from firstmate.config.codes import Code
from firstmate.config.findings import Findings
from firstmate.config.readers import shown
from firstmate.config.schema import Draft, Section
from firstmate.model.plan import HAPROXY_FACT


def judge(draft: Draft, findings: Findings) -> None:
    """Note everything in `draft` that contradicts something else in it."""
    _nodes(draft, findings)
    unique(draft.routers, "name", Code.SAME_NAME, "[[vrrp]]", findings)
    unique(draft.services, "name", Code.SAME_NAME, "[[service]]", findings)
    _checks(draft, findings)
    routers.judge(draft, findings)
    services.judge(draft, findings)
    if not findings.document.data.get("vrrp"):
        hint = "add a [[vrrp]] with name, vrid and addresses"
        findings.add(Code.NOTHING_MOVES, ("cluster",), "there is no [[vrrp]]: no address will move", hint)
    if draft.cluster.get("secret"):
        text = "adverts and calls between nodes are not signed yet by this version; the secret is not used"
        findings.add(Code.NOT_SIGNED_YET, ("cluster", "secret"), text, "keep it for later; trust the network for now")


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
    unique(draft.nodes, "address", Code.SAME_NODE_ADDRESS, "[[node]]", findings)


def _checks(draft: Draft, findings: Findings) -> None:
    unique(draft.checks, "name", Code.SAME_NAME, "[[check]]", findings)
    for check in draft.checks:
        if check.get("name") == HAPROXY_FACT:
            text = f'"{HAPROXY_FACT}" is the name of firstmate\'s own check of HAProxy'
            findings.add(Code.SAME_NAME, (*check.at, "name"), text, "choose another name")
        interval_us, timeout_us = check.get("interval"), check.get("timeout")
        if interval_us is not None and timeout_us is not None and timeout_us > interval_us:
            text = "a command that takes its whole timeout delays the next ones: timeout is longer than interval"
            findings.add(Code.SLOW_CHECK, (*check.at, "timeout"), text, "give it at most the interval")
