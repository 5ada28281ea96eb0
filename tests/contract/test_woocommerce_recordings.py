"""Every recorded exchange with a real WooCommerce 10.0.2 is driven through the connector, or listed with the reason
why not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from connectors import woocommerce
from connectors.roles import Request
from connectors.woocommerce import WooCommerce, WooCommerceSettings
from connectors.woocommerce.changes import fetched
from connectors.woocommerce.client import Client
from connectors.woocommerce.walk import BY_CREATED, BY_MODIFIED
from core.clock import Clock
from core.errors import Held, NotThere, RetryLater
from core.jsontext import loads
from core.keys import Key
from core.secrets import SecretRef
from mapping.canonical.order import OrderStatus, PaymentStatus

FIXTURES = Path(__file__).parents[1] / "fixtures" / "woocommerce"
NOW = datetime(2026, 11, 22, 1, 36, 8, tzinfo=UTC)

NOT_DRIVEN = {
    "08-tax": "sets the recorded shop up; of a shop's records this connector writes none",
    "09-product-create": "sets the recorded shop up; products are not read from the shop",
    "10-product-create2": "sets the recorded shop up; products are not read from the shop",
    "11-customer-create": "sets the recorded shop up; an order carries its customer",
    "16-refund": "a refund's own record is not read; its sum stands in the order (hook-09, 68-g)",
    "18-customers-list": "customers are not listed: modified_after is ignored there (see 61)",
    "19-products-modified": "products are not read from the shop",
    "20-product-stock-update": "of a shop's records this connector writes none",
    "23-err-dup-customer": "of a shop's records this connector writes none",
    "25-wp-cron": "the shop's own clockwork, run by the recorder",
    "61-customers-modified-after-ignored": "the reason why customers are not listed",
    "62-customers-schema": "customers are not listed",
    "65-note": "order notes are not read, and do not touch date_modified",
}
ORDER_STATES = ("12-order-create", "13-guest-order", "15-order-update", "22-err-400", "67-meta")
ORDER_READS = ("14-order-get", "66-g", "68-g", "70-g")
WEBHOOKS = (
    "02-webhook-order-created",
    "03-webhook-order-updated",
    "04-webhook-order-deleted",
    "05-webhook-customer-created",
    "06-webhook-customer-updated",
    "07-webhook-product-updated",
    "31-webhook-failing",
    "webhook-disabled-after-failures",
)


def recording(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


def names(prefix: str = "") -> list[str]:
    return sorted(path.stem for path in FIXTURES.glob("*.json") if path.stem.startswith(prefix))


class Still(Clock):
    def now(self) -> datetime:
        return NOW


def shop(answer: Callable[[httpx.Request], httpx.Response], **settings: Any) -> WooCommerce:
    values = {"name": "woo", "url": "http://127.0.0.1:8821", "auth": "basic", "look_back": 400, **settings}
    values |= {"consumer_key": SecretRef("env:WOO_TEST_KEY"), "consumer_secret": SecretRef("env:WOO_TEST_SECRET")}
    return woocommerce.build(
        WooCommerceSettings.model_validate(values), transport=httpx.MockTransport(answer), clock=Still()
    )


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WOO_TEST_KEY", "ck_test")
    monkeypatch.setenv("WOO_TEST_SECRET", "cs_test")
    monkeypatch.setenv("WOO_TEST_HOOK", "hook-secret")


def response(name: str) -> httpx.Response:
    """The recorded answer, headers and all."""
    recorded = recording(name)["response"]
    headers = {key: value for key, value in recorded["headers"].items() if key not in {"connection", "host"}}
    return httpx.Response(recorded["status"], headers=headers, content=json.dumps(recorded["body"]).encode())


def replay(*exchanges: str) -> Callable[[httpx.Request], httpx.Response]:
    """Answers the recorded requests (path, and each recorded parameter that we send too); anything else is a fault."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked = urlsplit(str(request.url))
        for name in exchanges:
            recorded = recording(name)["request"]
            known = urlsplit(recorded["url"])
            if (request.method, asked.path) == (recorded["method"], known.path):
                return response(name)
        raise AssertionError(f"not recorded: {request.method} {request.url}")

    return answer


# --------------------------------------------------------------------------------------------------- webhooks


