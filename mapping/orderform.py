"""The order form's own format (version 1) to the common language.

The models below *are* the format: they check an order, and the documented JSON Schema is made from them
(connectors/orderform/schema.json; a test keeps the two equal). Amounts are text (`"19.90"`); JSON numbers are read
exactly too. All amounts exclude tax, also where the shop shows prices with tax.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from core.clock import parse_utc
from core.errors import Held
from core.keys import Key
from core.money import DECIMALS, parse_amount
from mapping.canonical.order import (
    Coupon,
    LineKind,
    OrderLine,
    OrderStatus,
    PaymentStatus,
    Refund,
    RefundedPart,
    SalesOrder,
    ShippingLine,
    TaxAmount,
    Tracking,
)
from mapping.canonical.party import Address, Customer, Person
from mapping.canonical.totals import balance, check_line, rounding_unit
from mapping.fields import CustomFields
from mapping.reading import at_most, clean, shown

MAX_LINES: Final = 10_000
MOMENT: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})$"
DAY: Final = r"^\d{4}-\d{2}-\d{2}$"
LANGUAGE: Final = r"^([A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*)?$"
LINK: Final = r"^(https?://[\x21-\x7e]+)?$"
ID: Final = r"^[\x21-\x7e]{1,64}$"
_AMOUNT: Final = r"^-?[0-9]{1,15}(\.[0-9]{1,12})?$"
_NOT_NEGATIVE: Final = r"^[0-9]{1,15}(\.[0-9]{1,12})?$"


def _plain(value: object) -> Decimal:
    if isinstance(value, str) and not re.fullmatch(_AMOUNT, value):
        raise ValueError("is not an amount such as 19.90")
    try:
        return parse_amount(value)
    except ValueError:
        raise ValueError("is not an amount such as 19.90") from None


def _not_negative(value: object) -> Decimal:
    amount = _plain(value)
    if amount < 0 or str(value).startswith("-"):
        raise ValueError("must not be negative")
    return amount


def _positive(value: object) -> Decimal:
    amount = _plain(value)
    if amount <= 0:
        raise ValueError("must be greater than zero")
    return amount


def _moment(value: object) -> datetime:
    if not isinstance(value, str) or not re.fullmatch(MOMENT, value):
        raise ValueError("is not a time such as 2026-11-22T01:36:10.250000Z")
    try:
        return parse_utc(value)
    except (ValueError, OverflowError):
        raise ValueError("is not a time that exists") from None


def _day(value: object) -> date:
    if not isinstance(value, str) or not re.fullmatch(DAY, value):
        raise ValueError("is not a day such as 2026-11-24")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("is not a day that exists") from None


def _language(value: object) -> str:
    if not isinstance(value, str) or len(value) > 35 or not re.fullmatch(LANGUAGE, value):
        raise ValueError("is not a language such as it or de-AT")
    return re.split("[-_]", value)[0].lower()


def _link(value: object) -> str:
    if not isinstance(value, str) or len(value) > 2000 or not re.fullmatch(LINK, value):
        raise ValueError("is not an address that begins with https:// or http://")
    return value


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("must be text")
    return clean(value)


def _identifier(value: object) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not re.fullmatch(ID, text):
        raise ValueError("must be 1 to 64 letters, digits or signs without a blank")
    return text


def _amount_schema(pattern: str, **number: object) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"type": "string", "pattern": pattern}, {"type": "number", **number}]})


_TEXT = WithJsonSchema({"type": ["string", "null"], "maxLength": 10_000})
_TIME = {"type": "string", "format": "date-time", "pattern": MOMENT}

Amount = Annotated[Decimal, BeforeValidator(_plain), _amount_schema(_AMOUNT)]
NotNegative = Annotated[Decimal, BeforeValidator(_not_negative), _amount_schema(_NOT_NEGATIVE, minimum=0)]
Quantity = Annotated[
    Decimal, BeforeValidator(_positive), _amount_schema(r"^(?=.*[1-9])[0-9]{1,15}(\.[0-9]{1,12})?$", exclusiveMinimum=0)
]
Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema(_TIME)]
Day = Annotated[
    date,
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "format": "date", "pattern": DAY}),
]
Language = Annotated[str, BeforeValidator(_language), WithJsonSchema({"type": "string", "pattern": LANGUAGE})]
Link = Annotated[str, BeforeValidator(_link), WithJsonSchema({"type": "string", "pattern": LINK})]
Words = Annotated[str, BeforeValidator(_text), Field(max_length=10_000), _TEXT]
Identifier = Annotated[
    str,
    BeforeValidator(_identifier),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": ID}, {"type": "integer"}]}),
]


def _each_once(refunds: tuple[FormRefund, ...]) -> tuple[FormRefund, ...]:
    if len({refund.id for refund in refunds}) != len(refunds):
        raise ValueError("has an id twice: each refund needs its own")
    return refunds


def _known_currency(code: str) -> str:
    if code not in DECIMALS:
        raise ValueError("is not a currency of ISO 4217")
    return code


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FormTax(_Form):
    """Tax on one amount at one rate."""

    label: Words = Field(default="", description="What the tax is called.", examples=["VAT"])
    rate: NotNegative | None = Field(default=None, le=1000, description="Percent.", examples=["19", "8.875"])
    amount: Amount = Field(description="The tax, as the shop rounded it.", examples=["6.48"])


class FormAddress(_Form):
    """A postal address."""

    company: Words = Field(default="", examples=["Müller & Co KG"])
    first_name: Words = ""
    last_name: Words = ""
    line1: Words = Field(default="", description="Street and number.")
    line2: Words = ""
    city: Words = ""
    state: Words = ""
    postal_code: Words = ""
    country: Words = Field(default="", description="ISO 3166 code of two letters.", examples=["DE"])
    phone: Words = ""


class FormCustomer(_Form):
    """Who ordered."""

    id: Identifier | None = Field(default=None, description="The shop's number of the customer; null for a guest.")
    guest: bool = Field(default=False, description="True for somebody without an account in the shop.")
    company: Words = ""
    first_name: Words = ""
    last_name: Words = ""
    email: Words = Field(default="", examples=["einkauf@mueller.example"])
    phone: Words = ""
    vat_number: Words = Field(default="", examples=["DE123456789"])
    erp_number: Words = Field(default="", description="The customer's number in the ERP, if the shop knows it.")


class FormLine(_Form):
    """One product. quantity x unit_price - discount = net, rounded once."""

    id: Identifier = Field(examples=["1"])
    sku: Words = Field(default="", examples=["OF-101"])
    name: Words = Field(default="", examples=["Ballpoint blue"])
    quantity: Quantity = Field(description="More than zero.", examples=["100"])
    unit_price: NotNegative = Field(description="Without tax, before discount.", examples=["0.333"])
    discount: NotNegative = Field(default=Decimal(0), description="On the whole line, without tax.", examples=["4.65"])
    net: NotNegative = Field(description="The line without tax, after discount.", examples=["28.65"])
    taxes: tuple[FormTax, ...] = Field(default=(), strict=False)


class FormFee(_Form):
    """A surcharge, or a reduction where it is negative."""

    id: Identifier
    name: Words = Field(default="", examples=["Gift wrap"])
    net: Amount = Field(description="Without tax; may be negative.", examples=["2.00", "-1.50"])
    taxes: tuple[FormTax, ...] = Field(default=(), strict=False)


class FormShipping(_Form):
    """One way of delivery and its price."""

    id: Identifier
    method: Words = Field(default="", description="The shop's code.", examples=["flat_rate"])
    title: Words = ""
    net: NotNegative = Field(description="Without tax.", examples=["4.90"])
    taxes: tuple[FormTax, ...] = Field(default=(), strict=False)


class FormCoupon(_Form):
    """A coupon that was used. Its effect is in the lines' discounts already."""

    code: Words = Field(examples=["five"])
    amount: NotNegative = Decimal(0)


