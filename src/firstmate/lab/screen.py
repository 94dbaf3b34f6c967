"""How the demo speaks: plain lines anywhere, colours and a moving strip on a terminal (`rich`, extra `lab`)."""

import os
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from firstmate.lab import strips, verdict
from firstmate.lab.answers import Answer
from firstmate.lab.faults import Fault, Injection
from firstmate.lab.sightings import Sighting
from firstmate.lab.verdict import Trial
from firstmate.model.units import MS, S, Micros, format_duration

STRIP_WIDTH = 72
BEFORE_US: Micros = 200 * MS
_LIVE_US: Micros = 3 * S  # width of the moving strip


class Screen(Protocol):
    def say(self, text: str = "") -> None:
        """A line, as it is."""

    def load(self, counts: dict[str, int], seconds: float) -> None:
        """How many answers each web server gave."""

    def begin(self, number: int, of: int, fault: Fault, host: str) -> None:
        """A trial is about to begin."""

    def progress(self, injection: Injection, seen: Sequence[Answer], sightings: Sequence[Sighting]) -> None:
        """It is being watched; called often."""

    def show(self, trial: Trial, seen: Sequence[Answer], sightings: Sequence[Sighting]) -> None:
        """It is over."""

    def table(self, trials: Sequence[Trial]) -> None:
        """All of them are."""


def open_screen() -> Screen:
    """For this standard output. NO_COLOR and a dumb terminal are respected."""
    if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("NO_COLOR"):
        try:
            return RichScreen()
        except ImportError:
            pass
    return PlainScreen()


class PlainScreen:
    def say(self, text: str = "") -> None:
        print(text, flush=True)

    def load(self, counts: dict[str, int], seconds: float) -> None:
        for line in load_lines(counts, seconds):
            self.say(line)

    def begin(self, number: int, of: int, fault: Fault, host: str) -> None:
        self.say(f"\n[{number}/{of}] {fault.name} on {host}: {fault.says}")

    def progress(self, injection: Injection, seen: Sequence[Answer], sightings: Sequence[Sighting]) -> None:
        pass

    def show(self, trial: Trial, seen: Sequence[Answer], sightings: Sequence[Sighting]) -> None:
        for line in trial_lines(trial, seen, sightings):
            self.say(line)

    def table(self, trials: Sequence[Trial]) -> None:
        for line in verdict.align(verdict.rows(trials)):
            self.say(line)


class RichScreen:
    """Raises `ImportError` without rich."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - 0.1 s, only for a terminal
        from rich.live import Live  # noqa: PLC0415

        self._console = Console(highlight=False)
        self._live_class = Live
        self._live: Any = None

    def say(self, text: str = "") -> None:
        self._stop_live()
        self._line(text)

    def load(self, counts: dict[str, int], seconds: float) -> None:
        self._stop_live()
        for line in load_lines(counts, seconds):
            self._console.print(line.replace(strips.GOOD, f"[green]{strips.GOOD}[/]"))

    def begin(self, number: int, of: int, fault: Fault, host: str) -> None:
        self._stop_live()
        self._console.print(f"\n[bold]\\[{number}/{of}] {fault.name}[/] on [bold]{host}[/]: {fault.says}")
        self._live = self._live_class(console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def progress(self, injection: Injection, seen: Sequence[Answer], sightings: Sequence[Sighting]) -> None:
        if self._live is None:
            return
        from rich.text import Text  # noqa: PLC0415

        from_us = injection.at_us - BEFORE_US
        answers, leaders = _strips(seen, sightings, from_us, from_us + _LIVE_US)
        text = Text.from_markup(f"  answers  {_coloured(answers)}\n  leader   {leaders}")
        self._live.update(text, refresh=True)

    def show(self, trial: Trial, seen: Sequence[Answer], sightings: Sequence[Sighting]) -> None:
        self._stop_live()
        for line in trial_lines(trial, seen, sightings):
            if line.startswith("  answers"):
                self._console.print(_coloured(line), soft_wrap=True)
            elif line.startswith(("  PASS", "  FAIL")):
                self._line(line, "bold green" if trial.passed else "bold red")
            else:
                self._line(line, "bold" if "client" in line[:22] else "")

    def table(self, trials: Sequence[Trial]) -> None:
        self._stop_live()
        head, *body = verdict.align(verdict.rows(trials))
        self._line(head, "bold")
        for line, trial in zip(body, trials, strict=True):
            at = line.rindex(trial.verdict)
            style = "bold green" if trial.passed else "bold red"
            self._console.print(f"{line[:at]}[{style}]{line[at:]}[/]", soft_wrap=True)

    def _line(self, text: str, style: str = "") -> None:
        """As it is: neither wrapped nor read as markup."""
        self._console.print(text, style=style, markup=False, soft_wrap=True)

    def _stop_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def load_lines(counts: dict[str, int], seconds: float) -> list[str]:
    """One bar for each web server."""
    most = max(counts.values(), default=1)
    return [
        f"  {name:<6} {strips.GOOD * max(round(40 * count / most), 1):<40} {count / seconds:4.0f} answers/s"
        for name, count in counts.items()
    ]


def trial_lines(trial: Trial, seen: Sequence[Answer], sightings: Sequence[Sighting]) -> list[str]:
    """The timeline, the strips and the verdict of one trial."""
    lines = [f"  {verdict.tell(moment)}" for moment in trial.moments]
    until_us = max(trial.healed_us, trial.at_us + S)
    from_us = trial.at_us - BEFORE_US
    answers, leaders = _strips(seen, sightings, from_us, until_us)
    lines.append(f"           {strips.ruler(from_us - trial.at_us, until_us - trial.at_us, STRIP_WIDTH)}")
    lines += [f"  answers  {answers}", f"  leader   {leaders}"]
    limit = f" (limit {trial.limit})" if trial.limit else ""
    lines.append(
        f"  {trial.verdict}  outage {verdict.in_words(trial.outage.gap_us)}{limit},"
        f" {trial.outage.failed} of {trial.outage.total} requests failed;"
        f" whole again after {verdict.took(trial)}"
    )
    if trial.problem:
        lines.append(f"  {trial.problem}")
    if trial.outage.disturbed:
        lines.append(
            f"  the client itself did not run for {format_duration(trial.outage.stall_us)}: do not trust this one"
        )
    return lines


def _strips(
    seen: Sequence[Answer], sightings: Sequence[Sighting], from_us: Micros, until_us: Micros
) -> tuple[str, str]:
    return (
        strips.answers_strip(seen, from_us, until_us, STRIP_WIDTH),
        strips.leaders_strip(sightings, from_us, until_us, STRIP_WIDTH),
    )


def _coloured(strip: str) -> str:
    colours = {strips.GOOD: "green", strips.MIXED: "yellow", strips.FAILED: "bold red"}
    if strip.startswith("  answers"):
        return strip[:11] + _coloured(strip[11:])
    return "".join(f"[{colours[letter]}]{letter}[/]" if letter in colours else letter for letter in strip)
