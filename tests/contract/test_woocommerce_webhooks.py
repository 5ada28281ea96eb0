"""The webhook doctor against recorded answers of WooCommerce 10.0.2, and the one thing that is written to a shop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from connectors import woocommerce
from connectors.http import guarded
from connectors.roles import Finding
from connectors.woocommerce import WooCommerce, WooCommerceSettings
from core.errors import ConfigurationProblem, LeaseLost, RetryLater
from core.secrets import SecretRef
from tests.contract.vtiger_fakes import OpenGuard

FIXTURES = Path(__file__).parents[1] / "fixtures" / "woocommerce"
CREATED = ("02-webhook-order-created", "03-webhook-order-updated", "04-webhook-order-deleted")
US = "http://127.0.0.1:8823"
READ_ONLY = {
    "code": "woocommerce_rest_authentication_error",
    "message": "The API key provided does not have write permissions.",
    "data": {"status": 401},
}


def recording(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


DISABLED = recording("webhook-disabled-after-failures")


class Shop:
    """Lists these webhooks; answers writes by `write`, and keeps them."""

    def __init__(self, *hooks: Any, write: Callable[[httpx.Request], httpx.Response] | None = None) -> None:
        self.hooks = list(hooks)
        self.written: list[tuple[str, str, Any]] = []
        self.write = write

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = urlsplit(str(request.url)).path
        if request.method == "GET":
            assert path == "/wp-json/wc/v3/webhooks"
            return httpx.Response(200, json=self.hooks)
        self.written.append((request.method, path, json.loads(request.content)))
        assert request.headers["content-type"] == "application/json"
        if self.write is not None:
            return self.write(request)
        return httpx.Response(200, json={**self.hooks[-1], **json.loads(request.content)})

    def connector(self, **settings: Any) -> WooCommerce:
        values = {"name": "woo", "url": "http://127.0.0.1:8821", "auth": "basic", "deliver_to": US, **settings}
        values |= {"consumer_key": SecretRef("env:WOO_TEST_KEY"), "consumer_secret": SecretRef("env:WOO_TEST_KEY")}
        values.setdefault("webhook_secrets", (SecretRef("env:WOO_TEST_HOOK"),))
        made = WooCommerceSettings.model_validate(values)
        return woocommerce.build(made, transport=httpx.MockTransport(self.answer))

    def mend(self, connector: WooCommerce, **options: bool) -> list[Finding]:
        with guarded(OpenGuard()):
            return [connector.repair(repair) for repair in connector.repairs(**options)]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WOO_TEST_KEY", "ck_test")
    monkeypatch.setenv("WOO_TEST_HOOK", "hook-secret")


def alive() -> list[Any]:
    return [recording(name)["response"]["body"] for name in CREATED]


def findings(connector: WooCommerce) -> dict[str, Finding]:
    return {finding.subject: finding for finding in connector.webhook_status()}


# -- looking -----------------------------------------------------------------------------------------------------------


def test_the_recorded_webhook_that_the_store_disabled_is_named() -> None:
    """As it was recorded, untouched: its address is not quite ours either."""
    found = findings(Shop(DISABLED).connector())
    finding = found["webhook order.created"]
    assert finding.level == "problem"
    assert "The shop has set it to disabled" in finding.message
    assert f"It delivers to {US}/fail; we are at {US}/hooks/woo." in finding.message
    assert "orderwire doctor --mend" in finding.what_to_do
    assert {found[f"webhook order.{word}"].level for word in ("updated", "deleted")} == {"warning"}


def test_webhooks_as_they_were_created_are_fine() -> None:
    connector = Shop(*alive()).connector()
    assert {finding.level for finding in connector.webhook_status()} == {"ok"}
    assert list(connector.repairs()) == []


def test_a_wrong_address_is_named() -> None:
    found = findings(Shop(*alive()).connector(deliver_to="https://new.example/"))
    assert {finding.level for finding in found.values()} == {"problem"}
    assert (
        f"It delivers to {US}/hooks/woo; we are at https://new.example/hooks/woo."
        in found["webhook order.created"].message
    )


def test_a_disabled_one_beside_one_that_works_is_left_over() -> None:
    found = [finding for finding in Shop(DISABLED, *alive()).connector().webhook_status() if finding.level != "ok"]
    assert [(finding.level, "left over" in finding.message) for finding in found] == [("warning", True)]


def test_other_peoples_webhooks_are_not_ours() -> None:
    strangers = [
        {**DISABLED, "delivery_url": "https://elsewhere.example/fail"},
        {**DISABLED, "delivery_url": f"{US}/hooks/another"},
        {**DISABLED, "topic": "product.updated"},
    ]
    assert {finding.level for finding in Shop(*strangers).connector().webhook_status()} == {"warning"}
    assert {repair.step["method"] for repair in Shop(*strangers).connector().repairs()} == {"POST"}


# -- mending -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CREATED)
def test_creating_is_the_recorded_exchange(name: str) -> None:
    """Method, address and fields as recorded; the recorded answer is taken for what it is."""
    exchange = recording(name)
    topic = exchange["request"]["body"]["topic"]
    shop = Shop(
        *(hook for hook in alive() if hook["topic"] != topic),
        write=lambda request: httpx.Response(exchange["response"]["status"], json=exchange["response"]["body"]),
    )
    (finding,) = shop.mend(shop.connector())
    ((method, path, body),) = shop.written
    recorded = exchange["request"]
    assert (method, path) == (recorded["method"], urlsplit(recorded["url"]).path)
    assert body == {**recorded["body"], "name": f"Orderwire {topic}"}
    assert (finding.subject, finding.level) == (f"webhook {topic}", "ok")


def test_the_disabled_one_is_switched_on_corrected_and_given_the_secret() -> None:
    updated, deleted = alive()[1:]
    shop = Shop(updated, deleted, DISABLED)
    connector = shop.connector()
    (repair,) = connector.repairs()
    assert "set webhook 7 to active" in repair.message
    assert "it is disabled" in repair.message
    assert "hook-secret" not in repr(repair), "what is printed holds no secret"
    (finding,) = shop.mend(connector)
    assert finding.level == "ok"
    body = {"status": "active", "delivery_url": f"{US}/hooks/woo", "secret": "hook-secret"}
    assert shop.written == [("PUT", "/wp-json/wc/v3/webhooks/7", body)]


def test_a_secret_is_renewed_only_on_request() -> None:
    shop = Shop(*alive())
    assert shop.mend(shop.connector()) == []
    shop.mend(shop.connector(), renew_secret=True)
    assert [(method, body["secret"]) for method, _, body in shop.written] == [("PUT", "hook-secret")] * 3


def test_without_our_address_that_of_a_living_webhook_serves() -> None:
    created, updated, _ = alive()
    shop = Shop({**created, "status": "disabled", "delivery_url": "https://old.example/hooks/woo"}, updated)
    addresses = {repair.step["body"]["delivery_url"] for repair in shop.connector(deliver_to="").repairs()}
    assert addresses == {f"{US}/hooks/woo"}
    with pytest.raises(ConfigurationProblem, match="deliver_to"):
        Shop().connector(deliver_to="").repairs()


def test_a_key_that_may_only_read_is_named() -> None:
    for status in (401, 403):
        shop = Shop(write=lambda request, status=status: httpx.Response(status, json=READ_ONLY))  # type: ignore[misc]
        with pytest.raises(ConfigurationProblem, match="Read/Write"):
            shop.mend(shop.connector())
        assert len(shop.written) == 1, "and not tried with the others"


def test_what_the_shop_kept_otherwise_is_named() -> None:
    shop = Shop(*alive()[1:], DISABLED, write=lambda request: httpx.Response(200, json=DISABLED))
    (finding,) = shop.mend(shop.connector())
    assert finding.level == "problem"
    assert "status, delivery_url" in finding.message


def test_nothing_is_written_without_a_guard() -> None:
    shop = Shop()
    connector = shop.connector()
    with pytest.raises(LeaseLost):
        connector.repair(connector.repairs()[0])
    assert shop.written == []


def test_a_shop_that_is_only_polled_is_left_alone() -> None:
    assert Shop().connector(webhook_secrets=()).repairs() == ()


def test_a_secret_that_cannot_be_read_is_named_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WOO_TEST_HOOK")
    with pytest.raises(ConfigurationProblem, match="WOO_TEST_HOOK"):
        Shop().connector().repairs()


def test_a_shop_that_is_away() -> None:
    shop = Shop()
    shop.answer = lambda request: httpx.Response(404, json={"code": "rest_no_route"})  # type: ignore[method-assign]
    with pytest.raises(RetryLater):
        shop.connector().repairs()
