"""The small grammars inside values: what they accept, and what they say of the rest."""

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from tests.rules.config.test_readers import read

from firstmate.config import values
from firstmate.config.readers import Reader
from firstmate.config.values import Endpoint
from firstmate.model.plan import Bind, HttpCheck, ProtocolCheck, TcpCheck

ADDRESS = IPv4Address("10.0.1.100")

# fmt: off
ACCEPTED = [  # reader        written                                           value
    (values.bind,            '":80"',                                          Bind(80)),
    (values.bind,            '"10.0.1.100:65535"',                             Bind(65535, ADDRESS)),
    (values.bind,            '"*:80"',                                         Bind(80, IPv4Address(0))),
    (values.bind,            '"[2001:db8::1]:80"',                             Bind(80, IPv6Address("2001:db8::1"))),
    (values.bind,            '"[::]:80"',                                      Bind(80, IPv6Address("::"))),
    (values.endpoint,        '"[2001:DB8:0::21]:80"',                          Endpoint("2001:db8::21", 80)),
    (values.endpoint,        '"10.0.1.100:80"',                                Endpoint("10.0.1.100", 80)),
    (values.endpoint,        '"web1:80"',                                      Endpoint("web1", 80)),
    (values.endpoint,        '"a-b.c_d.example:443"',                          Endpoint("a-b.c_d.example", 443)),
    (values.check,           '"GET /"',                                        HttpCheck("GET", "/")),
    (values.check,           '"HEAD /x?a=1&b=%20"',                            HttpCheck("HEAD", "/x?a=1&b=%20")),
    (values.check,           '"tcp"',                                          TcpCheck()),
    (values.check,           '"redis"',                                        ProtocolCheck("redis")),
    (values.check,           '{ http = "GET /", port = 1 }',                   HttpCheck("GET", "/", port=1)),
    (values.check,           '{ http = "GET /", host = "a.b:80" }',            HttpCheck("GET", "/", "a.b:80")),
    (values.check,           '{ http = "GET /", status = "200" }',             HttpCheck("GET", "/", status="200")),
    (values.check,           '{ type = "tcp" }',                               TcpCheck()),
    (values.check,           '{ type = "pgsql", user = "u", port = 5 }',       ProtocolCheck("pgsql", 5, "u")),
    (values.raw_line,        '"option tcplog"',                                "option tcplog"),
]

REFUSED = [  # reader         written                                           code    said                     hint
    (values.bind,            '"80"',                                           "E301", "no port to listen on",  '":80"'),
    (values.bind,            '"10.0.1.100"',                                   "E301", "no port to listen on",  'such as ":80"'),
    (values.bind,            '":0"',                                           "E310", '"0" is not a port',     "1 to 65535"),
    (values.bind,            '":65536"',                                       "E310", "not a port",            ""),
    (values.bind,            '":http"',                                        "E310", "not a port",            ""),
    (values.bind,            '"x:80"',                                         "E301", "not an IPv4 address",   ""),
    (values.bind,            '"[::]"',                                         "E301", "no port to listen on",  'such as ":80"'),
    (values.bind,            '"::1:80"',                                       "E301", "where does the port",   '"[::1]:80"'),
    (values.bind,            '"[10.0.1.100]:80"',                              "E219", "this takes IPv6",       "2001:db8::10"),
    (values.bind,            '"[fe80::5]:80"',                                 "E304", "one link only",         '":80" listens'),
    (values.bind,            '"[x]:80"',                                       "E301", "not an IPv6 address",   ""),
    (values.bind,            "80",                                             "E110", "takes text",            ""),
    (values.endpoint,        '"10.0.1.21"',                                    "E301", "has no port",           '"10.0.1.21:80"'),
    (values.endpoint,        '"10.0.1.21:x"',                                  "E310", "not a port",            ""),
    (values.endpoint,        '"10.0.1.256:80"',                                "E301", "not an IPv4 address",   ""),
    (values.endpoint,        '"0.0.0.0:80"',                                   "E304", "address of a host",     ""),
    (values.endpoint,        '"[::]:80"',                                      "E304", "address of a host",     ""),
    (values.endpoint,        '"[2001:db8::1]"',                                "E301", "has no port",           ""),
    (values.endpoint,        '"2001:db8::1:80"',                               "E301", "where does the port",   '"[2001:db8::1]:80"'),
    (values.endpoint,        '"web 1:80"',                                     "E301", "nor a host name",       ""),
    (values.endpoint,        '":80"',                                          "E301", "nor a host name",       ""),
    (values.endpoint,        f'"{"a" * 254}:80"',                              "E301", "nor a host name",       ""),
    (values.endpoint,        "80",                                             "E110", "takes text",            ""),
    (values.check,           '"GET"',                                          "E121", "not a check",           '"GET /"'),
    (values.check,           '"get /"',                                        "E121", "not a check",           ""),
    (values.check,           '"GET / HTTP/1.1"',                               "E121", "not a check",           ""),
    (values.check,           "'GET /\"'",                                      "E121", "not a check",           ""),
    (values.check,           "1",                                              "E110", "takes text",            ""),
    (values.check,           "{ port = 1 }",                                   "E121", '"http" or "type"',      ""),
    (values.check,           '{ http = "GET /", type = "tcp" }',               "E121", '"http" or "type"',      ""),
    (values.check,           '{ http = "/" }',                                 "E121", "not a request",         '"GET /health"'),
    (values.check,           "{ http = 1 }",                                   "E110", "takes text",            ""),
    (values.check,           '{ http = "GET /", host = "a b" }',               "E121", "not a host name",       ""),
    (values.check,           '{ http = "GET /", host = 1 }',                   "E110", "takes text",            ""),
    (values.check,           '{ http = "GET /", status = "ok" }',              "E121", "status codes",          '"200-399"'),
    (values.check,           '{ http = "GET /", status = 200 }',               "E110", "takes text",            ""),
    (values.check,           '{ http = "GET /", user = "u" }',                 "E121", '"user" has no meaning', ""),
    (values.check,           '{ type = "tcp", host = "h" }',                   "E121", '"host" has no meaning', ""),
    (values.check,           '{ type = "tcp", user = "h" }',                   "E121", '"user" has no meaning', ""),
    (values.check,           '{ type = "redis", user = "h" }',                 "E121", '"user" has no meaning', ""),
    (values.check,           '{ type = "mysqll" }',                            "E115", "cannot be",             'did you mean "mysql"?'),
    (values.check,           '{ http = "GET /", port = 0 }',                   "E310", "outside 1 to 65535",    ""),
    (values.raw_line,        '" "',                                            "E123", "empty",                 ""),
    (values.raw_line,        '" listen x"',                                    "E123", "another section",       "config ="),
    (values.raw_line,        '"a\\nglobal"',                                   "E110", "one line",              ""),
]

