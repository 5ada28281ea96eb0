"""vtiger's query language has no parameters: values go raw into its SQL, so this is the one place that writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote_plus

from mapping.vtiger import clean

PAGE: Final = 100
"""Rows that vtiger gives at most, whatever LIMIT says."""
MAX_IN: Final = 50
"""Values in one IN list; at 8 kB of address the web server says 414."""
MAX_IN_BYTES: Final = 4000
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ID: Final = re.compile(r"[0-9]+x[0-9]+")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def literal(value: str) -> str:
    r"""A quoted literal: `'` doubled, `\` doubled. ValueError for an empty value (vtiger: INTERNAL_SERVER_ERROR).

    A value ending in one backslash would swallow the closing quote, and the answer would be an empty *success*.
    """
    text = clean(value)
    if not text:
        raise ValueError("vtiger cannot be asked for an empty value")
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def name(field: str) -> str:
    """A field or module name, which is never quoted: only letters, digits and `_`."""
    if not _NAME.fullmatch(field):
        raise ValueError(f"not a field name of vtiger: {field!r}")
    return field


def record_id(id: str) -> str:
    """A quoted web service id."""
    if not is_record_id(id):
        raise ValueError(f"not a record id of vtiger: {id!r}")
    return f"'{id}'"


def is_record_id(id: str) -> bool:
    """Whether it is a web service id at all."""
    return _ID.fullmatch(id) is not None


def moment(text: str) -> str:
    """A quoted time as vtiger writes it."""
    if not _TIME.fullmatch(text):
        raise ValueError(f"not a time of vtiger: {text!r}")
    return f"'{text}'"


def equal(field: str, value: str) -> str:
    """`field='value'`."""
    return f"{name(field)}={literal(value)}"


def select(columns: Sequence[str], module: str, where: str = "", order: str = "", limit: str = "") -> str:
    """One query with its mandatory semicolon. Never `*`: on orders it joins the lines and counts them as rows."""
    parts = [
        f"SELECT {','.join(name(column) for column in dict.fromkeys(columns))} FROM {name(module)}"  # noqa: S608 - names only
    ]
    parts += [f"{word} {text}" for word, text in (("WHERE", where), ("ORDER BY", order), ("LIMIT", limit)) if text]
    return " ".join(parts) + ";"


def in_lists(values: Sequence[str]) -> Iterator[tuple[list[str], str]]:
    """The values in portions that fit an address, each with its `('a','b')`."""
    portion: list[str] = []
    size = 0
    for value in values:
        length = len(quote_plus(literal(value))) + 3
        if portion and (len(portion) >= MAX_IN or size + length > MAX_IN_BYTES):
            yield portion, f"({','.join(map(literal, portion))})"
            portion, size = [], 0
        portion.append(value)
        size += length
    if portion:
        yield portion, f"({','.join(map(literal, portion))})"


def crmid(id: str) -> int:
    """The number behind the prefix: global over modules, growing with time."""
    return int(id.partition("x")[2] or 0)