def deliver(name: str) -> Any:
    hook = recording(name)
    headers = {key.lower(): value for key, value in hook["headers"].items()}
    connector = shop(replay(), webhook_secrets=(SecretRef("env:WOO_TEST_HOOK"),))
    return connector.receive(Request("POST", headers, base64.b64decode(hook["raw_b64"]), NOW))


def drive_ping(name: str) -> None:
    assert deliver(name) == ()


def drive_delivery(name: str) -> None:
    (change,) = deliver(name)
    hook = recording(name)
    assert str(change.key) == f"woo/{hook['headers']['X-WC-Webhook-Resource']}/{hook['body']['id']}"
    assert change.raw == base64.b64decode(hook["raw_b64"])
    assert change.topic == hook["headers"]["X-WC-Webhook-Topic"]
    assert change.stamp == datetime.fromisoformat(hook["body"]["date_modified_gmt"]).replace(tzinfo=UTC)
    assert change.problem is None


def test_recorded_orders_of_one_second_share_a_delivery_id_and_stay_apart() -> None:
    hooks = [recording(name) for name in ("hook-09-order-created", "hook-13-order-created")]
    assert len({hook["headers"]["X-WC-Webhook-Delivery-ID"] for hook in hooks}) == 1
    changes = [deliver(name)[0] for name in ("hook-09-order-created", "hook-13-order-created")]
    assert len({change.dedupe for change in changes}) == 2
    assert len({change.key for change in changes}) == 2


def test_the_recorded_order_maps_field_by_field() -> None:
    (change,) = deliver("hook-09-order-created")
    order = shop(replay()).order(change.key, change.raw)
    assert (order.number, order.status, order.source_status) == ("13", OrderStatus.COMPLETED, "completed")
    assert (order.payment_status, order.currency) == (PaymentStatus.PAID, "EUR")
    assert (order.placed_at.hour, order.paid_at is not None) == (1, True)
    assert str(order.customer.key) == "woo/customer/2"
    assert (order.customer.company, order.customer.person.full_name) == ("Acme GmbH", "Çağla Öztürk")
    assert order.shipping == order.billing
    assert order.billing.postal_code == "10115"
    assert [(line.sku, line.quantity, line.net, line.tax) for line in order.lines] == [
        ("SKU-1", Decimal(3), Decimal("120.00"), Decimal("22.80")),
        ("SKU-2", Decimal(1), Decimal("99.50"), Decimal("18.91")),
        ("", Decimal(1), Decimal("2.00"), Decimal("0.38")),
    ]
    assert order.lines[0].taxes[0].rate == 19
    assert (order.shipping_net, order.total, order.rounding) == (Decimal("4.90"), Decimal("269.42"), Decimal(0))
    assert order.refunded == Decimal("40.00"), "kept apart from the total"
    assert (order.delivery_method, order.payment_method, order.channel) == ("flat_rate", "bacs", "web")


# ------------------------------------------------------------------------------------------------------- REST


def drive_fetch(name: str) -> None:
    body = recording(name)["response"]["body"]
    change = shop(replay(name)).fetch(Key("woo", "order", "13"))
    assert (str(change.key), change.number) == ("woo/order/13", "13")
    assert change.fetched_at == NOW
    assert change.deleted is (body["status"] == "trash")
    assert loads(change.raw or b"")["total"] == "269.42"


def drive_state(name: str) -> None:
    body = recording(name)["response"]["body"]
    change = fetched("woo", "order", loads(json.dumps(body)), NOW)
    order = shop(replay()).order(change.key, change.raw or b"")
    assert (order.total, order.rounding) == (Decimal(body["total"]), Decimal(0))


def test_pushed_and_polled_states_are_equal() -> None:
    (pushed,) = deliver("hook-09-order-created")
    polled = shop(replay("66-g")).fetch(Key("woo", "order", "13"))
    assert (pushed.key, pushed.stamp, pushed.content) == (polled.key, polled.stamp, polled.content)
    connector = shop(replay())
    assert connector.order(pushed.key, pushed.raw) == connector.order(polled.key, polled.raw or b"")


def test_a_note_changes_nothing_and_meta_data_does() -> None:
    """Seen on the wire: 65 adds a note, 67 writes meta data (and moves date_modified: the echo)."""
    after_note, after_meta = (shop(replay(name)).fetch(Key("woo", "order", "13")) for name in ("66-g", "68-g"))
    (before,) = deliver("hook-09-order-created")
    assert before.content == after_note.content != after_meta.content
    assert after_meta.stamp is not None
    assert after_note.stamp is not None
    assert after_meta.stamp > after_note.stamp


