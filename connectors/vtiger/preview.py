"""What would be sent to vtiger, and what stands there: for people who look before, or after, something is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from connectors.roles import USUAL, OrderRefs
from connectors.vtiger.client import Client
from connectors.vtiger.credits import Credits
from connectors.vtiger.settings import VtigerSettings
from mapping.canonical import SalesOrder
from mapping.vtiger import clean_element
from mapping.vtiger.order import CHARGE
from mapping.vtiger.party import REQUIRED

_FIXED: Final = {
    "invoicestatus": "demanded by vtiger when an order is made; no invoice comes of it",
    "hdnTaxType": "tax by line, so that the total is exact to the cent",
    "conversion_rate": "conversion_rates of the connection, 1 where the currency is not in it",
    "LineItems[*].quantity": "fees, shipping and refunds stand there once",
    "LineItems[*].productid": "the product that carries it: unknown_product or fee_product of the connection",
}

_PARAMETERS: Final[Mapping[str, Mapping[str, str]]] = {
    "getchallenge": {"username": "$USERNAME"},
    "login": {"username": "$USERNAME", "accessKey": "$MD5_OF_TOKEN_AND_ACCESS_KEY"},
    "query": {"sessionName": "$SESSION", "query": "$QUERY"},
    "retrieve": {"sessionName": "$SESSION", "id": "$ID"},
    "delete": {"sessionName": "$SESSION", "id": "$ID"},
    "describe": {"sessionName": "$SESSION", "elementType": "$MODULE"},
    "create": {"sessionName": "$SESSION", "elementType": "$MODULE", "element": "$ELEMENT"},
    "revise": {"sessionName": "$SESSION", "element": "$ELEMENT"},
    "convertlead": {"sessionName": "$SESSION", "element": "$ELEMENT"},
}


class Preview:
    """Reads, and builds what would be sent. `account`, `contact`: the elements of customers."""

    def __init__(
        self,
        settings: VtigerSettings,
        client: Client,
        orders: Credits,
        account: Callable[[Any], dict[str, Any]],
        contact: Callable[[Any, str], dict[str, Any]],
    ) -> None:
        self._settings = settings
        self._client = client
        self._orders = orders
        self._account = account
        self._contact = contact

    def order(self, order: SalesOrder, refs: OrderRefs) -> Mapping[str, Any]:
        """An order as it would be created; products that carry lines stand in for themselves."""
        return self._orders.element_without_asking(order, refs)

    def of(self, operation: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The fields of one write. {} for a write whose fields are not told."""
        if operation == "create_account":
            return clean_element(self._account(given["account"]), REQUIRED)[0]
        if operation == "create_contact":
            return clean_element(self._contact(given["contact"], given["account_id"]), REQUIRED)[0]
        if operation == "create_order":
            return self._orders.order_element(given["order"], given["refs"])[0]
        if operation == "update_order":
            ownership = given.get("ownership", USUAL)
            return self._orders.revision_element(given["ref"], given["order"], given["refs"], ownership)[0]
        if operation == "create_invoice":
            return self._orders.invoice_element(given["order"], given["refs"], given["order_ref"])[0]
        if operation == "create_credit":
            return self._orders.credit_element(given["credit"], given["refs"], given["order_ref"], given["issued"])[0]
        if operation == "set_invoice_status":
            return {"invoicestatus": given["status"]}
        if operation == "set_stock":
            return {"qtyinstock": str(given["quantity"])}
        if operation == "stamp_order":
            return {self._settings.external_field("SalesOrder"): given["external_id"]}
        return {}

    def standing(self, record_id: str) -> Mapping[str, Any] | None:
        """A record with all its fields. The shipping charge stands there under other names than it is sent with."""
        record = self._client.retrieve(record_id)
        if record is None:
            return None
        charge = record.get("hdnS_H_Amount")
        return record if charge is None or CHARGE in record else {**record, CHARGE: charge}

    def curl(self, operation: str, method: str, path: str) -> Sequence[str]:
        """One operation of the web service, with the session and what was sent left to be filled in."""
        name, _, module = operation.partition(" ")
        data = {"operation": name, **_PARAMETERS.get(name, {"sessionName": "$SESSION"})}
        if module and name == "create":
            data["elementType"] = module
        given = [part for key, value in data.items() for part in ("--data-urlencode", f"{key}={value}")]
        verb = ["--get"] if method == "GET" else ["--request", method]
        return [*verb, f"{self._settings.url}{path}", *given]

    def fixed(self) -> Mapping[str, str]:
        """Where the fields come from that follow neither order nor flow."""
        slots = self._settings.tax_slots
        others = {f"LineItems[*].{slot}": "the tax that counts is in another slot" for slot in slots[1:]}
        return {**_FIXED, **others, f"LineItems[*].{slots[0]}": "no tax on this line"}
