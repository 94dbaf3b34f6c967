"""pulse alone, for real: two hosts on a switch, judged by what is on the wire."""

import signal
import time
from itertools import pairwise

import pytest
from tests.lab.balancer import Balancer, elect, plan, router, wait_for_client
from tests.lab.netns import MACS, VIP, A, B, Site, why_not
from tests.vectors.vrrp.oracle import SeenArp

from firstmate.linux.sockets import AdvertSocket
from firstmate.model.messages import RouterState, WantSnapshot
from firstmate.model.plan import Auth, ChecksumForm, Transport
from firstmate.model.units import MS, S

WHY_NOT = why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

BACKUP, MASTER, FAULT, INIT = RouterState.BACKUP, RouterState.MASTER, RouterState.FAULT, RouterState.INIT
DOWN_S, SKEW_S = 0.301, 0.0011  # of b: priority 253 at 100 ms
LATE_S = 0.25  # what a busy machine may add


WIRES = {
    "v3 unicast": {},
    "v3 multicast": {"transport": Transport.MULTICAST},
    "v3 plain": {"checksum": ChecksumForm.PLAIN},
    "v2 unicast": {"version": 2, "advert_interval_us": S},
    "v2 multicast PASS": {
        "version": 2, "advert_interval_us": S, "transport": Transport.MULTICAST, "auth": Auth.PASS, "auth_pass": b"secret12",
    },
}  # fmt: skip


@pytest.mark.parametrize("changes", WIRES.values(), ids=WIRES)
def test_election_on_the_wire(site: Site, a: Balancer, b: Balancer, changes: dict[str, object]) -> None:
    """C11, C85, C87: one MASTER; each frame as the standard has it; the advert before the first ARP."""
    for one in (a, b):
        one.start(plan(one.host, router(one.host, **changes)))
    a.wait(MASTER, 9)
    b.wait(BACKUP)
    site.observer.wait(lambda: len(site.observer.adverts("a")) >= 3, 4, "three adverts of a")
    first, advert = site.observer.adverts("a")[0]
    version, multicast = changes.get("version", 3), "transport" in changes
    assert (advert.version, advert.kind, advert.vrid, advert.priority) == (version, 1, 50, 254)
    assert (advert.ttl, advert.tos, advert.fragment) == (255, 0xC0, 0)
    assert (advert.source, advert.destination) == (str(A.ip), "224.0.0.18" if multicast else str(B.ip))
    assert (advert.eth_source, advert.eth_destination) == (MACS["a"], "01:00:5e:00:00:12" if multicast else MACS["b"])
    assert (advert.addresses, advert.interval_us) == ((str(VIP.ip),), changes.get("advert_interval_us", 100 * MS))
    form = "plain" if version == 2 or "checksum" in changes else "pseudo4"
    assert form in advert.checksum_ok_with
    secret = changes.get("auth_pass", bytes(8 if version == 2 else 0))
    assert isinstance(secret, bytes)
    assert (advert.auth_type, advert.auth_data) == (
        -1 if version == 3 else int("auth_pass" in changes),
        secret.hex(),
    )
    arps = [at for at, _ in site.observer.arps("a")]
    assert len(arps) >= 5
    assert arps[0] >= first
    assert arps[4] - arps[0] < 0.1
    assert site.has_vip("a")
    assert not site.has_vip("b")


def test_only_the_master_answers_for_the_address(site: Site, a: Balancer, b: Balancer) -> None:  # C89
    elect(a, b)
    arps = [(one.host, one.what) for one in site.observer.look() if isinstance(one.what, SeenArp)]
    assert {host for host, arp in arps if arp.operation == 2 and arp.sender_ip == str(VIP.ip)} == {"a"}


