"""Orders that stood in the CRM before us: the certain ones are linked, the doubtful ones asked, and nothing is written there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.roles import Ref
from core.errors import Held, NotLive, OrderwireError, RetryLater
from core.keys import Key, external_id
from ledger.runs import RunView
from pipelines import adopt, golive, review
from pipelines.adopt import _Adopting
from pipelines.linking import link_customers
from sandbox.store.woo import WooShop
from tests.orders import order, person
from tests.scenario import ERP_FIELD, SHOP, VAT_FIELD, Scenario, Sizes, scenario, seed_crm, seed_store
from tests.shops import shop
from tests.world import SkippingClock, World

FLOW = "shop-orders"
SINCE = datetime(2025, 11, 1, tzinfo=UTC)
TINY = Sizes(orders=150, accounts=60, typed=50, others=6, days=90)
CRM = {"vat_field": VAT_FIELD, "erp_number_field": ERP_FIELD}
PLACED = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


@dataclass
class Company:
    """A world with a shop that can be asked; `ids`: handle -> id in the CRM."""

    world: World
    face: WooShop
    made: Scenario | None = None
    ids: dict[str, str] | None = None

    @property
    def flow(self) -> Any:
        return self.world.context.flows[FLOW]

    def adopt(self, **over: Any) -> RunView:
        return adopt.adopt(self.world.context, self.flow, SINCE, **over)

    def verdicts(self, run: RunView) -> dict[str, str]:
        return {item.key: item.verdict for item in self.world.ledger.runs.items(run.id, limit=10_000)}

    def links(self) -> dict[str, str]:
        keys = [f"{SHOP}/order/{one['id']}" for one in self.face.orders.values()]
        found = self.world.ledger.links.find("crm", "order", keys)
        return {key: link.remote_id for key, link in found.items() if link.linked}

    def store_order(self, id: int, *, placed: datetime = PLACED, **over: Any) -> dict[str, Any]:
        """An order in the shop, of a customer whom the CRM knows by e-mail."""
        stamp = f"{placed:%Y-%m-%dT%H:%M:%S}"
        given: dict[str, Any] = {"modified": stamp, "date_created_gmt": stamp, "billing": person("Old")}
        made = order(id, **{**given, **over})
        self.face.put(made)
        return made

    def typed(self, handle: str, number: str, total: str = "30.00", *, days: int = 0, **over: Any) -> str:
        """An order that somebody typed into the CRM; its id."""
        account = self.ids or {}
        when = PLACED + timedelta(days=days, hours=2)
        line = {"productid": account["product"], "quantity": "1", "listprice": total}
        row = {
            "handle": handle, "subject": "Web order", "vtiger_purchaseorder": number, "account_id": account["account"],
            "createdtime": f"{when:%Y-%m-%d %H:%M:%S}", "sostatus": "Approved", "invoicestatus": "AutoCreated",
            "currency_id": "21x1", "hdnTaxType": "individual", "bill_street": "-", "ship_street": "-",
            "productid": account["product"], "LineItems": [line], **over,
        }  # fmt: skip
        return self.world.seed(salesorders=[row])["salesorders"][handle]


@contextmanager
def company(make: Callable[..., World], made: Scenario | None = None, **settings: Any) -> Iterator[Company]:
    with shop() as (face, url):
        given = {"rehearsing": True, "clock": SkippingClock(), "crm": CRM, "shops": {SHOP: {"url": url}}, **settings}
        world = make(**given)
        if made is not None:
            ids = seed_crm(world.crm_url, made)
            seed_store(face, made)
        else:
            known = world.seed(
                products=[{"handle": "p", "productname": "Goods", "productcode": "GOODS", "unit_price": "1"}],
                accounts=[{"handle": "a", "accountname": "Old GmbH", "email1": "old@people.example"}],
            )
            ids = {"product": known["products"]["p"], "account": known["accounts"]["a"]}
        world.forget_calls()
        yield Company(world, face, made, ids)


@pytest.fixture
def firm(make: Callable[..., World]) -> Iterator[Company]:
    with company(make) as made:
        yield made


def judge(firm: Company) -> None:
    """No link is wrong; what was typed is linked, or on the list with the right one among the candidates."""
    assert firm.made is not None
    assert firm.ids is not None
    truth = {key: firm.ids[handle] for key, handle in firm.made.truth.orders.items()}
    links = firm.links()
    assert not {key: remote for key, remote in links.items() if truth.get(key) != remote}
    asked = {one.key: {choice.id for choice in one.candidates} for one in firm.world.ledger.reviews.list(kind="order")}
    missed = {key for key, remote in truth.items() if links.get(key) != remote and remote not in asked.get(key, set())}
    assert len(missed) <= len(truth) * 0.01, missed
    assert len(links) >= len(truth) * 0.7
    assert len(set(links.values())) == len(links)


def test_a_company_is_adopted_without_a_wrong_link(make: Callable[..., World], seed: int) -> None:
    with company(make, scenario(seed, TINY)) as firm:
        run = firm.adopt()
        judge(firm)
        assert run.state == "done"
        assert firm.world.writes() == 0
        verdicts = firm.verdicts(run)
        assert len(verdicts) == TINY.orders
        sums = {one.verdict: one for one in firm.world.ledger.runs.sums(run.id)}
        assert sum(one.count for one in sums.values()) == TINY.orders
        totals = sum(Decimal(one["total"]) for one in firm.face.orders.values())
        assert sum(one.amount for one in sums.values()) == totals
        assert run.counts["crm_orders"] == TINY.typed + TINY.others
        # Again, after customers were linked: nothing moves.
        link_customers(firm.world.context, firm.flow, SINCE)
        before = firm.links()
        again = firm.adopt()
        assert again.id != run.id
        assert before.items() <= firm.links().items()
        judge(firm)


def test_it_costs_few_queries(make: Callable[..., World]) -> None:
    with company(make, scenario(11, TINY)) as firm:
        run = firm.adopt()
        made = firm.world.calls()["operations"]
        queries = sum(made.get(name, 0) for name in ("query", "retrieve", "describe", "listtypes", "sync"))
        assert 0 < queries <= run.counts["queries"] <= 20
        assert made.get("retrieve", 0) == 0


def test_what_is_certain_is_linked_and_kept_as_it_is(firm: Company) -> None:
    made = firm.store_order(1017)
    there = firm.typed("one", "1017", made["total"])
    firm.store_order(1018, billing=person("Stranger"))
    run = firm.adopt()
    assert firm.verdicts(run) == {"shop/order/1017": "certain", "shop/order/1018": "none"}
    link = firm.world.ledger.links.get("crm", "order", "shop/order/1017")
    assert link is not None
    assert (link.remote_id, link.origin) == (there, "adopted")
    assert firm.world.ledger.jobs.list() == []
    assert firm.world.ledger.inbox.record(Key(SHOP, "order", "1018")) is None, "whoever brings it brings it as new"
    assert firm.world.writes() == 0


def test_an_order_that_carries_our_id_is_linked_whatever_else_it_says(firm: Company) -> None:
    firm.store_order(1017)
    own = external_id(SHOP, "order", "1017")
    there = firm.typed("one", "", "1.00", days=2, cf_external_id=own)
    firm.adopt()
    assert firm.links() == {"shop/order/1017": there}


def test_two_orders_of_the_store_never_become_one_there(firm: Company) -> None:
    """The same buyer, the same money, two days apart; one without its number is in the CRM."""
    first = firm.store_order(1017)
    firm.store_order(1018, placed=PLACED + timedelta(days=1))
    there = firm.typed("one", "", first["total"], days=1)
    run = firm.adopt()
    assert set(firm.verdicts(run).values()) == {"doubtful"}
    assert firm.links() == {}
    one, two = firm.world.ledger.reviews.list()
    review.decide(firm.world.ledger, one.id, "link", there, by="anna")
    with pytest.raises(OrderwireError, match="already"):
        review.decide(firm.world.ledger, two.id, "link", there, by="anna")
    assert firm.links() == {one.key: there}
    assert firm.world.ledger.reviews.get(two.id).decision == ""  # type: ignore[union-attr]
    firm.adopt()
    assert [one.id for one in firm.world.ledger.reviews.list()] == [], "the other has no candidate left"


def doubtful(firm: Company) -> tuple[int, str]:
    """One question; its id, and the candidate's."""
    made = firm.store_order(1017)
    there = firm.typed("one", "1071", made["total"])
    run = firm.adopt()
    assert firm.verdicts(run) == {"shop/order/1017": "doubtful"}
    (asked,) = firm.world.ledger.reviews.list()
    assert asked.label == f"order 1017, {made['total']} EUR, 2026-03-01"
    assert [one.id for one in asked.candidates] == [there]
    return asked.id, there


