"""Split brains, reloads and violent ends through `firstmate run`: what moves, and what an operator is told."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.netns import CLIENT, MACS, VIP, A, why_not
from tests.lab.nodes import Daemon, Duo, duos, toml, vrrp
from tests.lab.stories import Failures, Story, check, fates

from firstmate.model.units import MS
from firstmate.vrrp.packet import Advert, encode

WHY_NOT = why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT), pytest.mark.timeout(300)]

WEB = vrrp("web", 50, '["192.0.2.100/24"]')
TWO = vrrp("two", 51, '["192.0.2.110/24", "10.8.0.1/24"]')  # the first of its network, so that others hang on it
THREE = vrrp("three", 52, '["192.0.2.120/24"]')
WIDER = vrrp(
    "web",
    50,
    '["192.0.2.100/24", { vip = "192.0.2.101/24", advertise = false }, "10.8.0.2/24"]',
    'routes = [{ to = "203.0.113.0/24", via = "192.0.2.20" }]',
)
ROUTERS_OF_EACH = {"udp": 20, "six": 15, "ah": 15}


def crowd() -> dict[str, str]:
    """Fifty virtual routers, each signed: in UDP, in IPv6, and in AH."""
    found: dict[str, str] = {}
    for kind, count in ROUTERS_OF_EACH.items():
        for _ in range(count):
            at = 101 + len(found)
            match kind:
                case "udp":
                    addresses, more = f'["192.0.2.{at}/24"]', 'transport = "udp"'
                case "six":
                    addresses, more = f'["fe80::{at}/64", "fd00::{at}/64"]', ""
                case _:
                    addresses = f'["192.0.2.{at}/24"]'
                    more = 'version = 2\nadvert_interval = "1s"\nauth = "ah"\nauth_pass = "s3cret"'
            found[f"{kind}-{at}"] = vrrp(f"{kind}-{at}", at, addresses, more)
    return found


CROWD = crowd()
CROWD_ADDRESSES = sum(ROUTERS_OF_EACH.values()) + ROUTERS_OF_EACH["six"]


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Failures]:
    directory = tmp_path_factory.mktemp("trouble")
    (directory / "key").write_bytes(b"k" * 32)
    (directory / "key").chmod(0o600)
    configs = {
        "split": toml(WEB),
        "reloads": toml(WEB, TWO),
        "ends": toml(*CROWD.values(), cluster=f'secret = "file:{directory}/key"'),
    }
    with duos(directory, configs) as made:
        yield fates(
            {"split": split(made["split"]), "reloads": reloads(made["reloads"]), "ends": violent_ends(made["ends"])}
        )


def split(duo: Duo) -> Story:
    a, b = duo.both
    yield from duo.begin()
    b.drop(f"ip protocol 112 ip saddr {A.ip}")
    yield duo.until(lambda: {"two-masters", "one-way-link"} <= a.oddities().keys())
    table = a.table()
    assert "we hear lb-b, and it does not hear us: look at firewalls and the network" in table, table
    assert "lb-b is MASTER too, with priority 253; ours is 254" in table, table
    assert a.counter("two_masters") > 0
    yield duo.until(lambda: "more than one node is MASTER (lb-b, lb-a)" in " ".join(troubles(b)))
    b.drop()
    yield duo.until_leads("a")
    for text in ("it does not hear us", "is MASTER too"):
        assert a.log().count(text) == 1, a.log()
    yield from strangers(duo)
    # The files differ: whoever hears the MASTER says so.
    other = vrrp("web", 50, '["192.0.2.100/24", "192.0.2.101/24"]', 'advert_interval = "300ms"')
    yield from duo.reload(toml(other), b)
    yield duo.until(lambda: {"interval-differs", "addresses-differ"} <= b.oddities().keys())
    table = b.table()
    assert "lb-a advertises every 200 ms, we every 300 ms; while it is MASTER its interval counts" in table, table
    assert "lb-a advertises other addresses (192.0.2.100) than ours" in table, table
    assert "lb-a runs another configuration" in table, table
    assert min(b.counter("adv_interval_errors"), b.counter("address_list_errors")) > 0
    yield from duo.reload(toml(WEB.replace('"200ms"', '"1s"') + "version = 2"), b)
    yield duo.until(lambda: "refused-version-errors" in b.oddities())
    assert "make vrrp version equal on both" in b.table()
    yield duo.until(lambda: "refused-version-errors" in a.oddities())  # both are MASTER by now
    yield from duo.reload(toml(WEB), b)
    yield duo.until_leads("a")


def strangers(duo: Duo) -> Story:
    """Somebody else uses a VRID that is not ours, our VRID, and our address."""
    a = duo.a
    foreign = Advert(3, 77, 100, 1000 * MS, (VIP.ip,))
    clash = Advert(3, 50, 100, 200 * MS, (CLIENT.ip,))
    for _ in range(3):
        for advert in (foreign, clash):
            duo.site.inject("client", encode(advert, CLIENT.ip, A.ip), CLIENT.ip, A.ip)
    yield duo.until(lambda: "foreign-vrid" in a.oddities(""))
    yield duo.until(lambda: "refused-unknown-source-errors" in a.oddities())
    document = json.loads(a.table("-o", "json"))
    assert [odd["count"] for odd in document["oddities"] if odd["code"] == "foreign-vrid"] == [3]
    said = f"{CLIENT.ip} advertises vrid 77 on eth0, which is none of ours there"
    assert said in a.table()
    assert a.log().count(said) == 1
    client = duo.site.hosts["client"]
    client.ip(f"address add {VIP} dev eth0")
    with client.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
        speaker.bind((str(VIP.ip), 0))
        speaker.sendto(b"who is there?", ("192.0.2.99", 9))  # nobody: the question is asked by ARP, in our name
    told = f"{MACS['client']} answers for 192.0.2.100, which we hold"
    yield duo.until(lambda: any(told in trouble for trouble in troubles(a)))
    client.ip(f"address del {VIP} dev eth0")
    assert told in a.table()
    assert duo.leads("a")


def troubles(one: Daemon) -> tuple[str, ...]:
    status = one.status()
    return status.troubles if status else ()


def reloads(duo: Duo) -> Story:
    """What does not change does not move, whatever else comes, goes and changes."""
    a, b = duo.both
    for one in duo.both:
        with duo.site.hosts[one.host].entered():
            for name in ("all", "eth0"):
                Path(f"/proc/sys/net/ipv4/conf/{name}/promote_secondaries").write_text("0")
    yield from duo.begin("web", "two")
    began = time.time()
    for one in (b, a):
        yield from duo.reload(toml(WIDER, TWO, THREE), one)
    yield duo.until_leads("a", "web", "two", "three")
    assert "203.0.113.0/24 via 192.0.2.20" in a.ip("route", "show")
    assert "192.0.2.101/24" in a.ip("address", "show")
    quick = WIDER.replace('"200ms"', '"100ms"')
    for one in (b, a):
        yield from duo.reload(toml(quick, TWO, THREE), one)
    since = time.time()
    yield duo.until(lambda: len(duo.site.observer.adverts("a", since, 50)) > 4)
    assert {one.interval_us for _, one in duo.site.observer.adverts("a", since, 50)} == {100 * MS}
    turned = TWO.replace('["lb-a", "lb-b"]', '["lb-b", "lb-a"]')
    for one in (b, a):
        yield from duo.reload(toml(quick, turned, THREE), one)
    yield duo.until_leads("b", "two")
    moved = vrrp("two", 61, '["192.0.2.110/24"]', 'transport = "multicast"')
    for one in (b, a):
        yield from duo.reload(toml(WEB.replace('"200ms"', '"100ms"'), moved), one)
    yield duo.until_leads("a", "web", "two")
    for gone in ("203.0.113.0/24", "192.0.2.101/24", "192.0.2.120/24"):
        assert gone not in a.ip("route", "show") + a.ip("address", "show")
    # The one that was there all the time has led all the time.
    assert duo.site.observer.adverts("b", began, 50) == []
    assert 0 not in [one.priority for _, one in duo.site.observer.adverts("a", began, 50)]
    assert all(one.log().count(f"web: {one.name} MASTER") + (one is b) == 1 for one in duo.both), duo.said()
    claimed = [claim for _, claim in duo.site.observer.claims("b", began) if claim.claims == "192.0.2.100"]
    assert claimed == []
    assert not any("although we are MASTER" in one.log() for one in duo.both), duo.said()


def violent_ends(duo: Duo) -> Story:
    """What fifty signed virtual routers of a dead process held is given up, in words that the peer believes."""
    a, b = duo.both
    yield from duo.begin(*CROWD)
    zeros = {name: b.counter("rcvd_pri_zero", name) for name in CROWD}
    a.kill("pulse")
    yield duo.until(lambda: all(b.counter("rcvd_pri_zero", name) > zeros[name] for name in CROWD))
    said = f"said priority 0 {len(CROWD)} times and released {CROWD_ADDRESSES} addresses for it"
    yield duo.until(lambda: said in a.log())
    assert "of these failed" not in a.log(), a.log()
    yield duo.until_leads("a", *CROWD)
    zeros = {name: b.counter("rcvd_pri_zero", name) for name in CROWD}
    a.kill("run")
    yield duo.until(lambda: all(b.is_("MASTER", name) for name in CROWD))
    yield duo.until(lambda: all(b.counter("rcvd_pri_zero", name) > zeros[name] for name in CROWD))
    assert held(a) == 0
    a.start()
    yield duo.until_leads("a", *CROWD)
    for one in duo.both:
        assert "refused" not in one.log(), one.log()
    a.kill("run", "pulse", "ops")
    yield duo.until(lambda: all(b.is_("MASTER", name) for name in CROWD))
    assert held(a) == CROWD_ADDRESSES  # nobody is left to take them away
    a.start()
    yield duo.until_leads("a", *CROWD)
    assert held(b) == 0


def held(one: Daemon) -> int:
    """Addresses that are virtual: their last part is above 100."""
    words = one.ip("-o", "address", "show", "dev", "eth0").split()
    local = [words[at + 1].partition("/")[0] for at, word in enumerate(words) if word in {"inet", "inet6"}]
    return sum(
        text.replace(":", ".").rpartition(".")[2].isdigit() and int(text[-3:].strip(".:")) > 100 for text in local
    )


def test_a_split_brain_and_unequal_files_are_named(failures: Failures) -> None:
    check(failures, "split")


def test_a_reload_moves_only_what_changed(failures: Failures) -> None:
    check(failures, "reloads")


def test_a_dead_process_is_spoken_for_fifty_times(failures: Failures) -> None:
    check(failures, "ends")