BALANCES = {
    "roundrobin": True, "static-rr": True, "leastconn": True, "first": True, "source": True, "random": True,
    "random(2)": True, "random(0)": False, "uri": True, "uri whole": True, "uri len 3 depth 2 path-only": True,
    "uri depth": False, "url_param id": True, "url_param id check_post": True, "url_param": False,
    "url_param id check_post max_wait 5": True, "hdr(User-Agent)": True, "hdr(host) use_domain_only": True,
    "hdr": False, "hdr()": False, "hdr(a b)": False, "rdp-cookie": True, "rdp-cookie(mstshash)": True,
    "hash src": True, "hash req.hdr(x),lower": True, "hash": False, "leastconn 3": False,
}
# fmt: on


@pytest.mark.parametrize(("reader", "written", "value"), ACCEPTED, ids=[str(row[1]) for row in ACCEPTED])
def test_accepted(reader: Reader[Any], written: str, value: object) -> None:
    assert read(reader, written) == (value, [])


@pytest.mark.parametrize(
    ("reader", "written", "code", "said", "hint"), REFUSED, ids=[str(row[1])[:40] for row in REFUSED]
)
def test_refused(reader: Reader[Any], written: str, code: str, said: str, hint: str) -> None:
    value, problems = read(reader, written)
    assert [problem.code for problem in problems] == [code], problems
    assert said in problems[0].text
    assert hint in problems[0].hint
    assert value is None


@pytest.mark.parametrize(("given", "good"), BALANCES.items(), ids=BALANCES)
def test_balance(given: str, *, good: bool) -> None:
    value, problems = read(values.balance, f'"{given}"')
    assert value == (given if good else None)
    assert [problem.code for problem in problems] == ([] if good else ["E122"])


@pytest.mark.parametrize(("given", "hint"), [("leastcon", 'did you mean "leastconn"?'), ("", 'one of "roundrobin"')])
def test_an_unknown_balance(given: str, hint: str) -> None:
    _, problems = read(values.balance, f'"{given}"')
    assert problems[0].code == "E115"
    assert problems[0].hint.startswith(hint)


def test_balance_takes_text() -> None:
    assert [problem.code for problem in read(values.balance, "1")[1]] == ["E110"]


def test_every_algorithm_is_tried() -> None:
    assert {given.partition(" ")[0].partition("(")[0] for given, good in BALANCES.items() if good} == set(
        values.BALANCE
    )
