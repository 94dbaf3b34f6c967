"""The command line as a whole: what it lists, how fast it starts, how it leaves."""

import subprocess
import sys
from importlib.util import find_spec

import click
import pytest
from click.testing import CliRunner

from firstmate import __version__
from firstmate.cli.main import COMMANDS, GROUPS, group, main

HEAVY = ("asyncio", "rich", "attrs", "cattrs", "http", "ssl", "importlib.metadata", "tomllib", "jinja2", "subprocess")


def run_in_fresh_interpreter(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["firstmate.cli.main", "firstmate.cli.status"])
def test_looking_starts_light(module: str) -> None:
    """Startup gate: `status` must answer below 150 ms, so its path loads nothing heavy."""
    if find_spec(module) is None:
        pytest.skip(f"{module} is not written yet")
    loaded = run_in_fresh_interpreter(
        f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert loaded == "[]"


def test_help_lists_what_works_and_only_that() -> None:
    shown = CliRunner().invoke(group, ["--help"]).stdout
    for title, commands in GROUPS.items():
        there = [name for name in commands if find_spec(f"firstmate.cli.{name}")]
        assert (f"{title}:" in shown) == bool(there)
        for name, summary in commands.items():
            assert (f"  {name} " in shown) == (name in there)
            assert (summary in shown) == (name in there)


@pytest.mark.parametrize("name", [name for name in COMMANDS if find_spec(f"firstmate.cli.{name}")])
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(group, [name, "--help"])
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")


def leave(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as raised:
        main(list(arguments))
    return raised.value.code


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert leave("--version") == 0
    assert capsys.readouterr().out == f"firstmate {__version__}\n"


def test_a_command_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert leave("checks") == 2
    assert 'There is no command "checks". Did you mean "check"?' in capsys.readouterr().err
    assert leave("frobnicate") == 2
    assert "See `firstmate --help`." in capsys.readouterr().err


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert leave("check", "--no-such-option") == 2
    assert "No such option" in capsys.readouterr().err
    assert leave("-o", "xml", "check") == 2


def test_exit_code_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert leave("check", "/no/such/file") == 78
    assert "E101" in capsys.readouterr().out


def test_interrupted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise click.Abort

    monkeypatch.setattr(group, "invoke", interrupted)
    assert leave("check") == 130
    assert "interrupted" in capsys.readouterr().err


def test_python_m_is_the_command_line() -> None:
    done = subprocess.run([sys.executable, "-m", "firstmate", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"firstmate {__version__}\n")
