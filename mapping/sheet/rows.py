"""A row of a CSV file as it is stored, `{"columns": {"Customer No": "10017", ...}}`, and its fields by our names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from core.errors import Held
from core.jsontext import loads
from mapping.sheet.fields import Fields


def columns_raw(heading: Sequence[str], cells: Sequence[str]) -> bytes:
    """What is stored."""
    return json.dumps({"columns": dict(zip(heading, cells, strict=True))}, ensure_ascii=False).encode()


def stored_columns(raw: bytes) -> Mapping[str, str]:
    """The columns that were stored. Raises `Held` where they are none."""
    try:
        row = loads(raw)
    except ValueError:
        row = None
    columns = row.get("columns") if isinstance(row, dict) else None
    if not isinstance(columns, dict) or not all(isinstance(value, str) for value in columns.values()):
        raise Held(
            "What is stored for this record is not a row of a file. What to do: have the file dropped again.",
            error_class="mapping",
        )
    return columns


def fields_from_columns(columns: Mapping[str, str], names: Mapping[str, str | int]) -> Fields:
    """The fields by our names. `names`: our field -> its heading or place."""
    return {field: columns.get(str(column), "") for field, column in names.items()}
