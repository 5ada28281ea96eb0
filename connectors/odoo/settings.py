"""What an Odoo connection is told."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from core.secrets import SecretRef
from core.settings import ConnectionSettings

Told = Literal["customer", "rep", "region", "product", "stock", "invoice", "sale"]
USUAL: Final[tuple[Told, ...]] = ("customer", "rep", "region", "product", "stock", "invoice")


def _address(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("an address begins with https:// (or http://), for example https://company.odoo.com")
    if parts.query or parts.fragment or parts.username or parts.path.rstrip("/"):
        raise ValueError("the address is that of the server alone, without user, path, `?` or `#`")
    return url.strip().rstrip("/")


class OdooSettings(ConnectionSettings):
    """`[[connection]] connector = "odoo"`."""

    tells_promises: ClassVar[bool] = True
    connector: Literal["odoo"] = "odoo"
    url: Annotated[str, AfterValidator(_address)]
    """The server's address, without a path."""
    database: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,63}$")]
    username: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """The login of a user of our own."""
    api_key: SecretRef
    """An API key of this user. A password does as well over JSON-RPC, but costs the server some 300 ms a call."""
    protocol: Literal["auto", "json2", "jsonrpc"] = "auto"
    """auto: JSON-2 where the server has it (19 and later), else JSON-RPC."""
    company: str = ""
    """Name of the company whose contacts, prices, stock and invoices are read; empty: the user's own."""
    kinds: tuple[Told, ...] = USUAL
    """What is read. Without the app Inventory leave out "stock", and so on."""
    customer_number: Literal["ref", "id"] = "ref"
    """What is a customer's number: the contact's Reference, or the id that Odoo gave it."""
    ship_to_reps: bool = False
    """Whether the salesperson of a delivery address serves it. Odoo copies the customer's one there once and never again, so
    after a change the old one may still stand there."""
    warehouses: tuple[str, ...] = ()
    """Short names (or names) of the warehouses whose stock is read; empty: all of the company."""
    language: Annotated[str, StringConstraints(pattern=r"^([a-z]{2,3}(_[A-Z]{2})?(@[a-z]+)?)?$")] = ""
    """Of product names, a code of Odoo's like `de_DE`; empty: the user's own."""
    overlap: float = Field(default=600.0, ge=10, le=86_400)
    """Seconds before what was seen that each poll reads again: at least as long as Odoo's longest transaction, whose records
    carry the time at which it began."""
    per_page: int = Field(default=100, ge=1, le=500)
    verify_tls: bool = True
