"""Options may stand before the command's name or after it; the later one counts."""

import click
import pytest
from click.testing import CliRunner

from firstmate.cli.options import CONFIG_DEFAULT, Options, with_config, with_node, with_output


@click.group()
@with_config
@with_output("table", "json")
def outer() -> None: ...


@outer.command()
@with_config
@with_output("table", "json", "github")
@with_node
@click.pass_obj
def inner(options: Options, node: str | None) -> None:
    click.echo(f"{options.config} {options.output} {node}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], f"{CONFIG_DEFAULT} table None"),
        (["-c", "a", "-o", "json"], "a json None"),
        (["-c", "a", "inner", "-c", "b", "-o", "github"], "b github None"),
        (["-o", "json", "inner", "--node", "lb-a"], f"{CONFIG_DEFAULT} json lb-a"),
    ],
)
def test_where_an_option_stands(arguments: list[str], said: str) -> None:
    arguments = arguments if "inner" in arguments else [*arguments, "inner"]
    assert CliRunner().invoke(outer, arguments).stdout == said + "\n"


def test_the_node_may_come_from_the_environment() -> None:
    result = CliRunner().invoke(outer, ["inner"], env={"FIRSTMATE_NODE": "lb-b"})
    assert result.stdout == f"{CONFIG_DEFAULT} table lb-b\n"
