"""An order of WooCommerce's REST interface v3 to a SalesOrder.

Seen on the wire (WooCommerce 10.0.2): money is text, `price` is a float and serves only as evidence for rounding;
absent values are empty strings; a guest has `customer_id` 0; `shipping` may be all empty; the total does not fall
with refunds; amounts on lines are net, also in shops whose prices include tax.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from core.keys import Key
from core.money import ZERO
from mapping import reading
from mapping.canonical.order import Coupon, OrderStatus, PaymentStatus, Refund, SalesOrder
from mapping.canonical.party import Address, Customer, Person
from mapping.canonical.totals import balance
from mapping.fields import CustomFields
from mapping.reading import Raw
from mapping.woocommerce.delivery import read_delivery
from mapping.woocommerce.lines import fee_line, product_line, rates_of, shipping_line, tax_totals
from mapping.woocommerce.metadata import Metadata, read_metadata

STATUSES: Final[Mapping[str, OrderStatus]] = {
    "pending": OrderStatus.PENDING,
    "on-hold": OrderStatus.ON_HOLD,
    "processing": OrderStatus.CONFIRMED,
    "completed": OrderStatus.COMPLETED,
    "cancelled": OrderStatus.CANCELLED,
    "refunded": OrderStatus.REFUNDED,
    "failed": OrderStatus.FAILED,
    "trash": OrderStatus.DELETED,
    "auto-draft": OrderStatus.DRAFT,
    "checkout-draft": OrderStatus.DRAFT,
}
"""WooCommerce's own words. Plugins add others: a connection's `statuses` go first, the rest is UNKNOWN."""

MAX_LINES: Final = 10_000


@dataclass(frozen=True, slots=True)
class WooOptions:
    """What a connection configures about the mapping."""

    connection: str
    metadata: Metadata = field(default_factory=Metadata)
    statuses: Mapping[str, OrderStatus] = field(default_factory=dict)
    fields: CustomFields = field(default_factory=lambda: CustomFields({}))
    channel: str = "web"
    max_lines: int = MAX_LINES
    shipped: tuple[str, ...] = ()
    delivered: tuple[str, ...] = ()
    rush_methods: tuple[str, ...] = ()


def order_from_woocommerce(raw: Mapping[str, Any], options: WooOptions) -> SalesOrder:
    """The order in the common language, balanced. Raises `Held` naming the field at fault and its value."""
    order = read_from_woocommerce(raw, options)
    shown = reading.amount(raw, "total_tax") if reading.given(raw, "total_tax") else None
    return balance(order, shown_tax=shown, exact_nets=_exact_nets(raw))


def read_from_woocommerce(raw: Mapping[str, Any], options: WooOptions) -> SalesOrder:
    """The same with its sums as the shop gives them, whether they balance or not: to look at, never to post."""
    order_id = _id(raw)
    stamp = _stamp(raw)
    meta = read_metadata(raw, options.metadata)
    word = reading.text(raw, "status")
    status = options.statuses.get(word) or STATUSES.get(word.removeprefix("wc-"), OrderStatus.UNKNOWN)
    paid_at = reading.moment(raw, "date_paid_gmt")
    total = _total(raw)
    refunds = tuple(_refund(row, f"refunds[{n}].") for n, row in enumerate(reading.rows(raw, "refunds")))
    billing = _address(reading.section(raw, "billing"), "billing.")
    shipping = _address(reading.section(raw, "shipping"), "shipping.")
    parts = _parts(raw, options.max_lines)
    delivery = parts["shipping_lines"][0].method if parts["shipping_lines"] else ""
    bare = word.removeprefix("wc-")
    way = read_delivery(raw, options.metadata, word=bare, shipped=options.shipped, delivered=options.delivered)
    return SalesOrder(
        key=Key(options.connection, "order", order_id),
        stamp=stamp,
        number=reading.text(raw, "number") or order_id,
        status=status,
        source_status=word,
        payment_status=_payment_status(status, paid_at, refunds, total),
        placed_at=reading.moment(raw, "date_created_gmt") or stamp,
        paid_at=paid_at,
        shipped_at=way.shipped_at,
        delivered_at=way.delivered_at,
        tracking=way.tracking,
        promised_on=way.promised_on,
        rush=way.rush or (bool(delivery) and delivery in options.rush_methods),
        language=way.language,
        currency=reading.currency(raw),
        prices_include_tax=reading.flag(raw, "prices_include_tax"),
        customer=_customer(raw, options.connection, order_id, billing, meta),
        billing=billing,
        shipping=billing if shipping.empty else shipping,
        **parts,
        refunds=refunds,
        total=total,
        delivery_method=delivery,
        payment_method=reading.text(raw, "payment_method"),
        channel=meta["channel"] or options.channel,
        purchase_order=meta["po_number"],
        placed_by=meta["placed_by"],
        note=reading.text(raw, "customer_note"),
        custom=options.fields.pairs(raw) if options.fields else (),
    )


def _id(raw: Raw) -> str:
    value = raw.get("id")
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise reading.fault("id", "" if value is None else value, "is not an order's id")
    return str(value)


def _stamp(raw: Raw) -> datetime:
    stamp = reading.moment(raw, "date_modified_gmt")
    if stamp is None:
        raise reading.fault("date_modified_gmt", "", "is missing: without it nobody knows which version is the newest")
    return stamp


def _total(raw: Raw) -> Decimal:
    total = reading.amount(raw, "total")
    if total < 0:
        raise reading.fault("total", raw.get("total"), "is negative: an order cannot give money back")
    return total


def _parts(raw: Raw, max_lines: int) -> dict[str, Any]:
    """Everything that costs something: lines, shipping, coupons, and the tax per rate."""
    items, fees = reading.rows(raw, "line_items"), reading.rows(raw, "fee_lines")
    shipping, coupons = reading.rows(raw, "shipping_lines"), reading.rows(raw, "coupon_lines")
    headers = reading.rows(raw, "tax_lines")
    for name, found in (
        ("line_items", items),
        ("fee_lines", fees),
        ("shipping_lines", shipping),
        ("coupon_lines", coupons),
    ):
        reading.at_most(found, max_lines, name)
    if not items and not fees:
        raise reading.fault("line_items", "", "has no entries: an order needs at least one line")
    rates = rates_of(headers)
    return {
        "lines": (
            *(product_line(row, rates, f"line_items[{n}].") for n, row in enumerate(items)),
            *(fee_line(row, rates, f"fee_lines[{n}].") for n, row in enumerate(fees)),
        ),
        "shipping_lines": tuple(shipping_line(row, rates, f"shipping_lines[{n}].") for n, row in enumerate(shipping)),
        "coupons": tuple(_coupon(row, f"coupon_lines[{n}].") for n, row in enumerate(coupons)),
        "tax_totals": tax_totals(headers, rates),
    }


def _coupon(row: Raw, at: str) -> Coupon:
    return Coupon(code=reading.text(row, "code", at), amount=reading.amount_or_zero(row, "discount", at))


def _refund(row: Raw, at: str) -> Refund:
    return Refund(
        id=reading.text(row, "id", at),
        amount=abs(reading.amount_or_zero(row, "total", at)),
        reason=reading.text(row, "reason", at),
    )


def _address(row: Raw, at: str) -> Address:
    return Address(
        company=reading.text(row, "company", at),
        first_name=reading.text(row, "first_name", at),
        last_name=reading.text(row, "last_name", at),
        line1=reading.text(row, "address_1", at),
        line2=reading.text(row, "address_2", at),
        city=reading.text(row, "city", at),
        state=reading.text(row, "state", at),
        postal_code=reading.text(row, "postcode", at),
        country=reading.text(row, "country", at),
        phone=reading.text(row, "phone", at),
    )


def _customer(raw: Raw, connection: str, order_id: str, billing: Address, meta: Mapping[str, str]) -> Customer:
    customer_id = raw.get("customer_id") or 0
    if not isinstance(customer_id, int) or customer_id < 0:
        raise reading.fault("customer_id", customer_id, "is not a customer's id")
    guest = customer_id == 0
    return Customer(
        key=Key(connection, "guest", order_id) if guest else Key(connection, "customer", str(customer_id)),
        guest=guest,
        company=billing.company,
        person=Person(
            first_name=billing.first_name,
            last_name=billing.last_name,
            email=reading.text(reading.section(raw, "billing"), "email", "billing."),
            phone=billing.phone,
        ),
        vat_number=meta["vat_number"],
        erp_number=meta["erp_number"],
        billing=billing,
    )


def _payment_status(
    status: OrderStatus, paid_at: datetime | None, refunds: Sequence[Refund], total: Decimal
) -> PaymentStatus:
    back = sum((refund.amount for refund in refunds), ZERO)
    if status is OrderStatus.REFUNDED or (back and back >= total):
        return PaymentStatus.REFUNDED
    return PaymentStatus.PAID if paid_at else PaymentStatus.UNPAID


def _exact_nets(raw: Raw) -> dict[str, Decimal]:
    """`price` is the unrounded net amount of one piece, a float in WooCommerce. Evidence only: see
    mapping.canonical.totals.
    """
    found: dict[str, Decimal] = {}
    for row in raw.get("line_items") or ():
        try:
            found[str(row.get("id"))] = Decimal(str(row.get("price"))) * Decimal(str(row.get("quantity")))
        except InvalidOperation:
            continue
    return found
