from dataclasses import replace

from tests.rules.policy.example import (
    LEADING,
    NOW,
    PEER,
    PEER_LEADING,
    PLAN,
    RICH,
    UP,
    VIEW,
    A,
    decided,
    orders,
    serving,
    snapshot,
    told,
)

from firstmate.model.messages import PeerView, RouterState, RouterView, Snapshot, Transition, WantSnapshot
from firstmate.model.units import S, Micros
from firstmate.policy.sightings import WANT_AGAIN_US
from firstmate.policy.world import MasterView, PlanLoaded, RouterSeen, StatusAsked, World, begin

DB = replace(VIEW, name="db", vrid=8)
BOTH = told(begin(RICH, NOW), snapshot(LEADING, DB))


def part(*routers: RouterView, seq: int = 2, pid: int = 50, at_us: Micros = NOW + S, peer: PeerView = PEER) -> Snapshot:
    return replace(snapshot(*routers, seq=seq, pid=pid, at_us=at_us, peers=(peer,), facts=(UP,)), whole=False)


def wants(world: World, *events: Snapshot, now_us: Micros = NOW + S) -> bool:
    return WantSnapshot() in decided(world, *events, now_us=now_us)[1]


def test_a_part_changes_only_what_it_holds() -> None:
    world = told(BOTH, part(replace(DB, priority=7)), now_us=NOW + S)
    assert world.routers == {"web": RouterSeen(LEADING, NOW), "db": RouterSeen(replace(DB, priority=7), NOW + S)}
    assert world.states == {"web": RouterState.MASTER, "db": RouterState.BACKUP}
    assert [seen.view.name for seen in world.seen] == ["web", "db"]


def test_the_whole_replaces_all() -> None:
    assert list(told(BOTH, snapshot(LEADING, seq=2)).routers) == ["web"]


def test_what_an_earlier_pulse_said_is_forgotten() -> None:
    world = told(BOTH, part(DB, seq=1, pid=51), now_us=NOW + S)
    assert list(world.routers) == list(world.states) == ["db"]
    assert world.masters["web"].node == "lb-a", "until the new one says otherwise"
    assert world.leading, "web may be MASTER here: we cannot tell yet"
    leads_none = replace(LEADING, state=RouterState.BACKUP, master=None)
    assert not told(world, part(leads_none, pid=51), now_us=NOW + S).leading


def test_a_new_plan_forgets_what_it_does_not_have() -> None:
    world = told(BOTH, PlanLoaded(PLAN))
    assert (list(world.routers), list(world.states), list(world.masters)) == (["web"], ["web"], ["web"])


def test_a_view_that_comes_before_its_plan_is_kept() -> None:
    world = told(told(begin(PLAN, NOW), snapshot(LEADING, DB)), PlanLoaded(RICH))
    assert [seen.view.name for seen in world.seen] == ["web", "db"]


def test_a_gap_before_a_part_asks_for_all() -> None:
    assert not wants(BOTH, part(LEADING, seq=2))
    assert wants(BOTH, part(LEADING, seq=3))
    assert not wants(BOTH, part(LEADING, seq=9, pid=51)), "a new pulse counts anew"
    assert not wants(BOTH, snapshot(LEADING, DB, seq=9)), "the whole leaves nothing to ask for"


def test_pulse_is_not_asked_again_and_again() -> None:
    world, actions = decided(BOTH, StatusAsked())
    assert orders(actions) == [WantSnapshot()]
    assert decided(world, StatusAsked(), now_us=NOW + WANT_AGAIN_US - 1)[1] == []
    assert not wants(world, part(seq=9), now_us=NOW + WANT_AGAIN_US - 1)
    assert orders(decided(world, StatusAsked(), now_us=NOW + WANT_AGAIN_US)[1]) == [WantSnapshot()]


def test_a_peer_that_says_something_else_is_believed_of_every_router() -> None:
    """Its own word counts more than old adverts, also for a virtual router that this snapshot leaves out."""
    peer = replace(PEER, states={"web": "BACKUP", "db": "MASTER"}, at_us=NOW + S)
    nobody = replace(DB, master=None)
    world = told(begin(RICH, NOW), snapshot(LEADING, nobody))
    assert world.masters["db"].node == ""
    world = told(world, part(peer=peer), now_us=NOW + S)
    assert world.masters["db"] == MasterView("lb-b", NOW + S)
    world = told(world, part(seq=3, peer=replace(peer, connected=False), at_us=NOW + 2 * S), now_us=NOW + 2 * S)
    assert world.masters["db"].node == ""


def test_masters_are_looked_at_where_the_part_says_something() -> None:
    lost = replace(LEADING, state=RouterState.BACKUP, master=None)
    world = told(BOTH, part(lost), now_us=NOW + S)
    assert (world.masters["web"], world.masters["db"]) == (MasterView("", NOW + S), BOTH.masters["db"])


def test_an_advert_is_as_old_as_it_was_when_pulse_looked() -> None:
    """The next view of a quiet virtual router may be half a minute away."""
    world = serving(RICH, VIEW, DB, peers=(PEER_LEADING,))
    later = NOW + 30 * S
    world = told(world, part(peer=replace(PEER_LEADING, states={}, at_us=later), at_us=later), now_us=later)
    assert world.masters["db"].node == "lb-b"


def test_a_transition_is_newer_than_a_view() -> None:
    moved = Transition(2, NOW, "db", 8, RouterState.BACKUP, RouterState.MASTER, "x", 2)
    world = told(BOTH, moved)
    assert world.states["db"] is RouterState.MASTER
    world = told(world, part(replace(DB, state=RouterState.MASTER, master=A), seq=3))
    assert world.masters["db"].node == "lb-a"
