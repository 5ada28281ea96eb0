"""The seller's day around midnight and around the two nights on which clocks are changed, everywhere it is written."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from core.papersettings import SellerSettings
from mapping.days import day_in, invoice_day
from mapping.papers import Facts, paper_of
from mapping.papers.formats import Formats
from mapping.vtiger import invoice_to_vtiger, order_to_vtiger
from tests.unit.mapping.test_vtiger_order import PLACE, order

ROME = "Europe/Rome"
MOMENTS = [
    # An hour ahead in winter.
    ("2026-11-20 22:59:59", ROME, "2026-11-20"),
    ("2026-11-20 23:00:00", ROME, "2026-11-21"),
    ("2026-11-20 23:30:00", ROME, "2026-11-21"),
    ("2026-12-31 23:30:00", ROME, "2027-01-01"),
    # Two in summer.
    ("2026-07-01 21:59:59", ROME, "2026-07-01"),
    ("2026-07-01 22:00:00", ROME, "2026-07-02"),
    # The day that has 23 hours begins at 23:00 and ends at 22:00 UTC.
    ("2027-03-27 22:59:59", ROME, "2027-03-27"),
    ("2027-03-27 23:00:00", ROME, "2027-03-28"),
    ("2027-03-28 01:00:00", ROME, "2027-03-28"),
    ("2027-03-28 21:59:59", ROME, "2027-03-28"),
    ("2027-03-28 22:00:00", ROME, "2027-03-29"),
    # The day that has 25 begins at 22:00 and ends at 23:00 UTC.
    ("2026-10-24 21:59:59", ROME, "2026-10-24"),
    ("2026-10-24 22:00:00", ROME, "2026-10-25"),
    ("2026-10-25 22:30:00", ROME, "2026-10-25"),
    ("2026-10-25 23:00:00", ROME, "2026-10-26"),
    # West of Greenwich it is yesterday still; half hours; no zone is UTC.
    ("2026-12-01 04:59:59", "America/New_York", "2026-11-30"),
    ("2026-12-01 05:00:00", "America/New_York", "2026-12-01"),
    ("2026-12-01 18:30:00", "Asia/Kolkata", "2026-12-02"),
    ("2026-11-20 23:59:59", "UTC", "2026-11-20"),
]


@pytest.mark.parametrize(("moment", "zone", "day"), MOMENTS)
def test_the_sellers_day(moment: str, zone: str, day: str) -> None:
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert str(day_in(at, zone)) == day
    assert str(day_in(at.astimezone(timezone(timedelta(hours=-11))), zone)) == day, "whatever offset it is written with"
    placed = order(placed_at=at)
    assert invoice_to_vtiger(placed, replace(PLACE, zone=zone))["invoicedate"] == day
    # The papers print the very same day.
    formats = Formats("en", "EUR", zone)
    assert formats.day(at) == formats.day(day_in(at, zone))
    seller = SellerSettings(name="Firm", zone=zone)
    printed = paper_of(placed, Facts("invoice", "en", invoice_day(placed, zone), "INV1"), seller)
    assert str(printed).count(formats.day(day_in(at, zone))) >= 2, "the order's day and the invoice's"


def test_an_invoice_is_of_the_day_on_which_it_was_paid() -> None:
    paid = order(paid_at=datetime(2026, 12, 31, 23, 30, tzinfo=UTC))
    assert str(invoice_day(paid, ROME)) == "2027-01-01"
    assert invoice_to_vtiger(paid, replace(PLACE, zone=ROME))["invoicedate"] == "2027-01-01"


def test_an_order_is_the_same_in_every_zone() -> None:
    """What was written before the zone was set is not written again because of it."""
    assert order_to_vtiger(order(), replace(PLACE, zone=ROME)) == order_to_vtiger(order(), PLACE)
