"""Every cent has a name: the parts add up to the total, or the difference is told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.jsontext import loads
from mapping.cents import cents
from mapping.woocommerce import WooOptions, order_from_woocommerce, read_from_woocommerce

CORPUS = loads((Path(__file__).parents[2] / "fixtures" / "woocommerce" / "orders-corpus.json").read_bytes())
D = Decimal


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: str(entry["order"]["id"]))
def test_every_cent_of_every_recorded_order_is_named(entry: dict[str, Any]) -> None:
    order = order_from_woocommerce(entry["order"], WooOptions("shop"))
    found = cents(order)
    assert found.sum == found.total == order.total
    assert found.balances
    of = {part: sum((one.amount for one in found.parts if one.part == part), D(0)) for part in ("tax", "shipping")}
    assert of == {"tax": order.tax, "shipping": order.shipping_net}
    assert sum((one.amount for one in found.parts if one.part == "rounding"), D(0)) == order.rounding


def test_discounts_fees_and_rates_stand_by_themselves() -> None:
    found = cents(order_from_woocommerce(CORPUS[0]["order"], WooOptions("shop")))
    assert [(one.part, one.name, one.amount) for one in found.parts] == [
        ("line", "Sticky notes", D("7.35")),
        ("line", "Ballpoint blue", D("33.30")),
        ("discount", "Sticky notes", D("-0.35")),
        ("discount", "Ballpoint blue", D("-4.65")),
        ("fee", "Rush", D("-1.50")),
        ("shipping", "S", D("12.35")),
        ("tax", "VAT", D("8.83")),
    ]
    assert found.parts[-1].detail == "19 %"


def test_what_is_left_is_told() -> None:
    found = cents(read_from_woocommerce({**CORPUS[0]["order"], "total": "55.34"}, WooOptions("shop")))
    assert (found.balances, found.difference, found.sum, found.total) == (False, D("0.01"), D("55.33"), D("55.34"))
