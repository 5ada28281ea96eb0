"""What a Tryton connection is told."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from core.secrets import SecretRef
from core.settings import ConnectionSettings

Told = Literal["customer", "rep", "product", "stock", "invoice", "sale"]
USUAL: Final[tuple[Told, ...]] = ("customer", "rep", "product", "stock", "invoice")
"""Sales are asked for by flows that want promised days of them."""


def _address(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("an address begins with https:// (or http://), for example https://tryton.example")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("the address has no user, `?` or `#`; the user goes into username and password")
    return url.strip().rstrip("/")


class TrytonSettings(ConnectionSettings):
    """`[[connection]] connector = "tryton"`."""

    tells_promises: ClassVar[bool] = True
    connector: Literal["tryton"] = "tryton"
    url: Annotated[str, AfterValidator(_address)]
    """The server's address, without the database."""
    database: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,63}$")]
    username: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """The login of a user of our own."""
    password: SecretRef
    company: str = ""
    """Name of the company whose agents, prices and invoices are read; empty: the user's own."""
    kinds: tuple[Told, ...] = USUAL
    """What is read. Without the module stock leave out "stock", and so on."""
    promised: Literal["first", "planned"] = "first"
    """Of the day on which a sale's goods should leave: that which was planned first, which rescheduling in the warehouse does not
    move, or that which is planned now."""
    warehouses: tuple[str, ...] = ()
    """Codes (or names) of the warehouses whose stock is read; empty: all."""
    language: Annotated[str, StringConstraints(pattern=r"^([a-z]{2,3}(_[A-Z]{2})?)?$")] = ""
    """Of product names, a code of Tryton's like `de`; empty: the user's own."""
    overlap: float = Field(default=600.0, ge=10, le=86_400)
    """Seconds before what was seen that each poll reads again: at least as long as Tryton's longest transaction, whose records
    carry the time at which it began."""
    per_page: int = Field(default=100, ge=1, le=500)
    verify_tls: bool = True
