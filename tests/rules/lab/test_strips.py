from firstmate.lab.answers import Answer, Outcome
from firstmate.lab.sightings import Kind, Sighting
from firstmate.lab.strips import answers_strip, leaders_strip, ruler


def test_good_where_it_ended_failed_where_it_began() -> None:
    seen = [
        Answer(0, 5, Outcome.OK),
        Answer(11, 12, Outcome.OK),
        Answer(13, 95, Outcome.TIMEOUT),
        Answer(25, 97, Outcome.TIMEOUT),
        Answer(30, 45, Outcome.STALL),
        Answer(98, 99, Outcome.OK),
        Answer(300, 301, Outcome.OK),
    ]
    assert answers_strip(seen, 0, 100, 10) == "█▌x······█"


def test_who_led() -> None:
    def advert(at_us: int, host: str, priority: int = 254) -> Sighting:
        return Sighting(at_us, host, Kind.ADVERT, "", "", 51, priority)

    seen = [advert(1, "lb-a"), advert(15, "lb-a", 0), advert(25, "lb-a"), advert(26, "lb-b"), advert(38, "lb-b")]
    seen.append(Sighting(45, "lb-a", Kind.ARP, "10.0.1.80", ""))
    assert leaders_strip(seen, 0, 50, 5) == "a·2b·"


def test_seconds_stand_where_they_are() -> None:
    assert ruler(-500_000, 2_000_000, 50) == " " * 10 + "0s" + " " * 18 + "1s" + " " * 18 + "2s"
