import asyncio
from pathlib import Path

import pytest

from firstmate.haproxy.fake import FakeHaproxy
from firstmate.ops import draining
from firstmate.ops.draining import wait_drained


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "DRAIN_MIN_S", 0.001)
    monkeypatch.setattr(draining, "DRAIN_MAX_S", 0.05)


@pytest.mark.parametrize(
    ("connections", "outcome"),
    [(0, "every connection has ended"), (3, "3 connections outlast it and are cut")],
)
def test_what_is_left(tmp_path: Path, connections: int, outcome: str) -> None:
    with FakeHaproxy(tmp_path / "s") as haproxy:
        haproxy.connections = connections
        assert asyncio.run(wait_drained(str(haproxy.path))) == outcome


def test_one_that_is_gone_holds_up_nothing(tmp_path: Path) -> None:
    assert asyncio.run(wait_drained(str(tmp_path / "s"))) == "some connections outlast it and are cut"


def test_one_that_hangs_holds_up_nothing_for_long(tmp_path: Path) -> None:
    with FakeHaproxy(tmp_path / "s") as haproxy:
        haproxy.hang()
        assert asyncio.run(wait_drained(str(haproxy.path))) == "some connections outlast it and are cut"
