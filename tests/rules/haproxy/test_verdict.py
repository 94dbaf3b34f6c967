"""The texts are what HAProxy 2.6.12 and 2.8.25 wrote."""

import pytest

from firstmate.haproxy.verdict import alerts, explain

# fmt: off
SAID = {
    "port taken": (
        ("[NOTICE]   (5860) : haproxy version is 2.6.12-1+deb12u4\n"
        "[ALERT]    (5860) : Binding [taken.cfg:7] for proxy web: cannot bind socket (Address already in use) for [192.0.2.100:80]\n"
        "[ALERT]    (5860) : [haproxy.main()] Some protocols failed to start their listeners! Exiting.\n"),
        'service "web": port 80 on 192.0.2.100 is taken by another program; `ss -ltnp sport = :80` names it'),
    "address elsewhere": (
        "[ALERT]    (5864) : Binding [a.cfg:7] for proxy a: cannot bind socket (Cannot assign requested address) for [10.77.77.77:18081]\n",
        ('service "a": 10.77.77.77 is not an address of this host now; HAProxy may listen there only with CAP_NET_ADMIN, '
        "or with sysctl net.ipv4.ip_nonlocal_bind=1")),
    "not allowed": (
        "[ALERT]    (5884) : Binding [low.cfg:7] for proxy a: cannot bind socket (Permission denied) for [127.0.0.1:81]\n",
        'service "a": no right to listen on 127.0.0.1:81; ports below 1024 need root'),
    "something else": (
        "[ALERT]    (5884) : Binding [low.cfg:7] for proxy a: cannot bind socket (Too many open files) for [127.0.0.1:81]\n",
        'service "a": cannot listen on 127.0.0.1:81: Too many open files'),
    "its socket": (
        "[ALERT]    (5876) : Binding [a.cfg:2] for frontend GLOBAL: cannot bind UNIX socket (No such file or directory) [/nosuch/dir/x.sock]\n",
        "HAProxy cannot make its socket /nosuch/dir/x.sock: no such file or directory"),
    "descriptors": (
        "[ALERT]    (5868) : [haproxy.main()] Cannot raise FD limit to 400028, limit is 20000.\n",
        "HAProxy needs 400028 open files and may have 20000: raise LimitNOFILE of the service, or lower maxconn"),
    "user": (
        "[ALERT]    (5880) : config : parsing [nouser.cfg:2] : cannot find user id for 'nosuchuser' (0:Success)\n",
        "HAProxy cannot become nosuchuser, which does not exist on this host"),
    "any other alert": (
        "[WARNING]  (1) : careful\n[ALERT]    (1) : the sky falls\n[ALERT]    (1) : config : Fatal errors found in configuration.\n",
        "the sky falls"),
    "no alert": ("[NOTICE]   (1) : New worker (2) forked\n", ""),
    "nothing": ("", ""),
}
# fmt: on


@pytest.mark.parametrize(("stderr", "sentence"), SAID.values(), ids=SAID)
def test_explain(stderr: str, sentence: str) -> None:
    assert explain(stderr) == sentence


def test_alerts_leave_out_the_closing_words() -> None:
    text = (
        "[ALERT]    (1) : config : parsing [a.cfg:8] : unknown keyword 'bogus' in 'listen' section\n"
        "[ALERT]    (1) : config : Error(s) found in configuration file : a.cfg\n"
        "[ALERT]    (1) : config : Fatal errors found in configuration.\n"
        "[ALERT]    (1) : Current worker (2) exited with code 139 (Segmentation fault)\n"
    )
    assert alerts(text) == ["config : parsing [a.cfg:8] : unknown keyword 'bogus' in 'listen' section"]
