"""How Odoo writes values in JSON: an empty field of any type is `false`, a many2one is `[id, "name"]`, a date is `2026-11-22`, a
time is UTC in whole seconds without saying so, and every number with a fraction is a float.

Beside the fields of the record a stored row holds what the connector read with it, under names that begin with `_`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from core.money import ZERO, parse_amount
from mapping import erprows as rows
from mapping.erprows import Raw, Words, code, stock_id

DIGITS: Final = 6
"""Decimals of quantities and prices: a float of Odoo may read 5.1999999999999993."""


def empty(value: object) -> bool:
    """Whether a field has no value: false, null or absent. (The number 0 is one.)"""
    return value is None or value is False


WORDS: Final = Words("Odoo", empty)
fault, stored, same, text, flag, one, many = (
    WORDS.fault,
    WORDS.stored,
    WORDS.same,
    WORDS.text,
    WORDS.flag,
    WORDS.one,
    WORDS.many,
)


# -- codes: what people call a record ----------------------------------------------------------------------------------


def code_of(row: object, name: str) -> str:
    """A code as people use it; "" where there is none that can be used."""
    return code(row.get(name)) if isinstance(row, Mapping) else ""


def numbered(row: object, prefix: str) -> str:
    """A name for what has no code over there: `team-5`; "" for what is no row."""
    number = row.get("id") if isinstance(row, Mapping) else None
    return (
        f"{prefix}-{number}" if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**63 else ""
    )


def rep_code(user: object) -> str:
    """The code of a rep: the reference of the user's contact, else `user-<id>`, so that no assignment is lost; `check` tells
    about those. "" for what is no user.
    """
    return code_of(user, "ref") or numbered(user, "user")


def region_id(team: object) -> str:
    """The id of a region: Odoo's sales teams have no code."""
    return numbered(team, "team")


# -- values ------------------------------------------------------------------------------------------------------------


def number(raw: Raw, name: str, at: str = "", *, digits: int = DIGITS) -> Decimal | None:
    """A number, rounded to so many decimals; None where there is none."""
    value = raw.get(name)
    if empty(value):
        return None
    try:
        found = round(parse_amount(_short(value)), digits)
    except (ValueError, ArithmeticError):
        raise fault(at + name, value, "is not a number") from None
    return found or ZERO  # no -0


def _short(value: object) -> object:
    """A float may have more decimals than any amount: 1e-17 where zero was meant."""
    if not isinstance(value, str | Decimal):
        return value
    exact = Decimal(value)
    return round(exact, 12) if exact.is_finite() and abs(exact) < Decimal("1e15") else exact


def amount(raw: Raw, name: str, digits: int) -> Decimal:
    """A sum of money, required."""
    found = number(raw, name, digits=digits)
    if found is None:
        raise fault(name, "", "is missing or empty, an amount of money is needed")
    return found


def day(raw: Raw, name: str, at: str = "") -> date | None:
    """A date; None where there is none."""
    value = raw.get(name)
    if empty(value):
        return None
    try:
        return date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else _no_date()
    except ValueError:
        raise fault(at + name, value, "is not a date") from None


def _no_date() -> date:
    raise ValueError


def moment_of(value: object) -> datetime | None:
    """A time as Odoo writes it, in UTC; None where it is none."""
    if not isinstance(value, str):
        return None
    try:
        return datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def reference(value: object) -> int | None:
    """The id of a many2one; None where it is empty or none."""
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, int) and not isinstance(first, bool) else None


def label(raw: Raw, name: str, at: str = "") -> str:
    """The name in a many2one; "" where it is empty."""
    value = raw.get(name)
    if empty(value):
        return ""
    if not isinstance(value, list) or len(value) != 2 or reference(value) is None or not isinstance(value[1], str):
        raise fault(at + name, value, "should be a record")
    return text({name: value[1]}, name, at)


def currency(raw: Raw, name: str) -> str:
    """An ISO 4217 code that we know the decimals of; "" where there is none."""
    value = label(raw, name)
    return WORDS.known_currency(name, value) if value else ""


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
    "empty",
    "fault",
    "flag",
    "label",
    "many",
    "moment_of",
    "newest",
    "number",
    "numbered",
    "one",
    "reference",
    "region_id",
    "rep_code",
    "same",
    "stock_id",
    "stored",
    "text",
]
