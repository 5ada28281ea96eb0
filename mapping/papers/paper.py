"""What stands on a paper, from the order: every amount exactly as it was carried, adding up to the total."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from core.money import ZERO
from core.papersettings import PaperKind, PaperLanguage, SellerSettings
from core.visible import in_one_line, visible
from mapping.canonical import Address, LineKind, OrderLine, SalesOrder, ShippingLine, TaxAmount
from mapping.papers.formats import Formats
from mapping.papers.words import WORDS, Words


@dataclass(frozen=True, slots=True)
class Facts:
    """What the order does not know. `number` of the invoice ("" on a confirmation), the day it was issued."""

    kind: PaperKind
    language: PaperLanguage
    issued: date
    number: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One row of the table, as text."""

    name: str
    quantity: str = ""
    price: str = ""
    discount: str = ""
    tax: str = ""
    net: str = ""


@dataclass(frozen=True, slots=True)
class Amount:
    """One row of the sums."""

    label: str
    amount: str
    total: bool = False


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper as texts, ready to be drawn."""

    title: str
    language: PaperLanguage
    seller: tuple[str, ...]
    addressee: tuple[str, ...]
    delivery: tuple[str, tuple[str, ...]] | None
    """Heading and lines, where it goes to another address."""
    facts: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    items: tuple[Item, ...]
    sums: tuple[Amount, ...]
    notes: tuple[str, ...]
    footer: tuple[tuple[str, ...], ...]
    """Columns of lines."""
    page: str
    """{page}, {pages}"""
    issued: datetime
    """For the file's own date; fixed, so that the same paper is the same bytes."""


def paper_of(order: SalesOrder, facts: Facts, seller: SellerSettings) -> Paper:
    """The paper (pure). Raises ValueError for an order whose parts do not add up to its total."""
    if order.lines_net + order.tax + order.shipping_net + order.rounding != order.total:
        raise ValueError(f"the order {order.key} does not add up")
    words, formats = WORDS[facts.language], Formats(facts.language, order.currency, seller.zone)
    number = facts.number if facts.kind == "invoice" else order.number
    return Paper(
        title=f"{getattr(words, facts.kind)} {_line(number)}".strip(),
        language=facts.language,
        seller=tuple(_line(line) for line in (seller.name, *seller.address) if line),
        addressee=_addressee(order, formats),
        delivery=_delivery(order, words, formats),
        facts=tuple(_facts(order, facts, words, formats)),
        columns=(words.article, words.quantity, words.price, words.discount, words.tax, words.net),
        items=tuple(_items(order, words, formats)),
        sums=tuple(_sums(order, words, formats)),
        notes=tuple(_notes(order, facts, seller, words, formats)),
        footer=_footer(seller, words),
        page=words.page,
        issued=datetime(facts.issued.year, facts.issued.month, facts.issued.day, tzinfo=UTC),
    )


def _line(text: str) -> str:
    return in_one_line(" ".join(text.split()))


def _lines_of(address: Address, formats: Formats) -> Iterator[str]:
    yield address.company
    yield " ".join(part for part in (address.first_name, address.last_name) if part)
    yield from (address.line1, address.line2)
    yield " ".join(part for part in (address.postal_code, address.city) if part)
    yield " ".join(part for part in (address.state, formats.country(address.country)) if part)


def _shown(address: Address, formats: Formats) -> tuple[str, ...]:
    return tuple(_line(line) for line in _lines_of(address, formats) if line)


def _addressee(order: SalesOrder, formats: Formats) -> tuple[str, ...]:
    shown = _shown(order.billing, formats)
    return shown or tuple(_line(line) for line in (order.customer.display_name,) if line)


def _delivery(order: SalesOrder, words: Words, formats: Formats) -> tuple[str, tuple[str, ...]] | None:
    shown = _shown(order.shipping, formats)
    if order.shipping.empty or shown == _shown(order.billing, formats):
        return None
    return words.delivery, shown


