from tests.rules.vrrp.example import DOWN, NOW, PEER, PLAN

from firstmate.model.units import S, Micros
from firstmate.vrrp.deadlines import Deadlines
from firstmate.vrrp.instance import Heard, Signal
from firstmate.vrrp.member import Member


def backup(at_us: Micros = NOW) -> Member:
    """Its Master_Down_Timer ends a down interval after `at_us`."""
    one = Member(PLAN, at_us)
    one.handle(Signal.STARTUP, at_us)
    return one


def test_nobody_waits() -> None:
    deadlines = Deadlines()
    deadlines.put(Member(PLAN, NOW))  # not started: no timer runs
    assert (deadlines.first(), deadlines.earliest_us) == (None, None)


def test_the_earliest_comes_first() -> None:
    deadlines, late, early = Deadlines(), backup(NOW + S), backup()
    deadlines.put(late)
    deadlines.put(early)
    assert deadlines.first() == (NOW + DOWN, early)
    assert deadlines.take() is early
    assert deadlines.first() == (NOW + DOWN + S, late)


def test_equal_times_keep_their_order() -> None:
    deadlines, first, second = Deadlines(), backup(), backup()
    deadlines.put(first)
    deadlines.put(second)
    assert (deadlines.first(), deadlines.take()) == ((NOW + DOWN, first), first)


def test_a_timer_that_moved_later_is_found_when_it_is_looked_at() -> None:
    deadlines, one = Deadlines(), backup()
    deadlines.put(one)
    one.handle(Heard(200, S, PEER), NOW + S)
    deadlines.put(one)  # later: nothing to do now
    assert deadlines.first() == (NOW + S + DOWN, one)


def test_a_timer_that_moved_earlier_takes_a_new_place() -> None:
    deadlines, one = Deadlines(), backup()
    one.handle(Heard(200, S, PEER), NOW)
    deadlines.put(one)
    one.handle(Heard(0, S, PEER), NOW + S)
    deadlines.put(one)
    at_us = NOW + S + 609_375
    assert deadlines.first() == (at_us, one)
    deadlines.take()
    assert deadlines.first() is None  # the place from before is void


def test_a_timer_that_stopped_is_forgotten() -> None:
    deadlines, one = Deadlines(), backup()
    deadlines.put(one)
    one.handle(Signal.SHUTDOWN, NOW)
    assert deadlines.first() is None
    one.handle(Signal.STARTUP, NOW + S)
    deadlines.put(one)
    assert deadlines.first() == (NOW + S + DOWN, one)


def test_clear_lets_everybody_come_back() -> None:
    deadlines, one = Deadlines(), backup()
    deadlines.put(one)
    deadlines.clear()
    assert deadlines.first() is None
    deadlines.put(one)
    assert deadlines.first() == (NOW + DOWN, one)


def test_the_earliest_is_never_late() -> None:
    deadlines, one = Deadlines(), backup()
    deadlines.put(one)
    one.handle(Heard(200, S, PEER), NOW + S)
    assert deadlines.earliest_us == NOW + DOWN  # where it was: a needless look, and no work until then
    assert deadlines.first() == (NOW + S + DOWN, one)
    assert deadlines.earliest_us == NOW + S + DOWN
