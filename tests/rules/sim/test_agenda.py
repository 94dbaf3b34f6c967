from firstmate.sim.agenda import Agenda


def test_entries_come_by_time_then_by_entry() -> None:
    agenda, done = Agenda(), list[str]()
    agenda.at(20, lambda: done.append("late"))
    agenda.at(10, lambda: done.append("first"))
    agenda.after(10, lambda: done.append("second"))
    while (what := agenda.next(100)) is not None:
        what()
    assert done == ["first", "second", "late"]
    assert agenda.now_us == 100


def test_the_end_comes_before_what_is_due_later() -> None:
    agenda = Agenda()
    agenda.at(101, lambda: None)
    assert agenda.next(100) is None
    assert agenda.now_us == 100


def test_the_past_is_now() -> None:
    agenda = Agenda()
    agenda.at(50, lambda: agenda.at(10, lambda: None))
    for _ in range(2):
        what = agenda.next(100)
        assert what is not None
        what()
        assert agenda.now_us == 50
