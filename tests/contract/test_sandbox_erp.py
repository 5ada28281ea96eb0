"""The stand-in ERP answers what the connector for Tryton asks, and so did the real one: its recordings are asked of the stand-in too."""

from __future__ import annotations

import itertools
import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors import tryton
from connectors.roles import ErpKind
from connectors.tryton import Tryton, TrytonSettings
from core.clock import Clock
from core.errors import RetryLater
from core.keys import Key
from core.secrets import SecretRef
from sandbox.erp import DEFAULT_PASSWORD, USERNAME, ErpApp, erp_app
from sandbox.serve import running
from tests.contract.erp_conformance import ErpConformance
from tests.unit.sandbox.conftest import client

FIXTURES = Path(__file__).parents[1] / "fixtures" / "tryton"
SALES = "the stand-in takes no orders"
KEYS = "keys of user applications: nobody of ours uses them"
REST = "Tryton's REST interface: nobody of ours uses it"
REASONS = {
    "10-sale": SALES,
    "13-sale-create": SALES,
    "14-sale-quote": SALES,
    "15-sale-confirm": SALES,
    "16-sale-after": SALES,
    "18-error-validation": "it shows that nothing is validated: a field of the stand-in that is not there is an error",
    "20-userapp-create": KEYS,
    "21-userapp-list": KEYS,
    "22-userapp-validate": KEYS,
    "23-userapp-list2": KEYS,
    "24-rest-party": REST,
    "25-rest-party-default": REST,
    "26-rest-stock": REST,
    "27-rest-create": REST,
    "28-rest-nokey": REST,
    "37-timestamp": "a timestamp for writing without overwriting others: nobody of ours writes",
}
RECORDED = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FIXTURES.glob("*.json"))}
ASKED = {name: one for name, one in RECORDED.items() if name.partition("-")[2] not in REASONS}


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_ERP_PASSWORD", DEFAULT_PASSWORD)


