"""How stored records look in answers."""

from __future__ import annotations

from typing import Any

from sandbox.crm import inventory, values
from sandbox.crm.people import People
from sandbox.crm.store import Line, Row, Store

Json = dict[str, Any]


def present(store: Store, people: People, row: Row) -> Json:
    """The stored fields in the order of `describe`, references to what is gone emptied."""
    out: Json = dict(row.values)
    for name in row.module.references:
        id = out[name]
        if id and store.find(id) is None and not people.exists(id):
            out[name] = ""
    return out


def lines_out(store: Store, row: Row) -> list[Json]:
    """The lines inside an order or invoice; the real server writes their parent as "6xArray"."""
    parent = f"{row.module.prefix}xArray"
    return [{**line_out(store, row, line), "parent_id": parent} for line in row.lines]


def line_out(store: Store, row: Row, line: Line) -> Json:
    """One line on its own, with the real parent."""
    product = store.find(line.product)
    sold = product is not None and product.module.name in inventory.PRICED
    return {
        "parent_id": row.id,
        "productid": line.product if sold else "",
        "sequence_no": str(line.sequence),
        "quantity": line.quantity,
        "listprice": line.listprice,
        "discount_percent": line.discount_percent,
        "discount_amount": line.discount_amount,
        "comment": line.comment,
        "description": "",
        "incrementondel": "1" if inventory.takes_stock(row) else "0",
        **line.taxes,
        "image": "",
        "purchase_cost": "0.00000000",
        "margin": "0.00000000",
        "id": f"33x{line.id}",
        "product_name": product.label if product else None,
        "entity_type": product.module.name if product else None,
        "deleted": "0" if product else None,
    }


def charges_out(row: Row) -> Json:
    """Shipping as it was sent, null where none was; zero rates stand in only where no rate was sent."""
    sent = {name: value for name, value in row.charges.items() if name != inventory.CHARGE}
    taxes = sent or dict.fromkeys(inventory.CHARGE_TAXES.values(), 0)
    return {inventory.CHARGE: row.charges.get(inventory.CHARGE), **taxes}


def price_out(row: Row) -> Json:
    """A product's taxes as text and its price in the base currency as a number (so on the wire)."""
    return {**row.taxes, "currency1": values.number(row.list_price), "currency_id": "21x1"}
