"""The demo's `report.html`: one page, nothing remote, readable without scripts. Pure."""

import html
from collections.abc import Sequence

from firstmate.lab import verdict
from firstmate.lab.answers import Answer, Outcome
from firstmate.lab.sightings import Kind, Sighting
from firstmate.lab.topology import Role, Site, draw
from firstmate.lab.verdict import Trial
from firstmate.model.units import MS, S, Micros

_WIDTH, _LEFT = 960, 56
_BUCKET_US: Micros = 50 * MS
_OVERVIEW_HEIGHT, _PLOT_HEIGHT, _LANE_HEIGHT = 120, 150, 16
_SLOW_US: Micros = 500 * MS  # top of the latency axis: the prober's time limit
_FAST_US: Micros = 500  # its bottom
_BEFORE_US: Micros = 300 * MS
_AHEAD_US: Micros = 2 * S  # of the first fault, in the overview

_STYLE = """
:root { --ink:#1c2330; --dim:#667085; --paper:#fff; --line:#d5dae3; --shade:#fdecc8;
  --good:#1d7a46; --bad:#c4281c; --lane0:#2563b8; --lane1:#8a4fb5; --lane2:#0f8b8d; --lane3:#a15c07 }
@media (prefers-color-scheme: dark) { :root { --ink:#e6e9ef; --dim:#98a2b3; --paper:#12161d; --line:#333b48;
  --shade:#3b3013; --good:#4cc282; --bad:#ff7264; --lane0:#6ea8ff; --lane1:#c792ea; --lane2:#4fd1d3; --lane3:#e0a458 } }
body { font:15px/1.5 system-ui,sans-serif; color:var(--ink); background:var(--paper); max-width:1000px;
  margin:2rem auto; padding:0 1rem }
h1 { font-size:1.5rem } h2 { font-size:1.15rem; margin-top:2.2rem }
pre, .mono { font-family:ui-monospace,monospace; font-size:13px }
pre { overflow-x:auto } .wide { overflow-x:auto }
table { border-collapse:collapse; width:100% } th { text-align:left; color:var(--dim); font-size:.85rem }
td, th { padding:.35rem .6rem .35rem 0; border-bottom:1px solid var(--line); vertical-align:top }
.PASS { color:var(--good); font-weight:700 } .FAIL { color:var(--bad); font-weight:700 }
svg { width:100%; min-width:640px; height:auto; display:block } svg text { fill:var(--dim); font-size:11px }
.shade { fill:var(--shade) } .axis { stroke:var(--line) } .bad { stroke:var(--bad); fill:none }
.good { fill:var(--good); opacity:.75 } .fault { stroke:var(--bad); stroke-dasharray:4 3 } .miss { fill:var(--bad) }
.heal { stroke:var(--good); stroke-dasharray:4 3 } .dim { color:var(--dim) }
"""


def render(trials: Sequence[Trial], seen: Sequence[Answer], sightings: Sequence[Sighting], site: Site) -> str:
    """The whole page. `seen` and `sightings` cover all trials, in order of time."""
    held = sum(trial.passed for trial in trials)
    sections = "\n".join(_section(trial, seen, sightings, site) for trial in trials)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>firstmate demo: {held} of {len(trials)} limits held</title><style>{_STYLE}</style></head><body>
