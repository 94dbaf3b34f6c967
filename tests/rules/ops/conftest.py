"""Whoever blocks the loop of ops fails here."""

from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    with blockbuster_ctx("firstmate") as guard:
        # Starting a program waits until the kernel has it: a millisecond that no thread would make shorter.
        for name in ("os.read", "os.waitpid"):
            if name in guard.functions:
                guard.functions[name].can_block_in("subprocess.py", {"_execute_child", "_internal_poll", "_try_wait"})
        yield guard
