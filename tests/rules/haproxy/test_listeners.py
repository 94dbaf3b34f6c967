import socket
from pathlib import Path

import pytest

from firstmate.haproxy.fake import FakeHaproxy
from firstmate.haproxy.listeners import fetch_listeners


@pytest.mark.parametrize("count", [0, 1, 3])
def test_duplicates_of_what_it_listens_on(tmp_path: Path, count: int) -> None:
    with FakeHaproxy(tmp_path / "s") as haproxy:
        ours = haproxy.listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        fetched = fetch_listeners(str(haproxy.path), 5)
        assert [one.getsockname() for one in fetched] == [one.getsockname() for one in ours]
        assert all(one.fileno() != other.fileno() for one, other in zip(fetched, ours, strict=True))
        for one in [*fetched, *ours]:
            one.close()


def test_one_that_hands_out_nothing(tmp_path: Path) -> None:
    with FakeHaproxy(tmp_path / "s") as haproxy:
        haproxy.listeners = None
        with pytest.raises(OSError, match="no listening sockets are handed out"):
            fetch_listeners(str(haproxy.path), 5)


def test_a_hung_one(tmp_path: Path) -> None:
    with FakeHaproxy(tmp_path / "s") as haproxy:
        haproxy.hang()
        with pytest.raises(TimeoutError):
            fetch_listeners(str(haproxy.path), 0.01)


def test_no_socket(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fetch_listeners(str(tmp_path / "s"), 1)
