"""The mixed pair: firstmate on one host, Debian's keepalived on the other, both ways round."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface
from itertools import product
from pathlib import Path

import pytest
from tests.lab import keepalived, netns
from tests.lab.balancer import ADDRESSES, PRIORITIES, Balancer, plan, router
from tests.lab.keepalived import Instance, Keepalived
from tests.lab.netns import MACS, VIP, Site
from tests.lab.stories import Story, Until, tell

from firstmate.model.messages import RouterState
from firstmate.model.plan import Auth, ChecksumForm, Transport, VrrpPlan
from firstmate.model.units import MS

WHY_NOT = netns.why_not() or keepalived.why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

BACKUP, MASTER = RouterState.BACKUP, RouterState.MASTER
LATE_S = 0.35  # what a busy machine may add
OTHER_VIP = IPv4Interface("192.0.2.101/24")
ROLES = {"firstmate first": "a", "keepalived first": "b"}  # where firstmate runs; a has priority 254, b 253


@dataclass(frozen=True, slots=True)
class Setting:
    """What differs from a unicast version 3 pair at 100 ms."""

    version: int = 3
    multicast: bool = False
    interval_s: float = 0.1
    password: str = ""
    priority: int = 0  # 0: the one of the host
    vips: tuple[IPv4Interface, ...] = (VIP,)

    def instance(self, host: str) -> Instance:
        peers = tuple(address for name, address in ADDRESSES.items() if name != host)
        one = Instance(
            version=self.version,
            priority=self.priority or PRIORITIES[host],
            interval_s=self.interval_s,
            vips=self.vips,
            auth=Auth.PASS if self.password else Auth.NONE,
            password=self.password,
        )
        return one if self.multicast else replace(one, source=ADDRESSES[host], peers=peers)


FAST = {"v3 unicast": Setting(), "v3 multicast": Setting(multicast=True)}
SLOW = {
    "v2 unicast": Setting(version=2, interval_s=1),
    "v2 multicast": Setting(version=2, interval_s=1, multicast=True),
    "v2 unicast PASS": Setting(version=2, interval_s=1, password="secret12"),
}


class Pair:
    """firstmate on one host and keepalived on the other, with the same settings, on a switch of their own."""

    def __init__(self, directory: Path, ours: str, setting: Setting) -> None:
        self.site = Site()
        self.ours, self.setting = ours, setting
        self.firstmate = Balancer(self.site, ours, directory)
        self.keepalived = Keepalived(self.site, "b" if ours == "a" else "a", directory)
        self.set_keepalived(setting)

    def set_keepalived(self, setting: Setting) -> None:
        self.keepalived.instances = (setting.instance(self.keepalived.host),)

    def start(self, host: str) -> None:
        if host == self.ours:
            self.start_ours()
        else:
            self.keepalived.start()

    def start_ours(self, **changes: object) -> None:
        self.firstmate.start(plan(self.ours, self._router(**changes)))

    def kill(self, host: str) -> float:
        return self.firstmate.kill() if host == self.ours else self.keepalived.kill()

    def stop(self, host: str) -> float:
        if host != self.ours:
            return self.keepalived.stop()
        at = self.firstmate.send(signal.SIGTERM)
        self.firstmate.wait_for_end(0)
        return at

    def leads(self, host: str) -> bool:
        """MASTER by its own word, with the address, and the client asks it."""
        state = self.firstmate.state is MASTER if host == self.ours else self.keepalived.state() == "MASTER"
        return state and self.site.whom_the_client_asks() == MACS[host] and self.site.has_vip(host)

    def follows(self, host: str) -> bool:
        state = self.firstmate.state is BACKUP if host == self.ours else self.keepalived.state() == "BACKUP"
        return state and not self.site.has_vip(host)

    def until_led_by(self, master: str, backup: str = "") -> Until:
        """`backup` "": nobody else is there."""
        self.site.client_talks()
        return Until(lambda: self.leads(master) and (not backup or self.follows(backup)), self.story)

    def until_advertised(self, host: str, since: float, count: int = 1) -> Until:
        return Until(lambda: len(self.site.observer.adverts(host, since)) >= count, self.story)

    def until_told(self, code: str) -> Until:
        return Until(lambda: bool(self.firstmate.told(code)), self.story)

    def story(self) -> str:
        states = [(one.is_.value, one.reason) for one in self.firstmate.transitions]
        return f"firstmate: {states} {self.firstmate.notices}\nkeepalived:\n{self.keepalived.said()}"

    def check_peace(self) -> None:
        """Neither side complains."""
        assert self.keepalived.errors() == []
        assert [notice.text for notice in self.firstmate.notices] == []
        assert not self.firstmate.log.exists() or self.firstmate.log.read_text() == ""

    def close(self) -> None:
        self.firstmate.close()
        self.keepalived.close()
        self.site.observer.look()
        unreadable = [host for host, _ in self.site.observer.unreadable]
        self.site.close()
        assert unreadable == []

    def _router(self, **changes: object) -> VrrpPlan:
        one = router(
            self.ours,
            version=self.setting.version,
            advert_interval_us=int(self.setting.interval_s * 1000) * MS,
            transport=Transport.MULTICAST if self.setting.multicast else Transport.UNICAST,
            auth=Auth.PASS if self.setting.password else Auth.NONE,
            auth_pass=self.setting.password.encode(),
        )
        return replace(one, **changes)  # type: ignore[arg-type] # fields of the plan, whichever


NewPair = Callable[[str, Setting], Pair]


@pytest.fixture
def new_pair(tmp_path: Path) -> Iterator[NewPair]:
    with ExitStack() as stack:

        def new(ours: str, setting: Setting) -> Pair:
            directory = tmp_path / str(time.monotonic_ns())
            directory.mkdir()
            pair = Pair(directory, ours, setting)
            stack.callback(pair.close)
            return pair

        yield new


def elect_crash_return_stop(pair: Pair) -> Story:
    observer, setting = pair.site.observer, pair.setting
    skew_s = 3 / 256 * (setting.interval_s if setting.version == 3 else 1)
    pair.start("b")
    yield pair.until_led_by("b")
    pair.start("a")
    yield pair.until_led_by("a", "b")
    yield pair.until_advertised("a", time.time(), 2)

    pair.kill("a")
    last = observer.adverts("a")[-1][0]
    yield pair.until_advertised("b", last)
    assert -0.01 < observer.adverts("b", last)[0][0] - last - 3 * setting.interval_s - skew_s < LATE_S
    yield pair.until_led_by("b")
    assert pair.site.has_vip("a")  # nobody could take it away

    pair.start("a")
    yield pair.until_led_by("a", "b")

    stopped = pair.stop("a")
    resigned, advert = observer.adverts("a", stopped)[-1]
    assert advert.priority == 0
    yield pair.until_led_by("b")
    assert not pair.site.has_vip("a")
    assert observer.adverts("b", resigned)[0][0] - resigned < skew_s + LATE_S

    stopped = pair.stop("b")
    assert observer.priorities("b", stopped)[-1] == 0
    assert not pair.site.has_vip("b")
    pair.check_peace()


@pytest.mark.parametrize("ours", ROLES.values(), ids=ROLES)
@pytest.mark.parametrize("setting", FAST.values(), ids=FAST)
def test_election_crash_return_and_stop(new_pair: NewPair, ours: str, setting: Setting) -> None:  # C94, C83
    tell({"it": elect_crash_return_stop(new_pair(ours, setting))})


def test_election_crash_return_and_stop_of_version_2(new_pair: NewPair) -> None:  # C94, C83
    """Six pairs side by side: three seconds pass before each takeover."""
    pairs = {
        f"{name}, {role}": new_pair(ROLES[role], setting) for (name, setting), role in product(SLOW.items(), ROLES)
    }
    tell({name: elect_crash_return_stop(pair) for name, pair in pairs.items()})


def stop_of_the_backup(pair: Pair) -> Story:
    pair.start("a")
    pair.start("b")
    yield pair.until_led_by("a", "b")
    stopped = pair.stop("b")
    yield pair.until_advertised("a", stopped, 4)
    assert pair.site.observer.adverts("b", stopped) == []
    assert pair.leads("a")
    pair.check_peace()


def test_stop_of_the_backup_says_nothing(new_pair: NewPair) -> None:  # C67
    pairs = {f"{name}, {role}": new_pair(ROLES[role], FAST[name]) for name, role in product(FAST, ROLES)}
    tell({name: stop_of_the_backup(pair) for name, pair in pairs.items()})


def partition_and_heal(pair: Pair, pause_s: float, bound_s: float) -> Story:
    # Without the delayed burst, so that only `garp_refresh` is left.
    if pair.ours == "a":
        pair.start_ours(garp_delay_us=0)
    else:
        pair.start("a")
    pair.start("b")
    yield pair.until_led_by("a", "b")
    pair.site.partition(on=True)
    yield pair.until_led_by("b")
    time.sleep(pause_s)
    healed = time.time()
    pair.site.partition(on=False)
    yield pair.until_led_by("a", "b")
    assert pair.site.observer.arps("a", healed)[0][0] - healed < bound_s + LATE_S
    yield pair.until_advertised("a", time.time(), 3)
    assert pair.leads("a")
    pair.check_peace()


@pytest.mark.parametrize("pause_s", [0.0, 0.06])
@pytest.mark.parametrize("ours", ROLES.values(), ids=ROLES)
def test_healed_partition_leaves_no_black_hole(new_pair: NewPair, ours: str, pause_s: float) -> None:  # C84
    """firstmate that steps down says so, and keepalived announces the address again, within an interval.

    keepalived steps down without a word when it hears us first. Then our refresh must do.
    """
    tell({"it": partition_and_heal(new_pair(ours, Setting()), pause_s, 1.0 if ours == "a" else 0.1)})


V2 = SLOW["v2 unicast"]
STRONGER = 250  # keepalived's priority: above ours, so that hearing it would cost the address

# fmt: off
REFUSED: dict[str, tuple[Setting, Setting, dict[str, object], str, str]] = {  # ours, keepalived's, ours in other things, counter, what the notice says
    "another version":   (Setting(), replace(V2, priority=STRONGER), {}, "version_errors", "version 2, ours is 3; make vrrp version equal on both"),
    "another interval":  (V2, replace(V2, interval_s=2, priority=STRONGER), {}, "adv_interval_errors", "interval 2.0 s, ours is 1.0 s; version 2 wants the same advert_interval on both"),
    "another password":  (replace(V2, password="secret12"), replace(V2, password="secret13", priority=STRONGER), {}, "auth_failures", "another password; make auth_pass equal on both"),
    "no password":       (replace(V2, password="secret12"), replace(V2, priority=STRONGER), {}, "auth_type_mismatch_errors", "authentication type 0, ours is 1; make auth and auth_pass equal on both"),
    "another transport": (Setting(multicast=True), Setting(priority=STRONGER), {}, "address_list_errors", "sent to 192.0.2.11, but we use multicast"),
    "another checksum":  (Setting(), Setting(priority=STRONGER), {"checksum": ChecksumForm.PLAIN}, "checksum_errors", 'try checksum = "plain" (RFC 9568), "pseudo" (keepalived, FRR) or "auto"'),
    "not configured":    (Setting(), Setting(priority=STRONGER), {"peers": (VIP.ip + 5,)}, "unknown_source_errors", "192.0.2.12 is no peer of this virtual router; add it to peers if it belongs here"),
    "their transport":   (Setting(), Setting(multicast=True, priority=STRONGER), {}, "address_list_errors", "sent to 224.0.0.18, but we use unicast"),
    "VRID clash":        (Setting(multicast=True), Setting(multicast=True, priority=STRONGER, vips=(OTHER_VIP,)), {"peers": ()}, "vrid_clash_errors", "192.0.2.12 uses this VRID for other addresses; give one of the two another vrid"),
}
# fmt: on


def refuse(pair: Pair, changes: dict[str, object], counter: str, says: str) -> Story:
    ours, code = pair.firstmate, "refused-" + counter.replace("_", "-")
    pair.start_ours(priority=100, **changes)
    yield Until(lambda: ours.state is MASTER, pair.story)
    pair.keepalived.start()
    yield Until(lambda: pair.keepalived.state() == "MASTER", pair.story)
    yield pair.until_told(code)
    # One is enough: keepalived 2.2.7 sends no second while adverts that it refuses keep coming to it.
    yield Until(lambda: ours.view().counters[counter] >= 1, pair.story)
    (text,) = ours.told(code)
    assert text.startswith("web: refused an advert of 192.0.2.12: ")
    assert says in text
    assert ours.state is MASTER
    assert pair.site.has_vip("a")
    # keepalived holds the address too, and says so by gratuitous ARP.
    assert {notice.code for notice in ours.notices} - {"address-conflict"} == {code}


def test_a_peer_that_does_not_fit_is_told_of_and_costs_nothing(new_pair: NewPair) -> None:
    stories = {}
    for name, (setting, theirs, changes, counter, says) in REFUSED.items():
        pair = new_pair("a", setting)
        pair.set_keepalived(theirs)
        stories[name] = refuse(pair, changes, counter, says)
    tell(stories)


def obey_another_interval(pair: Pair) -> Story:
    ours = pair.firstmate
    pair.set_keepalived(Setting(interval_s=0.3))
    pair.keepalived.start()
    yield Until(lambda: pair.keepalived.state() == "MASTER", pair.story)
    pair.start_ours()
    yield pair.until_told("interval-differs")
    assert ours.told("interval-differs") == [
        "web: 192.0.2.11 advertises every 300 ms, we every 100 ms; while it is MASTER its interval counts"
    ]
    yield pair.until_advertised("a", time.time(), 4)
    assert ours.state is BACKUP
    pair.kill("a")
    last = pair.site.observer.adverts("a")[-1][0]
    yield pair.until_advertised("b", last)
    assert 0.9 < pair.site.observer.adverts("b", last)[0][0] - last < 0.9035 + LATE_S


def test_a_master_with_another_interval_is_obeyed_by_its_own(new_pair: NewPair) -> None:  # C34, C55
    tell({"it": obey_another_interval(new_pair("b", Setting()))})


def bear_another_address_list(pair: Pair, wanted: RouterState) -> Story:
    ours = pair.firstmate
    pair.start_ours()
    yield Until(lambda: ours.state is MASTER, pair.story)
    pair.set_keepalived(Setting(vips=(VIP, OTHER_VIP)))
    pair.keepalived.start()
    yield pair.until_told("addresses-differ")
    assert "make the two configurations equal" in ours.told("addresses-differ")[0]
    # 2.2.7 drops our list, and so leads whatever its priority.
    yield Until(lambda: pair.keepalived.state() == "MASTER" and ours.state is wanted, pair.story)
    yield pair.until_advertised("a", time.time(), 4)
    assert ours.state is wanted
    assert pair.site.has_vip(pair.ours) == (wanted is MASTER)


def test_another_address_list_is_told_of_and_costs_nothing(new_pair: NewPair) -> None:  # C37
    tell(
        {
            "stronger": bear_another_address_list(new_pair("a", Setting()), MASTER),
            "weaker": bear_another_address_list(new_pair("b", Setting()), BACKUP),
        }
    )
