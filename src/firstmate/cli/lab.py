"""`firstmate lab`: the whole site on this machine, to try out and to break."""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from firstmate.cli.options import (
    EXIT_INTERRUPTED,
    EXIT_NO,
    EXIT_NOT_ALLOWED,
    EXIT_OK,
    EXIT_UNREACHABLE,
    Options,
    with_output,
)

if TYPE_CHECKING:
    from firstmate.lab.faults import Scene

_SERVE_WAIT_US = 25_000_000
_EXIT_TERMINATED = 143

with_name = click.option("--name", default="lab", show_default=True, help="Tells labs on one machine apart.")


@click.group(short_help="the whole site in network namespaces on one machine")
def command() -> None:
    """The whole site on this machine: a client, two load balancers with real HAProxy, five web servers.

    Hosts are network namespaces. Works as root, and as an ordinary user where the kernel allows it.
    """


@command.command()
@with_name
def up(name: str) -> int:
    """Make the site, start everything, and return when it serves."""
    with _speaking():
        from firstmate.lab.balancers import Firstmate, start_all, wait_whole  # noqa: PLC0415 - only when asked for
        from firstmate.lab.demo import hints, logs  # noqa: PLC0415
        from firstmate.lab.lab import Lab, now_us  # noqa: PLC0415
        from firstmate.lab.topology import draw  # noqa: PLC0415
        from firstmate.lab.wire import LabError  # noqa: PLC0415

        begin_us = now_us()
        with Lab(name=name) as lab:
            balancer = Firstmate()
            start_all(lab, balancer)
            try:
                wait_whole(lab, balancer, _SERVE_WAIT_US, leader=lab.balancers[0].name)
            except LabError:
                click.echo("\n".join(logs(lab)), err=True)
                raise
            click.echo(draw(lab.site, lab.leader()))
            click.echo(f"ready in {(now_us() - begin_us) / 1_000_000:.1f} s")
            click.echo("\n".join(hints(lab.site, name)[1:]))
            lab.detach()
    return EXIT_OK


@command.command()
@with_name
def down(name: str) -> int:
    """End everything in the lab; nothing of it stays behind."""
    with _speaking():
        from firstmate.lab import state  # noqa: PLC0415
        from firstmate.lab.lab import Lab  # noqa: PLC0415
        from firstmate.lab.wire import LabError  # noqa: PLC0415

        directory = state.directory_of(name)
        was_there = directory.exists()
        try:
            Lab.attach(name).down()
        except LabError:  # its keeper is gone or hangs: end what is recorded
            state.clear(directory)
        click.echo("the lab is down" if was_there else "no lab was up")
    return EXIT_OK


@command.command()
@with_name
@with_output("table", "json")
@click.pass_obj
def status(options: Options, name: str) -> int:
    """Who leads, what runs where, what is broken."""
    with _attached(name) as scene:
        from firstmate.lab.overview import describe, render  # noqa: PLC0415

        document = describe(scene)
        if options.output == "json":
            click.echo(json.dumps(document, indent=2))
        else:
            click.echo(render(document, scene.lab.site))
    return EXIT_OK


@command.command()
@click.argument("kind")
@click.argument("node", default="")
@with_name
def fault(kind: str, node: str, name: str) -> int:
    """Inject the fault KIND on NODE (default: the load balancer that leads; `fault list` shows all kinds)."""
    with _speaking():
        from firstmate.lab.faults import FAULTS  # noqa: PLC0415

        if kind == "list":
            for known in FAULTS.values():
                click.echo(f"{known.name:<14} {known.says}")
            return EXIT_OK
    with _attached(name) as scene:
        injection = scene.inject(kind, node)
        where = injection.host or "the network"
        mend = "it heals by itself" if injection.fault.mends_itself else "mend it with `firstmate lab heal`"
        click.echo(f"{where}: {injection.fault.says}; {mend}")
    return EXIT_OK


@command.command()
@with_name
def heal(name: str) -> int:
    """Mend everything: plug cables, end partitions, wake what is stopped, start what is gone."""
    with _attached(name) as scene:
        for line in scene.heal() or ["nothing was broken"]:
            click.echo(line)
    return EXIT_OK


@command.command(context_settings={"allow_interspersed_args": False})  # what follows HOST is not ours to read
@click.argument("host")
@click.argument("words", nargs=-1)
@with_name
def shell(host: str, words: tuple[str, ...], name: str) -> int:
    """Open a shell on HOST, or run the command that follows: `firstmate lab shell client curl -i 10.0.1.80`."""
    with _attached(name) as scene:
        from firstmate.lab.terminal import run_on_terminal  # noqa: PLC0415

        return run_on_terminal(scene.lab.host(host), words)


@command.command()
@click.option("--keep", is_flag=True, help="Leave the lab running at the end, and say what to try.")
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), default=Path("report.html"), show_default=True
)
@click.option("--fault", "faults", multiple=True, metavar="KIND", help="Try these instead; may be given several times.")
@with_name
def demo(report: Path, faults: tuple[str, ...], name: str, *, keep: bool) -> int:
    """Bring the site up, break it five ways while a client watches, and judge. Exit code 0: every limit held."""
    with _speaking():
        from firstmate.lab.demo import STORY, Wish, run_demo  # noqa: PLC0415
        from firstmate.lab.screen import open_screen  # noqa: PLC0415

        wish = Wish(keep=keep, report=report, faults=faults or STORY, name=name)
        return EXIT_OK if run_demo(wish, open_screen()) else EXIT_NO


@contextmanager
def _attached(name: str) -> Iterator["Scene"]:
    with _speaking():
        from firstmate.lab.balancers import Firstmate  # noqa: PLC0415
        from firstmate.lab.faults import Scene  # noqa: PLC0415
        from firstmate.lab.lab import Lab  # noqa: PLC0415

        lab = Lab.attach(name)
        try:
            yield Scene(lab, Firstmate())
        finally:
            lab.disconnect()


@contextmanager
def _speaking() -> Iterator[None]:
    """Say what went wrong in a sentence, and take SIGTERM like Ctrl-C: everything that was begun is undone."""
    try:
        from firstmate.lab.wire import LabError, NotAllowed  # noqa: PLC0415
    except ImportError as error:
        _fail(f"{error}: the lab needs its extra: pip install 'firstmate[lab]'")
    before = signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        yield
    except NotAllowed as error:
        _fail(str(error), EXIT_NOT_ALLOWED)
    except LabError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        click.echo("interrupted; the lab is down", err=True)
        sys.exit(EXIT_INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, before)


def _on_sigterm(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(_EXIT_TERMINATED)


def _fail(text: str, code: int = EXIT_UNREACHABLE) -> NoReturn:
    click.echo(f"error: {text}", err=True)
    sys.exit(code)
