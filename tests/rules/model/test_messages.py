import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstmate.model.jsonable import BadJson, dumps, loads
from firstmate.model.messages import (
    Beat,
    FactChanged,
    FromPulse,
    FromSupervisor,
    RouterState,
    ToPulse,
    ToSupervisor,
    Transition,
    Will,
)

WAYS = {"from pulse": FromPulse, "to pulse": ToPulse, "from supervisor": FromSupervisor, "to supervisor": ToSupervisor}
RECORDS = {record.__name__: (way, record) for way in WAYS.values() for record in typing.get_args(way)}


def test_records_of_one_way_are_told_apart_by_name() -> None:
    for way in WAYS.values():
        names = [record.__name__ for record in typing.get_args(way)]
        assert len(names) == len(set(names)) > 1


@pytest.mark.parametrize(("way", "record"), RECORDS.values(), ids=RECORDS)
@settings(max_examples=20)
@given(data=st.data())
def test_message_comes_back_as_what_it_was(way: typing.Any, record: type, data: st.DataObject) -> None:
    message = data.draw(st.from_type(record))
    back: object = loads(way, dumps(message))
    assert back == message
    assert type(back) is record


@given(st.from_type(Will))
def test_will_comes_back(will: Will) -> None:
    assert loads(Will, dumps(will)) == will


def test_transition_as_it_crosses_the_socket() -> None:
    message = Transition(7, 1_000, "web", 1, RouterState.BACKUP, RouterState.MASTER, "lb-a said priority 0", 8)
    assert dumps(message) == (
        '{"type":"Transition","seq":7,"at_us":1000,"router":"web","vrid":1,"was":"BACKUP","is_":"MASTER",'
        '"reason":"lb-a said priority 0","epoch":8}'
    )


def test_message_of_another_way_is_refused() -> None:
    with pytest.raises(BadJson, match="none of"):
        loads(FromPulse, dumps(Beat(1)))
    with pytest.raises(BadJson, match="none of"):
        loads(FromSupervisor, dumps(FactChanged("haproxy", up=True, why="", at_us=1)))
