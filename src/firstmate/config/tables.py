"""Read a table by its keys: unknown, missing and planned ones are named; the rest goes to its readers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from firstmate.config.codes import Code
from firstmate.config.findings import Spot
from firstmate.config.readers import Reader, meant, not_yet, shown

Fields = dict[str, Any]  # what the readers accepted, by key


@dataclass(frozen=True, slots=True)
class Key:
    read: Reader[Any]
    required: bool = False
    field: str = ""  # of the record in model.plan, when it is not the key itself


@dataclass(frozen=True, slots=True)
class Planned:
    """A key of the design that this version does not know what to do with."""


def read_table(spot: Spot, keys: Mapping[str, Key | Planned], where: str) -> Fields | None:
    """The accepted values of a table; None when it is no table at all. `where` is said in messages."""
    if not isinstance(spot.value, dict):
        return spot.wrong_type("a table", f"such as {where}" if where.startswith("[") else "")
    fields: Fields = {}
    for child in spot.children():
        match keys.get(child.key):
            case Key(read=read):
                value = read(child)
                if value is not None:
                    fields[child.key] = value
            case Planned():
                what = f'"{child.key}" in {where}' if where else f"[{child.key}]"
                not_yet(child, what, on_key=True)
            case _:
                _unknown(child, keys, where)
    for key, about in keys.items():
        if isinstance(about, Key) and about.required and key not in spot.value:
            spot.error(Code.MISSING, f'{where or "the file"} needs "{key}"')
    return fields


def read_value(spot: Spot, keys: Mapping[str, Key | Planned], where: str) -> Fields | None:
    """The same for a table that is one value, such as a VIP: None when anything in it is wrong."""
    before = spot.findings.noted
    fields = read_table(spot, keys, where)
    return fields if spot.findings.noted == before else None


def _unknown(spot: Spot, keys: Mapping[str, Key | Planned], where: str) -> None:
    hint = "" if spot.findings.full else meant(spot.key, (key for key in keys if isinstance(keys[key], Key)))
    inside = f" in {where}" if where else ""
    kind = "key" if where else "section or key"
    known = ", ".join(key for key, about in keys.items() if isinstance(about, Key))
    spot.error(Code.UNKNOWN_KEY, f"unknown {kind} {shown(spot.key)}{inside}", hint or f"known: {known}", on_key=True)


def record_fields(fields: Fields, keys: Mapping[str, Key | Planned]) -> Fields:
    """The same values under the names that the record in `model.plan` has."""
    return {about.field or key: fields[key] for key, about in keys.items() if isinstance(about, Key) and key in fields}
