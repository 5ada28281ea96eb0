"""How a vtiger connection is configured."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints, field_validator

from core.secrets import SecretRef
from core.settings import ConnectionSettings

FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
"""A field's API name, as `describe` gives it. It goes into queries unescaped: nothing else is accepted."""
OptionalField = Annotated[str, StringConstraints(pattern=r"^([A-Za-z][A-Za-z0-9_]{0,63})?$")]
RecordId = Annotated[str, StringConstraints(pattern=r"^[0-9]+x[0-9]+$")]
"""A web service id: `19x5` is user 5, `20x2` group 2, `21x1` currency 1 (the prefixes are an install's own)."""
Iso4217 = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Module = Literal["Accounts", "Contacts", "Leads", "SalesOrder", "Invoice"]
MODULES: tuple[Module, ...] = ("Accounts", "Contacts", "Leads", "SalesOrder", "Invoice")


class VtigerSettings(ConnectionSettings):
    """A `[[connection]]` with `connector = "vtiger"`: vtiger CRM 7 and 8, SalesPlatform."""

    moves_stock_on_invoice: ClassVar[bool] = True
    connector: Literal["vtiger"] = "vtiger"
    url: str
    """Address of the CRM as people open it: `https://crm.example.com/`."""
    username: str
    access_key: SecretRef
    """The user's access key (My Preferences in vtiger), not the password."""
    verify_tls: bool = True

    owners: dict[str, RecordId] = Field(default_factory=dict)
    """Name -> user (`19x5`) or group (`20x2`). A name that is not here is held, never given to somebody else."""
    currencies: dict[Iso4217, RecordId] = Field(default_factory=dict)
    """ISO code -> currency record (`21x1`). An order in another currency is held."""
    conversion_rates: dict[Iso4217, Decimal] = Field(default_factory=dict)
    """ISO code -> rate against the CRM's base currency, where it is not 1."""

    external_id_field: FieldName = "cf_external_id"
    """The custom text field under which our records are found again, on every module we write."""
    external_id_fields: dict[Module, FieldName] = Field(default_factory=dict)
    """The same for single modules where the field has another name there."""
    vat_field: OptionalField = ""
    """Field of Accounts for the VAT number (`siccode`, `cf_861`); empty: not written, not matched."""
    erp_number_field: OptionalField = ""
    """Field of Accounts for the customer number in the ERP; empty: not written, not matched."""
    purchase_order_field: OptionalField = "vtiger_purchaseorder"
    delivery_field: OptionalField = "carrier"
    payment_field: OptionalField = ""
    """Field of SalesOrder for the payment method; empty: it stands in the description."""
    order_date_field: OptionalField = ""
    """Field of SalesOrder in which people keep the date of an order; read only, when orders are adopted."""

    unknown_product: str = ""
    """Part number of the product that carries lines whose SKU the CRM does not know."""
    fee_product: str = ""
    """Part number of the product that carries fees; empty: `unknown_product` does."""
    tax_slots: tuple[Annotated[str, StringConstraints(pattern=r"^tax[0-9]+$")], ...] = ("tax1",)
    """The first of these that a product has carries the line's percentage; all others are set to 0 on the line."""
    shipping_tax: Annotated[str, StringConstraints(pattern=r"^shtax[0-9]+$")] = "shtax1"

    statuses: dict[str, str] = Field(default_factory=dict)
    """Canonical order status -> sostatus, over the built-in table."""
    invoice_statuses: dict[str, str] = Field(default_factory=dict)
    """Canonical payment status -> invoicestatus, over the built-in table; `cancelled`, and `draft` for invoices of the ERP."""
    lead_source: str = "Web Site"
    order_subject: str = "Order {number}"
    invoice_subject: str = "Invoice for order {number}"
    bill_subject: str = "Invoice {bill} for order {number}"
    """What an invoice of the ERP is called; `{bill}` is its number there."""
    credit_subject: str = "Credit note for order {number}"
    invoice_number_field: OptionalField = ""
    """Field of Invoice for the number that the ERP gave it; empty: it stands in the subject."""

    convert_leads: Literal["auto", "yes", "no"] = "auto"
    """auto: found out without writing. vtiger 8.2 on PHP 8 cannot convert leads over its web service."""
    trust_unique: bool = False
    """Whether a refusal of equal external ids (vtiger's Duplicate Prevention) is relied upon instead of the hold. vtiger looks
    and then saves, without a lock: two creations at the same moment are both kept."""
    overlap: float = Field(default=120.0, ge=2, le=86_400)
    """Seconds that polling reads again: vtiger stamps a record before it commits it, in whole seconds."""

    @field_validator("url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        address = value.strip()
        for tail in ("/webservice.php", "/index.php"):
            address = address.removesuffix(tail)
        if not address.lower().startswith(("http://", "https://")) or "@" in address or "?" in address:
            raise ValueError("the address of the CRM, like https://crm.example.com/, without user name and parameters")
        return address.rstrip("/") + "/"

    @field_validator("tax_slots")
    @classmethod
    def _one_slot_at_least(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one tax slot, like tax1")
        return value

    def currency_of(self, id: str) -> str:
        """The ISO code of a currency's id over there, the first of several; "" for one that the table does not have."""
        return next((iso for iso, known in self.currencies.items() if known == id), "")

    def external_field(self, module: Module) -> str:
        """The external id's field on this module."""
        return self.external_id_fields.get(module, self.external_id_field)
