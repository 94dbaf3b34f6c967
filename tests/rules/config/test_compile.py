"""A good file becomes the plan of its node; a bad one becomes every mistake in it, at its place; nothing else."""

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from tests.rules.config.example import GOOD, HOST, HOST6, edited, interface, plan_of, vrrp

from firstmate.config.compile import check, compile_plan, digest_of, net_namespace_of, sample_plan
from firstmate.config.toml import Document, parse
from firstmate.model import jsonable
from firstmate.model.host import HostFacts
from firstmate.model.plan import (
    Auth,
    Bind,
    ChecksumForm,
    CommandCheck,
    HaproxyPlan,
    HttpCheck,
    Mode,
    Node,
    Plan,
    ProtocolCheck,
    Server,
    ServicePlan,
    TcpCheck,
    Track,
    Transport,
    Vip,
    VrrpPlan,
)
from firstmate.model.problems import Severity
from firstmate.model.units import MS, S

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.toml"))
LB_A, LB_B = Node("lb-a", IPv4Address("10.0.1.10")), Node("lb-b", IPv4Address("10.0.1.11"))


def test_the_good_file() -> None:
    assert plan_of(GOOD) == Plan(
        cluster="web-edge",
        node="lb-a",
        nodes=(LB_A, LB_B),
        routers=(
            VrrpPlan(
                name="web",
                vrid=1,
                version=3,
                priority=254,
                advert_interval_us=200 * MS,
                interface="eth0",
                source=LB_A.address,
                vips=(Vip(IPv4Address("10.0.1.100"), 24, "eth0"),),
                peers=(LB_B.address,),
            ),
        ),
        services=(
            ServicePlan(
                name="web",
                mode=Mode.HTTP,
                binds=(Bind(80),),
                servers=(Server("web1", "10.0.1.21", 80), Server("web2", "10.0.1.22", 80)),
                check=HttpCheck("GET", "/"),
            ),
        ),
        haproxy=HaproxyPlan(),
        digest=plan_of(GOOD).digest,
        source="firstmate.toml",
    )


EVERYTHING = edited(
    ('name = "web-edge"', 'name = "web-edge"\npeer_port = 0'),
    (
        "vrid = 1",
        """vrid = 7
version = 2
advert_interval = "3s"
auth_pass = "12345678"
transport = "multicast"
preempt = false
peers = ["10.0.1.12", "10.0.1.10"]
source = { lb-a = "192.168.7.1", lb-b = "192.168.7.2" }
track = ["disk"]
garp_repeat = 2
garp_delay = "1s"
garp_refresh = "0s\"""",
    ),
    ('prefer = ["lb-a", "lb-b"]', "priority = { lb-a = 150, lb-b = 120 }"),
    ('"10.0.1.100/24"', '{ vip = "10.0.1.100/24", dev = { lb-a = "lo", lb-b = "dummy0" } }'),
    (
        'bind = [":80"]',
        """bind = ["10.0.1.100:80", "*:8080"]
balance = "hdr(User-Agent) use_domain_only"
check = { http = "HEAD /x?y=1", host = "web.example", port = 8008, status = "200,301-302" }
check_interval = "500ms"
rise = 3
fall = 4
goal = "30s"
haproxy = ["option tcplog"]""",
    ),
    (
        'web2 = "10.0.1.22:80"',
        """web2 = { address = "web2.example:81", backup = true, weight = 0, maxconn = 9 }
[haproxy]
binary = "/usr/sbin/haproxy"
socket = "/run/x.sock"
probe_interval = "50ms"
probe_deadline = "1s"
rise = 5
fall = 6
[[check]]
name = "disk"
command = ["/bin/df", "-h"]
interval = "5s"
timeout = "1s"
rise = 7
fall = 8
user = "nobody\"""",
    ),
)


def test_every_key_of_a_router_reaches_the_plan() -> None:
    plan = plan_of(EVERYTHING)
    assert plan.peer_port == 0
    assert plan.routers == (
        VrrpPlan(
            name="web",
            vrid=7,
            version=2,
            priority=150,
            advert_interval_us=3 * S,
            interface="eth1",
            source=IPv4Address("192.168.7.1"),
            vips=(Vip(IPv4Address("10.0.1.100"), 24, "lo"),),
            peers=(IPv4Address("192.168.7.2"), IPv4Address("10.0.1.12")),
            transport=Transport.MULTICAST,
            preempt=False,
            auth=Auth.PASS,
            auth_pass=b"12345678",
            track=(Track("disk"),),
            garp_repeat=2,
            garp_delay_us=S,
            garp_refresh_us=0,
        ),
    )


def test_every_key_of_a_service_reaches_the_plan() -> None:
    plan = plan_of(EVERYTHING)
    assert plan.services == (
        ServicePlan(
            name="web",
            mode=Mode.HTTP,
            binds=(Bind(80, IPv4Address("10.0.1.100")), Bind(8080, IPv4Address(0))),
            servers=(
                Server("web1", "10.0.1.21", 80),
                Server("web2", "web2.example", 81, weight=0, backup=True, maxconn=9),
            ),
            check=HttpCheck("HEAD", "/x?y=1", "web.example", 8008, "200,301-302"),
            balance="hdr(User-Agent) use_domain_only",
            check_interval_us=500 * MS,
            rise=3,
            fall=4,
            goal_us=30 * S,
            raw=("option tcplog",),
        ),
    )


