from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping.vtiger import Cut, clean, clean_element


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Müller & Co <b>", "Müller & Co <b>"),
        ("Ägir Łódź, Иванов, 東京", "Ägir Łódź, Иванов, 東京"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("Smile \U0001f600 End", "Smile End"),
        ("\U0001f600 first", "first"),
        ("family \U0001f468\u200d\U0001f469\u200d\U0001f467", "family"),
        ("heart \u2764\ufe0f", "heart \u2764"),
        ("\U0001f600", ""),
        ("rare \U00020bb7 name", "rare name"),
        ("nul\x00 and \ud800 alone", "nul and alone"),
        ("replaced \ufffd once", "replaced once"),
        ("two  spaces stay when nothing is cut", "two  spaces stay when nothing is cut"),
    ],
)
def test_what_vtiger_can_keep(text: str, kept: str) -> None:
    assert clean(text) == kept


@given(st.text())
def test_cleaning_twice_changes_nothing_more_and_fits_three_bytes(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert all(len(character.encode("utf-8")) <= 3 for character in once)
    assert "\ufffd" not in once


def test_an_element_tells_what_was_cut() -> None:
    element = {
        "lastname": "\U0001f600",
        "city": "Berlin",
        "bill_city": "\U0001f600",
        "LineItems": [{"productid": "14x1", "comment": "A"}, {"productid": "14x2", "comment": "B \U0001f600"}],
    }
    cleaned, cuts = clean_element(element, frozenset({"lastname"}))
    assert cleaned == {
        "lastname": "-",
        "city": "Berlin",
        "bill_city": "",
        "LineItems": [{"productid": "14x1", "comment": "A"}, {"productid": "14x2", "comment": "B"}],
    }
    assert cuts == (
        Cut("lastname", "\U0001f600", "-"),
        Cut("bill_city", "\U0001f600", ""),
        Cut("line 2 comment", "B \U0001f600", "B"),
    )
    assert element["LineItems"][1] == {"productid": "14x2", "comment": "B \U0001f600"}
