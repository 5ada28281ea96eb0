"""A paper as PDF (ADR-0014): A4, our own fonts within it, the same bytes for the same paper."""

from __future__ import annotations

import functools
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.errors import FPDFException
from fpdf.fonts import TTFFont
from PIL import UnidentifiedImageError

from mapping.papers.paper import Item, Paper

_FONTS: Final = Path(__file__).parent / "fonts"
_FONT: Final = "DejaVu"
_WIDTHS: Final = (66, 20, 26, 22, 16, 30)
"""Millimetres of the columns; 180 together."""
_LINE: Final = 4.4
_GREY: Final = 90
_PRIVATE: Final = "\ue000"
_PAGES: Final = _PRIVATE * 3
"""Stands for the number of pages until it is known, and leaves room for it; of a character for private use, which no text of
ours keeps.
"""
_LOST: Final = "\N{REPLACEMENT CHARACTER}"
LONGEST_WORD: Final = 60
"""Characters without a place to break."""

# Both tell of every glyph and table that they leave out, of people's orders.
logging.getLogger("fpdf").setLevel(logging.ERROR)
logging.getLogger("fontTools").setLevel(logging.ERROR)


class _Sheet(FPDF):
    """A4 with a footer on every page."""

    def __init__(self, paper: Paper) -> None:
        super().__init__(format="A4")
        self.paper = paper
        self.set_creation_date(paper.issued)
        self.set_title(paper.title)
        self.set_author(paper.seller[0] if paper.seller else "")
        self.set_creator("Orderwire")
        self.set_producer("fpdf2")
        self.set_lang(paper.language)
        _add_fonts(self)
        self.set_margins(15, 15, 15)
        lines = max((len(column) for column in paper.footer), default=0)
        self.foot = 12 + 3.4 * lines
        self.set_auto_page_break(auto=True, margin=self.foot + 6)
        self.alias_nb_pages(_PAGES)

    def footer(self) -> None:
        """The seller's columns, and the page's number."""
        self.set_y(-self.foot)
        self.set_draw_color(200)
        self.line(15, self.get_y(), 195, self.get_y())
        self.set_font(_FONT, size=7)
        self.set_text_color(_GREY)
        top, width = self.get_y() + 2, 180 / max(len(self.paper.footer), 1)
        for place, column in enumerate(self.paper.footer):
            for number, text in enumerate(column):
                self.set_xy(15 + place * width, top + number * 3.4)
                self.cell(width - 2, 3.4, _fitting(self, text, width - 2))
        self.set_xy(15, -9)
        self.cell(180, 4, self.paper.page.format(page=self.page_no(), pages=_PAGES), align="R")
        self.set_text_color(0)


def pdf_of(paper: Paper, logo: bytes = b"") -> bytes:
    """The file. `logo`: a PNG or JPEG; one that cannot be read is left out."""
    sheet = _Sheet(paper)
    sheet.add_page()
    _head(sheet, paper, logo)
    _table(sheet, paper)
    _sums(sheet, paper)
    _notes(sheet, paper.notes)
    return bytes(sheet.output())


# -- the parts ---------------------------------------------------------------------------------------------------------


