"""A company that switches on after a year of work: its store's history, its CRM, and the truth about both. By seed.

    made = scenario(seed=7, sizes=SMALL)
    made.orders          # as WooCommerce's REST interface writes them, oldest first
    made.seed()          # body of POST /sandbox/seed: products, accounts, contacts, sales orders
    made.truth.orders    # "shop/order/1017" -> handle of the sales order that somebody typed for it
    made.truth.customers # "shop/customer/12", "shop/guest/1017" -> handles of their accounts; () for nobody
    ids = seed_crm(url, made)       # handle -> id in the stand-in CRM
    seed_store(shop, made)

What is in it: doubles in the CRM, companies under other names and notations, companies that share a name, guests, new
customers, equal orders a few days apart, numbers mistyped or left out, orders that never came from the store.
"""

from __future__ import annotations

import random
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from sandbox.catalogue import ARTICLES
from sandbox.crm.store import fold
from sandbox.store.woo import WooShop
from tests.companies import CYRILLIC, FIRST, PHONES, SLOPPY, SPELLINGS, TRADES, VATS, Firm, company
from tests.orders import order

Json = dict[str, Any]
SHOP = "shop"
VAT_FIELD, ERP_FIELD = "siccode", "tickersymbol"
"""Columns of the stand-in CRM's accounts that carry VAT and customer number (settings vat_field, erp_number_field)."""
RATE = Decimal("0.19")
GOODS = tuple(article for article in ARTICLES if article.vat == 19)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything; shares are parts of one."""

    orders: int = 8000
    accounts: int = 1200
    doubles: float = 0.08
    typed: int = 500
    typos: float = 0.05
    unnumbered: float = 0.10
    others: int = 25
    """Orders typed into the CRM that the store never had."""
    days: int = 365
    first: datetime = datetime(2025, 11, 22, tzinfo=UTC)


FULL = Sizes()
SMALL = Sizes(orders=500, accounts=150, typed=120, others=12)


@dataclass(slots=True)
class Truth:
    """What the generator knows."""

    orders: dict[str, str] = field(default_factory=dict)
    customers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    doubles: list[tuple[str, ...]] = field(default_factory=list)
    typos: set[str] = field(default_factory=set)
    """Keys of orders whose number was mistyped."""
    unnumbered: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Scenario:
    """Everything that was there before."""

    number: int
    sizes: Sizes
    orders: list[Json] = field(default_factory=list)
    accounts: list[Json] = field(default_factory=list)
    contacts: list[Json] = field(default_factory=list)
    sales_orders: list[Json] = field(default_factory=list)
    truth: Truth = field(default_factory=Truth)

    def seed(self) -> Json:
        """What the CRM holds, in its own words, with handles."""
        products = [
            {"handle": article.sku, "productname": article.name, "productcode": article.sku, "tax1": "19"}
            | {"unit_price": str(article.price), "qtyinstock": str(article.stock)}
            for article in GOODS
        ]
        return {
            "products": products,
            "accounts": self.accounts,
            "contacts": self.contacts,
            "salesorders": self.sales_orders,
        }


def scenario(seed: int, sizes: Sizes = SMALL) -> Scenario:
    """The same seed and sizes make the same scenario."""
    return _Making(seed, sizes).made()


def seed_crm(url: str, made: Scenario) -> dict[str, str]:
    """Put accounts, contacts and sales orders into a stand-in CRM, and those articles of the catalogue that it does not
    have; handle -> id there.
    """
    state = httpx.get(f"{url}/sandbox/state", params={"module": "Products"}, timeout=60, trust_env=False).json()
    there = {row["productcode"]: row["id"] for row in state["records"].get("Products", [])}
    wanted = made.seed()
    wanted["products"] = [one for one in wanted["products"] if one["productcode"] not in there]
    wanted["salesorders"] = [_with_products(one, there) for one in made.sales_orders]
    answer = httpx.post(f"{url}/sandbox/seed", json=wanted, timeout=120, trust_env=False)
    assert answer.status_code == 200, answer.text
    return {handle: id for kind in answer.json().values() for handle, id in kind.items()}


def _with_products(one: Json, there: Mapping[str, str]) -> Json:
    lines = [
        {**line, "productid": there.get(line["productid"].removeprefix("@"), line["productid"])}
        for line in one["LineItems"]
    ]
    return {**one, "productid": lines[0]["productid"], "LineItems": lines}


def seed_store(shop: WooShop, made: Scenario) -> None:
    """Put the year's orders into the stand-in store."""
    for one in made.orders:
        shop.put(one)


