"""What is tracked, when a node preempts, and the owner of an address, through `firstmate run`."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.netns import why_not
from tests.lab.nodes import Daemon, Duo, duos, toml, vrrp
from tests.lab.stories import Failures, Story, check, fates

WHY_NOT = why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT), pytest.mark.timeout(300)]

START_DELAY_S, PREEMPT_DELAY_S = 3.0, 2.0
OWN = "192.0.2.11"  # of lb-a itself


def tracked(directory: Path) -> str:
    """Each virtual router tracks one thing, by files that a test makes: `a.weak` weakens `weak` on lb-a."""

    def watch(name: str, more: str = "") -> str:
        command = f'["/usr/bin/test", "-e", "{directory}/{name}"]'
        return f'[[check]]\nname = "{name}"\ncommand = {command}\ninterval = "100ms"\nrise = 1\nfall = 1\n{more}\n'

    up0 = '{ interface = "up0"'
    return toml(
        vrrp("weak", 1, '["192.0.2.101/24"]', 'track = [{ name = "ok-weak", weight = -20 }]'),
        vrrp("turned", 2, '["192.0.2.102/24"]', 'track = [{ name = "bad-turned", reverse = true }]'),
        vrrp("init", 3, '["192.0.2.103/24"]', 'track = ["ok-init"]'),
        vrrp("file", 4, '["192.0.2.104/24"]', 'track = [{ name = "number", weight = 0 }]'),
        vrrp("link-weak", 5, '["192.0.2.105/24"]', f"track = [{up0}, weight = -20 }}]"),
        vrrp("link", 6, '["192.0.2.106/24"]', f"track = [{up0} }}]"),
        vrrp("front", 7, '["192.0.2.107/24"]', 'track = ["ok-front"]\nmove_with = ["front6"]'),
        vrrp("front6", 7, '["fe80::7/64"]', "track = []"),
        vrrp("stays", 8, '["192.0.2.108/24"]', "track = []\npreempt = false"),
        vrrp("waits", 9, '["192.0.2.109/24"]', f'track = []\npreempt_delay = "{PREEMPT_DELAY_S:g}s"'),
        watch("ok-weak"),
        watch("bad-turned"),
        watch("ok-init", "init_fail = true"),
        watch("ok-front"),
        f'[[file]]\nname = "number"\npath = "{directory}/number"\ninterval = "100ms"',
        cluster=f'start_delay = "{START_DELAY_S:g}s"',
    )


NAMES = ("weak", "turned", "init", "file", "link-weak", "link", "front", "front6", "stays", "waits")
OWNED = "priority = { lb-a = 255, lb-b = 100 }\n"


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Failures]:
    directory = tmp_path_factory.mktemp("tracking")
    unicast = vrrp("web", 50, f'["{OWN}/24"]', OWNED)
    configs = {"tracked": "", "owner": toml(unicast), "group": toml(unicast + 'transport = "multicast"')}
    with duos(directory, configs) as made:
        for one in made["tracked"].both:  # each has its own files
            one.write(tracked(one.directory))
        yield fates(
            {"tracked": tracking(made["tracked"]), "owner": owner(made["owner"]), "group": owner(made["group"])}
        )


def tracking(duo: Duo) -> Story:
    a, b = duo.both
    for one in duo.both:
        one.ip("link", "add", "up0", "type", "veth", "peer", "up1")
        one.ip("link", "set", "up1", "up")
        one.ip("link", "set", "up0", "up")
        for name in ("ok-weak", "ok-front"):
            (one.directory / name).touch()
    began = time.time()
    a.start()
    yield duo.until(lambda: a.is_("FAULT", "init"))
    (a.directory / "ok-init").touch()
    yield duo.until(lambda: all(a.is_("MASTER", name) for name in NAMES))
    assert all(at > began + START_DELAY_S for at, _ in duo.site.observer.adverts("a")), "a start without delay"
    b.start()  # now, or it would lead the one that does not preempt
    yield duo.until(lambda: b.is_("FAULT", "init"))
    (b.directory / "ok-init").touch()
    yield duo.until_leads("a", *NAMES)
    yield from weights(duo)
    # Everything back on lb-a, which then goes and returns.
    yield duo.until_leads("a", *NAMES)
    assert a.process is not None
    a.process.terminate()
    yield duo.until(lambda: all(b.is_("MASTER", name) for name in NAMES))
    yield duo.until(lambda: a.process is not None and a.process.poll() is not None)
    a.start()
    yield duo.until(lambda: a.is_("BACKUP", "waits"))
    returned = time.time()
    yield duo.until_leads("a", *(name for name in NAMES if name != "stays"))
    assert duo.site.observer.adverts("a", returned, 9)[0][0] > returned + PREEMPT_DELAY_S / 2, "no preempt_delay"
    assert duo.leads("b", "stays"), duo.said()


def weights(duo: Duo) -> Story:
    """One thing after the other goes wrong on lb-a, and is well again."""
    a, b = duo.both
    at = time.time()
    (a.directory / "ok-weak").unlink()
    yield duo.until_leads("b", "weak")
    assert 234 in [one.priority for _, one in duo.site.observer.adverts("a", at, 1)]
    assert (a.router("weak").priority, a.router("weak").configured_priority) == (234, 254)  # type: ignore[union-attr] # it answers
    assert "234 (254)" in a.table()
    (a.directory / "bad-turned").touch()
    (a.directory / "number").write_text("7\n")
    (a.directory / "ok-front").unlink()
    yield duo.until(lambda: all(b.is_("MASTER", name) and a.is_("FAULT", name) for name in ("turned", "file", "front")))
    yield duo.until(lambda: b.is_("MASTER", "front6") and a.is_("FAULT", "front6"))
    assert "it moves with front, which is unfit" in a.router("front6").reason  # type: ignore[union-attr] # it answers
    assert a.router("front6").moves_with == ("front",)  # type: ignore[union-attr] # it answers
    assert duo.leads("a", "link", "link-weak", "stays", "waits", "init")
    (a.directory / "bad-turned").unlink()
    (a.directory / "number").write_text("0\n")
    for name in ("ok-front", "ok-weak"):
        (a.directory / name).touch()
    yield duo.until_leads("a", *NAMES)
    for breaks, mends in (
        ("link set up0 down", "link set up0 up"),
        ("link set up1 down", "link set up1 up"),
        ("link del up0", "link add up0 type veth peer up1"),
    ):
        a.ip(*breaks.split())
        yield duo.until(lambda: a.is_("FAULT", "link") and b.is_("MASTER", "link") and b.is_("MASTER", "link-weak"))
        yield duo.until(lambda: a.is_("BACKUP", "link-weak"))
        a.ip(*mends.split())
        for end in ("up0", "up1"):
            a.ip("link", "set", end, "up")
        yield duo.until_leads("a", *NAMES)


def owner(duo: Duo) -> Story:
    """The address is lb-a's own: firstmate neither gives nor takes it there; lb-b has it only while lb-a is gone."""
    a, b = duo.both
    before = addresses(a)
    yield from duo.begin()
    assert addresses(a) == before
    for kill in (("pulse",), ("run", "pulse", "ops")):
        a.kill(*kill)
        yield duo.until(lambda: b.is_("MASTER") or "pulse died" in a.log())
        assert addresses(a) == before
        if "run" in kill:
            yield duo.until(lambda: b.is_("MASTER"))
            a.start()
        yield duo.until_leads("a")
        assert addresses(a) == before
    assert a.process is not None
    a.process.terminate()
    yield duo.until(lambda: b.is_("MASTER"))
    assert f" {OWN}/24 " in addresses(b)
    yield duo.until(lambda: a.process is not None and a.process.poll() is not None)
    assert addresses(a) == before
    a.start()
    yield duo.until_leads("a")
    assert addresses(a) == before
    assert f" {OWN}/24 " not in addresses(b)


def addresses(one: Daemon) -> str:
    """Of eth0, as `ip` describes them: with label and protocol."""
    return one.ip("-4", "-o", "address", "show", "dev", "eth0")


def test_what_is_tracked_moves_what_tracks_it(failures: Failures) -> None:
    check(failures, "tracked")


def test_an_owner_keeps_its_own_address(failures: Failures) -> None:
    check(failures, "owner", "group")