def _facts(order: SalesOrder, facts: Facts, words: Words, formats: Formats) -> Iterator[tuple[str, str]]:
    if facts.kind == "invoice":
        yield words.invoice_date, formats.day(facts.issued)
    yield words.order_number, _line(order.number)
    yield words.order_date, formats.day(order.placed_at)
    known = (
        (words.customer_number, order.customer.erp_number),
        (words.purchase_order, order.purchase_order),
        (words.vat_number, order.customer.vat_number),
    )
    yield from ((label, _line(value)) for label, value in known if value)


# -- the table ---------------------------------------------------------------------------------------------------------


def _items(order: SalesOrder, words: Words, formats: Formats) -> Iterator[Item]:
    for line in order.lines:
        yield _item(line, formats)
    for way in order.shipping_lines:
        name = f"{words.shipping}: {_line(way.title)}" if way.title else words.shipping
        yield Item(name, tax=_rates(way, formats), net=formats.money(way.net))


def _item(line: OrderLine, formats: Formats) -> Item:
    name = " · ".join(part for part in (_line(line.sku), _line(line.name)) if part)
    note = _line(line.note)
    name = f"{name}\n{note}" if note else name
    if line.kind is not LineKind.PRODUCT:
        return Item(name, tax=_rates(line, formats), net=formats.money(line.net))
    return Item(
        name,
        formats.number(line.quantity),
        formats.unit_price(line.subtotal, line.quantity),
        formats.money(line.discount) if line.discount else "",
        _rates(line, formats),
        formats.money(line.net),
    )


def _rates(line: OrderLine | ShippingLine, formats: Formats) -> str:
    rates = dict.fromkeys(formats.rate(tax.rate) if tax.rate is not None else _line(tax.label) for tax in line.taxes)
    return ", ".join(rate for rate in rates if rate)


# -- the sums ----------------------------------------------------------------------------------------------------------


def _sums(order: SalesOrder, words: Words, formats: Formats) -> Iterator[Amount]:
    yield Amount(words.net_total, formats.money(order.lines_net + order.shipping_net))
    for label, amount in _taxes(order, words, formats).items():
        yield Amount(label, formats.money(amount))
    if order.rounding:
        yield Amount(words.rounding, formats.money(order.rounding))
    yield Amount(words.total, formats.money(order.total), total=True)


def _taxes(order: SalesOrder, words: Words, formats: Formats) -> dict[str, Decimal]:
    """By the label that a customer reads: rates that look alike are one."""
    sums: dict[str, Decimal] = {}
    lines: tuple[OrderLine | ShippingLine, ...] = (*order.lines, *order.shipping_lines)
    for tax in (tax for line in lines for tax in line.taxes):
        label = _tax_label(tax, words, formats)
        sums[label] = sums.get(label, ZERO) + tax.amount
    return sums


def _tax_label(tax: TaxAmount, words: Words, formats: Formats) -> str:
    if tax.rate is None:
        return _line(tax.label) or words.tax
    return words.tax_at.format(rate=formats.rate(tax.rate)) + (f" ({_line(tax.label)})" if tax.label else "")


# -- below -------------------------------------------------------------------------------------------------------------


def _notes(order: SalesOrder, facts: Facts, seller: SellerSettings, words: Words, formats: Formats) -> Iterator[str]:
    if facts.kind == "invoice" and order.total > 0:
        if order.paid_at is not None:
            yield words.paid.format(date=formats.day(order.paid_at))
        elif seller.bank:
            yield words.unpaid
    closing = seller.closing.get(facts.language, "")
    if closing:
        yield visible(closing).strip()


def _footer(seller: SellerSettings, words: Words) -> tuple[tuple[str, ...], ...]:
    own = (seller.name, *seller.address)
    reach = (seller.email, seller.phone, f"{words.vat_of_seller} {seller.vat}" if seller.vat else "", *seller.facts)
    bank = (words.bank, *seller.bank) if seller.bank else ()
    columns = (tuple(_line(line) for line in column if line) for column in (own, reach, bank))
    return tuple(column for column in columns if column)
