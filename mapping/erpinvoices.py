"""The bill that an ERP wrote, in terms of the order that it is for: its lines, its tax and its total, to the cent. Pure.

ERPs tell tax for the whole bill; CRMs want it line by line. It is split by what each line would bear, and what cannot be
split evenly goes to the lines that lose most by rounding, so that the lines' taxes always are the bill's.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Final

from core.errors import Held
from core.money import DECIMALS, ZERO, minor_unit, show
from mapping.canonical import ErpInvoice, InvoiceLine, LineKind, OrderLine, PaymentStatus, SalesOrder, TaxAmount
from mapping.references import field_references

ROUNDING: Final = "the ERP's bill and its lines differ by that"
MOST_CENTS: Final = 5
"""So many of the smallest coin may a bill differ from its lines, or one for each line: cash rounding does that."""
_PAYMENT: Final = {"paid": PaymentStatus.PAID, "open": PaymentStatus.UNPAID}


def named(*texts: str) -> tuple[str, ...]:
    """What these texts may call an order by, strongest first: as it stands there, then each word of it."""
    found: list[str] = []
    for text in texts:
        for part in text.split(","):
            whole = part.strip()
            words = sorted(field_references(whole), key=lambda word: (-len(word), word))
            found += [one for one in (whole, *words, *(word.upper() for word in words)) if one]
    return tuple(dict.fromkeys(found))


def fits(invoice: ErpInvoice, order: SalesOrder) -> bool:
    """Whether a bill that names nothing but a number of the ERP's own can be for this order: numbers of two systems meet."""
    return (invoice.currency or order.currency) == order.currency and invoice.total == order.total


def billed(order: SalesOrder, invoice: ErpInvoice) -> SalesOrder:
    """The order as the bill has it: its lines, taxes and total; customer and addresses are the order's. A credit note goes
    below zero and moves no goods. Raises `Held` where the bill's own sums are wrong, or it is in another currency.
    """
    currency = invoice.currency or order.currency
    _check(order, invoice, currency)
    paid = _PAYMENT.get(invoice.status, PaymentStatus.UNKNOWN)
    if not invoice.lines and _as_ordered(order, invoice):
        return order.model_copy(update={"payment_status": paid, "refunds": (), "note": "", "custom": ()})
    sign = Decimal(-1) if invoice.credit else Decimal(1)
    lines = _lines(invoice, currency)
    rest = invoice.total * sign - sum((line.net + line.tax for line in lines), ZERO)
    return order.model_copy(
        update={
            "lines": tuple(lines),
            "shipping_lines": (),
            "coupons": (),
            "refunds": (),
            "tax_totals": (),
            "currency": currency,
            "total": invoice.total * sign,
            "rounding": rest,
            "rounding_reason": ROUNDING if rest else "",
            "payment_status": paid,
            "note": "",
            "custom": (),
        }
    )


def _check(order: SalesOrder, invoice: ErpInvoice, currency: str) -> None:
    name = invoice.number or invoice.key.id
    if currency not in DECIMALS:
        raise Held(
            f"The ERP's invoice {name} names no currency, and neither does the order. What to do: correct it in the ERP.",
            error_class="mapping",
            field="currency",
        )
    if currency != order.currency:
        raise Held(
            f"The ERP's invoice {name} is in {currency}, the order {order.number} in {order.currency}. "
            "What to do: see whether the invoice names the right order; correct it in the ERP.",
            error_class="money",
            field="currency",
        )
    if invoice.net + invoice.tax != invoice.total:
        raise Held(
            f"The ERP's invoice {name} does not balance: {show(invoice.net, currency)} and {show(invoice.tax, currency)} of tax "
            f"are not {show(invoice.total, currency)}. What to do: correct it in the ERP.",
            error_class="money",
            field="total",
        )


def _lines(invoice: ErpInvoice, currency: str) -> list[OrderLine]:
    if not invoice.lines:
        return [_whole(invoice)]
    net = sum((line.net for line in invoice.lines), ZERO)
    allowed = minor_unit(currency) * max(MOST_CENTS, len(invoice.lines))
    if abs(net - invoice.net) > allowed:
        name = invoice.number or invoice.key.id
        raise Held(
            f"The lines of the ERP's invoice {name} come to {show(net, currency)}, the invoice to {show(invoice.net, currency)} "
            "without tax. What to do: see whether all its lines are told (discounts and freight too); correct it in the ERP.",
            error_class="money",
            field="lines",
        )
    taxes = taxes_of(invoice, currency)
    made = [
        _line(invoice, place, line, tax) for place, (line, tax) in enumerate(zip(invoice.lines, taxes, strict=True))
    ]
    # Goods first, then fees, as in every order.
    return sorted(made, key=lambda line: line.kind is not LineKind.PRODUCT)


