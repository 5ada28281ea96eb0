"""A sales order and its invoice as vtiger's web service wants them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from core.errors import Held
from core.money import show
from mapping.canonical import Address, LineKind, SalesOrder
from mapping.days import invoice_day
from mapping.refunds import taken_off
from mapping.vtiger.money import THREE, OrderMoney, PricedLine, represent
from mapping.vtiger.text import EMPTY

CHARGE: Final = "shipping_&_handling"
"""vtiger's name for the shipping charge, ampersand included."""
REQUIRED: Final = frozenset({"subject", "bill_street", "ship_street"})
"""Texts that vtiger refuses to be empty."""
NOT_RESENT: Final = frozenset({"productid", "invoicestatus", "assigned_user_id"})
"""Left out of a revise: needed only at creation, or (the owner) reassigned by people in the CRM since."""


@dataclass(frozen=True, slots=True)
class Item:
    """A product in the CRM: its id, and the tax slots (`tax1`, ...) that count for it."""

    id: str
    taxes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OrderFields:
    """Which fields of this install carry what; empty: that is not written."""

    external_id: str = "cf_external_id"
    purchase_order: str = "vtiger_purchaseorder"
    delivery: str = "carrier"
    payment: str = ""
    tax_slots: tuple[str, ...] = ("tax1",)
    shipping_tax: str = "shtax1"


@dataclass(frozen=True, slots=True)
class Place:
    """Everything about an order that is a record or a word of the CRM."""

    external_id: str
    account: str
    contact: str
    owner: str
    currency: str
    subject: str
    status: str
    conversion_rate: Decimal = Decimal(1)
    delivery: str = ""
    payment: str = ""
    items: Mapping[str, Item] = field(default_factory=dict)
    """By SKU."""
    unknown: Item | None = None
    """Carries lines whose SKU is not in `items`."""
    fee: Item | None = None
    """Carries fees and refunds; None: `unknown` does."""
    notes: tuple[str, ...] = ()
    fields: OrderFields = OrderFields()
    sales_order: str = ""
    """For an invoice: the order it belongs to."""
    zone: str = "UTC"
    """The seller's time zone, by which an invoice is dated."""


def order_to_vtiger(order: SalesOrder, place: Place) -> dict[str, Any]:
    """The element for `create` of a SalesOrder. Raises Held where a line has no product, or its product no tax slot."""
    element = _document(order, place)
    names = place.fields
    element["sostatus"] = place.status
    element["invoicestatus"] = "AutoCreated"
    if names.delivery:
        element[names.delivery] = place.delivery
    if names.payment:
        element[names.payment] = place.payment
    return {**dict(order.custom), **element}  # configured fields never replace ours


def invoice_to_vtiger(order: SalesOrder, place: Place) -> dict[str, Any]:
    """The element for `create` of an Invoice of this order, from the order's own lines."""
    element = _document(order, place)
    element["invoicestatus"] = place.status
    element["salesorder_id"] = place.sales_order
    element["invoicedate"] = invoice_day(order, place.zone).isoformat()
    return element


def _document(order: SalesOrder, place: Place) -> dict[str, Any]:
    """What orders and invoices have in common."""
    money = represent(order)
    items = [_item_of(line, place) for line in money.lines]
    if not items:
        raise Held(
            "The order has no lines and no shipping: vtiger refuses such an order. "
            "What to do: add a line in the store, then retry.",
            error_class="validation/required",
            field="lines",
        )
    names = place.fields
    element: dict[str, Any] = {
        "subject": place.subject,
        "account_id": place.account,
        "contact_id": place.contact,
        "assigned_user_id": place.owner,
        "currency_id": place.currency,
        "conversion_rate": str(place.conversion_rate),
        names.external_id: place.external_id,
        "productid": items[0].id,
        "hdnTaxType": "individual",
        "txtAdjustment": f"{money.adjustment:.8f}",
        "description": "\n".join(description(order, place, money)),
        "LineItems": [_line(line, item, place, order) for line, item in zip(money.lines, items, strict=True)],
    }
    if names.purchase_order:
        element[names.purchase_order] = order.purchase_order
    if money.shipping or money.shipping_rate:
        element[CHARGE] = f"{money.shipping:f}"
        element[f"{CHARGE}_{names.shipping_tax}"] = f"{money.shipping_rate:f}"
    element |= _address("bill", order.billing) | _address("ship", order.shipping)
    return element


