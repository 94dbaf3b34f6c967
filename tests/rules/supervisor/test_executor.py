from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from firstmate.model.messages import Bequest, Holding, Will
from firstmate.model.plan import Route, Vip
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
    executor.keep("web", WILL)
    assert executor.execute().startswith("said priority 0 1 times and released 1 addresses for it")
    assert executor.execute() == ""


def test_failures_are_counted_and_stop_nothing(executor: Executor) -> None:
    executor.keep("web", WILL)
    # The advert cannot leave; an address that went with its interface is no failure.
    assert executor.execute().endswith(", 1 of these failed")


def test_later_will_replaces_the_one_before(executor: Executor) -> None:
    executor.keep("web", WILL)
    executor.keep("web", Will((), ()))
    assert executor.execute() == ""


def test_routes_and_rules_are_told_of_and_gone_is_no_failure(executor: Executor) -> None:
    holding = Holding((), (Route(VIP, 32, dev=NOWHERE),), ())
    executor.keep("web", Will((), (holding, holding)))
    assert executor.execute() == "said priority 0 0 times and released 0 addresses, 2 routes for it"
