"""`accept = false`: what is sent to the addresses of a virtual router is dropped (RFC 5798, 6.1 and 6.4.3).

While we are BACKUP nothing for them reaches this host, so that the rules can stand all the time: nobody waits for them
during a failover. Answering ARP is not of nftables' input hook; Neighbour Solicitations and Advertisements get through.
"""

import contextlib
import shutil
import subprocess

from firstmate.model.addresses import Address
from firstmate.model.plan import OWNER, Plan

TABLE = "firstmate"
PLACES = ("/usr/sbin", "/usr/local/sbin", "/sbin")  # a user's PATH often lacks them
TIMEOUT_S = 10.0

_REMOVE = f"table inet {TABLE}\ndelete table inet {TABLE}\n"  # the first line, so that there is one to delete
_NEIGHBOURS = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"


class FirewallError(Exception):
    """The rules are not in force; the text says why and what to do."""


class Firewall:
    """nftables' table `firstmate` in our network namespace. Runs `nft`, so it blocks for some milliseconds."""

    def __init__(self) -> None:
        self._in_force: tuple[Address, ...] | None = None  # None: not known, a predecessor may have left some

    def apply(self, plan: Plan) -> None:
        """Drop what is sent to these addresses, and nothing else any more. Raises `FirewallError`."""
        wanted = refused(plan)
        if wanted == self._in_force:
            return
        nft = shutil.which("nft") or shutil.which("nft", path=":".join(PLACES))
        if nft is None and wanted:
            message = "accept = false needs the program nft: install it with `apt install nftables`"
            raise FirewallError(message)
        if nft is not None:
            # Where nothing is to be refused, a kernel without nftables is as good as one without our table.
            with contextlib.nullcontext() if wanted or self._in_force else contextlib.suppress(FirewallError):
                _run(nft, ruleset(wanted))
        self._in_force = wanted

    def clear(self) -> None:
        """Raises `FirewallError`."""
        if self._in_force:
            _run(shutil.which("nft") or shutil.which("nft", path=":".join(PLACES)) or "nft", ruleset(()))
        self._in_force = ()


def refused(plan: Plan) -> tuple[Address, ...]:
    """The addresses that this node must not accept anything for: it is not their owner."""
    found = {vip.ip for router in plan.routers if not router.accept and router.priority != OWNER for vip in router.vips}
    return tuple(sorted(found, key=lambda ip: (ip.version, int(ip))))


def ruleset(addresses: tuple[Address, ...]) -> str:
    """What `nft -f -` makes of it in one step, whatever was there before."""
    if not addresses:
        return _REMOVE
    rules = []
    if four := [str(ip) for ip in addresses if ip.version == 4]:
        rules.append(f"ip daddr {{ {', '.join(four)} }} counter drop")
    if six := [str(ip) for ip in addresses if ip.version == 6]:
        chosen = f"ip6 daddr {{ {', '.join(six)} }}"
        rules += [f"{chosen} {_NEIGHBOURS}", f"{chosen} counter drop"]
    lines = "".join(f"    {rule}\n" for rule in rules)
    head = "    type filter hook input priority filter; policy accept;\n"
    return f"{_REMOVE}table inet {TABLE} {{\n  chain input {{\n{head}{lines}  }}\n}}\n"


def _run(nft: str, text: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - the system's nft
            [nft, "-f", "-"], input=text, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        message = f"accept = false is not in force: {nft}: {error}"
        raise FirewallError(message) from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split())
        message = f"accept = false is not in force: nft says: {said}"
        raise FirewallError(message)
