"""The files KommerceServer exchanges: their names, their order, their columns. For reading and for writing.

    DT_0000001_KS_CUSTOMERS.NET     {source}_{sequence}_{integration}_{API}.{mode}, sequence of seven digits
    FULL: everything there is       NET: new and changed rows only

Rows are tab-delimited without quotes and without a heading; columns are told by their place, counted from 1. Source: its
published specification. What that does not show stands in no table here: where a customer's sales-rep ids are and what
parts them, and all of KS_INVENTORY and KS_INVOICES. A connection says those (`Layout.with_columns`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Self, cast

Mode = Literal["FULL", "NET"]

INTEGRATION: Final = "KS"
MAX_SEQUENCE: Final = 9_999_999
MAX_COLUMNS: Final = 400
_NAME: Final = re.compile(r"([A-Za-z0-9-]{1,20})_([0-9]{7})_(KS_[A-Z][A-Z_]{1,40})\.(FULL|NET)")
_UNFIT: Final = re.compile(r"[\t\r\n\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind of file. `columns`: what stands where, from 1; `key`: the columns that name a row."""

    api: str
    precedence: int
    """Files of a lower one come first: what others refer to must be there before them."""
    columns: Mapping[str, int] = field(default_factory=dict)
    key: tuple[str, ...] = ("number",)

    def with_columns(self, columns: Mapping[str, int]) -> Self:
        """The same with what a connection says about its own files, which wins."""
        return replace(self, columns={**self.columns, **columns})

    @property
    def width(self) -> int:
        """So many columns a written row has."""
        return max(self.columns.values(), default=0)

    def row(self, values: Mapping[str, str]) -> list[str]:
        """Cells by their place; what is not given is empty. Raises KeyError for a column that has no place."""
        cells = [""] * self.width
        for name, value in values.items():
            cells[self.columns[name] - 1] = value
        return cells

    def cell(self, cells: Sequence[str], name: str) -> str:
        """What stands in this column, without white space around it; "" where the row is shorter or the column has no place."""
        place = self.columns.get(name, 0)
        return cells[place - 1].strip() if 0 < place <= len(cells) else ""


CUSTOMERS: Final = Layout(
    "KS_CUSTOMERS",
    2,
    {
        "number": 1,
        "kommerce_id": 2,
        "business_type": 3,
        "name": 4,
        "address1": 5,
        "address2": 6,
        "address3": 7,
        "city": 8,
        "state": 9,
        "zip": 10,
        "country": 11,
        "phone": 12,
        "site": 13,
        "site_name": 14,
        "website": 15,
        "credit_limit": 16,
        "terms": 17,
        "term_type": 18,
        "discount_days": 19,
        "discount": 20,
    },
)
CONTACTS: Final = Layout(
    "KS_CONTACTS",
    3,
    {
        "number": 1,
        "kommerce_id": 2,
        "name": 3,
        "position": 4,
        "phone": 5,
        "email": 6,
        "first": 7,
        "last": 8,
        "middle": 9,
        "prefix": 10,
        "suffix": 11,
        "company": 12,
        "business_type": 13,
        "class": 14,
        "department": 15,
        "fax": 16,
        "mobile": 17,
        "address_number": 18,
    },
)
REGIONS: Final = Layout("KS_REGIONS", 1, {"id": 1, "name": 2, "parent": 3, "reps": 4}, ("id",))
INVENTORY: Final = Layout("KS_INVENTORY", 3, {}, ("warehouse", "sku"))
INVOICES: Final = Layout("KS_INVOICES", 3, {}, ("id",))

LAYOUTS: Final[Mapping[str, Layout]] = {one.api: one for one in (REGIONS, CUSTOMERS, CONTACTS, INVENTORY, INVOICES)}
PRECEDENCE: Final[Mapping[str, int]] = {
    **dict.fromkeys(("KS_REGIONS", "KS_CURRENCY", "KS_SALES_TAX", "KS_FREIGHT"), 1),
    **dict.fromkeys(("KS_CUSTOMERS", "KS_REPQUOTA", "KS_MFG_ITEMS"), 2),
    **dict.fromkeys(("KS_CONTACTS", "KS_SHIP_ADDRS", "KS_ORDERS", "KS_INVENTORY", "KS_INVOICES"), 3),
}
"""Of every kind that the specification names, read here or not."""


@dataclass(frozen=True, slots=True)
class FileName:
    """`DT_0000001_KS_CUSTOMERS.NET` in its parts."""

    source: str
    sequence: int
    api: str
    mode: Mode

    def __str__(self) -> str:
        return f"{self.source}_{self.sequence:07d}_{self.api}.{self.mode}"

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """None where it is no such name (a file that is still being written has another one)."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        return cls(found[1], int(found[2]), found[3], cast("Mode", found[4]))

    @property
    def precedence(self) -> int:
        """Among files of one sequence number."""
        return PRECEDENCE.get(self.api, 9)


def line(cells: Sequence[str]) -> str:
    """A row as it is written, without its line ending. There are no quotes in these files: a tab or a line break inside a value
    would move every column after it, so it becomes a space.
    """
    return "\t".join(_UNFIT.sub(" ", cell).strip() for cell in cells)


def cells_of(text: str) -> list[str]:
    """A row as it was read, without its line ending."""
    return text.split("\t")


def listed(value: str, separator: str) -> list[str]:
    """The values of a multi-valued column, each once, in their order."""
    return list(dict.fromkeys(part for part in (one.strip() for one in value.split(separator)) if part))


__all__ = [
    "CONTACTS",
    "CUSTOMERS",
    "INTEGRATION",
    "INVENTORY",
    "INVOICES",
    "LAYOUTS",
    "MAX_COLUMNS",
    "MAX_SEQUENCE",
    "PRECEDENCE",
    "REGIONS",
    "FileName",
    "Layout",
    "Mode",
    "cells_of",
    "line",
    "listed",
]
