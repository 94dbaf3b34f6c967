import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstmate.haproxy.stats import BadAnswer, Info, ServerState, parse_info, parse_servers

INFO = "Name: HAProxy\nVersion: 2.6.12-1+deb12u4\nPid: 5772\nUptime: 0d 0h00m03s\nUptime_sec: 3\nCurrConns: 7\n\n"
STAT = """# pxname,svname,scur,status,type,check_status,last_chk,
web,FRONTEND,0,OPEN,0,,,
web,web1,0,UP,2,L7OK,HTTP status check returned code 200,
web,web2,0,DOWN,2,* L4CON,Connection refused,
web,web3,0,UP 1/2,2,L4TOUT,"timeout, really",
web,web4,0,MAINT,2,,,
web,web5,0,no check,2,,,
web,web6,0,DRAIN,2,L7OK,,
web,BACKEND,0,UP,1,,,
"""


def test_info() -> None:
    assert parse_info(INFO) == Info(pid=5772, version="2.6.12", connections=7)


@pytest.mark.parametrize(
    "text", ["", "Unknown command.", "Pid: x\n", INFO.replace("Pid", "pid"), INFO.replace("7", "")]
)
def test_something_else_is_no_info(text: str) -> None:
    with pytest.raises(BadAnswer):
        parse_info(text)


def test_servers() -> None:
    assert parse_servers(STAT) == (
        ServerState("web", "web1", True, "UP", "L7OK HTTP status check returned code 200"),
        ServerState("web", "web2", False, "DOWN", "L4CON Connection refused"),
        ServerState("web", "web3", True, "UP 1/2", "L4TOUT timeout, really"),
        ServerState("web", "web4", False, "MAINT", ""),
        ServerState("web", "web5", True, "no check", ""),
        ServerState("web", "web6", False, "DRAIN", "L7OK"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Unknown command.",
        "# pxname,svname,type\nweb,web1,2\n",
        STAT.replace("check_status", "x"),
        "# type,\n2\n3,4,5\n",
    ],
)
def test_something_else_is_no_statistics(text: str) -> None:
    with pytest.raises(BadAnswer):
        parse_servers(text)


@given(st.text())
def test_any_text_gives_values_or_bad_answer(text: str) -> None:
    for parse in (parse_info, parse_servers):
        try:
            parse("# " + text)
        except BadAnswer:
            continue
