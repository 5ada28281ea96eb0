"""Which day a sale of a real Tryton 8.2.1 promises: recorded sales, asked for by the connector in the very words of the recording."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors import tryton
from connectors.roles import Erp, Promising
from connectors.tryton import Tryton, TrytonSettings
from core.keys import Key
from core.secrets import SecretRef
from mapping.canonical import ErpSale

FOLDER = Path(__file__).parents[1] / "fixtures" / "tryton" / "promises"
LOGIN = json.loads((FOLDER.parent / "sqlite-01-login.json").read_text(encoding="utf-8"))["response"]["body"]
PREFERENCES = "model.res.user.get_preferences"
SOLD, PLANNED, TYPED = date(2026, 11, 22), date(2026, 11, 25), date(2026, 12, 1)


class Wire:
    """Answers as recorded, by what is asked; keeps the questions."""

    def __init__(self, name: str) -> None:
        self.kept = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        self.asked: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if body["method"] == "common.db.login":
            return httpx.Response(200, json=LOGIN)
        if body["method"] == PREFERENCES:
            return httpx.Response(200, json={"id": 1, "result": {"company": 1, "companies": [1], "language": "en"}})
        if body["method"].endswith("fields_get"):
            names = [name for one in self.kept for name in one["request"]["body"]["params"][4]]
            known: dict[str, Any] = {name.partition(".")[0]: {} for name in names}
            return httpx.Response(200, json={"id": 1, "result": known})
        self.asked.append(body)
        [answer] = [one["response"] for one in self.kept if one["request"]["body"]["method"] == body["method"]]
        return httpx.Response(answer["status"], headers={"date": answer["headers"]["date"]}, json=answer["body"])


def connect(wire: Wire, **over: Any) -> Tryton:
    values = {
        "name": "erp",
        "url": "http://127.0.0.1:8811",
        "database": "tryton",
        "username": "orderwire",
        "password": SecretRef("env:TRYTON_TEST_PASSWORD"),
        "kinds": ["sale"],
        **over,
    }
    return tryton.build(TrytonSettings.model_validate(values), transport=httpx.MockTransport(wire))


def sale(name: str, **over: Any) -> tuple[ErpSale, Wire]:
    wire = Wire(name)
    erp = connect(wire, **over)
    assert isinstance(erp, Erp)
    assert isinstance(erp, Promising)
    id = str(wire.kept[0]["response"]["body"]["result"][0]["id"])
    change = erp.fetch(Key("erp", "sale", id))
    assert change.raw is not None
    return erp.sale(change.key, change.raw), wire


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRYTON_TEST_PASSWORD", "admin")


@pytest.mark.parametrize(
    ("name", "reference", "first", "planned"),
    [
        ("1-planned", "WEB-7001", PLANNED, PLANNED),  # its article has a lead time of three days
        ("2-no-lead-time", "WEB-7002", None, None),  # Tryton plans it for the day of the sale: nobody promised that
        ("3-draft", "WEB-7003", None, None),
        ("4-shipping-date", "WEB-7004", TYPED, TYPED),  # Tryton itself does not plan by it, for want of a lead time
        ("5-rescheduled", "WEB-7005", PLANNED, TYPED),  # the warehouse moved it
        ("6-cancelled", "WEB-7006", None, None),
    ],
)
def test_the_promised_day(name: str, reference: str, first: date | None, planned: date | None) -> None:
    found, wire = sale(name)
    assert (found.reference, found.promised) == (reference, first)
    assert (found.currency, found.total) == ("EUR", Decimal("80.00"))
    assert sale(name, promised="planned")[0].promised == planned
    asked = [(one["method"], one["params"][:5]) for one in wire.asked]
    assert asked == [(one["request"]["body"]["method"], one["request"]["body"]["params"][:5]) for one in wire.kept]


def test_it_is_told_by_the_sales_own_number_too() -> None:
    found, _ = sale("1-planned")
    assert found.number
    assert found.stamp is not None
