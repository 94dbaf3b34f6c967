"""`firstmate.toml` to a `Plan` for one node: read, judge, place. The way into this room."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from firstmate.config import placement, rules
from firstmate.config.codes import Code
from firstmate.config.families import family_of, vmac_of
from firstmate.config.findings import Findings
from firstmate.config.groups import groups_of
from firstmate.config.paths import transports_of
from firstmate.config.placement import Placed
from firstmate.config.places import Path
from firstmate.config.routers import interval_us_of, priorities_of, version_of
from firstmate.config.schema import (
    CHECK,
    CLUSTER,
    HAPROXY,
    PROCESS,
    SERVICE,
    TRACKED_FILE,
    VRRP,
    Draft,
    Keys,
    Section,
    read_file,
)
from firstmate.config.signing import KeyRing, ReadSecret, no_secrets, signing_of
from firstmate.config.tables import Fields, record_fields
from firstmate.config.toml import Document, parse
from firstmate.config.tracking import tracks_of
from firstmate.model.host import HostFacts
from firstmate.model.plan import (
    Auth,
    Check,
    CommandCheck,
    FileCheck,
    HaproxyPlan,
    HmacPlan,
    HttpCheck,
    Mode,
    Node,
    Plan,
    ProcessCheck,
    ServicePlan,
    TcpCheck,
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


def check(text: str | bytes, file: str, host: HostFacts | None, read_secret: ReadSecret | None = None) -> Checked:
    """Every problem of a file. With `host`, also those of its interfaces and secrets, when it is a node of the file.

    `read_secret` None: no secret is looked at.
    """
    document = parse(text, file)
    if not isinstance(document, Document):
        return Checked(document)
    findings = Findings(document)
    draft = read_file(findings)
    rules.judge(draft, findings)
    me = placement.recognise(placement.nodes_of(draft), host) if host is not None else None
    if me is not None and host is not None:
        _place_all(draft, me, host, findings)
        if read_secret is not None:
            _signing(draft, me, KeyRing(read_secret, findings, strict=False))
    return Checked(findings.problems(), me.name if me else "", digest_of(document))


def compile_plan(
    text: str | bytes, file: str, host: HostFacts, node: str | None, read_secret: ReadSecret = no_secrets
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
    signing = _signing(draft, me, KeyRing(read_secret, findings, strict=True)) if me is not None else {}
    if me is None or findings.failed:
        return None, findings.problems()
    return _plan(document, draft, me, placed, signing), findings.problems()


def net_namespace_of(text: str | bytes, file: str) -> str:
    """The network namespace that a file wants its daemon in; "" when it names none, or not properly.

    It is asked for before the host's interfaces are: they are those of that namespace.
    """
    document = parse(text, file)
    if not isinstance(document, Document):
        return ""
    name: str = read_file(Findings(document)).cluster.get("net_namespace", "")
    return name


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
        router.at: placement.imagine(router, nodes[0], draft)
        for router in draft.routers
        if nodes[0].name in priorities_of(router, draft)
    }
    return _plan(document, draft, nodes[0], placed, {})


def digest_of(document: Document) -> str:
    """Fingerprint of what the file says: comments, order of keys and layout do not change it.

    Passwords are left out: the fingerprint is shown, and short ones could be found by trying.
    """
    canonical = json.dumps(_without_passwords(document.data), sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:DIGEST_DIGITS]


def _without_passwords(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: "" if key == "auth_pass" else _without_passwords(value) for key, value in data.items()}
    return [_without_passwords(item) for item in data] if isinstance(data, list) else data


def _signing(draft: Draft, me: Node, ring: KeyRing) -> dict[Path, HmacPlan | None]:
    """How each virtual router of this node signs."""
    found: dict[Path, HmacPlan | None] = {}
    for router in draft.routers:
        signing = signing_of(router, draft, interval_us_of(router))
        if signing is not None and me.name in priorities_of(router, draft):
            found[router.at] = ring.plan(signing)
    return found


def _place_all(draft: Draft, me: Node, host: HostFacts, findings: Findings) -> dict[Path, Placed]:
    """Each virtual router in which this node takes part, on its interfaces."""
    placed: dict[Path, Placed] = {}
    seen: dict[tuple[int | None, int, str], Section] = {}
    for router in draft.routers:
        if me.name not in priorities_of(router, draft):
            continue
        where = placement.place(router, me, draft, host, findings)
        if where is None:
            continue
        placed[router.at] = where
        key = (router.get("vrid"), family_of(router), where.interface)
        if key in seen and seen[key].get("interface") != router.get("interface"):
            line = findings.document.place((*seen[key].at, "vrid")).value.line
            text = f"vrid {key[0]} is that of another virtual router on {where.interface} (line {line})"
            findings.add(Code.SAME_VRID, (*router.at, "vrid"), text, "one vrid, one virtual router on an interface")
        seen.setdefault(key, router)
    return placed


def _plan(
    document: Document, draft: Draft, me: Node, placed: dict[Path, Placed], signing: dict[Path, HmacPlan | None]
) -> Plan:
    routers = tuple(
        _vrrp_plan(router, draft, me, placed[router.at], signing.get(router.at))
        for router in draft.routers
        if router.at in placed
    )
    names = {router.name for router in routers}
    cluster = {key: value for key, value in draft.cluster.fields.items() if key in _OF_CLUSTER}
    haproxy = None
    if draft.runs_haproxy:
        haproxy = HaproxyPlan(**record_fields(draft.haproxy.fields, HAPROXY) if draft.haproxy else {})
    return Plan(
        cluster=draft.cluster.get("name"),
        node=me.name,
        nodes=placement.nodes_of(draft),
        routers=routers,
        services=tuple(_service_plan(service) for service in draft.services),
        haproxy=haproxy,
        checks=_check_plans(draft),
        groups=tuple(group for group in groups_of(draft) if names >= {*group.members}),
        digest=digest_of(document),
        source=document.file,
        **record_fields(cluster, CLUSTER),
    )


_OF_CLUSTER = frozenset(["peer_port", "udp_port", "start_delay", "garp_interval", "gna_interval", "net_namespace"])
# Of [[vrrp]], not taken as written: each needs the others, the host or the secrets.
# fmt: off
_RESOLVED = frozenset({
    "prefer", "addresses", "peers", "source", "interface", "track", "transport", "hmac", "auth", "vmac", "routes",
    "rules", "move_with", "move_with_weights",
})
# fmt: on


def _vrrp_plan(router: Section, draft: Draft, me: Node, placed: Placed, hmac: HmacPlan | None) -> VrrpPlan:
    taken = record_fields({key: value for key, value in router.fields.items() if key not in _RESOLVED}, VRRP)
    password = router.get("auth_pass") is not None
    taken |= {
        "priority": priorities_of(router, draft)[me.name],
        "version": version_of(router),
        "advert_interval_us": interval_us_of(router),
        "interface": placed.interface,
        "source": placed.source,
        "vips": placed.vips,
        "peers": placed.peers,
        "transport": transports_of(router)[0],
        "paths": placed.paths,
        "auth": router.get("auth", Auth.PASS if password else Auth.NONE),
        "hmac": hmac,
        "track": tracks_of(router, draft, me.name),
        "vmac": vmac_of(router),
        "routes": placed.routes,
        "rules": placed.rules,
    }
    return VrrpPlan(**taken)


def _check_plans(draft: Draft) -> tuple[Check, ...]:
    """Without what they mean for a router, which is in its `track`."""
    commands = [CommandCheck(**_without_weight(section, CHECK)) for section in draft.checks]
    processes = [ProcessCheck(**_without_weight(section, PROCESS)) for section in draft.processes]
    files = [FileCheck(**_without_weight(section, TRACKED_FILE)) for section in draft.files]
    return (*commands, *processes, *files)


def _without_weight(section: Section, keys: Keys) -> Fields:
    return record_fields(
        {key: value for key, value in section.fields.items() if key not in ("weight", "reverse")}, keys
    )


def _service_plan(service: Section) -> ServicePlan:
    taken = record_fields(service.fields, SERVICE)
    taken["servers"] = tuple(taken["servers"].values())
    taken.setdefault("check", HttpCheck("GET", "/") if taken["mode"] is Mode.HTTP else TcpCheck())
    return ServicePlan(**taken)
