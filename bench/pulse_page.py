"""The page of `pulse`: targets and tables."""

from collections.abc import Callable, Sequence

from figures import Spread, Target, markdown, ratio, spread, target_table
from timing import Calm, Scale, Silences, Taken, down_interval_us, in_ms, late_row, percentile
from twins import PRIORITIES

from firstmate.model.units import MS, Micros, format_duration

OURS, THEIRS = "firstmate", "keepalived"
CPU_LIMIT, TIME_LIMIT, PSS_LIMIT, LATE_LIMIT_US = 1.0, 1.2, 60 << 20, 2 * MS
TARGET_ROUTERS, TARGET_INTERVAL_US = 200, 100 * MS


def render(scales: Sequence[Scale], silences: Sequence[Silences], calms: Sequence[Calm], ground: str) -> str:
    lone = [scale for scale in scales if scale.wires == 1]
    many = [scale for scale in scales if scale.wires > 1]
    parts = [
        ("Targets", target_table(_targets(lone, silences, calms))),
        ("Cost", _cost_table(lone)),
        ("Settled and taken over", _time_table(lone)),
        ("Takeover after silence, less the ideal down interval, ms", _silence_table(silences)),
        ("Nothing happens", _calm_table(calms)),
        ("Many virtual routers on four interfaces: cost", _cost_table(many)),
        ("Many virtual routers on four interfaces: settled and taken over", _time_table(many)),
    ]
    tables = "\n\n".join(f"## {title}\n\n{markdown(table)}" for title, table in parts if len(table) > 1)
    problems = "".join(f"- {problem}\n" for problem in _problems(scales, silences, calms)) or "- none\n"
    return f"# The election, measured\n\n{ground}\n\n{tables}\n\n## What could not be measured\n\n{problems}"


def say_scale(scale: Scale) -> str:
    """One line for who waits."""
    where = f"{scale.routers} × {format_duration(scale.interval_us)}"
    times = f"open {in_ms(scale.opened_us, 0)} settled {in_ms(scale.settled_us, 0)} ms, {scale.changes} changes"
    return (
        f"{where}: {times}; {scale.busy_ms} ms busy, "
        f"{scale.sent or 0:.0f} packets/s, CPU {scale.master_cpu or 0:.2f} {scale.backup_cpu or 0:.2f} %, "
        f"PSS {_mib(scale.master_pss)} {_mib(scale.backup_pss)} MiB; cut {_say_taken(scale.cut)}; "
        f"kill {_say_taken(scale.kill)} {scale.problem}"
    )


def say_silences(found: Silences) -> str:
    where = f"{format_duration(found.interval_us)}, {found.loops} loops, {found.scheduling}"
    n, least, middle, high, most = late_row(found.late_us)
    return f"{where}: n={n} late {middle} p99 {high} [{least}–{most}] ms {found.problem}"


def _cost_table(scales: Sequence[Scale]) -> list[list[str]]:
    table = [
        ["routers", "interval", "", "ms busy", "packets/s", "MASTER CPU %", "BACKUP CPU %", "of keepalived", "PSS MiB"]
    ]
    for group in _groups(scales):
        for subject in _subjects(group):
            mine = _of(group, subject)
            master, backup = _numbers(mine, lambda one: one.master_cpu), _numbers(mine, lambda one: one.backup_cpu)
            shares = [_cpu_share(group, subject, cell) for cell in (_master_cpu, _backup_cpu)]
            sizes = [_numbers(mine, cell) for cell in (_master_pss, _backup_pss)]
            table.append(
                [
                    *_head(group, subject),
                    _words(_numbers(mine, lambda one: one.busy_ms), 0),
                    _words(_numbers(mine, lambda one: one.sent), 0),
                    _words(master, 2),
                    _words(backup, 2),
                    ", ".join("–" if share is None else f"{share:.2f}" for share in shares),
                    ", ".join(_words(size, 1) for size in sizes),
                ]
            )
    return table


