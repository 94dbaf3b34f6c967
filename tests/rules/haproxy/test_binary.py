import sys
from pathlib import Path

import pytest
from tests.rules.haproxy.example import HAPROXYS, needs_haproxy

from firstmate.haproxy import binary as module
from firstmate.haproxy.binary import Binary, HaproxyMissing, HaproxyTooOld, find, read_version

DEBIAN = """HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/
Status: long-term supported branch - will stop receiving fixes around Q2 2027.
Feature list : -51DEGREES +ACCEPT4 +PROMEX -QUIC +TPROXY
"""
# fmt: off
VERSIONS = {
    "Debian 12":   (DEBIAN,                                            (2, 6, 12)),
    "the wheel":   ("HAProxy version 2.8.25-5cf5d0683 2026/06/26 - x", (2, 8, 25)),
    "Ubuntu":      ("HAProxy version 2.8.5-1ubuntu3.4 2025/10/01 - x", (2, 8, 5)),
    "development": ("HAProxy version 3.3-dev12-abc 2026/01/01 - x",    (3, 3, 12)),
    "plain":       ("HAProxy version 3.2.0 2025/05/28 - x",            (3, 2, 0)),
}
# fmt: on


def program(folder: Path, text: str, name: str = "haproxy") -> str:
    """A program that writes `text`."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(("text", "version"), VERSIONS.values(), ids=VERSIONS)
def test_versions(text: str, version: tuple[int, int, int]) -> None:
    assert read_version(text, "haproxy", bundled=False).version == version


def test_features() -> None:
    found = read_version(DEBIAN, "/usr/sbin/haproxy", bundled=False)
    assert found == Binary("/usr/sbin/haproxy", (2, 6, 12), frozenset({"ACCEPT4", "PROMEX", "TPROXY"}), bundled=False)
    assert found.version_text == "2.6.12"


@needs_haproxy
def test_a_real_one_is_found() -> None:
    found = find()
    assert found in HAPROXYS
    assert "THREAD" in found.features


def test_the_configured_one_is_taken(tmp_path: Path) -> None:
    path = program(tmp_path, DEBIAN)
    assert find(path).path == path


# fmt: off
REFUSED = {
    "not there":       (None,                              HaproxyMissing, "is not a program"),
    "something else":  ("nginx version: 1.22",             HaproxyMissing, "does not say which HAProxy it is"),
    "too old":         ("HAProxy version 2.4.30 2025 - x", HaproxyTooOld,  "HAProxy 2.4.30, and firstmate needs 2.6"),
    "much too old":    ("HAProxy version 1.8.4 2018 - x",  HaproxyTooOld,  "needs 2.6 or newer"),
}
# fmt: on


@pytest.mark.parametrize(("text", "kind", "says"), REFUSED.values(), ids=REFUSED)
def test_a_configured_one_that_will_not_do(tmp_path: Path, text: str | None, kind: type[Exception], says: str) -> None:
    path = str(tmp_path / "haproxy") if text is None else program(tmp_path, text)
    with pytest.raises(kind, match=says) as caught:
        find(path)
    assert "apt install haproxy" in str(caught.value)
    assert "pip install 'firstmate[haproxy]'" in str(caught.value)


def test_one_that_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "haproxy"
    path.write_bytes(b"\x7fELF nonsense")
    path.chmod(0o755)
    with pytest.raises(HaproxyMissing, match="does not run"):
        find(str(path))


def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, system: str | None, wheel: str | None) -> None:
    """A host with these versions of HAProxy."""
    monkeypatch.setattr(module, "SYSTEM_PLACES", (str(tmp_path / "sbin"),))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    if system:
        program(tmp_path, f"HAProxy version {system} 2026 - x", "sbin/haproxy")
    bundled = program(tmp_path, f"HAProxy version {wheel} 2026 - x", "wheel/haproxy") if wheel else None
    monkeypatch.setattr(module, "_wheel_path", lambda: bundled)


# fmt: off
ORDER = {                        # system   wheel     found    bundled
    "the system's first":         ("2.6.12", "2.8.25", (2, 6, 12), False),
    "only the system's":          ("2.6.12", None,     (2, 6, 12), False),
    "only the wheel":             (None,     "2.8.25", (2, 8, 25), True),
    "the system's is too old":    ("2.2.9",  "2.8.25", (2, 8, 25), True),
}
# fmt: on


@pytest.mark.parametrize(("system", "wheel", "version", "bundled"), ORDER.values(), ids=ORDER)
def test_order(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    system: str | None,
    wheel: str | None,
    version: tuple[int, int, int],
    bundled: bool,
) -> None:
    host(monkeypatch, tmp_path, system=system, wheel=wheel)
    found = find()
    assert (found.version, found.bundled) == (version, bundled)


def test_none_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    host(monkeypatch, tmp_path, system=None, wheel=None)
    with pytest.raises(HaproxyMissing, match="not installed on this host; install it with `apt install haproxy`, or"):
        find()


def test_only_one_that_is_too_old(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    host(monkeypatch, tmp_path, system="2.2.9", wheel=None)
    with pytest.raises(HaproxyTooOld, match=r"2\.2\.9"):
        find()


def test_a_copy_in_our_own_environment_is_not_the_systems(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    host(monkeypatch, tmp_path, system="2.6.12", wheel="2.8.25")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "sbin"))
    assert find().bundled


def test_systems_python_and_systems_haproxy_may_share_a_prefix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    host(monkeypatch, tmp_path, system="2.6.12", wheel="2.8.25")
    for name in ("prefix", "base_prefix"):
        monkeypatch.setattr(sys, name, str(tmp_path))  # as /usr, above /usr/sbin
    assert not find().bundled


def test_without_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    assert module._wheel_path() is None
