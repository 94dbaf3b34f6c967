"""`python -m tests.rules.haproxy.test_render` writes the expected files anew; read their difference."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rules.haproxy.example import ALGORITHMS, CASES, DB, GROUND, VIPS, WEB, each_haproxy, needs_haproxy, plan

from firstmate.haproxy.binary import Binary
from firstmate.haproxy.ground import Ground
from firstmate.haproxy.prepare import verify
from firstmate.haproxy.render import (
    MAXCONN_MAX,
    MAXCONN_MIN,
    Line,
    UnsafeValue,
    hap,
    name,
    raw_line,
    render,
    sizes,
    with_socket,
)
from firstmate.model.plan import Bind, HaproxyPlan, HttpCheck, Mode, Plan, ProtocolCheck, Server, ServicePlan, Vip

RENDERED = Path(__file__).parent / "rendered"
KEPT = ("five-web-servers", "two-services", "everything", "no-services", "no-addresses", "every-check")


@pytest.mark.parametrize("case", KEPT)
def test_text(case: str) -> None:
    assert render(CASES[case], GROUND) == (RENDERED / f"{case}.cfg").read_text()


@needs_haproxy
@each_haproxy
@pytest.mark.parametrize("case", CASES)
def test_a_real_haproxy_accepts_it(binary: Binary, case: str, tmp_path: Path) -> None:
    ground = replace(GROUND, runtime=str(tmp_path))
    path = tmp_path / "haproxy.cfg"
    path.write_text(render(CASES[case], ground))
    assert verify(binary, str(path), CASES[case]) == []


@needs_haproxy
@each_haproxy
def test_a_real_haproxy_accepts_it_from_root(binary: Binary, tmp_path: Path) -> None:
    ground = Ground(str(tmp_path), 1024, 1, transparent=False, user="root", group="root", socket_uid=0, socket_gid=0)
    path = tmp_path / "haproxy.cfg"
    path.write_text(render(CASES["two-services"], ground))
    assert verify(binary, str(path), CASES["two-services"]) == []


def lines(service: ServicePlan, ground: Ground = GROUND) -> list[str]:
    return [line.strip() for line in render(plan(service), ground).splitlines()]


@pytest.mark.parametrize(("algorithm", "hashed"), ALGORITHMS.items())
def test_a_lost_server_does_not_remap_every_client(algorithm: str, hashed: bool) -> None:
    found = lines(replace(WEB, balance=algorithm))
    assert f"balance {algorithm}" in found
    assert ("hash-type consistent" in found) is hashed


@pytest.mark.parametrize(
    ("bind", "transparent", "binds"),
    [
        (Bind(80), True, ["bind 192.0.2.100:80 transparent", "bind 192.0.2.101:80 transparent"]),
        (Bind(80), False, ["bind *:80"]),
        (Bind(80, VIPS[0].ip), True, ["bind 192.0.2.100:80 transparent"]),
        (Bind(80, VIPS[0].ip), False, ["bind *:80"]),
        (Bind(80, IPv4Address("127.0.0.1")), True, ["bind 127.0.0.1:80"]),
        (Bind(80, IPv4Address("0.0.0.0")), True, ["bind *:80"]),
    ],
)
def test_where_it_listens(bind: Bind, transparent: bool, binds: list[str]) -> None:
    found = lines(replace(WEB, binds=(bind,)), replace(GROUND, transparent=transparent))
    assert [line for line in found if line.startswith("bind")] == binds


DUAL = (VIPS[0], Vip(IPv6Address("fe80::5"), 64, "eth0"), Vip(IPv6Address("2001:db8::100"), 64, "eth0"))


@pytest.mark.parametrize(
    ("bind", "transparent", "binds"),
    [
        (Bind(80), True, ["bind 192.0.2.100:80 transparent", "bind [2001:db8::100]:80 transparent"]),
        (Bind(80), False, ["bind *:80", "bind [::]:80 v6only"]),
        (Bind(80, DUAL[2].ip), True, ["bind [2001:db8::100]:80 transparent"]),
        (Bind(80, IPv6Address("2001:db8::10")), True, ["bind [2001:db8::10]:80"]),
        (Bind(80, IPv6Address("::")), True, ["bind [::]:80 v6only"]),
    ],
)
def test_where_it_listens_with_ipv6(bind: Bind, transparent: bool, binds: list[str]) -> None:
    router = replace(plan(WEB).routers[0], vips=DUAL)
    dual = replace(plan(replace(WEB, binds=(bind,))), routers=(router,))
    text = render(dual, replace(GROUND, transparent=transparent))
    assert [line.strip() for line in text.splitlines() if line.strip().startswith("bind")] == binds


@needs_haproxy
@each_haproxy
@pytest.mark.parametrize("transparent", [True, False])
def test_a_real_haproxy_accepts_ipv6(binary: Binary, transparent: bool, tmp_path: Path) -> None:
    web = replace(WEB, servers=(Server("web1", "2001:db8::21", 80),))
    dual = replace(plan(web), routers=(replace(plan(WEB).routers[0], vips=DUAL),))
    path = tmp_path / "haproxy.cfg"
    path.write_text(render(dual, replace(GROUND, runtime=str(tmp_path), transparent=transparent)))
    assert verify(binary, str(path), dual) == []


def test_http_and_tcp_differ() -> None:
    http, tcp = lines(WEB), lines(DB)
    assert "option idle-close-on-response" in http
    assert "http-request set-header X-Forwarded-For %[src]" in http
    assert not [line for line in tcp if line.startswith("http-request")]
    assert [line for line in tcp if line.endswith("on-marked-down shutdown-sessions")]


def test_root_gives_haproxy_its_user_and_ops_its_socket() -> None:
    found = lines(WEB, replace(GROUND, user="haproxy", group="haproxy", socket_uid=64, socket_gid=65))
    assert "user haproxy" in found
    assert [line for line in found if line.startswith("stats socket") and line.endswith("uid 64 gid 65")]
    assert not [line for line in lines(WEB) if line.startswith("user")]


@pytest.mark.parametrize(
    ("nofile", "maxconn"),
    [(20_000, 9_692), (1_000_000, MAXCONN_MAX), (1_024, 428), (100, MAXCONN_MIN)],
)
def test_connections_fit_the_limit_of_descriptors(nofile: int, maxconn: int) -> None:
    found = sizes(plan(WEB), nofile)
    assert found.maxconn == maxconn
    if nofile > 500:
        assert 2 * found.maxconn + 2 * found.maxpipes + 100 <= nofile


# fmt: off
UNSAFE = {
    "a name with a space":       replace(WEB, name="web shop"),
    "a name with a line":        replace(WEB, name="web\n    option x"),
    "an empty name":             replace(WEB, name=""),
    "a server's name":           replace(WEB, servers=(Server("we b", "198.51.100.1", 80),)),
    "a server's address":        replace(WEB, servers=(Server("web1", "198.51.100.1 backup", 80),)),
    "an empty address":          replace(WEB, servers=(Server("web1", "", 80),)),
    "a uri with a space":        replace(WEB, check=HttpCheck("GET", "/a b")),
    "a uri with a quote":        replace(WEB, check=HttpCheck("GET", '/"${SECRET}"')),
    "a comment":                 replace(WEB, check=HttpCheck("GET", "/a#b")),
    "a method":                  replace(WEB, check=HttpCheck("GET\nx", "/")),
    "a host":                    replace(WEB, check=HttpCheck("GET", "/", host="a\\b")),
    "a status":                  replace(WEB, check=HttpCheck("GET", "/", status="200 201")),
    "a user":                    replace(DB, check=ProtocolCheck("mysql", user="a b")),
    "a protocol":                replace(DB, check=ProtocolCheck("ldap")),
    "balance with a quote":      replace(WEB, balance="hdr('a')"),
    "a raw line that is two":    replace(WEB, raw=("option a\nlisten evil",)),
    "a raw line that is none":   replace(WEB, raw=("  ",)),
    "a raw line with a nul":     replace(WEB, raw=("option\x00",)),
    "a raw section":             replace(WEB, raw=("listen evil",)),
    "a raw section, disguised":  replace(WEB, raw=("  Backend evil",)),
}
# fmt: on


@pytest.mark.parametrize("service", UNSAFE.values(), ids=UNSAFE)
def test_unsafe_values_are_refused(service: ServicePlan) -> None:
    with pytest.raises(UnsafeValue):
        render(plan(service), GROUND)


@pytest.mark.parametrize("ground", [replace(GROUND, runtime="/run/first mate"), replace(GROUND, user="a b", group="c")])
def test_an_unsafe_ground_is_refused(ground: Ground) -> None:
    with pytest.raises(UnsafeValue):
        render(plan(WEB), ground)


@given(st.text())
def test_a_word_is_one_word_or_refused(text: str) -> None:
    try:
        word = hap(text)
    except UnsafeValue:
        return
    assert word.split() == [text]
    assert not set(word) & set("'\"#\\")


@given(st.text())
def test_a_name_is_one_word_or_refused(text: str) -> None:
    try:
        assert hap(name(text)) == text
    except UnsafeValue:
        return


@given(st.text())
def test_a_raw_line_stays_one_line(text: str) -> None:
    try:
        line = raw_line(text)
    except UnsafeValue:
        return
    assert isinstance(line, Line)
    assert "\n" not in line
    assert hap(line) == line


def test_the_operators_own_file_gets_our_socket() -> None:
    own = plan(haproxy=HaproxyPlan(config="/etc/haproxy/haproxy.cfg"))
    text, shift = with_socket("global\n    maxconn 10\n", own, replace(GROUND, socket_uid=64, socket_gid=65))
    assert text.splitlines()[shift:] == ["global", "    maxconn 10"]
    assert "stats socket /run/firstmate/haproxy.sock mode 660 level admin expose-fd listeners uid 64 gid 65" in text
    assert " uid " not in with_socket("", own, GROUND)[0]


def test_the_operators_own_socket_is_left_alone() -> None:
    own = plan(haproxy=HaproxyPlan(config="/etc/haproxy/haproxy.cfg", socket="/run/haproxy/admin.sock"))
    assert with_socket("global\n", own, GROUND) == ("global\n", 0)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("    daemon", "    # daemon  (firstmate keeps it in the foreground)"),
        ("daemon # as always", "# daemon  (firstmate keeps it in the foreground)"),
        ("    server daemon 192.0.2.1:80", "    server daemon 192.0.2.1:80"),
        ("    daemonize no", "    daemonize no"),
    ],
)
def test_the_operators_own_file_does_not_leave_the_foreground(line: str, kept: str) -> None:
    own = plan(haproxy=HaproxyPlan(config="/etc/haproxy/haproxy.cfg", socket="/run/haproxy/admin.sock"))
    assert with_socket(f"global\n{line}\n", own, GROUND) == (f"global\n{kept}\n", 0)


def test_no_haproxy_in_the_plan() -> None:
    without: Plan = replace(plan(), haproxy=None)
    assert with_socket("global\n", without, GROUND) == ("global\n", 0)


def test_modes_are_haproxys_words() -> None:
    assert [mode.value for mode in Mode] == ["http", "tcp"]


if __name__ == "__main__":
    RENDERED.mkdir(exist_ok=True)
    for case in KEPT:
        (RENDERED / f"{case}.cfg").write_text(render(CASES[case], GROUND))
