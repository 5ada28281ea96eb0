"""No spreadsheet takes a part of a cell for a formula, wherever it splits; and every cell comes back as it was."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.cells import harmless, plain, table
from core.visible import visible

SIGNS = "=+-@＝＋－＠"
TEXTS = st.text(st.sampled_from(f"{SIGNS};,\t\r\n'\" ax1")) | st.text()


@given(TEXTS)
@example(' \t"=1')
@example("\t")
@example(";'=1")
@example('a;""=1')
def test_every_cell_comes_back_as_it_was(text: str) -> None:
    seen = "\r".join(map(visible, text.split("\r")))
    assert plain(harmless(text)) in {seen, seen.strip()}
    if text == seen == text.strip():
        assert plain(harmless(text)) == text


@given(TEXTS)
def test_no_part_of_a_cell_begins_a_formula(text: str) -> None:
    for part in re.split(r"[,;\t\r\n]", harmless(text)):
        assert not part.lstrip(' "').startswith(tuple(SIGNS))


@given(st.lists(TEXTS, min_size=1, max_size=3))
def test_nor_does_a_part_of_a_sheet(cells: list[str]) -> None:
    for part in re.split(r"[,;\t\r\n]", table(["a"], [cells])):
        # What stands in quotes begins with the quote; the quotes taken off, it must be as harmless.
        assert not part.lstrip('"').startswith(tuple(SIGNS)), (cells, part)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Rossi;=1+1", "Rossi;'=1+1"),
        ("a\n=1", "a\n'=1"),
        ("a\r\n@x", "a\r\n'@x"),
        ('a;"=1', "a;'\"=1"),
        ("a; b", "a; b"),
        ("a-b;c", "a-b;c"),
        (" =1", "' =1"),
    ],
)
def test_where_the_mark_stands(text: str, written: str) -> None:
    assert harmless(text) == written
