"""Stock levels out of vtiger, and setting one without harming its product."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.http import guarded
from connectors.roles import Ref, Stocked, Stocking
from connectors.vtiger import VtigerCrm, build
from core.errors import Held
from core.secrets import SecretRef
from sandbox.crm import DEFAULT_ACCESS_KEY, CrmApp, crm_app
from sandbox.serve import running
from tests.contract.vtiger_fakes import FakeVtiger, OpenGuard, connector, settings

RECORDED = Path(__file__).parent.parent / "fixtures" / "vtiger"
LONG_AGO = "2026-01-01 00:00:00"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("VTIGER_TEST_KEY", DEFAULT_ACCESS_KEY)
    with guarded(OpenGuard()):
        yield


class Shelf:
    """A stand-in CRM with products, and a reader of its levels."""

    def __init__(self, app: CrmApp, url: str) -> None:
        self.app, self.url = app, url
        self.crm: VtigerCrm = build(settings(url=url, access_key=SecretRef("env:VTIGER_TEST_KEY"), overlap=2))
        self.cursor: str | None = None
        self.bad: list[str] = []
        self.gone: list[str] = []

    def seed(self, **records: Any) -> dict[str, dict[str, str]]:
        answer = httpx.post(f"{self.url}/sandbox/seed", json=records, trust_env=False)
        assert answer.status_code == 200, answer.text
        found: dict[str, dict[str, str]] = answer.json()
        return found

    def products(self, *products: tuple[str, str], **over: str) -> dict[str, str]:
        """Old ones: their times tell nothing new."""
        elements = [
            {
                "handle": f"{sku}{place}", "productname": f"Name of {sku}", "productcode": sku, "qtyinstock": quantity,
                "unit_price": "9.99", "discontinued": "1", "createdtime": LONG_AGO, "modifiedtime": LONG_AGO, **over,
            }
            for place, (sku, quantity) in enumerate(products)
        ]  # fmt: skip
        return self.seed(products=elements)["products"]

    def read(self, *, full: bool = False) -> dict[str, Decimal]:
        found: dict[str, Decimal] = {}
        for page in self.crm.stock_since(None if full else self.cursor):
            assert not {level.sku for level in page.levels} & found.keys() or not full
            found |= {level.sku: level.on_hand for level in page.levels}
            self.bad += [bad.id for bad in page.bad]
            self.gone += page.gone
            self.cursor = page.cursor
        return found

    def invoice(self, lines: dict[str, str], **over: Any) -> str:
        """Made by somebody in the CRM."""
        account = self.seed(accounts=[{"accountname": f"A{len(self.app.service.store.rows)}"}])["accounts"]
        ((_, account_id),) = account.items()
        element = {
            "subject": "By hand", "account_id": account_id, "bill_street": "x", "ship_street": "x",
            "assigned_user_id": "19x1", "hdnTaxType": "individual", "productid": next(iter(lines)), "currency_id": "21x1",
            "LineItems": [{"productid": id, "quantity": quantity, "listprice": "1"} for id, quantity in lines.items()],
            **over,
        }  # fmt: skip
        id: str = self.app.service.records.create(self.app.service.people.users["admin"], "Invoice", element)["id"]
        return id


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    app = crm_app(seed=False)
    with running(app) as url:
        made = Shelf(app, url)
        yield made
        made.crm.close()


def test_it_plays_both_roles(shelf: Shelf) -> None:
    assert isinstance(shelf.crm, Stocked)
    assert isinstance(shelf.crm, Stocking)


def test_all_levels_once_with_names_and_thresholds(shelf: Shelf) -> None:
    shelf.products(*((f"P-{n}", str(n)) for n in range(230)), reorderlevel="20")
    shelf.products(("P-X", "-3.5"))
    assert shelf.read(full=True) == {f"P-{n}": Decimal(n) for n in range(230)} | {"P-X": Decimal("-3.5")}
    levels = {level.sku: level for page in shelf.crm.stock_since(None) for level in page.levels}
    known, plain = levels["P-7"], levels["P-X"]
    assert (known.name, known.minimum, plain.minimum, str(known.key)) == (
        "Name of P-7",
        Decimal(20),
        None,
        "crm/stock//P-7",
    )


def test_what_has_no_number_of_its_own_or_is_not_sold_any_more_is_no_level(shelf: Shelf) -> None:
    shelf.products(("TWICE", "1"), ("TWICE", "2"), ("ONCE", "3"), ("", "4"))
    shelf.products(("OLD", "5"), discontinued="0")
    assert shelf.read(full=True) == {"ONCE": Decimal(3)}
    assert (shelf.bad, shelf.gone) == (["/TWICE"], ["/OLD"])


def test_a_product_that_is_not_sold_any_more_takes_no_namesake_with_it(shelf: Shelf) -> None:
    ids = shelf.products(("LAMP", "1"), ("LAMP", "7"), ("DESK", "3"))
    admin = shelf.app.service.people.users["admin"]
    shelf.app.service.records.revise(admin, {"id": ids["LAMP0"], "discontinued": "0"})
    assert shelf.read(full=True) == {"LAMP": 7, "DESK": 3}
    shelf.read()
    shelf.bad, shelf.gone = [], []
    shelf.app.service.records.revise(admin, {"id": ids["LAMP0"], "qtyinstock": "2"})
    shelf.app.service.records.revise(admin, {"id": ids["DESK2"], "discontinued": "0"})
    assert shelf.read() == {"LAMP": 7}
    assert (shelf.bad, shelf.gone) == ([], ["/DESK"])


def test_a_change_by_hand_and_goods_that_an_invoice_took(shelf: Shelf) -> None:
    """An invoice moves stock without touching the product's time."""
    ids = shelf.products(("A", "10"), ("B", "10"), ("C", "10"))
    shelf.read(full=True)
    shelf.read()
    shelf.app.service.records.revise(
        shelf.app.service.people.users["apieuro"], {"id": ids["A0"], "qtyinstock": "7", "tax1": "0"}
    )
    assert shelf.read()["A"] == 7
    invoice = shelf.invoice({ids["B1"]: "4"})
    assert shelf.read()["B"] == 6
    shelf.app.service.records.revise(
        shelf.app.service.people.users["admin"], {"id": invoice, "invoicestatus": "Cancel"}
    )
    assert shelf.read()["B"] == 10


