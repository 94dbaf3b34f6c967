"""The runtime directory: one firstmate at a time, the plan for the children, the API's socket."""

import contextlib
import fcntl
import grp
import os
import pwd
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from firstmate.model import jsonable
from firstmate.model.plan import Plan
from firstmate.model.secrets import without_secrets

DEFAULT = "/run/firstmate"
OPS_USER = "firstmate"  # made by the package; without it ops keeps our user, without capabilities
API_BACKLOG = 64
NETWORK = "\0firstmate"  # an abstract name is one of the network namespace, and goes with its holder
PLAN, API = "plan.json", "api.sock"
PULSE_PLAN = "pulse.json"  # with the keys and passwords that plan.json lacks


class AlreadyRunning(Exception):
    """Another firstmate holds this directory."""


class NetworkTaken(AlreadyRunning):
    """Another firstmate works in this network namespace, from another directory."""


@dataclass(frozen=True, slots=True)
class OpsUser:
    uid: int
    gid: int


class Runtime:
    """Raises `OSError` when the directory cannot be made, `AlreadyRunning` when it is taken."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._api: tuple[int, int] | None = None
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
        self._furnish()

    def write_plan(self, plan: Plan) -> None:
        """Replace pulse.json and plan.json, each atomically: a child reads the old one or the new one, whole.

        Anybody may read plan.json; it holds no secret. Raises `OSError`, and the old ones stand.
        """
        texts = {PULSE_PLAN: jsonable.dumps(plan), PLAN: jsonable.dumps(without_secrets(plan))}
        modes = {PULSE_PLAN: 0o600, PLAN: 0o644}
        news = {}
        try:
            for name, text in texts.items():
                if not _holds(self.path / name, text):  # a full disk is no reason to refuse what is there
                    news[name] = self.path / f"{name}.new"
                    _write(news[name], text, modes[name])
            for name, new in news.items():
                new.rename(self.path / name)
        except OSError:
            for new in news.values():
                new.unlink(missing_ok=True)
            raise

    def listen(self) -> socket.socket:
        """The API's socket. It is ours and not ops', so that callers wait while ops restarts."""
        self._furnish()
        path = self.path / API
        path.unlink(missing_ok=True)
        api = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        api.bind(str(path))
        path.chmod(0o660)  # looking needs the group of firstmate
        if self.ops_user is not None:
            os.chown(path, 0, self.ops_user.gid)
        api.listen(API_BACKLOG)
        self._api = _identity(path)
        return api

    def api_is_there(self) -> bool:
        """False: somebody removed or replaced the socket's file, and nobody can call any more."""
        return self._api is not None and _identity(self.path / API) == self._api

    def _furnish(self) -> None:
        ops = self.path / "ops"
        ops.mkdir(mode=0o755, parents=True, exist_ok=True)
        if self.ops_user is not None:
            os.chown(ops, self.ops_user.uid, self.ops_user.gid)

    def stop_listening(self) -> None:
        with contextlib.suppress(OSError):
            (self.path / API).unlink()


def claim_network(name: str = NETWORK) -> socket.socket | None:
    """One firstmate a network namespace: a second would take the addresses of the first for a dead one's.

    Held until the socket is closed. None: somebody who is not firstmate has the name, and must not keep us out.
    Raises `NetworkTaken`.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        claim.bind(name)
        claim.listen(API_BACKLOG)
    except OSError:
        claim.close()
        pid = _holder(name)
        if pid is not None:
            raise NetworkTaken(str(pid)) from None
        return None
    return claim


def _holder(name: str) -> int | None:
    """The process that holds the name, if it is one of ours."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as caller:
        caller.settimeout(0)
        try:
            caller.connect(name)
            pid, uid, _ = struct.unpack("=3i", caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        except OSError:
            return None
    return pid if uid == os.geteuid() else None


def _write(file: Path, text: str, mode: int) -> None:
    """A new file that nobody can read before it has its mode."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)
    file.chmod(mode)


def _holds(file: Path, text: str) -> bool:
    try:
        return file.read_text() == text
    except (OSError, ValueError):
        return False


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode; None when there is nothing."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


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