<h1>firstmate: {held} of {len(trials)} limits held</h1>
<p>A client opened a new connection to http://{html.escape(site.vip)}/ every 2 ms. An outage is the longest time between
two good answers. Everything ran on one machine, in network namespaces.</p>
<div class="wide"><pre>{html.escape(draw(site))}</pre></div>
{_table(trials)}
<h2>All of it</h2>
<p class="dim">Answers in each 50 ms. Green: good. Red: failed. Shaded: from a fault to its healing.</p>
<div class="wide">{_overview(trials, seen)}</div>
{sections}
</body></html>
"""


def _table(trials: Sequence[Trial]) -> str:
    head, *body = verdict.rows(trials)
    lines = ["".join(f"<th>{html.escape(cell.capitalize())}</th>" for cell in head)]
    for row, trial in zip(body, trials, strict=True):
        cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in row[:-1])
        lines.append(f'{cells}<td class="{trial.verdict}">{html.escape(row[-1])}</td>')
    return f'<div class="wide"><table>{"".join(f"<tr>{line}</tr>" for line in lines)}</table></div>'


def _overview(trials: Sequence[Trial], seen: Sequence[Answer]) -> str:
    if not seen or not trials:
        return "<p>No answers were recorded.</p>"
    from_us, until_us = trials[0].at_us - _AHEAD_US, trials[-1].whole_us
    count = (until_us - from_us) // _BUCKET_US + 1
    good, bad = [0] * count, [0] * count
    for answer in seen:
        when_us = answer.start_us if answer.failed else answer.end_us
        if answer.outcome is not Outcome.STALL and from_us <= when_us <= until_us:
            (bad if answer.failed else good)[(when_us - from_us) // _BUCKET_US] += 1
    scale = _Scale(from_us, until_us)
    most = max(*(sum(pair) for pair in zip(good, bad, strict=True)), 1)
    height = _OVERVIEW_HEIGHT
    parts = [_shade(scale, trial.at_us, trial.healed_us, height) for trial in trials]
    for values, name in ((good, "good"), (bad, "miss")):
        bars = "".join(
            f"M{scale.x(from_us + i * _BUCKET_US):.1f} {height}v-{value * (height - 34) / most:.1f}"
            f"h{scale.width(_BUCKET_US):.2f}V{height}z"
            for i, value in enumerate(values)
            if value
        )
        parts.append(f'<path class="{name}" d="{bars}"/>')
    parts += [  # on two levels, so that neighbours do not overlap
        f'<text x="{scale.x(trial.at_us):.1f}" y="{12 + 13 * (number % 2)}">{html.escape(trial.fault)}</text>'
        for number, trial in enumerate(trials)
    ]
    return _svg(height + 22, "".join(parts) + _seconds(scale, height, from_us))


def _section(trial: Trial, seen: Sequence[Answer], sightings: Sequence[Sighting], site: Site) -> str:
    where = f" on {trial.host}" if trial.host else ""
    lost = trial.outage
    limit = f" of {trial.limit} allowed" if trial.limit else ""
    moments = "\n".join(html.escape(verdict.tell(moment)) for moment in trial.moments)
    problem = f'<p class="FAIL">{html.escape(trial.problem)}</p>' if trial.problem else ""
    return f"""
