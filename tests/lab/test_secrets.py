"""The cluster's key reaches the process that signs, and nobody and nothing else."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.daemons import RUN, Pair, pair

KEY = "correct-horse-battery-staple-0123456789abcdef"
pytestmark = pytest.mark.lab


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Pair]:
    key = tmp_path / "cluster.key"
    key.write_text(KEY + "\n")
    key.chmod(0o600)
    with pair(f"secrets-{os.getpid()}", {"[cluster]": f'[cluster]\nsecret = "file:{key}"'}) as made:
        made.make_whole()
        yield made
        for host in (made.a, made.b):
            print(f"--- {host.name}\n{made.log(host)}")


def test_no_secret_is_seen(site: Pair) -> None:
    written = KEY.encode().hex()
    assert written in site.a.read_text("/run/firstmate/pulse.json")
    assert site.a.run(["stat", "-c", "%a", "/run/firstmate/pulse.json"]).stdout.strip() == "600"
    status = site.a.run([*RUN, "status", "-o", "json"])
    assert status.returncode == 0, status.stderr
    seen = {
        "plan.json": site.a.read_text("/run/firstmate/plan.json"),
        "status": status.stdout,
        "log": site.whole_log(site.a),
        "files of ops": site.a.run(["sh", "-c", "cat /run/firstmate/ops/*"]).stdout,
        "commands": str([process["words"] for process in site.census(site.a)]),
    }
    assert [what for what, text in seen.items() if KEY in text or written in text] == []


def test_a_key_that_is_none_is_refused_and_not_shown(site: Pair, tmp_path: Path) -> None:
    (tmp_path / "cluster.key").write_text("hunter2")
    site.mark()
    site.reload(site.a)
    site.hears(site.a, "error[E223]", "openssl rand -hex 32", "reload refused")
    assert "hunter2" not in site.log(site.a)
    assert site.a.holds_vip()
