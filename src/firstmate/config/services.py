"""What a [[service]] and [haproxy] must agree with: each other, the virtual routers, their mode."""

from ipaddress import IPv4Address, IPv6Address

from firstmate.config.codes import Code
from firstmate.config.findings import Findings
from firstmate.config.places import Path
from firstmate.config.readers import shown
from firstmate.config.routers import (
    INTERVAL_RANGE_US,
    addresses_of,
    down_adverts_of,
    interval_us_of,
    priorities_of,
    skew_us,
    version_of,
)
from firstmate.config.schema import Draft, Section
from firstmate.config.values import HTTP_BALANCE
from firstmate.model.addresses import Address
from firstmate.model.plan import Bind, HaproxyRun, Mode, Server
from firstmate.model.units import S, Micros, format_duration

_ANY4, _ANY6 = IPv4Address(0), IPv6Address(0)


def judge(draft: Draft, findings: Findings) -> None:
    _judge_binds(draft, findings)
    for service in draft.services:
        _judge_mode(service, findings)
        _judge_servers(service, findings)
        _judge_goal(service, draft, findings)
    if draft.haproxy is not None:
        _judge_haproxy(draft.haproxy, draft, findings)
    if not findings.document.data.get("vrrp"):
        _judge_open_binds(draft, findings)


def _judge_binds(draft: Draft, findings: Findings) -> None:
    """Two services cannot listen on the same port of the same address."""
    vips = {vip.ip for router in draft.routers for vip in router.get("addresses", ())}
    known = vips | {address for node in draft.nodes for address in addresses_of(node)} | {_ANY4, _ANY6}
    seen: dict[int, dict[Address | None, Path]] = {}
    for service in draft.services:
        binds: tuple[Bind, ...] = service.get("bind", ())
        is_list = isinstance(findings.document.data["service"][service.at[-1]].get("bind"), list)
        for place, bind in enumerate(binds):
            path = (*service.at, "bind", place) if is_list else (*service.at, "bind")
            taken = seen.setdefault(bind.port, {})
            clash = _clash(bind.address, taken)
            if clash is not None:
                line = findings.document.place(clash).value.line
                text = f"port {bind.port} is already taken (line {line})"
                findings.add(Code.SAME_BIND, path, text, "choose another port or address")
            elif bind.address is not None and bind.address not in known and not bind.address.is_loopback:
                text = f"{bind.address} is neither an address that moves nor that of a node"
                hint = f'":{bind.port}" listens on every address of the virtual routers'
                findings.add(Code.BIND_ELSEWHERE, path, text, hint)
            taken.setdefault(bind.address, path)


def _clash(address: Address | None, taken: dict[Address | None, Path]) -> Path | None:
    """Who holds this port where `address` wants it; 0.0.0.0 and :: are everywhere in their family."""
    if address in (_ANY4, _ANY6):
        return next((path for other, path in taken.items() if other is None or other.version == address.version), None)
    anywhere = (_ANY4, _ANY6) if address is None else (_ANY4 if address.version == 4 else _ANY6,)
    return next((taken[other] for other in (address, *anywhere) if other in taken), None)


def _judge_mode(service: Section, findings: Findings) -> None:
    algorithm = str(service.get("balance", "")).partition(" ")[0].partition("(")[0]
    if service.get("mode") is Mode.TCP and algorithm in HTTP_BALANCE:
        text = f'balance "{algorithm}" looks at HTTP requests, and this service has mode = "tcp"'
        findings.add(Code.WRONG_MODE, (*service.at, "balance"), text, 'such as "leastconn" or "source"')
    if service.get("mode") is Mode.HTTP and algorithm == "rdp-cookie":
        text = 'balance "rdp-cookie" looks at RDP connections, and this service has mode = "http"'
        findings.add(Code.WRONG_MODE, (*service.at, "balance"), text, 'such as "leastconn" or "source"')


def _judge_servers(service: Section, findings: Findings) -> None:
    servers: dict[str, Server] = service.get("servers") or {}
    seen: dict[tuple[str, int], str] = {}
    for name, server in servers.items():
        key = (server.address, server.port)
        if key in seen:
            text = f"{shown(name)} has the same address as {shown(seen[key])}"
            findings.add(Code.SAME_SERVER, (*service.at, "servers", name), text, "a copy that was not edited?")
        seen.setdefault(key, name)


def _judge_goal(service: Section, draft: Draft, findings: Findings) -> None:
    """Warn when noticing a lost MASTER alone takes longer than the service may be interrupted."""
    goal_us: Micros | None = service.get("goal")
    if goal_us is None:
        return
    for router in draft.routers:
        order = sorted(priorities_of(router, draft).values(), reverse=True)
        if len(order) < 2:
            continue
        detection_us = down_adverts_of(router) * interval_us_of(router) + skew_us(router, order[1])
        if detection_us <= goal_us:
            continue
        text = f"detection {format_duration(detection_us)} is over this service's goal of {format_duration(goal_us)}"
        hint = _faster(router, order[1], goal_us)
        findings.add(Code.GOAL_TOO_SHORT, (*service.at, "goal"), text, hint, on_key=True)
        return


def _faster(router: Section, priority: int, goal_us: Micros) -> str:
    """Which interval would do; version 2 knows whole seconds only."""
    adverts = down_adverts_of(router)
    if version_of(router) == 2:
        best_us = adverts * S + skew_us(router, priority)
        enough = 'advert_interval = "1s"'
        return enough if best_us <= goal_us else f"VRRP version 2 needs {format_duration(best_us)} at best: version = 3"
    least_us, _, step_us = INTERVAL_RANGE_US[3]
    enough_us = goal_us * 256 // (adverts * 256 + 256 - priority) // step_us * step_us
    if enough_us < least_us:
        return f"no advert_interval is short enough: the least is {format_duration(least_us)}"
    detection_us = adverts * enough_us + (256 - priority) * enough_us // 256
    return f'advert_interval = "{enough_us // 1000}ms" would bring it to about {format_duration(detection_us)}'


def _judge_haproxy(haproxy: Section, draft: Draft, findings: Findings) -> None:
    own = "config" if haproxy.get("config") else "run" if haproxy.get("run") is HaproxyRun.EXTERNAL else ""
    if own and draft.services:
        line = findings.document.place(draft.services[0].at).value.line
        why = "is a file of your own" if own == "config" else "leaves HAProxy to somebody else"
        text = f"{own} {why}, so the [[service]] of line {line} would not be served"
        findings.add(Code.OWN_CONFIG, (*haproxy.at, own), text, f"take out [[service]], or {own}", on_key=True)
    if haproxy.get("run") is HaproxyRun.EXTERNAL and not haproxy.get("socket"):
        text = 'run = "external" needs "socket": where HAProxy answers'
        hint = 'its line "stats socket PATH"'
        findings.add(Code.MISSING, (*haproxy.at, "run"), text, hint)
    for key in ("binary", "config"):
        if haproxy.get("run") is HaproxyRun.EXTERNAL and haproxy.get(key):
            text = f'{key} has no effect with run = "external"'
            findings.add(Code.NO_EFFECT, (*haproxy.at, key), text, "take it out", on_key=True)


def _judge_open_binds(draft: Draft, findings: Findings) -> None:
    """`":80"` means the addresses that move: without one there is nothing to listen on."""
    for service in draft.services:
        if any(bind.address is None for bind in service.get("bind", ())):
            text = "there is no address that moves, so this would listen nowhere"
            findings.add(Code.NO_EFFECT, (*service.at, "bind"), text, 'such as "10.0.1.10:80", or add a [[vrrp]]')
