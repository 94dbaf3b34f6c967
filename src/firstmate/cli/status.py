"""`firstmate status`: the cluster as seen from here."""

import os
import sys
from datetime import datetime

import click

from firstmate.cli.options import EXIT_NOT_ALLOWED, EXIT_UNREACHABLE, Options, with_config, with_output
from firstmate.cli.tables import WIDTH, cut, flow, table, wrap
from firstmate.ipc.api_client import NotAllowed, Unreachable, get
from firstmate.model import jsonable
from firstmate.model.status import NodeStatus, OddityStatus, PathStatus, RouterStatus, Status
from firstmate.model.units import S, format_duration

RUNTIME_DEFAULT = "/run/firstmate"
PULSE_OLD_S = 3.0
HAPROXY_WIDTH_MAX = 24
DIGEST_SHOWN = 6
NOTES_MAX = 30  # lines below the virtual routers
COLOURS = {"HEALTHY": "green", "DEGRADED": "yellow", "DOWN": "red"}
OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3  # codes of monitoring plugins, for --check alone


@click.command(short_help="the cluster as seen from here")
@with_config
@with_output("table", "json")
@click.option("--check", is_flag=True, help="One line and an exit code for monitoring: 0, 1, 2, 3.")
@click.option("--socket", "socket_path", metavar="PATH", help="The daemon's API (default: api.sock of its directory).")
@click.pass_obj
def status(options: Options, socket_path: str | None, *, check: bool) -> int:
    """Show who is MASTER and why, what each node is fit for, and what is amiss."""
    path = socket_path or os.environ.get("FIRSTMATE_RUNTIME", RUNTIME_DEFAULT) + "/api.sock"
    try:
        body = get(path, "/status")
        document = jsonable.loads(Status, body)
    except (Unreachable, jsonable.BadJson) as error:
        return _unreachable(error, check=check)
    if check:
        click.echo(check_line(document))
        return check_code(document)
    if options.output == "json":
        click.echo(body.decode().rstrip("\n"))
        return 0
    click.echo(_printable(render(document, colour=_colour())))
    return 0


def _unreachable(error: Exception, *, check: bool) -> int:
    text = str(error) if isinstance(error, Unreachable) else f"the daemon's answer is of another version: {error}"
    if check:
        click.echo(f"UNKNOWN - {text}")
        return UNKNOWN
    if isinstance(error, NotAllowed):
        click.echo(f"{text}.", err=True)
        return EXIT_NOT_ALLOWED
    click.echo(f"{text}.\nStart it with `systemctl start firstmate`, or `firstmate run -c FILE`.", err=True)
    return EXIT_UNREACHABLE


def check_code(document: Status) -> int:
    """The code of a monitoring plugin: CRITICAL also when nobody could take over."""
    nobody_ready = len(document.nodes) > 1 and all(node.ready != "yes" for node in document.nodes)
    leaders = sum("MASTER" in node.states.values() for node in document.nodes)
    if document.health == "HEALTHY":
        return OK
    if document.health == "DOWN" or (nobody_ready and leaders < 2):
        return CRITICAL
    return WARNING


def check_line(document: Status) -> str:
    word = ("OK", "WARNING", "CRITICAL", "UNKNOWN")[check_code(document)]
    said = "; ".join(" ".join(trouble.split()) for trouble in document.troubles)
    troubles = f" ({said})" if said else ""
    return f"{word} - {document.cluster} {document.health}: {document.headline.replace('   ', ', ')}{troubles}"


def render(document: Status, *, colour: bool = False) -> str:
    """The whole answer as text of at most 100 columns."""
    blocks = [_head(document, colour=colour)]
    if document.routers:
        blocks.append(_clean(_routers(document)))
    blocks.append(_clean(_nodes(document)))
    return "\n\n".join(blocks)


def _head(document: Status, *, colour: bool) -> str:
    first = f"{document.cluster}  {document.health}   "
    lines = [flow(document.headline.split("   "), first=first)]
    lines += [wrap(trouble, first="! ") for trouble in document.troubles]
    text = _clean("\n".join(lines))
    if not colour:
        return text
    return text.replace(document.health, click.style(document.health, fg=COLOURS.get(document.health), bold=True), 1)


