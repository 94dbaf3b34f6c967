"""FRR's vrrpd in our hands: what the interop tests rely on, without firstmate."""

import json
from collections.abc import Iterator

import pytest
from tests.lab import frr, netns
from tests.lab.frr import Frr, Instance
from tests.lab.netns import VIP, VIP6, VIP6_LINK, A, Site

WHY_NOT = netns.why_not() or frr.why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

INSTANCES = (Instance(50, 3, 200, 0.1, (VIP,)), Instance(50, 3, 200, 0.1, (VIP6_LINK, VIP6)))


@pytest.fixture
def vrrpd(site: Site) -> Iterator[Frr]:
    made = Frr(site, "a", INSTANCES)
    yield made
    made.close()


def test_a_lone_vrrpd_becomes_master_in_both_families_and_says_when_it_goes(site: Site, vrrpd: Frr) -> None:
    vrrpd.start()
    observer = site.observer
    observer.wait(lambda: vrrpd.state(50, 4) == vrrpd.state(50, 6) == "MASTER", 9, vrrpd.said())
    observer.wait(lambda: site.holds("a", VIP.ip) and site.holds("a", VIP6.ip), 2, "the addresses")
    site.greet(VIP.ip, VIP6.ip)
    observer.wait(lambda: site.whom_it_asks("client", VIP.ip) == "00:00:5e:00:01:32", 2, "the virtual MAC")
    observer.wait(lambda: site.whom_it_asks("client", VIP6.ip) == "00:00:5e:00:02:32", 2, "the virtual MAC")
    observer.wait(lambda: all(len(observer.adverts("a", 0, 50, family)) > 1 for family in (4, 6)), 2, "adverts")
    assert observer.adverts("a", 0, 50, 4)[0][1].source == str(A.ip)
    (said,) = json.loads(vrrpd.show())
    assert [said["v4"]["status"], said["v6"]["status"]] == ["Master", "Master"]
    stopped = vrrpd.stop()
    for family in (4, 6):
        assert [advert.priority for _, advert in observer.adverts("a", stopped, 50, family)][-1] == 0


def test_a_killed_vrrpd_says_nothing_and_can_be_started_again(site: Site, vrrpd: Frr) -> None:
    vrrpd.start()
    site.observer.wait(lambda: vrrpd.state(50, 4) == "MASTER", 9, vrrpd.said())
    killed = vrrpd.kill()
    assert vrrpd.said()
    assert 0 not in site.observer.priorities("a", killed)
    vrrpd.start()
    assert vrrpd.state(50, 4) in {"", "INIT", "BACKUP"}
    site.observer.wait(lambda: vrrpd.state(50, 4) == "MASTER", 9, vrrpd.said())
