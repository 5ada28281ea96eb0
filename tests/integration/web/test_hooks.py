"""Deliveries over HTTP: what is answered, what is kept, and that nothing else ever happens."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from standardwebhooks import Webhook

from connectors import orderform, woocommerce
from connectors.roles import Store
from core.clock import Clock
from core.secrets import SecretRef
from core.settings import FlowSettings
from ledger import Ledger, migrate
from ledger import tables as t
from pipelines.context import Context
from pipelines.metrics import Metrics
from pipelines.webhooks import refused
from tests.world import signed_headers, woo_settings
from web.app import create_app
from web.state import WebState

FORM_SECRET = "whsec_" + base64.b64encode(b"thirty-two bytes only for tests!").decode()
FIXTURES = Path(__file__).parents[2] / "fixtures"
MOST = 64 * 1024


class Hooks:
    """A web process without a worker."""

    def __init__(self, url: str) -> None:
        self.ledger = Ledger.open(url)
        migrate.upgrade(self.ledger.db)
        self.nudges = 0
        form = orderform.SETTINGS(name="form", connector="orderform", webhook_secrets=(SecretRef("env:OW_TEST_FORM"),))
        mute = woo_settings("mute", {}).model_copy(update={"webhook_secrets": ()})
        stores: dict[str, Store] = {
            "form": orderform.build(form),
            "shop": woocommerce.build(woo_settings("shop", {})),
            "mute": woocommerce.build(mute),
        }
        flows = {name: FlowSettings(name=name, source=name, target="crm") for name in stores}
        context = Context(self.ledger, stores, {}, flows, {}, clock=Clock())
        self.metrics = Metrics()
        self.client = TestClient(
            create_app(WebState(context, self.metrics, self._nudge, max_body=MOST)), raise_server_exceptions=False
        )

    def _nudge(self) -> None:
        self.nudges += 1

    def rows(self, table: sa.Table) -> list[Any]:
        return self.ledger.db.rows(sa.select(table))

    def post_form(self, body: bytes, *, secret: str = FORM_SECRET, at: datetime | None = None) -> Any:
        return self.client.post("/hooks/form", content=body, headers=form_headers(body, secret, at))

    def counted(self, source: str, result: str) -> float:
        return (
            self.metrics.registry.get_sample_value(
                "orderwire_webhooks_received_total", {"source": source, "result": result}
            )
            or 0.0
        )


def form_headers(
    body: bytes, secret: str = FORM_SECRET, at: datetime | None = None, id: str = "msg_1"
) -> dict[str, str]:
    moment = at or datetime.now(UTC)
    signature = Webhook(secret).sign(id, moment, body.decode("utf-8", "surrogateescape"))
    return {
        "webhook-id": id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": signature,
        "content-type": "application/json",
    }


@pytest.fixture
def hooks(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hooks]:
    monkeypatch.setenv("OW_TEST_FORM", FORM_SECRET)
    monkeypatch.setenv("ORDERWIRE_TEST_HOOK_SECRET", "hook-secret")
    world = Hooks(database_url)
    yield world
    world.client.close()
    world.ledger.close()


def order_body(**changes: Any) -> bytes:
    example = json.loads((FIXTURES.parents[1] / "connectors" / "orderform" / "example.json").read_text())
    example["order"].update(changes)
    return json.dumps(example).encode()


def test_a_genuine_delivery_is_kept_as_received_and_rings(hooks: Hooks) -> None:
    body = order_body()
    answer = hooks.post_form(body)
    assert answer.status_code == 200
    events, records, jobs = hooks.rows(t.event), hooks.rows(t.record), hooks.rows(t.job)
    assert [bytes(row.raw) for row in events] == [body]
    assert len(records) == len(jobs) == 1
    assert jobs[0].state == "waiting"
    assert answer.headers["x-correlation-id"] == events[0].correlation == jobs[0].correlation
    assert hooks.nudges == 1


def test_the_same_delivery_again_is_one_event_and_one_job(hooks: Hooks) -> None:
    body = order_body()
    headers = form_headers(body)
    answers = [hooks.client.post("/hooks/form", content=body, headers=headers).json()["result"] for _ in range(3)]
    assert answers == ["newest", "duplicate", "duplicate"]
    assert len(hooks.rows(t.event)) == len(hooks.rows(t.job)) == 1
    assert hooks.rows(t.job)[0].wanted == 1


SPOILT: dict[str, Any] = {
    "no signature": lambda headers: headers.pop("webhook-signature"),
    "no id": lambda headers: headers.pop("webhook-id"),
    "odd timestamp": lambda headers: headers.update({"webhook-timestamp": "yesterday"}),
    "endless timestamp": lambda headers: headers.update({"webhook-timestamp": "9" * 400}),
    "not base64": lambda headers: headers.update({"webhook-signature": "v1,!!!not base64!!!"}),
    "no comma": lambda headers: headers.update({"webhook-signature": "v1"}),
    "empty": lambda headers: headers.update({"webhook-signature": ""}),
    "another secret": lambda headers: headers.update(
        form_headers(order_body(), "whsec_" + base64.b64encode(b"x" * 32).decode())
    ),
    "an hour old": lambda headers: headers.update(
        form_headers(order_body(), at=datetime.now(UTC) - timedelta(hours=1))
    ),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_an_unsigned_delivery_leaves_no_trace(hooks: Hooks, spoil: Any) -> None:
    body = order_body()
    headers = form_headers(body)
    spoil(headers)
    answer = hooks.client.post("/hooks/form", content=body, headers=headers)
    assert answer.status_code == 401
    assert "What to do" in answer.json()["error"]
    assert not hooks.rows(t.event)
    assert not hooks.rows(t.job)
    assert hooks.nudges == 0
    assert hooks.counted("form", "signature") == 1


@pytest.mark.parametrize("connection", ["nowhere", "mute", "crm", "..%2f", "form%00"])
def test_what_takes_no_deliveries_does_not_exist(hooks: Hooks, connection: str) -> None:
    body = order_body()
    answer = hooks.client.post(f"/hooks/{connection}", content=body, headers=form_headers(body))
    # "../" is redirected out of /hooks, where only pages of ours may send anything.
    assert answer.status_code == (403 if answer.history else 404)
    assert not hooks.rows(t.event)


def test_a_body_beyond_the_limit_is_refused_however_it_is_sent(hooks: Hooks) -> None:
    body = b"x" * (MOST + 1)
    assert hooks.client.post("/hooks/form", content=body, headers=form_headers(body)).status_code == 413
    chunked = hooks.client.post("/hooks/form", content=iter([body[:MOST], body[MOST:]]), headers=form_headers(body))
    assert chunked.status_code == 413
    exact = order_body()
    exact += b" " * (MOST - len(exact))
    assert hooks.post_form(exact).status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"text"', b"\xff\xfe\x00", b'{"order": 5}', b'{"order": {"id": "1", "total": NaN}}', b"\x00" * 40,
     b'{"order": {"number": "no id"}}'],
    ids=str,
)  # fmt: skip
def test_signed_but_not_an_order_is_kept_and_held(hooks: Hooks, body: bytes) -> None:
    headers = signed_form(body)
    answer = hooks.client.post("/hooks/form", content=body, headers=headers)
    assert answer.status_code == 200
    assert [bytes(row.raw) for row in hooks.rows(t.event)] == [body]
    job = hooks.ledger.jobs.list()[0]
    assert job.state == "held"
    assert "What to do" in job.reason


def signed_form(body: bytes) -> dict[str, str]:
    """Signed over the raw bytes, also where they are not text (the library's signer takes text only)."""
    import hashlib
    import hmac

    key = base64.b64decode(FORM_SECRET.removeprefix("whsec_"))
    stamp = str(int(datetime.now(UTC).timestamp()))
    signature = hmac.new(key, b"msg_1." + stamp.encode() + b"." + body, hashlib.sha256).digest()
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }


