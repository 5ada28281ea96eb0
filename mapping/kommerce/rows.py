"""A row of a KS_ file as it is stored, `{"cells": ["10017", "", "C", ...]}`, and its fields by our names.

Cells are stored by their place and named when they are mapped: a place that was configured wrongly is mended without the file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from core.errors import Held
from core.jsontext import loads
from mapping.kommerce.columns import Layout


def cells_raw(cells: Sequence[str]) -> bytes:
    """What is stored."""
    return json.dumps({"cells": cells}, ensure_ascii=False).encode()


def stored_cells(raw: bytes) -> list[str]:
    """The cells that were stored. Raises `Held` where they are none."""
    try:
        row = loads(raw)
    except ValueError:
        row = None
    cells = row.get("cells") if isinstance(row, dict) else None
    if not isinstance(cells, list) or not cells or not all(isinstance(cell, str) for cell in cells):
        raise Held(
            "What is stored for this record is not a row of KommerceServer. What to do: have the file dropped again.",
            error_class="mapping",
        )
    return cells


def fields_from_kommerce(cells: Sequence[str], layout: Layout) -> dict[str, str]:
    """The fields by our names, which are those of the layout's columns."""
    return {name: layout.cell(cells, name) for name in layout.columns}