class FormParcel(_Form):
    """A parcel on its way."""

    carrier: Words = Field(default="", examples=["DHL"])
    number: Words = Field(default="", examples=["00340434161094042557"])
    url: Link = Field(default="", description="Where one can follow it.")


class FormRefundPart(_Form):
    """What of a refund is for one line, fee or way of delivery. Amounts are positive, as they went back."""

    of: Identifier | None = Field(default=None, description="The id of the line; null: for nothing in particular.")
    quantity: NotNegative = Field(default=Decimal(0), description="How many came back; 0: money only.", examples=["2"])
    net: Amount = Field(description="Without tax.", examples=["10.00"])
    taxes: tuple[FormTax, ...] = Field(default=(), strict=False)


class FormRefund(_Form):
    """Money that went back. Lines, fees and totals of the order stay as they were sold; a refund that is taken back is left
    out of the next state.
    """

    id: Identifier = Field(description="Never changes, never used twice within the order.", examples=["R-1"])
    amount: NotNegative = Field(description="What the customer got back, with tax.", examples=["11.90"])
    reason: Words = Field(default="", examples=["arrived broken"])
    created_at: Moment | None = None
    parts: tuple[FormRefundPart, ...] = Field(
        default=(),
        max_length=1000,
        strict=False,
        description="What it is for; what they leave of the amount is for nothing.",
    )


