"""The stand-in CRM's memory: records by number, by module, and by value for quick look-ups."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from sandbox.crm import values
from sandbox.crm.schema import NUMBERED, Module, Schema


@dataclass(slots=True)
class Line:
    """One line item, its numbers as the database keeps them."""

    id: int
    sequence: int
    product: str
    quantity: str
    listprice: str
    discount_percent: str
    discount_amount: str
    comment: str
    taxes: dict[str, str]


@dataclass(slots=True)
class Row:
    """One record. `taxes` and `list_price` belong to products, `lines` and `charges` to orders and invoices."""

    number: int
    module: Module
    values: dict[str, str]
    label: str = ""
    lines: list[Line] = field(default_factory=list)
    charges: dict[str, object] = field(default_factory=dict)
    taxes: dict[str, str] = field(default_factory=dict)
    list_price: float = 0.0
    deleted: bool = False
    converted: bool = False
    shell: bool = False

    @property
    def id(self) -> str:
        return f"{self.module.prefix}x{self.number}"


class Store:
    """Records of all modules. `lock` is to be held by whoever reads or writes more than one thing."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.lock = threading.RLock()
        self.rows: dict[int, Row] = {}
        self.by_module: dict[str, dict[int, Row]] = {name: {} for name in schema.modules}
        self.lines: dict[int, int] = {}
        self._indexes: dict[tuple[str, str], dict[str, dict[int, Row]]] = {}
        self.last_number = 1
        self._last_line = 0
        self._sequences: dict[str, int] = {}

    def add(self, module: Module, fields: dict[str, str]) -> Row:
        """A new record with the next number; record numbers are global over all modules."""
        self.last_number += 1
        row = Row(self.last_number, module, fields)
        if module.name in NUMBERED:
            column, letters = NUMBERED[module.name]
            self._sequences[module.name] = self._sequences.get(module.name, 0) + 1
            fields[column] = f"{letters}{self._sequences[module.name]}"
        self.rows[row.number] = row
        self.by_module[module.name][row.number] = row
        self.relabel(row)
        self._index(row, module.columns)
        return row

    def change(self, row: Row, fields: dict[str, str]) -> None:
        """Overwrite fields of a record."""
        for (module, column), index in self._indexes.items():
            if module == row.module.name and column in fields:
                index.get(fold(row.values[column]), {}).pop(row.number, None)
        row.values.update(fields)
        if any(name in fields for name in row.module.label_fields):
            self.relabel(row)
        self._index(row, fields)

    def delete(self, row: Row) -> None:
        row.deleted = True
        self.hide(row)

    def hide(self, row: Row) -> None:
        """Take a record out of queries: deleted ones and converted leads."""
        self.by_module[row.module.name].pop(row.number, None)
        for (module, column), index in self._indexes.items():
            if module == row.module.name:
                index.get(fold(row.values[column]), {}).pop(row.number, None)

    def relabel(self, row: Row, unstored: dict[str, str] | None = None) -> None:
        """The label of the label fields; `unstored` holds values before the columns cut them."""
        source = {**row.values, **(unstored or {})}
        parts = (source.get(name, "") for name in row.module.label_fields)
        row.label = values.escape_label(" ".join(part for part in parts if part).strip()[:255])

    def find(self, id: str) -> Row | None:
        """The living record with this web service id, or nothing."""
        row = self.rows.get(_number(id))
        return row if row and not row.deleted and row.id == id else None

    def with_value(self, module: Module, column: str, wanted: str) -> Iterable[Row]:
        """The module's records that hold this value, compared as the database does."""
        index = self._indexes.get((module.name, column))
        if index is None:
            index = self._indexes[(module.name, column)] = {}
            for row in self.by_module[module.name].values():
                index.setdefault(fold(row.values[column]), {})[row.number] = row
        return index.get(fold(wanted), {}).values()

    def alive(self, module: str) -> Iterator[Row]:
        yield from self.by_module[module].values()

    def next_line(self, parent: int) -> int:
        """lineitem_id = MAX + 1: numbers of deleted lines come back."""
        self._last_line += 1
        self.lines[self._last_line] = parent
        return self._last_line

    def drop_lines(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self.lines.pop(line.id, None)
        while self._last_line and self._last_line not in self.lines:
            self._last_line -= 1

    def _index(self, row: Row, columns: Iterable[str]) -> None:
        if row.number not in self.by_module[row.module.name]:
            return
        for column in columns:
            index = self._indexes.get((row.module.name, column))
            if index is not None:
                index.setdefault(fold(row.values[column]), {})[row.number] = row


def _number(id: str) -> int:
    _, _, digits = id.partition("x")
    return int(digits) if digits.isdigit() and digits.isascii() else -1


@lru_cache(maxsize=65536)
def fold(text: str) -> str:
    """utf8_general_ci: no case, no accents, no trailing spaces. "Ł" and "й" stay letters of their own."""
    return "".join(_fold_character(character) for character in text.rstrip(" "))


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    upper = character.upper()
    if len(upper) != 1:
        return "S" if character == "ß" else character
    if upper == "Й":
        return upper
    return unicodedata.normalize("NFD", upper)[0]
