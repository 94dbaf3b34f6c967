"""Signing, paths and IPv6 through `firstmate run`, as an operator sees them."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.lab.netns import A6, B6, MACS, VIP, A, B, why_not
from tests.lab.nodes import Duo, duos, toml, vrrp
from tests.lab.stories import Failures, Story, check, fates
from tests.vectors.vrrp.oracle import TRAILER_OCTETS, SeenNeighbour

from firstmate.model.plan import HmacKey, HmacPlan, Vip, VrrpPlan
from firstmate.model.units import MS, S, Micros
from firstmate.vrrp.sender import Sender

WHY_NOT = why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT), pytest.mark.timeout(300)]

OLD, NEW, OTHER = (bytes([octet]) * 32 for octet in b"ono")
AHEAD_S, LATE_S = 3600, 4
WEB = vrrp("web", 50, '["192.0.2.100/24"]')

A_SECOND, B_SECOND = "10.9.0.11", "10.9.0.12"
NODES_OF_TWO_NETWORKS = f"""
[[node]]
name = "lb-a"
address = "{A.ip}"
more_addresses = ["{A_SECOND}"]
[[node]]
name = "lb-b"
address = "{B.ip}"
more_addresses = ["{B_SECOND}"]
"""

HTTP_PORT = 8080
SERVICE = f"""
[[service]]
name = "web"
mode = "http"
bind = [":{HTTP_PORT}"]
[service.servers]
web1 = "127.0.0.1:9"
"""
VIPS6 = ("fe80::50", "fd00::50", "fd00::51", "fd00::52")
SIX = [
    vrrp("web", 5, '["192.0.2.100/24"]'),
    vrrp("web6", 5, '["fe80::50/64", "fd00::50/64"]', 'move_with = ["web"]'),
    vrrp("many6", 6, '["fe80::51/64", "fd00::51/64", "fd00::52/64"]', 'transport = "multicast"'),
]


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Failures]:
    directory = tmp_path_factory.mktemp("wire")
    for name, key in (("old", OLD), ("new", NEW)):
        (directory / f"{name}.key").write_bytes(key)
        (directory / f"{name}.key").chmod(0o600)
    secret = f'secret = "file:{directory}/old.key"'
    two = vrrp("web", 50, '["192.0.2.100/24"]', 'transport = ["unicast", "udp"]')
    configs = {
        "signing": toml(WEB, cluster=secret),
        "paths": toml(two, cluster=secret, nodes=NODES_OF_TWO_NETWORKS),
        "six": toml(*SIX, SERVICE),
    }
    with duos(directory, configs) as made:
        yield fates(
            {"signing": signing(made["signing"], directory), "paths": paths(made["paths"]), "six": six(made["six"])}
        )


def signing(duo: Duo, directory: Path) -> Story:
    yield from duo.begin()
    assert all(len(one.trailer) == 2 * TRAILER_OCTETS for _, one in duo.site.observer.adverts("a"))
    began = time.time()
    first, second = (f'"file:{directory}/{name}.key"' for name in ("old", "new"))
    both = f"{{ 1 = {first}, 2 = {second} }}"
    for secrets, active in ((both, 1), (both, 2), (f"{{ 2 = {second} }}", 2)):
        for one in (duo.b, duo.a):
            yield from duo.reload(toml(WEB, cluster=f"secrets = {secrets}\nactive_secret = {active}"), one)
    since = time.time()
    yield duo.until(lambda: len(duo.site.observer.adverts("a", since)) > 4)
    assert {one.trailer[2:4] for _, one in duo.site.observer.adverts("a", since)} == {"02"}
    assert 0 not in duo.site.observer.priorities("a", began)
    assert duo.site.observer.adverts("b", began) == []
    assert not any("refused" in one.log() for one in duo.both), duo.said()
    yield from wrong_signatures(duo)


def wrong_signatures(duo: Duo) -> Story:
    """As if lb-b had another clock, another key, none: the best adverts there can be, and refused."""
    late = signed(NEW, 2, time.time_ns() // 1000 - LATE_S * S, 1)
    duo.site.inject("b", late, B.ip, A.ip)
    yield duo.until(lambda: "clock-skew" in duo.a.oddities())
    assert "behind ours; beyond 5.0 s it is refused" in duo.a.table()
    now_us, contested = time.time_ns() // 1000, duo.a.counter("two_masters")
    wrong = {
        "auth_ext_stale": (signed(NEW, 2, now_us + AHEAD_S * S), "lb-b: its clock is 1 h 0 min ahead of ours"),
        "auth_ext_unknown_key": (signed(OLD, 1, now_us), "lb-b: signed with key 1, ours: 2"),
        "auth_ext_invalid_hmac": (signed(OTHER, 2, now_us), "lb-b: signed with another key 2 than ours"),
        "auth_ext_missing": (signed(b"", 0, now_us), "lb-b: not signed"),
    }
    for pdu, _ in wrong.values():
        for _ in range(3):
            duo.site.inject("b", pdu, B.ip, A.ip)
    yield duo.until(lambda: all(duo.a.counter(name) == 3 for name in wrong))
    yield duo.until(lambda: len(duo.a.oddities()) == len(wrong) + 1)
    table, document = duo.a.table(), json.loads(duo.a.table("-o", "json"))
    codes = {odd["code"]: odd["count"] for router in document["routers"] for odd in router["oddities"]}
    for name, (_, text) in wrong.items():
        assert text in table, table
        assert codes["refused-" + name.replace("_", "-")] == 3
        assert duo.a.log().count(text.removeprefix("lb-b: ")) == 1, duo.a.log()
    assert duo.leads("a")
    assert duo.a.counter("two_masters") == contested


def signed(key: bytes, key_id: int, utc_us: Micros, priority: int = 254) -> bytes:
    """An advert of lb-b; `key` empty: without a signature."""
    hmac = HmacPlan((HmacKey(key_id, key),), key_id) if key else None
    vips = (Vip(VIP.ip, 24, "eth0"),)
    plan = VrrpPlan("web", 50, 3, priority, 200 * MS, "eth0", B.ip, vips, (A.ip,), hmac=hmac)
    return Sender(plan, 0).adverts(priority, utc_us)[0].pdu


def paths(duo: Duo) -> Story:
    """Four ways from one node to the other: three of them are cut, one after the other, and then the last."""
    for one, second in ((duo.a, A_SECOND), (duo.b, B_SECOND)):
        one.ip("address", "add", f"{second}/24", "dev", "eth0")
    yield from duo.begin()
    carriers = {(one.carrier, one.source) for _, one in duo.site.observer.adverts("a")}
    assert carriers == {(carrier, source) for carrier in ("plain", "udp") for source in (str(A.ip), A_SECOND)}
    began = time.time()
    raw, udp = "ip protocol 112", "udp dport 7113"
    cuts = {
        (raw,): {("unicast", str(A.ip)), ("unicast", A_SECOND)},
        (raw, f"ip saddr {A_SECOND} {udp}"): {("unicast", str(A.ip)), ("unicast", A_SECOND), ("udp", A_SECOND)},
    }
    for rules, silent in cuts.items():
        duo.b.drop(*rules)
        yield from told_of(duo, silent)
        assert duo.leads("a")
    table = duo.b.table()
    for way in ("unicast from lb-a", f"unicast from lb-a ({A_SECOND})", f"udp from lb-a ({A_SECOND})"):
        assert f"no advert of lb-a comes by {way}, though by others" in table, table
    assert f"unicast {A_SECOND} SILENT" in table, table
    assert duo.site.observer.adverts("b", began) == []
    duo.b.drop(raw, udp)
    yield duo.until(lambda: duo.b.is_("MASTER"))
    duo.b.drop()
    yield duo.until_leads("a")
    yield duo.until(lambda: silent_paths(duo) == set())


def told_of(duo: Duo, silent: set[tuple[str, str]]) -> Story:
    yield duo.until(lambda: silent_paths(duo) == silent)
    yield duo.until(lambda: count_of(duo, "path-silent") == len(silent))


def count_of(duo: Duo, code: str) -> int:
    view = duo.b.router()
    return sum(odd.code == code for odd in view.oddities) if view else 0


def silent_paths(duo: Duo) -> set[tuple[str, str]]:
    view = duo.b.router()
    return {(path.transport, path.address) for path in view.paths if path.silent} if view else set()


def six(duo: Duo) -> Story:
    """IPv4 and IPv6 of one VRID together, several addresses, HAProxy behind all of them, on hosts that do DAD."""
    for host in "ab":
        with duo.site.hosts[host].entered():
            for name in ("accept_dad", "dad_transmits"):
                Path(f"/proc/sys/net/ipv6/conf/eth0/{name}").write_text("1")
    yield from duo.begin("web", "web6", "many6")
    flags = {
        address["local"]: address
        for link in json.loads(duo.a.ip("-json", "-6", "address", "show", "dev", "eth0"))
        for address in link["addr_info"]
    }
    for vip in VIPS6:
        assert vip in flags, flags
        assert not flags[vip].get("tentative"), flags
    said = [claim for _, claim in duo.site.observer.claims("a") if isinstance(claim, SeenNeighbour)]
    assert {claim.claims for claim in said} >= set(VIPS6)
    for claim in said:
        assert (claim.flags, claim.hop_limit, claim.target_mac) == (0x2000_0000, 255, MACS["a"]), claim
    adverts = [one for _, one in duo.site.observer.adverts("a")]
    assert {(one.vrid, one.family) for one in adverts} == {(5, 4), (5, 6), (6, 6)}
    for one in adverts:
        if one.vrid == 6:
            assert (one.destination, one.addresses) == ("ff02::12", ("fe80::51", "fd00::51", "fd00::52")), one
        elif one.family == 6:
            assert (one.source, one.destination, one.addresses[0]) == (str(A6.ip), str(B6.ip), "fe80::50"), one
    yield duo.until(lambda: all(answers(duo, vip) for vip in ("192.0.2.100", "fd00::50", "fd00::52")))
    assert not any(duo.b.oddities(name) for name in ("web", "web6", "many6")), duo.said()
    duo.site.unplug("a")
    yield duo.until(lambda: all(duo.b.is_("MASTER", name) for name in ("web", "web6", "many6")))
    yield duo.until(lambda: all(answers(duo, vip) for vip in ("192.0.2.100", "fd00::50", "fd00::52")))
    duo.site.plug("a")
    yield duo.until_leads("a", "web", "web6", "many6")
    yield duo.until(lambda: all(answers(duo, vip) for vip in ("192.0.2.100", "fd00::50", "fd00::52")))
    assert duo.a.process is not None
    duo.a.process.terminate()
    yield duo.until(lambda: all(duo.b.is_("MASTER", name) for name in ("web", "web6", "many6")))
    yield duo.until(lambda: all(answers(duo, vip) for vip in ("192.0.2.100", "fd00::50", "fd00::52")))


def answers(duo: Duo, vip: str) -> bool:
    """Does an HAProxy answer the client there, though with an error?"""
    said = b""
    with (
        suppress(OSError),
        duo.site.hosts["client"].entered(),
        socket.create_connection((vip, HTTP_PORT), 2) as client,
    ):
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        said = client.recv(100)
    return b" 503 " in said


def test_a_key_is_changed_without_a_failover_and_wrong_signatures_are_named(failures: Failures) -> None:
    check(failures, "signing")


def test_a_peer_is_lost_only_when_every_path_is_silent(failures: Failures) -> None:
    check(failures, "paths")


def test_both_families_move_together_and_serve(failures: Failures) -> None:
    check(failures, "six")
