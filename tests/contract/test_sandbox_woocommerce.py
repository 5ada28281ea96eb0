"""The stand-in's WooCommerce face answers as the recorded WooCommerce 10.0.2 did, and signs as it signs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from oauthlib.oauth1 import SIGNATURE_HMAC_SHA1, SIGNATURE_HMAC_SHA256, SIGNATURE_TYPE_QUERY, Client

from sandbox.serve import running
from sandbox.store import woo
from sandbox.store.app import store_app

FIXTURES = Path(__file__).parent.parent / "fixtures" / "woocommerce"
SECURE = {"x-forwarded-proto": "https"}
BASIC = ("ck_sandbox", "cs_sandbox")


def _recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / name).read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def shop() -> woo.WooShop:
    shop = woo.WooShop()
    for entry in json.loads((FIXTURES / "orders-corpus.json").read_text("utf-8")):
        shop.put(entry["order"], entry["refunds"])
    shop.put(_recorded("14-order-get.json")["response"]["body"])
    return shop


@pytest.fixture(scope="module")
def http(shop: woo.WooShop) -> Iterator[httpx.Client]:
    with running(store_app(shop=shop)) as address, httpx.Client(base_url=address, trust_env=False) as client:
        yield client


def _get(http: httpx.Client, path: str, **query: str) -> httpx.Response:
    return http.get(f"/wp-json/wc/v3/{path}", params=query, auth=BASIC, headers=SECURE)


@pytest.mark.parametrize("name", ["14-order-get.json", "21-err-404.json", "24-err-401.json", "74-bad-perpage.json"])
def test_answers_are_the_recorded_ones(http: httpx.Client, name: str) -> None:
    recorded = _recorded(name)
    path = recorded["request"]["url"].partition("/wp-json/wc/v3/")[2]
    auth = ("ck_wrong", "cs_wrong") if "401" in name else BASIC
    answer = http.get(f"/wp-json/wc/v3/{path}", auth=auth, headers=SECURE)
    assert answer.status_code == recorded["response"]["status"]
    assert answer.json() == recorded["response"]["body"]


def test_every_changed_order_comes_once_page_by_page(http: httpx.Client, shop: woo.WooShop) -> None:
    query = {"dates_are_gmt": "true", "orderby": "modified", "order": "asc", "per_page": "30"}
    seen: list[dict[str, Any]] = []
    page = 1
    while True:
        answer = _get(http, "orders", **query, modified_after="2026-01-01T00:00:00", page=str(page))
        seen += answer.json()
        if page == int(answer.headers["x-wp-totalpages"]):
            break
        assert 'rel="next"' in answer.headers["link"]
        page += 1
    assert int(answer.headers["x-wp-total"]) == len(seen) == len(shop.orders)
    stamps = [order["date_modified_gmt"] for order in seen]
    assert stamps == sorted(stamps)
    last = stamps[-1]
    assert _get(http, "orders", **query, modified_after=last).json() == []


def test_trash_shows_only_when_asked_for(http: httpx.Client, shop: woo.WooShop) -> None:
    trashed = {**_recorded("14-order-get.json")["response"]["body"], "id": 900001, "status": "trash"}
    http.post("/sandbox/orders", json={"orders": [trashed]}).raise_for_status()
    assert _get(http, "orders", include="900001").json() == []
    assert [order["id"] for order in _get(http, "orders", include="900001", status="trash").json()] == [900001]
    http.post("/sandbox/orders", json={"remove": [900001]})


def test_refunds_and_status_and_webhooks(http: httpx.Client, shop: woo.WooShop) -> None:
    id = next(id for id, refunds in shop.refunds.items() if refunds)
    assert _get(http, f"orders/{id}/refunds").json() == shop.refunds[id]
    status = _recorded("01-system-status-env.json")
    answer = _get(http, "system_status", _fields="environment.version,environment.wp_version").json()
    assert answer == {"environment": status["response"]["body"]["environment"]}
    disabled = _recorded("webhook-disabled-after-failures.json")
    http.post("/sandbox/webhooks", json={"webhooks": [disabled]}).raise_for_status()
    assert _get(http, "webhooks").json() == [disabled]
    assert _get(http, "webhooks/7").json()["status"] == "disabled"


@pytest.mark.parametrize("method", [SIGNATURE_HMAC_SHA1, SIGNATURE_HMAC_SHA256])
def test_oauth_signatures_are_verified(http: httpx.Client, method: str) -> None:
    def signed(secret: str, timestamp: str | None = None, nonce: str | None = None) -> httpx.Response:
        client = Client(
            "ck_sandbox",
            secret,
            signature_method=method,
            signature_type=SIGNATURE_TYPE_QUERY,
            timestamp=timestamp,
            nonce=nonce,
        )
        url, _, _ = client.sign(f"{http.base_url}/wp-json/wc/v3/orders?per_page=2&status=any")
        return http.get(url)

    assert len(signed("cs_sandbox").json()) == 2
    assert signed("cs_other").json()["code"] == "woocommerce_rest_authentication_error"
    assert signed("cs_sandbox", timestamp=str(int(time.time()) - 3600)).json()["message"] == "Invalid timestamp."
    again = {"timestamp": str(int(time.time())), "nonce": f"once-{method}"}
    assert signed("cs_sandbox", **again).status_code == 200
    assert signed("cs_sandbox", **again).status_code == 401


def test_basic_wants_tls(http: httpx.Client) -> None:
    assert http.get("/wp-json/wc/v3/orders", auth=BASIC).status_code == 401
    assert http.get("/wp-json/wc/v3/orders", auth=BASIC, headers=SECURE).status_code == 200


def test_deliveries_are_signed_as_recorded_ones() -> None:
    recorded = _recorded("hook-09-order-created.json")
    raw = base64.b64decode(recorded["raw_b64"])
    headers, body = woo.delivery(json.loads(raw), "order.created", "hook-secret", webhook_id=1)
    assert body == raw
    assert headers["X-WC-Webhook-Signature"] == recorded["headers"]["X-WC-Webhook-Signature"]
    assert (
        headers["X-WC-Webhook-Signature"]
        == base64.b64encode(hmac.digest(b"hook-secret", body, hashlib.sha256)).decode()
    )
    assert set(headers) | {"Host", "Connection", "Content-Length", "Accept-Encoding"} == set(recorded["headers"])


def test_deliveries_of_one_second_share_their_id() -> None:
    at = datetime(2026, 11, 22, 1, 36, 10, tzinfo=UTC)
    ids = [woo.delivery({"id": n}, "order.updated", "s", at=at)[0]["X-WC-Webhook-Delivery-ID"] for n in (1, 2)]
    later = woo.delivery({"id": 1}, "order.updated", "s", at=at.replace(second=11))[0]["X-WC-Webhook-Delivery-ID"]
    assert ids[0] == ids[1] != later


def test_the_ping_is_the_recorded_one() -> None:
    recorded = _recorded("hook-01-ping.json")
    headers, body = woo.ping(1)
    assert body == base64.b64decode(recorded["raw_b64"])
    assert headers["Content-Type"] == recorded["headers"]["Content-Type"]
    assert not [name for name in headers if name.startswith("X-WC")]


@pytest.mark.parametrize("name", ["02-webhook-order-created", "03-webhook-order-updated", "04-webhook-order-deleted"])
def test_a_webhook_is_created_as_recorded(name: str) -> None:
    """Whatever is in the recorded answer is in ours, but the links; the secret is in neither."""
    exchange = _recorded(f"{name}.json")
    shop = woo.WooShop(writable=True)
    with running(store_app(shop=shop)) as address, httpx.Client(base_url=address, trust_env=False) as client:
        path, body = "/wp-json/wc/v3/webhooks", exchange["request"]["body"]
        answer = client.post(path, json=body, auth=BASIC, headers=SECURE)
        assert answer.status_code == exchange["response"]["status"]
        wanted = {key: value for key, value in exchange["response"]["body"].items() if key != "_links"}
        dates = {"id", "date_created", "date_created_gmt"}
        assert set(answer.json()) == set(wanted)
        assert [answer.json()[key] for key in wanted if key not in dates] == [
            wanted[key] for key in wanted if key not in dates
        ]
        shop.writable = False
        assert client.post(path, json=body, auth=BASIC, headers=SECURE).status_code == 401
        assert len(shop.webhooks) == 1


def test_seven_failures_in_a_row_disable_a_webhook() -> None:
    """The recorded webhook was disabled after as many; nothing was ever delivered again."""
    shop = woo.WooShop()
    hook = shop.subscribe({"topic": "order.created", "delivery_url": "http://127.0.0.1:9/fail", "secret": "s"})
    answered = [shop.announce("order.created", {"id": id}) for id in range(woo.MOST_FAILURES + 2)]
    assert answered == [[0]] * woo.MOST_FAILURES + [[], []]
    assert hook["status"] == _recorded("webhook-disabled-after-failures.json")["status"]
