"""Every recorded exchange with a real Odoo 18 and 19, over JSON-RPC and JSON-2, driven through the connector, or listed with the
reason why not.

The stand-in here answers what was recorded; the connector's request must equal the recorded one in path and parameters.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors import odoo
from connectors.http import Call, guarded
from connectors.odoo import Odoo, OdooSettings
from connectors.odoo.errors import Refusal, error_of
from connectors.odoo.protocol import READS
from connectors.odoo.sources import PRODUCT_FIELDS, STOCK_FIELDS
from connectors.odoo.tables import wire_time
from core.errors import LeaseLost, RetryLater
from core.jsontext import dumps
from core.keys import Key
from core.secrets import SecretRef
from mapping.odoo.wire import moment_of

FIXTURES = Path(__file__).parents[1] / "fixtures" / "odoo"
Json = dict[str, Any]

WRITES = "it writes; of Odoo's records this connector writes none"
PRIVATE = "a private method: this connector calls those that read alone"
NO_KEY = "without a key: this connector has one, and sends it with every call"
BOGUS = "an argument that no method has: this connector's arguments are fixed"
REASONS = {
    "04-salesperson-create": WRITES,
    "05-partner-create": WRITES,
    "06-partner-create2": WRITES,
    "10-lead-create": WRITES,
    "11-lead-convert": WRITES,
    "13-lead-won": WRITES,
    "16-product-create": WRITES,
    "18-quant-create": WRITES,
    "19-quant-apply": WRITES,
    "21-so-create": WRITES,
    "22-so-confirm": WRITES,
    "26-order-invoice-wizard-forbidden": PRIVATE,
    "28-invoice-create": WRITES,
    "29-invoice-post": WRITES,
    "33-err-validation": WRITES,
    "37-json2-create": WRITES,
    "38-json2-write": WRITES,
    "40-json2-lead-convert": WRITES,
    "41-json2-so": WRITES,
    "45-json2-err-private": PRIVATE,
    "48-json2-err-noauth": NO_KEY,
    "61-lead": WRITES,
    "62-lead2opp-wizard-create": WRITES,
    "63-lead2opp-apply": WRITES,
    "66-partner-archived": WRITES,
    "69-unlink": WRITES,
}
CAUSES = {
    "31-err-unknown-model": "configuration",
    "32-err-unknown-field": "configuration",
    "35-err-bad-password": "auth",
    "42-json2-err-model": "configuration",
    "43-json2-err-field": "configuration",
    "44-json2-err-args": "remote 5xx",
    "47-json2-err-auth": "auth",
}
"""Recorded errors -> what the connector makes of them."""


@dataclass(frozen=True)
class Exchange:
    name: str
    url: httpx.URL
    headers: Json
    body: Json
    status: int
    answer: Any
    date: str

    @property
    def number(self) -> str:
        return self.name.partition("-")[2]

    @property
    def json2(self) -> bool:
        return self.url.path.startswith("/json/2/")

    @property
    def call(self) -> tuple[str, str]:
        """Model and method; for a common service, its name."""
        if self.json2:
            model, method = self.url.path.removeprefix("/json/2/").split("/")
            return model, method
        params = self.body["params"]
        return (params["args"][3], params["args"][4]) if params["service"] == "object" else ("common", params["method"])

    @property
    def params(self) -> Json:
        """The arguments by name."""
        if self.json2:
            return self.body
        places, named = self.body["params"]["args"][5:7]
        return {**dict(zip(READS[self.call[1]], places, strict=False)), **named}

    @property
    def login(self) -> list[Any]:
        """Database, user and password, as recorded."""
        return ["odoo19", 2, "admin"] if self.json2 else list(self.body["params"]["args"][:3])


def _exchange(path: Path) -> Exchange:
    raw = json.loads(path.read_text(encoding="utf-8"))
    request, response = raw["request"], raw["response"]
    return Exchange(
        path.stem, httpx.URL(request["url"]), request["headers"], request["body"], response["status"], response["body"],
        response["headers"]["date"],
    )  # fmt: skip


ALL = [_exchange(path) for path in sorted(FIXTURES.glob("*.json"))]
BY_NAME = {exchange.name: exchange for exchange in ALL}
TOTAL = len(ALL)
DRIVEN = [exchange for exchange in ALL if exchange.number not in REASONS]
COMMON = [exchange for exchange in DRIVEN if exchange.call[0] == "common"]
READ = [exchange for exchange in DRIVEN if exchange not in COMMON]


class Guard:
    def before_write(self, connection: str, timeout: float) -> None:
        raise LeaseLost("A write. What to do: there must be none.")

    def called(self, call: Call) -> None:
        assert not call.write


class Wire:
    """Answers a question for the version and logins as recorded, everything else with one exchange, and keeps what was asked."""

    def __init__(self, exchange: Exchange | None = None, *, version: str = "", login: str = "") -> None:
        self.exchange = exchange
        self.version = version or ("19.0" if exchange is None or exchange.json2 else "18.0")
        self.login = BY_NAME[login or "18-02-login"]
        self.asked: list[tuple[httpx.URL, Json, httpx.Headers]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.asked.append((request.url, body, request.headers))
        params = body.get("params", {})
        if params.get("method") == "version":
            told = BY_NAME["19-01-version"].answer["result"] | {
                "server_version": self.version,
                "server_serie": self.version,
            }
            return httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": told})
        answer = self.login if params.get("method") == "login" else self.exchange
        assert answer is not None
        return httpx.Response(answer.status, headers={"date": answer.date}, content=json.dumps(answer.answer).encode())

    def calls(self, method: str) -> list[Json]:
        return [body for _, body, _ in self.asked if body.get("params", {}).get("method") == method]


def connect(wire: Callable[[httpx.Request], httpx.Response], database: str = "odoo18") -> Odoo:
    settings = OdooSettings(
        name="erp",
        url="http://127.0.0.1:8818",
        database=database,
        username="admin",
        api_key=SecretRef("env:ODOO_TEST_KEY"),
    )
    made = odoo.build(settings, transport=httpx.MockTransport(wire))
    made._client.http._sleep = lambda seconds: None
    return made


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODOO_TEST_KEY", "admin")


def test_every_recording_is_driven_or_has_its_reason() -> None:
    listed = sum(exchange.number in REASONS for exchange in ALL)
    assert len(DRIVEN) + listed == TOTAL == 78
    assert set(REASONS) <= {exchange.number for exchange in ALL}
    assert all(REASONS.values())
    assert not {exchange.number for exchange in ALL if exchange.call[1] in READS} & {
        number for number, reason in REASONS.items() if reason in {WRITES, PRIVATE}
    }


@pytest.mark.parametrize("exchange", COMMON, ids=lambda e: e.name)
def test_versions_and_logins(
    exchange: Exchange, record_property: Callable[[str, object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    record_property("exchanges", f"odoo/{TOTAL}")
    database, user, password = (*exchange.body["params"]["args"], "odoo18", "", "admin")[:3]
    if exchange.call[1] == "version":
        wire = Wire(version="19.0")
        way = connect(wire)._client.choose()
        assert (way.protocol, way.version) == ("json2", exchange.answer["result"]["server_serie"])
    else:
        monkeypatch.setenv("ODOO_TEST_KEY", password)
        wire = Wire(BY_NAME["18-34-err-missing"], login=exchange.name)
        assert user == "admin"
        client = connect(wire, database)._client
        if exchange.answer["result"] is False:
            with pytest.raises(RetryLater, match="refuses the login of admin") as caught:
                client.ask("res.partner", "search_count", domain=[])
            assert caught.value.cause == "auth"
        else:
            client.ask("res.partner", "search_count", domain=[])
            assert wire.calls("execute_kw")[0]["params"]["args"][:3] == [database, exchange.answer["result"], password]
    ((asked, body, _),) = [one for one in wire.asked if one[1]["params"]["method"] == exchange.call[1]]
    assert (asked.path, body["params"]) == (exchange.url.path, exchange.body["params"])


@pytest.mark.parametrize("exchange", READ, ids=lambda e: e.name)
def test_driven(
    exchange: Exchange, record_property: Callable[[str, object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    record_property("exchanges", f"odoo/{TOTAL}")
    database, user, password = exchange.login
    monkeypatch.setenv("ODOO_TEST_KEY", password)
    wire = Wire(exchange)
    model, method = exchange.call
    ask = connect(wire, database)._client.ask
    with guarded(Guard()):
        if exchange.number in CAUSES:
            with pytest.raises(RetryLater, match="What to do: ") as caught:
                ask(model, method, **exchange.params)
            assert (caught.value.cause, caught.value.scope) == (CAUSES[exchange.number], "connection")
            assert "Traceback" not in f"{caught.value.message}{caught.value.detail}"
        else:
            answer = ask(model, method, **exchange.params)
            given = exchange.answer if exchange.json2 else exchange.answer.get("result")
            assert answer.result == json.loads(json.dumps(given), parse_float=Decimal)
            assert answer.server_time is not None
            assert answer.server_time.strftime("%d %b %Y %H:%M:%S") in exchange.date
    url, body, headers = wire.asked[-1]
    assert (url.path, headers["content-type"]) == (exchange.url.path, "application/json")
    if exchange.json2:
        assert body == exchange.body
        assert headers["authorization"] == "bearer admin"
        assert headers["x-odoo-database"] == exchange.headers["x-odoo-database"]
    else:
        assert body["params"] == exchange.body["params"]
        assert user == 2
        over = exchange.number == "35-err-bad-password"  # a login that is over is renewed once
        assert (len(wire.calls("execute_kw")), len(wire.calls("login"))) == ((2, 2) if over else (1, 1))


# -- what the recorded answers mean ------------------------------------------------------------------------------------


def test_the_trap_of_the_whole_second() -> None:
    """`>` with the time that Odoo told: 18 gives the same rows again and again, 19 loses what else was in that second."""
    told = "2026-11-22 01:32:23"
    (clause,) = BY_NAME["18-09-partner-changed-exact"].params["domain"]
    assert clause == ["write_date", ">", told]
    again = [row["write_date"] for row in BY_NAME["18-09-partner-changed-exact"].answer["result"]]
    assert told in again
    recorded = BY_NAME["19-09-partner-changed-exact"]
    ((_, sign, since),) = recorded.params["domain"]
    rows = BY_NAME["19-07-partner-search_read"].answer["result"]
    assert {row["write_date"] for row in rows} == {since}
    assert (sign, recorded.answer["result"]) == (">", [])
    client = connect(Wire(BY_NAME["19-36-json2-search_read"]))
    assert client._tables.written_since("", datetime(2026, 11, 22, 1, 37, 13, 999_999, tzinfo=UTC)) == [
        ["write_date", ">=", since]
    ]


def test_the_recorded_partners_map() -> None:
    erp = connect(Wire())
    for row in BY_NAME["19-07-partner-search_read"].answer["result"]:
        whole = {**row, "_number": row["ref"], "_rep": {"id": 5, "ref": "R5"}}
        found = erp.customer(Key("erp", "customer", row["ref"]), dumps(whole).encode())
        assert found.name == row["name"]
        assert [one.rep for one in found.assignments] == (["R5"] if row["user_id"] else [])
        assert found.stamp == moment_of(row["write_date"]) == datetime(2026, 11, 22, 1, 37, 13, tzinfo=UTC)
        assert found.stamp is not None
        assert wire_time(found.stamp + timedelta(microseconds=999_999)) == row["write_date"]


@pytest.mark.parametrize("version", ["18", "19"])
def test_the_recorded_invoice_maps_field_by_field(version: str) -> None:
    (row, *_) = BY_NAME[f"{version}-30-invoice-read"].answer["result"]
    whole = json.loads(json.dumps(row), parse_float=Decimal) | {
        "amount_untaxed": Decimal("120.0"), "amount_tax": Decimal("18.0"), "_customer": "C-001", "move_type": "out_invoice",
    }  # fmt: skip
    found = connect(Wire()).invoice(Key("erp", "invoice", str(row["id"])), dumps(whole).encode())
    assert (found.number, found.customer, found.status, found.currency) == (row["name"], "C-001", "open", "USD")
    assert (found.net, found.tax, found.total) == (Decimal("120.00"), Decimal("18.00"), Decimal("138.00"))
    assert (found.issued, found.due, found.credit) == (date(2026, 11, 22), None, False)


def test_the_recorded_stock_maps() -> None:
    (row,) = BY_NAME["19-25-product-stock"].answer["result"]
    exact = json.loads(json.dumps(row), parse_float=Decimal)
    level = connect(Wire()).stock(Key("erp", "stock", "WH/SKU-1"), dumps({**exact, "_warehouse": "WH"}).encode())
    assert (level.sku, level.on_hand, level.available) == ("SKU-1", Decimal(100), Decimal(97))


@pytest.mark.parametrize("version", ["18", "19"])
def test_the_recorded_products_have_every_field_that_is_read(version: str) -> None:
    known = set(BY_NAME[f"{version}-15-product-fields"].answer["result"])
    assert {*PRODUCT_FIELDS, *STOCK_FIELDS, "is_storable", "product_tmpl_id"} <= known


def test_errors_that_were_recorded_with_writes_are_read_without_their_text() -> None:
    for name in (
        "18-11-lead-convert",
        "19-11-lead-convert",
        "19-26-order-invoice-wizard-forbidden",
        "19-33-err-validation",
    ):
        data = BY_NAME[name].answer["error"]["data"]
        error = error_of(Refusal("erp", *BY_NAME[name].call, data["name"], data["message"]))
        assert isinstance(error, RetryLater)
        assert data["message"] not in str(error)
        assert error.cause == ("auth" if "wizard" in name else "remote 5xx")
    private = BY_NAME["19-45-json2-err-private"].answer
    assert error_of(Refusal("erp", "res.partner", "x", private["name"], private["message"])).error_class is not None


def test_a_method_that_returns_nothing_has_no_result() -> None:
    assert "result" not in BY_NAME["19-19-quant-apply"].answer
    nothing = BY_NAME["19-19-quant-apply"]
    assert connect(Wire(nothing, version="18.0"))._client.ask("stock.quant", "search_read", domain=[]).result is None


def test_archived_contacts_are_seen_by_what_every_call_is_told() -> None:
    hidden, seen = BY_NAME["19-67-archived-hidden"], BY_NAME["19-68-archived-visible"]
    assert (hidden.answer, seen.answer) == (0, 1)
    assert hidden.params["domain"] == seen.params["domain"]
    assert seen.params["context"] == {"active_test": False}
