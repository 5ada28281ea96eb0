"""What the stand-in store sends is an order as Orderwire documents it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from sandbox.store.orders import Shelf, refunded

SCHEMA = Path(__file__).parent.parent.parent / "connectors" / "orderform" / "schema.json"
COMPANY = {"company": "Müller & Co", "email": "einkauf@mueller.example", "line1": "Straße 7", "postal_code": "10115"}
FORM = {**COMPANY, "city": "Berlin", "country": "DE", "sku_1": "OF-101", "quantity_1": "2"}
PERSON = {**FORM, "company": "", "first_name": "Ann", "last_name": "O'Neill"}


@pytest.mark.parametrize(
    "form",
    [
        FORM,
        PERSON,
        {**FORM, "ship_line1": "Dock 1", "ship_city": "Hamburg", "ship_postal_code": "20095"},
        {**FORM, "coupon": "TEN", "payment_method": "cod", "shipping_method": "pickup", "price_mode": "gross"},
        {
            **FORM,
            "currency": "JPY",
            "placed_by": "rep9",
            "note": "Ring twice",
            "purchase_order": "PO-1",
            "erp_number": "C-1",
        },
        {**FORM, "promised_on": "2026-11-24", "rush": "yes"},
    ],
)
def test_documents_keep_to_the_published_schema(form: dict[str, str]) -> None:
    check = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    shelf = Shelf()
    kept = shelf.place(form)
    for changes in (
        {},
        {"payment_status": "paid", "paid_at": "2026-11-22T03:00:00.000000Z"},
        {"shipped_at": "2026-11-22T03:00:00.000000Z"},
        {"status": "cancelled"},
    ):
        shelf.mark(kept, **changes)
        assert [error.message for error in check.iter_errors(kept.document)] == []
    shelf.mark(kept, refunds=refunded(kept.order))
    assert [error.message for error in check.iter_errors(kept.document)] == []
