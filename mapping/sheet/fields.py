"""The fields that a row can have, by what it tells, and how their texts are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from core.errors import Held
from core.money import DECIMALS, parse_amount
from mapping.reading import clean, shown

Fields = Mapping[str, str]
"""Our name of a field -> its text. What is not there is ""."""

MAX_ID: Final = 200
MAX_CELL: Final = 10_000
_ADDRESS: Final = frozenset({"address1", "address2", "address3", "city", "state", "zip", "country"})
_PERSON: Final = frozenset({"name", "first", "last", "phone", "email", "mobile"})
_MONEY: Final = frozenset({"currency", "net", "tax", "total"})
FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "customer": _ADDRESS
    | {"number", "name", "business_type", "active", "email", "phone", "vat_number", "region", "reps", "deleted"},
    "rep": _PERSON | {"code", "number", "position", "photo", "languages", "agency", "company", "active", "deleted"},
    "region": frozenset({"id", "name", "parent", "reps", "deleted"}),
    "product": frozenset({"sku", "name", "price", "currency", "unit", "active", "deleted"}),
    "stock": frozenset({"sku", "name", "group", "warehouse", "on_hand", "available", "minimum", "deleted"}),
    "invoice": _MONEY
    | {"id", "number", "customer", "order", "status", "issued", "due", "balance", "credit", "deleted"},
}
REQUIRED: Final[Mapping[str, frozenset[str]]] = {
    "customer": frozenset({"number"}),
    "rep": frozenset({"code"}),
    "region": frozenset({"id"}),
    "product": frozenset({"sku"}),
    "stock": frozenset({"sku", "on_hand"}),
    "invoice": frozenset({"id", "net", "tax", "total"}),
}
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "customer": ("number",),
    "rep": ("code", "number"),
    "region": ("id",),
    "product": ("sku",),
    "stock": ("sku",),
    "invoice": ("id",),
}
"""The fields that name a record; the first that is there does."""


@dataclass(frozen=True, slots=True)
class Words:
    """How a source writes, and what its words mean (settings of the connection)."""

    separator: str = ","
    agencies: Mapping[str, str] = field(default_factory=dict)
    """The number of a business that sells -> its agency's code; "" for the own company."""
    deleted: frozenset[str] = frozenset({"D", "DELETE", "DELETED"})
    inactive: frozenset[str] = frozenset({"N", "NO", "0", "FALSE", "INACTIVE"})
    decimal: str = "."
    dates: str = "%Y-%m-%d"
    warehouse: str = "main"


def fault(field: str, value: str, wrong: str, what_to_do: str = "") -> Held:
    """The error for a field that cannot be used. `value` is shown shortened; pass "" to show none."""
    advice = what_to_do or "correct it in the ERP; it is read with the next file"
    message = f"The file's column for {field}{shown(value)} {wrong}. What to do: {advice}."
    return Held(message, field=field, error_class="mapping")


def key_of(kind: str, fields: Fields, words: Words) -> str:
    """The record's `Key.id`; "" where the row does not name it."""
    name = next((found for one in _KEYS[kind] if (found := fields.get(one, "").strip())), "")
    if kind == "stock" and name:
        return f"{fields.get('warehouse', '').strip() or words.warehouse}/{name}"
    return name


def same(key_id: str, kind: str, fields: Fields, words: Words) -> None:
    """Refuse a row that is another record's."""
    found = clean(key_of(kind, fields, words))
    if found != key_id:
        raise fault(_KEYS[kind][0], found, f"is not that of this record ({key_id})", "have the file dropped again")


def text(fields: Fields, name: str) -> str:
    """Text; absent is ""."""
    value = fields.get(name, "")
    if len(value) > MAX_CELL:
        raise fault(name, "", f"is longer than {MAX_CELL} characters")
    return clean(value).strip()


def listed(fields: Fields, name: str, words: Words) -> tuple[str, ...]:
    """The values of a column that has several, each once."""
    parts = (part.strip() for part in text(fields, name).split(words.separator))
    return tuple(dict.fromkeys(part for part in parts if part))


def yes(fields: Fields, name: str, words: Words) -> bool:
    """Whether it says yes: it does where nothing says no."""
    return text(fields, name).upper() not in words.inactive


def gone(fields: Fields, words: Words) -> bool:
    """Whether the row says that its record is no more."""
    return fields.get("deleted", "").strip().upper() in words.deleted


def number(fields: Fields, name: str, words: Words) -> Decimal | None:
    """A number as the source writes it; None where there is none. Thousands are not parted."""
    value = text(fields, name)
    if not value:
        return None
    try:
        return parse_amount(value.replace(",", ".") if words.decimal == "," and "." not in value else value)
    except ValueError:
        raise fault(name, value, f"is not a number with {words.decimal!r} before its decimals") from None


def amount(fields: Fields, name: str, words: Words) -> Decimal:
    """A number, required."""
    value = number(fields, name, words)
    if value is None:
        raise fault(name, "", "is empty, a number is needed")
    return value


def day(fields: Fields, name: str, words: Words) -> date | None:
    """A date in the source's form; None where there is none."""
    value = text(fields, name)
    if not value:
        return None
    try:
        return datetime.strptime(value, words.dates).replace(tzinfo=UTC).date()
    except ValueError:
        raise fault(name, value, f"is not a date of the form {words.dates}") from None


def currency(fields: Fields) -> str:
    """An ISO 4217 code that we know the decimals of; "" where there is none."""
    value = text(fields, "currency").upper()
    if value and value not in DECIMALS:
        raise fault("currency", value, "is not a currency of ISO 4217")
    return value
