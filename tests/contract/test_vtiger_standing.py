"""What stands in vtiger already: every order listed once, one marked as ours, one taken back. Against the stand-in CRM."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import httpx
import pytest

from connectors.http import guarded
from connectors.roles import Crm, CrmOrderRow, Ref, Stamp
from connectors.vtiger import VtigerCrm, build
from core.errors import Ambiguous, Held, RetryLater
from core.secrets import SecretRef
from mapping.canonical import Address, Lead, Person
from sandbox.crm import DEFAULT_ACCESS_KEY, CrmApp, crm_app
from sandbox.serve import running
from tests.contract.vtiger_fakes import OpenGuard, settings

LEAD = Lead(external_id="l1", company="Firm", person=Person(last_name="Doe"), address=Address(), owner="Sales")
SINCE = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = "2026-03-14 09:26:53"
TYPED = {
    "sostatus": "Created", "invoicestatus": "AutoCreated", "currency_id": "21x1", "hdnTaxType": "group",
    "bill_street": "-", "ship_street": "-", "account_id": "@Firm", "productid": "@A",
    "LineItems": [{"productid": "@A", "quantity": "2", "listprice": "10"}, {"productid": "@A", "quantity": "1", "listprice": "5.5"}],
}  # fmt: skip


class Stand:
    def __init__(self, app: CrmApp, url: str, **changes: Any) -> None:
        self.app, self.url, self.count = app, url, count(1)
        access = {"access_key": SecretRef("env:VTIGER_TEST_KEY"), "username": "apiuser"}
        self.crm: VtigerCrm = build(settings(url=url, **(access | changes)))

    def post(self, what: str, body: Any) -> Any:
        answer = httpx.post(f"{self.url}/sandbox/{what}", json=body, trust_env=False, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def typed(self, *orders: dict[str, Any]) -> list[str]:
        """Orders typed by people; their ids in the same order."""
        rows = [{**TYPED, "subject": f"Typed {n}", "handle": f"order{n}", **own} for n, own in enumerate(orders)]
        made = self.post(
            "seed",
            {
                "products": [{"productname": "A", "productcode": "A", "unit_price": "10"}],
                "accounts": [{"accountname": f"Firm {next(self.count)}", "handle": "Firm"}],
                "salesorders": rows,
            },
        )
        return [made["salesorders"][f"order{n}"] for n in range(len(orders))]

    def queries(self) -> int:
        return int(httpx.get(f"{self.url}/sandbox/calls", trust_env=False).json()["operations"].get("query", 0))

    def listed(self, since: datetime = SINCE) -> list[CrmOrderRow]:
        pages = list(self.crm.all_orders(since))
        assert all(1 <= len(page) <= 100 for page in pages)
        return [row for page in pages for row in page]

    def record(self, id: str) -> Any:
        with self.app.service.store.lock:
            return self.app.service.records.retrieve(id)


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    monkeypatch.setenv("VTIGER_TEST_KEY", DEFAULT_ACCESS_KEY)
    app = crm_app(seed=False)
    with running(app) as url, guarded(OpenGuard()):
        made = Stand(app, url)
        yield made
        made.crm.close()


# -- all orders ------------------------------------------------------------------------------------------------------


def test_a_typed_order_as_it_is_listed(stand: Stand) -> None:
    """Two lines, one row: a query that touches the lines would count them."""
    (id,) = stand.typed(
        {
            "subject": "Web order 1001", "vtiger_purchaseorder": "WEB-1001", "customerno": "K-7", "cf_external_id": "x-1",
            "sostatus": "Approved", "createdtime": SECOND, "modifiedtime": "2026-03-15 10:00:00", "duedate": "2026-03-12",
        }
    )  # fmt: skip
    stand.crm.close()
    stand.crm = Stand(stand.app, stand.url, order_date_field="duedate").crm
    assert isinstance(stand.crm, Crm)
    (row,) = stand.listed()
    assert row == CrmOrderRow(
        ref=Ref(id, "SO1", f"{stand.url}/index.php?module=SalesOrder&view=Detail&record={id.partition('x')[2]}"),
        external_id="x-1",
        subject="Web order 1001",
        purchase_order="WEB-1001",
        customer_number="K-7",
        account_id=row.account_id,
        total=Decimal("25.5"),
        currency="EUR",
        status="Approved",
        placed=date(2026, 3, 12),
        created=datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC),
        modified=datetime(2026, 3, 15, 10, tzinfo=UTC),
    )
    assert stand.record(row.account_id)["accountname"] == "Firm 1"


def test_what_is_not_known_is_left_open(stand: Stand) -> None:
    """No date field, a currency that nobody configured, and an install without our field yet: for the rehearsal."""
    stand.post("reset", {"seed": False, "custom_field": False})
    stand.typed({"createdtime": SECOND})
    stand.crm.close()
    stand.crm = Stand(stand.app, stand.url, currencies={"USD": "21x2"}, purchase_order_field="").crm
    (row,) = stand.listed()
    assert (row.external_id, row.purchase_order, row.currency, row.placed) == ("", "", "", None)


def test_350_orders_of_one_second_in_five_queries_each_once(stand: Stand) -> None:
    ids = stand.typed(*[{"createdtime": SECOND}] * 350)
    before = stand.queries()
    rows = stand.listed()
    assert [row.ref.id for row in rows] == ids
    assert stand.queries() - before in {4, 5}


def test_350_orders_over_a_year_in_four_queries_each_once(stand: Stand) -> None:
    times = [f"2026-{n // 28 + 1:02}-{n % 28 + 1:02} 08:00:00" for n in range(336)]
    random.Random(4).shuffle(times)
    ids = stand.typed(*({"createdtime": time} for time in times))
    wanted = [id for time, id in sorted(zip(times, ids, strict=True)) if time >= f"{SINCE:%Y-%m-%d %H:%M:%S}"]
    before = stand.queries()
    assert [row.ref.id for row in stand.listed()] == wanted
    assert stand.queries() - before <= 4


@pytest.mark.parametrize("seed", range(4))
def test_any_mixture_of_equal_times_is_listed_once(stand: Stand, seed: int) -> None:
    """Seconds with one order and seconds with more than a page, also exactly a page, in any order of ids."""
    dice = random.Random(seed)
    sizes = [1, 3, 100, 99, 120, 2, dice.randint(1, 130)]
    dice.shuffle(sizes)
    times = [f"2026-04-01 08:00:{place:02}" for place, size in enumerate(sizes) for _ in range(size)]
    shuffled = dice.sample(times, len(times))
    ids = stand.typed(*({"createdtime": time} for time in shuffled))
    rows = stand.listed()
    assert sorted(row.ref.id for row in rows) == sorted(ids)
    assert [row.created for row in rows] == sorted(row.created for row in rows)


@pytest.mark.parametrize("times", [[SECOND] * 230, [f"2026-04-01 08:{n // 60:02}:{n % 60:02}" for n in range(230)]])
def test_orders_deleted_and_typed_meanwhile_hide_no_other(stand: Stand, times: list[str]) -> None:
    """Between two pages the last one seen is deleted, so is an early one, and one more is typed."""
    ids = stand.typed(*({"createdtime": time} for time in times))
    pages = stand.crm.all_orders(SINCE)
    first = [row.ref.id for row in next(pages)]
    with stand.app.service.store.lock:
        for id in (first[0], first[-1]):
            stand.app.service.records.delete(id)
    (late,) = stand.typed({"createdtime": "2026-05-01 00:00:00"})
    seen = first + [row.ref.id for page in pages for row in page]
    assert sorted(seen) == sorted([*ids, late])


@pytest.mark.parametrize("skip", range(4))
@pytest.mark.parametrize("times", [[SECOND] * 230, [f"2026-04-01 08:{n // 60:02}:{n % 60:02}" for n in range(230)]])
def test_one_empty_answer_by_a_lie_hides_no_order(stand: Stand, times: list[str], skip: int) -> None:
    """Success with nothing found, at any of the pages: believed, the rest of the orders would be doubled."""
    ids = stand.typed(*({"createdtime": time} for time in times))
    stand.post("faults", {"script": [{"fault": "empty_query", "operation": "query", "skip": skip}]})
    assert sorted(row.ref.id for row in stand.listed()) == sorted(ids)


def test_where_every_answer_is_empty_it_is_an_outage(stand: Stand) -> None:
    stand.typed({"createdtime": SECOND})
    stand.post("faults", {"empty_query": 1})
    with pytest.raises(RetryLater, match="answers every question with nothing"):
        stand.listed()


def test_an_empty_crm_has_no_orders(stand: Stand) -> None:
    assert stand.listed() == []


# -- our external id on an order -----------------------------------------------------------------------------------------


def test_stamping_touches_nothing_else(stand: Stand) -> None:
    (id,) = stand.typed(
        {"hdnS_H_Amount": "7", "description": "as agreed", "createdtime": SECOND, "contact_id": "", "carrier": "UPS"}
    )
    before = stand.record(id)
    written = stand.crm.stamp_order(Ref(id), "shop-order-1")
    assert (written.ref.id, written.ref.number, written.differences) == (id, "SO1", ())
    after = stand.record(id)
    assert {name for name in after if after[name] != before.get(name)} == {
        "cf_external_id",
        "modifiedtime",
        "modifiedby",
    }
    assert after["cf_external_id"] == "shop-order-1"
    assert [found.id for found in stand.crm.find_order("shop-order-1")] == [id]


def test_an_order_that_carries_our_id_already_is_not_written(stand: Stand) -> None:
    (id,) = stand.typed({"cf_external_id": "shop-order-1", "createdtime": SECOND})
    before = stand.record(id)
    assert stand.crm.stamp_order(Ref(id), "shop-order-1").differences == ()
    assert stand.record(id) == before


def test_an_order_that_carries_another_id_is_held(stand: Stand) -> None:
    (id,) = stand.typed({"cf_external_id": "shop-order-2", "createdtime": SECOND})
    with pytest.raises(Held, match="carries another external id") as caught:
        stand.crm.stamp_order(Ref(id), "shop-order-1")
    assert caught.value.error_class == "duplicate/conflict"
    assert stand.record(id)["cf_external_id"] == "shop-order-2"


def test_an_order_that_is_gone_cannot_be_stamped(stand: Stand) -> None:
    with pytest.raises(Held) as caught:
        stand.crm.stamp_order(Ref("6x999"), "shop-order-1")
    assert caught.value.error_class == "missing reference"


def test_without_the_field_nothing_is_stamped(stand: Stand) -> None:
    stand.post("reset", {"seed": False, "custom_field": False})
    (id,) = stand.typed({"createdtime": SECOND})
    with pytest.raises(Held) as caught:
        stand.crm.stamp_order(Ref(id), "shop-order-1")
    assert caught.value.error_class == "configuration"


@pytest.mark.parametrize(("fault", "there"), [("empty_500", ""), ("lost_answer", "shop-order-1")])
def test_a_stamp_without_an_answer_is_ambiguous(stand: Stand, fault: str, there: str) -> None:
    (id,) = stand.typed({"createdtime": SECOND})
    stand.post("faults", {"script": [{"fault": fault, "operation": "revise"}]})
    with pytest.raises(Ambiguous):
        stand.crm.stamp_order(Ref(id), "shop-order-1")
    assert stand.record(id)["cf_external_id"] == there
    assert stand.crm.stamp_order(Ref(id), "shop-order-1").differences == ()  # again is harmless


# -- taking back -----------------------------------------------------------------------------------------------------


def test_who_touched_a_record_last_and_when(stand: Stand) -> None:
    (id,) = stand.typed({"createdtime": SECOND})
    typed = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
    assert stand.crm.record_stamp("order", id) == Stamp(typed, typed, "19x1", ours=False)
    stand.crm.stamp_order(Ref(id), "shop-order-1")
    now = stand.crm.record_stamp("order", id)
    assert now is not None
    assert (now.created, now.by, now.ours) == (typed, "19x5", True)
    assert now.modified > typed


def test_a_record_that_is_deleted_is_gone(stand: Stand) -> None:
    lead = stand.crm.create_lead(LEAD).ref.id
    (order,) = stand.typed({"createdtime": SECOND})
    for kind, id in (("lead", lead), ("order", order)):
        assert stand.crm.record_stamp(kind, id) is not None  # type: ignore[arg-type]
        for _ in range(2):  # the second time there is nothing left: fine
            stand.crm.delete(kind, id)  # type: ignore[arg-type]
        assert stand.crm.record_stamp(kind, id) is None  # type: ignore[arg-type]
    assert stand.listed() == []


def test_a_mixed_up_id_deletes_nobody(stand: Stand) -> None:
    (order,) = stand.typed({"createdtime": SECOND})
    for id in (order, "x", ""):
        with pytest.raises(Held, match="nothing was done"):
            stand.crm.delete("lead", id)
        with pytest.raises(Held, match="nothing was done"):
            stand.crm.record_stamp("invoice", id)
    assert [row.ref.id for row in stand.listed()] == [order]


@pytest.mark.parametrize(("fault", "left"), [("empty_500", 1), ("lost_answer", 0)])
def test_a_delete_without_an_answer_is_ambiguous(stand: Stand, fault: str, left: int) -> None:
    (id,) = stand.typed({"createdtime": SECOND})
    stand.post("faults", {"script": [{"fault": fault, "operation": "delete"}]})
    with pytest.raises(Ambiguous):
        stand.crm.delete("order", id)
    assert len(stand.listed()) == left
