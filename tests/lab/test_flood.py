"""A flood of adverts that must not be heard, against a MASTER and a BACKUP at once."""

import os
import sys
import time
from ipaddress import ip_address
from pathlib import Path

import pytest
from tests.lab import flood
from tests.lab.balancer import Balancer, plan
from tests.lab.netns import MACS, Site, why_not
from tests.lab.test_announcements import ADDRESSES, of_family

from firstmate.model.addresses import Address
from firstmate.model.messages import RouterState, WantSnapshot
from firstmate.model.plan import VrrpPlan
from firstmate.model.units import S

WHY_NOT = why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

FAMILIES = (4, 6)
PER_SECOND, SECONDS = 100_000, 5
INTERVAL_US = 1 * S
SOURCES: dict[int, Address] = {4: ip_address("192.0.2.20"), 6: ip_address("fe80::ff:fe00:c")}
BACKUP, MASTER = RouterState.BACKUP, RouterState.MASTER


def router_of(host: str, family: int) -> VrrpPlan:
    return of_family(host, family, advert_interval_us=INTERVAL_US)


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_flood_of_bad_adverts_moves_nothing(
    site: Site, a: Balancer, b: Balancer, family: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for one in (a, b):
        one.start(plan(one.host, router_of(one.host, family)))
    a.wait(MASTER)
    b.wait(BACKUP)
    began = time.time()
    site.observer.only("a", "b")
    figures = [flooded(site, one, family) for one in (a, b)]
    with capsys.disabled():
        print(f"\nIPv{family}: {'; '.join(figures)}", end=" ")
    assert [one.is_ for one in a.transitions] == [BACKUP, MASTER]
    assert [one.is_ for one in b.transitions] == [BACKUP]
    assert all(site.holds("a", ip) and not site.holds("b", ip) for ip in ADDRESSES[family])
    assert site.observer.adverts("b") == []
    assert site.observer.priorities("a", began) == [254] * len(site.observer.adverts("a", began))


def flooded(site: Site, one: Balancer, family: int) -> str:
    """Flood one of them from the client; the figures of it."""
    assert one.process is not None
    bad = flood.bad_frames(SOURCES[family], ADDRESSES[family], 50, (MACS["client"], MACS[one.host]))
    lost = lost_by_kernel()
    began, before = time.monotonic(), cpu_s(one.process.pid)
    counted = one.runtime / "flood"
    command = [sys.executable, "-m", "tests.lab.flood", "eth0", str(PER_SECOND), str(SECONDS)]
    sender = site.hosts["client"].start([*command, *(frame.hex() for frame in bad.values())], counted)
    site.observer.wait(lambda: sender.poll() is not None, SECONDS + 20, "the end of the flood")
    share = (cpu_s(one.process.pid) - before) / (time.monotonic() - began)
    assert sender.returncode == 0, counted.read_text()
    one.tell(WantSnapshot())
    site.observer.wait(lambda: sum(one.view().counters.values()) > 0, 3, "a snapshot")
    said = f"{int(counted.read_text()) / SECONDS:,.0f}/s against {one.state.value if one.state else 'nobody'}"
    return (
        f"{said}: CPU {share:.0%}, {lost_by_kernel() - lost} lost before any socket, {drops(site, one.host)} in sockets"
    )


def lost_by_kernel() -> int:
    """Frames that the kernel of this machine dropped because its own queues were full (softnet_stat)."""
    return sum(int(line.split()[1], 16) for line in Path("/proc/net/softnet_stat").read_text().splitlines())


def drops(site: Site, host: str) -> int:
    """What the queues of the host's raw sockets had no room for."""
    with site.hosts[host].entered():
        tables = [Path(f"/proc/thread-self/net/{name}").read_text().splitlines()[1:] for name in ("raw", "raw6")]
    return sum(int(line.split()[-1]) for lines in tables for line in lines)