def _head(sheet: _Sheet, paper: Paper, logo: bytes) -> None:
    _logo(sheet, logo)
    sheet.set_xy(15, 40)
    sheet.set_font(_FONT, size=7)
    sheet.set_text_color(_GREY)
    sheet.cell(90, 4, _fitting(sheet, " · ".join(paper.seller), 90), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    sheet.set_text_color(0)
    _lines(sheet, paper.addressee, 15, 46, 90)
    below = sheet.get_y()
    sheet.set_xy(115, 40)
    for label, value in paper.facts:
        sheet.set_x(115)
        sheet.set_font(_FONT, size=8)
        sheet.set_text_color(_GREY)
        sheet.cell(38, _LINE, _fitting(sheet, label, 37))
        sheet.set_text_color(0)
        sheet.multi_cell(42, _LINE, _breakable(value), align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    below = max(below, sheet.get_y())
    if paper.delivery is not None:
        sheet.set_xy(115, sheet.get_y() + 3)
        sheet.set_font(_FONT, "B", 8)
        sheet.cell(80, _LINE, paper.delivery[0], new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        _lines(sheet, paper.delivery[1], 115, sheet.get_y(), 80, size=8)
        below = max(below, sheet.get_y())
    sheet.set_xy(15, max(below + 8, 86))
    sheet.set_font(_FONT, "B", 15)
    sheet.multi_cell(180, 8, _breakable(paper.title), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    sheet.ln(3)


def _logo(sheet: _Sheet, logo: bytes) -> None:
    if not logo:
        return
    try:
        sheet.image(io.BytesIO(logo), x=135, y=12, w=60, h=20, keep_aspect_ratio=True)
    except (UnidentifiedImageError, FPDFException, OSError, ValueError):
        return  # `orderwire config validate` says so; a paper without a picture is still a paper


def _lines(sheet: _Sheet, lines: Sequence[str], x: float, y: float, width: float, size: int = 10) -> None:
    sheet.set_font(_FONT, size=size)
    sheet.set_y(y)
    for line in lines:
        sheet.set_x(x)
        sheet.multi_cell(width, _LINE + 0.4, _breakable(line), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _table(sheet: _Sheet, paper: Paper) -> None:
    _table_head(sheet, paper)
    for item in paper.items:
        sheet.set_font(_FONT, size=8)
        lines = [line for part in item.name.split("\n") for line in _wrapped(sheet, part, _WIDTHS[0] - 2)]
        for number, line in enumerate(lines or [""]):
            # A row begins where two lines of it fit; a name of many pages goes on over all of them.
            if sheet.will_page_break(_LINE * (2 if number == 0 and len(lines) > 1 else 1) + 2):
                sheet.add_page()
                _table_head(sheet, paper)
            sheet.set_font(_FONT, size=8)
            sheet.cell(_WIDTHS[0], _LINE, line)
            if number == 0:
                for width, text in zip(_WIDTHS[1:], _amounts(item), strict=True):
                    _right(sheet, text, width)
            sheet.ln(_LINE)
        sheet.line(15, sheet.get_y() + 0.7, 195, sheet.get_y() + 0.7)
        sheet.ln(1.4)


def _table_head(sheet: _Sheet, paper: Paper) -> None:
    sheet.set_draw_color(200)
    sheet.set_fill_color(240)
    sheet.set_x(15)
    sheet.set_font(_FONT, "B", 7.5)
    for place, (width, text) in enumerate(zip(_WIDTHS, paper.columns, strict=True)):
        sheet.cell(width, _LINE + 1.6, _fitting(sheet, text, width - 1), align="R" if place else "L", fill=True)
    sheet.ln(_LINE + 2.4)


def _amounts(item: Item) -> tuple[str, ...]:
    return (item.quantity, item.price, item.discount, item.tax, item.net)


def _right(sheet: FPDF, text: str, width: float) -> None:
    """At the right of its column. An amount is never cut: what is too long is written smaller."""
    text, size = _own(text), 8.0
    while size > 3 and sheet.get_string_width(text) > width - 2.2:
        size -= 0.5
        sheet.set_font(_FONT, size=size)
    sheet.cell(width, _LINE, text, align="R")
    sheet.set_font(_FONT, size=8)


def _wrapped(sheet: FPDF, text: str, width: float) -> list[str]:
    """Lines of this width. Much faster than asking the library, which measures every piece three times."""
    lines: list[str] = []
    line, used, space = "", 0.0, sheet.get_string_width(" ")
    for word in (piece for long in _own(text).split(" ") for piece in _pieces(sheet, long, width)):
        needed = sheet.get_string_width(word)
        if line and used + space + needed > width:
            lines.append(line)
            line, used = word, needed
        else:
            line, used = (f"{line} {word}", used + space + needed) if line else (word, needed)
    return [*lines, line] if line else lines


def _pieces(sheet: FPDF, word: str, width: float) -> list[str]:
    if len(word) < 20 or sheet.get_string_width(word) <= width:
        return [word]
    return [word[at : at + 20] for at in range(0, len(word), 20)]


def _sums(sheet: _Sheet, paper: Paper) -> None:
    sheet.ln(2)
    for row in paper.sums:
        if sheet.will_page_break(12 if row.total else 6):
            sheet.add_page()
        sheet.set_font(_FONT, "B" if row.total else "", 11 if row.total else 9)
        sheet.set_x(85)
        sheet.cell(70, 7 if row.total else 5.2, _fitting(sheet, row.label, 69))
        sheet.cell(40, 7 if row.total else 5.2, row.amount, align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _notes(sheet: _Sheet, notes: Sequence[str]) -> None:
    sheet.set_font(_FONT, size=9)
    for note in notes:
        sheet.ln(4)
        sheet.multi_cell(180, 5, _breakable(note), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)


# -- text that fits ----------------------------------------------------------------------------------------------------


def _breakable(text: str) -> str:
    """No word is wider than its column."""
    return " ".join(
        word if len(word) <= LONGEST_WORD else " ".join(word[at : at + 30] for at in range(0, len(word), 30))
        for word in _own(text).split(" ")
    )


def _own(text: str) -> str:
    """What our fonts do not have is seen to be missing: it would be left out without a trace."""
    text = text.replace(_PRIVATE, "?")
    return text if text.isascii() else "".join(one if ord(one) in _drawable() else _LOST for one in text)


@functools.cache
def _drawable() -> frozenset[int]:
    """What both fonts have; line ends are no glyphs."""
    sheet = FPDF()
    _add_fonts(sheet)
    fonts = [font for font in sheet.fonts.values() if isinstance(font, TTFFont)]
    both = [frozenset(font.cmap) for font in fonts]
    for font in fonts:
        font.close()
    return frozenset.intersection(*both) | {ord("\n"), ord("\t")}


def _add_fonts(sheet: FPDF) -> None:
    sheet.add_font(_FONT, "", _FONTS / "DejaVuSans.ttf")
    sheet.add_font(_FONT, "B", _FONTS / "DejaVuSans-Bold.ttf")


def _fitting(sheet: FPDF, text: str, width: float) -> str:
    """Cut to the width."""
    text = _own(text)
    if sheet.get_string_width(text) <= width:
        return text
    while text and sheet.get_string_width(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
