"""How long a planned handover waits for HAProxy."""

import asyncio
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import pytest

from firstmate.ops import draining


async def drained(path: Path, connections: Iterator[str]) -> tuple[str, int]:
    """What `wait_drained` says of a HAProxy that answers these numbers in turn, and how often it asked."""
    asked = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readline()
        writer.write(f"Name: HAProxy\nCurrConns: {next(connections)}\nMaxconn: 100\n\n".encode())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_unix_server(answer, path):
        return await draining.wait_drained(str(path)), asked


@pytest.fixture(autouse=True)
def _in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "DRAIN_MIN_S", 0.0)
    monkeypatch.setattr(draining, "POLL_S", 0.0)


def test_idle_twice_is_idle(tmp_path: Path) -> None:
    outcome, asked = asyncio.run(drained(tmp_path / "s", chain("3", "0", "1", "0", "0")))
    assert (outcome, asked) == ("every connection has ended", 5)


def test_what_outlasts_the_limit_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "DRAIN_MAX_S", 0.05)
    outcome, _ = asyncio.run(drained(tmp_path / "s", repeat("7")))
    assert outcome == "7 connections outlast it and are cut"


def test_no_haproxy_to_ask_ends_the_wait(tmp_path: Path) -> None:
    outcome = asyncio.run(draining.wait_drained(str(tmp_path / "nobody")))
    assert outcome == "some connections outlast it and are cut"
