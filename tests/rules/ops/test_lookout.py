import asyncio
import threading
from collections.abc import Sequence

from firstmate.model.units import MS, S
from firstmate.ops.lookout import Lookout
from firstmate.policy.world import Event, Tick

PATIENCE_S = 20.0


def test_it_looks_at_once_and_again_and_not_after_its_end() -> None:
    async def scenario() -> None:
        found: list[Event] = []
        enough = asyncio.Event()
        threads: set[int] = set()

        def look() -> Sequence[Event]:
            threads.add(threading.get_ident())
            return [Tick()]

        def put(event: Event) -> None:
            found.append(event)
            if len(found) == 3:
                enough.set()

        lookout = Lookout("test", 1 * MS, look, put)
        async with asyncio.timeout(PATIENCE_S):
            await enough.wait()
        lookout.stop()
        del found[:]
        await asyncio.sleep(0.01)
        assert found == []
        assert threads.isdisjoint({threading.get_ident()})

    asyncio.run(scenario())


def test_one_that_hangs_holds_up_nobody() -> None:
    release = threading.Event()

    async def scenario() -> None:
        heard = asyncio.Event()
        found: list[Event] = []

        def hang() -> Sequence[Event]:
            release.wait(PATIENCE_S)
            return [Tick()]

        hung = Lookout("hung", 1 * S, hang, found.append)
        other = Lookout("other", 1 * S, lambda: [Tick()], lambda _: heard.set())
        async with asyncio.timeout(PATIENCE_S):
            await heard.wait()
        hung.stop()
        other.stop()
        release.set()
        await asyncio.sleep(0.01)
        assert found == [], "it was told to stop"

    asyncio.run(scenario())


def test_one_that_outlives_the_loop_ends_quietly() -> None:
    release = threading.Event()
    late = threading.Event()

    async def scenario() -> None:
        def look() -> Sequence[Event]:
            release.wait(PATIENCE_S)
            late.set()
            return [Tick()]

        Lookout("late", 1 * S, look, lambda _: None)

    asyncio.run(scenario())
    release.set()
    assert late.wait(PATIENCE_S)
