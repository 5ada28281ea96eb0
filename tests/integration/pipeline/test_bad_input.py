"""Bad input gets a clear answer, nothing is lost, and nothing is half-written in the CRM."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.orders import order
from tests.world import SkippingClock, World, signed_headers


@pytest.fixture
def web(world: World) -> Iterator[TestClient]:
    with TestClient(world.app(lambda: None)) as client:
        yield client


def broken(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    made = order(1)
    change(made)
    return made


LINES = [("OF-100", 1, "1.00")]
BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    # an order, the field at fault, words of the sentence
    "negative quantity": (broken(lambda o: o["line_items"][0].update(quantity=-2)), "quantity", "-2"),
    "no quantity": (broken(lambda o: o["line_items"][0].pop("quantity")), "quantity", ""),
    "unknown currency": (order(1, currency="XXQ"), "currency", "XXQ"),
    "a currency the CRM has not": (order(1, currency="CHF"), "currency_id", "CHF"),
    "no lines": (order(1, line_items=[]), "line_items", "line"),
    "lines missing": (broken(lambda o: o.pop("line_items")), "line_items", ""),
    "more lines than allowed": (order(1, LINES * 31), "lines", "max_lines"),
    "does not balance": (order(1, total="999.99"), "total", ""),
    "off by a line": (broken(lambda o: o["line_items"].pop()), "total", ""),
    "a total that is no number": (order(1, total="twelve"), "total", "twelve"),
    "NaN as text": (order(1, total="NaN"), "total", "NaN"),
    "a line without an amount": (broken(lambda o: o["line_items"][0].update(total=None)), "total", ""),
    "a negative total": (order(1, total="-5.00"), "total", ""),
    "no stamp": (order(1, date_modified_gmt=None), "date_modified_gmt", ""),
    "lines that are no list": (order(1, line_items="none"), "line_items", ""),
    "a customer id that is none": (order(1, customer_id="7"), "customer_id", "7"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_order_that_cannot_be_carried_is_held(make: Callable[..., World], case: str) -> None:
    made, field, words = BAD[case]
    world = make(clock=SkippingClock(), max_lines=30)
    world.carry(order(2))
    before = world.counts()
    world.forget_calls()
    job = world.carry(made)
    assert job.state == "held", job.reason
    assert field in job.field
    assert words in job.reason
    assert "What to do: " in job.reason
    assert world.writes() == 0
    assert world.counts() == before
    assert world.carry(order(3)).state == "settled", "its neighbours are not disturbed"


def test_a_difference_is_shown_and_classed_as_money(world: World) -> None:
    job = world.carry(order(1, total="40.00"))
    assert (job.state, job.error_class) == ("held", "money")
    assert "40.00 EUR" in job.reason
    assert "3.82" in job.reason


def test_an_order_that_is_mended_in_the_store_goes_on(world: World) -> None:
    assert world.carry(order(1, total="40.00")).state == "held"
    assert world.carry(order(1, modified="2026-11-20T11:00:00")).state == "settled"
    assert world.counts() == (1, 1, 1, 0, 0)


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"",
        b"[]",
        b'"text"',
        b"{}",
        b'{"id": 7}',
        b'{"id": 1, "total": NaN, "line_items": []}',
        b'{"id": 1, "total": Infinity, "line_items": []}',
        b"\xff\xfe\x00{",
        b"[" * 100_000,
        b'{"id": true, "line_items": []}',
        b'{"id": 99999999999999999999, "line_items": []}',
    ],
)
def test_signed_but_not_an_order_is_kept_and_held(world: World, web: TestClient, body: bytes) -> None:
    answer = web.post("/hooks/shop", content=body, headers=signed_headers(body, "order.updated"))
    assert (answer.status_code, answer.json()["result"]) == (200, "problem")
    (job,) = world.ledger.jobs.list()
    assert (job.state, job.error_class) == ("held", "parse")
    assert "What to do: " in job.reason
    again = web.post("/hooks/shop", content=body, headers=signed_headers(body, "order.updated"))
    assert (again.status_code, again.json()["result"]) == (200, "duplicate")
    assert len(world.ledger.jobs.list()) == 1
    assert world.ledger.jobs.retry(job.id)
    world.drain()
    assert world.job(job.key).state == "held", "it stays held whatever is pressed"
    assert world.counts() == (0, 0, 0, 0, 0)


def test_wrong_and_missing_signatures(world: World, web: TestClient) -> None:
    body = json.dumps(order(1)).encode()
    good = signed_headers(body, "order.created")
    wrong = [
        signed_headers(body, "order.created", secret="another"),
        {name: value for name, value in good.items() if name != "x-wc-webhook-signature"},
        {**good, "x-wc-webhook-signature": ""},
        {**good, "x-wc-webhook-signature": "ünsigned".encode("latin-1").decode("latin-1").encode().hex()},
        signed_headers(body + b" ", "order.created"),
    ]
    for headers in wrong:
        answer = web.post("/hooks/shop", content=body, headers=headers)
        assert answer.status_code == 401
        assert "What to do: " in answer.json()["error"]
    assert world.ledger.jobs.list() == []
    assert world.ledger.inbox.by_number("1") == []
    counted = world.metrics.text().decode()
    assert 'orderwire_webhooks_received_total{result="signature",source="shop"} 5.0' in counted
    assert web.post("/hooks/shop", content=body, headers=good).status_code == 200


def test_unknown_connections_and_those_without_a_secret(make: Callable[..., World]) -> None:
    world = make(shops={"shop": {}, "silent": {"webhook_secrets": ()}})
    body = json.dumps(order(1)).encode()
    with TestClient(world.app(lambda: None)) as web:
        for name in ("nobody", "silent", "crm"):
            answer = web.post(f"/hooks/{name}", content=body, headers=signed_headers(body, "order.created"))
            assert answer.status_code == 404
    assert world.ledger.jobs.list() == []


def test_too_large(world: World, web: TestClient) -> None:
    body = json.dumps(order(1, customer_note="x" * 1_100_000)).encode()
    assert web.post("/hooks/shop", content=body, headers=signed_headers(body, "order.created")).status_code == 413

    def parts() -> Iterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    answer = web.post("/hooks/shop", content=parts(), headers=signed_headers(body, "order.created"))
    assert answer.status_code == 413
    assert world.ledger.jobs.list() == []


def test_a_field_that_the_crm_refuses_is_held_with_name_and_value(make: Callable[..., World]) -> None:
    """The external id's field is missing on orders: found before anything is written."""
    world = make(crm={"external_id_fields": {"SalesOrder": "cf_not_there"}})
    world.forget_calls()
    job = world.carry(order(1))
    assert job.state == "held"
    assert "cf_not_there" in job.reason
    assert "What to do" in job.reason
    assert (world.writes(), world.counts()) == (0, (0, 0, 0, 0, 0))


def test_a_product_that_is_not_in_the_crm_and_nowhere_to_park_it(make: Callable[..., World]) -> None:
    world = make(crm={"unknown_product": ""})
    job = world.carry(order(1, [("NOT-THERE", 1, "5.00")]))
    assert job.state == "held"
    assert "What to do" in job.reason
    assert world.counts() == (0, 0, 0, 0, 0), "not even the customer"
