"""A planned stop under load loses no connection; and without what it needs, it is a stop all the same."""

import signal

import pytest

from firstmate.lab.balancers import Firstmate
from firstmate.lab.faults import Scene
from firstmate.lab.lab import Lab, now_us, wait_until
from firstmate.lab.probe import Probe
from firstmate.model.units import S

pytestmark = pytest.mark.lab

STARTED_US, STOPPED_US = 30 * S, 15 * S
ROUNDS = 3


def serving(lab: Lab, balancer: Firstmate) -> str:
    troubles = [trouble for host in lab.balancers if (trouble := balancer.trouble(host))]
    return troubles[0] if troubles else "" if lab.leader() == "lb-a" else "lb-a does not lead"


def test_no_request_fails_at_500_new_connections_a_second(lab: Lab) -> None:
    balancer = Firstmate()
    balancer.prepare(lab)
    for host in lab.balancers:
        balancer.start(host)
    scene, lb_a = Scene(lab, balancer), lab.host("lb-a")
    failed = []
    with Probe(lab) as probe:
        for _ in range(ROUNDS):
            wait_until(lambda: serving(lab, balancer), STARTED_US, "the site")
            probe.wait_good(1 * S, STARTED_US)
            injected = scene.inject("stop", "lb-a")
            wait_until(lambda: "still there" if balancer.daemon(lb_a.processes()) else "", STOPPED_US, "stopping lb-a")
            probe.settle()
            failed.append(probe.outage(injected.at_us, now_us()).failed)
            scene.heal()
    log = (lb_a.directory / "firstmate.log").read_text()
    assert failed == [0] * ROUNDS, log
    assert log.count("planned handover: every connection has ended") == ROUNDS


def test_without_ops_it_stops_all_the_same(lab: Lab) -> None:
    balancer = Firstmate()
    balancer.prepare(lab)
    for host in lab.balancers:
        balancer.start(host)
    lb_a = lab.host("lb-a")
    wait_until(lambda: serving(lab, balancer), STARTED_US, "the site")

    lab.kill(balancer.part(lb_a.processes(), "ops"), signal.SIGSTOP)  # it cannot say that HAProxy is idle
    balancer.stop(lb_a)
    wait_until(lambda: "" if lab.leader() == "lb-b" else "lb-b does not lead", STOPPED_US, "the handover")
    wait_until(lambda: "still there" if lb_a.processes() else "", STOPPED_US, "stopping lb-a")
    assert not lb_a.holds_vip()
