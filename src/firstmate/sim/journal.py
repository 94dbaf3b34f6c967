"""What happened, for people: the last events of a story, formatted only when somebody reads them."""

from collections import deque

from firstmate.model.units import S, Micros
from firstmate.sim.agenda import Agenda

ENTRIES_MAX = 2_000  # a story that goes wrong early must not fill the memory


class Journal:
    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._entries: deque[tuple[Micros, str, str, tuple[object, ...]]] = deque(maxlen=ENTRIES_MAX)

    def note(self, who: str, text: str, *values: object) -> None:
        """`text` is a format string for `values`."""
        self._entries.append((self._agenda.now_us, who, text, values))

    def lines(self, last: int) -> list[str]:
        return [
            f"{at_us / S:12.6f}  {who:8} {text.format(*values)}"
            for at_us, who, text, values in [*self._entries][-last:]
        ]
