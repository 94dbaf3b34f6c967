"""`firstmate check`: what it prints, and the exit code that scripts rely on."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.rules.config.example import GOOD, edited

from firstmate.cli.main import group
from firstmate.config.toml import TEXT_BYTES_MAX

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/sbin")
needs_haproxy = pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed here")

BAD = edited(("prefer =", "prefers ="))
ADVICE = edited(('["lb-a", "lb-b"]', '["lb-a"]'))
NO_HAPROXY = GOOD[: GOOD.index("[[service]]")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "firstmate.toml"


def check(*arguments: str | Path, **extra: str) -> Result:
    return CliRunner().invoke(group, ["check", *map(str, arguments)], **extra)  # type: ignore[arg-type]


# fmt: off
CODES = {  # text       options                  exit   said
    "good":          (NO_HAPROXY,  [],                      0,   "no problems. Fingerprint "),
    "bad":           (BAD,         [],                      78,  "1 error. Nothing was changed."),
    "advice":        (ADVICE,      [],                      0,   "warning[W312]"),
    "strict":        (ADVICE,      ["--strict"],            78,  "warning[W312]"),
    "strict, good":  (NO_HAPROXY,  ["--strict"],            0,   "no problems"),
    "no TOML":       ("[",         [],                      78,  "error[E104]"),
    "no HAProxy":    (GOOD,        ["--haproxy", "/x/y"],   78,  "error[E401]"),
}
# fmt: on


@pytest.mark.parametrize(("text", "options", "code", "said"), CODES.values(), ids=CODES)
def test_exit_code(file: Path, text: str, options: list[str], code: int, said: str) -> None:
    file.write_text(text)
    result = check(file, *options)
    assert (result.exit_code, said in result.stdout) == (code, True), result.output


def test_the_place_is_shown(file: Path) -> None:
    file.write_text(BAD)
    assert check(file).stdout == (
        'error[E112]: unknown key "prefers" in [[vrrp]]\n'
        f"  --> {file}:15:1\n"
        "   |\n"
        '15 | prefers = ["lb-a", "lb-b"]\n'
        '   | ^^^^^^^ did you mean "prefer"?\n'
        "\n"
        "1 error. Nothing was changed.\n"
    )


@pytest.mark.parametrize("arguments", [["-o", "json", "check"], ["check", "-o", "json"]])
def test_json(file: Path, arguments: list[str]) -> None:
    file.write_text(BAD)
    result = CliRunner().invoke(group, [*arguments, str(file)])
    document = json.loads(result.stdout)
    assert (result.exit_code, document["schema"], document["errors"]) == (78, "check/1", 1)
    assert document["problems"][0]["line"] == 15


def test_github(file: Path) -> None:
    file.write_text(BAD)
    assert check(file, "-o", "github").stdout.startswith(f"::error file={file},line=15,col=1,endColumn=8,title=E112::")


def test_the_file_may_be_given_as_c(file: Path) -> None:
    file.write_text(BAD)
    for arguments in (["-c", file, "check"], ["check", "-c", file]):
        assert CliRunner().invoke(group, list(map(str, arguments))).exit_code == 78


def test_standard_input() -> None:
    assert "--> -:15:1" in check("-", input=BAD).stdout


def test_a_file_that_is_not_there(file: Path) -> None:
    result = check(file)
    assert result.exit_code == 78
    assert result.stdout.startswith(f"error[E101]: cannot read the file: No such file or directory\n  --> {file}\n")


def test_a_name_that_no_file_has() -> None:
    assert "error[E101]" in check("a\0b").stdout


def test_a_file_that_is_too_large(file: Path) -> None:
    file.write_bytes(b"#" * (TEXT_BYTES_MAX + 2))
    assert "error[E102]" in check(file).stdout


def test_bytes_that_are_no_text(file: Path) -> None:
    file.write_bytes(b"a = 1\n\xff\xfe")
    assert "error[E103]" in check(file).stdout


@needs_haproxy
def test_haproxy_accepts(file: Path) -> None:
    file.write_text(GOOD)
    result = check(file, "--haproxy", str(HAPROXY))
    assert (result.exit_code, result.stderr) == (0, "")


@needs_haproxy
def test_haproxy_refuses_a_line_at_its_place(file: Path) -> None:
    file.write_text(edited(('mode = "http"', 'mode = "http"\nhaproxy = ["option x-no-such", "no option httplog"]')))
    result = check(file, "--haproxy", str(HAPROXY))
    assert result.exit_code == 78
    assert "error[E410]" in result.stdout
    assert f"--> {file}:21:12\n" in result.stdout


@needs_haproxy
def test_haproxy_refuses_a_file_of_the_operator(file: Path, tmp_path: Path) -> None:
    own = tmp_path / "haproxy.cfg"
    own.write_text("global\n  frobnicate\n")
    file.write_text(NO_HAPROXY + f'[haproxy]\nconfig = "{own}"\n')
    result = check(file, "--haproxy", str(HAPROXY))
    assert result.exit_code == 78
    assert f"--> {own}:2\n  |\n2 |   frobnicate\n" in result.stdout


def test_a_secret_is_looked_at_where_this_host_is_a_node(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = NO_HAPROXY.replace('"web-edge"', '"web-edge"\nsecret = "env:FIRSTMATE_TEST_CHECKED"', 1)
    text = text.replace("10.0.1.10", "127.0.0.1").replace("vrid = 1", 'vrid = 1\ninterface = "lo"')
    file.write_text(text)
    monkeypatch.setenv("FIRSTMATE_TEST_CHECKED", "hunter2")
    result = check(file)
    assert (result.exit_code, "error[E223]" in result.stdout, "hunter2" in result.output) == (78, True, False)
    monkeypatch.setenv("FIRSTMATE_TEST_CHECKED", "k" * 32)
    result = check(file)
    assert (result.exit_code, "this host is lb-a" in result.stdout) == (0, True), result.output


def test_a_namespace_that_cannot_be_entered_leaves_the_host_out(file: Path) -> None:
    file.write_text(NO_HAPROXY.replace('"web-edge"', '"web-edge"\nnet_namespace = "firstmate-is-not-there"', 1))
    assert check(file).exit_code == 0
