"""`firstmate.toml` to a `Plan` for one node: read, judge, place. The way into this room."""

import hashlib
import json
from dataclasses import dataclass
from ipaddress import IPv4Address

from firstmate.config import placement, rules
from firstmate.config.codes import Code
from firstmate.config.findings import Findings
from firstmate.config.placement import Placed
from firstmate.config.routers import interval_us_of, priorities_of, tracked_by, version_of
from firstmate.config.schema import CHECK, HAPROXY, SERVICE, VRRP, Draft, Section, read_file
from firstmate.config.tables import record_fields
from firstmate.config.toml import Document, parse
from firstmate.model.host import HostFacts
from firstmate.model.plan import (
    Auth,
    CommandCheck,
    HaproxyPlan,
    HttpCheck,
    Mode,
    Node,
    Plan,
    ServicePlan,
    TcpCheck,
    Track,
    VrrpPlan,
)
from firstmate.model.problems import Problem, Severity

DIGEST_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Checked:
    """All that can be said of a file without being one of its nodes."""

    problems: tuple[Problem, ...]
    node: str = ""  # the node that this host is; "": none of them, or not asked
    digest: str = ""  # "" when the file is not TOML

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity is Severity.WARNING)


def check(text: str | bytes, file: str, host: HostFacts | None) -> Checked:
    """Every problem of a file. With `host`, also those of its interfaces, when it is a node of the file."""
    document = parse(text, file)
    if not isinstance(document, Document):
        return Checked(document)
    findings = Findings(document)
    draft = read_file(findings)
    rules.judge(draft, findings)
    me = placement.recognise(placement.nodes_of(draft), host) if host is not None else None
    if me is not None and host is not None:
        _place_all(draft, me, host, findings)
    return Checked(findings.problems(), me.name if me else "", digest_of(document))


def compile_plan(
    text: str | bytes, file: str, host: HostFacts, node: str | None
) -> tuple[Plan | None, tuple[Problem, ...]]:
    """The plan of this node, or None when a problem is an error; warnings come with both.

    `node` is what `--node` or FIRSTMATE_NODE said; None: the node that `host` is.
    """
    document = parse(text, file)
    if not isinstance(document, Document):
        return None, document
    findings = Findings(document)
    draft = read_file(findings)
    rules.judge(draft, findings)
    me = placement.who_am_i(draft, host, node, findings)
    placed = _place_all(draft, me, host, findings) if me is not None else {}
    if me is None or findings.failed:
        return None, findings.problems()
    return _plan(document, draft, me, placed), findings.problems()


def sample_plan(text: str | bytes, file: str) -> Plan | None:
    """The plan of the first node on an imagined host: for a look at what HAProxy would be told."""
    document = parse(text, file)
    if not isinstance(document, Document):
        return None
    findings = Findings(document)
    draft = read_file(findings)
    rules.judge(draft, findings)
    nodes = placement.nodes_of(draft)
    if findings.failed or not nodes:
        return None
    placed = {
        router.at: Placed("eth0", nodes[0].address, tuple(placement.imagine(router)))
        for router in draft.routers
        if nodes[0].name in priorities_of(router, draft)
    }
    return _plan(document, draft, nodes[0], placed)


def digest_of(document: Document) -> str:
    """Fingerprint of what the file says: comments, order of keys and layout do not change it."""
    canonical = json.dumps(document.data, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:DIGEST_DIGITS]


def _place_all(draft: Draft, me: Node, host: HostFacts, findings: Findings) -> dict[tuple[str | int, ...], Placed]:
    """Each virtual router in which this node takes part, on its interfaces."""
    placed: dict[tuple[str | int, ...], Placed] = {}
    seen: dict[tuple[int | None, str], Section] = {}
    for router in draft.routers:
        if me.name not in priorities_of(router, draft):
            continue
        where = placement.place(router, me, host, findings)
        if where is None:
            continue
        placed[router.at] = where
        key = (router.get("vrid"), where.interface)
        if key in seen and seen[key].get("interface") != router.get("interface"):
            line = findings.document.place((*seen[key].at, "vrid")).value.line
            text = f"vrid {key[0]} is that of another virtual router on {where.interface} (line {line})"
            findings.add(Code.SAME_VRID, (*router.at, "vrid"), text, "one vrid, one virtual router on an interface")
        seen.setdefault(key, router)
    return placed


def _plan(document: Document, draft: Draft, me: Node, placed: dict[tuple[str | int, ...], Placed]) -> Plan:
    nodes = placement.nodes_of(draft)
    routers = (
        _vrrp_plan(router, draft, me, nodes, placed[router.at]) for router in draft.routers if router.at in placed
    )
    haproxy = None
    if draft.runs_haproxy:
        haproxy = HaproxyPlan(**record_fields(draft.haproxy.fields, HAPROXY) if draft.haproxy else {})
    return Plan(
        cluster=draft.cluster.get("name"),
        node=me.name,
        nodes=nodes,
        routers=tuple(routers),
        services=tuple(_service_plan(service) for service in draft.services),
        haproxy=haproxy,
        checks=tuple(CommandCheck(**record_fields(item.fields, CHECK)) for item in draft.checks),
        digest=digest_of(document),
        source=document.file,
        **{key: draft.cluster.fields[key] for key in ("peer_port",) if key in draft.cluster.fields},
    )


_PLACED_KEYS = ("prefer", "addresses", "peers", "source", "interface", "track")  # not taken as written


def _vrrp_plan(router: Section, draft: Draft, me: Node, nodes: tuple[Node, ...], placed: Placed) -> VrrpPlan:
    priorities = priorities_of(router, draft)
    taken = record_fields({key: value for key, value in router.fields.items() if key not in _PLACED_KEYS}, VRRP)
    taken |= {
        "priority": priorities[me.name],
        "version": version_of(router),
        "advert_interval_us": interval_us_of(router),
        "interface": placed.interface,
        "source": placed.source,
        "vips": placed.vips,
        "peers": _peers(router, priorities, me, nodes, placed.source),
        "track": tuple(Track(name) for name in tracked_by(router, draft)),
    }
    if "auth_pass" in taken:
        taken["auth"] = Auth.PASS
    return VrrpPlan(**taken)


def _peers(
    router: Section, priorities: dict[str, int], me: Node, nodes: tuple[Node, ...], source: IPv4Address
) -> tuple[IPv4Address, ...]:
    """The other nodes that take part, by the address their adverts come from, then the foreign ones."""
    sources = router.get("source") if isinstance(router.get("source"), dict) else {}
    ours = [sources.get(node.name, node.address) for node in nodes if node.name in priorities and node != me]
    given = [address for address in router.get("peers", ()) if address not in (source, me.address)]
    return tuple(dict.fromkeys([*ours, *given]))


def _service_plan(service: Section) -> ServicePlan:
    taken = record_fields(service.fields, SERVICE)
    taken["servers"] = tuple(taken["servers"].values())
    taken.setdefault("check", HttpCheck("GET", "/") if taken["mode"] is Mode.HTTP else TcpCheck())
    return ServicePlan(**taken)
