"""What people change in vtiger, found by its times: ties, the cap of 100 rows, late commits, deletions, lies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from connectors.roles import Changing, CrmRow
from connectors.roles.changing import ChangeKind
from connectors.vtiger import VtigerCrm, build
from connectors.vtiger.changes import Position
from core.clock import Clock
from core.errors import RetryLater
from core.secrets import SecretRef
from sandbox.crm import DEFAULT_ACCESS_KEY, CrmApp, crm_app
from sandbox.serve import running
from tests.contract.vtiger_fakes import settings

BASE = datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC)


class Moving(Clock):
    """Our clock, which a test moves."""

    def __init__(self) -> None:
        self.at = BASE

    def now(self) -> datetime:
        return self.at


class Desk:
    """A stand-in CRM, a connector to it, and what a reader keeps of its answers."""

    def __init__(self, app: CrmApp, url: str) -> None:
        self.app, self.url, self.clock = app, url, Moving()
        values = {"url": url, "access_key": SecretRef("env:VTIGER_TEST_KEY"), "overlap": 120}
        self.crm: VtigerCrm = build(settings(**values), clock=self.clock)
        self.cursors: dict[ChangeKind, str] = {}
        self.rows: dict[str, CrmRow] = {}
        made = self.seed(products=[{"productname": "P", "productcode": "P"}], accounts=[{"accountname": "A"}])
        self.product, self.account = made["products"]["P"], made["accounts"]["A"]

    def seed(self, **records: Any) -> dict[str, dict[str, str]]:
        answer = httpx.post(f"{self.url}/sandbox/seed", json=records, trust_env=False)
        assert answer.status_code == 200, answer.text
        found: dict[str, dict[str, str]] = answer.json()
        return found

    def orders(self, *seconds: float) -> list[str]:
        """Orders that were changed last so many seconds after the beginning."""
        elements = [
            {
                "handle": f"h{place}", "subject": f"S{place}", "sostatus": "Created", "account_id": self.account,
                "bill_street": "x", "ship_street": "x", "invoicestatus": "AutoCreated", "productid": self.product,
                "hdnTaxType": "individual", "currency_id": "21x1",
                "LineItems": [{"productid": self.product, "quantity": "1", "listprice": "10"}],
                "createdtime": _text(0), "modifiedtime": _text(second),
            }
            for place, second in enumerate(seconds)
        ]  # fmt: skip
        return list(self.seed(salesorders=elements)["salesorders"].values())

    def touch(self, id: str, second: float, status: str = "Approved") -> None:
        """Somebody changes it at this second."""
        row = self.app.service.store.find(id)
        assert row is not None
        self.app.service.store.change(row, {"sostatus": status, "modifiedtime": _text(second), "modifiedby": "19x5"})

    def delete(self, id: str) -> None:
        self.app.service.records.delete(id)

    def poll(self, kind: ChangeKind = "order") -> list[str]:
        """The ids of one round, in the order in which they came."""
        found: list[str] = []
        for page in self.crm.crm_changes(kind, self.cursors.get(kind)):
            found += [row.ref.id for row in page.rows]
            self.rows |= {row.ref.id: row for row in page.rows}
            self.cursors[kind] = page.cursor
        return found

    def quiet(self) -> None:
        """So long after the last change that nothing can appear behind it any more."""
        self.clock.at += timedelta(seconds=121)
        self.poll()
        self.clock.at += timedelta(seconds=121)
        self.poll()

    def queries(self) -> int:
        answer = httpx.get(f"{self.url}/sandbox/calls", trust_env=False).json()
        httpx.delete(f"{self.url}/sandbox/calls", trust_env=False)
        return int(answer["operations"].get("query", 0))


def _text(second: float) -> str:
    return f"{BASE + timedelta(seconds=second):%Y-%m-%d %H:%M:%S}"


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("VTIGER_TEST_KEY", DEFAULT_ACCESS_KEY)
    app = crm_app(seed=False)
    with running(app) as url:
        made = Desk(app, url)
        yield made
        made.crm.close()


def test_it_plays_the_role(desk: Desk) -> None:
    assert isinstance(desk.crm, Changing)


def test_what_was_before_is_not_told_and_what_changes_is_told_with_its_facts(desk: Desk) -> None:
    old, other = desk.orders(-5000, 0)
    assert desk.poll() == []
    desk.touch(old, 3, "Delivered")
    assert desk.poll() == [other, old]  # the overlap tells the other one as well
    row = desk.rows[old]
    assert (row.status, row.total, row.currency, row.by_us) == ("Delivered", Decimal(10), "EUR", False)
    assert (row.modified, row.ref.number) == (BASE + timedelta(seconds=3), "SO1")


def test_an_unchanged_crm_costs_one_call_a_kind(desk: Desk) -> None:
    desk.orders(*range(250))
    desk.poll()
    desk.quiet()
    desk.queries()
    assert (desk.poll(), desk.queries()) == ([], 1)
    cursor = desk.cursors["order"]
    assert (desk.poll(), desk.queries(), desk.cursors["order"]) == ([], 1, cursor)
    # Three hundred changes in one second, none of which is the last: a settled reader still asks once.
    first = desk.orders(*[400] * 300)[0]
    assert len(desk.poll()) >= 300
    desk.quiet()
    desk.queries()
    assert (desk.poll(), desk.queries()) == ([], 1)
    desk.touch(first, 401)
    assert desk.poll() == [first]


@pytest.mark.parametrize("settled", [False, True])
def test_more_than_a_page_in_one_second_comes_whole(desk: Desk, *, settled: bool) -> None:
    desk.orders(0)
    desk.poll()
    if settled:
        desk.quiet()
    many = desk.orders(*[200] * 230, 201, 201, 202)
    assert set(desk.poll()) >= set(many)


def test_what_is_committed_late_is_told(desk: Desk) -> None:
    """Stamped first, there later: another order of a later second was read already."""
    slow, fast = desk.orders(-4000, 0)
    desk.poll()
    desk.touch(fast, 50)
    assert fast in desk.poll()
    desk.touch(slow, 40)
    assert slow in desk.poll()
    desk.clock.at += timedelta(seconds=100)
    desk.touch(slow, 49, "Cancelled")
    assert slow in desk.poll()
    assert desk.rows[slow].status == "Cancelled"


def test_the_last_row_may_be_deleted(desk: Desk) -> None:
    first, last = desk.orders(0, 10)
    desk.poll()
    desk.quiet()
    desk.delete(last)
    assert last not in desk.poll()
    desk.queries()
    assert (desk.poll(), desk.queries()) == ([], 1)
    desk.touch(first, 500)
    assert desk.poll() == [first]


def test_an_empty_module_and_its_first_record(desk: Desk) -> None:
    assert desk.poll() == desk.poll() == []
    (first,) = desk.orders(3)
    assert desk.poll() == [first]


def test_an_empty_success_is_not_believed(desk: Desk) -> None:
    (first,) = desk.orders(0)
    desk.poll()
    desk.quiet()
    before = desk.cursors["order"]
    desk.touch(first, 500)
    httpx.post(
        f"{desk.url}/sandbox/faults",
        json={"script": [{"fault": "empty_query", "operation": "query"}] * 4},
        trust_env=False,
    ).raise_for_status()
    with pytest.raises(RetryLater):
        desk.poll()
    assert desk.cursors["order"] == before
    httpx.delete(f"{desk.url}/sandbox/faults", trust_env=False)
    assert desk.poll() == [first]


def test_records_by_id_tell_what_is_gone(desk: Desk) -> None:
    ids = desk.orders(*range(120))
    desk.delete(ids[7])
    assert set(desk.crm.crm_rows("order", [*ids, "nonsense"])) == set(ids) - {ids[7]}


@pytest.mark.parametrize(
    "text", ["", "nonsense", "2026-11-20|6x1|3", "2026-11-20 10:00:00|'; --|", "x|6x1|", "|6x1|-4"]
)
def test_a_cursor_that_is_none_begins_anew(text: str) -> None:
    assert Position.parse(text) in {None, Position("", "", None)}


def test_a_cursor_reads_as_it_was_written() -> None:
    for position in (Position("2026-11-20 10:00:00", "6x7", 12), Position("2026-11-20 10:00:00", "", None)):
        assert Position.parse(position.text) == position
