"""How Tryton writes values in JSON: a Decimal, a date and a time are objects with a `__class__`, times are UTC without saying so,
on SQLite a boolean is 1 or 0, and a related record stands under the field's name with a dot (`agent.`).

Beside the fields of the record a stored row may hold what the connector read with it, under names that begin with `_`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from core.errors import Held
from core.jsontext import loads
from core.keys import Key
from core.money import DECIMALS, parse_amount
from mapping.reading import MAX_TEXT, clean, given, shown

Raw = Mapping[str, Any]

MAX_ROWS: Final = 5_000
MAX_CODE: Final = 200
STAMPS: Final = ("write_date", "create_date")


def fault(
    field: str, value: object, wrong: str, what_to_do: str = "correct it in Tryton; it is read again then"
) -> Held:
    """The error for a field that cannot be used. `value` is shown shortened; pass "" to show none."""
    message = f"Tryton's field {field}{shown(value)} {wrong}. What to do: {what_to_do}."
    return Held(message, field=field, error_class="mapping")


def stored(raw: bytes) -> Raw:
    """The row that was stored. Raises `Held` where it is none."""
    try:
        row = loads(raw)
    except ValueError:
        row = None
    if isinstance(row, dict):
        return row
    raise Held(
        "What is stored for this record is not a row of Tryton. What to do: have it read again from Tryton.",
        error_class="mapping",
    )


def same(key: Key, found: str, field: str) -> None:
    """Refuse a row that is another record's."""
    if key.id != found:
        raise fault(field, found, f"is not that of this record ({key.id})", "have the record read again from Tryton")


# -- codes: what people call a record ----------------------------------------------------------------------------------


def code_of(row: object) -> str:
    """The code of a row as people use it; "" where there is none that can be used."""
    value = row.get("code") if isinstance(row, Mapping) else None
    text = clean(value).strip() if isinstance(value, str) else ""
    return text if len(text) <= MAX_CODE else ""


def rep_code(party: object) -> str:
    """The code of a rep: that of the agent's party. A party without one is named by its id, so that no assignment is lost;
    `check` tells about those. "" for what is no party.
    """
    number = party.get("id") if isinstance(party, Mapping) else None
    known = isinstance(number, int) and not isinstance(number, bool)
    return code_of(party) or (f"party-{number}" if known else "")


def stock_id(warehouse: str, sku: str) -> str:
    """The id of a stock level: `<warehouse>/<SKU>`."""
    return f"{warehouse}/{sku}"


# -- values ------------------------------------------------------------------------------------------------------------


def text(raw: Raw, name: str, at: str = "") -> str:
    """Text; absent and null are ""."""
    value = raw.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise fault(at + name, value, "should be text")
    if len(value) > MAX_TEXT:
        raise fault(at + name, "", f"is longer than {MAX_TEXT} characters")
    return clean(value)


def flag(raw: Raw, name: str, at: str = "", *, absent: bool) -> bool:
    """True or false; SQLite's 1 and 0 likewise. Where the field is absent or null: `absent`."""
    value = raw.get(name)
    if value is None:
        return absent
    if isinstance(value, int) and value in {0, 1}:  # True and False are ints too
        return bool(value)
    raise fault(at + name, value, "should be true or false")


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
    value = raw.get(f"{name}.")
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise fault(f"{at}{name}.", value, "should be a record")
    return value


def many(raw: Raw, name: str, at: str = "") -> Sequence[Raw]:
    """The related records read under `name.`."""
    value = raw.get(f"{name}.")
    if value is None:
        return ()
    if not isinstance(value, list):
        raise fault(f"{at}{name}.", value, "should be a list")
    if len(value) > MAX_ROWS:
        raise fault(f"{at}{name}.", "", f"has {len(value)} entries, more than {MAX_ROWS}")
    for place, row in enumerate(value):
        if not isinstance(row, Mapping):
            raise fault(f"{at}{name}.[{place}]", row, "should be a record")
    return value


def currency(raw: Raw, name: str, at: str = "") -> str:
    """An ISO 4217 code that we know the decimals of; "" where there is none."""
    if not given(raw, name):
        return ""
    value = raw[name]
    if not isinstance(value, str) or value not in DECIMALS:
        raise fault(at + name, value, "is not a currency of ISO 4217")
    return value


def newest(value: object) -> datetime | None:
    """The latest time at which anything in this row, or in what was read with it, was written."""
    return max(_stamps(value), default=None)


def _stamps(value: object) -> Iterator[datetime]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name in STAMPS:
                found = moment_of(inner)
                if found is not None:
                    yield found
            else:
                yield from _stamps(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _stamps(inner)
