"""Refunds taken off an order: each stands as negative lines of its own, and the total falls by exactly what went back.

The store leaves an order's lines and total as they were sold and names the refunds beside them. Here each refunded part
becomes a line of the kind REFUND (negative net, negative taxes at the rates of what it is for); what the parts do not
explain of a refund's amount becomes a line too: money that went back for nothing in particular, or the cents that the
store rounded away between amount and parts. So the order balances as before, to the cent, whatever was refunded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from core.errors import Held
from core.money import ZERO, show
from mapping.canonical.order import LineKind, OrderLine, Refund, RefundedPart, SalesOrder, ShippingLine, TaxAmount
from mapping.canonical.totals import rounding_unit

PREFIX: Final = "refund/"
"""Ids of refund lines begin with it."""
_HALF: Final = Decimal("0.5")


def less_refunds(order: SalesOrder, refunds: Sequence[Refund]) -> SalesOrder:
    """The order less these refunds, which become its `refunds`. Raises Held (class "money") where they are more than the
    order's total, or where the parts of one are more than its amount by more than rounding.
    """
    back = sum((refund.amount for refund in refunds), ZERO)
    if back > order.total:
        raise _too_much(order, back)
    lines = [line for refund in refunds for line in refund_lines(order, refund)]
    return order.model_copy(
        update={
            "lines": (*order.lines, *lines),
            "total": order.total - back,
            "tax_totals": _less_taxes(order.tax_totals, lines),
            "refunds": tuple(refunds),
        }
    )


def as_sold(order: SalesOrder) -> SalesOrder:
    """The order before anything was taken off it. The header's taxes are left out: each line has its own."""
    back = sum((line.net + line.tax for line in order.lines if line.kind is LineKind.REFUND), ZERO)
    sold = tuple(line for line in order.lines if line.kind is not LineKind.REFUND)
    return order.model_copy(update={"lines": sold, "total": order.total - back, "tax_totals": ()})


def taken_off(order: SalesOrder) -> frozenset[str]:
    """The ids of the refunds that stand on the order's lines."""
    known = {refund.id for refund in order.refunds}
    return frozenset(id for line in order.lines if (id := _refund_of(line)) in known)


def lines_of(order: SalesOrder, refund_id: str) -> tuple[OrderLine, ...]:
    """The lines by which this refund stands on the order."""
    return tuple(line for line in order.lines if _refund_of(line) == refund_id)


def credit_of(order: SalesOrder, lines: Iterable[OrderLine]) -> SalesOrder:
    """A document over these lines alone, to be credited: its customer and words are the order's, its total is theirs."""
    own = tuple(lines)
    return order.model_copy(
        update={
            "lines": own,
            "shipping_lines": (),
            "coupons": (),
            "refunds": (),
            "tax_totals": (),
            "rounding": ZERO,
            "rounding_reason": "",
            "total": sum((line.net + line.tax for line in own), ZERO),
        }
    )


def reversal(order: SalesOrder) -> tuple[OrderLine, ...]:
    """Lines that take back all that is left of the order: one for each line, way of delivery and cent of rounding. A refund's
    own lines are among them: together they come to the order's total, negative.
    """
    found: list[OrderLine] = []
    for part in _sold(order):
        name = part.name if isinstance(part, OrderLine) else part.title or part.method or "Shipping"
        found.append(
            _line(f"{PREFIX}cancelled/{part.id}", f"Cancelled: {name}", part.net, part.taxes, note=_article(part))
        )
    if order.rounding:
        found.append(_line(f"{PREFIX}cancelled/rounding", "Cancelled: rounding", order.rounding, ()))
    return tuple(line for line in found if line.net or line.tax)


def refund_lines(order: SalesOrder, refund: Refund) -> tuple[OrderLine, ...]:
    """One line for each part, and one for what they leave of the amount; together they are the amount, negative."""
    sold = {line.id: line for line in _sold(order)}
    lines = [_of_part(refund, number, part, sold) for number, part in enumerate(refund.parts or (), 1)]
    rest = refund.amount + sum((line.net + line.tax for line in lines), ZERO)
    if rest < 0 and -rest > _slack(order, refund):
        raise _contradicts(order, refund, rest)
    if rest:
        what = "rounding" if abs(rest) <= _slack(order, refund) and lines else "amount"
        lines.append(_line(f"{PREFIX}{refund.id}/{what}", f"{_name(refund)}, {what}", rest, (), note=refund.reason))
    return tuple(line for line in lines if line.net or line.tax)


