"""How the stand-in CRM turns what a client sends into what its tables keep: everything becomes text.

Seen on the wire: scalars come back as strings with the column's number of decimals, empty is "", characters
outside the Basic Multilingual Plane become "????", and labels are HTML-escaped while fields are not.
"""

from __future__ import annotations

import html
import re
import time
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from html.entities import codepoint2name

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_DATE_FORMATS = ("%Y-%m-%d", "%d.%m.%Y", "%d-%m-%Y")
_EIGHT = Decimal("0.00000001")

DECIMALS = {"qty_per_unit": 2, "qtyindemand": 0}
"""Columns whose number of decimals is not the one of their type."""

LENGTHS = {
    "lastname": 80,
    "firstname": 40,
    "email": 100,
    "email1": 100,
    "company": 100,
    "accountname": 100,
    "subject": 100,
    "bill_street": 250,
    "ship_street": 250,
    "mailingstreet": 250,
    "otherstreet": 250,
    "lane": 250,
}
"""Column widths: longer text is cut without a word (lastname and email seen on the wire)."""


def now_text() -> str:
    """The server's clock with its one-second resolution, `YYYY-MM-DD HH:MM:SS` in UTC, no offset."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())


def to_decimal(value: object) -> Decimal:
    """Any number a client may send, or 0 where it is none, as MySQL would store it."""
    try:
        number = Decimal(str(value).strip() or "0")
    except InvalidOperation:
        return Decimal(0)
    return number if number.is_finite() else Decimal(0)


def fixed(value: object, decimals: int) -> str:
    """A number as text with a fixed number of decimals, rounded half up (away from zero)."""
    return _fixed(str(value), decimals)


@lru_cache(maxsize=16384)
def _fixed(text: str, decimals: int) -> str:
    number = to_decimal(text).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    return f"{number:f}"


def money(value: float | Decimal) -> str:
    """A server-computed amount as the database keeps it: eight decimals."""
    return f"{Decimal(str(value)).quantize(_EIGHT, rounding=ROUND_HALF_UP):f}"


def number(value: float) -> int | float:
    """A PHP float as json_encode writes it: 250.0 becomes 250, noise such as 9572.989999999998 stays."""
    return int(value) if value.is_integer() else value


def plain_text(value: object) -> str:
    """Text as the utf8mb3 tables keep it."""
    if value is None or value is False:
        return ""
    text = "1" if value is True else str(value)
    if "&" in text:
        text = html.unescape(text)
    return _ASTRAL.sub("????", text)


def as_date(value: object) -> str:
    """A date as yyyy-mm-dd; dd.mm.yyyy and dd-mm-yyyy are understood as well."""
    text = plain_text(value).strip()
    for form in _DATE_FORMATS:
        try:
            return datetime.strptime(text, form).strftime("%Y-%m-%d")  # noqa: DTZ007 (a calendar day has no zone)
        except ValueError:
            continue
    return text


def store(name: str, kind: str, value: object) -> str:
    """One field's value as the database keeps it."""
    text = plain_text(value)
    if kind == "currency":
        return fixed(text, 8) if text else empty(name, kind)
    if kind == "double":
        return fixed(text, DECIMALS.get(name, 3)) if text else empty(name, kind)
    if kind == "integer":
        return fixed(text, 0) if text else "0"
    if kind == "boolean":
        return "1" if text.lower() in {"1", "on", "true", "yes"} else "0"
    if kind == "date":
        return as_date(text)
    return text[: LENGTHS.get(name, 65535 if kind == "text" else 255)]


def empty(name: str, kind: str) -> str:
    """What a field holds that nobody sent."""
    if name in {"hdnDiscountAmount", "hdnDiscountPercent"}:
        return ""
    if name == "conversion_rate":
        return "1.000"
    if kind == "currency":
        return "0.00000000"
    if kind == "double":
        return fixed(0, DECIMALS.get(name, 3))
    return "0" if kind in {"integer", "boolean"} else ""


def escape_label(text: str) -> str:
    """PHP's htmlentities with the HTML 4.01 table: "Müller & Co" becomes "M&uuml;ller &amp; Co"."""
    return "".join(_entity(character) for character in text)


def _entity(character: str) -> str:
    if character == "'":
        return "&#039;"
    name = codepoint2name.get(ord(character))
    return f"&{name};" if name else character
