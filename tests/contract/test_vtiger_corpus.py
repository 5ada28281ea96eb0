"""All 80 recorded shop orders, as a real vtiger took them: the formula is proven by its answers, and the representation
reaches the store's total under that formula exactly."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from connectors.http import Call, guarded
from connectors.roles import CrmProduct, OrderRefs, Ref
from connectors.vtiger import VtigerCrm, VtigerSettings, build
from core import jsontext
from core.secrets import SecretRef
from mapping.canonical import LineKind, SalesOrder
from mapping.vtiger import represent, server_total
from mapping.woocommerce import WooOptions, order_from_woocommerce

FIXTURES = Path(__file__).parent.parent / "fixtures"
EXACT = Decimal("0.00000001")


@dataclass(frozen=True)
class Case:
    name: str
    order: SalesOrder
    element: dict[str, Any]
    answers: tuple[dict[str, Any], dict[str, Any]]
    """Of create and of retrieve."""


def _cases() -> list[Case]:
    found = []
    for item in jsontext.loads((FIXTURES / "woocommerce" / "orders-corpus.json").read_bytes()):
        name = f"corpus-{item['order']['number']}-{item['mode']}"
        create, retrieve = jsontext.loads((FIXTURES / "vtiger" / "corpus" / f"{name}.json").read_bytes())
        order = order_from_woocommerce(item["order"] | {"refunds": item["refunds"]}, WooOptions("shop"))
        answers = (create["response"]["result"], retrieve["response"]["result"])
        found.append(Case(name, order, create["params"]["element"], answers))
    return found


CASES = _cases()
each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def _formula(element: dict[str, Any]) -> Decimal:
    lines = [
        (
            Decimal(line["quantity"]) * Decimal(line["listprice"]) - Decimal(line.get("discount_amount", "0")),
            Decimal(line.get("tax1", "0")),
        )
        for line in element["LineItems"]
    ]
    shipping = Decimal(element.get("shipping_&_handling", "0"))
    rate = Decimal(element.get("shipping_&_handling_shtax1", "0"))
    return server_total(lines, shipping, rate, Decimal(element["txtAdjustment"]))


def test_there_are_eighty() -> None:
    assert len(CASES) == 80
    assert {case.order.currency for case in CASES} == {"EUR", "JPY"}
    assert any(case.order.rounding for case in CASES)


@each
def test_the_server_computes_by_our_formula(case: Case) -> None:
    for answer in case.answers:
        kept = Decimal(str(answer["hdnGrandTotal"]))
        assert abs(kept - _formula(case.element)) < EXACT  # it counts in floats
        assert kept.quantize(Decimal("0.0001")) == case.order.total


@each
def test_the_representation_reaches_the_stores_total(case: Case) -> None:
    order = case.order
    money = represent(order)
    # Ten decimals beyond the cent: half a unit of the adjustment's last digit is what is left.
    assert abs(money.total - order.total) <= EXACT / 2
    shape = [(line.quantity, line.price.quantize(Decimal("0.01"))) for line in money.lines]
    recorded = [
        (Decimal(x["quantity"]), Decimal(x["listprice"]).quantize(Decimal("0.01"))) for x in case.element["LineItems"]
    ]
    assert shape == recorded
    compound = any(len([tax for tax in line.taxes if tax.amount]) > 1 for line in order.lines)
    assert abs(money.adjustment - order.rounding) < Decimal("0.1" if compound else "0.02")


class Server:
    """A vtiger that keeps what it is sent, counts in floats by its own formula, and answers like `create` does."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        params = dict(parse_qsl((request.url.query or request.content).decode(), keep_blank_values=True))
        self.asked.append(params)
        results: dict[str, Callable[[], Any]] = {
            "getchallenge": lambda: {"token": "t"},
            "login": lambda: {"sessionName": "s", "userId": "19x1"},
            "create": lambda: self._kept(json.loads(params["element"])),
            "revise": lambda: self._kept(json.loads(params["element"])),
        }
        answer = {"success": True, "result": results[params["operation"]]()}
        return httpx.Response(200, text=json.dumps(answer, separators=(",", ":")))

    def _kept(self, element: dict[str, Any]) -> dict[str, Any]:
        lines = [
            line
            | {
                "sequence_no": str(n),
                "quantity": f"{float(line['quantity']):.3f}",
                "tax1": f"{float(line['tax1']):.3f}",
            }
            for n, line in enumerate(element["LineItems"], 1)
        ]
        total = sum(
            (float(x["quantity"]) * float(x["listprice"]) - float(x.get("discount_amount", 0)))
            * (1 + float(x["tax1"]) / 100)
            for x in lines
        )
        charge = float(element.get("shipping_&_handling", 0))
        total += charge * (1 + float(element.get("shipping_&_handling_shtax1", 0)) / 100) + float(
            element["txtAdjustment"]
        )
        # A create answers with the totals as JSON numbers, and with productid null.
        return {
            "id": "6x1",
            "salesorder_no": "SO1",
            **element,
            "productid": None,
            "hdnGrandTotal": total,
            "LineItems": lines,
        }


class Guard:
    def before_write(self, connection: str, timeout: float) -> None:
        return

    def called(self, call: Call) -> None:
        return


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch) -> tuple[VtigerCrm, Server]:
    monkeypatch.setenv("VTIGER_TEST_KEY", "key")
    server = Server()
    settings = VtigerSettings(
        name="crm",
        url="http://crm.test/",
        username="admin",
        access_key=SecretRef("env:VTIGER_TEST_KEY"),
        owners={"Anna": "19x1"},
        currencies={"EUR": "21x1", "JPY": "21x2"},
    )
    return build(settings, transport=httpx.MockTransport(server)), server


@each
def test_each_order_is_created_and_updated_without_a_difference(case: Case, crm: tuple[VtigerCrm, Server]) -> None:
    connector, server = crm
    item = CrmProduct("14x2", "any", taxes=frozenset({"tax1"}))
    skus = {line.sku or line.name for line in case.order.lines}
    # Fees are sold as products here: no product of the connection has to be asked for.
    lines = tuple(
        line.model_copy(update={"sku": line.sku or line.name, "kind": LineKind.PRODUCT}) for line in case.order.lines
    )
    order = case.order.model_copy(update={"lines": lines})
    refs = OrderRefs("shop-order-1", "11x1", "12x1", "Anna", dict.fromkeys(skus, item), status="Created")
    with guarded(Guard()):
        assert connector.create_order(order, refs).differences == ()
        assert connector.update_order(Ref("6x1"), order, refs).differences == ()
    assert [params["operation"] for params in server.asked] == ["getchallenge", "login", "create", "revise"]
    revised = json.loads(server.asked[-1]["element"])
    assert revised["id"] == "6x1"
    assert revised["hdnTaxType"] == "individual"
    assert len(revised["LineItems"]) == len(order.lines)
