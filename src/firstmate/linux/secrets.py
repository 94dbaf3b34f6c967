"""Secrets by reference: `file:/etc/firstmate/cluster.key`, `env:NAME`, `credential:NAME` (systemd.exec(5))."""

import os
import stat
from pathlib import Path

from firstmate.model.secrets import Secret

SECRET_OCTETS_MAX = 4096  # a key has 64; more is another file


def read_secret(reference: str) -> Secret:
    """What a reference leads to. Raises `OSError` or `LookupError`, with a sentence that does not hold it."""
    kind, _, place = reference.partition(":")
    match kind:
        case "file":
            return _read(Path(place), reference)
        case "credential":
            return _read(_credentials() / place, reference)
        case "env":
            return Secret(_variable(place))
        case _:
            message = f"{kind} is no place for a secret: file, env or credential"
            raise LookupError(message)


_taken: dict[str, bytes] = {}  # variables that were read; a reload asks for them again


def _variable(name: str) -> bytes:
    """It is taken out of the environment: checks and HAProxy, our children, inherit what is there."""
    value = os.environb.pop(os.fsencode(name), None)
    if value is not None:
        _taken[name] = value
    if name not in _taken:
        message = f"the variable {name} is not set"
        raise LookupError(message)
    return _taken[name]


def _credentials() -> Path:
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        message = "there are no credentials: systemd gives them, see LoadCredential= in systemd.exec(5)"
        raise LookupError(message)
    return Path(directory)


def _read(path: Path, reference: str) -> Secret:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        found = os.fstat(opened.fileno())
        if not stat.S_ISREG(found.st_mode):
            message = f"{path} is not a regular file"
            raise LookupError(message)
        content = opened.read(SECRET_OCTETS_MAX + 1)
    if len(content) > SECRET_OCTETS_MAX:
        message = f"{path} has more than {SECRET_OCTETS_MAX} octets"
        raise LookupError(message)
    exposed = ""
    if reference.startswith("file:") and found.st_mode & 0o077:
        who = "everybody" if found.st_mode & 0o007 else f"the group {found.st_gid}"
        exposed = f"{path} has the mode {stat.S_IMODE(found.st_mode):04o}: {who} can read the secret or change it"
    return Secret(content, exposed)