def test_a_decision_is_carried_out_and_remembered(firm: Company) -> None:
    asked, there = doubtful(firm)
    number = firm.world.ledger.reviews.get(asked).candidates[0].number  # type: ignore[union-attr]
    review.decide(firm.world.ledger, asked, "link", number, by="anna", note="seen")
    assert firm.links() == {"shop/order/1017": there}
    review.decide(firm.world.ledger, asked, "link", there, by="anna")
    with pytest.raises(OrderwireError, match="undo"):
        review.decide(firm.world.ledger, asked, "new", by="bert")
    assert firm.verdicts(firm.adopt()) == {"shop/order/1017": "decided"}
    assert firm.world.ledger.reviews.list() == []


def test_none_of_them_is_remembered_and_the_order_is_not_created(firm: Company) -> None:
    asked, _ = doubtful(firm)
    review.decide(firm.world.ledger, asked, "new", by="anna")
    assert firm.verdicts(firm.adopt()) == {"shop/order/1017": "decided"}
    golive.go_live(firm.world.ledger, FLOW, PLACED + timedelta(days=3), by="test")
    firm.world.deliver(firm.store_order(1017, modified="2026-03-09T08:00:00", status="completed"))
    firm.world.drain()
    assert firm.world.job("shop/order/1017").error_class == "rule before start"
    assert firm.world.counts("SalesOrder") == (1,)


