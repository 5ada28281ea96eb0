"""Line items addressed directly, with everything that goes wrong there: totals are never recomputed, and an
update loses the other lines.
"""

from __future__ import annotations

from typing import Any

from sandbox.crm import answers, inventory, values
from sandbox.crm.errors import denied, missing, not_found
from sandbox.crm.store import Line, Row, Store

Json = dict[str, Any]
_HIDDEN = frozenset({"product_name", "entity_type", "deleted"})


def create(store: Store, element: Json) -> Json:
    """Add a line; the order's totals stay as they were."""
    for name in ("productid", "quantity"):
        if element.get(name) in (None, ""):
            raise missing(name)
    row = store.find(str(element.get("parent_id") or ""))
    if row is None or not row.module.inventory:
        raise denied()
    line = inventory.read_line(store, row, element, row.values["hdnTaxType"], 0)
    row.lines.append(line)
    return _alone(store, row, line) | {"incrementondel": "1"}


def retrieve(store: Store, id: str) -> Json:
    """One line, its taxes shown as 0."""
    row, line = _find(store, id)
    return _alone(store, row, line)


def revise(store: Store, element: Json) -> Json:
    """Change a line; the order's totals stay as they were."""
    row, line = _find(store, str(element["id"]))
    for name, decimals in (("quantity", 3), ("listprice", 8), ("discount_percent", 3), ("discount_amount", 8)):
        if name in element:
            setattr(line, name, values.fixed(element[name], decimals))
    if "comment" in element:
        line.comment = values.plain_text(element["comment"])
    return _alone(store, row, line)


def update(store: Store, element: Json) -> Json:
    """Answers RECORD_NOT_FOUND and loses the order's other lines (seen on the wire)."""
    row, line = _find(store, str(element["id"]))
    revise(store, element)
    line.sequence = 0
    store.drop_lines(other for other in row.lines if other is not line)
    row.lines = [line]
    raise not_found()


def _find(store: Store, id: str) -> tuple[Row, Line]:
    digits = id.partition("x")[2]
    number = int(digits) if digits.isdigit() and digits.isascii() else -1
    row = store.rows.get(store.lines.get(number, -1))
    line = next((line for line in row.lines if line.id == number), None) if row else None
    if row is None or line is None:
        raise denied()
    return row, line


def _alone(store: Store, row: Row, line: Line) -> Json:
    """Without its order a line shows no taxes, though they are stored."""
    out = answers.line_out(store, row, line)
    out |= dict.fromkeys(inventory.TAX_NAMES, "0.000")
    return {name: value for name, value in out.items() if name not in _HIDDEN}
