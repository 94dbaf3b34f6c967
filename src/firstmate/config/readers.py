"""Readers of single values: `Spot` in, value out, or None after one problem was noted.

Each function that ends in a reader's noun (`integer(1, 255)`) makes a `Reader` with its limits.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from typing import TypeAlias, TypeVar

from firstmate.config.codes import Code
from firstmate.config.findings import Refusal, Spot
from firstmate.model.units import Micros, format_duration, parse_duration

T = TypeVar("T")
Reader: TypeAlias = Callable[[Spot], T | None]

NAME_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
TEXT_MAX = 1024  # characters of a path, a word of a command, a raw line
ITEMS_MAX = 255  # of a list: an advert cannot count more addresses
WORDS_MAX = 64  # of a command
_SHOWN_MAX = 40  # characters of a value repeated in a message
_PROBABLE = 0.6  # how alike two words are for "did you mean"


def shown(text: str) -> str:
    """A value of the file as a message may repeat it: short, printable, in quotes."""
    short = text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"
    return '"' + "".join(char if char.isprintable() else "?" for char in short) + '"'


def meant(word: str, words: Iterable[str]) -> str:
    """A hint that names the word probably meant, or "" when none is near."""
    near = difflib.get_close_matches(word[:_SHOWN_MAX], list(words), 1, _PROBABLE)
    return f'did you mean "{near[0]}"?' if near else ""


def text(spot: Spot) -> str | None:
    """Printable text of one line."""
    if not isinstance(spot.value, str):
        return spot.wrong_type("text", "text stands in quotes" if isinstance(spot.value, (int, float)) else "")
    if len(spot.value) > TEXT_MAX:
        return spot.error(Code.OUT_OF_RANGE, f'"{spot.key}" is longer than {TEXT_MAX} characters')
    if not spot.value.isprintable():
        return spot.error(Code.WRONG_TYPE, f'"{spot.key}" takes one line of printable text')
    return spot.value


def filled(spot: Spot) -> str | None:
    """Text of at least one character."""
    given = text(spot)
    return given if given is None or given.strip() else spot.error(Code.EMPTY, f'"{spot.key}" is empty')


def name(spot: Spot) -> str | None:
    """A name that logs, HAProxy and shells can carry without quotes."""
    given = text(spot)
    if given is None:
        return None
    if not NAME_FORM.fullmatch(given):
        hint = "letters, digits, and . _ - after the first, at most 63"
        return spot.error(Code.BAD_NAME, f"{shown(given)} cannot be a name", hint)
    return given


def boolean(spot: Spot) -> bool | None:
    if not isinstance(spot.value, bool):
        word = str(spot.value).lower() if isinstance(spot.value, (str, int)) else ""
        said = {"yes": "true", "on": "true", "1": "true", "true": "true"}
        said |= {"no": "false", "off": "false", "0": "false", "false": "false"}
        hint = f"{spot.key} = {said[word]}" if word in said else ""
        return spot.wrong_type("true or false", hint)
    return spot.value


def integer(least: int, most: int, code: Code = Code.OUT_OF_RANGE) -> Reader[int]:
    """A whole number within `least`..`most`; outside, the problem carries `code`."""

    def read(spot: Spot) -> int | None:
        if isinstance(spot.value, bool) or not isinstance(spot.value, int):
            digits = isinstance(spot.value, str) and re.fullmatch(r"\d{1,9}", spot.value, re.ASCII)
            hint = f"without quotes: {spot.key} = {int(spot.value)}" if digits else ""
            return spot.wrong_type("a whole number", hint)
        if not least <= spot.value <= most:
            return spot.error(code, f'"{spot.key}" is {spot.value}, outside {least} to {most}')
        return spot.value

    return read


def duration(least_us: Micros, most_us: Micros) -> Reader[Micros]:
    """A time with its unit, within `least_us`..`most_us`."""

    def read(spot: Spot) -> Micros | None:
        if isinstance(spot.value, (int, float)) and not isinstance(spot.value, bool):
            hint = f'with a unit, in quotes: {spot.key} = "{str(spot.value)[:_SHOWN_MAX]}s"'
            return spot.error(Code.BAD_DURATION, f'"{spot.key}" has no unit', hint)
        if not isinstance(spot.value, str):
            return spot.wrong_type('a time such as "200ms" or "30s"')
        if not spot.value.isascii() or not spot.value.isprintable():
            return spot.error(
                Code.BAD_DURATION, f"{shown(spot.value)} is not a duration", 'write "200ms", "30s" or "2h"'
            )
        try:
            given_us = parse_duration(spot.value)
        except ValueError as error:
            return spot.error(Code.BAD_DURATION, str(error))
        if not least_us <= given_us <= most_us:
            allowed = f"{format_duration(least_us)} to {format_duration(most_us)}"
            return spot.error(Code.OUT_OF_RANGE, f'"{spot.key}" is {format_duration(given_us)}, outside {allowed}')
        return given_us

    return read


def choice(words: dict[str, T], later: Iterable[str] = ()) -> Reader[T]:
    """One of `words`; those of `later` are planned and said to be so."""

    def read(spot: Spot) -> T | None:
        allowed = "one of " + ", ".join(f'"{word}"' for word in words)
        given = spot.value
        if not isinstance(given, str):
            return spot.wrong_type(allowed)
        if given in later:
            return not_yet(spot, f'{spot.key} = "{given}"')
        if given not in words:
            return spot.error(Code.NOT_A_CHOICE, f"{spot.key} cannot be {shown(given)}", meant(given, words) or allowed)
        return words[given]

    return read


def number_choice(numbers: tuple[int, ...]) -> Reader[int]:
    def read(spot: Spot) -> int | None:
        if isinstance(spot.value, bool) or not isinstance(spot.value, int):
            return integer(numbers[0], numbers[-1])(spot)
        if spot.value not in numbers:
            hint = " or ".join(map(str, numbers))
            return spot.error(Code.NOT_A_CHOICE, f"{spot.key} cannot be {spot.value}", hint)
        return spot.value

    return read


def array(item: Reader[T], least: int = 1, most: int = ITEMS_MAX) -> Reader[tuple[T, ...]]:
    """A list; every item that is wrong gets its own problem."""

    def read(spot: Spot) -> tuple[T, ...] | None:
        if not isinstance(spot.value, list):
            hint = "put it in brackets: [ ... ]" if isinstance(spot.value, (str, int)) else ""
            return spot.wrong_type("a list", hint)
        if len(spot.value) < least:
            return spot.error(Code.EMPTY, f'"{spot.key}" is empty', "name at least one")
        if len(spot.value) > most:
            return spot.error(Code.TOO_MANY, f'"{spot.key}" has {len(spot.value)} items; {most} are possible')
        read_items = [item(child) for child in spot.children()]
        kept = tuple(value for value in read_items if value is not None)
        return kept if len(kept) == len(read_items) else None

    return read


def one_or_more(item: Reader[T], most: int = ITEMS_MAX) -> Reader[tuple[T, ...]]:
    """A list, or a single text for a list of one."""

    def read(spot: Spot) -> tuple[T, ...] | None:
        if isinstance(spot.value, str):
            single = item(spot)
            return None if single is None else (single,)
        return array(item, 1, most)(spot)

    return read


def by_name(item: Reader[T], most: int = ITEMS_MAX) -> Reader[dict[str, T]]:
    """A table whose keys are names the operator chose."""

    def read(spot: Spot) -> dict[str, T] | None:
        if not isinstance(spot.value, dict):
            return spot.wrong_type("a table { name = value, ... }")
        if not spot.value:
            return spot.error(Code.EMPTY, f'"{spot.key}" is empty', "name at least one")
        if len(spot.value) > most:
            return spot.error(Code.TOO_MANY, f'"{spot.key}" has {len(spot.value)} entries; {most} are possible')
        read_items: dict[str, T | None] = {}
        for child in spot.children():
            if not NAME_FORM.fullmatch(child.key):
                hint = "letters, digits, and . _ - after the first, at most 63"
                child.error(Code.BAD_NAME, f"{shown(child.key)} cannot be a name", hint, on_key=True)
                read_items[child.key] = None
                continue
            read_items[child.key] = item(child)
        kept = {key: value for key, value in read_items.items() if value is not None}
        return kept if len(kept) == len(read_items) else None

    return read


def per_node(item: Reader[T]) -> Reader[T | dict[str, T]]:
    """One value for every node, or a table { node = value }."""

    def read(spot: Spot) -> T | dict[str, T] | None:
        return by_name(item)(spot) if isinstance(spot.value, dict) else item(spot)

    return read


def absolute_path(spot: Spot) -> str | None:
    given = text(spot)
    if given is not None and not given.startswith("/"):
        return spot.error(Code.BAD_PATH, f"{shown(given)} is not a full path", "it must begin with /")
    return given


def not_yet(spot: Spot, what: str, *, on_key: bool = False) -> Refusal:
    """Refuse something that is planned but not built."""
    text = f"{what} is not supported yet by this version"
    return spot.error(Code.NOT_YET, text, "take it out for now", on_key=on_key)


def command(spot: Spot) -> tuple[str, ...] | None:
    """A program by its full path, and its arguments: no shell reads it."""
    if isinstance(spot.value, str):
        words = ", ".join(shown(word) for word in spot.value.split()[:4])
        return spot.wrong_type("a list", f"one item for each word: [{words}]")
    words_given = array(text, most=WORDS_MAX)(spot)
    if words_given and not words_given[0].startswith("/"):
        spot.child(0).error(Code.BAD_PATH, f"{shown(words_given[0])} is not a full path", "it must begin with /")
        return None
    return words_given