<h2>{html.escape(trial.fault)}{html.escape(where)} <span class="{trial.verdict}">{trial.verdict}</span></h2>
<p>{html.escape(trial.says)}. Outage {verdict.in_words(lost.gap_us)}{limit}; {lost.failed} of {lost.total} requests
failed; the site was whole again after {verdict.took(trial)}.</p>{problem}
<div class="wide">{_plot(trial, seen, sightings, site)}</div>
<div class="wide"><pre>{moments}</pre></div>"""


def _plot(trial: Trial, seen: Sequence[Answer], sightings: Sequence[Sighting], site: Site) -> str:
    """A dot for each good answer at its latency, a red stroke for each failure, a stroke below for each advert."""
    from_us, until_us = trial.at_us - _BEFORE_US, max(trial.whole_us, trial.at_us + S)
    scale = _Scale(from_us, until_us)
    window = [answer for answer in seen if from_us <= answer.end_us <= until_us]
    parts = [_shade(scale, trial.at_us, trial.healed_us, _PLOT_HEIGHT)]
    for level_us, label in ((MS, "1 ms"), (10 * MS, "10 ms"), (100 * MS, "100 ms")):
        y = _latency_y(level_us)
        parts.append(f'<path class="axis" d="M{_LEFT} {y:.1f}H{_WIDTH}"/><text x="4" y="{y + 4:.1f}">{label}</text>')
    for lane, host in enumerate(site.of(Role.BALANCER)):
        dots = "".join(
            f"M{scale.x(answer.end_us):.1f} {_latency_y(answer.end_us - answer.start_us):.0f}h0"
            for answer in window
            if answer.outcome is Outcome.OK and answer.via == host.address
        )
        parts.append(f'<path d="{dots}" stroke="var(--lane{lane % 4})" stroke-width="2.5" stroke-linecap="round"/>')
    misses = "".join(f"M{scale.x(answer.start_us):.1f} 2v12" for answer in window if answer.failed)
    parts.append(f'<path class="bad" d="{misses}"/><text x="4" y="12">failed</text>')
    parts.append(_lanes(scale, sightings, site, from_us, until_us))
    x, healed = scale.x(trial.at_us), scale.x(trial.healed_us)
    parts.append(
        f'<path class="fault" d="M{x:.1f} 0V{_PLOT_HEIGHT}"/><path class="heal" d="M{healed:.1f} 0V{_PLOT_HEIGHT}"/>'
    )
    lanes = len(site.of(Role.BALANCER)) * _LANE_HEIGHT
    return _svg(_PLOT_HEIGHT + lanes + 22, "".join(parts) + _seconds(scale, _PLOT_HEIGHT + lanes, trial.at_us))


def _lanes(scale: "_Scale", sightings: Sequence[Sighting], site: Site, from_us: Micros, until_us: Micros) -> str:
    parts = []
    for lane, host in enumerate(site.of(Role.BALANCER)):
        y = _PLOT_HEIGHT + lane * _LANE_HEIGHT
        mine = [s for s in sightings if s.host == host.name and from_us <= s.at_us <= until_us]
        adverts = "".join(
            f"M{scale.x(s.at_us):.1f} {y + 4}v9" for s in mine if s.kind is Kind.ADVERT and s.priority > 0
        )
        leaves = "".join(
            f'<circle class="miss" cx="{scale.x(s.at_us):.1f}" cy="{y + 8}" r="4"><title>priority 0</title></circle>'
            for s in mine
            if s.kind is Kind.ADVERT and s.priority == 0
        )
        parts.append(f'<text x="4" y="{y + 12}">{html.escape(host.name)}</text>')
        parts.append(f'<path d="{adverts}" stroke="var(--lane{lane % 4})" stroke-width="2"/>{leaves}')
    return "".join(parts)


class _Scale:
    """Time to horizontal place."""

    def __init__(self, from_us: Micros, until_us: Micros) -> None:
        self.from_us = from_us
        self.until_us = until_us
        self._per_us = (_WIDTH - _LEFT) / max(until_us - from_us, 1)

    def x(self, at_us: Micros) -> float:
        return _LEFT + (min(max(at_us, self.from_us), self.until_us) - self.from_us) * self._per_us

    def width(self, span_us: Micros) -> float:
        return span_us * self._per_us


def _latency_y(latency_us: Micros) -> float:
    """Logarithmic, 0.5 ms at the bottom and 500 ms at the top."""
    import math  # noqa: PLC0415 - only here

    bounded = min(max(latency_us, _FAST_US), _SLOW_US)
    share = math.log(bounded / _FAST_US) / math.log(_SLOW_US / _FAST_US)
    return _PLOT_HEIGHT - 6 - share * (_PLOT_HEIGHT - 26)


def _shade(scale: _Scale, from_us: Micros, until_us: Micros, height: int) -> str:
    x = scale.x(from_us)
    return f'<rect class="shade" x="{x:.1f}" y="0" width="{max(scale.x(until_us) - x, 1):.1f}" height="{height}"/>'


def _seconds(scale: _Scale, y: int, zero_us: Micros) -> str:
    first, last = -((zero_us - scale.from_us) // S), (scale.until_us - zero_us) // S
    step = max((last - first) // 12, 1)
    marks = [f'<path class="axis" d="M{_LEFT} {y}H{_WIDTH}"/>']
    for second in range(first, last + 1, step):
        x = scale.x(zero_us + second * S)
        label = f'<text x="{x + 2:.1f}" y="{y + 16}">{second} s</text>' if x < _WIDTH - 30 else ""
        marks.append(f'<path class="axis" d="M{x:.1f} {y}v5"/>{label}')
    return "".join(marks)


def _svg(height: int, body: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img">{body}</svg>'
