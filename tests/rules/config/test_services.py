"""What a [[service]] and [haproxy] must agree with. `«»` marks the place of the one problem."""

import pytest
from tests.rules.config.example import GOOD, edited, found, problems_of, unmarked

OTHER = '\n[[service]]\nname = "other"\nmode = "http"\nbind = {}\nservers = {{ a = "10.0.1.31:80" }}\n'
NO_SERVICE = GOOD[: GOOD.index("[[service]]")]
NO_ROUTER = GOOD[: GOOD.index("[[vrrp]]")] + GOOD[GOOD.index("[[service]]") :]


def service(line: str) -> str:
    return edited(('bind = [":80"]', f'bind = [":80"]\n{line}'))


# fmt: off
RULES = {  # id, and the file with its place marked
    "same port":               ("E212", GOOD + OTHER.format('[":81", «":80"»]')),
    "same port, single":       ("E212", GOOD + OTHER.format('«":80"»')),
    "same port, any":          ("E212", edited(('":80"', '"10.0.1.100:80"')) + OTHER.format('[«"*:80"»]')),
    "same port, any IPv6":     ("E212", edited(('":80"', '"[2001:db8::9]:80"')).replace('"10.0.1.11"', '"10.0.1.11"\naddress6 = "2001:db8::9"', 1) + OTHER.format('[«"[::]:80"»]')),
    "same port, any, again":   ("E212", edited(('":80"', '"*:80"')) + OTHER.format('[«"10.0.1.100:80"»]')),
    "same port, all that move": ("E212", edited(('":80"', '"[::]:80"')) + OTHER.format('[«":80"»]')),
    "bind elsewhere, IPv6":    ("W316", edited(('":80"', '«"[2001:db8::9]:80"»'))),
    "same port in one":        ("E212", edited(('":80"', '":80", «":80"»'))),
    "bind elsewhere":          ("W316", edited(('":80"', '«"10.0.9.9:80"»'))),
    "hdr in tcp":              ("E215", service('balance = «"hdr(Host)"»').replace('"http"', '"tcp"')),
    "rdp in http":             ("E215", service('balance = «"rdp-cookie(x)"»')),
    "same server":             ("W315", edited(('"10.0.1.22:80"', '«"10.0.1.21:80"»'))),
    "goal":                    ("W310", service('«goal» = "600ms"')),
    "own config":              ("E213", GOOD + '[haproxy]\n«config» = "/x.cfg"'),
    "external with services":  ("E213", GOOD + '[haproxy]\nsocket = "/x.sock"\n«run» = "external"'),
    "external, no socket":     ("E111", NO_SERVICE + '[haproxy]\nrun = «"external"»'),
    "external with binary":    ("W317", NO_SERVICE + '[haproxy]\nrun = "external"\nsocket = "/x"\n«binary» = "/x"'),
}
# fmt: on


@pytest.mark.parametrize(("code", "marked"), RULES.values(), ids=RULES)
def test_rule(code: str, marked: str) -> None:
    text, place = unmarked(marked)
    assert found(text) == [(code, *place)], problems_of(text)


@pytest.mark.parametrize(
    "text",
    [
        GOOD + OTHER.format('":81"'),
        edited(('":80"', '"10.0.1.100:80"')) + OTHER.format('"10.0.1.10:80"'),
        edited(('":80"', '"127.0.0.1:80"')),
        edited(('":80"', '"*:80"')) + OTHER.format('"[::]:80"'),
        edited(('":80"', '"10.0.1.100:80"')) + OTHER.format('"[::]:80"'),
        service('goal = "700ms"\n').replace("vrid = 1", "vrid = 1\ndown_timer_adverts = 3"),
        NO_SERVICE + '[haproxy]\nrun = "external"\nsocket = "/x.sock"',
        NO_SERVICE + '[haproxy]\nconfig = "/x.cfg"',
        service('goal = "700ms"'),
        service('goal = "1ms"').replace('prefer = ["lb-a", "lb-b"]', 'prefer = ["lb-a"]\npeers = ["10.0.1.9"]'),
    ],
)
def test_no_problem(text: str) -> None:
    assert found(text) == []


def test_nothing_to_listen_on() -> None:
    text, place = unmarked(NO_ROUTER.replace('[":80"]', '«[":80"]»'))
    assert ("W317", *place) in found(text)
    assert [code for code, *_ in found(text.replace('":80"', '"10.0.1.10:80"'))] == ["W313"]


@pytest.mark.parametrize(
    ("lines", "hint"),
    [
        ('goal = "500ms"', 'advert_interval = "160ms" would bring it to about 482 ms'),
        ('goal = "20ms"', "no advert_interval is short enough: the least is 10 ms"),
    ],
)
def test_goal_says_what_would_do(lines: str, hint: str) -> None:
    (problem,) = problems_of(service(lines))
    assert problem.hint == hint


@pytest.mark.parametrize(
    ("goal", "hint"), [("3s", "VRRP version 2 needs 3.0 s at best: version = 3"), ("5s", 'advert_interval = "1s"')]
)
def test_goal_with_version_2(goal: str, hint: str) -> None:
    text = service(f'goal = "{goal}"').replace("vrid = 1", 'vrid = 1\nversion = 2\nadvert_interval = "2s"')
    (problem,) = problems_of(text)
    assert (problem.code, problem.hint) == ("W310", hint)


def test_goal_counts_the_silent_intervals() -> None:
    text = service('goal = "700ms"').replace("vrid = 1", "vrid = 1\ndown_timer_adverts = 10")
    (problem,) = problems_of(text)
    assert problem.text.startswith("detection 2.0 s is over")
    assert problem.hint == 'advert_interval = "60ms" would bring it to about 601 ms'
