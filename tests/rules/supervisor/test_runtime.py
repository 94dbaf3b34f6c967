import os
import resource
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.rules.supervisor.example import PLAN

from firstmate.model import jsonable
from firstmate.model.plan import HmacKey, HmacPlan, Plan, VrrpPlan
from firstmate.supervisor.runtime import AlreadyRunning, NetworkTaken, Runtime, claim_network


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can grow: what a full disk is to a writer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_one_firstmate_a_directory(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path)
    with pytest.raises(AlreadyRunning, match=f"^{os.getpid()}$"):
        Runtime(tmp_path)
    os.close(runtime._lock)
    assert Runtime(tmp_path).path == tmp_path


def test_a_refused_second_does_not_hide_who_is_first(tmp_path: Path) -> None:
    first = Runtime(tmp_path)
    for _ in range(2):
        with pytest.raises(AlreadyRunning, match=str(os.getpid())):
            Runtime(tmp_path)
    assert first.path.joinpath("lock").read_text() == f"{os.getpid()}\n"


def test_one_firstmate_a_network() -> None:
    name = f"\0firstmate-test-{os.getpid()}"
    first = claim_network(name)
    assert first is not None
    with pytest.raises(NetworkTaken, match=f"^{os.getpid()}$"):
        claim_network(name)
    first.close()
    again = claim_network(name)
    assert again is not None
    again.close()


def test_stranger_with_the_name_does_not_keep_us_out() -> None:
    name = f"\0firstmate-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.bind(name)  # another kind of socket has names of its own
        other = claim_network(name)
        assert other is not None
        other.close()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(name)  # it does not listen
        assert claim_network(name) is None


def test_directory_is_made_with_room_for_ops(tmp_path: Path) -> None:
    Runtime(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "ops").is_dir()


def test_plan_is_replaced_whole(tmp_path: Path) -> None:
    runtime, file = Runtime(tmp_path), tmp_path / "plan.json"
    runtime.write_plan(PLAN)
    with file.open() as opened_before:
        runtime.write_plan(replace(PLAN, digest="other"))
        assert jsonable.loads(Plan, opened_before.read()) == PLAN  # who reads now reads the old one to its end
    assert jsonable.loads(Plan, file.read_text()).digest == "other"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644  # ops is another user
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "ops", "plan.json", "pulse.json"]


def test_plan_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    runtime, file = Runtime(tmp_path), tmp_path / "plan.json"
    runtime.write_plan(PLAN)
    with full_disk(), pytest.raises(OSError):
        runtime.write_plan(replace(PLAN, digest="other"))
    assert jsonable.loads(Plan, file.read_text()) == PLAN
    assert not list(tmp_path.glob("*.new"))
    assert jsonable.loads(Plan, (tmp_path / "pulse.json").read_text()) == PLAN


def test_secrets_are_in_the_file_of_pulse_alone(tmp_path: Path) -> None:
    key, password = b"k" * 32, b"s3cret"
    router = VrrpPlan(
        "web",
        1,
        2,
        254,
        1_000_000,
        "eth0",
        PLAN.me.address,
        (),
        auth_pass=password,
        hmac=HmacPlan((HmacKey(1, key),), 1),
    )
    plan = replace(PLAN, routers=(router,))
    Runtime(tmp_path).write_plan(plan)
    secret, public = tmp_path / "pulse.json", tmp_path / "plan.json"
    assert jsonable.loads(Plan, secret.read_text()) == plan
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert key.hex() not in public.read_text()
    assert password.hex() not in public.read_text()
    assert jsonable.loads(Plan, public.read_text()).routers[0].hmac is not None  # that it signs is no secret


def test_plan_that_is_there_needs_no_room(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path)
    runtime.write_plan(PLAN)
    with full_disk():
        runtime.write_plan(PLAN)


@pytest.mark.parametrize("damage", [b"{", b"\xff\xfe", b""])
def test_damaged_plan_is_written_again(tmp_path: Path, damage: bytes) -> None:
    runtime, file = Runtime(tmp_path), tmp_path / "plan.json"
    runtime.write_plan(PLAN)
    file.write_bytes(damage)
    runtime.write_plan(PLAN)
    assert jsonable.loads(Plan, file.read_text()) == PLAN


def test_api_is_for_the_group_alone(tmp_path: Path) -> None:
    with Runtime(tmp_path).listen(), socket.socket(socket.AF_UNIX) as caller:
        assert stat.S_IMODE((tmp_path / "api.sock").stat().st_mode) == 0o660
        caller.connect(str(tmp_path / "api.sock"))  # waits in the queue, also while nobody accepts


def test_api_replaces_what_a_predecessor_left(tmp_path: Path) -> None:
    (tmp_path / "api.sock").write_text("")
    runtime = Runtime(tmp_path)
    with runtime.listen(), socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(tmp_path / "api.sock"))
        assert runtime.api_is_there()


def test_api_that_was_removed_or_replaced_is_missed(tmp_path: Path) -> None:
    runtime, path = Runtime(tmp_path), tmp_path / "api.sock"
    with runtime.listen():
        path.rename(tmp_path / "elsewhere")  # its inode lives on, so another must be another's
        assert not runtime.api_is_there()
        path.write_text("")
        assert not runtime.api_is_there()
    with runtime.listen():
        assert runtime.api_is_there()
    runtime.stop_listening()
    assert not path.exists()
    runtime.stop_listening()  # twice is fine


def test_api_returns_also_when_the_directory_went(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "moved")
    with runtime.listen():
        assert (tmp_path / "run" / "ops").is_dir()