@pytest.mark.parametrize("path", sorted((FIXTURES / "woocommerce").glob("hook-*.json")), ids=lambda path: path.stem)
def test_recorded_woocommerce_deliveries_are_answered_200(hooks: Hooks, path: Path) -> None:
    recorded = json.loads(path.read_text())
    body = base64.b64decode(recorded["raw_b64"])
    answer = hooks.client.post("/hooks/shop", content=body, headers=recorded["headers"])
    assert answer.status_code == 200
    if "ping" in path.stem:
        assert not hooks.rows(t.event)
    else:
        assert [bytes(row.raw) for row in hooks.rows(t.event)] == [body]
        assert bool(hooks.rows(t.job)) is ("order" in path.stem)


def test_colliding_delivery_ids_are_different_orders(hooks: Hooks) -> None:
    order = json.loads((FIXTURES / "woocommerce" / "orders-corpus.json").read_text())[0]["order"]
    for number in ("1", "2", "3"):
        body = json.dumps(order | {"id": int(number), "number": number}).encode()
        assert (
            hooks.client.post("/hooks/shop", content=body, headers=signed_headers(body, "order.created")).status_code
            == 200
        )
    assert {row.record_id for row in hooks.rows(t.record)} == {"1", "2", "3"}
    assert len(hooks.rows(t.job)) == 3


