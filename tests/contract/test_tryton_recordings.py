"""Every recorded exchange with a real Tryton 8.2.1, on SQLite and on PostgreSQL, driven through the connector, or listed with the
reason why not.

The stand-in here answers what was recorded; the connector's request must equal the recorded one in path, method and parameters.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors import tryton
from connectors.http import Call, guarded
from connectors.tryton import Tryton, TrytonSettings
from connectors.tryton.errors import Refusal, error_of
from core.errors import LeaseLost, RetryLater
from core.jsontext import dumps
from core.keys import Key
from core.secrets import SecretRef
from mapping.tryton.wire import moment_of

FIXTURES = Path(__file__).parents[1] / "fixtures" / "tryton"
Json = dict[str, Any]

WRITES = "it writes; of Tryton's records this connector writes none"
KEYS = "keys of user applications: this connector logs in"
REST = "Tryton's REST interface: this connector speaks JSON-RPC, which every Tryton has"
REASONS = {
    "13-sale-create": WRITES,
    "14-sale-quote": WRITES,
    "15-sale-confirm": WRITES,
    "18-error-validation": WRITES,
    "20-userapp-create": KEYS,
    "21-userapp-list": KEYS,
    "22-userapp-validate": KEYS,
    "23-userapp-list2": KEYS,
    "24-rest-party": REST,
    "25-rest-party-default": REST,
    "26-rest-stock": REST,
    "27-rest-create": REST,
    "28-rest-nokey": REST,
    "31-cm-write": WRITES,
    "33-agent-add": WRITES,
    "35-agent-create-direct": WRITES,
    "39-logout": "a session ends by itself; a log-out would end it for every process that shares it",
}
NOT_KEPT = {"sqlite-38-list-methods": "the names of 8,000 methods: this connector asks for none, and the file is large"}


@dataclass(frozen=True)
class Exchange:
    name: str
    path: str
    body: Json
    status: int
    answer: Any
    date: str

    @property
    def number(self) -> str:
        return self.name.partition("-")[2]

    @property
    def content(self) -> bytes:
        return b"" if self.answer == "" else json.dumps(self.answer).encode()


def _exchange(path: Path) -> Exchange:
    raw = json.loads(path.read_text(encoding="utf-8"))
    request, response = raw["request"], raw["response"]
    url = httpx.URL(request["url"])
    return Exchange(
        path.stem, url.path, request["body"] or {}, response["status"], response["body"], response["headers"]["date"]
    )


ALL = [_exchange(path) for path in sorted(FIXTURES.glob("*.json"))]
BY_NAME = {exchange.name: exchange for exchange in ALL}
TOTAL = len(ALL) + len(NOT_KEPT)
DRIVEN = [exchange for exchange in ALL if exchange.number not in REASONS]
LOGINS = [exchange for exchange in DRIVEN if exchange.body["method"] == "common.db.login"]
READS = [exchange for exchange in DRIVEN if exchange not in LOGINS]


class Guard:
    def before_write(self, connection: str, timeout: float) -> None:
        raise LeaseLost("A write. What to do: there must be none.")

    def called(self, call: Call) -> None:
        assert not call.write


class Wire:
    """Answers logins as recorded, everything else from a queue, and keeps what was asked."""

    def __init__(self, *answers: Exchange, login: str = "sqlite-01-login") -> None:
        self.answers, self.login = list(answers), BY_NAME[login]
        self.asked: list[tuple[Json, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        assert (request.method, request.url.path) == ("POST", "/tryton/rpc/")
        assert request.headers["content-type"] == "application/json"
        self.asked.append((body, request.headers.get("authorization", "")))
        answer = self.login if body["method"] == "common.db.login" else self.answers.pop(0)
        return httpx.Response(answer.status, headers={"date": answer.date}, content=answer.content)


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRYTON_TEST_PASSWORD", "admin")


def connect(wire: Callable[[httpx.Request], httpx.Response]) -> Tryton:
    settings = TrytonSettings(
        name="erp",
        url="http://127.0.0.1:8811",
        database="tryton",
        username="admin",
        password=SecretRef("env:TRYTON_TEST_PASSWORD"),
    )
    return tryton.build(settings, transport=httpx.MockTransport(wire))


def test_every_recording_is_driven_or_has_its_reason() -> None:
    assert len(DRIVEN) + sum(exchange.number in REASONS for exchange in ALL) + len(NOT_KEPT) == TOTAL == 67
    assert set(REASONS) <= {exchange.number for exchange in ALL}
    assert all(REASONS.values())


@pytest.mark.parametrize("exchange", LOGINS, ids=lambda e: e.name)
def test_logins(exchange: Exchange, record_property: Callable[[str, object], None]) -> None:
    record_property("exchanges", f"tryton/{TOTAL}")
    wire = Wire(BY_NAME["sqlite-12-find-cust"], login=exchange.name)
    asked = BY_NAME["sqlite-12-find-cust"].body
    assert connect(wire)._client.call(asked["method"], *asked["params"]) == [5]
    (login, nothing), (_, session) = wire.asked
    assert (login["method"], login["params"], nothing) == (exchange.body["method"], exchange.body["params"], "")
    user, token, _ = exchange.answer["result"]
    assert base64.b64decode(session.removeprefix("Session ")).decode() == f"admin:{user}:{token}"


@pytest.mark.parametrize("exchange", READS, ids=lambda e: e.name)
def test_driven(exchange: Exchange, record_property: Callable[[str, object], None]) -> None:
    record_property("exchanges", f"tryton/{TOTAL}")
    wire = Wire(exchange, exchange)
    method, params = exchange.body["method"], exchange.body["params"]
    with guarded(Guard()):
        ask = connect(wire)._client.ask
        if exchange.status == 401 or "error" in exchange.answer:
            with pytest.raises(RetryLater, match="What to do: ") as caught:
                ask(method, *params)
            assert caught.value.cause == ("auth" if exchange.status == 401 else "configuration")
            assert caught.value.scope == "connection"
        else:
            answer = ask(method, *params)
            exact = json.loads(json.dumps(exchange.answer["result"]), parse_float=Decimal)
            assert answer.result == exact
            assert answer.server_time is not None
            assert answer.server_time.strftime("%d %b %Y %H:%M:%S") in exchange.date
    calls = [body for body, _ in wire.asked if body["method"] != "common.db.login"]
    logins = len(wire.asked) - len(calls)
    assert (len(calls), logins) == ((2, 2) if exchange.status == 401 else (1, 1))  # over once, and once more
    assert all((body["method"], body["params"]) == (method, params) for body in calls)


# -- what the recorded answers mean ------------------------------------------------------------------------------------


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_recorded_invoice_maps_field_by_field(database: str) -> None:
    (row,) = BY_NAME[f"{database}-09-invoice"].answer["result"]
    row = {**row, "sales.": [{"id": 1, "number": "1", "reference": "WEB-1001"}]}
    found = connect(Wire()).invoice(Key("erp", "invoice", "1"), dumps(row).encode())
    assert (found.number, found.customer, found.status, found.currency) == ("1", "4", "open", "USD")
    assert (found.net, found.tax, found.total) == (Decimal("120.00"), Decimal("22.80"), Decimal("142.80"))
    assert (found.issued, found.order, found.credit) == (date(2026, 11, 22), "1", False)
    assert found.stamp is not None
    assert found.stamp.utcoffset() is not None


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_recorded_stock_and_products_map(database: str) -> None:
    rows = BY_NAME[f"{database}-08-product-stock"].answer["result"]
    erp = connect(Wire())
    levels = [
        erp.stock(Key("erp", "stock", f"WH/{row['code']}"), dumps({**_exact(row), "_warehouse": "WH"}).encode())
        for row in rows
    ]
    assert [(one.sku, one.on_hand, one.available) for one in levels] == [
        ("SKU-1", Decimal(100), Decimal(97)),
        ("SKU-2", Decimal(25), Decimal(25)),
    ]
    product = erp.product(Key("erp", "product", "SKU-1"), dumps(_exact(rows[0])).encode())
    assert (product.name, product.price, product.active) == ("Widget", None, True)  # list_price reads None over RPC


def _exact(row: Json) -> Json:
    found: Json = json.loads(json.dumps(row), parse_float=Decimal)
    return found


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_recorded_parties_map(database: str) -> None:
    """Booleans are 1 on SQLite and true on PostgreSQL."""
    rows = BY_NAME[f"{database}-03-party-search_read"].answer["result"]
    erp = connect(Wire())
    found = [erp.customer(Key("erp", "customer", row["code"]), dumps(row).encode()) for row in rows]
    assert [one.name for one in found][:4] == ["Example Company", "Rep Anna", "Rep Ben", "Customer 1"]
    assert all(one.active for one in found)
    assert found[3].stamp == max(moment_of(rows[3]["create_date"]), moment_of(rows[3]["write_date"]))  # type: ignore[type-var]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_recorded_agents_become_assignments(database: str) -> None:
    people = {row["id"]: row["party."] for row in BY_NAME[f"{database}-06-agents-dotted"].answer["result"]}
    rows = BY_NAME[f"{database}-05-agent-selections"].answer["result"]
    mine = [{**row, "agent.": {**row["agent."], "party.": people[row["agent"]]}} for row in rows if row["party"] == 4]
    customer = connect(Wire()).customer(
        Key("erp", "customer", "4"), dumps({"code": "4", "id": 4, "agents.": mine}).encode()
    )
    assert [(one.rep, one.rank, one.first, one.last) for one in customer.assignments] == [
        ("2", 0, None, None),
        ("3", 1, None, None),
    ]


def test_the_recorded_party_does_not_know_that_its_email_and_agents_changed() -> None:
    """Why the feed looks at the times of the tables beside the party."""

    def written(name: str) -> datetime | None:
        return moment_of(BY_NAME[f"sqlite-{name}"].answer["result"][0]["write_date"])

    assert (
        written("30-p") == written("32-p") == datetime(2026, 11, 22, 1, 31, 32, 730530, tzinfo=UTC)
    )  # an e-mail was written
    assert written("34-p") == written("36-p")  # an agent row was created
    before, after = (BY_NAME[f"sqlite-{name}"].answer["result"][0]["agents"] for name in ("34-p", "36-p"))
    assert (before, after) == ([4, 5], [4, 5, 6])


def test_the_recorded_validation_error_is_read_without_its_text() -> None:
    """A UserError as PostgreSQL gave it: SQLite took the same record, for it enforces no foreign keys."""
    exchange = BY_NAME["postgresql-18-error-validation"]
    refusal = Refusal("erp", exchange.body["method"], exchange.answer["error"])
    assert refusal.kind == "UserError"
    assert "Customer Payment Term" not in str(error_of(refusal))
    assert BY_NAME["sqlite-18-error-validation"].answer["result"] == [8]
