"""Adverts in UDP by a pulse without any capability: what it may not do it does not need."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.lab.balancer import Balancer, plan, router
from tests.lab.netns import Site, why_not

from firstmate.model.messages import RouterState
from firstmate.model.plan import HmacKey, HmacPlan, Plan, Transport

WHY_NOT = why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

WITHOUT_RIGHTS = ("setpriv", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs")
SIGNED = HmacPlan((HmacKey(1, bytes(range(32))),), 1)


def election(host: str) -> Plan:
    """Nothing moves but the state: another program asks who leads."""
    return plan(host, router(host, transport=Transport.UDP, hmac=SIGNED, vips=(), lenient=True))


def test_an_election_without_any_right(site: Site, a: Balancer, b: Balancer) -> None:
    for one in (a, b):
        one.start(election(one.host), command=WITHOUT_RIGHTS)
    assert a.process is not None
    rights = Path(f"/proc/{a.process.pid}/status").read_text()
    a.wait(RouterState.MASTER, 20)  # without real-time priority a busy machine is slow to start it
    b.wait(RouterState.BACKUP, 20)
    assert "CapEff:\t0000000000000000" in rights
    a.kill()
    b.wait(RouterState.MASTER, 20)
    assert b.reason.startswith("no heartbeat of 192.0.2.11 ")


def test_addresses_need_a_right_and_the_error_says_which(site: Site, a: Balancer) -> None:
    wanted = election("a")
    with_address = replace(wanted.routers[0], vips=router("a").vips)
    a.start(replace(wanted, routers=(with_address,)), command=WITHOUT_RIGHTS)
    a.wait_for_end(77)
    assert "give CAP_NET_RAW and CAP_NET_ADMIN" in a.log.read_text()