class FormTotals(_Form):
    """What the shop's own page shows. `total` must be the sum of all net amounts and their tax; `tax` serves to
    explain a cent of rounding; the others are for information.
    """

    net: Amount = Field(default=Decimal(0), description="Lines and fees without tax.", examples=["34.15"])
    discount: NotNegative = Field(default=Decimal(0), examples=["5.00"])
    shipping: NotNegative = Field(default=Decimal(0), description="Without tax.", examples=["12.35"])
    tax: Amount | None = Field(default=None, description="All tax.", examples=["8.83"])
    total: NotNegative = Field(description="What the customer pays.", examples=["55.33"])


class FormOrder(_Form):
    """One order in its present state. Send it again, with a later `updated_at`, whenever it changes."""

    id: Identifier = Field(description="Never changes, never used twice.", examples=["1001"])
    number: Words = Field(default="", description="What people call the order; the id if empty.", examples=["WEB-1001"])
    created_at: Moment = Field(examples=["2026-11-22T01:36:10Z"])
    updated_at: Moment = Field(
        description="When this state came about, later with every change of the order: the newest wins.",
        examples=["2026-11-22T01:36:10.250000Z"],
    )
    status: Literal["placed", "confirmed", "completed", "cancelled"]
    payment_status: Literal["unpaid", "paid", "refunded"] = "unpaid"
    paid_at: Moment | None = None
    promised_on: Day | None = Field(
        default=None, description="The day by which the customer was promised the goods.", examples=["2026-11-24"]
    )
    shipped_at: Moment | None = Field(default=None, description="When all of the goods had left.")
    delivered_at: Moment | None = Field(default=None, description="When the customer had them.")
    tracking: tuple[FormParcel, ...] = Field(default=(), max_length=100, strict=False)
    rush: bool = Field(default=False, description="The customer needs it as fast as possible.")
    language: Language = Field(default="", description="The customer's language.", examples=["it", "de-AT"])
    currency: Annotated[str, AfterValidator(_known_currency)] = Field(pattern="^[A-Z]{3}$", examples=["EUR"])
    prices_include_tax: bool = Field(
        default=False, description="How the shop shows prices. Amounts here exclude tax anyway."
    )
    purchase_order: Words = Field(default="", description="The customer's own order number.", examples=["PO-1"])
    placed_by: Words = Field(default="", description="Who typed it in, when a sales rep did.", examples=["rep9"])
    channel: Words = Field(default="", description="`web` if empty.", examples=["web", "phone"])
    note: Words = ""
    customer: FormCustomer
    billing: FormAddress
    shipping: FormAddress | None = Field(default=None, description="Null: the same as billing.")
    lines: tuple[FormLine, ...] = Field(min_length=1, strict=False)
    fees: tuple[FormFee, ...] = Field(default=(), strict=False)
    shipping_lines: tuple[FormShipping, ...] = Field(default=(), strict=False)
    coupons: tuple[FormCoupon, ...] = Field(default=(), strict=False)
    refunds: Annotated[tuple[FormRefund, ...], AfterValidator(_each_once)] = Field(
        default=(), max_length=1000, strict=False, description="All that have not been taken back."
    )
    delivery_method: Words = Field(default="", description="The shop's code; else the first shipping line's.")
    payment_method: Words = Field(default="", description="The shop's code.", examples=["invoice"])
    totals: FormTotals
    metadata: dict[str, Annotated[str, AfterValidator(clean)]] = Field(
        default_factory=dict, description="Anything else, for custom fields."
    )