def test_an_order_that_is_none_of_them_stands_in_nobodys_way(firm: Company) -> None:
    """Two orders of one purchase-order number, one of them typed in: once a person rules the first out, it is the second."""
    first = firm.store_order(1017, meta={"po_number": "PO-7788"})
    firm.store_order(1018, meta={"po_number": "PO-7788"})
    there = firm.typed("one", "PO-7788", first["total"])
    assert set(firm.verdicts(firm.adopt()).values()) == {"doubtful"}
    asked = firm.world.ledger.reviews.list()[0]
    review.decide(firm.world.ledger, asked.id, "new", by="anna")
    firm.adopt()
    (other,) = {"shop/order/1017", "shop/order/1018"} - {asked.key}
    assert firm.links() == {other: there}


def test_a_decision_holds_although_its_link_was_never_made(firm: Company) -> None:
    """The process died right after the answer was committed."""
    asked, there = doubtful(firm)
    assert firm.world.ledger.reviews.decide(asked, "link", there, by="anna")
    assert firm.links() == {}
    firm.adopt()
    assert firm.links() == {"shop/order/1017": there}


def test_a_decision_is_taken_back(firm: Company) -> None:
    asked, there = doubtful(firm)
    with pytest.raises(OrderwireError, match="open"):
        review.undo(firm.world.context, asked, by="anna")
    review.decide(firm.world.ledger, asked, "link", there, by="anna")
    review.undo(firm.world.context, asked, by="anna")
    assert firm.links() == {}
    assert [one.id for one in firm.world.ledger.reviews.list()] == [asked]
    review.decide(firm.world.ledger, asked, "new", by="anna")
    review.undo(firm.world.context, asked, by="anna")
    assert firm.verdicts(firm.adopt()) == {"shop/order/1017": "doubtful"}


def test_a_decision_on_which_something_was_built_stays(firm: Company) -> None:
    asked, there = doubtful(firm)
    review.decide(firm.world.ledger, asked, "link", there, by="anna")
    golive.go_live(firm.world.ledger, FLOW, PLACED + timedelta(days=3), by="test")
    firm.world.deliver(firm.store_order(1017, modified="2026-03-09T08:00:00", status="completed"))
    firm.world.drain()
    assert firm.world.job("shop/order/1017").state == "settled"
    with pytest.raises(OrderwireError, match="brought up to date"):
        review.undo(firm.world.context, asked, by="anna")
    assert firm.links() == {"shop/order/1017": there}


def test_a_decision_after_which_both_sides_were_changed_alike_stays(firm: Company) -> None:
    """Nothing was written, but the link speaks of another state now."""
    asked, there = doubtful(firm)
    review.decide(firm.world.ledger, asked, "link", there, by="anna")
    golive.go_live(firm.world.ledger, FLOW, PLACED + timedelta(days=3), by="test")
    same_money = [("OF-100", 1, "20.00"), ("OF-107", 1, "5.50")]
    firm.world.forget_calls()
    firm.world.deliver(firm.store_order(1017, modified="2026-03-09T08:00:00", lines=same_money))
    firm.world.drain()
    assert (firm.world.job("shop/order/1017").state, firm.world.writes()) == ("settled", 0)
    with pytest.raises(OrderwireError, match="brought up to date"):
        review.undo(firm.world.context, asked, by="anna")


