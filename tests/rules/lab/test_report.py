import re
from html.parser import HTMLParser

from firstmate.lab.answers import Answer, Outage, Outcome
from firstmate.lab.report import render
from firstmate.lab.sightings import Kind, Sighting
from firstmate.lab.topology import standard_site
from firstmate.lab.verdict import Moment, Trial
from firstmate.model.units import MS, S

LOST = Outage(1000 * MS, 1240 * MS, 240 * MS, 3, 600, 0, {"timeout": 3}, 1001 * MS)
TRIAL = Trial(
    "link-down", "pull the <cable>", "lb-a", S, 2 * S, 3 * S, LOST, LOST, 250 * MS,
    (Moment(5 * MS, "lb-b", "says <b>priority</b> 0"),),
)  # fmt: skip
SEEN = [Answer(t * MS, t * MS + 900, Outcome.OK, "web1", "10.0.1.10") for t in range(0, 1000, 10)]
SEEN += [Answer(1001 * MS, 1501 * MS, Outcome.TIMEOUT), Answer(1300 * MS, 1302 * MS, Outcome.OK, "web2", "10.0.1.11")]
SIGHTINGS = [
    Sighting(t * MS, "lb-a" if t < 1000 else "lb-b", Kind.ADVERT, "10.0.1.10", "", 51, 254 if t != 1300 else 0)
    for t in range(0, 2000, 100)
]


class Checker(HTMLParser):
    """Every element that is opened is closed, in order."""

    EMPTY = frozenset({"meta", "path", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.seen.append(tag)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    page = render([TRIAL], SEEN, SIGHTINGS, standard_site())
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert checker.seen.count("svg") == 2  # the overview and the trial
    assert not re.search(r"(src|href)=|url\(|@import", page)
    assert "1 of 1 limits held" in page
    assert "pull the &lt;cable&gt;" in page
    assert "says &lt;b&gt;priority&lt;/b&gt; 0" in page


def test_the_fault_window_is_shaded_and_each_failure_drawn() -> None:
    page = render([TRIAL], SEEN, SIGHTINGS, standard_site())
    assert page.count('class="shade"') == 2
    misses = re.search(r'<path class="bad" d="([^"]*)"', page)
    assert misses is not None
    assert misses[1].count("M") == 1
    assert page.count("<circle") == 1  # the farewell


def test_nothing_recorded_still_makes_a_page() -> None:
    page = render([], [], [], standard_site())
    assert "No answers were recorded" in page
    assert "0 of 0 limits held" in page
