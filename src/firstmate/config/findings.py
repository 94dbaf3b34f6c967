"""Problems as they are found, and `Spot`: one value of the file together with where it stands."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Never, TypeAlias

from firstmate.config.codes import Code
from firstmate.config.places import Path
from firstmate.config.toml import Document
from firstmate.model.problems import Problem, Severity

Refusal: TypeAlias = Never | None  # noqa: RUF020 - always None, but a reader may return it in place of its value
PROBLEMS_MAX = 100  # of each severity; nobody reads more, and a hostile file must not cost minutes


@dataclass(slots=True)
class Findings:
    """Collects the problems of one document."""

    document: Document
    _kept: dict[Severity, list[Problem]] = field(default_factory=lambda: {kind: [] for kind in Severity})
    _dropped: int = 0
    noted: int = 0  # how often a problem was noted, kept or not

    def add(self, code: Code, path: Path, text: str, hint: str = "", *, on_key: bool = False) -> None:
        """Note a problem at the value (or the key) of `path`."""
        self.noted += 1
        severity = Severity.WARNING if code.value.startswith("W") else Severity.ERROR
        kept = self._kept[severity]
        if len(kept) >= PROBLEMS_MAX:
            self._dropped += 1
            return
        place = self.document.place(path)
        span = place.key if on_key else place.value
        problem = Problem(code.value, text, hint, self.document.file, span.line, span.column, span.width, severity)
        if problem not in kept:
            kept.append(problem)

    @property
    def full(self) -> bool:
        """No further error will be kept: a costly hint would be wasted."""
        return len(self._kept[Severity.ERROR]) >= PROBLEMS_MAX

    @property
    def failed(self) -> bool:
        return bool(self._kept[Severity.ERROR])

    def problems(self) -> tuple[Problem, ...]:
        """All of them, in the order of the file; a last one counts those that were not kept."""
        kept = [problem for problems in self._kept.values() for problem in problems]
        kept.sort(key=lambda problem: (problem.line, problem.column, problem.code))
        if self._dropped:
            severity = Severity.ERROR if self.failed else Severity.WARNING
            text = f"and {self._dropped} more problems"
            hint = "correct these first"
            kept.append(Problem(Code.MORE.value, text, hint, self.document.file, severity=severity))
        return tuple(kept)


@dataclass(frozen=True, slots=True)
class Spot:
    """One value of the file. A reader takes a Spot and gives a value, or None once it has complained."""

    value: Any
    path: Path
    findings: Findings

    @property
    def key(self) -> str:
        """The name of the key this value belongs to, also for an item of its array."""
        return next((part for part in reversed(self.path) if isinstance(part, str)), "file")

    @property
    def kind(self) -> str:
        """What the value is, in an operator's words."""
        match self.value:
            case bool():
                return "true or false"
            case str():
                return "text"
            case int():
                return "a whole number"
            case float():
                return "a number with a fraction"
            case list():
                return "a list"
            case dict():
                return "a table"
            case _:
                return "a date or time"

    def child(self, key: str | int) -> "Spot":
        return Spot(self.value[key], (*self.path, key), self.findings)

    def children(self) -> Iterator["Spot"]:
        keys = self.value if isinstance(self.value, dict) else range(len(self.value))
        for key in keys:
            yield self.child(key)

    def error(self, code: Code, text: str, hint: str = "", *, on_key: bool = False) -> Refusal:
        """Note a problem; the None it gives is what the reader answers."""
        self.findings.add(code, self.path, text, hint, on_key=on_key)
        return None

    def wrong_type(self, wanted: str, hint: str = "") -> Refusal:
        return self.error(Code.WRONG_TYPE, f'"{self.key}" takes {wanted}, not {self.kind}', hint)
