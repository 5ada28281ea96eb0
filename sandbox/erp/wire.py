"""Values as Tryton writes them in JSON: a Decimal, a date and a time are objects with a `__class__`, times are naive UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

_DAY: Final = ("year", "month", "day")
_TIME: Final = (*_DAY, "hour", "minute", "second", "microsecond")


def out(value: Any) -> Any:
    """A value of a row for the wire."""
    if isinstance(value, datetime):
        return {"__class__": "datetime", **{name: getattr(value, name) for name in _TIME}}
    if isinstance(value, date):
        return {"__class__": "date", **{name: getattr(value, name) for name in _DAY}}
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    return value


def taken(value: Any) -> Any:
    """A value of the wire for a row, lists within it as well. Raises TypeError or ValueError for an object that is none."""
    if isinstance(value, list):
        return [taken(one) for one in value]
    if not isinstance(value, dict) or "__class__" not in value:
        return value
    given = {name: part for name, part in value.items() if name != "__class__"}
    if value["__class__"] == "datetime":
        return datetime(**given, tzinfo=UTC)
    if value["__class__"] == "date":
        return date(**given)
    if value["__class__"] == "Decimal":
        return Decimal(str(given["decimal"]))
    raise ValueError(f"no such class: {value['__class__']}")
