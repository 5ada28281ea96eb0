"""The rule of balance: an order is posted only if its total is the sum of its parts, to the cent.

    lines (net) + tax + shipping (net) + rounding = total

`rounding` is what is left when everything that the shop shows on its lines is added up. It is normally zero. A shop may
round the tax in another place than on the lines, and then a cent is left over. That cent is accepted if, and only if,
the shop's own way of rounding *leads to exactly this total*. It is never accepted because it is small: a tolerance that
grows with the number of lines would hide real errors in long orders.

Net amounts on lines are taken as they stand. (All 80 recorded WooCommerce orders reach their total by adding up the
shown net amounts, also where prices include tax; 75 with the tax on the lines, all with one of the sums below.) So
only the tax can have been rounded elsewhere, and there are few ways to do that:

1.  *once per rate*: total = net + sum of the header's tax per rate, exactly.
2.  *once for the whole order*: total = net + the tax total that the order shows, exactly.
3.  not shown anywhere: total = net + tax recomputed from the rates, rounded (a) once for the order or (b) once per
    rate. Only where every taxed amount has a known rate.
4.  *prices include tax, or unit prices have fractions of a cent*, and the shop says what the unrounded net amounts are
    (`exact_nets`): total = round(sum of unrounded nets + their tax), with the tax as in 1, 2 or recomputed. An
    unrounded net that is not within half a minor unit of the shown net is not believed.

In 1 and 2 a single wrong tax amount on a line would be "explained" as well (the header is right, the total too). So
in all four the tax on each line must agree with its rate within its own rounding (half a minor unit, plus the tax on
half a minor unit of net), and the sums must differ by no more than half a minor unit for every amount that was
rounded on its own. Shops take the tax of a reduction (a negative fee) from several rates; such a tax must be that of
parts of the reduction, and is known only to within its own rounding.

The minor unit is the currency's, or finer where the shop works finer: shops are seen that sell in JPY with two
decimals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal, localcontext
from typing import Final

from core.errors import Held
from core.money import ZERO, minor_unit, show
from mapping.canonical.order import LineKind, OrderLine, SalesOrder, ShippingLine, TaxAmount

_KEPT: Final = Decimal("0.0001")  # "unrounded" means four decimals more than are shown, or a float
_HUNDRED: Final = Decimal(100)
_HALF: Final = Decimal("0.5")
_ROUNDINGS: Final = (ROUND_HALF_UP, ROUND_HALF_DOWN)  # shops round tax down on the half where prices include tax

PER_RATE: Final = "the shop rounds tax once per rate, not on each line"
PER_ORDER: Final = "the shop rounds tax once per order, not on each line"
UNROUNDED: Final = "the shop adds up unrounded amounts and rounds the total once"


def balance(
    order: SalesOrder, *, shown_tax: Decimal | None = None, exact_nets: Mapping[str, Decimal] | None = None
) -> SalesOrder:
    """The order with `rounding` and `rounding_reason`; raises `Held` (class "money") that shows all sums and the
    difference.

    `shown_tax`: the order's whole tax, if the source shows one. `exact_nets`: unrounded net amounts by line id, if
    the source tells them. Both are evidence only: they never change an amount.
    """
    difference = order.total - order.lines_net - order.tax - order.shipping_net
    if not difference:
        return order
    unit = rounding_unit(order)
    with localcontext(prec=80):  # amounts have up to 27 digits, and products of them must stay exact
        reason = _explain(order, difference, unit, shown_tax, exact_nets or {})
    if not reason:
        raise _held(order, difference)
    return order.model_copy(update={"rounding": difference, "rounding_reason": reason})


def check_line(line: OrderLine, unit_price: Decimal, unit: Decimal, field: str) -> None:
    """For sources that give the unit price: quantity x unit price - discount must be the net amount.

    Accepted difference: half a minor unit for the one rounding of the line. Raises `Held` (class "money").
    """
    expected = line.quantity * unit_price - line.discount
    if abs(line.net - expected) > unit * _HALF:
        raise Held(
            f"The order's line {line.sku or line.id} does not add up: {line.quantity} x {unit_price} less a discount "
            f"of {line.discount} is {expected.normalize():f}, but the line says {line.net}. "
            "What to do: correct the line in the store and have the order sent again.",
            error_class="money",
            field=field,
        )


def rounding_unit(order: SalesOrder) -> Decimal:
    """The amount the shop rounds to: the currency's minor unit, or finer where its amounts are finer."""
    finest = minor_unit(order.currency)
    amounts = [order.total, *(line.net for line in order.lines), *(line.net for line in order.shipping_lines)]
    for amount in amounts:
        exponent = amount.normalize().as_tuple().exponent
        if isinstance(exponent, int) and exponent < finest.adjusted():
            finest = Decimal(1).scaleb(exponent)
    return finest


@dataclass(frozen=True, slots=True)
class _Taxed:
    """One amount of the order with its taxes."""

    net: Decimal
    exact: Decimal
    """Its net before rounding; the net itself where nobody tells."""
    taxes: tuple[TaxAmount, ...]
    spread: bool = False
    """A reduction whose tax the shop took from the rates of the other lines."""

    def recomputed(self, net: Decimal) -> list[tuple[TaxAmount, Decimal]]:
        """Each tax with its unrounded amount. Compound rates apply, one after the other, to the net plus the taxes
        before.
        """
        plain = sum((tax.rate or ZERO for tax in self.taxes if not tax.compound), ZERO) / _HUNDRED
        with_tax = net * (1 + plain)
        found = []
        for tax in self.taxes:
            amount = (with_tax if tax.compound else net) * (tax.rate or ZERO) / _HUNDRED
            if tax.compound:
                with_tax += amount
            found.append((tax, amount))
        return found


