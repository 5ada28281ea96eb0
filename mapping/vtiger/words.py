"""vtiger's words for ours. A connection's settings may override each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from mapping.canonical import OrderStatus, PaymentStatus

ORDER_STATUS: Final[dict[OrderStatus, str]] = {
    OrderStatus.DRAFT: "Created",
    OrderStatus.PENDING: "Created",
    OrderStatus.ON_HOLD: "Created",
    OrderStatus.CONFIRMED: "Approved",
    OrderStatus.COMPLETED: "Delivered",
    OrderStatus.CANCELLED: "Cancelled",
    OrderStatus.REFUNDED: "Cancelled",
    OrderStatus.FAILED: "Cancelled",
    OrderStatus.DELETED: "Cancelled",
    OrderStatus.UNKNOWN: "Created",
}
"""Canonical -> sostatus, the four words of a fresh install."""

INVOICE_STATUS: Final[dict[PaymentStatus, str]] = {
    PaymentStatus.UNPAID: "Created",
    PaymentStatus.PAID: "Paid",
    PaymentStatus.REFUNDED: "Credit Invoice",
    PaymentStatus.UNKNOWN: "Created",
}
"""Canonical -> invoicestatus. vtiger takes stock off for each of them ("Cancel" alone does not)."""

InvoiceWord = Literal["draft", "open", "paid", "cancelled", "credited", "unknown"]

BILL_STATUS: Final[dict[InvoiceWord, str]] = {
    "open": "Created",
    "paid": "Paid",
    "cancelled": "Cancel",
    "credited": "Credit Invoice",
    "draft": "AutoCreated",
    "unknown": "Created",
}
"""Where an ERP's invoice stands -> invoicestatus. "Cancel" gives back the stock that the invoice took."""
_OPEN: Final = frozenset({"created", "approved", "sent"})


def invoice_state(word: str, own: Mapping[str, InvoiceWord]) -> InvoiceWord:
    """Where an invoice stands by its invoicestatus. `own`: the words of this connection, which win."""
    folded = word.strip().casefold()
    known: dict[str, InvoiceWord] = {
        **{text.casefold(): state for state, text in reversed(BILL_STATUS.items())},
        **dict.fromkeys(_OPEN, "open"),
        **{text.casefold(): state for text, state in own.items()},
    }
    return known.get(folded, "unknown")


_NAMES: Final = {
    "AT": "austria österreich австрия",
    "AU": "australia",
    "BE": "belgium belgique belgien бельгия",
    "BG": "bulgaria българия болгария",
    "BY": "belarus беларусь",
    "CA": "canada kanada канада",
    "CH": "switzerland schweiz suisse svizzera швейцария",
    "CZ": "czechia tschechien чехия",
    "DE": "germany deutschland allemagne германия",
    "DK": "denmark danmark dänemark дания",
    "ES": "spain españa spanien испания",
    "FI": "finland suomi finnland финляндия",
    "FR": "france frankreich франция",
    "GB": "england britain uk великобритания",
    "IE": "ireland irland",
    "IN": "india indien индия",
    "IT": "italy italia italien италия",
    "JP": "japan япония",
    "KZ": "kazakhstan казахстан",
    "LU": "luxembourg luxemburg",
    "NL": "netherlands nederland niederlande holland нидерланды",
    "NO": "norway norge norwegen норвегия",
    "PL": "poland polska polen польша",
    "PT": "portugal португалия",
    "RU": "russia russland россия",
    "SE": "sweden sverige schweden швеция",
    "SK": "slovakia slowakei словакия",
    "TR": "turkey türkiye türkei турция",
    "UA": "ukraine україна украина",
    "US": "usa америка сша",
}
COUNTRIES: Final[dict[str, str]] = {
    **{name: code for code, names in _NAMES.items() for name in names.split()},
    "united kingdom": "GB",
    "great britain": "GB",
    "united states": "US",
    "united states of america": "US",
    "russian federation": "RU",
    "российская федерация": "RU",
    "czech republic": "CZ",
}
"""vtiger's country fields are free text: what people write there -> ISO 3166 alpha-2."""


def country_code(text: str) -> str:
    """ISO code of a country as written in the CRM; "" where the table does not know it."""
    word = text.strip()
    if len(word) == 2 and word.isascii() and word.isalpha():
        return "GB" if word.upper() == "UK" else word.upper()
    return COUNTRIES.get(word.casefold(), "")
