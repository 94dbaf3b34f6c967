from dataclasses import replace

import pytest
from tests.rules.sim.example import STORY, STRONG, WEAK, story
from tests.sim.broken import NeverClaims, NeverReleases

from firstmate.model.plan import Auth, ChecksumForm, GroupPlan, HmacKey, HmacPlan, PathPlan, Track, Transport
from firstmate.model.units import MS, S
from firstmate.sim import __main__ as program
from firstmate.sim import draw, report
from firstmate.sim.schedule import Fault, FaultKind
from firstmate.sim.world import World


def test_schedule_in_words() -> None:
    stop = Fault(2 * S, FaultKind.STOP, None, 1)
    cut = Fault(1 * S, FaultKind.PARTITION, 3 * S, side=frozenset({0, 2}))
    jump = Fault(2 * S, FaultKind.JUMP, 2 * S, jump_us=250 * MS)
    told = replace(story(cut, stop, jump), weather=replace(STORY.weather, loss=0.1))
    assert report.schedule(told) == [
        "seed 1: example, 2 nodes, 1 clients",
        "  n1 192.0.2.11, starts at 0.000000 s",
        "     vi1: VRRPv3 unicast, priority 254, every 100 ms, preempts",
        "  n2 192.0.2.12, starts at 0.000000 s",
        "     vi1: VRRPv3 unicast, priority 253, every 100 ms, preempts",
        "  weather: 0.1 ms..0.1 ms on the wire, processes up to 0.0 ms late, loss 10%",
        "  calm:    0.1 ms..0.1 ms on the wire, processes up to 0.0 ms late",
        "      1.000000  partition: n1 client1 for 2.0 s",
        "      2.000000  stopped: n2 for good",
        "      2.000000  clock jumps: n1 by 250 ms",
        "     10.000000  all is whole",
    ]


def test_a_reload_in_words() -> None:
    before, after = STORY.plans
    second = replace(after, routers=(replace(after.routers[0], priority=255, preempt=False),))
    reload = Fault(2 * S, FaultKind.RELOAD, 2 * S, 1)
    lines = report.schedule(replace(story(reload), reloaded=(before, second)))
    assert "  n1 after its reload: vi1: as before" in lines
    assert "  n2 after its reload: vi1: priority 255, preempt False" in lines
    assert "      2.000000  plan reloaded: n2" in lines


def test_failure_says_how_to_see_it_again() -> None:
    world = World(story(Fault(2 * S, FaultKind.STOP, 3 * S, 0)), NeverReleases)
    violation = world.run()
    assert violation is not None
    lines = report.failure(world, violation, 2, 5)
    assert f"VIOLATION of held at {violation.at_us / S:.6f} s, seed 1:" in lines
    assert lines[-1] == "again: python -m firstmate.sim --seed 1 --nodes 2"
    assert any("MASTER -> INIT: stopped" in line for line in lines)
    assert len([line for line in lines if line.startswith("      2.000000  n")]) <= 5


def test_main_says_that_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--schedules", "3"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("3 schedules (")
    assert out.endswith(" s: every invariant held\n")


def test_main_prints_the_first_failure_and_a_seed_prints_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--schedules", "200", "--nodes", "3"], NeverReleases) == 1
    first = capsys.readouterr().out
    assert "VIOLATION of held" in first
    again = first.splitlines()[-1].removeprefix("again: python -m firstmate.sim ").split()
    assert program.main(again, NeverReleases) == 1
    assert capsys.readouterr().out == first


def test_main_leaves_out_the_faults_that_a_failure_does_not_need(capsys: pytest.CaptureFixture[str]) -> None:
    seed = next(seed for seed in range(1, 100) if len(draw.schedule(seed).faults) > 4 and seed % 8 != 5)
    assert program.main(["--seed", str(seed), "--shrink"], NeverClaims) == 1
    out = capsys.readouterr().out
    assert "VIOLATION of held" in out
    assert not any(fault.value + ":" in out for fault in FaultKind)
    assert out.endswith(f"--seed {seed} --shrink\n")


def test_main_shows_a_story_that_went_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--seed", "4", "--timeline", "--last", "7"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("seed 4: ")
    assert "the last 7 events" in out


@pytest.mark.parametrize("wrong", [["--nodes", "6"], ["--schedules", "0"], ["--seed", "x"], ["now"]])
def test_main_refuses_what_it_does_not_know(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        program.main(wrong)
    assert end.value.code == 2
    assert "usage: python -m firstmate.sim" in capsys.readouterr().err


def test_features_in_words() -> None:
    first, second = STORY.plans
    router = replace(
        first.routers[0],
        hmac=HmacPlan((HmacKey(7, b"7" * 32),), 7, window_us=2 * S),
        checksum=ChecksumForm.AUTO,
        paths=(PathPlan(Transport.UDP, "eth1", STRONG, (WEAK,)),),
        track=(Track("haproxy"), Track("check", -20, reverse=True), Track("part")),
        down_timer_adverts=5,
        lower_prio_no_advert=True,
        higher_prio_send_advert=False,
    )
    other = replace(first.routers[0], name="vi2", version=2, auth=Auth.AH)
    plans = (replace(first, routers=(router, other), groups=(GroupPlan("all", ("vi1", "vi2")),)), second)
    fault = Fault(2 * S, FaultKind.FACT, 3 * S, 1, fact="number", value=-20)
    told = replace(story(fault), plans=plans, starts=(replace(STORY.starts[0], utc_skew_us=20 * S), STORY.starts[1]))
    lines = report.schedule(told)
    assert lines[1].endswith("starts at 0.000000 s, its clock 20.0 s ahead")
    assert lines[2].split("; ")[1:] == [
        "hmac enforce, key 7, window 2.0 s",
        "checksum auto",
        "also udp on eth1",
        "check weighs -20 reversed",
        "part must be well",
        "bears 5 silent intervals",
        "does not answer a weaker one",
        "yields in silence",
    ]
    assert lines[3].endswith("; auth ah")
    assert "  group all: vi1 vi2; weights do not count" in lines
    assert "      2.000000  fact changes: n2 number -20 for 1.0 s" in lines
