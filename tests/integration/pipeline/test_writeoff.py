"""Goods leave the stock once, whatever says so and however often, and come back when it is undone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.errors import RetryLater
from core.settings import StockSettings
from ledger.goods import Taken
from pipelines import crmpolling
from pipelines.changes import targets
from pipelines.rehearsal import Rehearsal
from pipelines.run import Run
from tests.orders import order
from tests.world import SkippingClock, World, crm

LATER = "2026-11-20T11:00:00"
LATEST = "2026-11-20T12:00:00"
TAXES = {"tax1": "19.000", "tax2": "0.000", "tax3": "0.000"}


class Company:
    """A world whose CRM keeps the stock, and somebody who works in that CRM."""

    def __init__(self, stack: ExitStack, url: str, stock: Mapping[str, Any], **flow: Any) -> None:
        self.app, self.crm_url = stack.enter_context(crm(php=7))
        self.world = stack.enter_context(World(url, self.crm_url, clock=SkippingClock(), shops={"shop": {}}, **flow))
        own = {"name": "lager", "source": "crm", "write_off_from": date(2026, 1, 1), **stock}
        self.world.context.stocks = {"lager": StockSettings(**own)}
        crmpolling.poll(self.world.context, "crm")

    def stock(self, sku: str) -> Decimal:
        return Decimal(self.product(sku)["qtyinstock"])

    def taxes(self, sku: str) -> dict[str, str]:
        """With the price in the base currency, as the CRM tells them."""
        record = self.app.service.records.retrieve(self.product(sku)["id"])
        found = {name: str(value) for name, value in record.items() if name.startswith("tax") and name != "taxclass"}
        return {**found, "price": f"{Decimal(str(record['currency1'])):.2f}"}

    def product(self, sku: str) -> dict[str, Any]:
        (found,) = [row for row in self.world.records("Products") if row["productcode"] == sku]
        return found

    def says(self, number: int, word: str) -> None:
        """A person sets the status of an order in the CRM, and we notice."""
        self.by_hand({"id": self.world.order(number)["id"], "sostatus": word})
        self.notice()

    def by_hand(self, element: Mapping[str, Any]) -> None:
        self.app.service.records.revise(self.app.service.people.users["apieuro"], dict(element))

    def invoice(self, number: int, **over: Any) -> str:
        """A person makes the invoice of an order in the CRM."""
        made = self.world.order(number)
        kept = ("account_id", "bill_street", "ship_street", "assigned_user_id", "currency_id")
        head = {name: made[name] for name in kept} | {"subject": f"By hand {number}", "hdnTaxType": "individual"}
        lines = [{name: line[name] for name in ("productid", "quantity", "listprice")} for line in made["LineItems"]]
        first = {"salesorder_id": made["id"], "productid": lines[0]["productid"], "LineItems": lines}
        user = self.app.service.people.users["apieuro"]
        id: str = self.app.service.records.create(user, "Invoice", {**head, **first, **over})["id"]
        return id

    def notice(self) -> None:
        crmpolling.poll(self.world.context, "crm")
        self.world.drain()

    def off(self) -> tuple[int, int]:
        """What is off the stock of the two articles of the usual order (two and one of them)."""
        return int(1200 - self.stock("OF-100")), int(400 - self.stock("OF-107"))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


@pytest.fixture
def company(stack: ExitStack, url: str) -> Company:
    return Company(stack, url, {})


def test_a_person_says_delivered_and_takes_it_back(company: Company) -> None:
    company.world.carry(order(1))
    assert company.off() == (0, 0)
    before = company.taxes("OF-100")
    company.says(1, "Delivered")
    assert company.off() == (2, 1)
    assert company.taxes("OF-100") == before
    company.notice()
    company.world.carry(order(1, modified=LATER, customer_note="please ring"))
    assert company.off() == (2, 1)
    company.says(1, "Approved")
    assert company.off() == (0, 0)
    assert company.world.job("shop/order/1").state == "settled"


def test_the_stores_word_counts_and_lines_that_change_and_a_cancellation(stack: ExitStack, url: str) -> None:
    company = Company(stack, url, {}, cancel={"shipped": "cancel"})
    company.world.carry(order(1, status="completed"))
    assert company.off() == (2, 1)
    company.world.carry(order(1, [("OF-100", 5, "10.00")], status="completed", modified=LATER))
    assert company.off() == (5, 0)
    company.world.carry(order(1, [("OF-100", 5, "10.00")], status="cancelled", modified=LATEST))
    assert company.off() == (0, 0)


def test_invoice_and_delivered_together_lower_the_stock_once(company: Company) -> None:
    """Made by a person after the write-off, before it, and cancelled again."""
    company.world.carry(order(1))
    company.says(1, "Delivered")
    invoice = company.invoice(1)
    assert company.off() == (4, 2)  # vtiger itself, in this very second
    company.notice()
    assert company.off() == (2, 1)
    company.by_hand({"id": invoice, "invoicestatus": "Cancel"})
    assert company.off() == (0, 0)
    company.notice()
    assert company.off() == (2, 1)
    company.world.carry(order(2))
    company.invoice(2)
    company.says(2, "Delivered")
    assert company.off() == (4, 2)


def test_a_flow_that_makes_invoices_leaves_the_goods_to_them(stack: ExitStack, url: str) -> None:
    company = Company(stack, url, {}, invoices="on_order")
    company.world.carry(order(1, status="completed"))
    company.says(1, "Delivered")
    assert company.off() == (2, 1)
    assert company.world.ledger.goods.of_order("shop-orders", "shop/order/1") == []


def test_what_is_off_by_status_comes_back_when_invoices_take_over(stack: ExitStack, url: str) -> None:
    company = Company(stack, url, {})
    company.world.carry(order(1, status="completed"))
    flow = company.world.context.flows["shop-orders"]
    company.world.context.flows = {"shop-orders": flow.model_copy(update={"invoices": "on_order"})}
    company.world.carry(order(1, status="completed", modified=LATER, customer_note="x"))
    assert company.off() == (2, 1)


@pytest.mark.parametrize(
    ("stock", "off"),
    [
        ({"write_off": "never"}, (0, 0)),
        ({"write_off_on": ("Approved",)}, (2, 1)),
        ({"write_off_on": ("Delivered",)}, (0, 0)),
        ({"write_off_on": ("Approved",), "write_off_from": date(2026, 11, 21)}, (0, 0)),
        ({"write_off_on": ("Approved",), "write_off_from": None}, (0, 0)),
        ({"write_off_on": ("Approved",), "source": "elsewhere"}, (0, 0)),
    ],
)
def test_by_policy(stack: ExitStack, url: str, stock: dict[str, Any], off: tuple[int, int]) -> None:
    """The order was placed on the 20th, long before today."""
    company = Company(stack, url, stock)
    company.world.carry(order(1))
    assert company.off() == off


@pytest.mark.parametrize("fault", ["empty_500", "empty_500_after", "lost_answer"])
def test_a_lost_answer_is_read_back(company: Company, fault: str) -> None:
    company.world.carry(order(1))
    company.by_hand({"id": company.world.order(1)["id"], "sostatus": "Delivered"})
    company.world.faults(script=[{"fault": fault, "operation": "revise", "module": "Products"}])
    company.notice()
    assert company.world.job("shop/order/1").state == "waiting"
    company.world.finish()
    assert (company.off(), company.world.job("shop/order/1").state) == ((2, 1), "settled")


def test_another_order_settles_what_a_lost_answer_left(company: Company) -> None:
    """The same article: its stock would tell nothing any more once the second order had moved it."""
    company.world.carry(order(1))
    company.world.carry(order(2))
    company.by_hand({"id": company.world.order(1)["id"], "sostatus": "Delivered"})
    company.world.faults(script=[{"fault": "lost_answer", "operation": "revise", "module": "Products"}])
    company.notice()
    company.says(2, "Delivered")
    assert company.world.job("shop/order/2").state == "waiting"
    company.world.finish()
    assert company.off() == (4, 2)


def test_what_nobody_can_tell_is_told_to_a_person_once(company: Company) -> None:
    company.world.carry(order(1))
    company.by_hand({"id": company.world.order(1)["id"], "sostatus": "Delivered"})
    company.world.faults(script=[{"fault": "lost_answer", "operation": "revise", "module": "Products"}])
    company.notice()
    (intended,) = company.world.ledger.goods.of_order("shop-orders", "shop/order/1")
    company.by_hand({"id": intended.product_id, "qtyinstock": "777", **TAXES})
    company.world.finish()
    held = company.world.job("shop/order/1")
    assert (held.state, held.field) == ("held", "qtyinstock")
    assert "lowered by" in held.reason and "found at 777" in held.reason  # noqa: PT018 - one sentence
    assert company.world.ledger.jobs.retry(held.id)
    company.world.finish()
    assert company.world.job("shop/order/1").state == "settled"
    assert {row.state for row in company.world.ledger.goods.of_order("shop-orders", "shop/order/1")} == {"done"}
    assert Decimal(777) in {company.stock("OF-100"), company.stock("OF-107")}


def test_a_rehearsal_moves_nothing_and_says_what_it_would(stack: ExitStack, url: str) -> None:
    company = Company(stack, url, {"write_off_on": ("Approved",)}, rehearsing=True)
    company.world.fill_index()
    company.world.deliver(order(1))
    claim = company.world.ledger.jobs.claim("test")
    assert claim is not None
    run = Rehearsal(company.world.context, claim)
    record = company.world.ledger.inbox.record(claim.key)
    assert record is not None
    assert record.raw is not None
    plan = run.plan(company.world.stores["shop"].order(claim.key, record.raw))
    words = [write.words for write in plan.writes if write.operation == "set_stock"]
    assert sorted(words) == ["OF-100: 1200 to 1198", "OF-107: 400 to 399"]
    (first, _) = [one for one in targets(company.world.crm, plan.writes, run) if one.operation == "set_stock"]
    assert [(one.name, one.before, one.after) for one in first.fields] in (
        [("qtyinstock", "1200.000", "1198.000")],
        [("qtyinstock", "400.000", "399.000")],
    )
    assert company.off() == (0, 0)
    assert company.world.ledger.goods.of_order("shop-orders", "shop/order/1") == []


def test_many_orders_of_one_article_at_once(stack: ExitStack, url: str) -> None:
    """A quantity is read, reckoned and written: two at a time would lose one."""
    company = Company(stack, url, {"write_off_on": ("Approved",)})
    company.world.fill_index()
    with company.world.working(threads=4):
        for number in range(1, 13):
            company.world.deliver(order(number, [("OF-100", 2, "10.00")]))
        company.world.settle()
    assert company.off() == (24, 0)
    assert Decimal(company.taxes("OF-100")["tax1"]) == 19


def test_what_another_process_moved_while_this_one_waited_for_its_turn(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease had run out, its movement was done all the same: what was read before the turn is old."""
    company.world.carry(order(1))
    company.by_hand({"id": company.world.order(1)["id"], "sostatus": "Delivered"})
    goods, turn = company.world.ledger.goods, Run.lane
    waited: list[str] = []

    @contextmanager
    def lane(run: Run, kind: str) -> Iterator[None]:
        with turn(run, kind):
            if kind == "stock" and not waited:
                waited.append(kind)
                for sku, off in (("OF-100", 2), ("OF-107", 1)):
                    stock = company.world.crm.stock_of(company.product(sku)["id"])
                    assert stock is not None
                    first = Taken(run.flow.name, "shop/order/1", stock.id, "crm", sku, wanted=Decimal(off))
                    first = replace(first, before=stock.quantity, after=stock.quantity - off)
                    first = goods.intend(first, hold=60)
                    company.world.crm.set_stock(stock, stock.quantity - off)
                    goods.done(first)
            yield

    monkeypatch.setattr(Run, "lane", lane)
    company.notice()
    assert (waited, company.off()) == (["stock"], (2, 1))


