"""Customers of the store, of the ERP and of the CRM: linked where certain, asked where doubtful, and what orders make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from console.adopt import erp_rows
from core.errors import OrderwireError
from ledger.runs import Item, RunView
from mapping.likeness import erp_customer
from pipelines import linking, review
from sandbox.store.woo import WooShop
from tests.orders import order, person
from tests.scenario import ERP_FIELD, SHOP, VAT_FIELD, Sizes, scenario, seed_crm, seed_store
from tests.shops import shop
from tests.world import SkippingClock, World

FLOW = "shop-orders"
SINCE = datetime(2025, 11, 1, tzinfo=UTC)
TINY = Sizes(orders=200, accounts=90, typed=0, others=0, days=60)
CRM = {"vat_field": VAT_FIELD, "erp_number_field": ERP_FIELD}
NORA = person("Nora", company="Neue Firma GmbH", email="nora@neu.example", phone="+49 30 7777777")
VAT = "DE136695976"


@contextmanager
def firm(make: Callable[..., World], **settings: Any) -> Iterator[tuple[World, WooShop]]:
    with shop() as (face, url):
        given = {"clock": SkippingClock(), "crm": CRM, "shops": {SHOP: {"url": url}}, **settings}
        yield make(**given), face


@pytest.fixture
def pair(make: Callable[..., World]) -> Iterator[tuple[World, WooShop]]:
    with firm(make) as made:
        yield made


def link(world: World, **over: Any) -> RunView:
    world.forget_calls()
    run = linking.link_customers(world.context, world.context.flows[FLOW], SINCE, **over)
    assert world.writes() == 0
    return run


def items(world: World, run: RunView) -> dict[str, Item]:
    return {item.key: item for item in world.ledger.runs.items(run.id, limit=10_000)}


def accounts(world: World, *, among: str = "") -> dict[str, str]:
    return {row["accountname"]: row["id"] for row in world.records("Accounts") if among in row["accountname"]}


def placed(face: WooShop, id: int, billing: Any = NORA, **over: Any) -> dict[str, Any]:
    made = order(id, billing=billing, **over)
    face.put(made)
    return made


def test_a_company_is_linked_without_a_wrong_customer(make: Callable[..., World], seed: int) -> None:
    made = scenario(seed, TINY)
    with firm(make, rehearsing=True) as (world, face):
        ids = seed_crm(world.crm_url, made)
        seed_store(face, made)
        run = link(world)
        truth = {key: {ids[handle] for handle in handles} for key, handles in made.truth.customers.items()}
        found = items(world, run)
        certain = {key: item.facts["account"] for key, item in found.items() if item.verdict == "certain"}
        assert not {key: account for key, account in certain.items() if account not in truth[key]}
        asked = {one.facts["customer"]: {c.id for c in one.candidates} for one in world.ledger.reviews.list()}
        new = [key for key, item in found.items() if item.verdict == "new"]
        lost = [key for key in new if truth[key]]
        lost += [key for key, choices in asked.items() if truth[key] and not truth[key] & choices]
        assert len(lost) <= 0.02 * len(found), lost
        assert len(certain) > len(found) * 0.2
        doubles = {frozenset(item.facts["accounts"]) for item in found.values() if item.verdict == "double"}
        assert doubles == {frozenset(ids[handle] for handle in one) for one in made.truth.doubles}
        queries = world.calls()["operations"].get("query", 0)
        assert 0 < queries <= run.counts["queries"] <= 15
        again = link(world)
        assert again.id != run.id
        verdicts = {item.verdict for item in items(world, again).values()}
        assert verdicts <= {"linked", "certain", "doubtful", "new", "double"}


def test_linked_customers_are_found_by_their_orders(pair: tuple[World, WooShop]) -> None:
    """Another name and another telephone, the same VAT number: the order goes to that account, and nobody is made twice."""
    world, face = pair
    made = world.seed(accounts=[{"accountname": "Alte Firma AG", VAT_FIELD: VAT}])["accounts"]["Alte Firma AG"]
    raw = placed(face, 1, meta={"vat_number": VAT})
    face.put(order(2, billing=NORA, meta={"vat_number": VAT}))
    run = link(world)
    assert [item.verdict for item in items(world, run).values()] == ["doubtful"], "another company name contradicts"
    (asked,) = world.ledger.reviews.list()
    review.decide(world.ledger, asked.id, "link", made, by="anna")
    keys = world.ledger.links.find("crm", "customer", [f"vat/{VAT}", "email/nora@neu.example"])
    assert {key: one.refs for key, one in keys.items()} == {f"vat/{VAT}": {"account": made}}
    world.carry(raw)
    world.carry(order(2, billing=NORA, meta={"vat_number": VAT}))
    assert world.counts("Accounts", "Contacts", "SalesOrder") == (1, 1, 2)
    assert {row["account_id"] for row in world.records("SalesOrder")} == {made}
    assert items(world, link(world))[f"{SHOP}/guest/1"].verdict == "decided"


def test_a_certain_one_with_its_contact_is_linked_whole(pair: tuple[World, WooShop]) -> None:
    world, face = pair
    made = world.seed(accounts=[{"accountname": "Neue Firma GmbH"}])["accounts"]["Neue Firma GmbH"]
    world.seed(contacts=[{"lastname": "Tester", "account_id": made, "email": "NORA@neu.example"}])
    raw = placed(face, 1, customer_id=12)
    run = link(world)
    (item,) = items(world, run).values()
    assert (item.key, item.verdict, item.facts["account"]) == (f"{SHOP}/customer/12", "certain", made)
    assert sorted(item.facts["linked"]) == ["email/nora@neu.example", f"store/{SHOP}/customer/12"]
    assert world.carry(raw).state == "settled"
    assert world.counts("Accounts", "Contacts") == (1, 1)
    assert items(world, link(world))[f"{SHOP}/customer/12"].verdict == "linked"


def test_without_a_contact_the_person_is_left_to_the_order(pair: tuple[World, WooShop]) -> None:
    """The account has the e-mail address itself: the first order makes the contact, the second finds it."""
    world, face = pair
    made = world.seed(accounts=[{"accountname": "Neue Firma GmbH", "email1": "nora@neu.example"}])
    account = made["accounts"]["Neue Firma GmbH"]
    raw = placed(face, 1, customer_id=12)
    (item,) = items(world, link(world)).values()
    assert (item.verdict, item.facts["linked"]) == ("certain", [f"store/{SHOP}/customer/12"])
    world.carry(raw)
    world.carry(order(2, billing=NORA, customer_id=12))
    assert world.counts("Accounts", "Contacts", "SalesOrder") == (1, 1, 2)
    links = world.ledger.links.find("crm", "customer", ["email/nora@neu.example", f"store/{SHOP}/customer/12"])
    assert {one.refs["account"] for one in links.values()} == {account}
    assert len(links) == 2


def two(world: World) -> dict[str, str]:
    """Two accounts with the same e-mail address."""
    both = [{"accountname": name, "email1": "nora@neu.example"} for name in ("Firma A", "Firma B")]
    return world.seed(accounts=both)["accounts"]


def test_an_order_that_several_customers_fit_is_asked_for(world: World) -> None:
    ids = two(world)
    world.carry(order(1, billing=NORA))
    world.carry(order(2, billing=NORA))
    assert {world.job(f"shop/order/{n}").state for n in (1, 2)} == {"held"}
    (asked,) = world.ledger.reviews.list()
    assert {one.id for one in asked.candidates} == set(ids.values())
    assert "review list" in world.job("shop/order/1").reason
    review.decide(world.ledger, asked.id, "link", ids["Firma B"], by="anna")
    world.drain()
    assert {world.job(f"shop/order/{n}").state for n in (1, 2)} == {"settled"}
    assert {row["account_id"] for row in world.records("SalesOrder")} == {ids["Firma B"]}
    assert world.counts("Accounts", "Contacts", "SalesOrder") == (2, 1, 2)
    with pytest.raises(OrderwireError, match="went to"):
        review.undo(world.context, asked.id, by="anna")


def test_a_customer_who_is_none_of_them_is_made_new(world: World) -> None:
    two(world)
    world.carry(order(1, billing=NORA))
    (asked,) = world.ledger.reviews.list()
    review.decide(world.ledger, asked.id, "new", by="anna")
    world.drain()
    assert world.job("shop/order/1").state == "settled"
    world.carry(order(2, billing=NORA))
    assert world.counts("Accounts", "Contacts", "SalesOrder") == (3, 1, 2)
    with pytest.raises(OrderwireError, match="went to"):
        review.undo(world.context, asked.id, by="anna")


def test_a_guest_whom_a_person_called_new_is_made_although_guests_are_held(make: Callable[..., World]) -> None:
    world = make(guests="hold")
    two(world)
    world.carry(order(1, billing=NORA))
    (asked,) = world.ledger.reviews.list()
    review.decide(world.ledger, asked.id, "new", by="anna")
    world.drain()
    assert world.job("shop/order/1").state == "settled"


def test_a_decision_about_a_customer_is_taken_back(world: World) -> None:
    """Nothing was built on it: the order that was held is still held when it is asked again."""
    ids = two(world)
    world.carry(order(1, billing=NORA, meta={"vat_number": VAT}))
    world.carry(order(2, billing=NORA))
    asked, other = world.ledger.reviews.list()
    assert (asked.key, other.key) == (f"vat/{VAT}", "email/nora@neu.example"), "one for each strongest identity"
    review.decide(world.ledger, asked.id, "link", ids["Firma A"], by="anna")
    assert world.ledger.links.get("crm", "customer", f"vat/{VAT}") is not None
    review.undo(world.context, asked.id, by="anna")
    assert world.ledger.links.get("crm", "customer", f"vat/{VAT}") is None
    world.drain()
    assert world.counts("SalesOrder") == (0,)
    assert [one.id for one in world.ledger.reviews.list()] == [asked.id, other.id]


def test_a_customer_who_was_made_since_is_not_asked_for_again(world: World) -> None:
    """The account is there although its order is not."""
    two(world)
    world.carry(order(1, billing=NORA))
    (asked,) = world.ledger.reviews.list()
    review.decide(world.ledger, asked.id, "new", by="anna")
    world.ledger.links.adopt("crm", "customer", [asked.key], "11x77", refs={"account": "11x77", "contact": "12x78"})
    with pytest.raises(OrderwireError, match="went to 11x77"):
        review.undo(world.context, asked.id, by="anna")


def test_a_decided_account_that_is_gone_holds_the_order(world: World) -> None:
    ids = two(world)
    world.carry(order(1, billing=NORA))
    (asked,) = world.ledger.reviews.list()
    world.ledger.reviews.decide(asked.id, "link", "11x99999", by="anna")
    world.ledger.jobs.retry(world.job("shop/order/1").id)
    world.drain()
    job = world.job("shop/order/1")
    assert (job.state, job.error_class) == ("held", "missing reference")
    assert f"review undo {asked.id}" in job.reason
    assert ids


def test_only_an_account_can_be_chosen(world: World) -> None:
    ids = two(world)
    other = world.seed(accounts=[{"accountname": "Third"}])["accounts"]["Third"]
    world.carry(order(1, billing=NORA))
    (asked,) = world.ledger.reviews.list()
    with pytest.raises(OrderwireError, match="no account"):
        review.decide(world.ledger, asked.id, "link", "11x99999", by="anna")
    assert world.ledger.reviews.get(asked.id).decision == ""  # type: ignore[union-attr]
    world.fill_index()
    review.decide(world.ledger, asked.id, "link", other, by="anna")
    world.drain()
    assert world.order(1)["account_id"] == other
    assert ids


def test_a_rehearsed_order_asks_nobody(make: Callable[..., World]) -> None:
    """The list holds what `link customers` asks, not what a rehearsal imagines."""
    world = make(rehearsing=True)
    two(world)
    assert "Several customers" in world.carry(order(1, billing=NORA)).reason
    assert world.ledger.reviews.list() == []


# -- the ERP's list ------------------------------------------------------------------------------------------------


def test_the_erps_list_names_accounts(pair: tuple[World, WooShop], tmp_path: Path) -> None:
    world, face = pair
    made = world.seed(accounts=[{"accountname": "Neue Firma GmbH", VAT_FIELD: VAT}, {"accountname": "Other"}])
    file = tmp_path / "list.csv"
    file.write_bytes(
        "\ufeffKundennr;Firma;USt-ID;E-Mail\r\nK-100;Neue Firma;DE 136 695 976;nora@neu.example\r\n".encode()
    )
    rows = erp_rows(file, [])
    run = link(world, rows=rows)
    item = items(world, run)["erp/customer/K-100"]
    assert (item.verdict, item.facts["account"]) == ("certain", made["accounts"]["Neue Firma GmbH"])
    assert sorted(item.facts["linked"]) == ["erp/K-100", f"vat/{VAT}"]
    raw = placed(face, 1, billing={**NORA, "company": "Ganz anders"}, meta={"erp_number": "K-100"})
    world.carry(raw)
    assert world.order(1)["account_id"] == made["accounts"]["Neue Firma GmbH"]
    assert world.counts("Accounts") == (2,)


def test_rows_are_part_of_what_a_run_is(pair: tuple[World, WooShop]) -> None:
    world, _ = pair
    world.seed(accounts=[{"accountname": "Somebody"}])
    one = link(world, rows=[erp_customer("erp", "K-1", name="Somebody")])
    two = link(world, rows=[erp_customer("erp", "K-2", name="Somebody")])
    assert one.options != two.options


@pytest.mark.parametrize(
    ("text", "named", "says"),
    [
        ("a;b\n1;2\n", [], "number"),
        ("number;name\n;x\nK1;y\nK1;z\n", [], r"2 \(no customer number\), 4 \(twice\)"),
        ("number;name\nK1;y\n", ["number=nr"], "no column"),
        ("number;name\nK1;y\n", ["no=number"], "not understood"),
        ("", [], "empty"),
    ],
)
def test_a_list_that_cannot_be_used(tmp_path: Path, text: str, named: list[str], says: str) -> None:
    file = tmp_path / "list.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(OrderwireError, match=says):
        erp_rows(file, named)


# -- interrupted ---------------------------------------------------------------------------------------------------


def test_it_goes_on_where_it_was_interrupted(make: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    made = scenario(3, TINY)
    with firm(make, rehearsing=True) as (world, face):
        seed_crm(world.crm_url, made)
        seed_store(face, made)
        note, count = linking._Linking._one, 0

        def then_the_light_goes_out(self: Any, *given: Any) -> Item:
            nonlocal count
            count += 1
            if count == 40:
                raise KeyboardInterrupt
            return note(self, *given)

        monkeypatch.setattr(linking._Linking, "_one", then_the_light_goes_out)
        with pytest.raises(KeyboardInterrupt):
            link(world)
        monkeypatch.setattr(linking._Linking, "_one", note)
        (broken,) = world.ledger.runs.list(kind="link")
        run = link(world)
        assert (run.id, run.state) == (broken.id, "done")
        distinct = {item.key for item in items(world, run).values() if item.verdict != "double"}
        assert len(distinct) > 40
