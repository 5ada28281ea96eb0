"""What shops and their plugins keep of an order's way to the customer: promise, parcels, delivery, hurry, language.

Seen in public sources of the plugins: "Shipment Tracking" and "Advanced Shipment Tracking" keep a list of objects under
`_wc_shipment_tracking_items` (provider or custom provider, number, custom link, `date_shipped` as seconds since 1970);
delivery-date plugins keep a day as text or as the seconds of its midnight in UTC, as WordPress counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from core.clock import parse_utc
from core.errors import Held
from mapping import reading
from mapping.canonical.order import Tracking
from mapping.reading import Raw
from mapping.woocommerce.metadata import Metadata, kept_by, values

_DAY: Final = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_SECONDS: Final = re.compile(r"\d{9,10}")
_LANGUAGE: Final = re.compile(r"([a-z]{2,3})([-_][a-z0-9]{2,8})*", re.IGNORECASE)
_YES: Final = frozenset({"1", "yes", "y", "true", "on", "rush", "express", "urgent"})
MAX_PARCELS: Final = 100
PARTLY: Final = frozenset({"partial-shipped", "partially-shipped"})
"""Status words of tracking plugins: a parcel left, and others are still to follow."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """As the order tells it."""

    shipped_at: datetime | None = None
    delivered_at: datetime | None = None
    tracking: tuple[Tracking, ...] = ()
    promised_on: date | None = None
    rush: bool = False
    language: str = ""


def read_delivery(
    raw: Raw, sources: Metadata, *, word: str = "", shipped: Sequence[str] = (), delivered: Sequence[str] = ()
) -> Delivery:
    """The order's way to the customer. `word`: its status, `shipped` and `delivered`: the status words that say so.

    A value that cannot be read is passed over where the built-in list of keys led to it (any plugin may use such a key for
    anything), and is a fault where the configuration named the key.
    """
    kept = kept_by(raw)
    if not kept and word not in shipped and word not in delivered and not _asked(sources):
        return Delivery()
    parcels = tuple(_parcels(raw, sources, kept))[:MAX_PARCELS]
    arrived = _moment(raw, sources, "delivered", kept)
    if arrived is None and word in delivered:
        arrived = _since(raw)
    left = _moment(raw, sources, "shipped", kept)
    if left is None and word not in PARTLY:
        left = max((at for _, at in parcels if at is not None), default=None)
        if left is None and (parcels or word in shipped or word in delivered):
            left = arrived or _since(raw)
    return Delivery(
        shipped_at=left or arrived,
        delivered_at=arrived,
        tracking=tuple(dict.fromkeys(parcel for parcel, _ in parcels)),
        promised_on=_day(raw, sources, kept),
        rush=any(_yes(value) for _, value in values(raw, sources.rush, kept)),
        language=next((code for _, value in values(raw, sources.language, kept) if (code := language_of(value))), ""),
    )


def in_a_hurry(raw: Raw, sources: Metadata, methods: Sequence[str] = ()) -> bool:
    """Whether the order says so, or its way of delivery does (`methods`). What cannot be read is in no hurry: never raises."""
    try:
        lines = reading.rows(raw, "shipping_lines")
        by = lines[0].get("method_id") if lines and methods else None
        return by in methods or any(_yes(value) for _, value in values(raw, sources.rush, kept_by(raw)))
    except Held:
        return False


def language_of(value: object) -> str:
    """`it` of `it`, `it_IT` or `it-IT`; "" of anything else."""
    found = _LANGUAGE.fullmatch(value.strip()) if isinstance(value, str) else None
    return found.group(1).lower() if found else ""


def moment_of(value: object) -> datetime | None:
    """A time as plugins write it: ISO 8601 (UTC where it tells no offset), a day, or seconds since 1970. None: none of them."""
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    try:
        if _SECONDS.fullmatch(text):
            return datetime.fromtimestamp(int(text), UTC)
        if day := _DAY.fullmatch(text):
            return datetime(int(day[1]), int(day[2]), int(day[3]), tzinfo=UTC)
        return parse_utc(text.replace(" ", "T", 1)) if text else None
    except (ValueError, OverflowError):
        return None


def _asked(sources: Metadata) -> bool:
    """Whether the configuration names a place outside of the meta data."""
    return bool(sources.model_fields_set & {"promised", "shipped", "delivered", "tracking", "rush", "language"})


def _moment(raw: Raw, sources: Metadata, name: str, kept: Mapping[str, Any]) -> datetime | None:
    for source, value in values(raw, getattr(sources, name), kept):
        if (found := moment_of(value)) is not None:
            return found
        if name in sources.model_fields_set:
            raise reading.fault(source, value, "is not a date or time")
    return None


def _day(raw: Raw, sources: Metadata, kept: Mapping[str, Any]) -> date | None:
    """The day that is written, not the one it would be in UTC: `2026-11-24T00:00:00+01:00` is the 24th."""
    for source, value in values(raw, sources.promised, kept):
        text = value.strip() if isinstance(value, str) else ""
        found = moment_of(text[:10]) if len(text) > 10 and text[10] in "T " else None
        found = found or moment_of(value)
        if found is not None:
            return found.date()
        if "promised" in sources.model_fields_set:
            raise reading.fault(source, value, "is not a date")
    return None


def _since(raw: Raw) -> datetime | None:
    """When the order reached its status: WooCommerce dates `completed`, of others its last change is all there is."""
    return reading.moment(raw, "date_completed_gmt") or reading.moment(raw, "date_modified_gmt")


def _parcels(raw: Raw, sources: Metadata, kept: Mapping[str, Any]) -> Iterator[tuple[Tracking, datetime | None]]:
    """Each parcel and when it left. A plugin's list first; else one number with its carrier and address."""
    for _, value in values(raw, sources.tracking, kept):
        if isinstance(value, list | dict):
            # PHP writes a list whose first row was taken out as an object.
            found = [_parcel(row) for row in (value if isinstance(value, list) else value.values())]
            rows = [row for row in found if row is not None]
            if rows:
                yield from rows
                return
        elif number := _word(value):
            carrier = next((text for _, one in values(raw, sources.carrier, kept) if (text := _word(one))), "")
            url = next((text for _, one in values(raw, sources.tracking_url, kept) if (text := _address(one))), "")
            yield Tracking(carrier=carrier, number=number, url=url), None
            return


def _parcel(row: object) -> tuple[Tracking, datetime | None] | None:
    if not isinstance(row, dict):
        return None
    carrier = _word(row.get("tracking_provider")) or _word(row.get("custom_tracking_provider"))
    url = _address(row.get("custom_tracking_link")) or _address(row.get("tracking_link"))
    number = _word(row.get("tracking_number"))
    if not number and not url:
        return None
    return Tracking(carrier=carrier, number=number, url=url), moment_of(row.get("date_shipped"))


def _word(value: object) -> str:
    if isinstance(value, str):
        return " ".join(reading.clean(value).split())[:200]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _address(value: object) -> str:
    """Only addresses that a browser may be sent to."""
    text = _word(value)
    return text if text.startswith(("https://", "http://")) else ""


def _yes(value: object) -> bool:
    return value is True or value == 1 or (isinstance(value, str) and value.strip().lower() in _YES)
