"""`firstmate lab status`: the lab in a few lines, from what is there rather than from what was done."""

from typing import Any

from firstmate.lab.balancers import haproxy
from firstmate.lab.faults import Scene
from firstmate.lab.topology import Role, Site, draw
from firstmate.lab.verdict import align


def describe(scene: Scene) -> dict[str, Any]:
    """The document of `-o json`, schema `lab/1`."""
    lab = scene.lab
    processes = lab.processes()
    ports = lab.ports()
    hosts = []
    for plan in lab.site.hosts:
        if plan.role is Role.SWITCH:
            continue
        mine = [process for process in processes if process.host == plan.name]
        document: dict[str, Any] = {
            "name": plan.name,
            "role": plan.role.value,
            "address": plan.address,
            "cable": "pulled" if ports[plan.name]["down"] else "plugged",
            "partitioned": ports[plan.name]["isolated"],
            "processes": len(mine),
            "stopped": [process.pid for process in mine if process.stopped],
        }
        if plan.role is Role.BALANCER:
            document |= {
                "holds_address": lab.host(plan.name).holds_vip(),
                "daemon": bool(scene.balancer.daemon(mine)),
                "haproxy": bool(haproxy(mine)),
                "trouble": scene.balancer.trouble(lab.host(plan.name)),
            }
        hosts.append(document)
    return {"schema": "lab/1", "vip": lab.site.vip, "directory": str(lab.directory), "hosts": hosts}


def render(document: dict[str, Any], site: Site) -> str:
    """The same for people."""
    leaders = [host["name"] for host in document["hosts"] if host.get("holds_address")]
    rows = [("HOST", "ADDRESS", "STATE")]
    rows += [(host["name"], host["address"], _state(host, site.vip)) for host in document["hosts"]]
    lines = [draw(site, leaders[0] if len(leaders) == 1 else ""), "", *align(rows)]
    if len(leaders) != 1:
        lines += ["", f"! {site.vip} is on {' and '.join(leaders) or 'no host'}"]
    return "\n".join([*lines, "", f"files and logs: {document['directory']}"])


def _state(host: dict[str, Any], vip: str) -> str:
    words = []
    if host["cable"] == "pulled":
        words.append("cable pulled")
    if host["partitioned"]:
        words.append("cannot hear the other load balancers")
    if host["stopped"]:
        words.append(f"{len(host['stopped'])} processes stopped")
    if host["role"] == Role.BALANCER.value:
        words.append(f"holds {vip}" if host["holds_address"] else "stands by")
        words += [name for name in ("daemon", "haproxy") if not host[name] for name in (f"no {name}",)]
        if host["trouble"] and host["daemon"]:
            words.append(host["trouble"].removeprefix(f"{host['name']}: "))
    elif host["role"] == Role.WEB.value:
        words.append("up" if host["processes"] else "down")
    return ", ".join(words) or "up"