def test_goods_that_left_stay_off_when_their_article_is_renamed(company: Company) -> None:
    """Or is not found for another reason: nobody has put them back on the shelf."""
    company.world.carry(order(1))
    company.says(1, "Delivered")
    product = company.product("OF-100")["id"]
    company.by_hand({"id": product, "productcode": "OF-100-OLD", **TAXES})
    company.world.context.products.forget()
    company.notice()
    company.world.carry(order(1, modified=LATER, customer_note="please ring"))
    assert Decimal(company.product("OF-100-OLD")["qtyinstock"]) == 1198


def test_never_also_gives_nothing_back(company: Company) -> None:
    """What was taken off before somebody said "never" is left to whoever keeps the stock now."""
    company.world.carry(order(1))
    company.says(1, "Delivered")
    own = company.world.context.stocks["lager"]
    company.world.context.stocks = {"lager": own.model_copy(update={"write_off": "never"})}
    company.says(1, "Approved")
    assert (company.off(), company.world.job("shop/order/1").state) == ((2, 1), "settled")


def test_an_invoice_in_the_moment_of_our_writing_is_a_persons(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between our reading and our writing: what it took is written over. A person is told once, and nothing moves again."""
    company.world.carry(order(1))
    company.world.carry(order(2, [("OF-100", 2, "10.00")]))
    company.by_hand({"id": company.world.order(1)["id"], "sostatus": "Delivered"})
    write, invoices = type(company.world.crm).set_stock, [2]

    def late(crm: Any, before: Any, quantity: Any) -> Any:
        if before.sku == "OF-100" and invoices:
            company.invoice(invoices.pop())
        return write(crm, before, quantity)

    monkeypatch.setattr(type(company.world.crm), "set_stock", late)
    company.notice()
    held = company.world.job("shop/order/1")
    assert (held.state, held.field) == ("held", "qtyinstock")
    assert "1196 is right" in held.reason
    company.by_hand({"id": company.product("OF-100")["id"], "qtyinstock": "1196", **TAXES})
    assert company.world.ledger.jobs.retry(held.id)
    company.world.drain()
    assert (company.world.job("shop/order/1").state, company.off()) == ("settled", (4, 1))


def test_that_nobody_said_whether_an_invoice_came_between_stops_nothing(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_given: Any) -> Any:
        raise RetryLater("busy. What to do: nothing.", seconds=1, cause="timeout", connection="crm")

    monkeypatch.setattr(type(company.world.crm), "overtaken", silent)
    company.world.carry(order(1))
    company.says(1, "Delivered")
    assert (company.world.job("shop/order/1").state, company.off()) == ("settled", (2, 1))


def test_our_own_writes_wake_nobody_for_ever(company: Company) -> None:
    """Order, invoice and stock are ours: the polls that see them find no news, and what runs again writes nothing."""
    company.world.carry(order(1, status="completed"))
    company.notice()
    before = company.world.job("shop/order/1").wanted
    for _round in range(3):
        company.world.forget_calls()
        company.world.context.clock.skip(30)  # type: ignore[attr-defined]
        assert crmpolling.poll(company.world.context, "crm") == 0
        assert crmpolling.compare(company.world.context, "crm") == 0
        assert company.world.drain() == 0
        assert company.world.writes() == 0
    assert company.world.job("shop/order/1").wanted == before
