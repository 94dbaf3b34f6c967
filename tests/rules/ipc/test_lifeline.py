import select
import socket
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

import pytest

from firstmate.ipc.lifeline import CALLERS_PER_PEER, LINE_OCTETS_MAX, REDIAL_US, Hello, Lifeline
from firstmate.model import jsonable
from firstmate.model.messages import PeerView
from firstmate.model.units import S, Micros

A, B, C, STRANGER = (IPv4Address(f"127.77.0.{n}") for n in (1, 2, 3, 99))
NOW: Micros = 1_000 * S
CONNECTED = True
WAIT_S = 2.0  # far more than loopback takes; reached only by a failure
HELLO = Hello("lb-b", "0123456789ab", {"web": "MASTER"}, {"web": 254}, "2.6.12 up", "5/5")


def free_port() -> int:
    with socket.create_server((str(A), 0)) as found:
        port: int = found.getsockname()[1]
        return port


class Node:
    """A lifeline with the loop around it."""

    def __init__(self, own: IPv4Address, port: int, *peers: IPv4Address) -> None:
        self.line = Lifeline(own, port, peers)
        self.gone: list[IPv4Address] = []
        self.gone += self.line.tick(NOW)

    def turn(self, now_us: Micros, wait_s: float = 0) -> bool:
        """Serve what is ready; False when nothing was."""
        readable, writable, _ = select.select(self.line.readers(), self.line.writers(), [], wait_s)
        ready = {end.fileno() for end in [*readable, *writable]}
        self.gone += self.line.handle(ready, now_us)
        return bool(ready)

    def connected(self) -> list[bool]:
        return [view.connected for view in self.line.views()]


def until(condition: Callable[[], bool], *nodes: Node, now_us: Micros = NOW) -> None:
    for _ in range(1000):
        if condition():
            return
        for node in nodes:
            node.turn(now_us, WAIT_S / 1000)
    pytest.fail("it did not come to pass")


@pytest.fixture
def port() -> int:
    return free_port()


NewNode = Callable[..., Node]


@pytest.fixture
def new_node(port: int) -> Iterator[NewNode]:
    made: list[Node] = []

    def new(own: IPv4Address, *peers: IPv4Address) -> Node:
        made.append(Node(own, port, *peers))
        return made[-1]

    yield new
    for node in made:
        node.line.close()


@pytest.fixture
def two(new_node: NewNode) -> tuple[Node, Node]:
    """A and B, connected both ways."""
    a, b = new_node(A, B), new_node(B, A)
    until(lambda: not a.line.writers(), a)  # refused: B did not listen yet when A dialled
    assert a.line.tick(NOW + REDIAL_US) == []
    until(lambda: a.connected() == b.connected() == [True], a, b)
    return a, b


Two = tuple[Node, Node]


def test_peers_tell_each_other(two: Two) -> None:
    a, b = two
    assert b.line.say(HELLO, NOW) == []
    until(lambda: a.line.views()[0].node != "", a, now_us=NOW + 5)
    wanted = PeerView(
        B, CONNECTED, "lb-b", "0123456789ab", {"web": "MASTER"}, {"web": 254}, "2.6.12 up", "5/5", NOW + 5
    )
    assert a.line.views() == (wanted,)
    assert b.line.views() == (PeerView(A, connected=True),)


def test_an_answered_call_is_told_once(two: Two) -> None:
    assert [node.line.take_arrivals() for node in two] == [True, True]
    assert [node.line.take_arrivals() for node in two] == [False, False]


def test_only_the_newest_hello_counts(two: Two) -> None:
    a, b = two
    for node in ("one", "two", "lb-b"):
        b.line.say(Hello(node, "", {}, {}, "", ""), NOW)
    until(lambda: a.line.views()[0].node == "lb-b", a)


def test_a_dead_process_is_gone(two: Two) -> None:
    a, b = two
    b.line.close()  # as its kernel does for it
    until(lambda: a.gone == [B], a)
    assert a.connected() == [False]
    assert a.line.deadline_us == NOW + REDIAL_US


def test_a_death_is_told_once(two: Two) -> None:
    a, b = two
    b.line.close()
    until(lambda: a.gone == [B], a)
    for n in range(1, 4):
        a.gone += a.line.tick(NOW + n * REDIAL_US)
        while a.turn(NOW + n * REDIAL_US, 0.005):
            pass
    assert a.gone == [B]


def test_a_death_noticed_by_talking(two: Two) -> None:
    a, b = two
    b.line.close()
    found: list[IPv4Address] = []
    for n in range(10):
        found += a.line.say(HELLO, NOW + n)
        select.select(a.line.readers(), [], [], 0.005)
    until(lambda: [*found, *a.gone] == [B], a)


def test_a_process_that_came_back_is_not_gone(two: Two, new_node: NewNode) -> None:
    a, b = two
    b.line.close()
    again = new_node(B, A)  # before A looks
    until(lambda: a.connected() == [True], a, again)
    assert a.gone == []