def _time_table(scales: Sequence[Scale]) -> list[list[str]]:
    """Times in ms, and as multiples of the ideal down interval."""
    head = ["routers", "interval", "", "sockets open", "settled after start", "after sockets", "changes of each"]
    table = [
        [*head, "cut: adverts", "cut: addresses", "kill: adverts", "kill: addresses", "late after a cut: p50, p99"]
    ]
    for group in _groups(scales):
        ideal_us = _ideal_us(group[0])
        for subject in _subjects(group):
            mine = _of(group, subject)
            cells = [
                _words(_numbers(mine, _opened), 0),
                *(_multiple(_numbers(mine, cell), ideal_us) for cell in (_settled, _settled_after_open)),
                _words(_numbers(mine, lambda one: one.changes), 1),
                *(_multiple(_numbers(mine, cell), ideal_us) for cell in _TAKEN.values()),
                ", ".join(in_ms(_median(mine, cell), 2) for cell in _LATE),
            ]
            table.append([*_head(group, subject), *cells])
    return table


def _silence_table(silences: Sequence[Silences]) -> list[list[str]]:
    table = [["interval", "busy loops", "", "scheduling", "takeovers", "least", "p50", "p99", "greatest"]]
    for interval_us, loops in dict.fromkeys((one.interval_us, one.loops) for one in silences):
        group = [one for one in silences if (one.interval_us, one.loops) == (interval_us, loops)]
        for subject in dict.fromkeys(one.subject for one in group):
            mine = [one for one in group if one.subject == subject]
            how = " and ".join(dict.fromkeys(one.scheduling for one in mine if one.scheduling))
            late = [us for one in mine for us in one.late_us]
            table.append([format_duration(interval_us), str(loops), subject, how, *late_row(late)])
    return table


def _calm_table(calms: Sequence[Calm]) -> list[list[str]]:
    table = [["interval", "busy loops", "", "scheduling", "minutes", "changes of MASTER", "adverts", "longest gap, ms"]]
    for one in calms:
        words = [format_duration(one.interval_us), str(one.loops), one.subject, one.scheduling]
        table.append([*words, f"{one.seconds / 60:g}", str(one.changes), str(one.adverts), in_ms(one.longest_us, 2)])
    return table


def _targets(scales: Sequence[Scale], silences: Sequence[Silences], calms: Sequence[Calm]) -> list[Target]:
    group = [one for one in scales if (one.routers, one.interval_us) == (TARGET_ROUTERS, TARGET_INTERVAL_US)]
    mine = _of(group, OURS)
    what = f"{TARGET_ROUTERS} × {format_duration(TARGET_INTERVAL_US)}"
    targets = []
    for name, cell in (("MASTER", _master_cpu), ("BACKUP", _backup_cpu)):
        share = _cpu_share(group, OURS, cell)
        targets.append(_target(f"{what}: CPU as {name}, of keepalived's", share, CPU_LIMIT))
    for name, of in (("settled after its start", _settled), ("settled after its sockets", _settled_after_open)):
        targets.append(_target(f"{what}: {name}, of the ideal", _over_ideal(mine, of), TIME_LIMIT))
    for name, of in _TAKEN.items():
        targets.append(_target(f"{what}: taken over, {name}, of the ideal", _over_ideal(mine, of), TIME_LIMIT))
    if not group:
        targets.clear()
    sizes = [size for one in scales if one.subject == OURS for size in (one.master_pss, one.backup_pss) if size]
    most = max(sizes) / (1 << 20) if sizes else None
    if sizes:
        targets.append(_target("PSS of all processes, MiB, most", most, PSS_LIMIT / (1 << 20)))
    for interval_us in dict.fromkeys(one.interval_us for one in silences):
        late = [
            us
            for one in silences
            if (one.subject, one.interval_us, one.loops) == (OURS, interval_us, 0)
            for us in one.late_us
        ]
        high = percentile(late, 99)
        name = f"takeover after silence at {format_duration(interval_us)}, idle: p99 late, ms"
        targets.append(_target(name, None if high is None else high / MS, LATE_LIMIT_US / MS))
    for calm in calms:
        if calm.subject == OURS:
            loops = f", {calm.loops} busy loops" if calm.loops else ""
            name = f"false takeovers in {calm.seconds / 60:g} minutes at {format_duration(calm.interval_us)}{loops}"
            targets.append(_target(name, float(calm.changes), 0))
    return targets


def _target(what: str, got: float | None, limit: float) -> Target:
    return Target(what, f"≤ {limit:g}", "–" if got is None else f"{got:.2f}", None if got is None else got <= limit)


