"""WooCommerce keeps to what every store must."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.roles import Store
from connectors.woocommerce import WooCommerceSettings, build
from connectors.woocommerce.hooks import sign
from core.errors import Rejected
from core.secrets import SecretRef
from tests.contract.store_conformance import StoreConformance

FIXTURES = Path(__file__).parents[1] / "fixtures" / "woocommerce"
HOOK: dict[str, Any] = json.loads((FIXTURES / "hook-09-order-created.json").read_text(encoding="utf-8"))


def _refuse(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"receive and order must not call out: {request.url}")


class TestWooCommerce(StoreConformance):
    old_secret = "the-old-secret"
    new_secret = "the-new-secret"

    def build(self, secrets: Sequence[SecretRef]) -> Store:
        settings = WooCommerceSettings(
            name=self.name,
            url="https://shop.example",
            consumer_key=SecretRef("env:CONFORMANCE_KEY"),
            consumer_secret=SecretRef("env:CONFORMANCE_KEY"),
            webhook_secrets=tuple(secrets),
        )
        return build(settings, transport=httpx.MockTransport(_refuse))

    def sign(self, body: bytes, secret: str) -> dict[str, str]:
        return {
            "content-type": "application/json",
            "x-wc-webhook-topic": "order.updated",
            "x-wc-webhook-delivery-id": "a0db47ec7395354aa78dfc8bb2b458e6",
            "x-wc-webhook-signature": sign(secret.encode(), body).decode(),
        }

    def order(self, number: int) -> dict[str, Any]:
        return {**HOOK["body"], "id": number, "number": str(number)}

    # ------------------------------------------------------------------------------- what is WooCommerce's own

    def topic(self, topic: str | None, body: bytes, at: datetime | None = None) -> Any:
        headers = self.sign(body, self.new_secret)
        del headers["x-wc-webhook-topic"]
        if topic is not None:
            headers["x-wc-webhook-topic"] = topic
        request = self.request(body, headers)
        if at is not None:
            request = type(request)("POST", headers, body, at)
        (change,) = self.store().receive(request)
        return change

    def test_a_burst_within_one_second_shares_a_delivery_id_and_loses_nothing(self) -> None:
        changes = [self.one(self.body(number)) for number in range(1, 501)]
        assert len({change.stamp for change in changes}) == 1
        assert len({change.dedupe for change in changes}) == 500

    @pytest.mark.parametrize("body", [b"webhook_id=1", b"webhook_id=1234567"])
    def test_the_unsigned_ping_is_accepted_and_says_nothing(self, body: bytes) -> None:
        assert self.store().receive(self.request(body, {"content-type": "application/x-www-form-urlencoded"})) == ()

    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            (b"webhook_id=1&order=2", {}),
            (b"webhook_id=", {}),
            (b"webhook_id=1\n", {}),
            (b"webhook_id=x", {}),
            (b"webhook_id=1", {"x-wc-webhook-topic": "order.created"}),
            (b"webhook_id=1", {"x-wc-webhook-signature": "AAAA"}),
        ],
    )
    def test_what_only_resembles_a_ping_is_refused(self, body: bytes, headers: dict[str, str]) -> None:
        with pytest.raises(Rejected) as refused:
            self.store().receive(self.request(body, headers))
        assert refused.value.status == 401

    def test_a_ping_to_a_connection_without_a_secret_is_not_found(self) -> None:
        with pytest.raises(Rejected) as refused:
            self.build([]).receive(self.request(b"webhook_id=1", {}))
        assert refused.value.status == 404

    def test_created_and_updated_with_the_same_body_are_two_deliveries_of_one_state(self) -> None:
        created, updated = (self.topic(topic, self.body()) for topic in ("order.created", "order.updated"))
        assert created.dedupe != updated.dedupe
        assert (created.key, created.stamp, created.content) == (updated.key, updated.stamp, updated.content)

    @pytest.mark.parametrize(("topic", "deleted"), [("order.deleted", True), ("order.restored", False)])
    def test_deletion_and_restoration_are_hints(self, topic: str, deleted: bool) -> None:
        change = self.topic(topic, b'{"id": 13}')
        assert (str(change.key), change.raw, change.deleted, change.problem) == ("shop/order/13", None, deleted, None)

    def test_a_second_deletion_is_not_taken_for_the_first(self) -> None:
        first, repeated, second = (
            self.topic("order.deleted", b'{"id": 13}', datetime(2026, 11, 22, 10, minute, 5, tzinfo=UTC))
            for minute in (0, 0, 7)
        )
        assert first.dedupe == repeated.dedupe != second.dedupe

    @pytest.mark.parametrize("kind", ["customer", "product", "coupon"])
    def test_other_records_are_kept_under_their_own_kind(self, kind: str) -> None:
        body = b'{"id": 7, "date_modified_gmt": "2026-11-22T01:36:10"}'
        change = self.topic(f"{kind}.updated", body)
        assert (str(change.key), change.raw, change.problem) == (f"shop/{kind}/7", body, None)
        assert change.stamp == datetime(2026, 11, 22, 1, 36, 10, tzinfo=UTC)

    @pytest.mark.parametrize("topic", [None, "", "ORDER", "order", "órder.created", "order.created\r\nx: y", "a" * 500])
    def test_without_a_usable_topic_the_body_decides(self, topic: str | None) -> None:
        assert str(self.topic(topic, self.body()).key) == "shop/order/1"
        assert self.topic(topic, b'{"id": 7}').key.kind == "delivery"

    def test_an_order_with_a_fault_is_an_order_still(self) -> None:
        body = json.dumps({name: value for name, value in self.order(5).items() if name != "line_items"}).encode()
        assert str(self.one(body).key) == "shop/order/5"

    def test_a_date_that_is_none_leaves_the_stamp_open(self) -> None:
        change = self.one(json.dumps({**self.order(5), "date_modified_gmt": "yesterday"}).encode())
        assert (str(change.key), change.stamp) == ("shop/order/5", None)

    def test_links_and_prices_as_floats_do_not_make_another_state(self) -> None:
        order = self.order(1)
        del order["_links"]
        order["payment_url"] = "https://elsewhere.example"
        order["line_items"] = [{**order["line_items"][0], "price": 40.000000000000001}, *order["line_items"][1:]]
        assert self.one(json.dumps(order).encode()).content == self.one(self.body()).content

    def test_a_trashed_order_is_deleted(self) -> None:
        assert self.one(json.dumps({**self.order(1), "status": "trash"}).encode()).deleted
