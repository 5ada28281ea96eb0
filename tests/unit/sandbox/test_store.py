"""The stand-in store: exact sums, signed deliveries, and orders that can be changed, repeated and cancelled."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.catalogue import ARTICLES, BY_SKU
from sandbox.serve import running
from sandbox.store import orders
from sandbox.store.app import store_app
from sandbox.store.orders import Wrong, build
from tests.unit.sandbox.conftest import client

SECRET = "whsec_c2FuZGJveC1zZWNyZXQtc2FuZGJveC1zZWNyZXQ="
FORM = {
    "company": "Müller & Co",
    "first_name": "Jörg",
    "last_name": "Müller",
    "email": "joerg@mueller.example",
    "line1": "Straße 7",
    "postal_code": "10115",
    "city": "Berlin",
    "country": "DE",
    "sku_1": "OF-101",
    "quantity_1": "2",
    "sku_2": "OF-104",
    "quantity_2": "3",
    "purchase_order": "PO-1",
}


class Hook:
    """Stands where Orderwire would: verifies and keeps what is posted."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.status = 200

    async def receive(self, request: Request) -> Response:
        body = await request.body()
        Webhook(SECRET).verify(body, dict(request.headers))
        self.got.append(json.loads(body)["order"])
        return Response(status_code=self.status)


@pytest.fixture
def hook() -> Hook:
    return Hook()


@pytest.fixture
def shop(hook: Hook) -> Iterator[httpx.Client]:
    target = Starlette(routes=[Route("/hooks/form", hook.receive, methods=["POST"])])
    with (
        running(target) as there,
        running(store_app(hook=f"{there}/hooks/form", secret=SECRET, crm_url="http://crm.example")) as here,
        client(here, follow_redirects=True) as http,
    ):
        yield http


def test_a_filled_in_form_becomes_a_signed_order(shop: httpx.Client, hook: Hook) -> None:
    page = shop.post("/orders", data=FORM)
    assert page.status_code == 200
    (order,) = hook.got
    # 2 x 39.90 at 19 %, 3 x 27.95 at 7 %, 5.90 shipping at 19 %
    assert order["totals"] == {
        "net": "163.65",
        "discount": "0.00",
        "shipping": "5.90",
        "tax": "22.15",
        "total": "191.70",
    }
    assert [line["net"] for line in order["lines"]] == ["79.80", "83.85"]
    assert (order["number"], order["status"], order["payment_status"]) == ("1001", "placed", "unpaid")
    assert order["customer"]["company"] == "Müller & Co"
    assert order["shipping"] is None
    assert re.search(r'id="order-number">1001<', page.text)
    assert re.search(r'id="order-total">191.70<', page.text)
    assert 'href="http://crm.example/orders"' in page.text
    assert "answered 200" in page.text


def test_edit_duplicate_and_cancel(shop: httpx.Client, hook: Hook) -> None:
    shop.post("/orders", data=FORM)
    assert 'value="joerg@mueller.example"' in shop.get("/orders/1001/edit").text
    shop.post("/orders/1001/pay")
    shop.post("/orders/1001/edit", data={**FORM, "quantity_1": "5"})
    shop.post("/orders/1001/resend")
    shop.post("/orders/1001/cancel")
    assert [order["id"] for order in hook.got] == ["1001"] * 5
    stamps = [order["updated_at"] for order in hook.got]
    assert stamps[0] < stamps[1] < stamps[2] == stamps[3] < stamps[4]
    assert hook.got[2] == hook.got[3]
    assert (hook.got[2]["lines"][0]["quantity"], hook.got[2]["payment_status"]) == ("5", "paid")
    assert (hook.got[4]["status"], hook.got[4]["lines"]) == ("cancelled", hook.got[3]["lines"])
    assert len({order["created_at"] for order in hook.got}) == 1
    assert hook.got[1]["paid_at"].endswith("Z")


def test_an_order_is_promised_leaves_and_arrives(shop: httpx.Client, hook: Hook) -> None:
    page = shop.post("/orders", data={**FORM, "promised_on": "2026-11-24", "rush": "yes"})
    assert "promised for 2026-11-24" in page.text
    shop.post("/orders/1001/ship")
    shop.post("/orders/1001/deliver")
    shop.post("/orders/1001/ship")
    shop.post("/orders/1001/edit", data=FORM)
    placed, left, arrived, again, edited = hook.got
    assert (placed["promised_on"], placed["rush"], placed["shipped_at"], placed["delivered_at"]) == (
        *("2026-11-24", True),
        *(None, None),
    )
    assert left["shipped_at"].endswith("Z")
    assert left["delivered_at"] is None
    assert arrived["delivered_at"].endswith("Z")
    assert (again["shipped_at"], edited["shipped_at"]) == (left["shipped_at"], left["shipped_at"])
    assert (edited["delivered_at"], edited["promised_on"]) == (arrived["delivered_at"], None)


