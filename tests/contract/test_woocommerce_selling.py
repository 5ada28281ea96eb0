"""The shop is told how much it may sell: as recorded, and what the recordings do not show, by its documented rules."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.http import Call, guarded
from connectors.roles import Offer, Selling, Shelf
from core.errors import Ambiguous, Held, LeaseLost
from tests.selling import Counter, product

FIXTURES = Path(__file__).parents[1] / "fixtures" / "woocommerce"


def recorded(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


class Allowed:
    def before_write(self, connection: str, timeout: float) -> None:
        assert (connection, timeout > 0) == ("shop", True)

    def called(self, call: Call) -> None:
        assert call.write == (call.method != "GET")


def put_out(shop: Selling, *parcel: Offer) -> dict[str, str]:
    with guarded(Allowed()):
        return dict(shop.put_out(parcel))


def shelf(counter: Counter, sku: str) -> Shelf:
    return counter.connector().shelves([sku])[sku]


def test_as_recorded() -> None:
    """The listing's own rows, then the very PUT and its very answer."""
    counter, exchange = (
        Counter(recorded("19-products-modified")["response"]["body"]),
        recorded("20-product-stock-update"),
    )
    shop: Selling = counter.connector()
    assert shop.shelves(["SKU-1", "SKU-2"]) == {
        "SKU-1": Shelf("SKU-1", "11", Decimal(98)), "SKU-2": Shelf("SKU-2", "12", Decimal(24)),
    }  # fmt: skip
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(exchange["response"]["status"], json=exchange["response"]["body"])

    counter.before = answer
    assert put_out(shop, Offer("SKU-1", "11", 55)) == {"SKU-1": ""}
    assert json.loads(sent[0].content) == exchange["request"]["body"]
    assert (sent[0].method, sent[0].url.path) == (exchange["request"]["method"], "/wp-json/wc/v3/products/11")


def test_how_articles_are_found() -> None:
    counter = Counter([
        product(1, "A", 4), product(2, "b", 4), product(3, "TWICE", 1), product(4, "TWICE", 1), product(5, "NONE", None),
        product(6, "KEPT", 3, type="variation", parent_id=60),
        product(7, "PARENT", 9, type="variation", parent_id=60, manage_stock="parent"), product(8, " SPACE ", 2),
    ])  # fmt: skip
    assert shelf(counter, "A") == Shelf("A", "1", Decimal(4))
    assert shelf(counter, "KEPT") == Shelf("KEPT", "60/6", Decimal(3))
    wrong = {"B": "unknown", "Z": "unknown", "TWICE": "refused", "NONE": "unkept", "PARENT": "unkept", "A,b": "refused"}
    assert {sku: shelf(counter, sku).problem for sku in wrong} == wrong
    assert all(shelf(counter, sku).reason for sku in wrong)


def test_many_are_asked_for_together() -> None:
    short, long = [f"S{number}" for number in range(60)], [f"{number:03}" + "ä" * 190 for number in range(6)]
    counter = Counter([product(number, sku) for number, sku in enumerate([*short, *long], 1)])
    asked: list[str] = []
    counter.before = lambda request: asked.append(str(request.url))
    found = counter.connector().shelves([*short, *long, "S1"])
    assert [one.problem for one in found.values()] == [""] * 66
    assert len(asked) == 4
    assert max(len(url) for url in asked) < 4_000


def test_parcels() -> None:
    offers = [Offer(f"P{number}", str(number), 1) for number in range(130)]
    offers += [Offer("V1", "60/6", 1), Offer("W", "70/7", 1), Offer("V2", "60/8", 1)]
    parcels = Counter().connector().parcels(offers)
    assert [[one.sku for one in parcel] for parcel in parcels if parcel[0].sku[0] != "P"] == [["V1", "V2"], ["W"]]
    assert [len(parcel) for parcel in parcels] == [100, 30, 2, 1]


def test_each_of_a_batch_has_its_own_answer() -> None:
    counter = Counter([product(1, "A"), product(2, "B"), product(3, "C")], refuses={"B"})
    shop = counter.connector()
    said = put_out(shop, Offer("A", "1", 7), Offer("B", "2", 7), Offer("GONE", "9", 7))
    assert (said["A"], "product_invalid_stock" in said["B"], "invalid_id" in said["GONE"]) == ("", True, True)
    assert "No." not in said["B"], "what the shop says freely may repeat anything"
    assert counter.wrote == [("products", 1, 7)]
    assert "product_invalid_stock" in put_out(shop, Offer("B", "2", 8))["B"]
    assert "not any more" in put_out(shop, Offer("GONE", "9", 8))["GONE"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([{"id": 1, "manage_stock": True, "stock_quantity": 5}], "took 7 and says 5"),
        ([{"id": 1, "manage_stock": True, "stock_quantity": "7.000"}], ""),
        ([{"id": 1, "manage_stock": False, "stock_quantity": None}], "says nothing"),
        ([{"id": 1, "manage_stock": "parent", "stock_quantity": 7}], "says nothing"),
        ([{"id": 2, "manage_stock": True, "stock_quantity": 7}], None),
        ("strange", None),
    ],
)
def test_what_the_shop_says_is_compared_with_what_was_asked(answer: Any, said: str | None) -> None:
    counter = Counter(before=lambda _request: httpx.Response(200, json={"update": answer}))
    found = put_out(counter.connector(), Offer("A", "1", 7), Offer("Z", "26", 7))
    assert ("A" in found) == (said is not None)
    assert said is None or (said in found["A"] and bool(said) == bool(found["A"]))


@pytest.mark.parametrize(("status", "error"), [(400, Held), (413, Held), (500, Ambiguous), (504, Ambiguous)])
def test_what_concerns_the_whole_call(status: int, error: type[Exception]) -> None:
    counter = Counter(before=lambda _request: httpx.Response(status, json={}))
    with pytest.raises(error):
        put_out(counter.connector(), Offer("A", "1", 7), Offer("B", "2", 7))


def test_nothing_is_written_outside_of_a_pass() -> None:
    counter = Counter([product(1, "A")])
    with pytest.raises(LeaseLost):
        counter.connector().put_out([Offer("A", "1", 7)])
    assert counter.wrote == []