def _address(kind: str, address: Address) -> dict[str, str]:
    """The order's address is a snapshot: it never touches the account's."""
    return {
        f"{kind}_street": address.street or EMPTY,
        f"{kind}_city": address.city,
        f"{kind}_state": address.state,
        f"{kind}_code": address.postal_code,
        f"{kind}_country": address.country,
    }


def _item_of(line: PricedLine, place: Place) -> Item:
    source = line.source
    item = place.items.get(source.sku) if source is not None and source.sku else None
    if item is None and (source is None or source.kind is not LineKind.PRODUCT):
        item = place.fee or place.unknown
    if item is None:
        item = place.unknown
    if item is None:
        name = (source.sku or source.name) if source is not None else "shipping"
        raise Held(
            f'The line "{name}" has no product in vtiger, and no product is configured to carry it. '
            "What to do: create the product in vtiger, or set unknown_product (and fee_product) of the connection.",
            error_class="missing reference",
            field="sku",
        )
    return item


def _line(line: PricedLine, item: Item, place: Place, order: SalesOrder) -> dict[str, str]:
    element = {
        "productid": item.id,
        "quantity": f"{line.quantity:f}",
        "listprice": f"{line.price:.8f}",
        "comment": _comment(line, place, order),
    }
    slot = next((name for name in place.fields.tax_slots if name in item.taxes), None)
    if slot is not None:
        element[slot] = f"{line.rate:f}"
    elif line.rate:
        raise _no_slot(line, place.fields.tax_slots[0])
    # A slot left out takes the product's own percentage (seen on the wire): every other one is set to nought.
    element |= dict.fromkeys(sorted(item.taxes - {slot}), f"{Decimal(0).quantize(THREE)}")
    if line.discount:
        element["discount_amount"] = f"{line.discount:.8f}"
    return element


def _no_slot(line: PricedLine, slot: str) -> Held:
    name = line.source.sku or line.source.name if line.source is not None else "shipping"
    return Held(
        f'The product of the line "{name}" has no {slot} configured in vtiger: a tax of {line.rate.normalize():f} % '
        f"would silently not count. What to do: open the product in vtiger, tick {slot} (0 % is enough), then retry.",
        error_class="missing reference",
        field=slot,
    )


def _comment(line: PricedLine, place: Place, order: SalesOrder) -> str:
    source = line.source
    if source is None:
        return ", ".join(part.title or part.method for part in order.shipping_lines) or "Shipping"
    parked = source.kind is LineKind.PRODUCT and source.sku not in place.items
    text = " ".join(part for part in (source.sku if parked else "", source.name) if part)
    if line.folded:
        text = f"{text}\nQuantity {source.quantity.normalize():f}"
    return f"{text}\n{source.note}" if source.note else text


def description(order: SalesOrder, place: Place, money: OrderMoney) -> list[str]:
    """What has no field of its own, a sentence a line."""
    lines = [f"Order {order.number} of {order.placed_at:%Y-%m-%d %H:%M} UTC ({order.channel})"]
    if place.payment and not place.fields.payment:
        lines.append(f"Payment: {place.payment}")
    if place.delivery and not place.fields.delivery:
        lines.append(f"Delivery: {place.delivery}")
    recipient = _recipient(order)
    if recipient:
        lines.append(f"Deliver to: {recipient}")
    lines += [note for note in dict.fromkeys(place.notes) if note]
    lines += _rounding(order, money)
    off = taken_off(order)
    lines += [
        f"Refunded {show(refund.amount, order.currency)}"
        + ("" if refund.id in off or not refund.amount else ", order total unchanged")
        + (f": {refund.reason}" if refund.reason else "")
        for refund in order.refunds
    ]
    if order.note:
        lines.append(f"Customer's note: {order.note}")
    return lines


def _recipient(order: SalesOrder) -> str:
    """Who receives the goods, where it is not who is billed: vtiger's address has no field for a name."""
    ship, bill = order.shipping, order.billing
    if (ship.company, ship.first_name, ship.last_name) == (bill.company, bill.first_name, bill.last_name):
        return ""
    person = " ".join(part for part in (ship.first_name, ship.last_name) if part)
    return ", ".join(part for part in (ship.company, person) if part)


def _rounding(order: SalesOrder, money: OrderMoney) -> list[str]:
    lines = []
    if order.rounding:
        reason = order.rounding_reason or "the store's own rounding"
        lines.append(f"Rounding {show(order.rounding, order.currency)}: {reason}, part of the adjustment")
    rest = money.adjustment - order.rounding
    if abs(rest) >= Decimal("0.5"):
        lines.append(f"The adjustment holds {rest:.2f} {order.currency} of tax that no line's percentage can carry")
    return lines