def test_a_record_that_does_not_exist() -> None:
    with pytest.raises(NotThere, match="What to do: "):
        shop(replay("21-err-404")).fetch(Key("woo", "order", "99999"))


def test_refused_credentials_pause_the_connection() -> None:
    with pytest.raises(RetryLater) as refused:
        list(shop(replay("24-err-401")).changes_since(None))
    assert (refused.value.cause, refused.value.scope) == ("auth", "connection")


def test_more_than_a_hundred_a_page_is_an_error_there_so_we_never_ask() -> None:
    with pytest.raises(Held, match="HTTP 400"):
        shop(replay("74-bad-perpage")).find_by_number("WEB-1")
    with pytest.raises(ValueError, match="less than or equal to 100"):
        shop(replay(), per_page=101)


def test_recorded_listing_by_modification() -> None:
    """17 is the first of two pages; the walk goes on from the time it saw, not by page number."""
    asked: list[dict[str, list[str]]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(parse_qs(urlsplit(str(request.url)).query))
        if len(asked) == 1:
            return response("17-orders-modified-after")
        return httpx.Response(200, headers={"x-wp-total": "0", "x-wp-totalpages": "0"}, content=b"[]")

    pages = list(shop(answer, per_page=1).changes_since(None))
    assert [(str(change.key), change.number) for page in pages for change in page.changes] == [("woo/order/14", "14")]
    assert pages[0].total == 2
    assert pages[0].cursor.startswith("any=2026-11-22T01:36:10;")
    recorded = parse_qs(urlsplit(recording("17-orders-modified-after")["request"]["url"]).query)
    assert {name: asked[0][name] for name in ("dates_are_gmt", "orderby", "order", "per_page", "page")} == {
        name: recorded[name] for name in ("dates_are_gmt", "orderby", "order", "per_page", "page")
    }
    assert asked[1]["modified_after"] == ["2026-11-22T01:36:09"]


def test_our_parameters_are_the_interfaces_own() -> None:
    arguments = recording("63-orders-schema")["response"]["body"]["endpoints"][0]["args"]
    asked: set[str] = set()

    def answer(request: httpx.Request) -> httpx.Response:
        query = parse_qs(urlsplit(str(request.url)).query)
        asked.update(query)
        for name, (value,) in query.items():
            allowed = arguments[name].get("enum") or arguments[name].get("items", {}).get("enum")
            assert not allowed or value in allowed, (name, value)
        return httpx.Response(200, headers={"x-wp-totalpages": "0", "x-wp-total": "0"}, content=b"[]")

    connector = shop(answer)
    list(connector.changes_since(None, until=NOW))
    list(connector.orders_between(NOW, NOW))
    connector.find_by_number("WEB-1")
    for by in (BY_MODIFIED, BY_CREATED):
        assert {by.after, by.before} <= asked
        assert by.orderby in arguments["orderby"]["enum"]
    assert asked <= set(arguments)


def drive_listing(name: str) -> None:
    found, deleted = {"64-orders": (1, False), "72-list": (0, False), "73-list": (1, True)}[name]
    connector = shop(replay(name))
    answer = Client(connector._http).get_rows("orders.list", "orders", {})
    assert len(answer.body) == found
    assert answer.total == int(recording(name)["response"]["headers"]["x-wp-total"])
    changes = [fetched("woo", "order", row, NOW) for row in answer.body]
    assert [(str(change.key), change.deleted) for change in changes] == [("woo/order/13", deleted)] * found


def test_find_by_number_takes_the_id_where_it_is_the_number() -> None:
    change = shop(replay("14-order-get")).find_by_number(" #13 ")
    assert change is not None
    assert str(change.key) == "woo/order/13"


def test_find_by_number_searches_where_a_plugin_makes_the_numbers() -> None:
    row = {**recording("14-order-get")["response"]["body"], "number": "2026-77", "id": 5}

    def answer(request: httpx.Request) -> httpx.Response:
        query = parse_qs(urlsplit(str(request.url)).query)
        if "search" not in query:
            return response("21-err-404")
        rows = [{**row, "number": "2026-777", "id": 6}, row] if query["status"] == ["trash"] else []
        return httpx.Response(200, json=rows)

    change = shop(answer).find_by_number("2026-77")
    assert change is not None
    assert str(change.key) == "woo/order/5"
    assert shop(answer).find_by_number("77") is None
    assert shop(answer).find_by_number("  ") is None


# ------------------------------------------------------------------------------------------- check and webhooks


def hooks_answer(*bodies: Any) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        path = urlsplit(str(request.url)).path
        if path.endswith("/webhooks"):
            return httpx.Response(200, json=list(bodies))
        if path.endswith("/system_status"):
            return response("01-system-status-env")
        orders = response("64-orders")
        orders.headers["date"] = "Sun, 22 Nov 2026 01:36:10 GMT"  # recorded half an hour after the others
        return orders

    return answer


def recorded_hooks() -> list[Any]:
    bodies = [recording(name) for name in WEBHOOKS]
    return [body["response"]["body"] if "response" in body else body for body in bodies]


def drive_webhook(name: str) -> None:
    """Each recorded webhook, moved to our address, is reported with its topic and status."""
    body = recording(name)
    hook = {
        **(body["response"]["body"] if "response" in body else body),
        "delivery_url": "https://we.example/hooks/woo",
    }
    connector = shop(hooks_answer(hook), webhook_secrets=(SecretRef("env:WOO_TEST_HOOK"),))
    found = {finding.subject: finding.level for finding in connector.webhook_status()}
    if hook["resource"] == "order":
        assert found[f"webhook {hook['topic']}"] == ("ok" if hook["status"] == "active" else "problem")
    else:
        assert set(found.values()) == {"warning"}, "only order topics count"


def test_recorded_webhooks_are_alive() -> None:
    connector = shop(hooks_answer(*recorded_hooks()), webhook_secrets=(SecretRef("env:WOO_TEST_HOOK"),))
    found = {finding.subject: finding.level for finding in connector.webhook_status()}
    assert found == dict.fromkeys(("webhook order.created", "webhook order.updated", "webhook order.deleted"), "ok")


def test_a_disabled_webhook_is_a_problem_with_advice() -> None:
    disabled = recording("webhook-disabled-after-failures") | {"delivery_url": "https://we.example/hooks/woo"}
    connector = shop(hooks_answer(disabled), webhook_secrets=(SecretRef("env:WOO_TEST_HOOK"),))
    found = {finding.subject: finding for finding in connector.webhook_status()}
    assert found["webhook order.created"].level == "problem"
    assert "disabled" in found["webhook order.created"].message
    assert "Active" in found["webhook order.created"].what_to_do
    assert found["webhook order.updated"].level == "warning"


def test_check_with_everything_in_order() -> None:
    connector = shop(hooks_answer(*recorded_hooks()), webhook_secrets=(SecretRef("env:WOO_TEST_HOOK"),))
    findings = connector.check()
    assert {finding.level for finding in findings} == {"ok"}
    text = " ".join(finding.message for finding in findings)
    assert "WooCommerce 10.0.2" in text
    assert "10 there" in text


def test_poll_only_is_fine() -> None:
    connector = shop(hooks_answer())
    assert not connector.accepts_deliveries()
    assert {finding.level for finding in connector.check()} == {"ok"}


def test_check_names_refused_credentials_and_a_missing_secret() -> None:
    (finding,) = shop(replay("24-err-401")).check()
    assert (finding.level, "401" in finding.message, bool(finding.what_to_do)) == ("problem", True, True)
    connector = shop(hooks_answer(), webhook_secrets=(SecretRef("env:WOO_NOT_SET"),))
    (status,) = connector.webhook_status()
    assert status.level == "problem"


def test_check_tells_a_missing_secret_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WOO_TEST_KEY")
    (finding,) = shop(hooks_answer()).check()
    assert finding.level == "problem"
    assert "WOO_TEST_KEY" in finding.message


def test_check_warns_of_clocks_and_plain_http() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"date": "Sun, 22 Nov 2026 03:36:08 GMT"}, content=b"[]")

    found = {finding.subject: finding for finding in shop(answer, url="http://shop.example").check()}
    assert found["clock"].level == "warning"
    assert "7200 s ahead" in found["clock"].message
    assert found["encryption"].level == "warning"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(404, json={"code": "rest_no_route", "message": "No route"}), "permalinks"),
        (httpx.Response(404, text="<h1>Not found</h1>"), "permalinks"),
        (httpx.Response(200, text="<b>Warning</b>: undefined index in plugin.php []"), "not JSON"),
        (httpx.Response(200, json={"code": "x"}), "not a list"),
        (httpx.Response(301, headers={"location": "https://www.shop.example/"}), "redirects"),
    ],
)
def test_odd_answers_never_pass_for_missing_orders(answer: httpx.Response, words: str) -> None:
    """A shop whose interface is broken has not lost its orders."""
    connector = shop(lambda request: answer)
    with pytest.raises(RetryLater, match=words) as raised:
        list(connector.changes_since(None))
    assert raised.value.scope == "connection"
    if answer.status_code != 200:
        with pytest.raises(RetryLater):
            connector.fetch(Key("woo", "order", "13"))


