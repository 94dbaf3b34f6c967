"""Frozen dataclasses to JSON and back, by their annotations.

A record is an object of its fields; where the annotation is a union of records, the object also carries
`"type"` with the class's name. Enums are their values, tuples are lists, addresses are strings,
bytes are hex. Unknown or missing keys, and values of another type, raise `BadJson`.

A snapshot of 200 virtual routers is read each second, so what an annotation asks for is worked out once: `_reader`
makes a function of it, and `_writer` one of each class.
"""

import json
import math
import reprlib
import types
import typing
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeAlias, TypeVar, overload

T = TypeVar("T")
Reader: TypeAlias = Callable[[Any], Any]
ADDRESSES_KNOWN_MAX = 2048  # of each kind: the same few come again and again


class BadJson(ValueError):
    """The text is not JSON, or not the record that was asked for."""


def dumps(value: object, *, indent: int | None = None) -> str:
    """Write a record (or list of records) as JSON; each record carries its class's name as `"type"`."""
    separators = None if indent else (",", ":")
    return json.dumps(to_jsonable(value), indent=indent, separators=separators)


@overload
def loads(kind: type[T], text: str | bytes) -> T: ...
@overload
def loads(kind: Any, text: str | bytes) -> Any: ...
def loads(kind: Any, text: str | bytes) -> Any:
    """Read what `dumps` wrote; `kind` is a dataclass, or a union of them. Raises `BadJson`."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadJson(str(error)) from error
    return from_jsonable(kind, document)


def to_jsonable(value: Any) -> Any:
    return _writer(value.__class__)(value)


def from_jsonable(kind: Any, value: Any) -> Any:
    try:
        return _reader(kind)(value)
    except BadJson:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        message = f"{_shown(value)} is not {kind}: {error!s:.80}"
        raise BadJson(message) from error


@cache
def _writer(kind: Any) -> Reader:
    if is_dataclass(kind):
        return _record_writer(kind)
    if issubclass(kind, Enum):
        return lambda value: value.value
    if issubclass(kind, (tuple, list)):
        return lambda value: [_writer(item.__class__)(item) for item in value]
    if issubclass(kind, dict):
        return lambda value: {str(key): _writer(item.__class__)(item) for key, item in value.items()}
    if issubclass(kind, (IPv4Address, IPv6Address)):
        return str
    if issubclass(kind, bytes):
        return lambda value: value.hex()
    return lambda value: value


def _record_writer(kind: Any) -> Reader:
    name, names = kind.__name__, tuple(_plan(kind)[0])

    def write(value: Any) -> Any:
        document = {"type": name}
        for field in names:
            item = getattr(value, field)
            document[field] = _writer(item.__class__)(item)
        return document

    return write


@cache
def _reader(kind: Any) -> Reader:
    """What reads a value of this annotation; it raises `BadJson`, `TypeError`, `ValueError` or `OverflowError`."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _union_reader(typing.get_args(kind))
    if origin in (tuple, list):
        return _list_reader(origin, typing.get_args(kind))
    if origin is dict:
        return _dict_reader(typing.get_args(kind))
    if is_dataclass(kind):
        return _record_reader(kind)
    if kind is bytes:
        return bytes.fromhex
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum_reader(kind)
    if isinstance(kind, type) and issubclass(kind, (IPv4Address, IPv6Address)):
        return _address_reader(kind)
    if kind is Any or kind is object:
        return lambda value: value
    if kind is float:
        return _read_float
    return _plain_reader(kind)


def _plain_reader(kind: Any) -> Reader:
    def read(value: Any) -> Any:
        if value.__class__ is kind:
            return value
        message = f"{_shown(value)} is not {kind.__name__}"
        raise BadJson(message)

    return read


def _enum_reader(kind: type[Enum]) -> Reader:
    text_or_number = _reader(str | int)  # anything else, and the enum's own message would hold all of it
    return lambda value: kind(text_or_number(value))


def _address_reader(kind: type) -> Reader:
    text = _reader(str)  # a number would be an address too
    read = lru_cache(ADDRESSES_KNOWN_MAX)(kind)
    return lambda value: read(text(value))


def _read_float(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    message = f"{_shown(value)} is not a finite number"
    raise BadJson(message)


def _union_reader(kinds: tuple[Any, ...]) -> Reader:
    rest = [kind for kind in kinds if kind is not type(None)]
    records = {kind.__name__: _reader(kind) for kind in rest if is_dataclass(kind) and isinstance(kind, type)}
    others = [_reader(kind) for kind in rest if isinstance(kind, type) and not is_dataclass(kind)]
    only = _reader(rest[0]) if len(rest) == 1 else None
    nothing = len(rest) < len(kinds)

    def read(value: Any) -> Any:
        if value is None and nothing:
            return None
        if only is not None:
            return only(value)
        named = value.get("type") if isinstance(value, dict) else None
        if isinstance(named, str) and named in records:
            return records[named](value)
        for other in others:
            try:
                return other(value)
            except (TypeError, ValueError):
                continue
        names = ", ".join(getattr(kind, "__name__", str(kind)) for kind in rest)
        message = f"{_shown(value)} is none of {names}"
        raise BadJson(message)

    return read


def _dict_reader(kinds: tuple[Any, ...]) -> Reader:
    key_reader, item_reader = map(_reader, kinds)
    key_kinds, item_kinds = ({kind} & {str, int} for kind in kinds)

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            message = f"{_shown(value)} is not an object"
            raise BadJson(message)
        if set(map(type, value)) <= key_kinds and set(map(type, value.values())) <= item_kinds:
            return dict(value)  # counters
        return {key_reader(key): item_reader(item) for key, item in value.items()}

    return read


def _list_reader(origin: Any, kinds: tuple[Any, ...]) -> Reader:
    readers = [_reader(kind) for kind in kinds if kind is not ...]
    every = readers[0] if origin is list or kinds[1:] == (...,) else None

    def read(value: Any) -> Any:
        if not isinstance(value, list):
            message = f"{_shown(value)} is not a list"
            raise BadJson(message)
        if every is not None:
            return origin([every(item) for item in value])
        if len(readers) != len(value):
            message = f"{_shown(value)} has not {len(readers)} items"
            raise BadJson(message)
        return tuple(reader(item) for reader, item in zip(readers, value, strict=True))

    return read


def _record_reader(kind: Any) -> Reader:
    name = kind.__name__

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            message = f"{_shown(value)} is not {name}"
            raise BadJson(message)
        named = value.get("type", name)
        if named != name:
            message = f"{_shown(named)} is not {name}"
            raise BadJson(message)
        readers, required = _plan(kind)
        given = {key: item for key, item in value.items() if key != "type"}
        if not (required <= given.keys() <= readers.keys()):
            unknown, missing = given.keys() - readers.keys(), required - given.keys()
            message = f"not a {name}: unknown {sorted(unknown)}, missing {sorted(missing)}"
            raise BadJson(message)
        for key, item in given.items():
            given[key] = readers[key](item)
        return kind(**given)

    return read


@cache
def _plan(kind: Any) -> tuple[dict[str, Reader], frozenset[str]]:
    """The reader of each field, and the fields that must be given."""
    hints = typing.get_type_hints(kind)
    required = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
    return {field.name: _reader(hints[field.name]) for field in fields(kind)}, frozenset(required)


def _shown(value: Any) -> str:
    """Return a few characters of a value that may be huge, or deeper than `repr` can go."""
    return reprlib.repr(value)[:80]