def test_adverts_keep_their_beat(site: Site, a: Balancer) -> None:
    a.start()
    a.wait(MASTER)
    site.observer.wait(lambda: len(site.observer.adverts("a")) >= 15, 4, "15 adverts")
    times = [at for at, _ in site.observer.adverts("a")]
    gaps = sorted(later - earlier for earlier, later in pairwise(times))
    assert 0.098 < gaps[len(gaps) // 2] < 0.102
    assert abs((times[-1] - times[0]) / (len(times) - 1) - 0.1) < 0.01  # lateness does not add up
    a.tell(WantSnapshot())
    site.observer.wait(lambda: a.view().counters["sent_advertisements"] >= 15, 2, "a snapshot")
    assert abs(a.view().counters["sent_advertisements"] - len(site.observer.adverts("a"))) <= 2


def test_crash_of_the_master(site: Site, a: Balancer, b: Balancer) -> None:  # C83, without a lifeline
    elect(a, b)
    a.kill()
    b.wait(MASTER)
    last = site.observer.adverts("a")[-1][0]
    first = site.observer.adverts("b", last)[0][0]
    assert DOWN_S - 0.002 < first - last < DOWN_S + LATE_S
    wait_for_client(site, "b")
    assert b.reason == "no heartbeat of 192.0.2.11 for 301 ms"
    assert site.has_vip("b")


def test_crash_is_told_by_the_peers_host(site: Site, a: Balancer, b: Balancer) -> None:
    """With the lifeline: the kernel of a refuses, so b need not wait for three adverts."""
    elect(a, b, peer_port=7113)
    site.observer.wait(
        lambda: all(one.snapshot is not None and one.snapshot.peers[0].connected for one in (a, b) if one.state),
        4,
        "both are connected",
    )
    killed = a.kill()
    b.wait(MASTER)
    first = site.observer.adverts("b", killed)[0][0]
    assert first - killed < 0.1
    assert b.reason == "the host of 192.0.2.11 refuses: nobody advertises there any more"


def test_a_will_ends_a_mastership(site: Site, a: Balancer, b: Balancer) -> None:
    """What pulse left with its supervisor is a right advert of priority 0, and the peer takes over by its skew."""
    elect(a, b)
    will = a.will
    assert [(str(held.ip), held.prefix, held.dev) for held in will.holdings[0].addresses] == [(str(VIP.ip), 24, "eth0")]
    (bequest,) = will.bequests
    with site.hosts["a"].entered():
        heir = AdvertSocket(bequest.interface, bequest.source, bequest.destination, bequest.transport)
    killed = a.kill()
    heir.send(bequest.pdu)
    heir.close()
    b.wait(MASTER)
    assert site.observer.priorities("a", killed)[-1] == 0
    assert site.observer.adverts("b", killed)[0][0] - killed < 0.15


def test_stop_of_the_master(site: Site, a: Balancer, b: Balancer) -> None:  # C68, C97
    elect(a, b)
    stopped = a.send(signal.SIGTERM)
    a.wait_for_end(0)
    assert not site.has_vip("a")
    b.wait(MASTER)
    assert site.observer.priorities("a", stopped)[-1] == 0
    resigned = site.observer.adverts("a")[-1][0]
    first = site.observer.adverts("b", resigned)[0][0]
    assert SKEW_S - 0.001 < first - resigned < SKEW_S + LATE_S
    assert [one.is_ for one in a.transitions][-1] is INIT
    assert b.reason == "192.0.2.11 said priority 0"
    wait_for_client(site, "b")


def test_stop_of_the_backup_says_nothing(site: Site, a: Balancer, b: Balancer) -> None:  # C67
    elect(a, b)
    stopped = b.send(signal.SIGTERM)
    b.wait_for_end(0)
    assert site.observer.adverts("b", stopped) == []
    assert a.state is MASTER


def test_loss_of_the_supervisor_is_a_stop(site: Site, a: Balancer) -> None:
    a.start()
    a.wait(MASTER)
    lost = a.lose_supervisor()
    a.wait_for_end(0)
    assert site.observer.priorities("a", lost)[-1] == 0
    assert not site.has_vip("a")


def test_paused_master_listens_first(site: Site, a: Balancer, b: Balancer) -> None:
    """Woken up, it gives the address away with priority 0, so that the peer, MASTER for long, says again where it is."""
    shy = plan("a", router("a", preempt=False))
    a.start(shy)
    a.wait(MASTER)
    b.start()
    b.wait(BACKUP)
    a.send(signal.SIGSTOP)
    b.wait(MASTER)
    time.sleep(0.5)
    woken = a.send(signal.SIGCONT)
    a.wait(BACKUP)
    time.sleep(0.4)
    assert site.observer.priorities("a", woken) == [0]
    assert site.observer.arps("a", woken) == []
    assert site.observer.arps("b", woken)[0][0] - woken < 0.1 + LATE_S
    assert not site.has_vip("a")
    assert a.reason.startswith("woke up ")
    assert b.state is MASTER
    site.client_talks()
    wait_for_client(site, "b")


def test_lost_carrier_and_its_return(site: Site, a: Balancer, b: Balancer) -> None:  # C82
    elect(a, b)
    cut = time.time()
    site.carrier("a", on=False)
    a.wait(FAULT)
    assert a.reason == "link eth0: carrier lost"
    assert not site.has_vip("a")
    b.wait(MASTER)
    assert site.observer.adverts("b", cut)[0][0] - cut < DOWN_S + LATE_S
    wait_for_client(site, "b")
    site.carrier("a", on=True)
    a.wait(MASTER)
    b.wait(BACKUP)
    assert [one.is_ for one in a.transitions] == [BACKUP, MASTER, FAULT, BACKUP, MASTER]
    wait_for_client(site, "a")


def test_interface_removed_and_made_again(site: Site, a: Balancer, b: Balancer) -> None:
    elect(a, b)
    site.unplug("a")
    a.wait(FAULT)
    site.observer.wait(lambda: a.view().reason == "link eth0: there is no such interface", 3, "the reason")
    b.wait(MASTER)
    site.plug("a")
    a.wait(MASTER)
    b.wait(BACKUP)
    assert site.has_vip("a")
    wait_for_client(site, "a")
    assert a.told("kernel-refused") == []


def test_interface_that_comes_after_the_start(site: Site, a: Balancer) -> None:
    site.unplug("a")
    a.start()
    a.wait(FAULT)
    assert a.reason == "link eth0: there is no such interface"
    site.plug("a")
    a.wait(MASTER)


def test_own_address_lost_and_back(site: Site, a: Balancer, b: Balancer) -> None:
    elect(a, b)
    site.hosts["a"].ip(f"addr del {A} dev eth0")
    a.wait(FAULT)
    assert a.reason == "address 192.0.2.11 on eth0: eth0 has no address 192.0.2.11 any more"
    b.wait(MASTER)
    site.hosts["a"].ip(f"addr add {A} dev eth0")
    a.wait(MASTER)
    assert site.has_vip("a")


def test_leftovers_of_a_killed_predecessor(site: Site, a: Balancer, b: Balancer) -> None:
    """The successor says priority 0, then takes the address away, and begins as a backup."""
    elect(a, b)
    a.kill()
    assert site.has_vip("a")
    started = time.time()
    a.start(plan("a", router("a", preempt=False)))
    a.wait(BACKUP)
    assert not site.has_vip("a")
    assert site.observer.priorities("a", started) == [0]
    b.wait(MASTER)
    wait_for_client(site, "b")


def test_release_takes_away_and_ends(site: Site, a: Balancer, b: Balancer) -> None:
    elect(a, b)
    killed = a.kill()
    a.start(None, "--release")
    a.wait_for_end(0)
    assert not site.has_vip("a")
    assert site.observer.priorities("a", killed)[-1] == 0
    assert A in site.addresses("a")
    b.wait(MASTER)


def test_addresses_are_marked(site: Site, a: Balancer) -> None:
    a.start()
    a.wait(MASTER)
    (line,) = [
        line
        for line in site.hosts["a"].run(["ip", "-4", "-o", "addr", "show", "dev", "eth0"]).splitlines()
        if str(VIP) in line
    ]
    assert " eth0:fm" in line


def test_address_that_somebody_removed_is_put_back(site: Site, a: Balancer) -> None:
    a.start()
    a.wait(MASTER)
    site.hosts["a"].ip(f"addr del {VIP} dev eth0")
    site.observer.wait(lambda: site.has_vip("a"), 3, "the address is back")
    site.observer.wait(lambda: bool(a.told("address-missing")), 2, "the notice")
    assert a.told("address-missing") == ["192.0.2.100 was not on eth0 although we are MASTER: put back"]
    assert a.state is MASTER


@pytest.mark.parametrize("pause_s", [0.0, 0.035, 0.07])
def test_healed_partition_leaves_no_black_hole(site: Site, a: Balancer, b: Balancer, pause_s: float) -> None:  # C84
    """Whoever is MASTER says so within one interval, whichever hears the other first."""
    elect(a, b)
    site.partition(on=True)
    b.wait(MASTER)
    wait_for_client(site, "b")
    time.sleep(pause_s)
    healed = time.time()
    site.partition(on=False)
    wait_for_client(site, "a")
    assert site.observer.arps("a", healed)[0][0] - healed < 0.1 + LATE_S
    b.wait(BACKUP)
    time.sleep(0.3)
    assert site.whom_the_client_asks() == MACS["a"]
    assert max(at for at, _ in site.observer.arps("a")) > max(at for at, _ in site.observer.arps("b"))
    assert not site.has_vip("b")
    assert a.state is MASTER
    assert len(site.observer.adverts("b", healed)) <= 2