class Moving(Clock):
    """A clock that stands still until it is moved, and a little at every look, so that no two rows have one time."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 22, 9, tzinfo=UTC)

    def now(self) -> datetime:
        self.at += timedelta(microseconds=700)
        return self.at


@contextmanager
def reading(address: str) -> Iterator[Tryton]:
    """A connector for the length of a block."""
    made = connect(address)
    yield made
    made.close()


def connect(address: str, clock: Clock | None = None, **settings: Any) -> Tryton:
    values: dict[str, Any] = {
        "name": "erp", "url": address, "database": "tryton", "username": USERNAME,
        "password": SecretRef("env:SANDBOX_ERP_PASSWORD"), **settings,
    }  # fmt: skip
    made = tryton.build(TrytonSettings.model_validate(values), clock=clock)
    made._client.http._sleep = lambda seconds: None
    return made


class TestErp(ErpConformance):
    """What every ERP connector keeps to holds over the stand-in as it does over the real one."""

    app: ErpApp

    @pytest.fixture(autouse=True)
    def _served(self) -> Iterator[None]:
        self.clock, self._numbers = Moving(), itertools.count(100)
        self.app = erp_app(now=self.clock.now)
        with running(self.app) as self.address:
            yield

    def build(self) -> Tryton:
        with self.app.tables.lock:
            self.app.reset()
            tables = self.app.tables
            for _ in range(2):
                self.add("invoice")
            for row in tables.rows("product.product")[5:]:
                tables.delete("product.product", row["id"])
            self.clock.at += timedelta(days=3)
        return connect(self.address, self.clock, per_page=2)

    def touch(self, kind: ErpKind) -> str:
        tables, number = self.app.tables, next(self._numbers)
        if kind == "customer":
            self.app.staff.add("10017", "R9")
            return "10017"
        if kind == "rep":
            self.app.staff.change_agent("R7", active=True, phone=f"+49 30 {number}")
            return "R7"
        if kind == "invoice":
            tables.write("account.invoice", 1, number=str(number))
            return "1"
        if kind == "product":
            tables.write("product.product", 1, name=f"Thing {number}")
            return "OF-100"
        tables.create("stock.move", product=1, company=1, quantity=number, state="done")
        return "WH/OF-100"

    def add(self, kind: ErpKind) -> str:
        tables, number = self.app.tables, next(self._numbers)
        if kind == "customer":
            tables.create("party.party", code=f"C{number}", name="New")
            return f"C{number}"
        if kind == "rep":
            party = tables.create("party.party", code=f"R{number}", name="New")
            tables.create("commission.agent", party=party, type_="agent", company=1)
            return f"R{number}"
        if kind == "invoice":
            first = tables.get("account.invoice", 1)
            values = {name: first[name] for name in ("state", "type", "party", "company", "currency", "total_amount")}
            return str(tables.create("account.invoice", **values, untaxed_amount=first["untaxed_amount"]))
        template = tables.create("product.template", name="New", type="goods")
        tables.create("product.product", code=f"S{number}", name="New", type="goods", template=template, default_uom=1)
        return f"WH/S{number}" if kind == "stock" else f"S{number}"

    def remove(self, kind: ErpKind) -> str:
        tables = self.app.tables
        model, id = {
            "customer": ("party.party", "10023"), "rep": ("commission.agent", "R9"), "invoice": ("account.invoice", "2"),
            "product": ("product.product", "OF-101"), "stock": ("product.product", "WH/OF-101"),
        }[kind]  # fmt: skip
        code = id.removeprefix("WH/")
        rows = tables.rows(model)
        if kind == "rep":
            rows = [row for row in rows if tables.get("party.party", row["party"])["code"] == code]
        elif kind == "invoice":
            rows = [tables.get(model, int(code))]
        else:
            rows = [row for row in rows if row["code"] == code]
        for row in rows:
            tables.delete(model, row["id"])
        return id


@pytest.mark.parametrize("sqlite", [False, True], ids=["postgresql", "sqlite"])
def test_the_check_finds_nothing_wrong(sqlite: bool) -> None:
    with running(erp_app(sqlite=sqlite)) as address, reading(address) as erp:
        levels = {finding.subject: finding.level for finding in erp.check()}
    assert set(levels.values()) == {"ok"}, levels


def test_a_rep_changed_by_a_person_is_told_with_its_dates() -> None:
    app = erp_app()
    with running(app) as address, client(address) as person, reading(address) as erp:
        *_, last = erp.changes_since("customer", None)
        person.post("/customers/10017/rep", data={"rep": "R9", "from": "2027-02-01"})
        changes = [change for page in erp.changes_since("customer", last.cursor) for change in page.changes]
        raw = next(change.raw for change in changes if change.key.id == "10017")
        told = erp.customer(Key("erp", "customer", "10017"), raw or b"")
    assert [(one.rep, one.first, one.last) for one in told.assignments] == [
        ("R7", None, date(2027, 1, 31)),
        ("R9", date(2027, 2, 1), None),
    ]


def test_a_party_does_not_change_when_a_row_of_its_reps_does() -> None:
    """What makes the simple change feed miss things, as it was recorded (35, 36)."""
    app = erp_app()
    before = app.tables.get("party.party", 5)["write_date"]
    app.staff.add(str(app.tables.get("party.party", 5)["code"]), "R9")
    assert app.tables.get("party.party", 5)["write_date"] == before


def test_a_row_that_is_written_has_a_time_of_its_own() -> None:
    app = erp_app()
    before = {row["id"]: row["write_date"] for row in app.tables.rows("commission.agent.selection")}
    app.staff.give("10031", "R9")
    after = {row["id"]: row["write_date"] for row in app.tables.rows("commission.agent.selection")}
    assert len([id for id in after if after[id] != before[id]]) == 1


def test_who_left_is_archived() -> None:
    app = erp_app()
    with running(app) as address, reading(address) as erp:
        app.staff.change_agent("R7", active=False, email="", phone="+49 30 1", mobile="")
        rep = erp.rep(Key("erp", "rep", "R7"), erp.fetch(Key("erp", "rep", "R7")).raw or b"")
    assert (rep.active, rep.email, rep.phone, rep.mobile) == (False, "", "+49 30 1", "")


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("connection_closed", "timeout/transient"),
        ("rate_limited", "rate limit"),
        ("maintenance", "remote 5xx"),
        ("error_500", "remote 5xx"),
        ("half_answer", "remote 5xx"),
        ("login_refused", "auth"),
        ("not_allowed", "auth"),
        ("busy", "busy"),
    ],
)
def test_every_fault_of_the_dial_is_one_that_the_connector_knows(fault: str, cause: str) -> None:
    app = erp_app()
    app.faults.turn({fault: 1})
    with running(app) as address, reading(address) as erp, pytest.raises(RetryLater, match="What to do: ") as caught:
        list(erp.changes_since("customer", None))
    assert caught.value.cause == cause


def test_a_session_that_is_lost_once_is_renewed() -> None:
    app = erp_app()
    method = "model.party.party.search_read"
    app.faults.turn({"script": [{"fault": "session_lost", "method": method, "times": 1}]})
    with running(app) as address, reading(address) as erp:
        found = [change.key.id for page in erp.changes_since("customer", None) for change in page.changes]
    assert "10017" in found
    assert app.faults.struck == {"session_lost": 1}


# -- the recordings ----------------------------------------------------------------------------------------------------


def _shape(value: Any) -> Any:
    """What an answer looks like, whatever stands in it: names of fields, classes of values; of a list its first entry."""
    if isinstance(value, dict):
        return {name: inner if name == "__class__" else _shape(inner) for name, inner in sorted(value.items())}
    if isinstance(value, list):
        return [_shape(value[0])] if value else []
    return type(value).__name__


def _fits(found: Any, recorded: Any) -> bool:
    """The same shape; where one of the two is empty nothing can be said."""
    if found in (None, [], "NoneType") or recorded in (None, [], "NoneType"):
        return True
    if isinstance(found, dict) and isinstance(recorded, dict):
        return found.keys() == recorded.keys() and all(_fits(found[name], recorded[name]) for name in found)
    if isinstance(found, list) and isinstance(recorded, list):
        return _fits(found[0], recorded[0])
    return bool(found == recorded)


class TestRecordings:
    @pytest.fixture(scope="class")
    @classmethod
    def served(cls) -> Iterator[tuple[ErpApp, httpx.Client]]:
        app = erp_app(password="admin", sqlite=True)
        app.service.username = "admin"
        with running(app) as address, client(address) as http:
            yield app, http

    @pytest.mark.parametrize("name", sorted(ASKED))
    def test_what_was_asked_of_the_real_one(self, served: tuple[ErpApp, httpx.Client], name: str) -> None:
        app, http = served
        app.reset()
        app.tables.sqlite = name.startswith("sqlite")
        request, response = ASKED[name]["request"], ASKED[name]["response"]
        headers = {}
        if name.partition("-")[2] != "19-bad-session" and request["body"]["method"] != "common.db.login":
            login = {"id": 0, "method": "common.db.login", "params": ["admin", {"password": "admin"}, "en"]}
            user, token, _ = http.post("/tryton/rpc/", json=login).json()["result"]
            session = b64encode(f"admin:{user}:{token}".encode()).decode()
            headers["authorization"] = f"Session {session}"
        found = http.post("/tryton/rpc/", json=request["body"], headers=headers)
        assert found.status_code == response["status"]
        assert found.headers["content-type"].split(";")[0] == response["headers"]["content-type"].split(";")[0]
        if found.status_code == 401:
            assert (found.text, found.headers["www-authenticate"]) == ("", response["headers"]["www-authenticate"])
            return
        answer, recorded = found.json(), response["body"]
        assert answer.keys() == recorded.keys()
        if "error" in recorded:
            assert answer == recorded
        elif not name.endswith("preferences"):
            assert _fits(_shape(answer["result"]), _shape(recorded["result"])), answer["result"]

    def test_the_others_are_listed_with_the_reason(self) -> None:
        left = sorted({name.partition("-")[2] for name in RECORDED} - {name.partition("-")[2] for name in ASKED})
        assert left == sorted(REASONS)


# -- promised days -----------------------------------------------------------------------------------------------------


def test_promised_days_are_told_and_told_again_when_they_change() -> None:
    clock = Moving()
    app = erp_app(now=clock.now)
    with running(app) as address, closing(connect(address, clock, kinds=["sale"])) as erp:
        first, second = date(2026, 11, 25), date(2026, 12, 1)
        app.staff.take_order("WEB-1", Decimal("35.64"), first)
        found, cursor = _sales(erp, None)
        assert {reference: promised for reference, (_, promised) in found.items()} == {"WEB-1": first}
        clock.at += timedelta(days=1)
        app.staff.take_order("WEB-2", Decimal("5.00"), None)
        app.staff.promise("WEB-1", second)
        found, cursor = _sales(erp, cursor)
        assert {reference: promised for reference, (_, promised) in found.items()} == {"WEB-1": second, "WEB-2": None}
        assert found["WEB-1"][0] == Decimal("35.64")
        app.staff.cancel("WEB-1")
        assert _sales(erp, cursor)[0]["WEB-1"][1] is None
        with pytest.raises(ValueError, match="There is no sale WEB-9"):
            app.staff.promise("WEB-9", second)


def _sales(erp: Tryton, cursor: str | None) -> tuple[dict[str, tuple[Any, Any]], str]:
    """By reference: the sum, and what was promised."""
    found, last = {}, cursor
    for page in erp.changes_since("sale", cursor):
        last = page.cursor
        for change in page.changes:
            sale = erp.sale(change.key, change.raw or b"")
            found[sale.reference] = (sale.total, sale.promised)
    assert last is not None
    return found, last
