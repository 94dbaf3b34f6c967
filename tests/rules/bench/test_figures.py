import pytest
from bench import figures
from bench.figures import Boot, Healing, Load, Loss, Spread, spread

from firstmate.lab.answers import Answer, Outcome
from firstmate.lab.sightings import Kind, Sighting

MS = 1000
OURS, EXPERT = figures.FIRSTMATE, figures.BASELINE


def loss(
    subject: str,
    fault: str = "haproxy-crash",
    outage_ms: int | None = 10,
    *,
    failed: int = 0,
    announced_ms: int | None = 10,
    disturbed: bool = False,
) -> Loss:
    return Loss(
        subject,
        fault,
        1,
        None if outage_ms is None else outage_ms * MS,
        failed,
        None if announced_ms is None else announced_ms * MS,
        20 * MS,
        0,
        0,
        disturbed,
    )


def healing(steady_ms: int, gap_ms: int | None = 10, *, agreed: bool = True, disturbed: bool = False) -> Healing:
    gap_us = None if gap_ms is None else gap_ms * MS
    return Healing(OURS, 1, 1, 5 * MS, gap_us, steady_ms * MS, agreed, disturbed)


def advert(at_us: int, host: str, priority: int = 100, kind: Kind = Kind.ADVERT) -> Sighting:
    return Sighting(at_us, host, kind, "10.0.1.10", "", priority=priority)


def answer(start_us: int, end_us: int, outcome: Outcome = Outcome.OK, via: str = "a") -> Answer:
    return Answer(start_us, end_us, outcome, "web1", via)


# fmt: off
SPREADS = {  #       values              median  low   high  count   in ms
    "one":          ([5_000],            (5_000, 5_000, 5_000, 1),   "5"),
    "odd":          ([9_000, 1_000, 4_000], (4_000, 1_000, 9_000, 3), "4 [1–9]"),
    "even":         ([1_000, 4_000],     (2_500, 1_000, 4_000, 2),   "2 [1–4]"),
    "never once":   ([None, 1_000, 4_000], (4_000, 1_000, None, 3),  "4 [1–never]"),
    "never half":   ([None, 1_000],      (None, 1_000, None, 2),     "never [1–never]"),
    "never at all": ([None, None],       (None, None, None, 2),      "never"),
    "zero and never": ([0, None],  (None, 0, None, 2),         "never [0–never]"),
}
# fmt: on


@pytest.mark.parametrize(("values", "found", "words"), SPREADS.values(), ids=SPREADS)
def test_spread(
    values: list[float | None], found: tuple[float | None, float | None, float | None, int], words: str
) -> None:
    assert spread(values) == Spread(*found)
    assert figures.in_ms(spread(values)) == words


def test_no_values_have_no_spread() -> None:
    assert spread([]) is None
    assert figures.in_ms(None) == figures.MISSING


def test_a_ratio_needs_two_finite_medians() -> None:
    assert figures.ratio(spread([1]), spread([4])) == 0.25
    assert figures.ratio(spread([1]), spread([None])) is None
    assert figures.ratio(spread([None]), spread([1])) is None
    assert figures.ratio(spread([1]), spread([0])) is None
    assert figures.ratio(None, spread([1])) is None


def test_advertisers_are_those_who_lead_one_after_the_other() -> None:
    seen = [
        advert(1, "lb-b"),
        advert(10, "lb-a"),
        advert(20, "lb-a"),
        advert(25, "lb-b", priority=0),
        advert(26, "lb-b", kind=Kind.ARP),
        advert(30, "lb-b"),
        advert(40, "lb-a"),
        advert(90, "lb-b"),
    ]
    assert figures.advertisers(seen, 10, 50) == ["lb-a", "lb-b", "lb-a"]
    assert figures.advertisers(seen, 60, 80) == []


# fmt: off
LED = {  #                  adverts: who at which ms                                      leaders
    "nobody":               ([],                                                          []),
    "one":                  ([("a", 0), ("a", 100), ("a", 200)],                          ["a"]),
    "preempted":            ([("b", 0), ("b", 100), ("a", 120), ("a", 220)],              ["b", "a"]),
    "crossed":              ([("b", 0), ("b", 100), ("a", 120), ("b", 121), ("a", 122)],  ["b", "a"]),
    "crossed at the start": ([("b", 0), ("a", 1), ("a", 101)],                            ["a"]),
    "flapping":             ([("a", 0), ("b", 50), ("a", 100), ("b", 150)],               ["a", "b", "a", "b"]),
}
# fmt: on


@pytest.mark.parametrize(("adverts", "led"), LED.values(), ids=LED)
def test_leaders(adverts: list[tuple[str, int]], led: list[str]) -> None:
    assert figures.leaders([advert(at, host) for host, at in adverts], 0, 1000, 50) == led


def test_servers_are_in_the_order_of_their_answers() -> None:
    seen = [
        answer(5, 30, via="b"),
        answer(6, 20),
        answer(7, 10),
        answer(8, 9, Outcome.RESET, "c"),
        answer(1, 2, via="d"),
    ]
    assert figures.servers(seen, 5, 50) == ["a", "b"]


def test_steady_after_the_last_stranger_or_failure() -> None:
    fine = [answer(100, 101), answer(300, 301)]
    assert figures.steady_us(fine, 100, 400, "a") == 0
    assert figures.steady_us([*fine, answer(140, 150, via="b")], 100, 400, "a") == 50
    assert figures.steady_us([*fine, answer(170, 399, Outcome.TIMEOUT)], 100, 400, "a") == 70
    assert figures.steady_us([*fine, answer(170, 399, Outcome.STALL)], 100, 400, "a") == 0
    assert figures.steady_us([*fine, answer(90, 399, Outcome.TIMEOUT)], 100, 400, "a") == 0
    assert figures.steady_us([*fine, answer(500, 501, via="b")], 100, 400, "a") == 0


