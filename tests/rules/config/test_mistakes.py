"""Many mistakes at once are all found at their places; and whatever the input, the answer is a value."""

import json
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from tests.rules.config.example import GOOD, HOST6, edited, read_key, unmarked

from firstmate.config.compile import check, compile_plan, net_namespace_of, sample_plan
from firstmate.model.problems import Severity

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


# Any input


def assert_only_values(source: str | bytes) -> None:
    """Whatever the input, the answer is a value that JSON can carry."""
    plan, problems = compile_plan(source, "f", HOST6, "lb-a", read_key)
    failed = any(problem.severity is Severity.ERROR for problem in problems)
    assert failed == (plan is None)
    assert all(problem.text.isprintable() for problem in problems)
    json.dumps([problem.text + problem.hint for problem in problems]).encode()
    for problem in problems:
        (problem.text + problem.hint).encode()
    check(source, "f", None)
    sample_plan(source, "f")
    net_namespace_of(source, "f")


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
    '"2001:db8::9/64"', '"udp"', '["udp", "multicast"]', '[{ vip = "fe80::9/64" }]', "255", "{ lb-a = 255 }",
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
    text = edited(
        ('name = "web-edge"', f'name = "web-edge"\n{CLUSTER_KEYS}'),
        ('"10.0.1.10"', '"10.0.1.10"\naddress6 = "2001:db8::10"\nmore_addresses = ["192.168.7.1"]'),
        ('"10.0.1.11"', '"10.0.1.11"\naddress6 = "2001:db8::11"\nmore_addresses = ["192.168.7.2"]'),
        ("vrid = 1", f"vrid = 1\n{keys}"),
        ('mode = "http"', f'mode = "http"\n{more}'),
    )
    return (text + tail + SECOND).split("\n")


CLUSTER_KEYS = """\
secrets = { 1 = "env:A", 2 = "env:B" }
active_secret = 2
udp_port = 7114
start_delay = "1s"
net_namespace = "edge\""""

SECOND = """
[[process]]
name = "p"
process = "x"
params = ["-v"]
quorum_max = 3
weight = -30
[[file]]
name = "f"
path = "/x"
weight = 2
[[vrrp]]
name = "six"
vrid = 1
transport = ["multicast", "udp"]
addresses = ["2001:db8::100/64", { vip = "fe80::1/64", dad = true }, { vip = "10.0.1.9/24", advertise = false, label = "eth0:x" }]
move_with = ["web"]
move_with_weights = true
track = ["p", { name = "f", weight = 3 }, { interface = { lb-a = "eth1" }, weight = -5 }]
hmac = { mode = "enforce", window = "9s" }
routes = [{ to = "::/0", via = "2001:db8::1", dev = "eth0" }]
rules = [{ from = "2001:db8::100", table = 1, priority = 1, fwmark = "0x1/0xff" }]
vmac = { name = "v6" }
priority = { lb-a = 200, lb-b = 100 }
"""