def test_a_peer_that_never_came_is_not_gone(new_node: NewNode) -> None:
    a = new_node(A, B)
    while a.turn(NOW, 0.005):
        pass
    assert (a.gone, a.connected()) == ([], [False])
    assert a.line.deadline_us == NOW + REDIAL_US


def test_silence_says_nothing(two: Two) -> None:
    a, _ = two
    a.gone += a.line.tick(NOW + 3600 * S)
    assert not a.turn(NOW + 3600 * S)
    assert (a.gone, a.connected()) == ([], [True])


def test_a_peer_that_does_not_read_is_not_waited_for(two: Two) -> None:
    a, _ = two
    for _ in range(2000):
        assert a.line.say(Hello("x" * 8000, "", {}, {}, "", ""), NOW) == []
    assert a.connected() == [True]


def call(source: IPv4Address, port: int) -> socket.socket:
    return socket.create_connection((str(A), port), timeout=WAIT_S, source_address=(str(source), 0))


def hung_up(caller: socket.socket, node: Node) -> bool:
    while node.turn(NOW, 0.005):
        pass
    try:
        return caller.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def test_a_stranger_is_refused(port: int, new_node: NewNode) -> None:
    a = new_node(A, B)
    with call(STRANGER, port) as caller:
        assert hung_up(caller, a)
    assert len(a.line.readers()) == 1


# fmt: off
LINES = {
    "no JSON":          b"hello\n",
    "another record":   b'{"type":"Beat","at_us":1}\n',
    "too long":         b"x" * (LINE_OCTETS_MAX + 1),
    "too long in time": b'{"node":"' + b"x" * LINE_OCTETS_MAX + b'"}\n',
}
# fmt: on


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_who_talks_nonsense_is_hung_up_on(line: bytes, port: int, new_node: NewNode) -> None:
    a = new_node(A, B)
    with call(B, port) as caller:
        a.turn(NOW, WAIT_S)
        caller.sendall(line)
        assert hung_up(caller, a)
    assert a.line.views() == (PeerView(B, connected=False),)


def test_a_hello_may_come_in_pieces(port: int, new_node: NewNode) -> None:
    a = new_node(A, B)
    line = jsonable.dumps(HELLO).encode() + b"\n"
    with call(B, port) as caller:
        for at in range(0, len(line), 50):
            caller.sendall(line[at : at + 50])
            while a.turn(NOW, 0.002):
                pass
        assert a.line.views()[0].node == "lb-b"


def test_callers_are_bounded(port: int, new_node: NewNode) -> None:
    a = new_node(A, B, C)
    callers = [call(B, port) for _ in range(CALLERS_PER_PEER + 3)] + [call(C, port)]
    while a.turn(NOW, 0.01):
        pass
    assert len(a.line.readers()) == 1 + CALLERS_PER_PEER + 1
    for caller in callers:
        caller.close()


def test_a_taken_port_is_tried_again(port: int, new_node: NewNode) -> None:
    with socket.create_server((str(A), port)):
        a = new_node(A, B)
        assert a.line.readers() == []
        assert a.line.deadline_us == NOW + REDIAL_US
    a.line.tick(NOW + REDIAL_US - 1)
    assert a.line.readers() == []
    a.line.tick(NOW + REDIAL_US)
    assert len(a.line.readers()) == 1


def test_an_address_that_is_not_ours_is_no_error(new_node: NewNode) -> None:
    a = new_node(IPv4Address("192.0.2.1"), B)
    assert (a.gone, a.connected(), a.line.deadline_us) == ([], [False], NOW + REDIAL_US)


def test_without_peers_it_only_listens(new_node: NewNode) -> None:
    a = new_node(A)
    assert (a.line.views(), a.line.writers(), len(a.line.readers())) == ((), [], 1)
    assert a.line.deadline_us > NOW + 1000 * REDIAL_US
    a.line.close()
    assert a.line.readers() == []


def test_a_hello_longer_than_the_kernel_takes_arrives_whole(two: Two) -> None:
    a, b = two
    for dial in b.line._dials.values():
        assert dial.end is not None
        dial.end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    names = [f"router-of-a-long-name-{number}" for number in range(1500)]
    long = Hello("lb-b", "", dict.fromkeys(names, "BACKUP"), dict.fromkeys(names, 254), "", "")
    assert len(jsonable.dumps(long)) < LINE_OCTETS_MAX
    b.line.say(long, NOW)
    b.line.say(Hello("another", "", {}, {}, "", ""), NOW)  # left out: the one before is still on its way
    until(lambda: a.line.views()[0].states is not None, a, b)
    assert a.line.views()[0].states == long.states
    assert (a.gone, b.gone) == ([], [])
    b.line.say(HELLO, NOW)
    until(lambda: a.line.views()[0].haproxy == "2.6.12 up", a, b)


def test_one_that_ends_with_half_a_hello_unsent_is_gone(two: Two) -> None:
    a, b = two
    for _ in range(2000):
        b.line.say(Hello("x" * 100_000, "", {}, {}, "", ""), NOW)
    assert b.line.writers() != []
    a.line.close()
    until(lambda: b.gone == [A], b)
