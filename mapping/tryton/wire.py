"""How Tryton writes values in JSON: a Decimal, a date and a time are objects with a `__class__`, times are UTC without saying so,
on SQLite a boolean is 1 or 0, and a related record stands under the field's name with a dot (`agent.`).

Beside the fields of the record a stored row may hold what the connector read with it, under names that begin with `_`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from core.money import parse_amount
from mapping import erprows as rows
from mapping.erprows import Raw, Words, code, stock_id
from mapping.reading import given

WORDS: Final = Words("Tryton", lambda value: value is None)
fault, stored, same, text, flag = WORDS.fault, WORDS.stored, WORDS.same, WORDS.text, WORDS.flag


# -- codes: what people call a record ----------------------------------------------------------------------------------


def code_of(row: object) -> str:
    """The code of a row as people use it; "" where there is none that can be used."""
    return code(row.get("code")) if isinstance(row, Mapping) else ""


def rep_code(party: object) -> str:
    """The code of a rep: that of the agent's party. A party without one is named by its id, so that no assignment is lost;
    `check` tells about those. "" for what is no party.
    """
    number = party.get("id") if isinstance(party, Mapping) else None
    known = isinstance(number, int) and not isinstance(number, bool)
    return code_of(party) or (f"party-{number}" if known else "")


# -- values ------------------------------------------------------------------------------------------------------------


def number(raw: Raw, name: str, at: str = "") -> Decimal | None:
    """A Decimal, or a number that Tryton keeps as a float; None where there is none."""
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, Mapping):
        if value.get("__class__") != "Decimal":
            raise fault(at + name, value, "is not a number")
        value = value.get("decimal")
    try:
        return parse_amount(value)
    except ValueError:
        raise fault(at + name, value, "is not a number") from None


def amount(raw: Raw, name: str, at: str = "") -> Decimal:
    """A Decimal, required."""
    value = number(raw, name, at)
    if value is None:
        raise fault(at + name, "", "is missing or empty, an amount is needed")
    return value


def quantity(raw: Raw, name: str, digits: int, at: str = "") -> Decimal | None:
    """A quantity: Tryton sums floats, so it is rounded to the decimals of its unit. None where there is none."""
    value = raw.get(name)
    if isinstance(value, str) and len(value) <= 40:  # a float as text, with the noise of binary fractions
        try:
            value = Decimal(value)
        except ArithmeticError:
            raise fault(at + name, value, "is not a quantity") from None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise fault(at + name, value, "is not a quantity")
    found = Decimal(value)
    if not found.is_finite() or abs(found) >= Decimal("1e15"):
        raise fault(at + name, value, "is not a quantity")
    rounded = round(found, digits)
    return rounded or abs(rounded)  # no -0


def day(raw: Raw, name: str, at: str = "") -> date | None:
    """A date; None where there is none."""
    value = raw.get(name)
    if value is None:
        return None
    try:
        if not isinstance(value, Mapping) or value.get("__class__") != "date":
            raise TypeError(name)
        return date(value["year"], value["month"], value["day"])
    except (TypeError, ValueError, KeyError, OverflowError):
        raise fault(at + name, value, "is not a date") from None


def moment_of(value: object) -> datetime | None:
    """A time as Tryton writes it, in UTC; None where it is none."""
    if not isinstance(value, Mapping) or value.get("__class__") != "datetime":
        return None
    parts = [value.get(part) for part in ("year", "month", "day", "hour", "minute", "second", "microsecond")]
    try:
        return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]  # whatever it is, it is caught
    except (TypeError, ValueError, OverflowError):
        return None


def one(raw: Raw, name: str, at: str = "") -> Raw:
    """The related record read under `name.`; empty where there is none."""
    return WORDS.one(raw, f"{name}.", at)


def many(raw: Raw, name: str, at: str = "") -> Sequence[Raw]:
    """The related records read under `name.`."""
    return WORDS.many(raw, f"{name}.", at)


def currency(raw: Raw, name: str, at: str = "") -> str:
    """An ISO 4217 code that we know the decimals of; "" where there is none."""
    return WORDS.known_currency(at + name, raw[name]) if given(raw, name) else ""


def newest(value: object) -> datetime | None:
    """The latest time at which anything in this row, or in what was read with it, was written."""
    return rows.newest(value, moment_of)


__all__ = [
    "WORDS",
    "Raw",
    "amount",
    "code_of",
    "currency",
    "day",
    "fault",
    "flag",
    "many",
    "moment_of",
    "newest",
    "number",
    "one",
    "quantity",
    "rep_code",
    "same",
    "stock_id",
    "stored",
    "text",
]
