"""Frozen dataclasses to JSON and back, by their annotations.

A record is an object of its fields; where the annotation is a union of records, the object also carries
`"type"` with the class's name. Enums are their values, tuples are lists, addresses are strings,
bytes are hex. Unknown or missing keys, and values of another type, raise `BadJson`.
"""

import json
import math
import reprlib
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeVar, overload

T = TypeVar("T")


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


def to_jsonable(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        names = _plan(type(value))
        return {"type": type(value).__name__} | {name: to_jsonable(getattr(value, name)) for name in names}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (tuple, list)):
        return [to_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, (IPv4Address, IPv6Address)):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    return value


def from_jsonable(kind: Any, value: Any) -> Any:
    try:
        return _read(kind, value)
    except BadJson:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        message = f"{_shown(value)} is not {kind}: {error!s:.80}"
        raise BadJson(message) from error


def _read(kind: Any, value: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _read_union(typing.get_args(kind), value)
    if origin in (tuple, list, dict):
        return _read_container(origin, typing.get_args(kind), value)
    if is_dataclass(kind):
        return _read_record(kind, value)
    if kind is bytes:
        return bytes.fromhex(value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(_read(str | int, value))  # anything else, and its message would hold all of it
    if isinstance(kind, type) and issubclass(kind, (IPv4Address, IPv6Address)):
        return kind(_read(str, value))  # a number would be an address too
    if kind is Any or kind is object:
        return value
    if kind is float:
        return _read_float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        message = f"{_shown(value)} is not {kind.__name__}"
        raise BadJson(message)
    return value


def _read_float(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    message = f"{_shown(value)} is not a finite number"
    raise BadJson(message)


def _read_union(kinds: tuple[Any, ...], value: Any) -> Any:
    if value is None and type(None) in kinds:
        return None
    rest = [kind for kind in kinds if kind is not type(None)]
    if len(rest) == 1:
        return _read(rest[0], value)
    named = value.get("type") if isinstance(value, dict) else None
    for kind in rest:
        if is_dataclass(kind) and getattr(kind, "__name__", None) == named:
            return _read(kind, value)
    for kind in rest:
        if isinstance(kind, type) and not is_dataclass(kind):
            try:
                return _read(kind, value)
            except (TypeError, ValueError):
                continue
    message = f"{_shown(value)} is none of {', '.join(getattr(kind, '__name__', str(kind)) for kind in rest)}"
    raise BadJson(message)


def _read_container(origin: type, args: tuple[Any, ...], value: Any) -> Any:
    if origin is dict:
        if not isinstance(value, dict):
            message = f"{_shown(value)} is not an object"
            raise BadJson(message)
        return {_read(args[0], key): _read(args[1], item) for key, item in value.items()}
    if not isinstance(value, list):
        message = f"{_shown(value)} is not a list"
        raise BadJson(message)
    if origin is list or args[1:] == (...,):
        return origin(_read(args[0], item) for item in value)
    if len(args) != len(value):
        message = f"{_shown(value)} has not {len(args)} items"
        raise BadJson(message)
    return tuple(_read(kind, item) for kind, item in zip(args, value, strict=True))


def _read_record(kind: Any, value: Any) -> Any:
    if not isinstance(value, dict):
        message = f"{_shown(value)} is not {kind.__name__}"
        raise BadJson(message)
    plan = _plan(kind)
    given = {key: item for key, item in value.items() if key != "type"}
    unknown = given.keys() - plan.keys()
    missing = {name for name, (_, required) in plan.items() if required} - given.keys()
    named = value.get("type", kind.__name__)
    if named != kind.__name__:
        message = f"{_shown(named)} is not {kind.__name__}"
        raise BadJson(message)
    if unknown or missing:
        message = f"not a {kind.__name__}: unknown {sorted(unknown)}, missing {sorted(missing)}"
        raise BadJson(message)
    return kind(**{name: _read(plan[name][0], item) for name, item in given.items()})


def _shown(value: Any) -> str:
    """Return a few characters of a value that may be huge, or deeper than `repr` can go."""
    return reprlib.repr(value)[:80]


@cache
def _plan(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Each field's annotation, and whether it must be given."""
    hints = typing.get_type_hints(kind)
    return {
        field.name: (hints[field.name], field.default is MISSING and field.default_factory is MISSING)
        for field in fields(kind)
    }
