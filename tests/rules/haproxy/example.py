"""Plans to be rendered, and the HAProxys of this host that must accept them."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from firstmate.haproxy.binary import Binary, HaproxyMissing, HaproxyTooOld, _wheel_path, find
from firstmate.haproxy.ground import Ground
from firstmate.model.plan import (
    Bind,
    HaproxyPlan,
    HttpCheck,
    Mode,
    Node,
    Plan,
    ProtocolCheck,
    Server,
    ServicePlan,
    TcpCheck,
    Vip,
    VrrpPlan,
)
from firstmate.model.units import MS, S

VIPS = tuple(Vip(IPv4Address(ip), 24, "eth0") for ip in ("192.0.2.100", "192.0.2.101"))
ROUTER = VrrpPlan("web", 7, 3, 254, 200 * MS, "eth0", IPv4Address("192.0.2.10"), VIPS)
NODES = (Node("lb-a", IPv4Address("192.0.2.10")), Node("lb-b", IPv4Address("192.0.2.11")))
GROUND = Ground("/run/firstmate", nofile=20_000, cpus=2, transparent=True)
SERVERS = (Server("web1", "198.51.100.1", 80), Server("web2", "198.51.100.2", 80))
WEB = ServicePlan("web", Mode.HTTP, (Bind(80),), SERVERS, HttpCheck("GET", "/"))
DB = ServicePlan("db", Mode.TCP, (Bind(5432),), SERVERS, TcpCheck(), balance="leastconn")


def plan(*services: ServicePlan, routers: tuple[VrrpPlan, ...] = (ROUTER,), haproxy: HaproxyPlan | None = None) -> Plan:
    return Plan("edge", "lb-a", NODES, routers, services, haproxy or HaproxyPlan(), source="firstmate.toml")


# fmt: off
CASES: dict[str, Plan] = {
    "five-web-servers": plan(replace(WEB, servers=tuple(Server(f"web{n}", f"198.51.100.{n}", 80) for n in range(1, 6)))),
    "two-services": plan(WEB, DB),
    "everything": plan(
        replace(
            WEB, name="shop.example", binds=(Bind(80), Bind(8080, VIPS[1].ip), Bind(9090, IPv4Address("127.0.0.1"))),
            servers=(
                Server("web1", "198.51.100.1", 80, weight=50, maxconn=200),
                Server("web2", "198.51.100.2", 8080, weight=0),
                Server("spare", "localhost", 80, backup=True),
                Server("six", "2001:db8::1", 80),
            ),
            check=HttpCheck("HEAD", "/healthz?full=1", host="shop.example", port=8081, status="200,204"),
            check_interval_us=S // 2, rise=3, fall=4,
            raw=("option forwardfor", 'http-response set-header X-Node "lb a"', "timeout server 5m"),
        ),
    ),
    "no-services": plan(),
    "no-addresses": plan(WEB, routers=()),
}
CHECKS: dict[str, ServicePlan] = {
    "http-check-of-a-database":  replace(DB, check=HttpCheck("GET", "/primary", port=8008)),
    "tcp-check-of-another-port": replace(DB, check=TcpCheck(port=9)),
    "tcp-check-of-http":         replace(DB, check=TcpCheck(), mode=Mode.HTTP),
    "tls-check":                 replace(DB, check=ProtocolCheck("tls", port=443)),
    "mysql-check":               replace(DB, check=ProtocolCheck("mysql", user="probe")),
    "mysql-check-without-user":  replace(DB, check=ProtocolCheck("mysql")),
    "pgsql-check":               replace(DB, check=ProtocolCheck("pgsql", user="probe")),
    "pgsql-check-without-user":  replace(DB, check=ProtocolCheck("pgsql")),
    "redis-check":               replace(DB, check=ProtocolCheck("redis")),
}
ALGORITHMS = {
    "roundrobin": False, "static-rr": False, "leastconn": False, "first": False, "random": False, "random(2)": False,
    "source": True, "uri": True, "uri whole": True, "uri len 8 depth 2": True, "url_param id": True,
    "url_param id check_post": True, "hdr(Host)": True, "hdr(host) use_domain_only": True, "hash src": True,
    "rdp-cookie": True, "rdp-cookie(mstshash)": True,
}
# fmt: on


def _numbered(*services: ServicePlan) -> tuple[ServicePlan, ...]:
    """All of them in one file: names and ports of their own."""
    return tuple(replace(one, name=f"s{n}", binds=(Bind(1000 + n),)) for n, one in enumerate(services))


CASES["every-check"] = plan(*_numbered(*CHECKS.values()))
CASES["every-balance"] = plan(
    *_numbered(*(replace(DB, mode=Mode.TCP if "rdp" in word else Mode.HTTP, balance=word) for word in ALGORITHMS))
)


def haproxys() -> list[Binary]:
    """Every HAProxy of this host: the system's and the wheel's."""
    found = []
    for configured in ("", _wheel_path()):
        if configured is not None:
            try:
                found.append(find(configured))
            except (HaproxyMissing, HaproxyTooOld):
                continue
    return list({binary.path: binary for binary in found}.values())


HAPROXYS = haproxys()
needs_haproxy = pytest.mark.skipif(not HAPROXYS, reason="no HAProxy is installed: apt install haproxy")
each_haproxy = pytest.mark.parametrize("binary", HAPROXYS, ids=lambda binary: binary.version_text)