def test_taxes_and_prices_survive_a_change_of_the_stock(shelf: Shelf) -> None:
    (id,) = shelf.products(("A", "10"), tax1="19", tax2="0").values()
    before = shelf.crm.stock_of(id)
    assert before is not None
    assert (before.quantity, before.sku, before.by_us) == (Decimal(10), "A", True)
    kept = shelf.app.service.records.retrieve(id)
    assert shelf.crm.set_stock(before, Decimal("7.5")).differences == ()
    after = shelf.app.service.records.retrieve(id)
    names = [name for name in kept if name.startswith(("tax", "currency")) or name == "unit_price"]
    assert {"tax1", "tax2", "tax3", "currency1"} < set(names)
    assert {name: str(after[name]) for name in names} == {name: str(kept[name]) for name in names}
    assert after["qtyinstock"] == "7.500"


def test_what_is_sent_is_what_was_recorded_to_work() -> None:
    """product-taxed-revise-stock-with-tax: with its tax and its price in the currency. What a product had and an answer does not
    show is held, as after product-taxed-revise-stock-only.
    """
    worked, wiped = (
        _recorded(name) for name in ("128-product-taxed-revise-stock-with-tax", "126-product-taxed-revise-stock-only")
    )
    product = worked["response"]["json"]["result"]
    fake = FakeVtiger(
        describe=lambda params: _recorded("007-describe-Products")["response"]["json"]["result"],
        retrieve=lambda params: {**product, "qtyinstock": "6.000"},
        revise=lambda params: product,
    )
    crm = connector(fake)
    before = crm.stock_of("14x48")
    assert before is not None
    assert crm.set_stock(before, Decimal(5)).differences == ()
    (sent,) = fake.of("revise")
    element = json.loads(worked["request"]["form"]["element"])
    assert {name: Decimal(value) for name, value in sent["element"].items() if name != "id"} == {
        name: Decimal(value) for name, value in element.items() if name != "id"
    }
    fake.answers["revise"] = lambda params: wiped["response"]["json"]["result"] | {"qtyinstock": "5.000"}
    lost = crm.set_stock(before, Decimal(5)).differences
    assert {(one.field, one.action) for one in lost} == {("tax1", "hold"), ("currency1", "hold")}
    fake.answers["revise"] = lambda params: {**product, "qtyinstock": "4.000"}
    (other,) = crm.set_stock(before, Decimal(5)).differences
    assert (other.field, other.sent, other.got) == ("qtyinstock", "5", "4.000")


def _recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text("utf-8"))
    return found


def test_what_is_no_product_has_no_stock(shelf: Shelf) -> None:
    service = shelf.seed(services=[{"servicename": "Fitting"}])["services"]["Fitting"]
    (id,) = shelf.products(("A", "10")).values()
    shelf.app.service.records.delete(id)
    assert [shelf.crm.stock_of(one) for one in (service, id, "14x99999", "nonsense", "")] == [None] * 5


def test_a_stock_that_is_no_number_is_held() -> None:
    product = _recorded("128-product-taxed-revise-stock-with-tax")["response"]["json"]["result"]
    fake = FakeVtiger(
        describe=lambda params: _recorded("007-describe-Products")["response"]["json"]["result"],
        retrieve=lambda params: {**product, "qtyinstock": "many"},
    )
    with pytest.raises(Held, match="is no number"):
        connector(fake).stock_of("14x48")


