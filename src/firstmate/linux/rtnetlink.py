"""netlink(7) itself: messages, attributes, questions and their answers; what they say is in the modules beside it."""

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator

NETLINK_ROUTE = 0
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
NLM_F_DUMP_INTR = 0x10  # in an answer: the table changed while it was read
NLM_F_ACK_TLVS = 0x200  # in an error: attributes follow, one of them a sentence
NLMSGERR_ATTR_MSG = 1
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 270, 10, 11, 12
NLA_F_NESTED, NLA_TYPE_MASK = 0x8000, 0x3FFF

RECEIVE_OCTETS = 1 << 17
ANSWER_TIMEOUT_S = 2.0  # the kernel answers within the call; more than this is no kernel
REQUESTS_AT_ONCE = 64  # their answers must fit the socket's buffer
DUMP_TRIES = 5  # of a table that changes all the time

_MESSAGE = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")
_U32 = struct.Struct("=I")

Request = tuple[int, int, bytes]  # type, flags, body


class Questions:
    """One socket for requests, each answered before the next. Raises `OSError` as the kernel says it."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._socket.settimeout(ANSWER_TIMEOUT_S)
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK):
            with contextlib.suppress(OSError):  # kernels before 4.20 have not all of them
                self._socket.setsockopt(SOL_NETLINK, option, 1)
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def ask(self, kind: int, flags: int, body: bytes) -> None:
        """Have one thing done."""
        (error,) = self.ask_all([(kind, flags, body)])
        if error is not None:
            raise error

    def ask_all(self, requests: list[Request]) -> list[OSError | None]:
        """Have many things done, in order and in few system calls: what became of each."""
        answers: list[OSError | None] = []
        for at in range(0, len(requests), REQUESTS_AT_ONCE):
            answers += self._ask_some(requests[at : at + REQUESTS_AT_ONCE])
        return answers

    def _ask_some(self, requests: list[Request]) -> list[OSError | None]:
        first = self._sequence + 1
        self._send([(kind, flags | NLM_F_ACK, body) for kind, flags, body in requests])
        answers: dict[int, OSError | None] = {}
        while len(answers) < len(requests):
            for kind, flags, sequence, payload in messages(self._socket.recv(RECEIVE_OCTETS)):
                if kind == NLMSG_ERROR and first <= sequence <= self._sequence:
                    answers[sequence] = refusal(payload, flags)
        return [answers[first + n] for n in range(len(requests))]

    def get(self, kind: int, body: bytes) -> list[tuple[int, bytes]]:
        """One thing by its key: the messages that describe it."""
        self._send([(kind, NLM_F_ACK, body)])
        found = []
        while True:
            for answer, flags, sequence, payload in messages(self._socket.recv(RECEIVE_OCTETS)):
                if sequence != self._sequence:
                    continue
                if answer != NLMSG_ERROR:
                    found.append((answer, payload))
                elif (error := refusal(payload, flags)) is not None:
                    raise error
                else:
                    return found

    def dump(self, kind: int, body: bytes) -> list[tuple[int, bytes]]:
        """A whole table, as it was at one moment if it ever rests: the messages that describe it."""
        tries = 1
        found, whole = self._dump_once(kind, body)
        while not whole and tries < DUMP_TRIES:
            tries += 1
            found, whole = self._dump_once(kind, body)
        return found

    def _dump_once(self, kind: int, body: bytes) -> tuple[list[tuple[int, bytes]], bool]:
        self._send([(kind, NLM_F_DUMP, body)])
        found: list[tuple[int, bytes]] = []
        whole = True
        while True:
            for answer, flags, sequence, payload in messages(self._socket.recv(RECEIVE_OCTETS)):
                if sequence != self._sequence:
                    continue
                whole = whole and not flags & NLM_F_DUMP_INTR
                if answer == NLMSG_DONE:
                    return found, whole
                if answer == NLMSG_ERROR and (error := refusal(payload, flags)) is not None:
                    raise error
                found.append((answer, payload))

    def _send(self, requests: list[Request]) -> None:
        out = []
        for kind, flags, body in requests:
            self._sequence = self._sequence + 1 & 0x7FFF_FFFF
            out.append(_MESSAGE.pack(_MESSAGE.size + len(body), kind, NLM_F_REQUEST | flags, self._sequence, 0))
            out.append(body + bytes(-len(body) % 4))
        self._socket.sendmsg(out)


def messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Type, flags, sequence and body of each message in what one `recv` gave."""
    at = 0
    while at + _MESSAGE.size <= len(data):
        length, kind, flags, sequence, _ = _MESSAGE.unpack_from(data, at)
        if length < _MESSAGE.size:
            return
        yield kind, flags, sequence, data[at + _MESSAGE.size : at + length]
        at += (length + 3) & ~3


def refusal(payload: bytes, flags: int = 0) -> OSError | None:
    """The error in an NLMSG_ERROR, with the kernel's own sentence where it has one; None: it was done."""
    code = -int(struct.unpack_from("=i", payload)[0])
    if code == 0:
        return None
    text = os.strerror(code)
    if flags & NLM_F_ACK_TLVS:
        said = read_attributes(payload[4 + _MESSAGE.size :]).get(NLMSGERR_ATTR_MSG, b"")
        text += f" ({read_text(said)})" if said else ""
    return OSError(code, text)


def attributes(pairs: Iterable[tuple[int, bytes]]) -> bytes:
    out = b""
    for kind, value in pairs:
        length = _ATTRIBUTE.size + len(value)
        out += _ATTRIBUTE.pack(length, kind) + value + bytes(-length % 4)
    return out


def read_attributes(data: bytes) -> dict[int, bytes]:
    """What can be read of them: a kind that comes twice counts the second time."""
    values = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            break
        values[kind & NLA_TYPE_MASK] = data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return values


def nested(*pairs: tuple[int, bytes]) -> bytes:
    return attributes(pairs)


def u32(value: int) -> bytes:
    return _U32.pack(value)


def read_u32(value: bytes | None) -> int:
    """0 when it is missing or not four octets."""
    return int(_U32.unpack(value)[0]) if value is not None and len(value) == _U32.size else 0


def text(value: str) -> bytes:
    return value.encode() + b"\0"


def read_text(value: bytes | None) -> str:
    return (value or b"").rstrip(b"\0").decode(errors="replace")


def interface_index(interface: str) -> int:
    """The kernel's number for it. Raises `OSError` (ENODEV), which `if_nametoindex` alone leaves without a number."""
    try:
        return socket.if_nametoindex(interface)
    except OSError as error:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), interface) from error
