"""What an ERP tells about goods and bills: products, stock levels, invoices."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from mapping.canonical.base import Canonical, Key, Text


class ErpProduct(Canonical):
    """An article as the ERP keeps it."""

    key: Key
    """`erp/product/<SKU>`."""
    name: Text = ""
    price: Decimal | None = None
    """Net list price per unit in `currency`; None where the ERP tells none."""
    currency: str = ""
    unit: Text = ""
    active: bool = True
    stamp: datetime | None = None

    @property
    def sku(self) -> str:
        """The article's number."""
        return self.key.id


class StockLevel(Canonical):
    """How much of an article is where. Quantities in the article's own unit; negative where more was sold than there is."""

    key: Key
    """`erp/stock/<warehouse>/<SKU>`."""
    sku: Text
    name: Text = ""
    group: Text = ""
    """What the source sorts it under; "": it tells no group."""
    warehouse: Text = ""
    on_hand: Decimal
    available: Decimal | None = None
    """On hand, less what is promised, plus what is due, where the ERP reckons that; else None."""
    minimum: Decimal | None = None
    """The source's own threshold; None where it keeps none."""
    stamp: datetime | None = None
    read_at: datetime | None = None
    """When we asked: the age of a level counts from here where the ERP stamps none."""


class InvoiceLine(Canonical):
    """One line of a bill; `net` without tax."""

    sku: Text = ""
    name: Text = ""
    quantity: Decimal
    unit_price: Decimal
    net: Decimal
    tax: Decimal | None = None
    """None where the ERP tells tax for the whole bill alone."""
    rate: Decimal | None = None
    """Percent of tax (19 = 19 %), where the ERP tells."""


class ErpInvoice(Canonical):
    """A bill that the ERP wrote."""

    key: Key
    """`erp/invoice/<the ERP's own id>`."""
    number: Text = ""
    """The legal number; "" while it is a draft."""
    customer: Text = ""
    """Customer number."""
    order: Text = ""
    """What the ERP says it is for: the order's number or reference there."""
    reference: Text = ""
    """What the customer or the store calls the order, as it came with it: stronger than the ERP's own number."""
    status: Text = ""
    """draft, open, paid, cancelled, or unknown."""
    issued: date | None = None
    due: date | None = None
    currency: str = ""
    net: Decimal
    tax: Decimal
    total: Decimal
    balance: Decimal | None = None
    """What is still to be paid; None where the ERP does not tell. Positive, as all amounts."""
    credit: bool = False
    """A credit note: amounts are positive, they go back."""
    lines: tuple[InvoiceLine, ...] = ()
    stamp: datetime | None = None


class ErpSale(Canonical):
    """What the ERP promised of an order that it was told of."""

    key: Key
    """`erp/sale/<the ERP's own id>`."""
    number: Text = ""
    """The ERP's own number; "" while it is a draft."""
    reference: Text = ""
    """What the customer or the store calls the order, as it came with it: stronger than the ERP's own number."""
    promised: date | datetime | None = None
    """The promised day; where the ERP tells a moment, that (aware UTC). None: nothing is promised, or not any more."""
    currency: str = ""
    total: Decimal | None = None
    stamp: datetime | None = None
