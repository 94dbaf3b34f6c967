"""Labs for tests: each has a name of its own, and is gone when its test is over."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.balancer import Balancer
from tests.lab.netns import MACS, Namespace, Site

from firstmate.lab import state
from firstmate.lab.lab import Lab
from firstmate.lab.wire import NotAllowed
from firstmate.linux.netlink import Netlink

_numbers = itertools.count()


@pytest.fixture
def lab_name() -> Iterator[str]:
    name = f"test-{os.getpid()}-{next(_numbers)}"
    yield name
    state.clear(state.directory_of(name))


@pytest.fixture
def lab(lab_name: str) -> Iterator[Lab]:
    """Hosts, cables and web servers; nothing runs on the load balancers."""
    made = Lab(name=lab_name)
    try:
        made.up()
    except NotAllowed as error:
        pytest.skip(str(error))
    yield made
    made.down()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.observer.look()
    strange = [frame.hex() for host, frame in made.observer.unreadable if host in {"a", "b"}]
    made.close()
    assert strange == []  # what pulse sends, the oracle can read


@pytest.fixture
def a(site: Site, tmp_path: Path) -> Iterator[Balancer]:
    made = Balancer(site, "a", tmp_path)
    yield made
    made.close()


@pytest.fixture
def b(site: Site, tmp_path: Path) -> Iterator[Balancer]:
    made = Balancer(site, "b", tmp_path)
    yield made
    made.close()


@pytest.fixture
def space() -> Iterator[Namespace]:
    """A namespace with eth0 (up, 10.0.1.11/24) and its other end peer0; the test runs inside."""
    made = Namespace()
    made.ip(
        f"link add eth0 address {MACS['a']} type veth peer name peer0",
        "link set eth0 up",
        "link set peer0 up",
        "addr add 10.0.1.11/24 dev eth0",
    )
    with made.entered():
        yield made
    made.close()


@pytest.fixture
def netlink(space: Namespace) -> Iterator[Netlink]:
    made = Netlink(watch=True)
    yield made
    made.close()