def test_a_refund_names_all_that_went_back_and_once(shop: httpx.Client, hook: Hook) -> None:
    shop.post("/orders", data=FORM)
    shop.post("/orders/1001/refund")
    shop.post("/orders/1001/refund")
    first, second = hook.got[1:]
    (refund,) = first["refunds"]
    assert second["refunds"] == first["refunds"]
    assert (first["payment_status"], first["totals"], refund["amount"]) == ("refunded", hook.got[0]["totals"], "191.70")
    assert [part["of"] for part in refund["parts"]] == ["1", "2", "s1"]
    parts = [Decimal(part["net"]) + sum(Decimal(tax["amount"]) for tax in part["taxes"]) for part in refund["parts"]]
    assert sum(parts) == Decimal("191.70")


def test_a_refused_delivery_keeps_the_order(shop: httpx.Client, hook: Hook) -> None:
    hook.status = 503
    assert "answered 503" in shop.post("/orders", data=FORM).text
    assert ">1001</a>" in shop.get("/orders").text


def test_without_a_secret_nothing_is_sent() -> None:
    with (
        running(store_app(hook="http://127.0.0.1:9/x")) as here,
        client(here, follow_redirects=True) as http,
    ):
        page = http.post("/orders", data=FORM)
        assert "What to do: start it with --secret-env" in page.text


def test_what_is_wrong_is_said_beside_the_field(shop: httpx.Client, hook: Hook) -> None:
    page = shop.post("/orders", data={**FORM, "email": "nobody", "quantity_1": "-1", "note": "<b>kept</b>"})
    assert page.status_code == 422
    assert 'aria-invalid="true"' in page.text
    assert "whole number from 1 to 9999" in page.text
    assert "&lt;b&gt;kept&lt;/b&gt;" in page.text
    assert hook.got == []


def test_forms_of_other_sites_are_refused(shop: httpx.Client, hook: Hook) -> None:
    elsewhere = {"sec-fetch-site": "cross-site"}
    assert shop.post("/orders", data=FORM, headers=elsewhere).status_code == 403
    assert shop.post("/orders/1001/cancel", headers=elsewhere).status_code == 404
    assert hook.got == []


@pytest.mark.parametrize("name", ["email", "line1", "city", "postal_code"])
def test_needed_fields(name: str) -> None:
    with pytest.raises(Wrong) as wrong:
        build({**FORM, name: ""})
    assert name in wrong.value.problems


@pytest.mark.parametrize("quantity", ["0", "-1", "1.5", "NaN", "1e3", "10000", "²"])
def test_quantities_are_whole_and_sane(quantity: str) -> None:
    with pytest.raises(Wrong) as wrong:
        build({**FORM, "quantity_1": quantity})
    assert "quantity_1" in wrong.value.problems


@pytest.mark.parametrize("day", ["tomorrow", "2026-02-30", "24.12.2026", "20261224"])
def test_a_promised_day_is_a_day(day: str) -> None:
    with pytest.raises(Wrong) as wrong:
        build({**FORM, "promised_on": day})
    assert list(wrong.value.problems) == ["promised_on"]


_rows = st.lists(st.tuples(st.sampled_from(ARTICLES), st.integers(1, 9999)), min_size=1, max_size=orders.ROWS)


@settings(max_examples=200, deadline=None)
@given(
    rows=_rows,
    coupon=st.sampled_from(["", "TEN", "quarter"]),
    currency=st.sampled_from(["EUR", "JPY"]),
    shipping=st.sampled_from(list(orders.SHIPPING)),
    payment=st.sampled_from(list(orders.PAYMENT)),
)
def test_every_order_adds_up(rows: Any, coupon: str, currency: str, shipping: str, payment: str) -> None:
    form = {**FORM, "coupon": coupon, "currency": currency, "shipping_method": shipping, "payment_method": payment}
    form |= {"sku_1": "", "sku_2": ""}
    for place, (article, quantity) in enumerate(rows, 1):
        form |= {f"sku_{place}": article.sku, f"quantity_{place}": str(quantity)}
    order = build(form)
    cent = Decimal(1) if currency == "JPY" else Decimal("0.01")
    total = Decimal(0)
    for line in order["lines"]:
        assert Decimal(line["quantity"]) * Decimal(line["unit_price"]) - Decimal(line["discount"]) == Decimal(
            line["net"]
        )
        rate = BY_SKU[line["sku"]].vat
        (tax,) = line["taxes"]
        assert Decimal(tax["amount"]) == (Decimal(line["net"]) * rate / 100).quantize(cent, ROUND_HALF_UP)
        total += Decimal(line["net"]) + Decimal(tax["amount"])
    for item in [*order["fees"], *order["shipping_lines"]]:
        total += Decimal(item["net"]) + sum(Decimal(tax["amount"]) for tax in item["taxes"])
    assert Decimal(order["totals"]["total"]) == total
    sums = {name: Decimal(amount) for name, amount in order["totals"].items()}
    assert sums["net"] + sums["shipping"] + sums["tax"] == sums["total"]
    assert sums["total"] == sums["total"].quantize(cent)
