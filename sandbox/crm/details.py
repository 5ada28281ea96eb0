"""The `LineItems_FinalDetails` block: the edit form's view of an order, which vtiger hands out with every retrieve.

Right after a create the real server fills it from an empty form. Only its outline is imitated: it repeats, rounded
to two decimals, what stands better elsewhere in the answer, and nobody should read it.
"""

from __future__ import annotations

from typing import Any

from sandbox.crm import inventory, values
from sandbox.crm.store import Line, Row, Store

TAXES = (("tax1", "VAT", "4.500"), ("tax2", "Sales", "10.000"), ("tax3", "Service", "12.500"))
"""The install's tax table: name, label, default percentage."""
_FIXED: dict[str, Any] = {"type": "Fixed", "method": "Simple", "regions": [], "compoundon": []}


def after_create(row: Row) -> dict[str, Any]:
    """The block in the answer of a create: taxes and shipping only, every total 0.00."""
    return {"1": {"final_details": _final(row, 0.0, 0.0, shown="0.00")}}


def after_retrieve(store: Store, row: Row) -> dict[str, Any]:
    """The block in the answer of a retrieve: every line, the totals hanging on the first."""
    block: dict[str, Any] = {}
    subtotal = float(row.values["hdnSubTotal"] or 0)
    for position, line in enumerate(row.lines, 1):
        block[str(position)] = _line(store, row, line, position)
    if block:
        discount = float(row.values["hdnDiscountAmount"] or 0)
        block["1"]["final_details"] = _final(row, subtotal, discount, shown=_two(row.values["hdnGrandTotal"]))
    return block


def _two(value: object) -> str:
    return values.fixed(value, 2)


def _line(store: Store, row: Row, line: Line, position: int) -> dict[str, Any]:
    product = store.find(line.product)
    gross = float(line.quantity) * float(line.listprice)
    net = inventory.line_net(line)
    individual = row.values["hdnTaxType"] == "individual"
    taxes = [_line_tax(name, line, net) for name, _, _ in TAXES if product and name in product.taxes]
    tax = sum(entry["amount"] for entry in taxes) if individual else 0.0
    view: dict[str, Any] = {
        "purchaseCost": "0.00",
        "margin": "0.00",
        "productDeleted": product is None,
        "entityType": product.module.name if product else "",
        "hdnProductId": str(product.number) if product else "",
        "productName": product.label if product else "",
        "hdnProductcode": product.values.get("product_no", "") if product else "",
        "productDescription": "",
        "comment": line.comment,
        "qtyInStock": _short(product.values.get("qtyinstock", "") if product else ""),
        "qty": _short(line.quantity),
        "listPrice": _two(line.listprice),
        "unitPrice": _two(product.values["unit_price"] if product else 0),
        "productTotal": _two(gross),
        "subproduct_ids": "",
        "subprod_qty_list": [],
        "subprod_names": "",
        "discount_percent": _short(line.discount_percent) if float(line.discount_percent) else 0,
        "discount_amount": _two(line.discount_amount) if float(line.discount_amount) else 0,
        "discountTotal": _two(gross - net),
        "totalAfterDiscount": _two(net),
        "taxTotal": _two(tax),
        "netPrice": _two(net + tax),
    }
    numbered = {f"{key}{position}": value for key, value in view.items()}
    return {**numbered, "taxes": taxes} if taxes else numbered


def _short(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _line_tax(name: str, line: Line, net: float) -> dict[str, Any]:
    label = next(entry[1] for entry in TAXES if entry[0] == name)
    amount = round(net * float(line.taxes[name]) / 100, 2)
    return {
        "taxname": name,
        "taxlabel": label,
        "percentage": line.taxes[name],
        "deleted": "0",
        "taxid": name[-1],
        **_FIXED,
        "regionsList": {"default": line.taxes[name]},
        "amount": amount,
    }


def _final(row: Row, subtotal: float, discount: float, *, shown: str) -> dict[str, Any]:
    charge = row.charges.get(inventory.CHARGE)
    amount = float(values.to_decimal(charge or 0))
    shipping = [_shipping_tax(name, label, row, amount) for name, label, _ in TAXES]
    taxes = {name[-1]: _order_tax(name, label, row, subtotal - discount) for name, label, _ in TAXES}
    return {
        "taxtype": row.values["hdnTaxType"] or None,
        "discount_type_final": "amount" if discount else "zero",
        "hdnSubTotal": _two(subtotal),
        "discount_percentage_final": 0,
        "discount_amount_final": _two(discount),
        "discountTotal_final": _two(discount),
        "taxes": taxes,
        "tax_totalamount": _two(sum(float(entry["amount"]) for entry in taxes.values())),
        "shipping_handling_charge": _two(amount),
        "sh_taxes": shipping,
        "shtax_totalamount": _two(sum(entry["amount"] for entry in shipping)),
        "adjustment": _two(row.values["txtAdjustment"] or 0) if subtotal else "0.00",
        "grandTotal": shown,
        "preTaxTotal": _two(subtotal - discount + amount),
        "totalAfterDiscount": _two(subtotal - discount),
        "chargesAndItsTaxes": {"1": {"value": charge, "taxes": _charge_taxes(row)}},
        "deductTaxes": [],
        "deductTaxesTotalAmount": "0.00",
    }


def _shipping_tax(name: str, label: str, row: Row, amount: float) -> dict[str, Any]:
    rate = float(values.to_decimal(row.charges.get(inventory.CHARGE_TAXES[name], 0)))
    tax = values.number(amount * rate / 100)
    return {
        "taxname": f"sh{name}",
        "taxlabel": label,
        "percentage": values.number(rate),
        "amount": tax,
        "taxid": name[-1],
        **_FIXED,
    }


def _order_tax(name: str, label: str, row: Row, base: float) -> dict[str, Any]:
    default = next(entry[2] for entry in TAXES if entry[0] == name)
    rate = row.lines[0].taxes[name] if row.values["hdnTaxType"] == "group" and row.lines and base else default
    percentage: object = rate
    if row.values["hdnTaxType"] == "group" and not base:
        percentage = 0
    amount = _two(base * float(rate) / 100)
    return {"taxname": name, "taxlabel": label, "percentage": percentage, "amount": amount, "taxid": name[-1], **_FIXED}


def _charge_taxes(row: Row) -> dict[str, object]:
    sent = {name[-1]: row.charges[key] for name, key in inventory.CHARGE_TAXES.items() if key in row.charges}
    return sent or {name[-1]: 0 for name, _, _ in TAXES}
