from tests.rules.vrrp.example import NOW

from firstmate.model.messages import Oddity
from firstmate.model.units import S
from firstmate.vrrp.oddities import KEPT_US, ODDITIES_MAX, SAY_AGAIN_US, Oddities


def test_an_oddity_is_said_once_and_counted() -> None:
    odd = Oddities()
    assert odd.note("web", "two-masters", "192.0.2.9", "one", NOW)
    assert not odd.note("web", "two-masters", "192.0.2.9", "two", NOW + S)
    assert odd.current("web", NOW + S) == (Oddity("two-masters", "192.0.2.9", "two", NOW, NOW + S, 2),)
    assert odd.current("db", NOW + S) == ()


def test_it_is_over_when_it_was_not_seen_for_a_while() -> None:
    odd = Oddities()
    odd.note("web", "x", "y", "text", NOW)
    assert odd.current("web", NOW + KEPT_US) != ()
    assert odd.current("web", NOW + KEPT_US + 1) == ()


def test_a_new_beginning_counts_anew_and_is_said_after_an_hour() -> None:
    odd = Oddities()
    odd.note("web", "x", "y", "text", NOW)
    later = NOW + KEPT_US + 1
    assert not odd.note("web", "x", "y", "text", later)
    assert odd.current("web", later) == (Oddity("x", "y", "text", later, later, 1),)
    assert odd.note("web", "x", "y", "text", NOW + SAY_AGAIN_US)
    assert not odd.note("web", "x", "y", "text", NOW + SAY_AGAIN_US + 1)


def test_patience_is_that_of_the_last_time() -> None:
    odd = Oddities()
    odd.note("web", "x", "y", "text", NOW, kept_us=60 * S)
    assert odd.current("web", NOW + 60 * S) != ()


def test_memory_is_bounded_and_makes_room() -> None:
    odd = Oddities()
    assert odd.current("web", NOW) == ()
    for number in range(ODDITIES_MAX):
        assert odd.note("web", "x", str(number), "text", NOW)
    assert not odd.note("web", "x", "one more", "text", NOW + SAY_AGAIN_US - 1)
    assert len(odd) == ODDITIES_MAX
    odd.note("web", "x", "0", "text", NOW + SAY_AGAIN_US - 1)
    assert odd.note("web", "x", "one more", "text", NOW + SAY_AGAIN_US)  # the others are over
    assert len(odd) == 2
