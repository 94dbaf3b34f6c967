"""What a MASTER says of its addresses, in both families: gratuitous ARP and neighbour advertisements, to the octet."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from ipaddress import ip_address
from itertools import pairwise, product
from pathlib import Path

import pytest
from tests.lab.balancer import PRIORITIES, Balancer, plan, router
from tests.lab.netns import LINK_LOCALS, MACS, Site, why_not
from tests.lab.stories import Failures, Story, Until, check, fates, stalled_s
from tests.vectors.vrrp.oracle import SeenArp, SeenNeighbour

from firstmate.model.addresses import Address
from firstmate.model.messages import RouterState
from firstmate.model.plan import Transport, Vip, VrrpPlan
from firstmate.model.units import MS, S

WHY_NOT = why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

FAMILIES = (4, 6)
ROUNDS, DELAY_S = 5, 5.0  # of the defaults
SOON_S = 2.5  # what a busy machine may add, and less than any delay
ATTEMPTS = 3
ADDRESSES: dict[int, tuple[Address, Address]] = {
    4: (ip_address("192.0.2.100"), ip_address("192.0.2.101")),
    6: (ip_address("fe80::100"), ip_address("fd00::100")),
}
ROUTER, OVERRIDE = 0x80000000, 0x20000000


def of_family(host: str, family: int, **changes: object) -> VrrpPlan:
    changes = {
        "garp_refresh_us": 0,
        "transport": Transport.MULTICAST,
        "advert_interval_us": 300 * MS,
    } | changes
    prefix = 24 if family == 4 else 64
    changes["vips"] = tuple(Vip(ip, prefix, "eth0") for ip in ADDRESSES[family])
    if family == 6:
        changes["source"] = LINK_LOCALS[host]
        changes["peers"] = tuple(LINK_LOCALS[other] for other in PRIORITIES if other != host)
    return router(host, **changes)


class Duo:
    """a, which is stronger, and b, on a site of their own; one virtual router of one family."""

    def __init__(self, directory: Path, family: int) -> None:
        self.site, self.family = Site(), family
        self.one = {host: Balancer(self.site, host, directory) for host in ("a", "b")}

    def close(self) -> None:
        for one in self.one.values():
            one.close()
        self.site.close()

    def start(self, host: str, **changes: object) -> None:
        self.one[host].start(plan(host, of_family(host, self.family, **changes)))

    def until(self, host: str, state: RouterState) -> Until:
        return Until(lambda: self.one[host].state is state, self.story)

    def until_holds(self, host: str, *, it: bool) -> Until:
        return Until(lambda: all(self.site.holds(host, ip) is it for ip in ADDRESSES[self.family]), self.story)

    def claims(self, host: str, since: float = 0) -> list[tuple[float, SeenArp | SeenNeighbour]]:
        """Those of the virtual router; the kernel announces nothing of its own here."""
        names = set(map(str, ADDRESSES[self.family]))
        return [(at, claim) for at, claim in self.site.observer.claims(host, since) if claim.claims in names]

    def until_said(self, host: str, count: int) -> Until:
        return Until(lambda: len(self.claims(host)) >= count, self.story)

    def until_client_asks(self, host: str, ip: Address) -> Until:
        return Until(lambda: self.site.whom_it_asks("client", ip) == MACS[host], self.story)

    def until_time(self, at: float) -> Until:
        return Until(lambda: time.time() > at, self.story, timeout_s=30)

    def story(self) -> str:
        return "\n".join(
            f"{host}: {[(change.is_.value, change.reason) for change in one.transitions]} {one.log.read_text()}"
            for host, one in self.one.items()
            if one.log.exists()
        )


def wanted(host: str, ip: Address, *, forwards: bool) -> SeenArp | SeenNeighbour:
    """`reference/vrrp.md` sections 8.1 and 8.2."""
    mac = MACS[host]
    if ip.version == 4:
        return SeenArp(mac, "ff:ff:ff:ff:ff:ff", 1, mac, str(ip), "ff:ff:ff:ff:ff:ff", str(ip))
    flags = OVERRIDE | (ROUTER if forwards else 0)
    return SeenNeighbour(mac, "33:33:00:00:00:01", str(ip), "ff02::1", 255, flags, str(ip), mac)


def promoted(duo: Duo) -> Story:
    with duo.site.hosts["a"].entered():
        Path("/proc/sys/net/ipv6/conf/eth0/forwarding").write_text("1")
    ips = ADDRESSES[duo.family]
    rounds = len(ips) * ROUNDS
    for host, forwards in (("a", True), ("b", False)):
        duo.start(host)
        yield duo.until_said(host, rounds)
        advert = duo.site.observer.adverts(host)[0][0]
        at_once = duo.claims(host)
        assert advert <= at_once[0][0]
        assert [claim for _, claim in at_once] == [wanted(host, ip, forwards=forwards) for ip in ips] * ROUNDS
        yield duo.until_said(host, 2 * rounds)
        times = [at for at, _ in duo.claims(host)]
        assert [claim for _, claim in duo.claims(host)[rounds:]] == [claim for _, claim in at_once]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert max(gaps) == gaps[rounds - 1]
        assert DELAY_S - 0.1 < gaps[rounds - 1] < DELAY_S + SOON_S + stalled_s(times[0])
        yield duo.until_time(times[-1] + 1)
        assert len(duo.claims(host)) == 2 * rounds
        duo.one[host].kill()


def demoted(duo: Duo) -> Story:
    for _ in range(ATTEMPTS):
        duo.start("b")
        yield duo.until("b", RouterState.MASTER)
        first = duo.site.observer.adverts("b")[-1][0]
        duo.start("a")
        yield duo.until("a", RouterState.MASTER)
        yield duo.until("b", RouterState.BACKUP)
        yield duo.until_holds("b", it=False)
        gone = time.time()
        yield duo.until_time(first + DELAY_S + 1)
        if gone < first + DELAY_S and not stalled_s(first):
            assert duo.claims("b", gone) == []
            assert duo.claims("a", gone) != []
            return
        duo.one["a"].stop()
        duo.one["b"].stop()
    raise AssertionError("this machine is too slow for the question")


def asked(duo: Duo) -> Story:
    duo.start("a")
    duo.start("b")
    yield duo.until("a", RouterState.MASTER)
    yield duo.until("b", RouterState.BACKUP)
    for ip in ADDRESSES[duo.family]:
        duo.site.greet(ip)
        yield duo.until_client_asks("a", ip)
    told = [
        (one.host, one.what)
        for one in duo.site.observer.look()
        if isinstance(one.what, (SeenArp, SeenNeighbour)) and not one.what.claims
    ]
    names = set(map(str, ADDRESSES[duo.family]))
    answers = {
        (host, what.sender_ip if isinstance(what, SeenArp) else what.target_ip)
        for host, what in told
        if isinstance(what, SeenNeighbour) or what.operation == 2
    }
    assert {(host, ip) for host, ip in answers if ip in names} == {("a", name) for name in names}


def crashed(duo: Duo) -> Story:
    """The host of a killed MASTER keeps the addresses and answers for them: who asks it must not spread the word."""
    duo.start("a", garp_refresh_us=S)
    duo.start("b", garp_refresh_us=S)
    yield duo.until("a", RouterState.MASTER)
    yield duo.until("b", RouterState.BACKUP)
    last = ADDRESSES[duo.family][1]
    duo.site.greet(last)
    yield duo.until_client_asks("a", last)
    killed = duo.one["a"].kill()
    yield duo.until("b", RouterState.MASTER)
    yield duo.until_client_asks("b", last)
    yield Until(lambda: bool(duo.one["b"].told("address-conflict")), duo.story)
    assert duo.claims("a", killed) == []
    assert duo.site.whom_it_asks("client", last) == MACS["b"]


def interface_down_and_up(duo: Duo, how: str) -> Story:
    slow_s, fast_s = 1.0, 0.5
    duo.start("a", advert_interval_us=int(slow_s * S))
    yield duo.until("a", RouterState.MASTER)
    duo.start("b", advert_interval_us=int(fast_s * 1000) * MS)
    yield duo.until("b", RouterState.BACKUP)
    yield Until(lambda: len(duo.site.observer.adverts("a")) >= 5, duo.story)
    # b has learned a's interval, a is MASTER: take the link from each.
    for host in ("b", "a"):
        _set_link(duo.site, host, how, on=False)
        yield duo.until(host, RouterState.FAULT)
        yield duo.until_holds(host, it=False)
    at = time.time()
    _set_link(duo.site, "b", how, on=True)
    yield duo.until("b", RouterState.MASTER)
    took = duo.site.observer.adverts("b", at)[0][0] - at
    assert 3 * fast_s < took < 3 * slow_s + stalled_s(at), (
        "it waits by its own interval: what it had learned is forgotten"
    )
    states = [change.is_ for change in duo.one["b"].transitions]
    assert states == [RouterState.BACKUP, RouterState.FAULT, RouterState.BACKUP, RouterState.MASTER]
    _set_link(duo.site, "a", how, on=True)
    yield duo.until("a", RouterState.MASTER)
    yield duo.until("b", RouterState.BACKUP)
    yield duo.until_holds("a", it=True)
    states = [change.is_ for change in duo.one["a"].transitions]
    assert states == [RouterState.BACKUP, RouterState.MASTER, RouterState.FAULT, RouterState.BACKUP, RouterState.MASTER]


def _set_link(site: Site, host: str, how: str, *, on: bool) -> None:
    if how == "carrier":
        site.carrier(host, on=on)
    else:
        site.hosts[host].ip(f"link set eth0 {'up' if on else 'down'}")


STORIES: dict[str, Callable[[Duo], Story]] = {
    "promoted": promoted,
    "demoted": demoted,
    "asked": asked,
    "crashed": crashed,
    "carrier": partial(interface_down_and_up, how="carrier"),
    "set down": partial(interface_down_and_up, how="set down"),
}


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Failures:
    """All of the stories are told side by side, as each of them mostly waits."""
    with ExitStack() as stack:
        told = {}
        for (name, story), family in product(STORIES.items(), FAMILIES):
            duo = Duo(tmp_path_factory.mktemp("duo"), family)
            stack.callback(duo.close)
            told[f"{name}, IPv{family}"] = story(duo)
        return fates(told)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_master_says_so_five_times_and_five_times_again(failures: Failures, family: int) -> None:  # C85, C86, C87
    check(failures, f"promoted, IPv{family}")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_demoted_one_does_not_say_it_again(failures: Failures, family: int) -> None:  # C88
    check(failures, f"demoted, IPv{family}")


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_master_answers(failures: Failures, family: int) -> None:  # C89
    check(failures, f"asked, IPv{family}")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_host_without_a_daemon_takes_nobody_back(failures: Failures, family: int) -> None:
    check(failures, f"crashed, IPv{family}")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("how", ["carrier", "set down"])
def test_an_interface_goes_down_and_comes_back(failures: Failures, how: str, family: int) -> None:  # C82
    check(failures, f"{how}, IPv{family}")
