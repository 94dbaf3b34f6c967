from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from firstmate.model.messages import Bequest, Holding, Will
from firstmate.model.plan import Vip
from firstmate.supervisor.executor import Executor

NOWHERE = "fm-nowhere0"  # no such interface: nothing can be sent, whoever runs the test
VIP = IPv4Address("192.0.2.80")
WILL = Will(
    (Bequest(NOWHERE, IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"), b"\x31\x33\x00\x01\x00\x0a\x00\x00"),),
    (Holding((Vip(VIP, 24, NOWHERE),)),),
)


@pytest.fixture
def executor() -> Iterator[Executor]:
    one = Executor()
    yield one
    one._netlink.close()


def test_nothing_bequeathed_is_nothing_done(executor: Executor) -> None:
    assert executor.execute() == ""


def test_will_is_executed_once(executor: Executor) -> None:
    executor.keep(WILL)
    assert executor.execute().startswith("said priority 0 1 times and released 1 addresses for it")
    assert executor.execute() == ""


def test_failures_are_counted_and_stop_nothing(executor: Executor) -> None:
    executor.keep(WILL)
    # The advert cannot leave; an address that went with its interface is no failure.
    assert executor.execute().endswith(", 1 of these failed")


def test_later_will_replaces_the_one_before(executor: Executor) -> None:
    executor.keep(WILL)
    executor.keep(Will((), ()))
    assert executor.execute() == ""
