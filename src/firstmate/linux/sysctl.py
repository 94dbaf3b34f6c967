"""Settings of one interface below /proc/sys/net, of the network namespace that we are in."""

# ruff: noqa: PTH123 - pathlib brings urllib into a process that must stay small

from typing import Literal

Family = Literal["ipv4", "ipv6"]


def read(family: Family, interface: str, name: str) -> int:
    """Raises `OSError`: no such interface, or it does not speak this family."""
    with open(_path(family, interface, name), "rb", buffering=0) as file:
        return int(file.read(32))


def write(family: Family, interface: str, name: str, value: int) -> None:
    """Set it, unless it says so already: a container's /proc/sys may be read-only, and right.

    Raises `OSError` with a sentence.
    """
    if read(family, interface, name) == value:
        return
    try:
        with open(_path(family, interface, name), "wb", buffering=0) as file:
            file.write(b"%d" % value)
    except OSError as error:
        text = f"net.{family}.conf.{interface}.{name} cannot be set to {value} ({error.strerror})"
        raise OSError(error.errno, text) from error


def _path(family: Family, interface: str, name: str) -> str:
    return f"/proc/sys/net/{family}/conf/{interface}/{name}"