def test_every_other_key_reaches_the_plan() -> None:
    plan = plan_of(EVERYTHING)
    assert plan.haproxy == HaproxyPlan(
        binary="/usr/sbin/haproxy",
        socket="/run/x.sock",
        probe_interval_us=50 * MS,
        probe_deadline_us=S,
        rise=5,
        fall=6,
    )
    assert plan.checks == (CommandCheck("disk", ("/bin/df", "-h"), 5 * S, S, fall=8, rise=7, user="nobody"),)
    assert jsonable.loads(Plan, jsonable.dumps(plan)) == plan


# fmt: off
SINGLE = [  # written                                       field                      value
    ('checksum = "plain"',                                  "checksum",                 ChecksumForm.PLAIN),
    ('checksum = "group"',                                  "checksum",                 ChecksumForm.GROUP),
    ('checksum = "auto"',                                   "checksum",                 ChecksumForm.AUTO),
    ('preempt_delay = "5s"',                                "preempt_delay_us",         5 * S),
    ('transport = "multicast"\nmulticast_group = "224.0.0.88"', "multicast_group",      IPv4Address("224.0.0.88")),
    ('version = 2\nauth = "ah"\nauth_pass = "x"',           "auth",                     Auth.AH),
    ("track_interface = false",                             "track_primary",            False),
    ("track_source = false",                                "track_source",             False),
    ("accept = false",                                      "accept",                   False),
    ("garp_refresh_repeat = 3",                             "garp_refresh_repeat",      3),
    ("garp_lower_prio_repeat = 0",                          "garp_lower_prio_repeat",   0),
    ('garp_lower_prio_delay = "2s"',                        "garp_lower_prio_delay_us", 2 * S),
    ("ttl = 64",                                            "ttl",                      64),
    ("min_ttl = 254",                                       "min_ttl",                  254),
    ("check_source = false",                                "check_source",             False),
    ("lenient = true",                                      "lenient",                  True),
    ("lower_prio_no_advert = true",                         "lower_prio_no_advert",     True),
    ("higher_prio_send_advert = false",                     "higher_prio_send_advert",  False),
    ("owner_ignore_adverts = true",                         "owner_ignore_adverts",     True),
    ("down_timer_adverts = 5",                              "down_timer_adverts",       5),
]
OF_THE_CLUSTER = [
    ("udp_port = 7114",         "udp_port",         7114),
    ('start_delay = "10s"',     "start_delay_us",   10 * S),
    ('garp_interval = "1ms"',   "garp_interval_us", MS),
    ('gna_interval = "2ms"',    "gna_interval_us",  2 * MS),
    ('net_namespace = "edge"',  "net_namespace",    "edge"),
]
# fmt: on


@pytest.mark.parametrize(("written", "name", "value"), SINGLE, ids=[row[0] for row in SINGLE])
def test_a_key_of_a_router_reaches_the_plan(written: str, name: str, value: object) -> None:
    router, plain = plan_of(vrrp(written)).routers[0], plan_of(GOOD).routers[0]
    assert getattr(router, name) == value
    assert getattr(plain, name) != value


@pytest.mark.parametrize(("written", "name", "value"), OF_THE_CLUSTER, ids=[row[1] for row in OF_THE_CLUSTER])
def test_a_key_of_the_cluster_reaches_the_plan(written: str, name: str, value: object) -> None:
    plan = plan_of(edited(('name = "web-edge"', f'name = "web-edge"\n{written}')))
    assert getattr(plan, name) == value
    assert getattr(plan_of(GOOD), name) != value


def test_addresses_of_the_nodes_reach_the_plan() -> None:
    text = edited(
        ('"10.0.1.10"', '"10.0.1.10"\naddress6 = "2001:db8::10"\nmore_addresses = ["192.168.7.1"]'),
        ('"10.0.1.11"', '"10.0.1.11"\nmore_addresses = ["192.168.7.2"]'),
    )
    assert plan_of(text).nodes == (
        Node("lb-a", LB_A.address, IPv6Address("2001:db8::10"), (IPv4Address("192.168.7.1"),)),
        Node("lb-b", LB_B.address, more_addresses=(IPv4Address("192.168.7.2"),)),
    )


def test_both_families_of_one_vrid_have_a_plan_each() -> None:
    second = """[[vrrp]]
name = "web6"
vrid = 1
addresses = ["2001:db8::100/64", "fe80::1/64"]
transport = "multicast"
move_with = ["web"]
"""
    plan = plan_of(GOOD + second, HOST6)
    assert [(router.vrid, router.family, router.interface) for router in plan.routers] == [
        (1, 4, "eth0"),
        (1, 6, "eth0"),
    ]
    assert [group.members for group in plan.groups] == [("web", "web6")]
    assert jsonable.loads(Plan, jsonable.dumps(plan)) == plan


