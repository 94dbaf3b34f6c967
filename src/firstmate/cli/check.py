"""`firstmate check [FILE]`: every mistake of a configuration at once. Needs no daemon and changes nothing."""

import sys
from pathlib import Path

import click

from firstmate.cli.options import CONFIG_DEFAULT, EXIT_CONFIG, EXIT_OK, Options, with_config, with_output
from firstmate.config import report
from firstmate.config.codes import Code
from firstmate.config.compile import Checked, check, net_namespace_of
from firstmate.config.signing import ReadSecret
from firstmate.config.toml import TEXT_BYTES_MAX
from firstmate.model.host import HostFacts
from firstmate.model.problems import Problem, Severity


@click.command(short_help="parse, cross-check, `haproxy -c`; nothing is changed")
@click.argument("file", required=False)
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.option("--haproxy", metavar="PATH", help="Ask this HAProxy (default: the one that would run).")
@with_config
@with_output("table", "json", "github")
@click.pass_context
def command(context: click.Context, file: str | None, haproxy: str | None, *, strict: bool) -> None:
    """Check FILE, or the one of -c, or /etc/firstmate/firstmate.toml; "-" reads standard input.

    Exit code 0: good. 78: it has errors, or with --strict warnings.
    """
    options = context.ensure_object(Options)
    name = file or options.config
    content = _read(name)
    if isinstance(content, Problem):
        checked, note = Checked((content,)), ""
    else:
        host, read_secret = _host(net_namespace_of(content, name))
        checked = check(content, name, host, read_secret)
        checked, note = _ask_haproxy(content, name, checked, haproxy)
    _print(checked, name, content if isinstance(content, bytes) else b"", options.output, note)
    context.exit(EXIT_CONFIG if checked.errors or (strict and checked.warnings) else EXIT_OK)


def _read(name: str) -> bytes | Problem:
    """One byte more than is allowed, so that a larger file is seen to be one."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(TEXT_BYTES_MAX + 1)
        with Path(name).open("rb") as stream:
            return stream.read(TEXT_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        hint = "name a file: firstmate check FILE" if name == CONFIG_DEFAULT else ""
        return Problem(Code.UNREADABLE.value, f"cannot read the file: {why}", hint, name)


def _host(namespace: str) -> tuple[HostFacts | None, ReadSecret | None]:
    """This host's interfaces and secrets; None where the kernel does not tell: then only the file is judged."""
    try:
        from firstmate.linux.interfaces import read_host_facts  # noqa: PLC0415 - Linux only
        from firstmate.linux.process import enter_net_namespace  # noqa: PLC0415
        from firstmate.linux.secrets import read_secret  # noqa: PLC0415

        if namespace:
            enter_net_namespace(namespace)
        return read_host_facts(), read_secret
    except (ImportError, OSError):
        return None, None


def _ask_haproxy(content: bytes, name: str, checked: Checked, binary: str | None) -> tuple[Checked, str]:
    """Add what `haproxy -c` says, and a note on whether it was asked."""
    if checked.errors:
        return checked, ""
    from firstmate.cli.haproxy_check import ask  # noqa: PLC0415 - jinja2 and a process: only when all else is well

    problems, note = ask(content, name, binary)
    return Checked((*checked.problems, *problems), checked.node, checked.digest), note


def _print(checked: Checked, name: str, content: bytes, output: str, note: str) -> None:
    problems = checked.problems
    if output == "json":
        click.echo(report.as_json(problems, name, checked.digest, checked.node))
        return
    if output == "github":
        click.echo(report.as_github(problems))
        return
    end = "Nothing was changed."
    if not any(problem.severity is Severity.ERROR for problem in problems):
        end = f"Fingerprint {checked.digest}" + (f", this host is {checked.node}." if checked.node else ".")
    sources = {name: content.decode(errors="replace")}
    sources |= {problem.file: _other_source(problem.file) for problem in problems if problem.file not in ("", name)}
    click.echo(report.render(problems, sources, end=end))
    if note:
        click.echo(note, err=True)


def _other_source(name: str) -> str:
    """The text of a file that HAProxy complained about, such as the operator's own haproxy.cfg."""
    content = _read(name)
    return content.decode(errors="replace") if isinstance(content, bytes) else ""
