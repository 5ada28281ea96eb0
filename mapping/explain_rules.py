"""How a mapped value follows from where it came from, found by comparing the two (pure)."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

from core.clock import parse_utc
from mapping.canonical.order import OrderStatus

Rule = Literal["same", "tidied", "amount", "moment", "word", "unknown", "sum", "computed", "text", "default", "fixed"]
NUMBER: Final = re.compile(r"-?\d{1,30}(\.\d{1,12})?")
MOMENT: Final = re.compile(r"(\d{4}-\d{2}-)(\d{2})([T ]\d{2}:\d{2}.*)?")


def rule_of(value: object, sources: Sequence[object]) -> Rule:
    """How a value follows from its sources, by comparing them."""
    if value == OrderStatus.UNKNOWN:
        return "unknown"
    one = [found for source in sources if (found := _alike(value, source))]
    if one:
        return one[0]
    numbers = [number for source in sources if (number := number_of(source)) is not None]
    own = number_of(value)
    if own is not None and len(numbers) == len(sources):
        return "sum" if len(numbers) > 1 and sum(numbers, Decimal(0)) == own else "computed"
    if own is not None and numbers:
        return "computed"
    if len(sources) == 1 and not _inside(value, sources[0]):
        return "word"
    return "text"


def _alike(value: object, source: object) -> Rule | None:
    if text_of(value) == text_of(source):
        return "same"
    if _tidy(text_of(value)) == _tidy(text_of(source)):
        return "tidied"
    one, other = number_of(value), number_of(source)
    if one is not None and one == other:
        return "amount"
    when = _moment(source)
    return "moment" if when is not None and _moment(value) == when else None


def text_of(value: object) -> str:
    """As a reader sees it."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _tidy(text: str) -> str:
    return " ".join(text.split()).casefold()


def _inside(value: object, source: object) -> bool:
    return bool(text_of(source)) and _tidy(text_of(source)) in _tidy(text_of(value))


def number_of(value: object) -> Decimal | None:
    """The number that a value is, or that its text is."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        return None
    try:
        return Decimal(value)
    except InvalidOperation:  # pragma: no cover - the pattern lets nothing else through
        return None


def _moment(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not MOMENT.fullmatch(value):
        return None
    try:
        return parse_utc(value)
    except (ValueError, OverflowError):
        return None


def alike(one: object, other: object) -> bool:
    """Whether two values are the same for a reader: numbers by their worth, texts without entities and line ends."""
    first, second = text_of(one), text_of(other)
    if first == second or _tidy(html.unescape(first)) == _tidy(html.unescape(second)):
        return True
    left, right = number_of(first), number_of(second)
    return (left is not None and left == right) or {first, second} <= {"", "0"}
