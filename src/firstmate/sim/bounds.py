"""How long each thing may last, derived from a schedule's numbers; the invariants hold the routers to these.

Every bound is made of: I, the longest advert interval; down, the longest Master_Down_Interval; d, the longest
way over the wire; l, the longest a process is late once it may run. A timer fires up to l late, and whatever
arrives is handled up to l after it came.
"""

from collections.abc import Collection
from dataclasses import dataclass

from firstmate.model.plan import ChecksumForm, VrrpPlan
from firstmate.model.units import S, Micros
from firstmate.sim import standing
from firstmate.sim.schedule import Schedule, Weather

CONTEST_ADVERTS = 4


@dataclass(frozen=True, slots=True)
class Bounds:
    contest_us: Micros  # two MASTERs, of which the weaker hears the stronger
    silence_us: Micros  # a fit node hears no MASTER and is none
    gap_us: Micros  # nobody holds an address that a fit node could hold
    handover_us: Micros  # the same, when the MASTER said priority 0
    preempt_us: Micros  # a weaker MASTER leads although a stronger node is fit
    black_hole_us: Micros | None  # a client sends to another than the MASTER, all being whole; None: no bound
    refresh_us: Micros | None  # the same, when it was so before all was whole; None: no bound
    wire_us: Micros  # the longest that anything is on its way
    one_way_us: Micros  # a MASTER hears another, which does not hear it, and says nothing
    reaction_us: Micros  # a MASTER that must not be one: unfit, or awake after a long sleep


def of(schedule: Schedule, names: Collection[str] = ()) -> Bounds:
    """The bounds for the virtual routers of these names, which move together; none: for every one of the schedule."""
    plans = (*schedule.plans, *schedule.reloaded)
    routers = [router for plan in plans for router in plan.routers if not names or router.name in names]
    weathers = (schedule.weather, schedule.clear, schedule.calm)
    i = max(router.advert_interval_us for router in routers)
    d = max(weather.delay_us[1] + weather.straggle_us for weather in weathers)
    l = max(weather.lateness_us for weather in weathers)  # noqa: E741 - named as in the docstring
    skew_us = max(skew(router, i) for router in routers)
    down_us = max(router.down_timer_adverts for router in routers) * i + skew_us
    delay_us = max(router.preempt_delay_us for router in routers)
    refreshes = [router.garp_refresh_us for router in routers]
    silent = any(router.lower_prio_no_advert or not router.higher_prio_send_advert for router in routers)
    silent |= any(router.checksum is ChecksumForm.AUTO for router in routers)  # its first words may be refused
    return Bounds(
        # The stronger one's next advert is due within I, sent l late, arrives d later, and is handled l after that.
        contest_us=i + d + 2 * l,
        # From the last advert handled, or from a start: the timer, and its lateness. l more: a start, the end of a
        # pause or a fact takes up to l until the router hears of it.
        silence_us=down_us + 2 * l,
        # Before that, the last advert of a MASTER may still have been on its way.
        gap_us=down_us + d + 3 * l,
        # A BACKUP that has been given priority 0 waits Skew_Time.
        handover_us=skew_us + l,
        # Somebody leads after a gap; the strongest hears it within I, d and 2 l, bears it for the delay, and then
        # waits until the last advert that it obeyed is a down interval old.
        preempt_us=(down_us + d + 3 * l) + (i + d + 2 * l) + delay_us + (down_us + l),
        # MASTERs that could not hear each other: within I (l late, d under way, l to be handled) the weaker one hears
        # the stronger and leaves with an advert (d, l), which has the stronger announce itself (d). It does so at
        # once, or an interval after it last did (l late), which the client has heard then or was before.
        # Where no such advert is sent or answered, only a refresh helps.
        black_hole_us=None if silent else i + 3 * d + 3 * l,
        # The first refresh that comes through; what is lost in the calm is lost so often in a row at most.
        refresh_us=None if 0 in refreshes else (1 + _lost_in_a_row(schedule.calm)) * (max(refreshes) + l) + d,
        wire_us=d,
        # Whatever it has to know is in its inbox, or is the clock.
        reaction_us=2 * l,
        # So many adverts show it (`vrrp.member.CONTEST_ADVERTS`), and the first one comes within an interval.
        one_way_us=(CONTEST_ADVERTS + 1) * (i + l) + d + 2 * l,
    )


def _lost_in_a_row(weather: Weather) -> int:
    return (weather.losses_in_a_row_max or 0) if weather.loss else 0


def settled_us(schedule: Schedule) -> Micros:
    """When nothing moves any more: from then on the calm is watched."""
    bounds = of(schedule)
    return schedule.heal_us + max(bounds.preempt_us + bounds.contest_us, bounds.black_hole_us or 0)


def skew(router: VrrpPlan, interval_us: Micros) -> Micros:
    """The longest Skew_Time (RFC 5798, 6.1; RFC 3768, 6.1), reckoned here anew: the router under test is no witness."""
    return (256 - standing.lowest(router)) * (interval_us if router.version == 3 else S) // 256
