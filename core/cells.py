"""Cells of a table that a spreadsheet opens: text stays text, whatever a customer wrote."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from core.visible import visible

_FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠")
"""What a spreadsheet takes for the beginning of a formula (tab and line ends hide one; the wide signs are read alike)."""
_GUARD: Final = "'"


def harmless(cell: str) -> str:
    """The cell with a mark in front where it would begin a formula, or begins with that mark already; characters that act
    instead of being read are written as escapes (line ends of all kinds are fine within quotes).
    """
    cell = "\r".join(map(visible, cell.split("\r")))
    return f"{_GUARD}{cell}" if cell.startswith((*_FORMULA, _GUARD)) else cell


def plain(cell: str) -> str:
    """The inverse, and white space around it gone."""
    text = cell.strip()
    return text[1:] if text.startswith(_GUARD) and text[1:].startswith((*_FORMULA, _GUARD)) else text


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Comma-separated, CRLF; no cell begins a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return out.getvalue()
