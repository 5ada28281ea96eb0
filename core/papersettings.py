"""What is printed on papers, and which are sent by mail (docs/mail.md)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from core.sections import Section, known_zone

PaperLanguage = Literal["en", "de", "it", "fr", "ru"]
PaperKind = Literal["order", "invoice"]


class SellerSettings(Section):
    """`[seller]`: who sells, as it stands on order confirmations and invoices."""

    name: str = Field(default="", max_length=200)
    """"": no papers are made."""
    address: tuple[str, ...] = ()
    """Lines, as on an envelope."""
    vat: str = ""
    """VAT number."""
    email: str = ""
    phone: str = ""
    bank: tuple[str, ...] = ()
    """Lines: the bank, IBAN, BIC."""
    facts: tuple[str, ...] = ()
    """Further lines of the footer: the register, who manages the company."""
    logo: str = ""
    """A PNG or JPEG file; "": none."""
    zone: str = "UTC"
    """Time zone by whose midnight invoices are dated, in the CRM as on papers, like Europe/Rome."""
    closing: dict[PaperLanguage, str] = Field(default_factory=dict)
    """What stands below the totals, by language: terms, thanks."""

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        return known_zone(value)


class PaperSettings(Section):
    """`[flow.papers]`: which papers of the flow's orders are sent to customers."""

    via: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_-]{0,31})?$")] = ""
    """The `smtp` connection that carries them; "": nothing is sent."""
    order: bool = False
    """The order confirmation, once the order stands in the CRM."""
    invoice: bool = True
    """The invoice, once we have made it."""
    language: PaperLanguage = "en"
    """For customers whose language neither the order nor their country tells."""
    days: int = Field(default=7, ge=0, le=366)
    """Papers of what is older are not sent: nobody gets last year's invoice because the shop touched an old order."""
