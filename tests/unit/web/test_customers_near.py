"""Where a list begins that holds everything which begins so."""

from __future__ import annotations

import pytest

from web.dashboard.customers import before


@pytest.mark.parametrize("text", ["1", "10017", "ä", "\ue000", "\U0001f600", "a b", '"'])
def test_everything_that_begins_so_comes_after_and_little_else(text: str) -> None:
    first = before(text)
    first.encode()
    assert first < text < text + "1"
    assert text[:-1] <= first


@pytest.mark.parametrize("text", ["", " ", "!"])
def test_nothing_to_look_for_is_the_beginning(text: str) -> None:
    assert before(text) == ""
