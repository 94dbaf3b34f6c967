"""Labs for tests: each has a name of its own, and is gone when its test is over."""

import itertools
import os
from collections.abc import Iterator

import pytest

from firstmate.lab import state
from firstmate.lab.lab import Lab
from firstmate.lab.wire import NotAllowed

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