def _problems(scales: Sequence[Scale], silences: Sequence[Silences], calms: Sequence[Calm]) -> list[str]:
    found = [
        f"{one.subject}, {one.routers} × {format_duration(one.interval_us)}, round {one.round}: {one.problem}"
        for one in scales
        if one.problem
    ]
    found += [
        f"{one.subject}, silences at {format_duration(one.interval_us)}, {one.loops} loops, round {one.round}: "
        f"{one.problem}"
        for one in silences
        if one.problem
    ]
    return found + [f"{one.subject}, nothing happens: {one.problem}" for one in calms if one.problem]


# What a cell is about


def _opened(scale: Scale) -> float | None:
    return None if scale.opened_us is None else scale.opened_us / MS


def _settled(scale: Scale) -> Micros | None:
    return scale.settled_us


def _settled_after_open(scale: Scale) -> Micros | None:
    return None if scale.settled_us is None or scale.opened_us is None else scale.settled_us - scale.opened_us


def _master_cpu(scale: Scale) -> float | None:
    return scale.master_cpu


def _backup_cpu(scale: Scale) -> float | None:
    return scale.backup_cpu


def _master_pss(scale: Scale) -> float | None:
    return None if scale.master_pss is None else scale.master_pss / (1 << 20)


def _backup_pss(scale: Scale) -> float | None:
    return None if scale.backup_pss is None else scale.backup_pss / (1 << 20)


_TAKEN: dict[str, Callable[[Scale], Micros | None]] = {
    "cut, adverts": lambda one: one.cut and one.cut.adverts_us,
    "cut, addresses": lambda one: one.cut and one.cut.addresses_us,
    "kill, adverts": lambda one: one.kill and one.kill.adverts_us,
    "kill, addresses": lambda one: one.kill and one.kill.addresses_us,
}


_LATE: tuple[Callable[[Scale], float | None], ...] = (
    lambda one: one.cut and one.cut.late_p50_us,
    lambda one: one.cut and one.cut.late_p99_us,
)

# Arithmetic


def _groups(scales: Sequence[Scale]) -> list[list[Scale]]:
    """Those of the same size and interval."""
    keys = dict.fromkeys((one.routers, one.interval_us) for one in scales)
    return [[one for one in scales if (one.routers, one.interval_us) == key] for key in keys]


def _subjects(group: Sequence[Scale]) -> list[str]:
    return sorted({one.subject for one in group})


def _of(scales: Sequence[Scale], subject: str) -> list[Scale]:
    return [one for one in scales if one.subject == subject]


def _head(group: Sequence[Scale], subject: str) -> list[str]:
    return [str(group[0].routers), format_duration(group[0].interval_us), subject]


def _ideal_us(scale: Scale) -> Micros:
    return down_interval_us(scale.interval_us, PRIORITIES[1])


def _numbers(scales: Sequence[Scale], cell: Callable[[Scale], float | None]) -> Spread | None:
    """Of those that came so far."""
    return spread([value for one in scales if (value := cell(one)) is not None])


def _cpu_share(group: Sequence[Scale], subject: str, cell: Callable[[Scale], float | None]) -> float | None:
    return ratio(_numbers(_of(group, subject), cell), _numbers(_of(group, THEIRS), cell))


def _median(scales: Sequence[Scale], cell: Callable[[Scale], float | None]) -> float | None:
    found = _numbers(scales, cell)
    return None if found is None else found.median


def _over_ideal(scales: Sequence[Scale], cell: Callable[[Scale], float | None]) -> float | None:
    found = _median(scales, cell)
    return None if found is None else found / _ideal_us(scales[0])


def _words(found: Spread | None, digits: int) -> str:
    if found is None or found.median is None or found.low is None or found.high is None:
        return "–"
    if found.count == 1:
        return f"{found.median:.{digits}f}"
    return f"{found.median:.{digits}f} [{found.low:.{digits}f}–{found.high:.{digits}f}]"


def _multiple(found: Spread | None, ideal_us: Micros) -> str:
    if found is None or found.median is None or found.low is None or found.high is None:
        return "–"
    ms = f"{found.median / MS:.0f} [{found.low / MS:.0f}–{found.high / MS:.0f}]"
    return f"{ms}: {found.median / ideal_us:.2f}×"


def _mib(octets: int | None) -> str:
    return "–" if octets is None else f"{octets / (1 << 20):.1f}"


def _say_taken(taken: Taken | None) -> str:
    if taken is None:
        return "–"
    late = [in_ms(us) for us in (taken.late_p50_us, taken.late_p99_us)]
    return f"{in_ms(taken.adverts_us, 0)}/{in_ms(taken.addresses_us, 0)} ms (late {', '.join(late)})"
