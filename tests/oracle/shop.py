"""A shop that makes up orders and adds them up, in exact fractions, by the ways in which shops are seen to round.

Only the standard library: none of our code, not even its Decimal arithmetic, can agree with itself here by accident.

    for case in orders(seed=7, number=300):
        case.order      # as WooCommerce's REST interface v3 writes it; `price` is a float, everything else text
        case.way        # how this shop rounds (see WAYS)
    wrong = unbalanced(case.order, dice)   # one amount changed so that no way of rounding explains the total

Ways of rounding:

per_line   each tax amount on each line is rounded; the header adds them up. (WooCommerce's default.)
ties       the same, but the header rounds halves towards zero where the lines round them away (seen in shops whose
           prices include tax, with fees such as -1.50 at 19 %).
per_rate   tax is rounded once per rate, for goods and for shipping ("round tax at subtotal level").
per_order  per rate on show, but the order's tax total is the rounded sum of the unrounded taxes, and the total uses
that. unrounded  nothing is rounded but the total: it is the rounded sum of all unrounded amounts. What is shown is
rounded for show.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

WAYS = ("per_line", "ties", "per_rate", "per_order", "unrounded")
DECIMALS = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}
HALF = Fraction(1, 2)

# Sets of rates a shop may have: (id, label, percent, compound). Goods take one of them, or all where the last is
# compound.
RATES = (
    ((1, "VAT", "19", False),),
    ((1, "VAT", "19", False), (2, "VAT red", "7", False)),
    ((3, "IVA", "22", False), (4, "IVA rid", "4", False)),
    ((5, "Sales tax", "8.875", False),),
    ((6, "MWST", "8.1", False), (9, "MWST red", "2.6", False)),
    ((7, "GST", "5", False), (8, "QST", "9.975", True)),
    ((10, "PST", "7", False), (11, "City", "1.125", True), (12, "Port", "0.5", True)),
)


@dataclass(frozen=True)
class Case:
    """One order and what is known about it."""

    way: str
    includes_tax: bool
    currency: str
    order: dict[str, Any]


@dataclass
class Amount:
    """An amount without tax, unrounded, and its unrounded tax by rate id."""

    net: Fraction
    taxes: dict[int, Fraction]


def rounded(value: Fraction, unit: Fraction, *, half_up: bool = True) -> Fraction:
    """To a multiple of the unit; halves away from zero, or towards it."""
    steps = abs(value) / unit
    whole, rest = divmod(steps, 1)
    if rest > HALF or (rest == HALF and half_up):
        whole += 1
    return whole * unit * (1 if value >= 0 else -1)


def wire(value: Fraction, places: int) -> str:
    """`12.30`; the value must have no more decimals than that."""
    scaled = value * 10**places
    assert scaled.denominator == 1, value
    digits = f"{abs(scaled.numerator):0{places + 1}d}"
    text = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return f"-{text}" if value < 0 else text


def taxes_on(net: Fraction, rates: list[tuple[int, str, str, bool]]) -> dict[int, Fraction]:
    """Unrounded tax by rate id: plain rates on the net, compound ones on everything before them."""
    found = {rate_id: net * Fraction(percent) / 100 for rate_id, _, percent, compound in rates if not compound}
    base = net + sum(found.values(), Fraction(0))
    for rate_id, _, percent, compound in rates:
        if compound:
            found[rate_id] = base * Fraction(percent) / 100
            base += found[rate_id]
    return found


def orders(seed: int, number: int = 300) -> list[Case]:
    """So many orders; every way of rounding, price mode and currency occurs."""
    dice = random.Random(seed)
    return [_Order(dice, index).case() for index in range(number)]


class _Order:
    """The making of one order."""

    def __init__(self, dice: random.Random, index: int) -> None:
        self.dice, self.index = dice, index
        self.way = WAYS[index % len(WAYS)]
        self.includes_tax = (index // len(WAYS)) % 2 == 1
        self.currency = dice.choice(("EUR", "EUR", "EUR", "USD", "JPY", "KWD"))
        self.places = DECIMALS[self.currency]
        self.unit = Fraction(1, 10**self.places)
        self.rates = list(dice.choice(RATES))
        self.exempt = dice.random() < 0.1
        self.next_id = 0
        self.amounts: list[tuple[str, Amount]] = []
        """Kind ("cart" or "shipping") and amount."""
        self.shown_nets = Fraction(0)
        self.header: dict[tuple[str, int], Fraction] = {}

    def case(self) -> Case:
        items = [self._item() for _ in range(self.dice.choice((1, 1, 2, 2, 3, 3, 5, 5, 8, 8, 13, 13, 13, 40, 100)))]
        fees = [self._fee() for _ in range(self.dice.choice((0, 0, 1, 2)))]
        shipping = [self._shipping() for _ in range(self.dice.choice((0, 1, 1, 1)))]
        total, total_tax, tax_lines = self._totals()
        if total < 0:  # a fee larger than the goods: no shop sells that
            return _Order(self.dice, self.index).case()
        order_id = 10_000 + self.index
        order = {
            "id": order_id,
            "number": str(order_id),
            "status": self.dice.choice(("pending", "processing", "on-hold", "completed")),
            "currency": self.currency,
            "prices_include_tax": self.includes_tax,
            "date_created_gmt": "2026-11-22T02:43:37",
            "date_modified_gmt": "2026-11-22T02:43:38",
            "date_paid_gmt": self.dice.choice((None, "2026-11-22T02:43:38")),
            "total": wire(total, self.places),
            "total_tax": wire(total_tax, self.places),
            "customer_id": self.dice.choice((0, 17)),
            "billing": {"first_name": "Anna", "company": "", "city": "Köln", "email": "anna@mail.example"},
            "shipping": {},
            "payment_method": "bacs",
            "customer_note": "",
            "meta_data": [],
            "line_items": items,
            "tax_lines": tax_lines,
            "shipping_lines": shipping,
            "fee_lines": fees,
            "coupon_lines": [],
            "refunds": [{"id": 1, "reason": "", "total": wire(-self.unit, self.places)}]
            if self.dice.random() < 0.1 and total > 0  # of nothing nothing goes back
            else [],
        }
        return Case(self.way, self.includes_tax, self.currency, order)

    # ------------------------------------------------------------------------------------------------- lines

    def _item(self) -> dict[str, Any]:
        dice = self.dice
        quantity = dice.choice((1, 1, 2, 3, 7, 12, 100))
        price = Fraction(dice.randrange(5, 30_000)) * self.unit
        if not self.includes_tax and dice.random() < 0.1:
            price += self.unit * Fraction(dice.randrange(1, 10), 10)  # 0.333 a piece
        before = price * quantity
        discount = Fraction(0)
        if (
            dice.random() < 0.4
        ):  # on the line, or this line's share of a coupon for the order: whole minor units either way
            discount = rounded(before * Fraction(dice.choice((5, 10, 33, 100)), 100), self.unit)
        rates = self._rates_of_goods()
        factor = 1 + sum(taxes_on(Fraction(1), rates).values(), Fraction(0)) if self.includes_tax else Fraction(1)
        net, subtotal = max(before - discount, Fraction(0)) / factor, before / factor
        row = self._row("cart", net, rates)
        shown = {"name": "Thing", "sku": f"OF-{dice.randrange(100, 110)}", "quantity": quantity}
        return {
            **row,
            **shown,
            "subtotal": wire(rounded(subtotal, self.unit), self.places),
            "price": float(net / quantity),
        }

    def _rates_of_goods(self) -> list[tuple[int, str, str, bool]]:
        if self.exempt:
            return []
        return self.rates if self.rates[-1][3] else [self.dice.choice(self.rates)]

    def _fee(self) -> dict[str, Any]:
        net = self.dice.choice((Fraction(-150), Fraction(-25), Fraction(200), Fraction(999))) * self.unit
        taxable = self.dice.random() < 0.7 and not self.exempt
        if not taxable:
            return self._row("cart", net, []) | {"name": "Fee"}
        if net > 0 or len(self.rates) == 1 or self.rates[-1][3]:
            rates = self.rates if self.rates[-1][3] else self.rates[:1]
            return self._row("cart", net, rates) | {"name": "Fee"}
        share = Fraction(self.dice.randrange(1, 10), 10)  # a reduction takes its tax from several rates
        taxes = {
            rate_id: net * part * Fraction(percent) / 100
            for (rate_id, _, percent, _), part in zip(self.rates, (share, 1 - share), strict=False)
        }
        return self._row("cart", net, self.rates, taxes) | {"name": "Fee"}

    def _shipping(self) -> dict[str, Any]:
        net = Fraction(self.dice.choice((0, 490, 999, 1235))) * self.unit
        rates = [] if self.exempt else (self.rates if self.rates[-1][3] else self.rates[:1])
        return self._row("shipping", net, rates) | {"method_id": "flat_rate", "method_title": "Parcel"}

    def _row(
        self,
        kind: str,
        net: Fraction,
        rates: list[tuple[int, str, str, bool]],
        taxes: dict[int, Fraction] | None = None,
    ) -> dict[str, Any]:
        self.next_id += 1
        taxes = taxes_on(net, rates) if taxes is None else taxes
        if self.way != "unrounded" and not self.includes_tax:  # such shops work on with the rounded line
            net = rounded(net, self.unit)
            taxes = taxes_on(net, rates) if sum(taxes.values()) == sum(taxes_on(net, rates).values()) or net else taxes
        self.amounts.append((kind, Amount(net, taxes)))
        shown = rounded(net, self.unit)
        self.shown_nets += shown
        return {
            "id": self.next_id,
            "total": wire(shown, self.places),
            "taxes": [
                {"id": rate_id, "total": wire(rounded(tax, self.unit), self.places)} for rate_id, tax in taxes.items()
            ],
            "meta_data": [],
        }

    # ------------------------------------------------------------------------------------------------ totals

    def _totals(self) -> tuple[Fraction, Fraction, list[dict[str, Any]]]:
        per_line = self.way in {"per_line", "ties"}
        unrounded_tax = Fraction(0)
        for kind, amount in self.amounts:
            for rate_id, tax in amount.taxes.items():
                unrounded_tax += tax
                part = rounded(tax, self.unit, half_up=self.way != "ties") if per_line else tax
                self.header[kind, rate_id] = self.header.get((kind, rate_id), Fraction(0)) + part
        if not per_line:
            self.header = {place: rounded(tax, self.unit) for place, tax in self.header.items()}
        header = sum(self.header.values(), Fraction(0))
        total_tax = header if self.way in {"per_line", "ties", "per_rate"} else rounded(unrounded_tax, self.unit)
        total = self.shown_nets + total_tax
        if self.way == "unrounded":
            total = rounded(sum((amount.net for _, amount in self.amounts), unrounded_tax), self.unit)
        return total, total_tax, self._tax_lines()

    def _tax_lines(self) -> list[dict[str, Any]]:
        used = {rate_id for _, rate_id in self.header}
        return [
            {
                "id": 900 + rate_id,
                "rate_id": rate_id,
                "label": label,
                "compound": compound,
                "tax_total": wire(self.header.get(("cart", rate_id), Fraction(0)), self.places),
                "shipping_tax_total": wire(self.header.get(("shipping", rate_id), Fraction(0)), self.places),
                "rate_percent": float(percent) if "." in percent else int(percent),
            }
            for rate_id, label, percent, compound in self.rates
            if rate_id in used
        ]


# --------------------------------------------------------------------------------------------- unbalanced orders


def unbalanced(order: dict[str, Any], dice: random.Random, tries: int = 6) -> Iterator[tuple[str, dict[str, Any]]]:
    """Variants in which one amount was changed by 1 .. 500 minor units and no way of rounding leads to the total."""
    places = DECIMALS[order["currency"]]
    paths = [("total",), *_amounts_of(order)]
    for _ in range(tries):
        path = dice.choice(paths)
        size = dice.choice((1, 1, 2, 3, 10, dice.randrange(4, 100), dice.randrange(100, 501)))
        changed = copy.deepcopy(order)
        target: Any = changed
        for part in path[:-1]:
            target = target[part]
        step = Fraction(size * dice.choice((-1, 1)), 10**places)
        value = Fraction(target[path[-1]]) + step
        if value < 0 and path[0] in {"total", "line_items", "shipping_lines"} and "taxes" not in path:
            continue
        target[path[-1]] = wire(value, places)
        if not explained(changed):
            yield f"{'.'.join(map(str, path))} by {step}", changed


def _amounts_of(order: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for part in ("line_items", "fee_lines", "shipping_lines"):
        for index, row in enumerate(order[part]):
            yield (part, index, "total")
            for number in range(len(row["taxes"])):
                yield (part, index, "taxes", number, "total")


def explained(order: dict[str, Any]) -> bool:
    """Whether the total follows from what is shown, by any of the ways above, halves rounded either way."""
    unit = Fraction(1, 10 ** DECIMALS[order["currency"]])
    rates = {
        row["rate_id"]: (row["rate_id"], row["label"], str(row["rate_percent"]), row["compound"])
        for row in order["tax_lines"]
    }
    rows = [*order["line_items"], *order["fee_lines"], *order["shipping_lines"]]
    nets = sum((Fraction(row["total"]) for row in rows), Fraction(0))
    shown = sum((Fraction(tax["total"]) for row in rows for tax in row["taxes"]), Fraction(0))
    total = Fraction(order["total"])
    if total == nets + shown:
        return True
    if not all(_line_tax_fits(row, rates, unit) for row in rows):
        return False
    header = sum(
        (Fraction(row["tax_total"]) + Fraction(row["shipping_tax_total"]) for row in order["tax_lines"]), Fraction(0)
    )
    whole = _tax_sum(rows, rates, exact=False)
    if total in {nets + header, nets + Fraction(order["total_tax"]), nets + rounded(whole, unit)}:
        return True
    if nets + rounded(whole, unit, half_up=False) == total or abs(total - nets - whole) <= unit * HALF * max(
        len(rates), 1
    ):
        return True
    return _explained_unrounded(rows, rates, unit, total, {header, Fraction(order["total_tax"])})


def _explained_unrounded(
    rows: list[Any], rates: dict[int, Any], unit: Fraction, total: Fraction, headers: set[Fraction]
) -> bool:
    nets = sum((_exact(row, unit) for row in rows), Fraction(0))
    spread = sum(len(row["taxes"]) for row in rows if _spread(row))
    whole = _tax_sum(rows, rates, exact=True, unit=unit)
    slack = unit * HALF * (1 + spread)
    room = unit * HALF * max(len(rates), 1) * 2 + slack
    return abs(total - nets - whole) <= room or any(abs(total - nets - tax) <= slack for tax in headers)


def _spread(row: dict[str, Any]) -> bool:
    return "quantity" not in row and "method_id" not in row and Fraction(row["total"]) < 0


def _exact(row: dict[str, Any], unit: Fraction) -> Fraction:
    shown = Fraction(row["total"])
    if "price" not in row:
        return shown
    exact = Fraction(str(row["price"])) * row["quantity"]
    return exact if abs(exact - shown) <= unit * (HALF + Fraction(1, 10_000)) else shown


def _tax_sum(rows: list[Any], rates: dict[int, Any], *, exact: bool, unit: Fraction = Fraction(1)) -> Fraction:
    total = Fraction(0)
    for row in rows:
        if _spread(row):
            total += sum((Fraction(tax["total"]) for tax in row["taxes"]), Fraction(0))
        else:
            net = _exact(row, unit) if exact else Fraction(row["total"])
            total += sum(taxes_on(net, [rates[tax["id"]] for tax in row["taxes"]]).values(), Fraction(0))
    return total


def _line_tax_fits(row: dict[str, Any], rates: dict[int, Any], unit: Fraction) -> bool:
    if _spread(row):
        return True
    net = Fraction(row["total"])
    low, high = (
        taxes_on(net + step, [rates[tax["id"]] for tax in row["taxes"]]) for step in (-unit * HALF, unit * HALF)
    )
    return all(
        low[tax["id"]] - unit * HALF <= Fraction(tax["total"]) <= high[tax["id"]] + unit * HALF for tax in row["taxes"]
    )