def _explain(
    order: SalesOrder, difference: Decimal, unit: Decimal, shown_tax: Decimal | None, exact_nets: Mapping[str, Decimal]
) -> str:
    """Which of the ways above leads to the total; "" when none does."""
    parts = list(_parts(order, unit, exact_nets))
    taxes = sum(len(part.taxes) for part in parts) + 2 * max(
        len(order.tax_totals), 1
    )  # header: goods and shipping apart
    inexact = sum(1 for part in parts if part.exact != part.net)
    if abs(difference) > (taxes + inexact + 1) * unit * _HALF:
        return ""
    if not all(part.spread or _tax_agrees(part, unit) for part in parts):
        return ""
    net = order.lines_net + order.shipping_net
    per_rate = sum((tax.amount for tax in order.tax_totals), ZERO) if order.tax_totals else None
    headers = {PER_RATE: per_rate, PER_ORDER: shown_tax}
    for reason, header in headers.items():
        if header is not None and net + header == order.total and abs(header - order.tax) <= taxes * unit * _HALF:
            return reason
    if any(tax.rate is None for part in parts for tax in part.taxes):
        return ""
    return _explain_recomputed(order.total, parts, unit, headers)


def _explain_recomputed(
    total: Decimal, parts: list[_Taxed], unit: Decimal, headers: Mapping[str, Decimal | None]
) -> str:
    known_to = unit * _HALF * (1 + sum(len(part.taxes) for part in parts if part.spread))
    net = sum((part.net for part in parts), ZERO)
    whole, by_rate = _recompute(parts, exact=False)
    if not any(header is not None for header in headers.values()):
        if abs(total - net - whole) <= known_to:
            return PER_ORDER
        if total - net in _rounded_per_rate(by_rate, unit):
            return PER_RATE
    inexact = sum(1 for part in parts if part.exact != part.net)
    if not inexact:
        return ""
    known_to += unit * inexact * _KEPT
    net = sum((part.exact for part in parts), ZERO)
    whole, by_rate = _recompute(parts, exact=True)
    candidates = {whole, *_rounded_per_rate(by_rate, unit)}
    near = unit * max(len(by_rate), 1)
    candidates |= {header for header in headers.values() if header is not None and abs(header - whole) <= near}
    return UNROUNDED if any(abs(total - net - tax) <= known_to for tax in candidates) else ""


def _parts(order: SalesOrder, unit: Decimal, exact_nets: Mapping[str, Decimal]) -> Iterator[_Taxed]:
    amounts: tuple[OrderLine | ShippingLine, ...] = (*order.lines, *order.shipping_lines)
    for line in amounts:
        exact = exact_nets.get(line.id, line.net)
        if abs(exact - line.net) > unit * (_HALF + _KEPT):
            exact = line.net
        part = _Taxed(line.net, exact, line.taxes)
        reduction = isinstance(line, OrderLine) and line.kind is LineKind.FEE and line.net < 0
        spread = reduction and not _tax_agrees(part, unit) and _is_spread(part, unit)
        yield replace(part, spread=True) if spread else part


def _tax_agrees(part: _Taxed, unit: Decimal) -> bool:
    """Whether every tax amount of a line is its rate's, within its own rounding and that of the net amount."""
    for tax, amount in part.recomputed(part.net):
        per_net = abs(amount / part.net) if part.net else ZERO
        if tax.rate is not None and abs(tax.amount - amount) > unit * _HALF * (1 + per_net):
            return False
    return True


def _is_spread(part: _Taxed, unit: Decimal) -> bool:
    """Whether the tax of a reduction is that of parts of it at each rate, together no more than the whole."""
    taxed, slack = ZERO, unit * _HALF
    for tax in part.taxes:
        if not tax.rate or tax.amount > 0:
            return False
        taxed += tax.amount / tax.rate * _HUNDRED
        slack += unit * _HALF / tax.rate * _HUNDRED
    return abs(taxed) <= abs(part.net) + slack


def _recompute(parts: list[_Taxed], *, exact: bool) -> tuple[Decimal, dict[tuple[str, Decimal, bool], Decimal]]:
    """The unrounded tax of the whole order, and per rate. A spread reduction keeps the tax that the shop shows."""
    by_rate: dict[tuple[str, Decimal, bool], Decimal] = {}
    for part in parts:
        for tax, amount in part.recomputed(part.exact if exact else part.net):
            name = (tax.label, tax.rate or ZERO, tax.compound)
            by_rate[name] = by_rate.get(name, ZERO) + (tax.amount if part.spread else amount)
    return sum(by_rate.values(), ZERO), by_rate


def _rounded_per_rate(by_rate: Mapping[tuple[str, Decimal, bool], Decimal], unit: Decimal) -> set[Decimal]:
    """The taxes rounded each, halves either way."""
    return {
        sum(((tax / unit).quantize(Decimal(1), mode) * unit for tax in by_rate.values()), ZERO) for mode in _ROUNDINGS
    }


def _held(order: SalesOrder, difference: Decimal) -> Held:
    def amount(value: Decimal) -> str:
        return show(value, order.currency)

    explained = order.lines_net + order.tax + order.shipping_net
    return Held(
        f"The order does not balance: lines {amount(order.lines_net)} + tax {amount(order.tax)} + shipping "
        f"{amount(order.shipping_net)} + rounding {amount(ZERO)} = {amount(explained)}, but its total is "
        f"{amount(order.total)}. The difference of {amount(difference)} cannot be explained by the shop's rounding. "
        "What to do: compare the order with the store; correct it there, or enter it in the CRM by hand and "
        "skip this job.",
        error_class="money",
        field="total",
    )
