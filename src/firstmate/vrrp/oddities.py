"""What is odd on the wire: said once, counted, and remembered for as long as it goes on."""

from dataclasses import dataclass

from firstmate.model.messages import Oddity
from firstmate.model.units import S, Micros

ODDITIES_MAX = 256  # different ones; beyond that only counters speak
SAY_AGAIN_US: Micros = 3600 * S
KEPT_US: Micros = 10 * S  # one that was not seen for so long, and for three intervals, is over


@dataclass(slots=True)
class _Known:
    text: str
    since_us: Micros
    last_us: Micros
    said_us: Micros
    kept_us: Micros
    count: int = 1


class Oddities:
    """Keyed by the virtual router ("" for none), a stable code and who causes it."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], _Known] = {}

    def __len__(self) -> int:
        return len(self._known)

    def note(
        self, router: str, code: str, source: str, text: str, now_us: Micros, *, kept_us: Micros = KEPT_US
    ) -> bool:
        """It has just been seen; `kept_us`: how long it counts as going on. True: it is to be said."""
        key = (router, code, source)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= ODDITIES_MAX:
                self._forget(now_us)
            if len(self._known) >= ODDITIES_MAX:
                return False
            self._known[key] = _Known(text, now_us, now_us, now_us, kept_us)
            return True
        if now_us - known.last_us > known.kept_us:
            known.since_us, known.count = now_us, 0
        known.last_us, known.text, known.kept_us = now_us, text, kept_us
        known.count += 1
        if now_us - known.said_us < SAY_AGAIN_US:
            return False
        known.said_us = now_us
        return True

    def current(self, router: str, now_us: Micros) -> tuple[Oddity, ...]:
        """Those that go on now, oldest first."""
        if not self._known:
            return ()
        return tuple(
            Oddity(code, source, known.text, known.since_us, known.last_us, known.count)
            for (of, code, source), known in self._known.items()
            if of == router and now_us - known.last_us <= known.kept_us
        )

    def _forget(self, now_us: Micros) -> None:
        """Make room: what was said an hour ago and is over may be said again."""
        for key, known in list(self._known.items()):
            if now_us - max(known.said_us, known.last_us) >= SAY_AGAIN_US:
                del self._known[key]
