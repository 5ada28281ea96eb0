"""A sales order in the common language. All line amounts are net (without tax); tax stands beside them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from mapping.canonical.base import Canonical, Key, Text
from mapping.canonical.party import Address, Customer


class OrderStatus(StrEnum):
    """Where an order stands. A word the table does not know becomes UNKNOWN, is counted and shown."""

    DRAFT = "draft"
    PENDING = "pending"
    ON_HOLD = "on_hold"
    CONFIRMED = "confirmed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"
    FAILED = "failed"
    DELETED = "deleted"
    UNKNOWN = "unknown"


class PaymentStatus(StrEnum):
    """Whether money came in."""

    UNPAID = "unpaid"
    PAID = "paid"
    REFUNDED = "refunded"
    UNKNOWN = "unknown"


class LineKind(StrEnum):
    """What a line sells."""

    PRODUCT = "product"
    FEE = "fee"
    REFUND = "refund"
    """Money that went back, negative; it names the refund, and moves no goods (mapping.refunds)."""


class TaxAmount(Canonical):
    """Tax on one amount at one rate, as the shop computed it."""

    label: Text = ""
    rate: Decimal | None = None
    """Percent (19 = 19 %); None where the source does not tell."""
    amount: Decimal
    compound: bool = False


class OrderLine(Canonical):
    """One line; `net` = quantity x unit_price - discount as the shop has it (rounded by the shop)."""

    id: str
    kind: LineKind = LineKind.PRODUCT
    sku: Text = ""
    name: Text = ""
    quantity: Decimal = Decimal(1)
    subtotal: Decimal
    """Net before discount."""
    discount: Decimal = Decimal(0)
    """Net, positive when it lowers the price."""
    net: Decimal
    taxes: tuple[TaxAmount, ...] = ()
    note: Text = ""

    @property
    def tax(self) -> Decimal:
        """The line's tax, the sum of its tax amounts."""
        return sum((tax.amount for tax in self.taxes), Decimal(0))


class ShippingLine(Canonical):
    """One way of delivery with its price."""

    id: str
    method: Text = ""
    title: Text = ""
    net: Decimal
    taxes: tuple[TaxAmount, ...] = ()

    @property
    def tax(self) -> Decimal:
        """The tax on shipping, the sum of its tax amounts."""
        return sum((tax.amount for tax in self.taxes), Decimal(0))


class Coupon(Canonical):
    """A coupon that was used. Its effect is already in the lines' discounts: for information only."""

    code: Text
    amount: Decimal = Decimal(0)


class RefundedPart(Canonical):
    """What of a refund is for one line or one way of delivery. Amounts are positive."""

    of: str
    """The id of the order's line or shipping line; "" for money that the store gives no line for."""
    quantity: Decimal = Decimal(0)
    """How many of it came back; 0 where only money went back."""
    net: Decimal
    taxes: tuple[TaxAmount, ...] = ()


class Refund(Canonical):
    """Money that went back. As read it is not part of the order's total: `mapping.refunds` takes it off."""

    id: str
    amount: Decimal
    """Positive."""
    reason: Text = ""
    created: datetime | None = None
    parts: tuple[RefundedPart, ...] | None = None
    """What it is for, as far as the store tells; None: not asked yet, the order's own record names the amount alone."""


class Tracking(Canonical):
    """A parcel on its way."""

    carrier: Text = ""
    number: Text = ""
    url: Text = ""


class SalesOrder(Canonical):
    """One order. Invariant (mapping.canonical.totals): lines + taxes + shipping + rounding = total."""

    key: Key
    stamp: datetime
    number: Text
    status: OrderStatus
    source_status: Text = ""
    """The store's own word."""
    payment_status: PaymentStatus = PaymentStatus.UNKNOWN
    placed_at: datetime
    paid_at: datetime | None = None
    shipped_at: datetime | None = None
    """When the goods left, where the source tells."""
    delivered_at: datetime | None = None
    """When the customer had them, where the source tells."""
    tracking: tuple[Tracking, ...] = ()
    promised_on: date | None = None
    """The day by which the store promised the goods."""
    rush: bool = False
    """The customer needs it as fast as possible."""
    language: str = ""
    """The customer's language, like `it`; "" where the source does not tell."""
    currency: str
    prices_include_tax: bool = False
    customer: Customer
    billing: Address
    shipping: Address
    """The delivery address; equal to `billing` where the source gives none."""
    lines: tuple[OrderLine, ...]
    """Products first, then fees, in the source's order."""
    shipping_lines: tuple[ShippingLine, ...] = ()
    coupons: tuple[Coupon, ...] = ()
    refunds: tuple[Refund, ...] = ()
    tax_totals: tuple[TaxAmount, ...] = ()
    """The header's tax per rate, shipping included, where the source gives it."""
    total: Decimal
    rounding: Decimal = Decimal(0)
    """The shop's own rounding: total less everything else; stands on a named line in the CRM."""
    rounding_reason: Text = ""
    delivery_method: Text = ""
    """The source's code (`flat_rate`), mapped by the flow's table."""
    payment_method: Text = ""
    channel: Text = "web"
    purchase_order: Text = ""
    placed_by: Text = ""
    """Who typed it, when a sales rep did (name in the owners table)."""
    note: Text = ""
    custom: tuple[tuple[str, str], ...] = ()
    """Configured custom fields for the target, (field, value)."""

    @property
    def lines_net(self) -> Decimal:
        """Net sum of all lines."""
        return sum((line.net for line in self.lines), Decimal(0))

    @property
    def tax(self) -> Decimal:
        """Tax of lines and shipping as they stand on the lines."""
        return sum((line.tax for line in self.lines), Decimal(0)) + sum(
            (s.tax for s in self.shipping_lines), Decimal(0)
        )

    @property
    def shipping_net(self) -> Decimal:
        """Net sum of shipping."""
        return sum((line.net for line in self.shipping_lines), Decimal(0))

    @property
    def refunded(self) -> Decimal:
        """Sum of refunds, positive."""
        return sum((refund.amount for refund in self.refunds), Decimal(0))
