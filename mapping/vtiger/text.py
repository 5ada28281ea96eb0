"""Text that survives vtiger's storage.

Its tables are utf8mb3: a character of four bytes in UTF-8 (emoji, rare ideographs) becomes "????" and the answer says
success (seen on the wire: 234-contact-special-emoji). Such characters are taken out before sending; the caller warns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

# Beyond the basic plane, lone surrogates, control characters except tab and line ends, and what decorates emoji.
_CANNOT_STAY: Final = re.compile(r"[\U00010000-\U0010FFFF\ud800-\udfff\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufe0f\ufffd]")
_JOINER_LEFT: Final = re.compile("^\u200d+|\u200d+$|(?<=\\s)\u200d+|\u200d+(?=\\s)")
_GAP: Final = re.compile(r"(?<=\S) {2,}(?=\S)")
EMPTY: Final = "-"
"""Stands where vtiger demands a text and there is none."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A field whose text lost characters that vtiger cannot keep."""

    field: str
    before: str
    after: str


def clean(text: str) -> str:
    """The text without what vtiger cannot keep; ends stripped where something was taken out."""
    if text.isascii() and text.isprintable():
        return text
    if not _CANNOT_STAY.search(text):
        return text
    return _GAP.sub(" ", _JOINER_LEFT.sub("", _CANNOT_STAY.sub("", text))).strip()


def clean_element(
    element: Mapping[str, Any], required: frozenset[str] = frozenset()
) -> tuple[dict[str, Any], tuple[Cut, ...]]:
    """A copy of the element with every text cleaned, lines included, and what was cut.

    A field in `required` whose text vanishes altogether becomes `-`: vtiger would refuse the record.
    """
    cuts: list[Cut] = []
    cleaned: dict[str, Any] = {}
    for name, value in element.items():
        if isinstance(value, str):
            after = clean(value)
            if after != value:
                after = after or (EMPTY if name in required else "")
                cuts.append(Cut(name, value, after))
            cleaned[name] = after
        elif isinstance(value, list):
            cleaned[name] = [_clean_line(line, number, cuts) for number, line in enumerate(value, 1)]
        else:
            cleaned[name] = value
    return cleaned, tuple(cuts)


def _clean_line(line: Mapping[str, str], number: int, cuts: list[Cut]) -> dict[str, str]:
    comment = line.get("comment", "")
    after = clean(comment)
    if after == comment:
        return dict(line)
    cuts.append(Cut(f"line {number} comment", comment, after))
    return {**line, "comment": after}
