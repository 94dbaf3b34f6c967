"""What HAProxy complains about on standard error, as a sentence for people. Standard library only.

`haproxy -c` accepts what starting then refuses: a port that is taken, an address that is not here, too many
descriptors. These come only as text.
"""

import re

ALERT_CHARS_MAX = 300

_BIND = re.compile(
    r"Binding \[(?P<place>[^\]]*)\] for (?:proxy|frontend) (?P<service>\S+): cannot bind (?P<kind>UNIX )?socket "
    r"\((?P<error>[^)]*)\) (?:for )?\[(?P<where>[^\]]*)\]"
)
_DESCRIPTORS = re.compile(r"Cannot raise FD limit to (?P<wanted>\d+), limit is (?P<limit>\d+)")
_USER = re.compile(r"cannot find (?:user|group) id for '(?P<name>[^']*)'")
_ALERT = re.compile(r"^\[ALERT\]\s*(?:\(\d+\)\s*:)?\s*(?P<text>.*)$", re.MULTILINE)
_CLOSING_WORDS = (
    "Error(s) found in configuration",
    "Fatal errors found",
    "Some protocols failed to start",
    "Current worker",
    "exit-on-failure",
)


def explain(stderr: str) -> str:
    """One sentence on why HAProxy did not start or gave up; "" when the text names no reason."""
    if match := _BIND.search(stderr):
        return _explain_bind(match)
    if match := _DESCRIPTORS.search(stderr):
        return (
            f"HAProxy needs {match['wanted']} open files and may have {match['limit']}: "
            "raise LimitNOFILE of the service, or lower maxconn"
        )
    if match := _USER.search(stderr):
        return f"HAProxy cannot become {match['name']}, which does not exist on this host"
    return next(iter(alerts(stderr)), "")


def alerts(stderr: str) -> list[str]:
    """The alerts of HAProxy without its prefixes and its closing words, in order."""
    found = [match["text"].strip() for match in _ALERT.finditer(stderr)]
    return [text[:ALERT_CHARS_MAX] for text in found if not any(word in text for word in _CLOSING_WORDS)]


def _explain_bind(match: re.Match[str]) -> str:
    where, error, service = match["where"], match["error"], match["service"]
    if match["kind"]:
        return f"HAProxy cannot make its socket {where}: {error.lower()}"
    address, _, port = where.rpartition(":")
    match error:
        case "Address already in use":
            return (
                f'service "{service}": port {port} on {address} is taken by another program; '
                f"`ss -ltnp sport = :{port}` names it"
            )
        case "Cannot assign requested address":
            return (
                f'service "{service}": {address} is not an address of this host now; '
                "HAProxy may listen there only with CAP_NET_ADMIN, or with sysctl net.ipv4.ip_nonlocal_bind=1"
            )
        case "Permission denied":
            return f'service "{service}": no right to listen on {where}; ports below 1024 need root'
        case _:
            return f'service "{service}": cannot listen on {where}: {error}'
