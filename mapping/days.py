"""Which day a moment is: the seller's, by which invoices are dated; neither the server's nor the customer's."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from mapping.canonical import SalesOrder


def day_in(moment: datetime, zone: str) -> date:
    """The day of an aware moment in this time zone, like Europe/Rome."""
    return moment.astimezone(ZoneInfo(zone)).date()


def invoice_day(order: SalesOrder, zone: str) -> date:
    """The day of an invoice that is made of an order: when it was paid, else when it was placed."""
    return day_in(order.paid_at or order.placed_at, zone)
