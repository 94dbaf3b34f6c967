"""A wheel built from the tree, alone in an empty environment, is a whole firstmate."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import distribution, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parent.parent.parent
NAMESPACE = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
CONFIG = """
[cluster]
name = "alone"
[[node]]
name = "lb-a"
address = "10.0.1.10"
[[node]]
name = "lb-b"
address = "10.0.1.11"
[[vrrp]]
name = "web"
vrid = 1
prefer = ["lb-a", "lb-b"]
addresses = ["10.0.1.100/24"]
advert_interval = "100ms"
[[service]]
name = "web"
mode = "http"
bind = [":80"]
[service.servers]
web1 = "10.0.1.21:80"
"""
# The whole life of a daemon: start, become MASTER (nobody else is there), say so, stop.
LIFE = """
set -eu
ip link set lo up
ip link add eth0 type veth peer name eth1
ip link set eth1 up
ip address add 10.0.1.10/24 dev eth0
ip link set eth0 up
firstmate run -c firstmate.toml 2>log &
daemon=$!
for _ in $(seq 150); do
    firstmate status -o json >status.json 2>error && grep -q '"state": *"MASTER"' status.json && break
    sleep 0.1
done
firstmate status
ip -brief address show dev eth0 >addresses
kill -TERM $daemon
wait $daemon
ip -brief address show dev eth0 >addresses.after
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel and what it says it requires, from here instead of from the network."""
    home = tmp_path_factory.mktemp("alone")
    venv.create(home, with_pip=False)
    uv = [sys.executable, "-m", "uv", "--quiet", "--no-cache", "--offline", "pip", "install", "--no-deps"]
    _run([*uv, "--python", str(home / "bin" / "python"), str(wheel)])
    (packages,) = home.glob("lib/python3.*/site-packages")
    for name in _required("firstmate", set()):
        _copy(name, packages)
    return home


def _required(name: str, seen: set[str]) -> set[str]:
    """Names of what a distribution needs at run time, extras left out."""
    for line in requires(name) or []:
        needed = Requirement(line)
        if needed.name not in seen and (needed.marker is None or needed.marker.evaluate({"extra": ""})):
            seen.add(needed.name)
            _required(needed.name, seen)
    return seen


def _copy(name: str, packages: Path) -> None:
    for file in distribution(name).files or []:
        if ".." not in file.parts and "__pycache__" not in file.parts:
            target = packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file.locate(), target)


def _run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    settings: dict[str, object] = {"capture_output": True, "text": True, "timeout": 60, **options}
    done: subprocess.CompletedProcess[str] = subprocess.run(command, check=False, **settings)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def _environment(alone: Path, **more: str) -> dict[str, str]:
    """No PYTHONPATH, no active environment: nothing of the checkout can be found."""
    path = f"{alone / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "HOME": str(alone), "LANG": "C.UTF-8", **more}


def test_wheel_is_for_every_platform_and_holds_what_is_no_code(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"firstmate/haproxy/haproxy.cfg.j2", "firstmate/py.typed", "firstmate/pulse/loop.py"} <= {*names}
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"firstmate"}


def test_check_and_help_work_alone(alone: Path, tmp_path: Path) -> None:
    (tmp_path / "firstmate.toml").write_text(CONFIG)
    (tmp_path / "bad.toml").write_text(CONFIG.replace("prefer", "prefered"))
    environment = _environment(alone)
    where = "import firstmate; print(firstmate.__file__)"
    assert str(alone) in _run([str(alone / "bin" / "python"), "-c", where], cwd=tmp_path, env=environment).stdout
    assert "check" in _run(["firstmate", "--help"], cwd=tmp_path, env=environment).stdout
    _run(["firstmate", "check", "firstmate.toml"], cwd=tmp_path, env=environment)
    bad = subprocess.run(
        ["firstmate", "check", "bad.toml"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert bad.returncode == 78
    assert 'did you mean "prefer"?' in bad.stdout + bad.stderr


def test_daemon_lives_and_tells_and_ends_alone(alone: Path, tmp_path: Path) -> None:
    _needs_a_namespace()
    (tmp_path / "firstmate.toml").write_text(CONFIG)
    environment = _environment(alone, FIRSTMATE_RUNTIME=str(tmp_path / "run"))
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    try:
        shown = _run([*NAMESPACE, *user, "bash", "-c", LIFE], cwd=tmp_path, env=environment).stdout
    finally:
        sys.stdout.write((tmp_path / "log").read_text() if (tmp_path / "log").exists() else "no log\n")
    status = json.loads((tmp_path / "status.json").read_text())
    assert status["routers"][0]["state"] == "MASTER"
    assert "lb-a is MASTER" in shown
    assert " ended (" not in (tmp_path / "log").read_text()  # no process of ours had to be started twice
    assert "10.0.1.100/24" in (tmp_path / "addresses").read_text()
    assert "10.0.1.100/24" not in (tmp_path / "addresses.after").read_text()


def _needs_a_namespace() -> None:
    for program in ("unshare", "ip", "haproxy"):
        if shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None:
            pytest.skip(f"{program} is not installed")
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    if subprocess.run([*NAMESPACE, *user, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no network namespace can be made here: run as root, or allow unprivileged user namespaces")