def _routers(document: Status) -> str:
    headers = ("VRRP", "VRID", "MASTER", "ADDRESS", "SINCE", "LAST CHANGE")
    rows = [
        (router.name, str(router.vrid), router.master or "?", _addresses(router), _moment(router.since), router.reason)
        for router in document.routers
    ]
    notes = [note for router in document.routers for note in _notes(router)]
    notes += [_oddity("", odd) for odd in document.oddities]
    if len(notes) > NOTES_MAX:
        more = len(notes) - NOTES_MAX + 1
        notes = [*notes[: NOTES_MAX - 1], f"  and {more} more lines: `firstmate status -o json` has all"]
    return "\n".join([table(headers, rows, right=("VRID",)), *notes])


def _notes(router: RouterStatus) -> list[str]:
    """What a row cannot hold: paths where there are several, whom it moves with, what is wrong on the wire."""
    notes = [_oddity(f"{router.name}: ", odd) for odd in router.oddities]
    if router.moves_with:
        notes.append(wrap(", ".join(router.moves_with), first=f"  {router.name} moves with "))
    for peer in dict.fromkeys(path.peer for path in router.paths):
        paths = [path for path in router.paths if path.peer == peer]
        if len(paths) > 1 or any(path.silent for path in paths):
            notes.append(flow([_path(path) for path in paths], first=f"  {router.name} from {peer}: ", gap=", "))
    return notes


def _oddity(router: str, odd: OddityStatus) -> str:
    text = odd.text if odd.text.startswith(router) else router + odd.text
    times = f"{odd.count} times " if odd.count > 1 else ""
    return wrap(f"{text} ({times}since {_moment(odd.since)})", first="  ! ")


def _path(path: PathStatus) -> str:
    age = "never heard" if path.heard_age_s is None else f"{format_duration(round(path.heard_age_s * S))} ago"
    silent = "SILENT, " if path.silent else ""
    return f"{path.transport} {path.address} {silent}{age}"


def _nodes(document: Status) -> str:
    headers = ("NODE", "ADDRESS", "STATE", "PRIO", "HEARTBEAT", "HAPROXY", "SERVERS", "CONFIG", "READY")
    names = [router.name for router in document.routers]
    configured = {router.name: router.configured_priority for router in document.routers}
    rows = [
        (
            node.name + ("*" if node.this else ""),
            node.address,
            _each([node.states.get(name, "?") for name in names]),
            _each([_priority(node, name, configured[name] if node.this else 0) for name in names]),
            _heartbeat(node, document),
            cut(node.haproxy.replace("killed by ", ""), HAPROXY_WIDTH_MAX),
            node.servers,
            cut_digest(node.config),
            node.ready,
        )
        for node in document.nodes
    ]
    notes = ["* this node"]
    if document.pulse_age_s > PULSE_OLD_S:
        notes.append("the states above are old: pulse is silent")
    return table(headers, rows, right=("PRIO",)) + "\n" + cut("   ".join(notes), WIDTH)


def cut_digest(digest: str) -> str:
    return digest[:DIGEST_SHOWN] or "?"


def _addresses(router: RouterStatus) -> str:
    """The first address, and whether this node holds it."""
    plain = [address.split("/")[0] for address in router.addresses]
    more = f" +{len(plain) - 1}" if len(plain) > 1 else ""
    held = " ✓" if router.held else " not held" if router.state == "MASTER" else ""
    return (plain[0] if plain else "-") + more + held


def _priority(node: NodeStatus, router: str, configured: int) -> str:
    """The effective one, and the configured one where something that is tracked has changed it."""
    effective = node.priorities.get(router)
    if effective is None:
        return "?"
    return f"{effective} ({configured})" if effective and configured not in (0, effective) else str(effective)


def _each(values: list[str]) -> str:
    """One value when all are the same, else each in the order of the virtual routers."""
    return values[0] if len(set(values)) == 1 else "/".join(values) or "-"


def _heartbeat(node: NodeStatus, document: Status) -> str:
    leads = "MASTER" in node.states.values()
    if node.this:
        intervals = [router.advert_s for router in document.routers if router.state == "MASTER"]
        return f"sends {format_duration(round(min(intervals) * S))}" if intervals else "-"
    if node.heartbeat_age_s is None:
        return "none" if leads else "-"
    age = format_duration(round(node.heartbeat_age_s * S))
    return f"{age} old" if leads else f"{age} ago"


def _moment(rfc3339: str) -> str:
    return datetime.fromisoformat(rfc3339).astimezone().strftime("%a %d %b %H:%M")


def _colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _clean(text: str) -> str:
    """Without what would steer a terminal: peers and servers have a say in some of these texts."""
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)


def _printable(text: str) -> str:
    """What this terminal's encoding can show."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
