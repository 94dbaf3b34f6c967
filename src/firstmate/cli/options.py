"""Options that several commands take, before or after the command's name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

CONFIG_DEFAULT = "/etc/firstmate/firstmate.toml"

# Exit codes, the same for every command (see the user's reference).
EXIT_OK = 0
EXIT_NO = 1  # it ran, and the answer is no
EXIT_USAGE = 2
EXIT_UNREACHABLE = 69
EXIT_AGAIN = 75  # timed out, or the state changed under us
EXIT_NOT_ALLOWED = 77
EXIT_CONFIG = 78
EXIT_INTERRUPTED = 130

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class Options:
    """What was said before the command's name, or after it; the later wins. It is the context's `obj`."""

    config: str = CONFIG_DEFAULT
    output: str = "table"
    verbose: int = 0


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Keep an option in `Options`, unless it was not given."""
    options = context.ensure_object(Options)
    if value is not None and parameter.name is not None:
        setattr(options, parameter.name, value)
    return value


def with_output(*kinds: str) -> Callable[[F], F]:
    """Add `-o`; read it as `Options.output`."""
    return click.option(
        "-o", "--output", type=click.Choice(kinds), callback=_remember, expose_value=False,
        help="How the answer is written.",
    )  # fmt: skip


def with_config(command: F) -> F:
    """Add `-c FILE`; read it as `Options.config`."""
    return click.option(
        "-c", "--config", metavar="FILE", callback=_remember, expose_value=False,
        help=f"The configuration (default: {CONFIG_DEFAULT}).",
    )(command)  # fmt: skip


def with_node(command: F) -> F:
    """Add `--node NAME`, or FIRSTMATE_NODE; given to the command as `node`, None when not said."""
    return click.option(
        "--node", metavar="NAME", envvar="FIRSTMATE_NODE",
        help="Which [[node]] this host is (default: the one whose address it has).",
    )(command)  # fmt: skip