class FormDelivery(_Form):
    """An order of the order form."""

    order: FormOrder


STATUSES: Final[Mapping[str, OrderStatus]] = {
    "placed": OrderStatus.PENDING,
    "confirmed": OrderStatus.CONFIRMED,
    "completed": OrderStatus.COMPLETED,
    "cancelled": OrderStatus.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class FormOptions:
    """What a connection configures about the mapping."""

    connection: str
    fields: CustomFields = field(default_factory=lambda: CustomFields({}))
    channel: str = "web"
    max_lines: int = MAX_LINES


def order_from_orderform(raw: Mapping[str, Any], options: FormOptions) -> SalesOrder:
    """The order in the common language, balanced. Raises `Held` naming the fields at fault in plain words."""
    form, order = _read(raw, options)
    unit = rounding_unit(order)
    exact: dict[str, Decimal] = {}
    for n, (line, mapped) in enumerate(zip(form.lines, order.lines, strict=False)):
        check_line(mapped, line.unit_price, unit, f"order.lines[{n}].net")
        exact[line.id] = line.quantity * line.unit_price - line.discount
    return balance(order, shown_tax=form.totals.tax, exact_nets=exact)


def read_from_orderform(raw: Mapping[str, Any], options: FormOptions) -> SalesOrder:
    """The same with its sums as the shop gives them, whether they balance or not: to look at, never to post."""
    return _read(raw, options)[1]


def _read(raw: Mapping[str, Any], options: FormOptions) -> tuple[FormOrder, SalesOrder]:
    inner = raw.get("order")
    if isinstance(inner, dict):
        for name in ("lines", "fees", "shipping_lines", "coupons"):
            found = inner.get(name)
            at_most(found if isinstance(found, list) else (), options.max_lines, f"order.{name}")
    try:
        form = FormDelivery.model_validate(raw).order
    except ValidationError as error:
        raise _held(error) from None
    return form, _order(form, options, inner if isinstance(inner, dict) else {})


def _order(form: FormOrder, options: FormOptions, inner: Mapping[str, Any]) -> SalesOrder:
    billing = _address(form.billing)
    shipping = _address(form.shipping) if form.shipping else billing
    return SalesOrder(
        key=Key(options.connection, "order", form.id),
        stamp=form.updated_at,
        number=form.number or form.id,
        status=STATUSES[form.status],
        source_status=form.status,
        payment_status=PaymentStatus(form.payment_status),
        placed_at=form.created_at,
        paid_at=form.paid_at,
        shipped_at=form.shipped_at or form.delivered_at,
        delivered_at=form.delivered_at,
        tracking=tuple(Tracking(carrier=row.carrier, number=row.number, url=row.url) for row in form.tracking),
        promised_on=form.promised_on,
        rush=form.rush,
        language=form.language,
        currency=form.currency,
        prices_include_tax=form.prices_include_tax,
        customer=_customer(form, options.connection, billing),
        billing=billing,
        shipping=billing if shipping.empty else shipping,
        lines=(*(_line(line) for line in form.lines), *(_fee(fee) for fee in form.fees)),
        shipping_lines=tuple(
            ShippingLine(id=row.id, method=row.method, title=row.title, net=row.net, taxes=_taxes(row.taxes))
            for row in form.shipping_lines
        ),
        coupons=tuple(Coupon(code=coupon.code, amount=coupon.amount) for coupon in form.coupons),
        refunds=tuple(_refund(refund) for refund in form.refunds),
        total=form.totals.total,
        delivery_method=form.delivery_method or (form.shipping_lines[0].method if form.shipping_lines else ""),
        payment_method=form.payment_method,
        channel=form.channel or options.channel,
        purchase_order=form.purchase_order,
        placed_by=form.placed_by,
        note=form.note,
        custom=options.fields.pairs(inner) if options.fields else (),
    )


def _line(line: FormLine) -> OrderLine:
    return OrderLine(
        id=line.id,
        sku=line.sku,
        name=line.name,
        quantity=line.quantity,
        subtotal=line.net + line.discount,
        discount=line.discount,
        net=line.net,
        taxes=_taxes(line.taxes),
    )


def _fee(fee: FormFee) -> OrderLine:
    return OrderLine(
        id=fee.id, kind=LineKind.FEE, name=fee.name, subtotal=fee.net, net=fee.net, taxes=_taxes(fee.taxes)
    )


def _refund(form: FormRefund) -> Refund:
    return Refund(
        id=form.id,
        amount=form.amount,
        reason=form.reason,
        created=form.created_at,
        parts=tuple(
            RefundedPart(of=part.of or "", quantity=part.quantity, net=part.net, taxes=_taxes(part.taxes))
            for part in form.parts
        ),
    )


def _taxes(taxes: tuple[FormTax, ...]) -> tuple[TaxAmount, ...]:
    return tuple(TaxAmount(label=tax.label, rate=tax.rate, amount=tax.amount) for tax in taxes)


def _address(form: FormAddress) -> Address:
    return Address.model_validate(form.model_dump())


def _customer(form: FormOrder, connection: str, billing: Address) -> Customer:
    who = form.customer
    guest = who.guest or who.id is None
    return Customer(
        key=Key(connection, "guest", form.id) if guest else Key(connection, "customer", who.id or ""),
        guest=guest,
        company=who.company or billing.company,
        person=Person(
            first_name=who.first_name or billing.first_name,
            last_name=who.last_name or billing.last_name,
            email=who.email,
            phone=who.phone or billing.phone,
        ),
        vat_number=who.vat_number,
        erp_number=who.erp_number,
        billing=billing,
    )


_PLAIN_WORDS: Final = {
    "missing": "is missing",
    "extra_forbidden": "is not known in this format (a typing error?)",
    "too_short": "has no entries: an order needs at least one line",
    "string_too_long": "is too long",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "tuple_type": "must be a list",
    "string_pattern_mismatch": "is not a currency of ISO 4217",
    "less_than_equal": "is too large",
}
_SHOWN: Final = frozenset(
    {
        "id",
        "created_at",
        "updated_at",
        "paid_at",
        "promised_on",
        "shipped_at",
        "delivered_at",
        "language",
        "rush",
        "status",
        "payment_status",
        "currency",
        "rate",
        "amount",
        "quantity",
    }
    | {"unit_price", "discount", "net", "shipping", "tax", "total", "guest", "prices_include_tax"}
)


def _held(error: ValidationError) -> Held:
    """At most three faults in plain words. Values are shown for amounts, times and words, never for free text."""
    sentences, first = [], ""
    for found in error.errors(include_url=False)[:3]:
        where = ""
        for part in found["loc"]:
            where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else str(part)
        first = first or where
        value = found["input"] if found["loc"] and found["loc"][-1] in _SHOWN and found["type"] != "missing" else ""
        cause = found.get("ctx", {}).get("error")
        allowed = f"must be one of {found['ctx']['expected']}" if found["type"] == "literal_error" else ""
        wrong = _PLAIN_WORDS.get(found["type"]) or (str(cause) if cause else allowed) or "cannot be read"
        sentences.append(f"The order's field {where}{shown(value)} {wrong}.")
    more = error.error_count() - len(sentences)
    return Held(
        f"{' '.join(sentences)}{f' {more} more faults.' if more > 0 else ''} What to do: have the shop's developer "
        "compare the order with the documented schema of this connection, then send it again.",
        field=first,
    )
