"""Reading the rows that an ERP tells: either a field's value, or a sentence that names the field and the system.

Systems differ in how an empty field, a number, a date or a related record reads: that stands in mapping/<system>/wire.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from core.clock import parse_utc
from core.errors import Held
from core.jsontext import loads
from core.keys import Key
from core.money import DECIMALS
from mapping.reading import MAX_TEXT, clean, shown

Raw = Mapping[str, Any]

MAX_ROWS: Final = 5_000
MAX_CODE: Final = 200
STAMPS: Final = ("write_date", "create_date")


def code(value: object) -> str:
    """A code as people use it; "" for what cannot be one."""
    text = clean(value).strip() if isinstance(value, str) else ""
    return text if len(text) <= MAX_CODE else ""


def newest(value: object, moment_of: Callable[[object], datetime | None]) -> datetime | None:
    """The latest time at which anything in this row, or in what was read with it, was written."""
    return max(_stamps(value, moment_of), default=None)


def _stamps(value: object, moment_of: Callable[[object], datetime | None]) -> Iterator[datetime]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in STAMPS:
                yield from _stamps(inner, moment_of)
            elif (found := moment_of(inner)) is not None:
                yield found
    elif isinstance(value, list):
        for inner in value:
            yield from _stamps(inner, moment_of)


def stock_id(warehouse: str, sku: str) -> str:
    """The id of a stock level: `<warehouse>/<SKU>`."""
    return f"{warehouse}/{sku}"


@dataclass(frozen=True, slots=True)
class Words:
    """The rows of one system. `empty`: whether a value says that there is none."""

    system: str
    empty: Callable[[object], bool]

    def fault(self, field: str, value: object, wrong: str, what_to_do: str = "") -> Held:
        """The error for a field that cannot be used. `value` is shown shortened; pass "" to show none."""
        advice = what_to_do or f"correct it in {self.system}; it is read again then"
        message = f"{self.system}'s field {field}{shown(value)} {wrong}. What to do: {advice}."
        return Held(message, field=field, error_class="mapping")

    def stored(self, raw: bytes) -> Raw:
        """The row that was stored. Raises `Held` where it is none."""
        try:
            row = loads(raw)
        except ValueError:
            row = None
        if isinstance(row, dict):
            return row
        raise Held(
            f"What is stored for this record is not a row of {self.system}. What to do: have it read again from {self.system}.",
            error_class="mapping",
        )

    def same(self, key: Key, found: str, field: str) -> None:
        """Refuse a row that is another record's."""
        if key.id != found:
            advice = f"have the record read again from {self.system}"
            raise self.fault(field, found, f"is not that of this record ({key.id})", advice)

    def text(self, raw: Raw, name: str, at: str = "") -> str:
        """Text; an empty field is ""."""
        value = raw.get(name)
        if self.empty(value):
            return ""
        if not isinstance(value, str):
            raise self.fault(at + name, value, "should be text")
        if len(value) > MAX_TEXT:
            raise self.fault(at + name, "", f"is longer than {MAX_TEXT} characters")
        return clean(value)

    def flag(self, raw: Raw, name: str, at: str = "", *, absent: bool) -> bool:
        """True or false; 1 and 0 likewise (some databases have no others). Where the field is absent or null: `absent`."""
        value = raw.get(name)
        if value is None:
            return absent
        if isinstance(value, int) and value in {0, 1}:  # True and False are ints too
            return bool(value)
        raise self.fault(at + name, value, "should be true or false")

    def one(self, raw: Raw, name: str, at: str = "") -> Raw:
        """A related record; empty where there is none."""
        value = raw.get(name)
        if self.empty(value):
            return {}
        if not isinstance(value, Mapping):
            raise self.fault(at + name, value, "should be a record")
        return value

    def many(self, raw: Raw, name: str, at: str = "") -> Sequence[Raw]:
        """Related records."""
        value = raw.get(name)
        if self.empty(value):
            return ()
        if not isinstance(value, list):
            raise self.fault(at + name, value, "should be a list")
        if len(value) > MAX_ROWS:
            raise self.fault(at + name, "", f"has {len(value)} entries, more than {MAX_ROWS}")
        for place, row in enumerate(value):
            if not isinstance(row, Mapping):
                raise self.fault(f"{at}{name}[{place}]", row, "should be a record")
        return value

    def known_currency(self, field: str, value: object) -> str:
        """An ISO 4217 code that we know the decimals of."""
        if not isinstance(value, str) or value not in DECIMALS:
            raise self.fault(field, value, "is not a currency of ISO 4217")
        return value

    def read_at(self, raw: Raw) -> datetime | None:
        """When the row was asked for, which the connector wrote into it."""
        value = self.text(raw, "_read_at")
        try:
            return parse_utc(value) if value else None
        except (ValueError, OverflowError):
            raise self.fault("_read_at", value, "is not a time", "have the stock read again") from None
