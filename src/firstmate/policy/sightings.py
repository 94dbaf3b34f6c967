"""What pulse says of itself, kept: the last view of each virtual router, and who is MASTER of it.

A snapshot may hold only some of the virtual routers. What an earlier pulse said is worth nothing any more.
"""

from dataclasses import replace

from firstmate.model.messages import FactChanged, FactView, RouterState, Snapshot, WantSnapshot
from firstmate.model.units import MS, S, Micros
from firstmate.policy import life as lives
from firstmate.policy.fitness import facts, inherit
from firstmate.policy.view import fresh_peers, master_of
from firstmate.policy.world import MasterView, RouterSeen, Step, World

TELL_AGAIN_US: Micros = 900 * MS  # pulse answers in its next snapshot, a second later
WANT_AGAIN_US: Micros = 1 * S  # with many virtual routers the answer costs pulse some milliseconds
SETTLE_US: Micros = 500 * MS  # the supervisor's news of an exit reach pulse before they reach us


def merge(world: World, event: Snapshot, now_us: Micros) -> World:
    """The world with what this snapshot says."""
    before = world.snapshot
    if before is None:
        world = inherit(world, event.facts)
    if before is None or before.pid != event.pid:
        world = replace(world, told_at_us=None, routers={}, states={})
    said = [(peer.address, peer.node, peer.states) for peer in fresh_peers(world, before.at_us if before else 0)]
    routers = {view.name: RouterSeen(view, event.at_us) for view in event.routers}
    states = {view.name: view.state for view in event.routers}
    if not event.whole:
        routers, states = {**world.routers, **routers}, {**world.states, **states}
    codes = {odd.code for view in event.routers for odd in view.oddities} | {odd.code for odd in event.oddities}
    world = replace(world, snapshot=event, routers=routers, states=states, seq=event.seq)
    if not codes <= world.odd_codes:
        world = replace(world, odd_codes=world.odd_codes | codes)
    news = said != [(peer.address, peer.node, peer.states) for peer in fresh_peers(world, event.at_us)]
    names = set(routers) if news else {view.name for view in event.routers}
    return replace(world, masters=_masters(world, names, now_us))


def want_all(world: World, now_us: Micros) -> Step:
    """Ask pulse for all virtual routers, unless it was asked just now."""
    if world.wanted_at_us is not None and now_us - world.wanted_at_us < WANT_AGAIN_US:
        return world, []
    return replace(world, wanted_at_us=now_us), [WantSnapshot()]


def facts_again(world: World, event: Snapshot, now_us: Micros) -> Step:
    """Tell pulse again what it should know and does not: it was restarted, or a message was lost."""
    if world.told_at_us is not None and now_us - world.told_at_us < TELL_AGAIN_US:
        return world, []
    known = {fact.name: fact for fact in event.facts}
    own = [lives.verdict(world.life, now_us)] if world.plan.haproxy is not None else []
    own += facts(world, now_us)
    again = [fact for fact in own if fact is not None and _differs(known.get(fact.name), fact, event.at_us)]
    return (replace(world, told_at_us=now_us) if again else world), [*again]


def _differs(known: FactView | None, fact: FactChanged, seen_at_us: Micros) -> bool:
    if known is None or known.value != fact.value:
        return True
    if known.up == fact.up:
        return False
    return not fact.up or seen_at_us - known.at_us >= SETTLE_US


def _masters(world: World, names: set[str], now_us: Micros) -> dict[str, MasterView]:
    """Who is MASTER of each; looked at anew for these."""
    found = dict(world.masters)
    for name in names:
        router = world.routers[name].view
        node = master_of(world, world.routers[name], now_us)
        known = world.masters.get(name)
        if known is None or known.node != node:
            # At first sight a BACKUP has most likely obeyed this one since it became BACKUP.
            moved_here = router.state is RouterState.MASTER or known is None
            found[name] = MasterView(node, router.since_us if moved_here else now_us)
        else:
            found[name] = known
    return found
