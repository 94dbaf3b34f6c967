"""What HAProxy's configuration has to know of the host. Apart from `render`, which takes 8 MiB to import."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ground:
    """What the host gives HAProxy."""

    runtime: str  # directory of the runtime socket, /run/firstmate
    nofile: int  # hard limit of open descriptors of the process that starts HAProxy
    cpus: int  # those we may use
    transparent: bool  # may bind addresses that the host does not hold: CAP_NET_ADMIN, or ip_nonlocal_bind
    user: str | None = None  # whom HAProxy becomes; None: it stays who it is
    group: str | None = None
    socket_uid: int | None = None  # who may use the runtime socket beside root; None: whoever starts HAProxy
    socket_gid: int | None = None
