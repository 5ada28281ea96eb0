"""Line items, totals and stock of orders and invoices, as vtiger 8.2 works them out.

Totals are computed in binary floating point, in the server's own order of additions, because that is what its
answers show (9572.989999999998): a client that copes with this one copes with the real one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.crm import values
from sandbox.crm.store import Line, Row, Store

TAX_NAMES = ("tax1", "tax2", "tax3")
CHARGE = "shipping_&_handling"
CHARGE_TAXES = {name: f"{CHARGE}_sh{name}" for name in TAX_NAMES}
PRICED = frozenset({"Products", "Services"})
CANCELLED = "Cancel"


@dataclass(frozen=True, slots=True)
class Totals:
    """`subtotal` includes tax where the tax type is individual; `pre_tax` never does."""

    subtotal: float
    pre_tax: float
    grand: float


def read_lines(store: Store, parent: Row, items: list[Any], tax_type: str) -> list[Line]:
    """The client's LineItems as stored lines, each with the next line number."""
    sent = [item for item in items if isinstance(item, dict)]
    return [read_line(store, parent, item, tax_type, place) for place, item in enumerate(sent, 1)]


def read_line(store: Store, parent: Row, item: dict[str, Any], tax_type: str, place: int) -> Line:
    """One line as stored; `place` is its sequence number."""
    found = store.find(str(item.get("productid") or ""))
    product = found if found and found.module.name in PRICED else None
    price = item.get("listprice")
    if price in (None, ""):
        price = product.values["unit_price"] if product and product.module.name == "Products" else "0"
    own_taxes = product.taxes if product and tax_type == "individual" else {}
    return Line(
        id=store.next_line(parent.number),
        sequence=place,
        product=found.id if found else "",
        quantity=values.fixed(item.get("quantity") or 0, 3),
        listprice=values.fixed(price, 8),
        discount_percent=values.fixed(item.get("discount_percent") or 0, 3),
        discount_amount=values.fixed(item.get("discount_amount") or 0, 8),
        comment=values.plain_text(item.get("comment")),
        taxes={name: values.fixed(item.get(name, own_taxes.get(name, 0)) or 0, 3) for name in TAX_NAMES},
    )


def read_charges(element: dict[str, Any]) -> dict[str, object]:
    """Shipping as sent: `shipping_&_handling` with its taxes, or the older hdnS_H_Amount with hdnS_H_Percent."""
    sent: dict[str, object] = {
        key: element[key] for key in (CHARGE, *CHARGE_TAXES.values()) if element.get(key) not in (None, "")
    }
    amount = element.get("hdnS_H_Amount")
    if CHARGE not in sent and amount not in (None, ""):
        sent[CHARGE] = amount
        if element.get("hdnS_H_Percent") not in (None, ""):
            percent = values.to_decimal(element["hdnS_H_Percent"])
            sent[CHARGE_TAXES["tax1"]] = element["hdnS_H_Percent"]
            # Seen on the wire: two stray keys with the amount times the percentage.
            sent |= {"": None, "_shtax1": values.number(float(values.to_decimal(amount) * percent))}
    return sent


def charge_columns(element: dict[str, Any], charges: dict[str, object], decimals: int) -> dict[str, str]:
    """The two header columns of shipping. hdnS_H_Percent is garbage out (seen on the wire): the amount, or amount
    times percent.
    """
    amount = values.to_decimal(charges.get(CHARGE, 0))
    percent = values.to_decimal(0)
    if CHARGE_TAXES["tax1"] in charges:
        sent = element.get("hdnS_H_Percent")
        percent = amount if element.get(CHARGE) not in (None, "") else amount * values.to_decimal(sent)
    return {"hdnS_H_Amount": values.fixed(amount, 8), "hdnS_H_Percent": values.fixed(percent, decimals)}


def totals(store: Store, row: Row) -> Totals:
    """The server's totals of a record with its lines and charges."""
    individual = row.values["hdnTaxType"] == "individual"
    subtotal = net = 0.0
    for line in row.lines:
        amount = line_net(line)
        net += amount
        subtotal += amount
        if individual:
            for rate in _counting_rates(store, line):
                subtotal += amount * rate / 100
    discount = _order_discount(row.values, subtotal)
    charge = float(values.to_decimal(row.charges.get(CHARGE, 0)))
    grand = subtotal - discount
    if not individual and row.lines:
        for percent in row.lines[0].taxes.values():
            grand += (subtotal - discount) * float(percent) / 100
    grand += charge
    for name in CHARGE_TAXES.values():
        grand += charge * float(values.to_decimal(row.charges.get(name, 0))) / 100
    return Totals(subtotal, net - discount + charge, grand + float(row.values["txtAdjustment"] or 0))


def line_net(line: Line) -> float:
    """Quantity times price less the discount; where both kinds of discount are given, only the amount counts."""
    gross = float(line.quantity) * float(line.listprice)
    amount = float(line.discount_amount)
    return gross - amount if amount else gross - gross * float(line.discount_percent) / 100


def _counting_rates(store: Store, line: Line) -> list[float]:
    """Only the taxes that the product itself has configured count, whatever stands on the line."""
    product = store.find(line.product)
    configured = product.taxes if product else {}
    return [float(line.taxes[name]) for name in TAX_NAMES if name in configured]


def _order_discount(header: dict[str, str], subtotal: float) -> float:
    if header["hdnDiscountAmount"]:
        return float(header["hdnDiscountAmount"])
    return subtotal * float(header["hdnDiscountPercent"] or 0) / 100


def total_columns(result: Totals) -> dict[str, str]:
    """The totals as the header's columns keep them."""
    return {
        "hdnSubTotal": values.money(result.subtotal),
        "hdnGrandTotal": values.money(result.grand),
        "pre_tax_total": values.money(result.pre_tax),
    }


def takes_stock(row: Row) -> bool:
    """Invoices take stock at creation whatever their status, except cancelled ones; orders never do."""
    return row.module.name == "Invoice" and row.values.get("invoicestatus") != CANCELLED


def move_stock(store: Store, lines: list[Line], sign: int) -> None:
    """Add (+1) or take (-1) the lines' quantities; no check against overselling."""
    for line in lines:
        product = store.find(line.product)
        if product is not None and product.module.name == "Products":
            left = values.to_decimal(product.values["qtyinstock"]) + sign * values.to_decimal(line.quantity)
            store.change(product, {"qtyinstock": values.fixed(left, 3)})
