"""What those see of a conflict who may not decide it: where both sides differ, and of addresses and notes no value."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.roles import OWNED
from ledger.amendments import Asked, Disagreement, Side
from pipelines.choosing import HIDDEN, OPEN_TO_ALL, hidden

PRIVATE = ["billing", "shipping", "purchase_order", "notes", "custom", "subject"]


def conflict(part: str) -> Disagreement:
    rows = (Side("First", "was", "theirs", "the store's"), Side("Second", None, "", None))
    return Disagreement(
        1, Asked(part, "a", "b", rows), "crm", "shop/order/1", "", "", None, datetime(2026, 11, 22, tzinfo=UTC)
    )


@pytest.mark.parametrize("part", PRIVATE)
def test_neither_side_of_what_is_private_is_shown(part: str) -> None:
    (found,) = hidden([conflict(part)])
    assert found.asked.rows == (Side("First", HIDDEN, HIDDEN, HIDDEN), Side("Second", None, "", None))
    assert (found.id, found.asked.part, found.key) == (1, part, "shop/order/1")


def test_what_is_nobodys_address_is_shown() -> None:
    for part in sorted(OPEN_TO_ALL):
        assert hidden([conflict(part)]) == [conflict(part)]


def test_every_part_of_an_order_is_one_or_the_other() -> None:
    """A part that is added is hidden until somebody says that it may be seen."""
    assert set(PRIVATE) == OWNED - OPEN_TO_ALL
    assert hidden([conflict("something new")])[0].asked.rows[0].theirs == HIDDEN