def test_the_table_of_losses_leaves_disturbed_runs_out() -> None:
    losses = [loss(OURS, outage_ms=20), loss(OURS, outage_ms=900, disturbed=True), loss(EXPERT, outage_ms=80)]
    table = figures.loss_table(losses, [OURS, EXPERT], ["haproxy-crash", "stop"], figures.outages)
    assert table == [
        ["fault", OURS, EXPERT, "firstmate / expert"],
        ["haproxy-crash", "20", "80", "0.25"],
        ["stop", figures.MISSING, figures.MISSING, figures.MISSING],
    ]


def test_the_table_of_failures_counts_requests() -> None:
    losses = [loss(OURS, failed=1), loss(OURS, failed=4)]
    assert figures.failure_table(losses, [OURS], ["haproxy-crash"])[1] == ["haproxy-crash", "2.5 [1–4]"]


def met(targets: list[figures.Target]) -> dict[str, bool | None]:
    return {target.what: target.met for target in targets}


def test_targets_are_ratios_of_medians() -> None:
    losses = [loss(OURS, outage_ms=35), loss(EXPERT, outage_ms=100)]
    what = "haproxy-crash: client outage, of expert's"
    assert met(figures.failover_targets(losses, [], [], 100 * MS))[what] is True
    assert met(figures.failover_targets([loss(OURS, outage_ms=36), losses[1]], [], [], 100 * MS))[what] is False
    assert met(figures.failover_targets(losses[:1], [], [], 100 * MS))[what] is None


def test_after_a_kill_the_advert_counts_and_not_the_client() -> None:
    losses = [
        loss(OURS, "daemon-kill", 500, announced_ms=30),
        loss(EXPERT, "daemon-kill", 10, announced_ms=300),
    ]
    targets = figures.failover_targets(losses, [], [], 100 * MS)
    assert [target for target in targets if target.met] == [
        figures.Target("daemon-kill: first advert of the new MASTER, of expert's", "≤ 0.3", "0.10", met=True)
    ]


@pytest.mark.parametrize(("failed", "verdict"), [([0, 0], True), ([0, 1], False), ([], None)])
def test_a_graceful_stop_may_fail_nothing(failed: list[int], verdict: bool | None) -> None:
    losses = [loss(OURS, "stop", failed=count) for count in failed]
    targets = figures.failover_targets(losses, [], [], 100 * MS)
    assert met(targets)["stop: failed requests, all rounds"] is verdict


# fmt: off
HEALINGS = {  #        given                                     steady  no holes
    "fine":           ([healing(100)],                           (True,  True)),
    "late":           ([healing(101)],                           (False, True)),
    "black hole":     ([healing(50, None)],                      (True,  False)),
    "long gap":       ([healing(50, 1001)],                      (True,  False)),
    "wrong server":   ([healing(50, agreed=False)],              (True,  False)),
    "disturbed":      ([healing(900, None, disturbed=True)],     (None,  None)),
}
# fmt: on


@pytest.mark.parametrize(("given", "verdicts"), HEALINGS.values(), ids=HEALINGS)
def test_healing_targets(given: list[Healing], verdicts: tuple[bool | None, bool | None]) -> None:
    found = met(figures.failover_targets([], given, [], 100 * MS))
    names = ("partition healed: client steady after, ms", "partition healed: black holes, or MASTER does not serve")
    assert tuple(found[name] for name in names) == verdicts


@pytest.mark.parametrize(
    ("boots", "verdicts"),
    [
        ([Boot(OURS, 1, 5, 1, agreed=True)], [True, True]),
        ([Boot(OURS, 1, 5, 0, agreed=True), Boot(OURS, 2, 5, 2, agreed=False)], [False, False]),
        ([Boot(EXPERT, 1, 5, 9, agreed=False)], [None]),
    ],
)
def test_boot_targets(boots: list[Boot], verdicts: list[bool | None]) -> None:
    targets = figures.failover_targets([], [], boots, 100 * MS)
    assert [target.met for target in targets if target.what.startswith("boot")] == verdicts


def test_rows_of_healing_boot_and_load() -> None:
    healings = [healing(50), healing(70, None, agreed=False)]
    assert figures.healing_table(healings, [OURS, EXPERT])[1:] == [
        [OURS, "1", "5", "never [10–never]", "60 [50–70]", "1 of 2", "1 of 2"]
    ]
    boots = [Boot(OURS, 1, 800 * MS, 0, agreed=True)]
    assert figures.boot_table(boots, [OURS, EXPERT])[1:] == [[OURS, "800", "0", "1 of 1"]]
    loads = [Load(OURS, 1, 0, 30 * MS, 2, "SCHED_RR 50"), Load(OURS, 2, 2, 50 * MS, 4, "SCHED_RR 50")]
    assert figures.load_table(loads, [OURS, EXPERT])[1:] == [
        [OURS, "2", "0, 2", "40 [30–50]", "3 [2–4]", "SCHED_RR 50"]
    ]
    assert met(figures.load_targets(loads)) == {"changes of MASTER under load, all rounds": False}
    assert met(figures.load_targets([])) == {"changes of MASTER under load, all rounds": None}


def test_verdicts_are_said_plainly() -> None:
    targets = [figures.Target("a", "1", "0", met=True), figures.Target("b", "1", "2", met=False)]
    assert [row[3] for row in figures.target_table(targets)[1:]] == ["met", "**MISSED**"]


def test_markdown_is_aligned() -> None:
    assert figures.markdown([["a", "fault"], ["stop", "1"]]) == ("| a    | fault |\n|------|-------|\n| stop | 1     |")
