"""A place where an ERP drops files, as tests need it: files by what they say, complete at once unless told otherwise."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from connectors import feed
from connectors.feed import FeedSettings, FileErp
from core.clock import Clock
from mapping.kommerce import CONTACTS, CUSTOMERS, INVENTORY, INVOICES, REGIONS, Layout
from mapping.kommerce.columns import line

OLD = 3600.0
COLUMNS: dict[str, dict[str, int]] = {
    "KS_CUSTOMERS": {"reps": 21, "region": 22, "deleted": 23},
    "KS_CONTACTS": {"deleted": 19},
    "KS_REGIONS": {"deleted": 5},
    "KS_INVENTORY": {"sku": 1, "on_hand": 2, "available": 3, "warehouse": 4, "deleted": 5},
    "KS_INVOICES": {
        "id": 1, "number": 2, "customer": 3, "status": 4, "issued": 5, "currency": 6, "net": 7, "tax": 8, "total": 9, "deleted": 10,
    },
}  # fmt: skip
LAYOUTS: Mapping[str, Layout] = {
    one.api: one.with_columns(COLUMNS[one.api]) for one in (CUSTOMERS, CONTACTS, REGIONS, INVENTORY, INVOICES)
}


class Drops:
    """A folder. Each file gets the next number."""

    def __init__(self, folder: Path, source: str = "DT") -> None:
        self.folder = folder
        self.source = source
        self.number = 0
        folder.mkdir(parents=True, exist_ok=True)

    def drop(
        self,
        api: str,
        rows: Sequence[Mapping[str, str] | str],
        mode: str = "NET",
        *,
        number: int | None = None,
        encoding: str = "utf-8",
        end: str = "\r\n",
        age: float = OLD,
    ) -> str:
        """A KS_ file; a row given as text stands there as it is. Its name."""
        self.number = self.number + 1 if number is None else number
        texts = [row if isinstance(row, str) else line(LAYOUTS[api].row(row)) for row in rows]
        name = f"{self.source}_{self.number:07d}_{api}.{mode}"
        self.put(name, "".join(text + end for text in texts).encode(encoding), age=age)
        return name

    def put(self, name: str, content: bytes, *, age: float = OLD) -> None:
        """A file of any name, last written so many seconds ago."""
        file = self.folder / name
        file.write_bytes(content)
        moment = time.time() - age
        os.utime(file, (moment, moment))

    def settings(self, **more: Any) -> FeedSettings:
        values: dict[str, Any] = {"name": "erp", "folder": str(self.folder), "columns": COLUMNS, "own": ("1",), **more}
        return FeedSettings.model_validate(values)

    def erp(self, clock: Clock | None = None, **more: Any) -> FileErp:
        return feed.build(self.settings(**more), clock=clock)


def customer(number: object, reps: str = "R1", **more: str) -> dict[str, str]:
    return {
        "number": f"C{number}",
        "business_type": "C",
        "name": f"Customer {number}",
        "reps": reps,
        "country": "DE",
        **more,
    }


def rep(code: str, company: str = "1", **more: str) -> dict[str, str]:
    return {"number": code, "name": f"Rep {code}", "company": company, "email": f"{code}@own.example", **more}
