import socket
from collections.abc import Iterator

import pytest

from firstmate.ipc.channel import MESSAGE_OCTETS_MAX, MESSAGES_AT_ONCE, Channel, EndOfChannel, inherited, pair
from firstmate.model.messages import Beat, FactChanged, Notice, ToPulse, WantSnapshot

FACT = FactChanged("haproxy", up=False, why="killed by SIGKILL", at_us=1, generation=3)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ops, pulse = pair()
    yield ops, pulse
    ops.close()
    pulse.close()


Ends = tuple[socket.socket, socket.socket]


def test_messages_arrive_in_order_and_apart(ends: Ends) -> None:
    ops, pulse = Channel(ends[0], Notice), Channel(ends[1], ToPulse)
    for message in (FACT, Beat(2), WantSnapshot()):
        assert ops.send(message) is True
    assert pulse.receive() == [FACT, Beat(2), WantSnapshot()]
    assert pulse.receive() == []
    assert pulse.send(Notice(1, 2, "code", "text")) is True
    assert ops.receive() == [Notice(1, 2, "code", "text")]
    assert (ops.dropped, pulse.dropped) == (0, 0)


def test_who_does_not_read_is_not_waited_for(ends: Ends) -> None:
    ops = Channel(ends[0], Notice)
    sent = 0
    while ops.send(FACT):
        sent += 1
        assert sent < 100_000
    assert (ops.send(FACT), ops.dropped) == (False, 2)
    pulse = Channel(ends[1], ToPulse)
    read = []
    while batch := pulse.receive():
        assert len(batch) <= MESSAGES_AT_ONCE
        read += batch
    assert read == [FACT] * sent  # the kernel kept the oldest


def test_a_message_that_cannot_be_read_is_dropped_and_counted(ends: Ends) -> None:
    pulse = Channel(ends[1], ToPulse)
    for data in (b"{", b'{"type":"Unheard"}', b'{"type":"Beat"}', b"\xff", b'{"type":"Snapshot"}'):
        ends[0].send(data)
    Channel(ends[0], Notice).send(Beat(1))
    assert (pulse.receive(), pulse.dropped) == ([Beat(1)], 5)


def test_a_message_as_long_as_allowed_arrives(ends: Ends) -> None:
    ops, pulse = Channel(ends[0], Notice), Channel(ends[1], ToPulse)
    long = Beat(1, "x" * (MESSAGE_OCTETS_MAX - 100))
    assert ops.send(long) is True
    assert pulse.receive() == [long]


def test_what_was_said_before_the_end_is_read_first(ends: Ends) -> None:
    Channel(ends[0], Notice).send(FACT)
    ends[0].close()
    pulse = Channel(ends[1], ToPulse)
    assert pulse.receive() == [FACT]
    with pytest.raises(EndOfChannel):
        pulse.receive()


def test_sending_to_nobody_is_a_drop(ends: Ends) -> None:
    ends[0].close()
    pulse = Channel(ends[1], ToPulse)
    assert (pulse.send(Notice(1, 2, "code", "text")), pulse.dropped) == (False, 1)


def test_end_seen_as_an_error(ends: Ends) -> None:
    pulse = Channel(ends[1], ToPulse)
    pulse.close()
    with pytest.raises(EndOfChannel, match="Bad file descriptor"):
        pulse.receive()


def test_an_end_is_inherited_by_its_number(ends: Ends) -> None:
    heir = Channel(inherited(ends[1].detach()), ToPulse)
    Channel(ends[0], Notice).send(FACT)
    assert (heir.receive(), heir.fileno() >= 0) == ([FACT], True)
    heir.close()


def test_ends_are_not_inherited_by_accident(ends: Ends) -> None:
    assert [end.get_inheritable() for end in ends] == [False, False]
    assert [end.type for end in ends] == [socket.SOCK_SEQPACKET] * 2