def test_a_decision_wakes_the_order_that_was_passed_over(firm: Company) -> None:
    asked, there = doubtful(firm)
    golive.go_live(firm.world.ledger, FLOW, PLACED + timedelta(days=3), by="test")
    firm.world.deliver(firm.store_order(1017, modified="2026-03-09T08:00:00", status="completed"))
    firm.world.drain()
    assert firm.world.job("shop/order/1017").state == "skipped"
    review.decide(firm.world.ledger, asked, "link", there, by="anna")
    firm.world.drain()
    assert firm.world.job("shop/order/1017").state == "settled"
    assert firm.world.counts("SalesOrder") == (1,)


@pytest.mark.parametrize(("answer", "orders"), [("link", 1), ("new", 2)])
def test_an_open_question_about_an_order_of_our_time_is_not_answered_by_creating_it(
    firm: Company, answer: Any, orders: int
) -> None:
    """Somebody may have typed it on the very day of going live."""
    asked, there = doubtful(firm)
    golive.go_live(firm.world.ledger, FLOW, PLACED - timedelta(days=1), by="test")
    firm.world.deliver(firm.store_order(1017, modified="2026-03-09T08:00:00"))
    firm.world.drain()
    assert firm.world.job("shop/order/1017").state == "held"
    assert firm.world.counts("SalesOrder") == (1,)
    review.decide(firm.world.ledger, asked, answer, there if answer == "link" else "", by="anna")
    firm.world.drain()
    assert firm.world.job("shop/order/1017").state == "settled", firm.world.job("shop/order/1017").reason
    assert firm.world.counts("SalesOrder") == (orders,)


def test_an_adopted_order_that_is_edited_later(firm: Company) -> None:
    """Its words follow the store, its money is held with both sides; the lines that somebody typed stay."""
    made = firm.store_order(1017)
    there = firm.typed("one", "1017", made["total"])
    firm.adopt()
    golive.go_live(firm.world.ledger, FLOW, PLACED + timedelta(days=3), by="test")
    firm.world.forget_calls()
    firm.world.deliver(made)
    firm.world.drain()
    assert firm.world.ledger.jobs.list() == [], "the state that was adopted is no news"
    firm.world.deliver(firm.store_order(1017, modified="2026-03-09T08:00:00", status="cancelled"))
    firm.world.drain()
    (row,) = firm.world.records("SalesOrder")
    assert (row["id"], row["sostatus"]) == (there, "Cancelled")
    assert row["LineItems"][0]["productid"] == firm.ids["product"]  # type: ignore[index]
    changed: dict[str, Any] = {
        "modified": "2026-03-10T08:00:00",
        "status": "cancelled",
        "lines": [("OF-100", 9, "10.00")],
    }
    firm.world.deliver(firm.store_order(1017, **changed))
    firm.world.drain()
    job = firm.world.job("shop/order/1017")
    assert (job.state, job.error_class) == ("held", "changed on both sides")
    assert firm.world.counts("SalesOrder") == (1,)


def test_what_was_rehearsed_before_it_was_adopted_writes_nothing(firm: Company) -> None:
    """The store told of the order while the flow was rehearsed; then it was found in the CRM."""
    made = firm.store_order(1017)
    firm.typed("one", "1017", made["total"])
    firm.world.deliver(made)
    firm.world.drain()
    assert firm.world.job("shop/order/1017").state == "waiting"
    firm.adopt()
    golive.go_live(firm.world.ledger, FLOW, PLACED - timedelta(days=3), by="test")
    firm.world.forget_calls()
    firm.world.drain()
    assert firm.world.job("shop/order/1017").state == "settled"
    assert firm.world.writes() == 0
    assert firm.world.counts("SalesOrder") == (1,)


def test_it_keeps_to_the_budget_of_calls_behind_live_orders(make: Callable[..., World]) -> None:
    """Half of the bucket is kept for live orders, so that adopting waits for each of its calls after the first few."""
    with company(make, crm={**CRM, "rate": 20, "burst": 2}) as firm:
        for id in range(1017, 1027):
            made = firm.store_order(id)
            firm.typed(f"t{id}", str(id), made["total"])
        began = time.monotonic()
        run = firm.adopt()
        assert set(firm.verdicts(run).values()) == {"certain"}
        assert time.monotonic() - began > (run.counts["queries"] - 4) / 20


# -- writing back --------------------------------------------------------------------------------------------------


def stamps(firm: Company) -> list[str]:
    return [row["cf_external_id"] for row in firm.world.records("SalesOrder")]