def test_a_byte_order_mark_before_an_answer_is_no_fault() -> None:
    connector = shop(lambda request: httpx.Response(200, content=b'\xef\xbb\xbf[{"id": 3, "number": "X-3"}]'))
    change = connector.find_by_number("X-3")
    assert change is not None
    assert str(change.key) == "woo/order/3"


def test_a_listed_row_without_an_id_is_kept_and_named() -> None:
    connector = shop(lambda request: httpx.Response(200, json=["oops", {"id": None}]))
    changes = [change for page in connector.changes_since(None) for change in page.changes]
    assert {change.key.kind for change in changes} == {"delivery"}
    assert all(change.problem and "What to do: " in change.problem for change in changes)


@pytest.mark.parametrize(
    "key", ["woo/order/abc", "woo/order/1'--", "woo/delivery/77", "woo/order/../users", "woo/order/١٢"]
)
def test_a_key_that_is_no_record_of_the_shop_is_never_asked_for(key: str) -> None:
    with pytest.raises(NotThere):
        shop(replay()).fetch(Key.parse(key))


def drive_corpus(name: str) -> None:
    """Every recorded order maps and balances; what the shop's own rounding leaves over is a cent at most."""
    left_over = []
    for entry in loads((FIXTURES / f"{name}.json").read_bytes()):
        change = fetched("woo", "order", entry["order"], NOW)
        order = shop(replay()).order(change.key, change.raw or b"")
        assert order.lines_net + order.tax + order.shipping_net + order.rounding == order.total
        assert order.total == Decimal(entry["order"]["total"])
        assert order.refunded == sum((Decimal(refund["amount"]) for refund in entry["refunds"]), Decimal(0))
        left_over += [order.rounding] if order.rounding else []
    assert sorted(left_over) == [Decimal("-0.01"), Decimal("0.01"), Decimal("0.01")]


