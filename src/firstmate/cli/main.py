"""The command line: `firstmate COMMAND`. A command's module is imported only when it is used.

The module `firstmate.cli.NAME` holds the click command, called `NAME` or `command`.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import click

from firstmate import __version__
from firstmate.cli.options import EXIT_INTERRUPTED, EXIT_OK, Options, with_config, with_output

# fmt: off
GROUPS = {  # as the user's reference has them; a command without a module is not shown
    "Set up": {
        "check":  "parse, cross-check, `haproxy -c`; nothing is changed",
    },
    "Run": {
        "run":    "the daemon (systemd Type=notify)",
    },
    "Look": {
        "status": "the cluster as seen from here",
    },
    "Rehearse": {
        "lab":    "the whole site in network namespaces on one machine",
    },
}
# fmt: on
COMMANDS = {name: summary for group in GROUPS.values() for name, summary in group.items()}


class LazyGroup(click.Group):
    """Knows its commands by name; imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return [name for name in COMMANDS if find_spec(f"firstmate.cli.{name}") is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = import_module(f"firstmate.cli.{cmd_name}")
        command: click.Command = getattr(module, "command", None) or getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            import difflib  # noqa: PLC0415 - only a mistake needs it

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), 1)
            hint = f' Did you mean "{near[0]}"?' if near else " See `firstmate --help`."
            raise click.UsageError(f'There is no command "{args[0][:40]}".{hint}', ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        present = self.list_commands(ctx)
        for title, commands in GROUPS.items():
            rows = [(name, summary) for name, summary in commands.items() if name in present]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _print_version(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"firstmate {__version__}")
        context.exit(EXIT_OK)


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, name="firstmate"
)
@with_config
@with_output("table", "json")
@click.option("-v", "--verbose", count=True, help="Say more.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
@click.pass_context
def group(context: click.Context, verbose: int) -> None:
    """VRRP failover for HAProxy: when the captain is lost, the first mate takes command."""
    context.ensure_object(Options).verbose = verbose


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    try:
        code = group.main(arguments, prog_name="firstmate", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(code if isinstance(code, int) else EXIT_OK)