def test_goods_that_invoices_of_an_order_took(shelf: Shelf) -> None:
    ids = shelf.products(("A", "10"), ("B", "10"))
    a, b = ids["A0"], ids["B1"]
    account = shelf.seed(accounts=[{"accountname": "X"}])["accounts"]["X"]
    element = {
        "subject": "S", "sostatus": "Created", "account_id": account, "bill_street": "x", "ship_street": "x",
        "invoicestatus": "AutoCreated", "productid": a, "hdnTaxType": "individual",
        "LineItems": [{"productid": a, "quantity": "1", "listprice": "1"}],
    }  # fmt: skip
    order = Ref(shelf.seed(salesorders=[element])["salesorders"]["S"])
    assert shelf.crm.invoiced_goods(order) == {}
    shelf.invoice({a: "3", b: "1"}, salesorder_id=order.id)
    shelf.invoice({a: "2"}, salesorder_id=order.id)
    shelf.invoice({a: "50"}, salesorder_id=order.id, invoicestatus="Cancel")
    shelf.invoice({a: "50"})
    assert shelf.crm.invoiced_goods(order) == {a: Decimal(5), b: Decimal(1)}


class Race:
    """Ten of an article, which we read and set to eight, and somebody else's invoice over four."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.product, self.other = shelf.products(("A", "10"), ("B", "10")).values()
        self.order = ""

    def invoice(self, product: str = "", **over: Any) -> str:
        return self.shelf.invoice({product or self.product: "4"}, **over)

    def old(self) -> str:
        """One that was made long before."""
        id = self.invoice()
        row = self.shelf.app.service.store.find(id)
        assert row is not None
        self.shelf.app.service.store.change(row, {"createdtime": LONG_AGO, "modifiedtime": LONG_AGO})
        return id

    def says(self, id: str, word: str) -> None:
        service = self.shelf.app.service
        service.records.revise(service.people.users["admin"], {"id": id, "invoicestatus": word})

    def sales_order(self) -> str:
        account = self.shelf.seed(accounts=[{"accountname": "O"}])["accounts"]["O"]
        element = {
            "handle": "o", "subject": "S", "sostatus": "Created", "account_id": account, "bill_street": "x", "ship_street": "x",
            "invoicestatus": "AutoCreated", "productid": self.product, "hdnTaxType": "individual", "currency_id": "21x1",
            "LineItems": [{"productid": self.product, "quantity": "1", "listprice": "10"}],
        }  # fmt: skip
        return self.shelf.seed(salesorders=[element])["salesorders"]["o"]

    def run(
        self, before: Callable[[], object], between: Callable[[], object], after: Callable[[], object]
    ) -> list[Any]:
        before()
        read = self.shelf.crm.stock_of(self.product)
        assert read is not None
        between()
        written = self.shelf.crm.set_stock(read, Decimal(8))
        assert written.differences == ()
        after()
        return list(self.shelf.crm.overtaken(read, written, Decimal(8), Ref(self.order)))


def test_an_invoice_between_our_reading_and_our_writing_is_told(shelf: Shelf) -> None:
    race = Race(shelf)
    (told,) = race.run(lambda: None, race.invoice, lambda: None)
    assert (told.field, told.action) == ("qtyinstock", "hold")
    assert (Decimal(told.sent), Decimal(told.got)) == (Decimal(4), Decimal(8))
    for word in ("INV1", "set to 8", "4 is right", "What to do: "):
        assert word in told.message, told.message


def test_an_invoice_that_was_cancelled_meanwhile_too(shelf: Shelf) -> None:
    race, made = Race(shelf), []
    (told,) = race.run(lambda: made.append(race.old()), lambda: race.says(made[0], "Cancel"), lambda: None)
    assert (Decimal(told.sent), Decimal(told.got)) == (Decimal(12), Decimal(8))


@pytest.mark.parametrize("when", ["before", "between", "after"])
@pytest.mark.parametrize("what", ["nothing", "other goods", "own order", "paid", "taken off what we wrote"])
def test_what_moved_nothing_of_it_is_not_told(shelf: Shelf, what: str, when: str) -> None:
    race = Race(shelf)
    old = race.old()

    def own() -> object:
        race.order = race.sales_order()
        return race.invoice(salesorder_id=race.order)

    does: Callable[[], object] = {
        "nothing": lambda: None,
        "other goods": lambda: race.invoice(race.other),
        "own order": own,
        "paid": lambda: race.says(old, "Paid"),
        "taken off what we wrote": race.invoice,
    }[what]
    if what == "taken off what we wrote" and when != "after":
        does = race.old  # long ago: not in the moment of our writing
    turns = {name: does if name == when else (lambda: None) for name in ("before", "between", "after")}
    assert race.run(turns["before"], turns["between"], turns["after"]) == []
