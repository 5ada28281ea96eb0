"""The generated company, graded without network or ledger: what is certain is right, and what is there is found."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from core.clock import parse_utc
from core.keys import external_id
from mapping.adoption import Adoption, StoreOrder, grade
from mapping.canonical import Customer, SalesOrder
from mapping.likeness import Likeness, Parties
from mapping.matching import Candidate
from mapping.vtiger.party import PartyFields, account_from_vtiger, contact_from_vtiger
from mapping.woocommerce import WooOptions, order_from_woocommerce
from sandbox.crm import crm_app
from sandbox.serve import running
from sandbox.store.woo import WooShop
from tests.scenario import ERP_FIELD, FULL, SHOP, SMALL, VAT_FIELD, Scenario, scenario, seed_crm, seed_store

FIELDS = PartyFields(vat=VAT_FIELD, erp_number=ERP_FIELD)


@dataclass(frozen=True)
class Row:
    """A typed sales order as the connector will give it."""

    ref: str
    external_id: str
    subject: str
    purchase_order: str
    customer_number: str
    account_id: str
    total: Decimal
    currency: str
    placed: date | None
    created: datetime


def parties(made: Scenario) -> Parties:
    rows = [account_from_vtiger({**one, "id": one["handle"]}, FIELDS) for one in made.accounts]
    rows += [
        contact_from_vtiger({**one, "id": one["handle"], "account_id": one["account_id"].removeprefix("@")}, FIELDS)
        for one in made.contacts
    ]
    codes = {one["handle"]: one["bill_code"] for one in made.accounts}
    return Parties([Candidate.of(row, "DE") for row in rows], region="DE", postal_codes=codes)


def typed(made: Scenario) -> list[Row]:
    return [
        Row(
            one["handle"],
            "",
            one["subject"],
            one["vtiger_purchaseorder"],
            one.get("customerno", ""),
            one["account_id"].removeprefix("@"),
            _total(one),
            "EUR",
            None,
            parse_utc(one["createdtime"]),
        )
        for one in made.sales_orders
    ]


def _total(one: dict[str, Any]) -> Decimal:
    net = sum((Decimal(line["quantity"]) * Decimal(line["listprice"]) for line in one["LineItems"]), Decimal(0))
    net += Decimal(one["shipping_&_handling"])
    return net * Decimal("1.19") + Decimal(one["txtAdjustment"])


@dataclass
class Graded:
    made: Scenario
    orders: list[SalesOrder]
    customers: dict[str, tuple[Customer, Likeness]]
    adopted: list[Adoption[Row]]
    seconds: tuple[float, float]


def graded(seed: int, made: Scenario) -> Graded:
    orders = [order_from_woocommerce(one, WooOptions(SHOP)) for one in made.orders]
    began = time.perf_counter()
    known = parties(made)
    customers = {str(one.customer.key): (one.customer, known.like(one.customer)) for one in orders}
    between = time.perf_counter()
    wanted = [
        StoreOrder(
            key=str(one.key),
            number=one.number,
            external_id=external_id(SHOP, "order", one.number),
            purchase_order=one.purchase_order,
            customer_number=one.customer.erp_number,
            accounts=customers[str(one.customer.key)][1].accounts,
            total=one.total,
            currency=one.currency,
            placed=one.placed_at.date(),
        )
        for one in orders
    ]
    adopted = grade(wanted, typed(made))
    return Graded(made, orders, customers, adopted, (between - began, time.perf_counter() - between))


def judge(found: Graded) -> None:
    """Nothing certain is wrong; at least 99 % of what is there is certain or on the list with the right one in it."""
    truth = found.made.truth
    wrong = [one for one in found.adopted if one.order is not None and truth.orders.get(one.key) != one.order.ref]
    assert not wrong, wrong
    by_key = {one.key: one for one in found.adopted}
    missed = {
        key: by_key[key]
        for key, handle in truth.orders.items()
        if handle not in {c.order.ref for c in by_key[key].candidates}
    }
    assert len(missed) <= len(truth.orders) * 0.01, missed
    certain = {one.key for one in found.adopted if one.grade == "certain"}
    assert not certain & (truth.typos | truth.unnumbered)
    plain = set(truth.orders) - truth.typos - truth.unnumbered
    assert len(certain) >= len(plain) * 0.9, "most of what was typed with its number is linked by itself"
    doubtful = [one for one in found.adopted if one.grade == "doubtful"]
    assert len(doubtful) <= len(truth.orders) * 0.5 + 5, "the list is no longer than a person can read"

    def accounts(key: str) -> tuple[str, ...]:
        return truth.customers[key]

    wrong_customers = [
        (customer, verdict)
        for key, (customer, verdict) in found.customers.items()
        if verdict.found is not None and verdict.found.account not in accounts(key)
    ]
    assert not wrong_customers, wrong_customers
    there = {key for key in found.customers if accounts(key)}
    lost = {key: found.customers[key] for key in there if not found.customers[key][1].accounts & set(accounts(key))}
    assert len(lost) <= len(there) * 0.01, lost


@pytest.mark.parametrize("number", range(1, 7))
def test_certain_is_right_and_hardly_anything_is_missed(number: int) -> None:
    judge(graded(number, scenario(number, SMALL)))


def test_with_any_seed(seed: int) -> None:
    judge(graded(seed, scenario(seed, SMALL)))


@pytest.mark.slow
def test_a_whole_year() -> None:
    found = graded(7, scenario(7, FULL))
    judge(found)
    assert len(found.orders) == 8000
    assert max(found.seconds) < 30, found.seconds


def test_doubles_are_named_and_strangers_are_not() -> None:
    made = scenario(3, SMALL)
    known = parties(made)
    real = {frozenset(one) for one in made.truth.doubles}
    assert len(real) == 12
    found = {frozenset(one.accounts) for one in known.doubles}
    assert found <= real, "nobody is called a double who is none"
    assert len(found) >= len(real) * 0.8
    assert all(one.reasons for one in known.doubles)


def test_a_seed_makes_the_same_again() -> None:
    assert scenario(5) == scenario(5)
    assert scenario(5) != scenario(6)
    made = scenario(5)
    assert len(made.truth.orders) == SMALL.typed
    assert len(made.truth.typos) == round(SMALL.typed * 0.05)
    assert len(made.truth.unnumbered) == round(SMALL.typed * 0.10)
    assert len(made.accounts) == SMALL.accounts


@pytest.fixture
def stand() -> Iterator[str]:
    with running(crm_app(seed=False)) as url:
        yield url


@pytest.mark.parametrize("catalogue", [False, True])
def test_the_stand_ins_hold_it(stand: str, catalogue: bool) -> None:
    made = scenario(9, SMALL)
    if catalogue:
        httpx.post(f"{stand}/sandbox/seed", json={"demo": True}, trust_env=False).raise_for_status()
    ids = seed_crm(stand, made)
    state = httpx.get(f"{stand}/sandbox/state", trust_env=False).json(parse_float=Decimal)["records"]
    orders = {row["id"]: row for row in state["SalesOrder"]}
    codes = [row["productcode"] for row in state["Products"]]
    assert len(codes) == len(set(codes)), "no article twice"
    assert len(orders) == SMALL.typed + SMALL.others
    for row in typed(made):
        there = orders[ids[row.ref]]
        assert there["account_id"] == ids[row.account_id]
        assert Decimal(there["hdnGrandTotal"]).quantize(Decimal("0.0001")) == row.total.quantize(Decimal("0.0001"))
        assert there["createdtime"] == f"{row.created:%Y-%m-%d %H:%M:%S}"
        assert there["cf_external_id"] == ""
    totals = {f"{SHOP}/order/{one['id']}": Decimal(one["total"]) for one in made.orders}
    for key, handle in made.truth.orders.items():
        assert Decimal(orders[ids[handle]]["hdnGrandTotal"]).quantize(Decimal("0.01")) == totals[key]
    assert len(state["Accounts"]) == SMALL.accounts
    assert len(state["Contacts"]) == len(made.contacts)
    shop = WooShop()
    seed_store(shop, made)
    assert len(shop.orders) == SMALL.orders
    json.dumps(made.orders)