def test_503_while_the_ledger_is_away_and_never_200(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("select 1", {}, Exception("gone"))

    monkeypatch.setattr(hooks.ledger.inbox, "accept_each", away)
    answer = hooks.post_form(order_body())
    assert answer.status_code == 503
    assert hooks.nudges == 0


def test_the_schema_is_served_where_the_format_is_ours(hooks: Hooks) -> None:
    answer = hooks.client.get("/hooks/form/schema")
    assert answer.status_code == 200
    assert "order" in answer.json()["properties"]
    assert hooks.client.get("/hooks/shop/schema").status_code == 404
    assert hooks.client.get("/hooks/nowhere/schema").status_code == 404


def test_health_and_metrics(hooks: Hooks) -> None:
    assert hooks.client.get("/livez").json() == {"ok": True, "trouble": ""}
    assert hooks.client.get("/readyz").status_code == 200
    hooks.post_form(order_body())
    text = hooks.client.get("/metrics").text
    assert 'orderwire_webhooks_received_total{result="newest",source="form"} 1.0' in text
    assert 'orderwire_jobs{state="waiting"} 1' in text


def test_not_ready_without_its_schema(hooks: Hooks) -> None:
    hooks.ledger.db.execute(sa.text("UPDATE alembic_version SET version_num = 'older'"))
    answer = hooks.client.get("/readyz")
    assert answer.status_code == 503
    assert "db upgrade" in answer.json()["trouble"]


def test_refusals_of_another_secret_are_noted_for_the_doctor(hooks: Hooks) -> None:
    """Not those that nobody signed, which say nothing about the secret; and not each by itself."""
    body = b'{"id": 1}'
    unsigned = {"x-wc-webhook-topic": "order.created", "content-type": "application/json"}
    assert hooks.client.post("/hooks/shop", content=body, headers=unsigned).status_code == 401
    assert hooks.client.post("/hooks/form", content=body).status_code == 401
    assert refused(hooks.ledger, "shop") is None
    assert refused(hooks.ledger, "form") is None
    for _ in range(3):
        headers = signed_headers(body, "order.created", "another")
        assert hooks.client.post("/hooks/shop", content=body, headers=headers).status_code == 401
    noted = refused(hooks.ledger, "shop")
    assert noted is not None
    assert noted.count == 1, "the others are counted with the next that is written"
    assert (
        hooks.post_form(body, secret=f"whsec_{base64.b64encode(b'another secret altogether').decode()}").status_code
        == 401
    )
    assert refused(hooks.ledger, "form") is not None
