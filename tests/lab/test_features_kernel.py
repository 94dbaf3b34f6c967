"""What a MASTER puts into the kernel beside plain addresses, through `firstmate run`."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab import keepalived
from tests.lab.netns import MACS, why_not
from tests.lab.nodes import Daemon, Duo, duos, toml, vrrp
from tests.lab.stories import Failures, Story, check, fates
from tests.vectors.vrrp.oracle import SeenArp

WHY_NOT = why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT), pytest.mark.timeout(300)]

ROUTING = """preempt = false
routes = [
  { to = "203.0.113.0/24", via = "192.0.2.20", metric = 7, source = "192.0.2.100" },
  { to = "198.51.100.0/24", type = "blackhole", table = 100 },
]
rules = [{ from = "192.0.2.100", table = 100, priority = 1000 }]
"""
ADDRESSES = """[
  { vip = "10.7.0.1/24", dev = "eth0", scope = "link", label = "eth0:web", broadcast = "+" },
  "192.0.2.100/24",
  { vip = "192.0.2.101/24", advertise = false },
  { vip = "10.8.0.1/24", dev = "up0", track = false },
]"""
VMAC, VMAC_BASE, VMAC6 = "00:00:5e:00:01:01", "00:00:5e:00:01:02", "00:00:5e:00:02:01"
VIRTUAL = [
    vrrp("web", 1, '["192.0.2.101/24"]', 'vmac = true\ntransport = "multicast"'),
    vrrp("base", 2, '["192.0.2.102/24"]', 'vmac = { xmit_base = true }\ntransport = "multicast"'),
    vrrp("web6", 1, '["fe80::1:1/64", "fd00::101/64"]', 'vmac = true\ntransport = "multicast"'),
    vrrp("mute", 3, '["192.0.2.103/24"]', "accept = false"),
    vrrp("mute6", 3, '["fe80::3:1/64", "fd00::103/64"]', "accept = false"),
]
# Both this and keepalived have a macvlan with the same MAC.
SHARED = vrrp("web", 1, '["192.0.2.100/24"]', 'vmac = true\ntransport = "multicast"\npriority = { lb-a = 200 }')
VIRTUAL_NAMES = ("web", "base", "web6", "mute", "mute6")
NAMESPACE = f"firstmate-features-{os.getpid()}"


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Failures]:
    directory = tmp_path_factory.mktemp("kernel")
    plain = vrrp("web", 50, '["192.0.2.100/24"]')
    configs = {
        "routing": toml(vrrp("web", 50, ADDRESSES, ROUTING)),
        "virtual": toml(*VIRTUAL),
        "shared": toml(SHARED),
        "named": toml(plain, cluster=f'net_namespace = "{NAMESPACE}"'),
    }
    with duos(directory, configs) as made:
        keeper = made["named"].site.hosts["a"].start(["sleep", "600"], directory / "keeper.log")
        try:
            yield fates(
                {
                    "routing": routing(made["routing"]),
                    "virtual": virtual(made["virtual"]),
                    "shared": shared(made["shared"], directory),
                    "named": named(made["named"], keeper),
                }
            )
        finally:
            keeper.kill()
            keeper.wait()
            subprocess.run(["ip", "netns", "del", NAMESPACE], check=False, capture_output=True)


def routing(duo: Duo) -> Story:
    a, b = duo.both
    for one in duo.both:
        one.ip("link", "add", "up0", "type", "veth", "peer", "up1")
        one.ip("link", "set", "up0", "up")
    yield from duo.begin()
    assert laid(b) == set()
    assert laid(a) == EVERYTHING, laid(a)
    (first,) = [one for one in described(a) if one["local"] == "10.7.0.1"]
    assert (first["scope"], first["label"], first["broadcast"]) == ("link", "eth0:web", "10.7.0.255")
    assert {one.addresses for _, one in duo.site.observer.adverts("a")} == {("10.7.0.1", "192.0.2.100", "10.8.0.1")}
    a.ip("link", "set", "up0", "down")  # its address is not tracked, and stays
    a.kill("pulse")
    yield duo.until_leads("b")
    yield duo.until(lambda: laid(a) == set() and laid(b) == EVERYTHING)
    assert "said priority 0 1 times and released 4 addresses, 2 routes, 1 rules for it" in a.log()
    assert "of these failed" not in a.log()
    a.ip("link", "set", "up0", "up")
    b.kill("run", "pulse", "ops")
    yield duo.until(lambda: a.is_("MASTER") and laid(a) == EVERYTHING)
    assert laid(b) == EVERYTHING  # nobody is left to take it away
    b.start()
    yield duo.until_leads("a")
    assert laid(b) == set()
    assert laid(a) == EVERYTHING


EVERYTHING = {
    "10.7.0.1",
    "192.0.2.100",
    "192.0.2.101",
    "10.8.0.1",
    "203.0.113.0/24 via 192.0.2.20 metric 7 from 192.0.2.100",
    "198.51.100.0/24 blackhole",
    "rule 1000 192.0.2.100 100",
}


def described(one: Daemon) -> list[dict[str, str]]:
    """Every IPv4 address of the host, its own included."""
    links = json.loads(one.ip("-json", "-4", "address", "show") or "[]")
    return [address for link in links for address in link["addr_info"]]


def laid(one: Daemon) -> set[str]:
    """Addresses, routes and rules that are there because this host is MASTER."""
    found = {address["local"] for address in described(one)} & EVERYTHING
    for route in json.loads(one.ip("-json", "route", "show", "table", "all", "proto", "112") or "[]"):
        if "gateway" in route:
            found.add(f"{route['dst']} via {route['gateway']} metric {route['metric']} from {route['prefsrc']}")
        else:
            found.add(f"{route['dst']} {route['type']}")
    rules = json.loads(one.ip("-json", "rule", "show") or "[]")
    return found | {f"rule {one['priority']} {one['src']} {one['table']}" for one in rules if one["priority"] == 1000}


def virtual(duo: Duo) -> Story:
    a, b = duo.both
    yield from duo.begin(*VIRTUAL_NAMES)
    vips = {
        "192.0.2.101": VMAC,
        "192.0.2.102": VMAC_BASE,
        "fd00::101": VMAC6,
        "192.0.2.103": MACS["a"],
        "fd00::103": MACS["a"],
    }
    for vip, mac in vips.items():
        yield from asked_for(duo, vip, mac)
    for at, macs in ((1, {VMAC, VMAC6}), (2, {MACS["a"]}), (3, {MACS["a"]})):
        assert {one.eth_source for _, one in duo.site.observer.adverts("a", 0, at)} == macs
    claimed = {(claim.claims, claim.eth_source) for _, claim in duo.site.observer.claims("a")}
    assert claimed >= {*vips.items(), ("fe80::1:1", VMAC6)}
    assert {mac for vip, mac in claimed if vip in vips} == {*vips.values()}
    answered = {
        (one.what.sender_ip, one.what.sender_mac)
        for one in duo.site.observer.look()
        if isinstance(one.what, SeenArp) and one.what.operation == 2 and one.what.sender_ip in vips
    }
    assert answered <= {*vips.items()}, answered
    assert connects(duo, "192.0.2.101") == "refused"
    for vip in ("192.0.2.103", "fd00::103"):
        assert connects(duo, vip) == "silence"
    # The interface goes and comes back, and all that was on it.
    duo.site.unplug("a")
    yield duo.until(lambda: all(b.is_("MASTER", name) and a.is_("FAULT", name) for name in VIRTUAL_NAMES))
    yield from asked_for(duo, "192.0.2.101", VMAC)
    duo.site.plug("a")
    returned = time.time()
    yield duo.until_leads("a", *VIRTUAL_NAMES)
    for vip in ("192.0.2.101", "192.0.2.102", "fd00::101"):
        yield from asked_for(duo, vip, vips[vip])
    assert {one.eth_source for _, one in duo.site.observer.adverts("a", returned, 1)} == {VMAC, VMAC6}
    yield from virtual_ends(duo, vips)


def virtual_ends(duo: Duo, vips: dict[str, str]) -> Story:
    """Of pulse, of everything, of the macvlan by another file, and in good order."""
    a, b = duo.both
    zeros = {name: b.counter("rcvd_pri_zero", name) for name in VIRTUAL_NAMES}
    a.kill("pulse")
    yield duo.until(lambda: all(b.counter("rcvd_pri_zero", name) > zeros[name] for name in VIRTUAL_NAMES))
    yield duo.until_leads("a", *VIRTUAL_NAMES)
    assert "said priority 0 5 times and released 7 addresses for it" in a.log()
    assert "of these failed" not in a.log()
    a.kill("run", "pulse", "ops")
    yield duo.until(lambda: all(b.is_("MASTER", name) for name in VIRTUAL_NAMES))
    yield from asked_for(duo, "fd00::101", VMAC6)
    a.start()
    yield duo.until_leads("a", *VIRTUAL_NAMES)
    yield from duo.reload(toml(*(one.replace("vmac = true\n", "") for one in VIRTUAL)))
    yield duo.until_leads("a", *VIRTUAL_NAMES)
    assert "vrrp.1" not in a.ip("link", "show")
    assert "vrrp.2" in a.ip("link", "show")
    yield from asked_for(duo, "192.0.2.101", MACS["a"])
    yield from duo.reload(toml(*VIRTUAL))
    yield duo.until_leads("a", *VIRTUAL_NAMES)
    assert a.process is not None
    a.process.terminate()
    yield duo.until(lambda: all(b.is_("MASTER", name) for name in VIRTUAL_NAMES))
    yield duo.until(lambda: a.process is not None and a.process.poll() is not None)
    assert "vrrp" not in a.ip("link", "show")
    assert "firstmate" not in duo.site.hosts["a"].run(["nft", "list", "tables"])
    for vip in ("192.0.2.101", "192.0.2.102", "fd00::101"):
        yield from asked_for(duo, vip, vips[vip])


def asked_for(duo: Duo, vip: str, mac: str) -> Story:
    """The client, which knows nothing, learns this MAC."""
    duo.site.hosts["client"].run(["ip", "neigh", "flush", "to", vip, "dev", "eth0"])
    connects(duo, vip, 0.0)
    yield duo.until(lambda: mac in duo.site.hosts["client"].run(["ip", "neigh", "show", "to", vip]))


def connects(duo: Duo, vip: str, timeout_s: float = 0.5) -> str:
    """To a port where nobody listens."""
    family = socket.AF_INET6 if ":" in vip else socket.AF_INET
    with duo.site.hosts["client"].entered(), socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(timeout_s)
        try:
            client.connect((vip, 9))
        except ConnectionRefusedError:
            return "refused"
        except (TimeoutError, BlockingIOError):
            return "silence"
    return "answer"


def shared(duo: Duo, directory: Path) -> Story:
    """keepalived with `use_vmac` is the better one, is obeyed, and gives way when it ends; then it is the weaker one."""
    if keepalived.why_not():
        return
    duo.a.start()
    yield duo.until(lambda: duo.a.is_("MASTER"))
    for priority in (250, 100):
        (directory / str(priority)).mkdir()
        one = keepalived.Instance(vrid=1, priority=priority, interval_s=0.2, vmac=True)
        other = keepalived.Keepalived(duo.site, "b", directory / str(priority), one)
        other.start()
        try:
            yield from beside(duo, other, "b" if priority == 250 else "a")
        finally:
            other.close()
        yield duo.until(lambda: duo.a.is_("MASTER"))


def beside(duo: Duo, other: keepalived.Keepalived, leader: str) -> Story:
    states = ("MASTER", "BACKUP") if leader == "a" else ("BACKUP", "MASTER")
    yield duo.until(lambda: duo.a.is_(states[0]) and other.state() == states[1])
    since = time.time()
    yield duo.until(lambda: len(duo.site.observer.adverts(leader, since)) > 5)
    assert {one.eth_source for _, one in duo.site.observer.adverts(leader, since)} == {VMAC}
    assert duo.site.observer.adverts("b" if leader == "a" else "a", since) == []
    yield from asked_for(duo, "192.0.2.100", VMAC)


def named(duo: Duo, keeper: subprocess.Popen[bytes]) -> Story:
    """lb-a is started outside, and works in a namespace of `ip netns`; lb-b is not there."""
    a = duo.a
    done = subprocess.run(["ip", "netns", "attach", NAMESPACE, str(keeper.pid)], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    a.start(inside=False)
    yield duo.until(lambda: a.is_("MASTER"))
    assert "192.0.2.100" in {one["local"] for one in described(a)}
    assert a.process is not None
    for part in ("pulse", "ops"):
        assert (Path(f"/proc/{a.pid(part)}/ns/net")).stat() == Path(f"/proc/{keeper.pid}/ns/net").stat()
    a.kill("pulse")
    yield duo.until(lambda: "pulse died: said priority 0 1 times and released 1 addresses for it" in a.log())
    yield duo.until(lambda: a.is_("MASTER"))
    a.process.terminate()
    yield duo.until(lambda: a.process is not None and a.process.poll() is not None)
    assert "192.0.2.100" not in {one["local"] for one in described(a)}


def test_routes_and_rules_move_with_the_addresses(failures: Failures) -> None:
    check(failures, "routing")


def test_the_virtual_mac_answers_alone_and_survives_its_interface(failures: Failures) -> None:
    check(failures, "virtual")


@pytest.mark.skipif(bool(keepalived.why_not()), reason=keepalived.why_not())
def test_a_virtual_mac_is_shared_with_keepalived(failures: Failures) -> None:
    check(failures, "shared")


def test_a_named_namespace_is_entered(failures: Failures) -> None:
    check(failures, "named")
