"""What reaches a running pulse from its operator, its parents and strangers."""

import shutil
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.lab.balancer import Balancer, elect, plan, router, wait_for_client
from tests.lab.netns import VIP, A, B, Site, why_not

from firstmate.linux.process import clock_us
from firstmate.model.messages import FactChanged, RouterState, WantSnapshot
from firstmate.model.plan import Track, Vip

WHY_NOT = why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

BACKUP, MASTER, FAULT = RouterState.BACKUP, RouterState.MASTER, RouterState.FAULT


def test_reload_changes_addresses_and_priority(site: Site, a: Balancer, b: Balancer) -> None:
    elect(a, b)
    other = Vip(VIP.ip + 1, 24, "eth0")
    both = (*router("a").vips, other)
    reloaded = time.time()
    for one, priority in ((a, 100), (b, 253)):
        one.write(plan(one.host, router(one.host, vips=both, priority=priority)))
        one.send(signal.SIGHUP)
    b.wait(MASTER)  # it outranks a now
    a.wait(BACKUP)
    assert {address.ip for address in site.addresses("b")} >= {VIP.ip, other.ip}
    assert {address.ip for address in site.addresses("a")} == {A.ip}
    assert site.observer.adverts("b", reloaded)[-1][1].addresses == (str(VIP.ip), str(other.ip))
    wait_for_client(site, "b")


def test_reload_of_a_plan_that_cannot_be_read_changes_nothing(site: Site, a: Balancer) -> None:
    a.start()
    a.wait(MASTER)
    (a.runtime / "pulse.json").write_text("{")
    reloaded = a.send(signal.SIGHUP)
    site.observer.wait(lambda: bool(a.told("reload-failed")), 3, "the notice")
    site.observer.wait(lambda: len(site.observer.adverts("a", reloaded)) >= 3, 2, "three more adverts")
    assert 0 not in site.observer.priorities("a", reloaded)
    assert site.has_vip("a")


def test_noise_neither_stops_nor_moves_it(site: Site, a: Balancer, b: Balancer) -> None:  # C51, C52, C93
    elect(a, b)
    since = time.time()
    for n in range(500):
        pdu = bytes((n * 7 + at * 13) & 255 for at in range(n % 60))
        site.inject("client", pdu, B.ip, A.ip)
        site.inject("client", b"\x31\x32" + pdu, B.ip, A.ip)
    site.observer.wait(lambda: a.view().counters["packet_length_errors"] > 0, 3, "the counters")
    assert (a.state, b.state) == (MASTER, BACKUP)
    assert len(a.notices) < 10
    assert {advert.priority for _, advert in site.observer.adverts("a", since)} == {254}
    assert a.snapshot is not None
    assert a.snapshot.counters["vrid_errors"] > 0
    assert site.has_vip("a")


def test_facts_of_ops_move_the_address(site: Site, a: Balancer, b: Balancer) -> None:
    a.start(plan("a", router("a", track=(Track("haproxy"),))))
    b.start()
    a.wait(FAULT)
    b.wait(MASTER)
    a.tell(FactChanged("haproxy", up=True, why="", at_us=clock_us(), generation=1))
    a.wait(MASTER)
    b.wait(BACKUP)
    told = time.time()
    a.tell(FactChanged("haproxy", up=False, why="killed by SIGSEGV", at_us=clock_us(), generation=1))
    b.wait(MASTER)
    assert site.observer.adverts("b", told)[0][0] - told < 0.15
    assert site.observer.priorities("a", told)[-1] == 0
    assert a.reason == "haproxy: killed by SIGSEGV"


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
def test_no_right_to_open_raw_sockets(a: Balancer) -> None:
    a.start(None, command=("setpriv", "--inh-caps=-all", "--bounding-set=-net_raw,-net_admin"))
    a.wait_for_end(77)
    said = a.log.read_text()
    assert said.startswith("ERROR pulse ")
    assert said.endswith("(Operation not permitted): run as root, or give CAP_NET_RAW and CAP_NET_ADMIN\n")
    assert said.count("\n") == 1


def test_no_plan(a: Balancer) -> None:
    a.write(plan("a"))
    (a.runtime / "pulse.json").write_text('{"type":"Plan"}')
    a.start()
    a.wait_for_end(70)
    assert a.log.read_text().startswith(f"ERROR pulse {a.runtime}/pulse.json cannot be read: not a Plan: ")


def test_two_virtual_routers_lead_on_different_hosts(site: Site, a: Balancer, b: Balancer) -> None:
    other = Vip(VIP.ip + 1, 24, "eth0")
    for one, priority in ((a, 100), (b, 200)):
        second = router(one.host, name="db", vrid=51, vips=(other,), priority=priority)
        one.start(plan(one.host, router(one.host), second))
    site.observer.wait(lambda: {v.ip for v in site.addresses("a")} == {A.ip, VIP.ip}, 6, "a holds its own")
    site.observer.wait(lambda: {v.ip for v in site.addresses("b")} == {B.ip, other.ip}, 6, "b holds its own")


def test_it_runs_alone_on_the_standard_library(site: Site, a: Balancer) -> None:
    """Isolated from site-packages: pulse must not depend on what they hold."""
    source = Path(__file__).parents[2] / "src"
    program = (
        f"import sys; sys.path.insert(0, {str(source)!r}); import firstmate.pulse.__main__ as m; sys.exit(m.main())"
    )
    a.write(replace(plan("a"), source="firstmate.toml"))
    a.start(None, command=(sys.executable, "-I", "-S", "-c", program))
    a.wait(MASTER)


FLOOD_S = 2.0  # longer than RLIMIT_RTTIME lets a real-time process run without a rest
BAD_CHECKSUM = bytes.fromhex("3132ff01 000a0000 0a000150")


def test_a_flood_of_bad_adverts_moves_nothing(site: Site, a: Balancer, b: Balancer) -> None:
    elect(a, b)
    site.observer.wait(lambda: a.view().epoch == 1, 3.0, "a snapshot of the MASTER")
    before = a.view()
    with site.hosts["client"].entered():
        sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
    with sender:
        sender.connect((str(A.ip), 0))
        until = time.monotonic() + FLOOD_S
        while time.monotonic() < until:
            for _ in range(500):
                sender.send(BAD_CHECKSUM)

    a.tell(WantSnapshot())
    site.observer.wait(
        lambda: a.view().counters["checksum_errors"] > before.counters["checksum_errors"] + 1000, 5.0, "the count"
    )
    assert (a.state, a.view().epoch, b.state) == (MASTER, before.epoch, BACKUP)
