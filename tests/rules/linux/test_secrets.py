"""A secret is read where its reference leads, and what is wrong is said without repeating it."""

import os
from pathlib import Path

import pytest

from firstmate.linux.secrets import SECRET_OCTETS_MAX, read_secret


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "cluster.key"
    file.write_bytes(b"k" * 32 + b"\n")
    file.chmod(0o600)
    return file


def test_a_file(key: Path) -> None:
    found = read_secret(f"file:{key}")
    assert (found.content, found.exposed) == (b"k" * 32 + b"\n", "")


@pytest.mark.parametrize(("mode", "who"), [(0o640, "the group"), (0o604, "everybody"), (0o620, "the group")])
def test_a_file_that_others_can_read_is_exposed(key: Path, mode: int, who: str) -> None:
    key.chmod(mode)
    exposed = read_secret(f"file:{key}").exposed
    assert f"{mode:04o}: {who}" in exposed
    assert "kkk" not in exposed


def test_a_variable_is_not_left_to_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTMATE_TEST_VARIABLE", "k" * 32)
    assert read_secret("env:FIRSTMATE_TEST_VARIABLE").content == b"k" * 32
    assert "FIRSTMATE_TEST_VARIABLE" not in os.environ
    assert read_secret("env:FIRSTMATE_TEST_VARIABLE").content == b"k" * 32  # as a reload does
    with pytest.raises(LookupError, match="FIRSTMATE_TEST_OTHER is not set"):
        read_secret("env:FIRSTMATE_TEST_OTHER")


def test_a_credential(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key.chmod(0o440)  # as systemd makes it: in a directory that only the service can enter
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(key.parent))
    found = read_secret("credential:cluster.key")
    assert (found.content, found.exposed) == (b"k" * 32 + b"\n", "")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(LookupError, match="systemd gives them"):
        read_secret("credential:cluster.key")


def test_a_place_that_is_none(key: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_secret(f"file:{key}.old")
    with pytest.raises(LookupError, match="no place for a secret"):
        read_secret("vault:x")


def test_a_file_that_is_something_else(key: Path) -> None:
    key.write_bytes(b"k" * (SECRET_OCTETS_MAX + 1))
    with pytest.raises(LookupError, match="more than 4096 octets"):
        read_secret(f"file:{key}")
    with pytest.raises(LookupError, match="not a regular file"):
        read_secret("file:/dev/zero")
