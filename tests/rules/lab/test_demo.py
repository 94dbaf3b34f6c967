"""What a person is told to try, as it can be typed where they are."""

import sys
from pathlib import Path

import pytest

from firstmate.lab.demo import hints, program_name
from firstmate.lab.topology import standard_site


def test_on_the_path_the_name_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "firstmate").write_text("#!/bin/sh\n")
    (tmp_path / "firstmate").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program_name() == "firstmate"


def test_elsewhere_it_is_the_path_of_the_one_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    assert program_name() == str(tmp_path / ".venv" / "bin" / "firstmate")
    monkeypatch.chdir(tmp_path)
    assert program_name() == ".venv/bin/firstmate"
    assert hints(standard_site())[2].startswith("  .venv/bin/firstmate lab status ")


def test_a_lab_of_another_name_is_named() -> None:
    assert all("--name other" in line for line in hints(standard_site(), "other")[2:])
