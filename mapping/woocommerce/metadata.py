"""What shops keep in an order's meta data: purchase-order number, who placed it, VAT number, what was promised and the like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, Final

from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult
from pydantic import AfterValidator

from core.errors import Held
from core.settings import Section
from mapping import reading
from mapping.fields import compile_path, valid_path
from mapping.reading import Raw

PATH: Final = "path:"


def _valid(source: str) -> str:
    if source.startswith(PATH):
        valid_path(source.removeprefix(PATH))
    return source


Source = Annotated[str, AfterValidator(_valid)]
"""A key of the order's `meta_data`, or `path:` and a JMESPath expression over the whole order."""


class Metadata(Section):
    """Where to look, in this order; the first that is not empty counts."""

    po_number: tuple[Source, ...] = ("po_number", "_po_number", "purchase_order_number")
    placed_by: tuple[Source, ...] = ("placed_by",)
    channel: tuple[Source, ...] = ("channel",)
    vat_number: tuple[Source, ...] = ("_billing_vat", "vat_number", "_vat_number", "_billing_vat_number")
    erp_number: tuple[Source, ...] = ("erp_number",)
    promised: tuple[Source, ...] = (
        "promised_on",
        "_promised_on",
        "delivery_date",
        "_delivery_date",
        "jckwds_date_ymd",
        "lpac_dps_delivery_date",
        "_orddd_timestamp",
        "_orddd_lite_timestamp",
    )
    """The day by which the shop promised the goods."""
    shipped: tuple[Source, ...] = ("shipped_at", "_shipped_at", "date_shipped", "_date_shipped")
    delivered: tuple[Source, ...] = ("delivered_at", "_delivered_at", "date_delivered", "_date_delivered")
    tracking: tuple[Source, ...] = ("_wc_shipment_tracking_items", "tracking_number", "_tracking_number")
    """Parcels: a plugin's list of them, or one number."""
    carrier: tuple[Source, ...] = ("tracking_provider", "_tracking_provider", "carrier", "_carrier")
    """Who carries it, where `tracking` is a number."""
    tracking_url: tuple[Source, ...] = ("tracking_url", "_tracking_url", "_custom_tracking_link")
    rush: tuple[Source, ...] = ("rush", "_rush", "rush_order", "_rush_order")
    language: tuple[Source, ...] = ("wpml_language", "_wpml_language", "order_language", "_order_language")


def read_metadata(raw: Raw, sources: Metadata) -> dict[str, str]:
    """Text by name of the field in `Metadata`; "" where nothing was found."""
    kept: dict[str, str] = {}
    for row in reading.rows(raw, "meta_data"):
        name, value = row.get("key"), _scalar(row.get("value"))
        if isinstance(name, str) and value:
            kept[name] = value  # a key that occurs twice: the later row is the newer one
    return {
        "po_number": _first(sources.po_number, kept, raw),
        "placed_by": _first(sources.placed_by, kept, raw),
        "channel": _first(sources.channel, kept, raw),
        "vat_number": _first(sources.vat_number, kept, raw),
        "erp_number": _first(sources.erp_number, kept, raw),
    }


def kept_by(raw: Raw) -> dict[str, Any]:
    """The order's meta data by key as it stands, structures too; empty values are left out, a later row counts."""
    kept: dict[str, Any] = {}
    for row in reading.rows(raw, "meta_data"):
        name, value = row.get("key"), row.get("value")
        if isinstance(name, str) and value not in (None, "", [], {}):
            kept[name] = value
    return kept


def values(raw: Raw, sources: tuple[str, ...], kept: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What stands at these sources, whatever it is, with its source; nothing for what is empty."""
    for source in sources:
        value = _found(source.removeprefix(PATH), raw) if source.startswith(PATH) else kept.get(source)
        if value not in (None, "", [], {}):
            yield source, value


def _first(sources: tuple[str, ...], kept: Mapping[str, str], raw: Raw) -> str:
    for source in sources:
        searched = source.startswith(PATH)
        value = _searched(source.removeprefix(PATH), raw) if searched else kept.get(source, "")
        if value:
            return value
    return ""


def _searched(path: str, raw: Raw) -> str:
    return _scalar(_found(path, raw))


def _found(path: str, raw: Raw) -> Any:
    try:
        return _compiled(path).search(raw)
    except JMESPathError as error:
        raise Held(
            f"The metadata path {path} cannot be applied to this order ({type(error).__name__}). "
            "What to do: correct the path in the connection's `metadata`.",
            field="metadata",
            error_class="mapping",
        ) from None


@lru_cache(maxsize=256)
def _compiled(path: str) -> ParsedResult:
    return compile_path(path, "metadata")


def _scalar(value: Any) -> str:
    """Text of a value that is one; plugins keep whole structures in meta data, which are none."""
    if isinstance(value, str):
        return reading.clean(value).strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""