def test_external_ids_are_written_only_when_the_flow_is_live(make: Callable[..., World]) -> None:
    with company(make, write_back=True) as firm:
        made = firm.store_order(1017)
        firm.typed("one", "1017", made["total"])
        run = firm.adopt()
        assert stamps(firm) == [""]
        assert firm.world.writes() == 0
        assert run.counts["unstamped"] == 1
        assert "once the flow is live" in run.summary
        golive.go_live(firm.world.ledger, FLOW, PLACED + timedelta(days=3), by="test")
        run = firm.adopt()
        assert (run.counts["stamped"], run.counts["unstamped"], run.counts["writes"]) == (1, 0, 1)
        assert stamps(firm) == [external_id(SHOP, "order", "1017")]
        firm.world.forget_calls()
        assert firm.adopt().counts["stamped"] == 0
        assert firm.world.writes() == 0


def test_without_write_back_nothing_is_written_by_a_live_flow(firm: Company) -> None:
    made = firm.store_order(1017)
    firm.typed("one", "1017", made["total"])
    golive.go_live(firm.world.ledger, FLOW, PLACED + timedelta(days=3), by="test")
    assert firm.adopt().summary == ""
    assert stamps(firm) == [""]


@pytest.mark.parametrize(("write_back", "live", "error"), [(True, False, NotLive), (False, True, OrderwireError)])
def test_the_transport_refuses_what_slips_through(
    make: Callable[..., World], write_back: bool, live: bool, error: type[Exception]
) -> None:
    """Whatever adopting believes: the guard stands in the transport."""
    with company(make, write_back=write_back) as firm:
        made = firm.store_order(1017)
        there = firm.typed("one", "1017", made["total"])
        firm.adopt()
        if live:
            golive.go_live(firm.world.ledger, FLOW, PLACED, by="test")
        link = firm.world.ledger.links.get("crm", "order", "shop/order/1017")
        assert link is not None
        work = _Adopting(firm.world.context, firm.flow, 1)
        firm.world.forget_calls()
        with work.clerk.at_work(), work.clerk.lane(), pytest.raises(error):
            firm.world.crm.stamp_order(Ref(there), external_id(SHOP, "order", "1017"))
        assert firm.world.writes() == 0
        assert stamps(firm) == [""]


def test_an_order_that_carries_another_id_is_left_alone(make: Callable[..., World], monkeypatch: Any) -> None:
    with company(make, write_back=True) as firm:
        made = firm.store_order(1017)
        firm.typed("one", "1017", made["total"])
        firm.adopt()
        golive.go_live(firm.world.ledger, FLOW, PLACED, by="test")

        def refuse(*_: Any) -> Any:
            raise Held("It carries another id. What to do: look.", error_class="duplicate/conflict")

        monkeypatch.setattr(firm.world.crm, "stamp_order", refuse)
        run = firm.adopt()
        assert (run.state, run.counts["stamped"], run.counts["unstamped"]) == ("done", 0, 1)


# -- interrupted ---------------------------------------------------------------------------------------------------


def test_it_goes_on_where_it_was_interrupted(make: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    with company(make, scenario(5, TINY)) as firm:
        monkeypatch.setattr(adopt, "CHUNK", 20)
        settle, count = _Adopting._settle, 0

        def then_the_light_goes_out(self: Any, *given: Any) -> None:
            nonlocal count
            settle(self, *given)
            count += 1
            if count == 3:
                raise KeyboardInterrupt

        monkeypatch.setattr(_Adopting, "_settle", then_the_light_goes_out)
        with pytest.raises(KeyboardInterrupt):
            firm.adopt()
        monkeypatch.setattr(_Adopting, "_settle", settle)
        half = firm.links()
        (broken,) = firm.world.ledger.runs.list(kind="adopt")
        assert half
        assert len(firm.verdicts(broken)) == 60
        run = firm.adopt()
        assert run.id == broken.id
        assert run.state == "done"
        assert half.items() <= firm.links().items()
        assert len(firm.verdicts(run)) == TINY.orders
        assert {key for key, verdict in firm.verdicts(run).items() if verdict == "certain"} == set(firm.links())
        judge(firm)


def test_an_outage_stops_it_and_says_so(firm: Company) -> None:
    firm.store_order(1017)
    firm.world.faults(maintenance=1.0)
    with pytest.raises(RetryLater):
        firm.adopt()
    (run,) = firm.world.ledger.runs.list(kind="adopt")
    assert (run.state, bool(run.summary)) == ("stopped", True)
