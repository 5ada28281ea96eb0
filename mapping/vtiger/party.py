"""Leads, accounts and contacts, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from core.clock import parse_utc
from mapping.canonical import Account, Address, Contact, Lead, Party, Person
from mapping.vtiger.text import EMPTY
from mapping.vtiger.words import country_code

REQUIRED: Final = frozenset({"lastname", "accountname", "company"})
"""Texts that vtiger (or its lead conversion) refuses to be empty."""


@dataclass(frozen=True, slots=True)
class PartyFields:
    """Which fields of this install carry what; empty: that is not written."""

    external_id: str = "cf_external_id"
    vat: str = ""
    erp_number: str = ""


def last_name(person: Person, otherwise: str = "") -> str:
    """Vtiger demands a last name: else the first name, what stands before the @, the company, or a dash."""
    return person.last_name or person.first_name or person.email.partition("@")[0] or otherwise or EMPTY


def lead_to_vtiger(lead: Lead, owner: str, source: str, fields: PartyFields) -> dict[str, Any]:
    """The element for `create` of a Lead. `owner` is a web service id, `source` a word of vtiger's lead sources."""
    person, address = lead.person, lead.address
    element = {
        "lastname": last_name(person, lead.company),
        "firstname": person.first_name if person.last_name else "",
        "company": lead.company or person.full_name or person.email or EMPTY,
        "email": person.email,
        "phone": person.phone or address.phone,
        "leadsource": source,
        "assigned_user_id": owner,
        "lane": address.street,
        "city": address.city,
        "state": address.state,
        "code": address.postal_code,
        "country": address.country,
        "description": f"From {lead.source}" if lead.source else "",
        fields.external_id: lead.external_id,
    }
    return {name: value for name, value in element.items() if value}


def account_to_vtiger(account: Account, owner: str, fields: PartyFields) -> dict[str, Any]:
    """The element for `create` of an Account; without delivery address the billing one stands in both."""
    shipping = account.billing if account.shipping.empty else account.shipping
    element = {
        "accountname": account.name or EMPTY,
        "email1": account.email,
        "phone": account.phone,
        "assigned_user_id": owner,
        fields.external_id: account.external_id,
    }
    element |= _account_address("bill", account.billing) | _account_address("ship", shipping)
    if fields.vat:
        element[fields.vat] = account.vat_number
    if fields.erp_number:
        element[fields.erp_number] = account.erp_number
    return {name: value for name, value in element.items() if value}


def _account_address(kind: str, address: Address) -> dict[str, str]:
    return {
        f"{kind}_street": address.street,
        f"{kind}_city": address.city,
        f"{kind}_state": address.state,
        f"{kind}_code": address.postal_code,
        f"{kind}_country": address.country,
    }


def contact_to_vtiger(contact: Contact, owner: str, account: str, fields: PartyFields) -> dict[str, Any]:
    """The element for `create` of a Contact; `account` is a web service id, "" for none."""
    person, address = contact.person, contact.address
    element = {
        "lastname": last_name(person, address.company),
        "firstname": person.first_name if person.last_name else "",
        "email": person.email,
        "phone": person.phone or address.phone,
        "account_id": account,
        "assigned_user_id": owner,
        "mailingstreet": address.street,
        "mailingcity": address.city,
        "mailingstate": address.state,
        "mailingzip": address.postal_code,
        "mailingcountry": address.country,
        fields.external_id: contact.external_id,
    }
    return {name: value for name, value in element.items() if value}


ACCOUNT_COLUMNS: Final = ("id", "accountname", "modifiedtime")
ACCOUNT_EXTRAS: Final = ("email1", "email2", "phone", "otherphone", "bill_country", "bill_code")
CONTACT_COLUMNS: Final = ("id", "lastname", "modifiedtime")
CONTACT_EXTRAS: Final = (
    "firstname",
    "account_id",
    "email",
    "secondaryemail",
    "phone",
    "mobile",
    "homephone",
    "otherphone",
    "mailingcountry",
)
"""Columns that matching wants; the extras are left out where the install hides them."""


def account_from_vtiger(row: Mapping[str, Any], fields: PartyFields) -> Party:
    """An Accounts row (query or retrieve) as a Party."""
    return Party(
        kind="account",
        id=_text(row, "id"),
        name=_text(row, "accountname"),
        emails=_several(row, "email1", "email2"),
        phones=_several(row, "phone", "otherphone"),
        vat_number=_text(row, fields.vat),
        erp_number=_text(row, fields.erp_number),
        external_id=_text(row, fields.external_id),
        country=country_code(_text(row, "bill_country")),
        postal_code=_text(row, "bill_code"),
        stamp=_stamp(row),
    )


def contact_from_vtiger(row: Mapping[str, Any], fields: PartyFields) -> Party:
    """A Contacts row (query or retrieve) as a Party."""
    return Party(
        kind="contact",
        id=_text(row, "id"),
        account_id=_text(row, "account_id"),
        name=" ".join(part for part in (_text(row, "firstname"), _text(row, "lastname")) if part),
        emails=_several(row, "email", "secondaryemail"),
        phones=_several(row, "phone", "mobile", "homephone", "otherphone"),
        external_id=_text(row, fields.external_id),
        country=country_code(_text(row, "mailingcountry")),
        stamp=_stamp(row),
    )


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name) if name else None
    return value.strip() if isinstance(value, str) else ""


def _several(row: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in (_text(row, name) for name in names) if value))


def _stamp(row: Mapping[str, Any]) -> datetime | None:
    """`YYYY-MM-DD HH:MM:SS` in the server's time zone, which vtiger sets to UTC."""
    text = _text(row, "modifiedtime")
    try:
        return parse_utc(text) if text else None
    except ValueError:
        return None
