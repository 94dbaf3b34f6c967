"""Signing, tracking and virtual MACs as they are written."""

from typing import Any

import pytest
from tests.rules.config.test_readers import read

from firstmate.config import vrrp_values
from firstmate.config.readers import Reader
from firstmate.config.vrrp_values import HmacDraft, TrackDraft, VmacDraft
from firstmate.model.plan import HmacMode
from firstmate.model.units import S

# fmt: off
ACCEPTED = [  # reader         written                                                   value
    (vrrp_values.secret,      '"file:/etc/firstmate/cluster.key"',                      "file:/etc/firstmate/cluster.key"),
    (vrrp_values.secret,      '"credential:firstmate.key"',                             "credential:firstmate.key"),
    (vrrp_values.secrets,     '{ 1 = "env:A", 255 = "file:/b" }',                       {1: "env:A", 255: "file:/b"}),
    (vrrp_values.hmac,        "true",                                                   True),
    (vrrp_values.hmac,        "false",                                                  False),
    (vrrp_values.hmac,        "{}",                                                     HmacDraft()),
    (vrrp_values.hmac,        '{ keys = { 7 = "env:A" }, active = 7, mode = "permissive", window = "9s", anti_replay = "monotonic" }',
                              HmacDraft({7: "env:A"}, 7, HmacMode.PERMISSIVE, 9 * S, monotonic=True)),
    (vrrp_values.hmac,        '{ anti_replay = "time", mode = "receive-only" }',        HmacDraft(mode=HmacMode.RECEIVE_ONLY)),
    (vrrp_values.auth_pass,   '"12345678"',                                             b"12345678"),
    (vrrp_values.weight,      "-253",                                                   -253),
    (vrrp_values.track,       '"disk"',                                                 TrackDraft("disk")),
    (vrrp_values.track,       '{ name = "disk", weight = -20, reverse = true }',        TrackDraft("disk", "", -20, reverse=True)),
    (vrrp_values.track,       '{ interface = "eth1" }',                                 TrackDraft("", "eth1")),
    (vrrp_values.track,       '{ interface = { a = "eth1" }, weight = 5 }',             TrackDraft("", {"a": "eth1"}, 5)),
    (vrrp_values.vmac,        "true",                                                   True),
    (vrrp_values.vmac,        '{ name = "vrrp.1", mac = "00:00:5E:00:01:01", xmit_base = true }', VmacDraft("vrrp.1", "00:00:5e:00:01:01", xmit_base=True)),
]

REFUSED = [  # reader          written                                       code    said                     hint
    (vrrp_values.secret,      '"hunter2"',                                  "E120", "by reference",          '"file:'),
    (vrrp_values.secret,      '"file:relative"',                            "E120", "by reference",          ""),
    (vrrp_values.secret,      "1",                                          "E110", "reference",             ""),
    (vrrp_values.secrets,     '{ 0 = "env:A" }',                            "E117", '"0" is not the id',     "1 to 255"),
    (vrrp_values.secrets,     '{ 256 = "env:A" }',                          "E117", "not the id",            ""),
    (vrrp_values.secrets,     '{ a = "env:A" }',                            "E117", "not the id",            ""),
    (vrrp_values.secrets,     '{ 1 = "hunter2" }',                          "E120", "by reference",          ""),
    (vrrp_values.hmac,        "1",                                          "E110", "true or false",         ""),
    (vrrp_values.hmac,        '{ window = "301s" }',                        "E117", "outside",               ""),
    (vrrp_values.hmac,        '{ mode = "enfroce" }',                       "E115", "cannot be",             '"enforce"'),
    (vrrp_values.auth_pass,   '"123456789"',                                "E117", "1 to 8",                "first 8"),
    (vrrp_values.auth_pass,   '""',                                         "E117", "1 to 8",                ""),
    (vrrp_values.auth_pass,   '"pässe"',                                    "E117", "ASCII",                 ""),
    (vrrp_values.auth_pass,   "12345678",                                   "E110", "takes text",            ""),
    (vrrp_values.weight,      "254",                                        "E117", "outside -253 to 253",   "write 253"),
    (vrrp_values.weight,      "-254",                                       "E117", "outside -253 to 253",   "write -253"),
    (vrrp_values.weight,      "255",                                        "E117", "outside -253 to 253",   ""),
    (vrrp_values.weight,      "true",                                       "E110", "whole number",          ""),
    (vrrp_values.track,       "{ weight = 1 }",                             "E127", '"name" or "interface"', "eth1"),
    (vrrp_values.track,       '{ name = "a", interface = "b" }',            "E127", '"name" or "interface"', ""),
    (vrrp_values.track,       '{ name = "a", wieght = 1 }',                 "E112", "wieght",                '"weight"'),
    (vrrp_values.track,       '"a b"',                                      "E118", "cannot be a name",      ""),
    (vrrp_values.vmac,        '{ mac = "01:00:5e:00:00:12" }',              "E301", "not the MAC address",   "of one host"),
    (vrrp_values.vmac,        '{ mac = "00:00:00:00:00:00" }',              "E301", "not the MAC address",   ""),
    (vrrp_values.vmac,        '{ mac = "00-00-5e-00-01-01" }',              "E301", "not the MAC address",   ""),
    (vrrp_values.vmac,        "{ mac = 1 }",                                "E110", "takes text",            ""),
    (vrrp_values.vmac,        '"yes"',                                      "E110", "true or false",         "= true"),
]
# fmt: on


@pytest.mark.parametrize(("reader", "written", "value"), ACCEPTED, ids=[str(row[1]) for row in ACCEPTED])
def test_accepted(reader: Reader[Any], written: str, value: object) -> None:
    assert read(reader, written) == (value, [])


@pytest.mark.parametrize(("reader", "written", "code", "said", "hint"), REFUSED, ids=[str(row[1]) for row in REFUSED])
def test_refused(reader: Reader[Any], written: str, code: str, said: str, hint: str) -> None:
    value, problems = read(reader, written)
    assert [problem.code for problem in problems] == [code], problems
    assert said in problems[0].text
    assert hint in problems[0].hint
    assert value is None


@pytest.mark.parametrize(
    ("reader", "written"), [(vrrp_values.secret, '"hunter2"'), (vrrp_values.secrets, '{1="hunter2"}')]
)
def test_a_secret_is_never_repeated(reader: Reader[Any], written: str) -> None:
    _, (problem,) = read(reader, written)
    assert "hunter2" not in problem.text + problem.hint