@pytest.mark.parametrize(
    ("text", "namespace"),
    [
        (GOOD, ""),
        (edited(('name = "web-edge"', 'name = "web-edge"\nnet_namespace = "edge"')), "edge"),
        (edited(('name = "web-edge"', 'name = "web-edge"\nnet_namespace = "../edge"')), ""),
        ("[", ""),
        ("", ""),
    ],
)
def test_the_namespace_is_known_before_the_host(text: str, namespace: str) -> None:
    assert net_namespace_of(text, "f") == namespace


@pytest.mark.parametrize(
    ("written", "check_of_it"),
    [
        ('mode = "tcp"', TcpCheck()),
        ('mode = "tcp"\ncheck = "tls"', ProtocolCheck("tls")),
        ('mode = "tcp"\ncheck = { type = "tcp", port = 99 }', TcpCheck(99)),
        ('mode = "tcp"\ncheck = { type = "mysql", user = "probe" }', ProtocolCheck("mysql", None, "probe")),
        ('mode = "tcp"\ncheck = { http = "GET /primary", port = 8008 }', HttpCheck("GET", "/primary", port=8008)),
        ('mode = "http"\ncheck = "tcp"', TcpCheck()),
    ],
)
def test_check_of_a_service(written: str, check_of_it: object) -> None:
    assert plan_of(edited(('mode = "http"', written))).services[0].check == check_of_it


def test_the_other_node_comes_second() -> None:
    plan = plan_of(GOOD, HostFacts("x", (interface("eth0", "10.0.1.11/24"),)))
    assert (plan.node, plan.routers[0].priority, plan.routers[0].peers) == ("lb-b", 253, (LB_A.address,))


def test_a_node_that_is_not_preferred_takes_no_part() -> None:
    assert plan_of(edited(('prefer = ["lb-a", "lb-b"]', 'prefer = ["lb-b"]'))).routers == ()


def test_without_prefer_the_order_of_the_file_counts() -> None:
    assert plan_of(edited(('prefer = ["lb-a", "lb-b"]\n', ""))).routers == plan_of(GOOD).routers


def test_without_services_there_is_no_haproxy_and_nothing_to_track() -> None:
    plan = plan_of(GOOD[: GOOD.index("[[service]]")])
    assert plan.haproxy is None
    assert plan.routers[0].track == ()


def test_every_check_is_tracked_unless_said_otherwise() -> None:
    checks = '[[check]]\nname = "disk"\ncommand = ["/bin/true"]\n'
    assert plan_of(GOOD + checks).routers[0].track == (Track("haproxy"), Track("disk"))
    nothing = edited(("vrid = 1", "vrid = 1\ntrack = []"))
    assert plan_of(nothing + checks).routers[0].track == ()


def test_warnings_come_with_the_plan() -> None:
    text = edited(('prefer = ["lb-a", "lb-b"]', 'prefer = ["lb-a"]'))
    plan, problems = compile_plan(text, "firstmate.toml", HOST, None)
    assert plan is not None
    assert [(problem.code, problem.severity) for problem in problems] == [("W312", Severity.WARNING)]


def test_an_error_gives_no_plan() -> None:
    plan, problems = compile_plan(edited(("vrid = 1", "vrid = 0")), "firstmate.toml", HOST, None)
    assert plan is None
    assert [problem.code for problem in problems] == ["E305"]


def test_no_toml_gives_no_plan() -> None:
    assert compile_plan("[", "f", HOST, None)[0] is None
    assert check("[", "f", None).digest == ""
    assert sample_plan("[", "f") is None


# Fingerprint


def digest(text: str) -> str:
    document = parse(text, "f")
    assert isinstance(document, Document)
    return digest_of(document)


def test_layout_does_not_change_the_fingerprint() -> None:
    other = """\
# another hand
vrrp = [{ addresses = ["10.0.1.100/24"], vrid = 0x1, name = 'web', prefer = ["lb-a",
    "lb-b"] }]
cluster.name = "web-edge"
node = [ { name = "lb-a", address = "10.0.1.10" }, { name = "lb-b", address = "10.0.1.11" } ]
[[service]]
mode = "http"
name = "web"
bind = [":80",]
servers.web2 = "10.0.1.22:80"
servers.web1 = "10.0.1.21:80"
"""
    assert digest(other) == digest(GOOD) == digest(GOOD.replace("\n", "\r\n"))
    assert len(digest(GOOD)) == 12


def test_a_value_changes_the_fingerprint() -> None:
    assert digest(edited(("vrid = 1", "vrid = 2"))) != digest(GOOD)


# The examples


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_good(path: Path) -> None:
    assert check(path.read_bytes(), path.name, None).problems == ()
    assert sample_plan(path.read_bytes(), path.name) is not None


def test_there_are_examples() -> None:
    assert {"two-hosts.toml", "tcp.toml", "ipv6.toml", "udp.toml", "tracking.toml"} <= {path.name for path in EXAMPLES}
