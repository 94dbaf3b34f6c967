"""A good file becomes the plan of its node; a bad one becomes every mistake in it, at its place; nothing else."""

import json
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rules.config.example import GOOD, HOST, edited, interface, plan_of, unmarked

from firstmate.config.compile import check, compile_plan, digest_of, sample_plan
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


def test_checksum_and_delay_reach_the_plan() -> None:
    plan = plan_of(edited(("vrid = 1", 'vrid = 1\nchecksum = "plain"\npreempt_delay = "5s"')))
    assert (plan.routers[0].checksum, plan.routers[0].preempt_delay_us) == (ChecksumForm.PLAIN, 5 * S)


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


# Twenty and more kinds of mistakes in one file; each is asked for by id, line, column and width.
MANY_MISTAKES = """\
[cluster]
name = «E118:"web edge"»
secret = «E120:"hunter2"»
«E112:names» = "x"
[[node]]
name = "lb-a"
address = «E301:"10.0.1.300"»
«E111:[[node]]»
name = "lb-b"
[[node]]
name = «E203:"lb-a"»
address = "10.0.1.12"
[[node]]
name = "lb-d"
address = «E204:"10.0.1.12"»
[[vrrp]]
name = "web"
vrid = «E305:256»
prefer = ["lb-a", «E207:"lb-c"», «E210:"lb-a"»]
«E208:priority» = { lb-a = 100, lb-b = «E209:100» }
addresses = [«E303:"10.0.1.12/24"»]
advert_interval = «E306:"250us"»
transport = «E115:"multicsat"»
preempt = «E110:"yes"»
preempt_delay = «E116:30»
garp_repeat = «E117:0»
«E214:auth_pass» = "secret"
move_with = [«E216:"x"»]
track = [«E211:"disc"»]
[[vrrp]]
name = "two"
vrid = 2
addresses = [«E304:"10.0.1.0/24"», «E301:"10.0.1.1"», «E301:"2001:db8::1"», { elastic_ip = «E114:"203.0.113.80"» }]
[[vrrp]]
name = "three"
vrid = «E205:2»
addresses = [«E206:"10.0.1.12/24"»]
[[service]]
name = "web"
mode = "tcp"
bind = [":80", «E310:":0"», "10.0.1.12"]
balance = «E215:"uri"»
check = «E121:"GET"»
haproxy = [«E123:"backend x"»]
[service.servers]
«E118:"w 1"» = "10.0.1.21:80"
web2 = «E301:"10.0.1.22"»
[[service]]
name = "api"
mode = "http"
bind = ":80"
balance = «E122:"leastconn 3"»
goal = "1s"
servers = «E119:{}»
[haproxy]
binary = «E124:"haproxy"»
«E213:config» = "/etc/haproxy/haproxy.cfg"
on_crash = "failover"
[[check]]
name = "disk"
command = ["/bin/true"]
«E112:"intervals"» = "1s"
[«E114:api»]
listen = ["127.0.0.1:7112"]
"""


def expected_in(marked: str) -> Iterator[tuple[str, int, int, int]]:
    """Take the marks `«CODE:text»` one after the other out of the text."""
    while "«" in marked:
        code = marked[marked.index("«") + 1 :].partition(":")[0]
        marked, (line, column, width) = unmarked(marked.replace(f"«{code}:", "«", 1))
        yield code, line, column, width


def test_many_mistakes_are_all_found_at_their_places() -> None:
    text = MANY_MISTAKES
    for code in {code for code, *_ in expected_in(text)}:
        text = text.replace(f"«{code}:", "")
    problems = check(text.replace("»", ""), "firstmate.toml", None).problems
    got = {(problem.code, problem.line, problem.column, problem.width) for problem in problems}
    missing = sorted(set(expected_in(MANY_MISTAKES)) - got, key=lambda item: item[1:])
    assert not missing, "\n".join(map(str, [*missing, "got:", *sorted(got, key=lambda item: item[1:])]))
    assert len({code for code, *_ in expected_in(MANY_MISTAKES)}) >= 20
    assert all(problem.text for problem in problems)
    assert [problem.line for problem in problems] == sorted(problem.line for problem in problems)


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


# Any input


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_good(path: Path) -> None:
    assert check(path.read_bytes(), path.name, None).problems == ()
    assert sample_plan(path.read_bytes(), path.name) is not None


def test_there_are_examples() -> None:
    assert {"two-hosts.toml", "tcp.toml"} <= {path.name for path in EXAMPLES}


def assert_only_values(source: str | bytes) -> None:
    """Whatever the input, the answer is a value that JSON can carry."""
    plan, problems = compile_plan(source, "f", HOST, "lb-a")
    failed = any(problem.severity is Severity.ERROR for problem in problems)
    assert failed == (plan is None)
    assert all(problem.text.isprintable() for problem in problems)
    json.dumps([problem.text + problem.hint for problem in problems]).encode()
    for problem in problems:
        (problem.text + problem.hint).encode()
    check(source, "f", None)
    sample_plan(source, "f")


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_give_values(source: str | bytes) -> None:
    assert_only_values(source)


@given(st.data())
def test_a_mutated_file_gives_values(data: st.DataObject) -> None:
    """Given a file with everything in it; cut, doubled or overwritten somewhere."""
    base = data.draw(st.sampled_from([GOOD, MANY_MISTAKES.replace("«", "").replace("»", "")]))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(base)))
        end = min(len(base), start + data.draw(st.integers(0, 30)))
        new = data.draw(st.text(st.sampled_from('"[]{}=.\n,01a-/:# '), max_size=6) | st.just(base[start:end] * 2))
        base = base[:start] + new + base[end:]
    assert_only_values(base)


# Wrong values everywhere: each value of the file replaced by one of another kind.
# fmt: off
ODD = st.sampled_from([
    "1", "-1", "1.5", "nan", "true", "1979-05-27", "07:32:00", "0x" + "f" * 5000,
    '""', '"x"', '"\\u0007"', '"é"', '"' + "a" * 3000 + '"', '"10.0.1.100/24"', '"lb-a"', '"1s"',
    "[]", "[[]]", "[1]", '[""]', "[{}]", '["lb-a"]', "{}", "{ a = 1 }",
])
# fmt: on


@given(st.data())
def test_a_value_of_another_kind_gives_values(data: st.DataObject) -> None:
    text = plan_text()
    lines = [index for index, line in enumerate(text) if " = " in line]
    for index in data.draw(st.lists(st.sampled_from(lines), min_size=1, max_size=3)):
        text[index] = text[index].partition(" = ")[0] + " = " + data.draw(ODD)
    assert_only_values("\n".join(text))


def plan_text() -> list[str]:
    keys = 'version = 3\nadvert_interval = "1s"\ntrack = []\npeers = []\nsource = "10.0.1.10"\ninterface = "eth0"'
    more = 'balance = "source"\ncheck = "tcp"\ngoal = "9s"\nhaproxy = []\nrise = 1'
    tail = '[haproxy]\nrun = "firstmate"\n[[check]]\nname = "c"\ncommand = ["/x"]\ninterval = "1s"\ntimeout = "1s"'
    text = edited(("vrid = 1", f"vrid = 1\n{keys}"), ('mode = "http"', f'mode = "http"\n{more}'))
    return (text + tail).split("\n")
