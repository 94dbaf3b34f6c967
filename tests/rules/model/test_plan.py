from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstmate.model.jsonable import BadJson, dumps, loads
from firstmate.model.plan import (
    Bind,
    CommandCheck,
    HaproxyPlan,
    HaproxyRun,
    HmacKey,
    HmacPlan,
    HttpCheck,
    Mode,
    Node,
    Plan,
    ProtocolCheck,
    Server,
    ServicePlan,
    TcpCheck,
    Transport,
    Vip,
    VrrpPlan,
)

LB_A, LB_B = Node("lb-a", IPv4Address("10.0.1.10")), Node("lb-b", IPv4Address("10.0.1.11"))
WEB = VrrpPlan(
    name="web",
    vrid=1,
    version=3,
    priority=254,
    advert_interval_us=200_000,
    interface="eth0",
    source=LB_A.address,
    vips=(Vip(IPv4Address("10.0.1.100"), 24, "eth0"),),
    peers=(LB_B.address,),
    transport=Transport.MULTICAST,
    auth_pass=b"secret\x00\xff",
)
SERVICE = ServicePlan(
    name="web",
    mode=Mode.HTTP,
    binds=(Bind(80), Bind(443, IPv4Address("10.0.1.100"))),
    servers=(Server("web1", "10.0.1.21", 80, weight=50, backup=True), Server("web2", "web2.lab", 80)),
    check=HttpCheck("GET", "/", host="example.org"),
    raw=("option httplog",),
)
PLAN = Plan(
    cluster="web-edge",
    node="lb-b",
    nodes=(LB_A, LB_B),
    routers=(WEB,),
    services=(SERVICE,),
    haproxy=HaproxyPlan(run=HaproxyRun.EXTERNAL, socket="/run/haproxy.sock"),
    checks=(CommandCheck("disk", ("/bin/true", "-x")),),
    digest="0123456789ab",
    source="/etc/firstmate/firstmate.toml",
)


def test_me_is_the_node_of_my_name() -> None:
    assert PLAN.me == LB_B


def test_plan_comes_back_from_its_file() -> None:
    assert loads(Plan, dumps(PLAN, indent=1)) == PLAN


@pytest.mark.parametrize("check", [HttpCheck("HEAD", "/x"), TcpCheck(8008), ProtocolCheck("mysql", user="haproxy")])
def test_each_kind_of_check_comes_back(check: HttpCheck | TcpCheck | ProtocolCheck) -> None:
    service = ServicePlan("db", Mode.TCP, (Bind(1),), (), check)
    assert loads(ServicePlan, dumps(service)) == service


def test_node_without_haproxy_comes_back() -> None:
    plan = Plan("c", "lb-a", (LB_A,), (), haproxy=None)
    assert loads(Plan, dumps(plan)).haproxy is None


@settings(max_examples=12)  # each is a large value, drawn slowly
@given(st.from_type(Plan))
def test_any_plan_comes_back(plan: Plan) -> None:
    assert loads(Plan, dumps(plan)) == plan


def test_plan_of_another_release_is_refused_by_name() -> None:
    with pytest.raises(BadJson, match="surplus"):
        loads(Plan, dumps(PLAN).replace('"cluster":', '"surplus":1,"cluster":', 1))


def test_the_key_that_signs_is_found_by_its_id() -> None:
    old, new = HmacKey(1, b"o" * 32), HmacKey(2, b"n" * 32)
    assert HmacPlan((old, new), active=2).active_key is new
