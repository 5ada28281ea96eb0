"""Data for the stand-in CRM: the demo catalogue, or what a test sends."""

from __future__ import annotations

from typing import Any

from sandbox.catalogue import ARTICLES
from sandbox.crm.errors import WsError
from sandbox.crm.inventory import TAX_NAMES
from sandbox.crm.operations import WebService

Json = dict[str, Any]
_KINDS = {
    "products": ("Products", "productcode"),
    "accounts": ("Accounts", "accountname"),
    "contacts": ("Contacts", "lastname"),
    "leads": ("Leads", "lastname"),
    "services": ("Services", "servicename"),
    "salesorders": ("SalesOrder", "subject"),
}
_TIMES = ("createdtime", "modifiedtime")


def load_demo(service: WebService) -> None:
    """The catalogue that the stand-in store sells, every article with all three taxes configured."""
    load(service, {"products": [_demo_product(position) for position in range(len(ARTICLES))]})


def _demo_product(position: int) -> Json:
    article = ARTICLES[position]
    return {
        "productname": article.name,
        "productcode": article.sku,
        "unit_price": str(article.price),
        "qtyinstock": str(article.stock),
        "reorderlevel": str(article.reorder_level),
        "usageunit": "Pieces",
        "discontinued": "1",
        "tax1": str(article.vat),
    }


def load(service: WebService, wanted: Json) -> dict[str, dict[str, str]]:
    """Create records as the administrator: {"products": [...], "accounts": [...], "contacts": [...], "leads": [...],
    "services": [...], "salesorders": [...]}, each a list of elements in the CRM's own words. Products get all three taxes
    (rate 0 where none is given) unless they carry "bare": true. Answers the ids by SKU or name.

    Beside the CRM's fields an element may have `handle`, the name under which its id is answered (many orders share a
    subject), and `createdtime` and `modifiedtime` (`YYYY-MM-DD HH:MM:SS`, UTC). A value `@name` of any field is the id of
    the record loaded before, in this very call, under that handle or name. ValueError says what is wrong.
    """
    made: dict[str, dict[str, str]] = {}
    known: dict[str, str] = {}
    with service.store.lock:
        for kind, elements in wanted.items():
            if kind not in _KINDS or not isinstance(elements, list):
                raise ValueError(f"Cannot load {kind!r}. What to do: send lists under {', '.join(_KINDS)}.")
            module, name = _KINDS[kind]
            made[kind] = {}
            for element in elements:
                id, handle = _create(service, module, element, known)
                made[kind][handle or str(element.get(name, id))] = id
                known[handle or str(element.get(name, id))] = id
    return made


def _create(service: WebService, module: str, element: object, known: dict[str, str]) -> tuple[str, str]:
    """The new record's id, and its handle."""
    if not isinstance(element, dict):
        raise ValueError("A record is an object. What to do: send {field: value}.")
    fields = {"assigned_user_id": "19x1", **_resolved(element, known)}
    handle = str(fields.pop("handle", ""))
    times = {name: str(fields.pop(name)) for name in _TIMES if name in fields}
    if module == "Products" and not fields.pop("bare", False):
        fields = {**dict.fromkeys(TAX_NAMES, "0"), **fields}
    try:
        id = str(service.records.create(service.people.users["admin"], module, fields)["id"])
    except WsError as error:
        raise ValueError(f"{module}: {error.message}. What to do: correct the record.") from error
    row = service.store.find(id)
    if row is not None and times:
        service.store.change(row, {**dict.fromkeys(_TIMES, min(times.values())), **times})
    return id, handle


def _resolved(element: Json, known: dict[str, str]) -> Json:
    """The element with `@name` replaced by ids, in its lines as well."""
    found: Json = {}
    for name, value in element.items():
        if isinstance(value, str) and value.startswith("@"):
            if value[1:] not in known:
                raise ValueError(
                    f"{name}: nothing was loaded as {value[1:]!r}. What to do: load it before, in the same call."
                )
            found[name] = known[value[1:]]
        elif name == "LineItems" and isinstance(value, list):
            found[name] = [_resolved(line, known) for line in value]
        else:
            found[name] = value
    return found
