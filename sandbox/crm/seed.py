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
}


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
    "services": [...]}, each a list of elements in the CRM's own words. Products get all three taxes (rate 0 where
    none is given) unless they carry "bare": true. Answers the ids by SKU or name. ValueError says what is wrong.
    """
    made: dict[str, dict[str, str]] = {}
    with service.store.lock:
        for kind, elements in wanted.items():
            if kind not in _KINDS or not isinstance(elements, list):
                raise ValueError(f"Cannot load {kind!r}. What to do: send lists under {', '.join(_KINDS)}.")
            module, name = _KINDS[kind]
            made[kind] = {}
            for element in elements:
                id = _create(service, module, element)
                made[kind][str(element.get(name, id))] = id
    return made


def _create(service: WebService, module: str, element: object) -> str:
    if not isinstance(element, dict):
        raise ValueError("A record is an object. What to do: send {field: value}.")
    fields = {"assigned_user_id": "19x1", **element}
    if module == "Products" and not fields.pop("bare", False):
        fields = {**dict.fromkeys(TAX_NAMES, "0"), **fields}
    try:
        return str(service.records.create(service.people.users["admin"], module, fields)["id"])
    except WsError as error:
        raise ValueError(f"{module}: {error.message}. What to do: correct the record.") from error
