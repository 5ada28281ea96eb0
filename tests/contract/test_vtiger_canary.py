"""An empty answer is believed only where a record that is certainly there is found in the same breath."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.http import guarded
from core.errors import RetryLater
from mapping.canonical import Probe
from tests.contract.vtiger_fakes import FakeVtiger, OpenGuard, connector


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTIGER_TEST_KEY", "access-key")


def liar(**answers: Any) -> FakeVtiger:
    fake = FakeVtiger(query=lambda params: [], describe=_describe, **answers)
    fake.honest = False
    return fake


def _describe(params: dict[str, Any]) -> dict[str, Any]:
    fields = [{"name": name, "label": name, "type": {"name": "string"}} for name in ("cf_external_id", "email")]
    return {"name": "x", "idPrefix": "1", "createable": True, "updateable": True, "fields": fields}


@pytest.mark.parametrize(
    "ask",
    [
        lambda crm: crm.find_order("shop-order-1"),
        lambda crm: crm.find_invoice("shop-invoice-1"),
        lambda crm: crm.find_lead("customer-1"),
        lambda crm: crm.find_customer(Probe(email="a@x.test")),
        lambda crm: crm.find_products(["OF-100"]),
        lambda crm: list(crm.parties_since(None)),
    ],
    ids=["order", "invoice", "lead", "customer", "products", "index"],
)
def test_success_with_nothing_for_everything_is_an_outage(ask: Any) -> None:
    with pytest.raises(RetryLater, match="answers every question with nothing") as caught, guarded(OpenGuard()):
        ask(connector(liar()))
    assert (caught.value.scope, caught.value.burns_attempt) == ("connection", False)


def test_a_canary_costs_no_further_call_once_it_is_known() -> None:
    fake = FakeVtiger(query=_orders)
    fake.honest = False
    crm = connector(fake)
    assert crm.find_order("a") == []
    before = len(fake.of("query"))
    assert crm.find_order("b") == []
    assert [params["query"] for params in fake.of("query")[before:]] == [
        "SELECT id,salesorder_no,cf_external_id FROM SalesOrder WHERE cf_external_id='b' OR id='6x7' ORDER BY id;"
    ]


def _orders(params: dict[str, Any]) -> list[dict[str, str]]:
    """A CRM with one order, 6x7, of ours (external id "seven")."""
    text = params["query"]
    there = "6x7" in text or "'seven'" in text or text == "SELECT id FROM SalesOrder LIMIT 1;"
    return [{"id": "6x7", "salesorder_no": "SO7", "cf_external_id": "seven"}] if there else []


def test_the_canary_itself_is_found_when_it_is_asked_for() -> None:
    fake = FakeVtiger(query=_orders)
    fake.honest = False
    crm = connector(fake)
    crm.find_order("a")
    assert [ref.id for ref in crm.find_order("seven")] == ["6x7"]
    assert crm.find_order("a") == []


def test_a_canary_that_somebody_deleted_is_replaced() -> None:
    gone = {"6x7"}
    fake = FakeVtiger(query=_orders)
    fake.honest = False
    crm = connector(fake)
    crm.find_order("a")

    def later(params: dict[str, Any]) -> list[dict[str, str]]:
        text = params["query"]
        return [{"id": "6x9"}] if text == "SELECT id FROM SalesOrder LIMIT 1;" and gone else []

    fake.answers["query"] = later
    assert crm.find_order("a") == []


def test_a_lie_that_begins_later_is_noticed() -> None:
    fake = FakeVtiger(query=_orders)
    fake.honest = False
    crm = connector(fake)
    crm.find_order("a")
    fake.answers["query"] = lambda params: []
    with pytest.raises(RetryLater, match="answers every question with nothing"):
        crm.find_order("a")


def test_an_honest_empty_crm_is_believed() -> None:
    fake = FakeVtiger(query=lambda params: [], describe=_describe)
    assert connector(fake).find_order("a") == []
    assert fake.witnessed == ["SalesOrder", "Tax"]