def _as_ordered(order: SalesOrder, invoice: ErpInvoice) -> bool:
    """A bill of which only the sums are told, and they are the order's."""
    return not invoice.credit and invoice.total == order.total and invoice.tax == order.tax


def _whole(invoice: ErpInvoice) -> OrderLine:
    """The one line of a bill of which only the sums are told."""
    name = f"{'Credit note' if invoice.credit else 'Invoice'} {invoice.number or invoice.key.id}"
    whole = InvoiceLine(name=name, quantity=Decimal(1), unit_price=invoice.net, net=invoice.net)
    return _line(invoice, 0, whole, invoice.tax)


def _line(invoice: ErpInvoice, place: int, line: InvoiceLine, tax: Decimal) -> OrderLine:
    sign = Decimal(-1) if invoice.credit else Decimal(1)
    kind = LineKind.REFUND if invoice.credit else LineKind.PRODUCT if line.sku else LineKind.FEE
    net = line.net * sign
    before = line.quantity * line.unit_price * sign
    discounted = kind is LineKind.PRODUCT and before > net >= ZERO
    return OrderLine(
        id=f"{invoice.key.id}.{place + 1}",
        kind=kind,
        # What goes back on paper moves no goods: the article stands in the text.
        sku="" if invoice.credit else line.sku,
        name=" ".join(part for part in (line.sku if invoice.credit else "", line.name) if part),
        quantity=line.quantity if line.quantity > ZERO else Decimal(1),
        subtotal=before if discounted else net,
        discount=before - net if discounted else ZERO,
        net=net,
        taxes=(TaxAmount(rate=line.rate, amount=tax * sign),) if tax or line.rate is not None else (),
    )


# -- tax ---------------------------------------------------------------------------------------------------------------


def taxes_of(invoice: ErpInvoice, currency: str) -> list[Decimal]:
    """The tax of each line; together exactly the bill's. Where the ERP tells it line by line, only cents are moved."""
    cent = minor_unit(currency)
    told = [line.tax for line in invoice.lines]
    if all(tax is not None for tax in told):
        given = [tax for tax in told if tax is not None]
        off = invoice.tax - sum(given, ZERO)
        return given if not off else _moved(given, off, cent)
    rates = [line.rate for line in invoice.lines]
    weights = [line.net * rate for line, rate in zip(invoice.lines, rates, strict=True) if rate is not None]
    if len(weights) < len(rates) or not sum(weights, ZERO):
        weights = [line.net for line in invoice.lines]
    if not sum(weights, ZERO):
        weights = [Decimal(1)] * len(invoice.lines)
    return split(invoice.tax, weights, cent)


def split(amount: Decimal, weights: Sequence[Decimal], unit: Decimal) -> list[Decimal]:
    """An amount in parts like these weights (whose sum is not 0), in whole units as far as it has whole ones, exactly. What
    is left over goes, a unit each, to the parts that were cut most; the first ones where they were cut alike.
    """
    whole = sum(weights, ZERO)
    exact = [amount * weight / whole for weight in weights]
    parts = [(one / unit).to_integral_value(ROUND_DOWN) * unit for one in exact]
    left = amount - sum(parts, ZERO)
    step = unit if left > ZERO else -unit
    most = sorted(range(len(parts)), key=lambda place: -abs(exact[place] - parts[place]))
    count = int((abs(left) / unit).to_integral_value(ROUND_DOWN))
    for turn in range(count):
        parts[most[turn % len(most)]] += step
    crumb = amount - sum(parts, ZERO)  # the amount itself had less than a unit
    parts[most[0]] += crumb
    return parts


def _moved(given: Sequence[Decimal], off: Decimal, cent: Decimal) -> list[Decimal]:
    """Cents between the sum of the lines' taxes and the bill's: on the lines with the most tax, one each."""
    parts = list(given)
    biggest = sorted(range(len(parts)), key=lambda place: -abs(parts[place]))
    step = cent if off > ZERO else -cent
    for turn in range(int((abs(off) / cent).to_integral_value(ROUND_DOWN))):
        parts[biggest[turn % len(biggest)]] += step
    parts[biggest[0]] += off - (sum(parts, ZERO) - sum(given, ZERO))
    return parts