DRIVERS: dict[str, Callable[[str], None]] = {
    **{name: drive_ping if "ping" in name else drive_delivery for name in names("hook-")},
    **dict.fromkeys(ORDER_STATES, drive_state),
    **dict.fromkeys(ORDER_READS, drive_fetch),
    **dict.fromkeys(WEBHOOKS, drive_webhook),
    **dict.fromkeys(("64-orders", "72-list", "73-list"), drive_listing),
    "orders-corpus": drive_corpus,
    "01-system-status-env": lambda _: test_check_with_everything_in_order(),
    "17-orders-modified-after": lambda _: test_recorded_listing_by_modification(),
    "21-err-404": lambda _: test_a_record_that_does_not_exist(),
    "24-err-401": lambda _: test_refused_credentials_pause_the_connection(),
    "63-orders-schema": lambda _: test_our_parameters_are_the_interfaces_own(),
    "74-bad-perpage": lambda _: test_more_than_a_hundred_a_page_is_an_error_there_so_we_never_ask(),
}


@pytest.mark.parametrize("name", sorted(DRIVERS))
def test_recorded(name: str, record_property: Callable[[str, object], None]) -> None:
    DRIVERS[name](name)
    record_property("exchanges", f"woocommerce/{len(names())}")


def test_every_recording_is_driven_or_explained() -> None:
    assert sorted({*DRIVERS, *NOT_DRIVEN}) == names()
    assert not set(DRIVERS) & set(NOT_DRIVEN)


@pytest.mark.parametrize("name", ["14-order-get", "66-g", "68-g"])
def test_recorded_reads_map_too(name: str) -> None:
    drive_state(name)
