"""The order form keeps to what every store must, and to its own documented schema."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest

from connectors import orderform
from connectors.orderform import OrderFormSettings
from connectors.orderform.schema import EXAMPLE, SCHEMA, document, text
from connectors.roles import Store
from core.errors import Held, NotThere, Rejected
from core.keys import Key
from core.secrets import SecretRef
from tests.contract.junk import changed_at, paths_of
from tests.contract.store_conformance import JUNK, StoreConformance

ORDER: dict[str, Any] = json.loads(EXAMPLE.read_text(encoding="utf-8"))


def whsec(seed: str) -> str:
    return "whsec_" + base64.b64encode(hashlib.sha256(seed.encode()).digest()).decode()


def sign(body: bytes, secret: str, *, message: str = "msg_1", at: datetime | None = None) -> dict[str, str]:
    """As the specification writes it, not as our library does."""
    stamp = str(int((at or datetime.now(UTC)).timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{message}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }


class TestOrderForm(StoreConformance):
    name = "form"
    old_secret = whsec("old")
    new_secret = whsec("new")

    def build(self, secrets: Sequence[SecretRef]) -> Store:
        return orderform.build(OrderFormSettings(name=self.name, webhook_secrets=tuple(secrets)))

    def sign(self, body: bytes, secret: str) -> dict[str, str]:
        return sign(body, secret)

    def order(self, number: int) -> dict[str, Any]:
        return {"order": {**ORDER["order"], "id": str(number), "number": f"WEB-{number}"}}

    # --------------------------------------------------------------------------------- what is its own

    @pytest.mark.parametrize("minutes", [-6, 6, -60 * 24 * 400])
    def test_old_and_future_deliveries_are_refused(self, minutes: int) -> None:
        for body in (self.body(), b"\xff not UTF-8"):
            headers = sign(body, self.new_secret, at=datetime.now(UTC) + timedelta(minutes=minutes))
            with pytest.raises(Rejected) as refused:
                self.store().receive(self.request(body, headers))
            assert refused.value.status == 401

    def test_one_good_signature_among_others_is_enough(self) -> None:
        headers = sign(self.body(), self.new_secret)
        headers["webhook-signature"] = f"v1a,c2lnbmVk v1,{'A' * 43}= {headers['webhook-signature']}"
        assert self.store().receive(self.request(self.body(), headers))

    def test_the_message_id_is_signed(self) -> None:
        headers = sign(self.body(), self.new_secret) | {"webhook-id": "msg_2"}
        with pytest.raises(Rejected):
            self.store().receive(self.request(self.body(), headers))

    @pytest.mark.parametrize("value", ["not base64!", "whsec_%%%", "whsec_ä"])
    def test_a_secret_of_another_kind_opens_nothing_and_is_named_by_check(
        self, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CONFORMANCE_ODD", value)
        store = self.build([SecretRef("env:CONFORMANCE_ODD")])
        assert not store.accepts_deliveries()
        (finding,) = store.check()
        assert finding.level == "problem"
        assert finding.what_to_do
        assert value not in finding.message + finding.what_to_do

    def test_check_is_content_with_good_secrets_and_not_with_none(self) -> None:
        assert [finding.level for finding in self.store().check()] == ["ok", "ok"]
        assert [finding.level for finding in self.store("NEW", "UNSET").check()] == ["ok", "problem"]
        assert [finding.level for finding in self.build([]).check()] == ["problem"]

    def test_it_cannot_be_asked(self) -> None:
        store, now = self.store(), datetime.now(UTC)
        assert not store.pollable
        assert list(store.changes_since(None)) == []
        assert list(store.orders_between(now - timedelta(days=1), now)) == []
        assert store.find_by_number("WEB-1") is None
        assert list(store.webhook_status()) == []
        with pytest.raises(NotThere, match="What to do: "):
            store.fetch(Key(self.name, "order", "1"))

    def test_microseconds_of_the_stamp_are_kept(self) -> None:
        order = self.order(1)
        order["order"]["updated_at"] = "2026-11-22T02:36:10.000001+01:00"
        assert self.one(json.dumps(order).encode()).stamp == datetime(2026, 11, 22, 1, 36, 10, 1, tzinfo=UTC)

    @pytest.mark.parametrize(("rush", "hurries"), [(True, True), (False, False), ("yes", False), (None, False)])
    def test_a_rush_order_is_known_when_it_comes_in(self, *, rush: object, hurries: bool) -> None:
        order = self.order(1)
        order["order"]["rush"] = rush
        assert self.one(json.dumps(order).encode()).rush is hurries

    @pytest.mark.parametrize("updated_at", [None, "", "2026-11-22", "2026-11-22T01:36:10", "2026-02-30T01:36:10Z", 17])
    def test_without_a_time_nobody_knows_which_state_is_newer(self, updated_at: object) -> None:
        order = self.order(1)
        order["order"]["updated_at"] = updated_at
        self.assert_unreadable(json.dumps(order).encode())

    # ------------------------------------------------------------------------------------------- schema

    def test_the_schema_file_is_what_the_models_check(self) -> None:
        assert SCHEMA.read_text(encoding="utf-8") == text(), "run python -m connectors.orderform.schema"
        assert self.store().schema() == document()

    def test_the_schema_is_one_and_its_example_fits(self) -> None:
        schema = dict(self.store().schema() or {})
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.Draft202012Validator(schema).validate(ORDER)

    def test_every_field_of_the_format_stands_in_the_example(self) -> None:
        definitions = document()["$defs"]
        order = ORDER["order"]
        for name, example in (
            ("FormOrder", order),
            ("FormCustomer", order["customer"]),
            ("FormAddress", order["billing"]),
            ("FormLine", order["lines"][0]),
            ("FormTax", order["lines"][0]["taxes"][0]),
            ("FormFee", order["fees"][0]),
            ("FormShipping", order["shipping_lines"][0]),
            ("FormCoupon", order["coupons"][0]),
            ("FormRefund", order["refunds"][0]),
            ("FormRefundPart", order["refunds"][0]["parts"][0]),
            ("FormTotals", order["totals"]),
        ):
            assert set(definitions[name]["properties"]) == set(example), name

    def test_what_the_schema_forbids_is_held_naming_the_field(self) -> None:
        """For every field and every kind of junk: forbidden by the schema means held (the mapping may be stricter)."""
        validator = jsonschema.Draft202012Validator(dict(self.store().schema() or {}))
        store, forbidden = self.store(), 0
        for path in paths_of(self.order(1)):
            for junk in (*JUNK, ...):
                changed = changed_at(self.order(1), path, junk)
                if (
                    path == ("order",) or junk == 1e300 or validator.is_valid(changed)
                ):  # 1e300: refused before, as no JSON
                    continue
                forbidden += 1
                with pytest.raises(Held) as held:
                    store.order(Key(self.name, "order", "1"), json.dumps(changed).encode())
                named = ".".join(part for part in map(str, path) if not part.isdigit())
                assert named in held.value.message.replace("[0]", ""), (path, junk, held.value.message)
        assert forbidden > 500

    @pytest.mark.parametrize(
        ("field", "value", "sentence"),
        [
            ("currency", "EURO", 'order.currency = "EURO" is not a currency of ISO 4217'),
            ("currency", "ABC", 'order.currency = "ABC" is not a currency of ISO 4217'),
            (
                "status",
                "shipped",
                "order.status = \"shipped\" must be one of 'placed', 'confirmed', 'completed' or 'cancelled'",
            ),
            ("lines", [], "order.lines has no entries: an order needs at least one line"),
            ("lines", None, "order.lines must be a list"),
            ("purchase_oder", "PO-1", "order.purchase_oder is not known in this format"),
            ("created_at", "22.11.2026", 'order.created_at = "22.11.2026" is not a time such as'),
            ("note", ["secret"], "order.note must be text."),
        ],
    )
    def test_the_sentence_is_plain(self, field: str, value: object, sentence: str) -> None:
        order = self.order(1)
        order["order"][field] = value
        with pytest.raises(Held) as held:
            self.store().order(Key(self.name, "order", "1"), json.dumps(order).encode())
        assert sentence in held.value.message
        assert held.value.field == f"order.{field}"

    def test_values_of_free_text_are_never_shown(self) -> None:
        order = self.order(1)
        order["order"]["customer"]["email"] = {"secret": "jane@example.com"}
        order["order"]["note"] = "x" * 20_000
        with pytest.raises(Held) as held:
            self.store().order(Key(self.name, "order", "1"), json.dumps(order).encode())
        assert "jane" not in str(held.value)
        assert "xxx" not in str(held.value)
