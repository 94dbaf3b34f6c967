from dataclasses import replace

from firstmate.lab.answers import Outage
from firstmate.lab.sightings import Kind, Sighting
from firstmate.lab.verdict import Moment, Trial, align, in_words, rows, tell, timeline
from firstmate.model.units import MS, S

LOST = Outage(1000 * MS, 1240 * MS, 240 * MS, 3, 600, 0, {"refused": 2, "timeout": 1}, 1001 * MS)
QUIET = Outage(0, 9 * MS, 9 * MS, 0, 600, 0, {})
TRIAL = Trial("haproxy-crash", "SIGKILL HAProxy", "lb-a", S, 3 * S, 4 * S, LOST, QUIET, 250 * MS)


def test_within_the_limit_and_finished_is_a_pass() -> None:
    assert TRIAL.verdict == "PASS"
    assert replace(TRIAL, outage=replace(LOST, gap_us=250 * MS)).passed
    assert not replace(TRIAL, outage=replace(LOST, gap_us=250 * MS + 1)).passed
    assert replace(TRIAL, limit_us=None, outage=replace(LOST, gap_us=9 * S)).passed
    assert not replace(TRIAL, failed_max=0, outage=replace(LOST, gap_us=0, failed=1)).passed
    assert replace(TRIAL, failed_max=0, outage=replace(LOST, gap_us=0, failed=0)).passed
    assert replace(TRIAL, failed_max=0).limit == "250 ms, 0 failed"
    assert replace(TRIAL, limit_us=None).limit == ""
    assert replace(TRIAL, problem="it never came back").verdict == "FAIL"


def test_table() -> None:
    disturbed = replace(TRIAL, outage=replace(LOST, stall_us=200 * MS, by_outcome={}), limit_us=None, host="")
    lines = align(rows([TRIAL, disturbed]))
    assert lines == [
        "FAULT          HOST  OUTAGE  LIMIT   FAILED REQUESTS                  WAY BACK  VERDICT",
        "haproxy-crash  lb-a  240 ms  250 ms  3 of 600 (2 refused, 1 timeout)  9 ms      PASS",
        "haproxy-crash  -     240 ms  -       3 of 600                         9 ms      PASS (disturbed)",
    ]


def test_times_for_people() -> None:
    assert [in_words(us) for us in (0, 9_400, 999_400, 1_234_000)] == ["0 ms", "9 ms", "999 ms", "1.23 s"]
    assert tell(Moment(12_345, "lb-a", "says")) == " +0.012  lb-a    says"


def test_timeline_brings_all_witnesses_together() -> None:
    def advert(at_ms: int, host: str, priority: int) -> Sighting:
        return Sighting(at_ms * MS, host, Kind.ADVERT, "10.0.1.10", "", 51, priority, 3, 100 * MS)

    sightings = [
        advert(900, "lb-a", 254),
        advert(1002, "lb-a", 0),
        advert(1003, "lb-b", 253),
        Sighting(1004 * MS, "lb-b", Kind.ARP, "10.0.1.80", ""),
        advert(9000, "lb-a", 254),
    ]
    journal: dict[str, list[dict[str, object]]] = {
        "lb-a": [{"at_us": 1001 * MS, "text": "HAProxy ended"}, {"at_us": 2, "text": "old"}, {"text": "no time"}]
    }
    told = timeline(S, 4 * S, sightings, LOST, journal)
    assert [(moment.at_us // MS, moment.who, moment.text) for moment in told] == [
        (1, "lb-a", "HAProxy ended"),
        (1, "client", "the first of 3 requests that fail"),
        (2, "lb-a", "says priority 0: it leaves"),
        (3, "lb-b", "advertises priority 253: it leads"),
        (4, "lb-b", "announces 10.0.1.80 by gratuitous ARP"),
        (240, "client", "good answers again: 240 ms lost"),
    ]


def test_a_short_pause_is_no_news() -> None:
    assert timeline(S, 4 * S, [], QUIET, {}) == ()
