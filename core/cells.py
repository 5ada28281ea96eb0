"""Cells of a table that a spreadsheet opens: text stays text, whatever a customer wrote."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from core.visible import visible

_SIGNS: Final = "=+@＝＋－＠-"
_FORMULA: Final = tuple(f"{_SIGNS}\t\r\n")
"""What a spreadsheet takes for the beginning of a formula (tab and line ends hide one; the wide signs are read alike)."""
_GUARD: Final = "'"
_TOGETHER: Final = 500
_BEGINNING: Final = re.compile(rf"\s*(?:{_GUARD}|[\"\s]*[{_SIGNS}])")
_WITHIN: Final = re.compile(rf'(?<=[,;\t\r\n])(?=\'*[" ]*[{_SIGNS}])')
"""Where a cell of its own would begin a formula: Excel splits at `;` where the comma is for decimals, and takes no notice of a
quote that does not stand at the beginning of what it takes for a cell.
"""
_GUARDED: Final = re.compile(rf'(?<=[,;\t\r\n])\'(?=\'*[" ]*[{_SIGNS}])')


def harmless(cell: str) -> str:
    """The cell with a mark in front where it, or a part of it that a spreadsheet may take for a cell, would begin a formula, or
    begins with that mark already; characters that act instead of being read are written as escapes (line ends of all kinds are
    fine within quotes).
    """
    cell = _WITHIN.sub(_GUARD, "\r".join(map(visible, cell.split("\r"))))
    return f"{_GUARD}{cell}" if _begins(cell) else cell


def plain(cell: str) -> str:
    """The inverse; white space around a cell that needed no mark in front is gone."""
    text = cell.lstrip()
    marked = text.startswith(_GUARD) and _begins(text[1:])
    return _GUARDED.sub("", text[1:]) if marked else _GUARDED.sub("", cell).strip()


def _begins(cell: str) -> bool:
    return cell.startswith(_FORMULA) or _BEGINNING.match(cell) is not None


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Comma-separated, CRLF; no cell begins a formula."""
    return "".join(pieces(header, rows))


def pieces(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The same in parts of some hundred lines, each made when it is asked for: nobody holds a long table whole."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(header)
    for number, row in enumerate(rows, start=1):
        writer.writerow([harmless(cell) for cell in row])
        if number % _TOGETHER == 0:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()