class _Making:
    """The making of one scenario."""

    def __init__(self, seed: int, sizes: Sizes) -> None:
        self.dice = random.Random(seed)
        self.sizes = sizes
        self.out = Scenario(seed, sizes)
        self.names: set[str] = set()
        self.buyers: list[Firm] = []
        self.strangers = 0

    def made(self) -> Scenario:
        twice = round(self.sizes.accounts * self.sizes.doubles)
        firms = [company(number, self.dice) for number in range(1, self.sizes.accounts - twice + 1)]
        for firm in firms:
            self._account(firm, vat=self.dice.random() < 0.6, first=True)
        for firm in self.dice.sample(firms, twice):
            self._account(firm, vat=False, first=False)
            self.out.truth.doubles.append(tuple(firm.accounts))
        known = [firm for firm in firms if self.dice.random() < 0.7]
        new = [company(len(firms) + number, self.dice) for number in range(1, len(known) // 4 + 1)]
        self.buyers = [*known, *new]
        for firm in self.buyers:
            self._in_the_store(firm)
        self._orders()
        self._typed()
        self._others()
        return self.out

    def _account(self, firm: Firm, *, vat: bool, first: bool) -> None:
        dice = self.dice
        handle = f"account-{len(self.out.accounts) + 1}"
        sloppy = not first and dice.random() < 0.1
        element = {
            "handle": handle,
            "accountname": self._free_name(firm, dice.choice(SLOPPY if sloppy else SPELLINGS)(firm.name)),
            "bill_street": firm.street,
            "bill_city": firm.city,
            "bill_code": firm.code,
            "bill_country": dice.choice(("DE", "Germany", "Deutschland")),
        }
        by_mail = dice.random() < 0.6
        if vat:
            element[VAT_FIELD] = dice.choice(VATS)(firm.vat)
        if by_mail and dice.random() < 0.5:
            element["email1"] = dice.choice((firm.email, firm.email.upper(), firm.email))
        elif by_mail:
            name = {"lastname": firm.last, "firstname": firm.first, "email": firm.email}
            self.out.contacts.append({"handle": f"contact-{handle}", "account_id": f"@{handle}", **name})
        if dice.random() < 0.5:
            element["phone"] = dice.choice(PHONES)(firm.phone)
        firm.known_by_mail |= by_mail
        firm.accounts.append(handle)
        self.out.accounts.append(element)

    def _free_name(self, firm: Firm, name: str) -> str:
        """The CRM refuses two accounts of one name, compared as its database does."""
        tries = [name, *(spelling(firm.name) for spelling in SPELLINGS), f"{firm.name} {firm.city}"]
        tries += [f"{firm.name}, {firm.city}", f"{firm.name} {firm.customer}"]
        free = next(text for text in tries if fold(text) not in self.names)
        self.names.add(fold(free))
        return free

    def _in_the_store(self, firm: Firm) -> None:
        """How the company calls itself in the store. Another name altogether only where its mail or VAT number tells."""
        dice = self.dice
        tells_vat = dice.random() < 0.4
        name = dice.choice(SPELLINGS)(firm.name)
        if dice.random() < 0.05 and firm.accounts and firm.known_by_mail:
            name = f"{firm.last} {dice.choice(TRADES.split())}"
        elif dice.random() < 0.05:
            name = dice.choice(SLOPPY)(firm.name)
        elif dice.random() < 0.05 and name.isascii():
            name = "".join(CYRILLIC.get(letter, letter) for letter in name.lower()).title()
        firm.billing = {
            "first_name": firm.first,
            "last_name": firm.last,
            "company": name,
            "address_1": firm.street,
            "address_2": "",
            "city": firm.city,
            "state": "",
            "postcode": firm.code,
            "country": "DE",
            "email": firm.email if dice.random() < 0.8 else f"{firm.last.lower()}@{firm.email.partition('@')[2]}",
            "phone": dice.choice(PHONES)(firm.phone) if dice.random() < 0.7 else "",
        }
        firm.meta = {"vat_number": dice.choice(VATS)(firm.vat)} if tells_vat else {}

    def _stranger(self) -> Mapping[str, str]:
        """A guest whom nobody knows."""
        self.strangers += 1
        last = "".join(self.dice.choices(string.ascii_lowercase, k=7)).title()
        own = {"first_name": self.dice.choice(FIRST.split()), "last_name": last, "company": "", "phone": ""}
        return {
            **dict.fromkeys(("address_2", "state"), ""),
            **own,
            "address_1": f"Gasse {self.strangers}",
            "city": "Bonn",
            "postcode": "53111",
            "country": "DE",
            "email": f"{last.lower()}{self.strangers}@people.example",
        }

    # -- the store's year ------------------------------------------------------------------------------------------

    def _orders(self) -> None:
        dice, sizes = self.dice, self.sizes
        seconds = sorted(dice.randrange(sizes.days * 86_400) for _ in range(sizes.orders))
        number = 1000
        last: dict[int, list[tuple[str, int, str]]] = {}
        before: Firm | None = None
        for second in seconds:
            number += dice.choice((1, 1, 1, 2, 3))
            placed = sizes.first + timedelta(seconds=second)
            again = before is not None and before.customer in last and dice.random() < 0.05
            firm = before if again else dice.choice(self.buyers)
            assert firm is not None
            # The same once more, within days: where the number is missing, only a person can tell them apart.
            lines = last[firm.customer] if again else self._lines()
            last[firm.customer], before = lines, firm
            self._order(number, placed, lines, None if dice.random() < 0.08 else firm)

    def _lines(self) -> list[tuple[str, int, str]]:
        goods = self.dice.sample(GOODS, self.dice.choice((1, 1, 2, 2, 3, 4)))
        return [(article.sku, self.dice.choice((1, 1, 2, 3, 5, 10)), str(article.price)) for article in goods]

    def _order(self, number: int, placed: datetime, lines: list[tuple[str, int, str]], firm: Firm | None) -> None:
        dice = self.dice
        guest = firm is None or dice.random() < 0.08
        key = f"{SHOP}/guest/{number}" if guest or firm is None else f"{SHOP}/customer/{firm.customer}"
        meta = dict(firm.meta) if firm else {}
        if dice.random() < 0.15:
            meta["po_number"] = dice.choice(
                (f"PO-{dice.randrange(100, 9999)}", f"45000{dice.randrange(10**5):05d}", "mündlich")
            )
        made = order(
            number,
            lines,
            billing=firm.billing if firm else self._stranger(),
            modified=f"{self._touched(placed):%Y-%m-%dT%H:%M:%S}",
            shipping=dice.choice(("4.90", "4.90", "0", "9.80")),
            meta=meta,
            date_created_gmt=f"{placed:%Y-%m-%dT%H:%M:%S}",
            customer_id=0 if guest or firm is None else firm.customer,
            status=dice.choice(("completed", "completed", "processing", "cancelled")),
        )
        self.out.orders.append(made)
        self.out.truth.customers[key] = tuple(firm.accounts) if firm else ()

    def _touched(self, placed: datetime) -> datetime:
        """When the store last changed the order: hours later, and never in the future, where a later edit would be stale."""
        end = self.sizes.first + timedelta(days=self.sizes.days)
        return min(placed + timedelta(hours=self.dice.randrange(1, 40)), end)

    # -- what people typed into the CRM ----------------------------------------------------------------------------

    def _typed(self) -> None:
        known = [one for one in self.out.orders if self._accounts(one)]
        chosen = self.dice.sample(known, min(self.sizes.typed, len(known)))
        slips, gaps = round(len(chosen) * self.sizes.typos), round(len(chosen) * self.sizes.unnumbered)
        for place, one in enumerate(chosen):
            key, number = f"{SHOP}/order/{one['id']}", str(one["number"])
            if place < slips:
                number = self._slipped(number)
                self.out.truth.typos.add(key)
            elif place < slips + gaps:
                number = ""
                self.out.truth.unnumbered.add(key)
            account = self.dice.choice(self._accounts(one))
            placed = datetime.fromisoformat(one["date_created_gmt"]).replace(tzinfo=UTC)
            self.out.truth.orders[key] = self._enter(one, account, number, placed)
        self.dice.shuffle(self.out.sales_orders)

    def _accounts(self, one: Json) -> tuple[str, ...]:
        id = one["customer_id"]
        return self.out.truth.customers[f"{SHOP}/customer/{id}" if id else f"{SHOP}/guest/{one['id']}"]

    def _slipped(self, number: str) -> str:
        """One character wrong, two swapped, one too few or one too many."""
        dice = self.dice
        place = dice.randrange(1, len(number) - 1)
        typed = dice.choice(
            (
                number[:place] + dice.choice("0123456789") + number[place + 1 :],
                number[:place] + number[place + 1] + number[place] + number[place + 2 :],
                number[:place] + number[place + 1 :],
                number[:place] + number[place] * 2 + number[place + 1 :],
            )
        )
        return typed if typed != number else self._slipped(number)

    def _enter(self, one: Json, account: str, number: str, placed: datetime) -> str:
        """A sales order as a person types it: no external id, the sum as in the store."""
        dice = self.dice
        handle = f"order-{len(self.out.sales_orders) + 1}"
        name = one["billing"]["company"] or one["billing"]["last_name"]
        subject, purchase, customer = (
            dice.choice(("Web order", name, f"{name} {placed:%d.%m.%Y}", "Tel. 030 1017 22")),
            "",
            "",
        )
        where = dice.random() if number else 2.0
        if where < 0.7:
            purchase = dice.choice((number, f"#{number}", f"Web {number}", f"WEB-{number}"))
        elif where < 0.75:
            customer = number
        if 0.55 < where < 0.7 or 0.75 <= where < 2:
            subject = dice.choice(
                (f"Order {number}", f"Web order #{number}", f"{name}, Bestellung {number}", f"Shop {number}")
            )
        created = placed + timedelta(days=dice.choice((0, 0, 0, 1, 1, 2, 3, 5)), hours=dice.randrange(1, 8))
        self.out.sales_orders.append(
            _sales_order(one, account)
            | {"handle": handle, "subject": subject[:100], "createdtime": f"{created:%Y-%m-%d %H:%M:%S}"}
            | {"vtiger_purchaseorder": purchase, "customerno": customer}
        )
        return handle

    def _others(self) -> None:
        """Orders by telephone: like one of the store in some respect, and none of it."""
        for place in range(self.sizes.others):
            like = self.dice.choice(self.out.orders)
            account = f"@{self.dice.choice(self.out.accounts)['handle']}"
            one = {**like, "line_items": order(1, self._lines())["line_items"]}
            if self._accounts(like) and place % 3 == 0:
                account = f"@{self._accounts(like)[0]}"  # the same customer, at another time, another number
            made = _sales_order(one, account.removeprefix("@"), exact=False)
            when = self.sizes.first + timedelta(days=self.dice.randrange(self.sizes.days), hours=11)
            number = str(like["number"]) if place % 3 else f"45999{place:05d}"
            made |= {
                "handle": f"other-{place + 1}",
                "subject": f"Phone order {when:%Y}",
                "vtiger_purchaseorder": number,
            }
            self.out.sales_orders.append(made | {"createdtime": f"{when:%Y-%m-%d %H:%M:%S}"})


def _sales_order(one: Json, account: str, *, exact: bool = True) -> Json:
    """The element of a SalesOrder with the store's lines, as the CRM wants it; `exact`: with the store's total."""
    lines = [
        {"productid": f"@{row['sku']}", "quantity": str(row["quantity"]), "tax1": "19"}
        | {"listprice": str(Decimal(row["total"]) / row["quantity"])}
        for row in one["line_items"]
    ]
    carriage = sum((Decimal(row["total"]) for row in one["shipping_lines"]), Decimal(0))
    goods = sum((Decimal(row["total"]) for row in one["line_items"]), Decimal(0))
    adjustment = Decimal(one["total"]) - (goods + carriage) * (1 + RATE) if exact else Decimal(0)
    return {
        "account_id": f"@{account}",
        "sostatus": "Approved",
        "invoicestatus": "AutoCreated",
        "currency_id": "21x1",
        "hdnTaxType": "individual",
        "bill_street": one["billing"]["address_1"] or "-",
        "ship_street": one["billing"]["address_1"] or "-",
        "productid": lines[0]["productid"],
        "txtAdjustment": f"{adjustment:.8f}",
        "shipping_&_handling": str(carriage),
        "shipping_&_handling_shtax1": "19",
        "LineItems": lines,
    }