def _of_part(
    refund: Refund, number: int, part: RefundedPart, sold: Mapping[str, OrderLine | ShippingLine]
) -> OrderLine:
    source = sold.get(part.of)
    what = "" if source is None else source.name if isinstance(source, OrderLine) else source.title or source.method
    came_back = f"{part.quantity.normalize():f} came back" if part.quantity else ""
    note = "; ".join(text for text in (_article(source), came_back, refund.reason) if text)
    taxes = part.taxes if source is None else _with_rates(part.taxes, source.taxes)
    name = f"{_name(refund)}: {what}" if what else _name(refund)
    return _line(f"{PREFIX}{refund.id}/{number}", name, part.net, taxes, note=note)


def _line(id: str, name: str, net: Decimal, taxes: Iterable[TaxAmount], *, note: str = "") -> OrderLine:
    """A line that takes this much off."""
    negative = tuple(tax.model_copy(update={"amount": -tax.amount}) for tax in taxes)
    return OrderLine(id=id, kind=LineKind.REFUND, name=name, subtotal=-net, net=-net, taxes=negative, note=note)


def _sold(order: SalesOrder) -> tuple[OrderLine | ShippingLine, ...]:
    return (*order.lines, *order.shipping_lines)


def _name(refund: Refund) -> str:
    return f"Refund {refund.id}"


def _article(source: OrderLine | ShippingLine | None) -> str:
    return source.sku if isinstance(source, OrderLine) else ""


def _with_rates(taxes: tuple[TaxAmount, ...], sold: tuple[TaxAmount, ...]) -> tuple[TaxAmount, ...]:
    """A store may name a refund's tax without its rate: then it is that of what was sold, where there is no doubt which."""
    if len(taxes) != len(sold) or any(tax.rate is not None for tax in taxes):
        return taxes
    return tuple(rate.model_copy(update={"amount": tax.amount}) for tax, rate in zip(taxes, sold, strict=True))


def _slack(order: SalesOrder, refund: Refund) -> Decimal:
    """What rounding can leave between a refund's amount and its parts: half a unit for each amount that was rounded."""
    amounts = sum(1 + len(part.taxes) for part in refund.parts or ())
    return rounding_unit(order) * _HALF * (amounts + 1)


def _less_taxes(headers: tuple[TaxAmount, ...], lines: Sequence[OrderLine]) -> tuple[TaxAmount, ...]:
    """The header's taxes less those of the refund lines; a tax that no header has is left to its line."""
    if not headers:
        return headers
    back: dict[tuple[str, Decimal | None], Decimal] = {}
    for tax in (tax for line in lines for tax in line.taxes):
        back[tax.label, tax.rate] = back.get((tax.label, tax.rate), ZERO) + tax.amount
    return tuple(
        header.model_copy(update={"amount": header.amount + back.pop((header.label, header.rate), ZERO)})
        for header in headers
    )


def _refund_of(line: OrderLine) -> str:
    """The refund's id; "" for any other line. Ids of refunds may hold slashes themselves."""
    return line.id.removeprefix(PREFIX).rpartition("/")[0] if line.kind is LineKind.REFUND else ""


def _too_much(order: SalesOrder, back: Decimal) -> Held:
    return Held(
        f"{show(back, order.currency)} of the order went back, more than its total of "
        f"{show(order.total, order.currency)}. What to do: compare the order's refunds in the store; delete the one that is "
        "too much there, or bring the CRM's order to the right amount by hand and skip this job.",
        error_class="money",
        field="refunds",
    )


def _contradicts(order: SalesOrder, refund: Refund, rest: Decimal) -> Held:
    return Held(
        f"The refund {refund.id} is {show(refund.amount, order.currency)}, but its parts are "
        f"{show(refund.amount - rest, order.currency)}. What to do: correct the refund in the store; it is read again by "
        "itself when the order changes there.",
        error_class="money",
        field="refunds",
    )
