"""The runtime directory: one firstmate at a time, the plan for the children, the API's socket."""

import fcntl
import grp
import os
import pwd
import socket
from dataclasses import dataclass
from pathlib import Path

from firstmate.model import jsonable
from firstmate.model.plan import Plan

DEFAULT = "/run/firstmate"
OPS_USER = "firstmate"  # made by the package; without it ops keeps our user, without capabilities
API_BACKLOG = 64


class AlreadyRunning(Exception):
    """Another firstmate holds this directory."""


@dataclass(frozen=True, slots=True)
class OpsUser:
    uid: int
    gid: int


class Runtime:
    """Raises `OSError` when the directory cannot be made, `AlreadyRunning` when it is taken."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._lock, 32).decode(errors="replace").strip()
            raise AlreadyRunning(holder) from None
        os.ftruncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()}\n".encode())
        self.ops_user = _ops_user()
        ops = path / "ops"
        ops.mkdir(mode=0o755, exist_ok=True)
        if self.ops_user is not None:
            os.chown(ops, self.ops_user.uid, self.ops_user.gid)

    def write_plan(self, plan: Plan) -> None:
        """Replace plan.json atomically: a child reads the old one or the new one, whole."""
        new = self.path / "plan.json.new"
        new.write_text(jsonable.dumps(plan))
        new.chmod(0o644)
        new.rename(self.path / "plan.json")

    def listen(self) -> socket.socket:
        """The API's socket. It is ours and not ops', so that callers wait while ops restarts."""
        path = self.path / "api.sock"
        path.unlink(missing_ok=True)
        api = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        api.bind(str(path))
        path.chmod(0o660)  # looking needs the group of firstmate
        if self.ops_user is not None:
            os.chown(path, 0, self.ops_user.gid)
        api.listen(API_BACKLOG)
        return api


def _ops_user() -> OpsUser | None:
    """The user that ops runs as; None: ours, because there is none or we may not change to it."""
    if os.geteuid() != 0 or not _may_change_user():
        return None
    try:
        uid = pwd.getpwnam(OPS_USER).pw_uid
        return OpsUser(uid, grp.getgrnam(OPS_USER).gr_gid)
    except KeyError:
        return None


def _may_change_user() -> bool:
    """In a user namespace of one user there is nobody else to become."""
    try:
        spans = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    except OSError:
        return False
    return any(int(length) > 1 for _, _, length in spans)
