"""Customers with their reps, and reps as contacts, as the rows of KommerceServer's files. Only what may leave the house.

A customer's rep ids stand in one column, the nearest first. A rep is a contact of a business: of the agency's where the ERP
knows one, of the own company's otherwise. The portal's agencies tie the contact to the rep id; that is set up there once.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

from core.errors import Held
from mapping.canonical import Agency, ErpCustomer, SalesRep
from mapping.cards import Card
from mapping.kommerce.columns import Layout

REPS: Final = "reps"
"""The column of a customer's rep ids; its place is the connection's to say."""
CUSTOMER: Final = "C"


def customer_cells(layout: Layout, customer: ErpCustomer, reps: Sequence[str], separator: str) -> list[str]:
    """A row of KS_CUSTOMERS. Raises `Held` where a rep's code holds the separator: the portal would read two."""
    for code in reps:
        if separator in code or code != code.strip():
            raise Held(
                f"The rep code {code!r} cannot stand in the list of reps, whose values are parted by {separator!r}. "
                "What to do: change rep_separator of the portal's connection, there and in the portal, or the code in the ERP.",
                error_class="validation/value",
                field="rep",
            )
    where = customer.billing
    return layout.row(
        {
            "number": customer.number,
            "business_type": CUSTOMER,
            "name": customer.name,
            "address1": where.line1,
            "address2": where.line2,
            "city": where.city,
            "state": where.state,
            "zip": where.postal_code,
            "country": where.country,
            "phone": customer.phone or where.phone,
            REPS: separator.join(reps),
        }
    )


def rep_codes(card: Card) -> list[str]:
    """The codes of who is on a card, each once, the nearest first."""
    return list(dict.fromkeys(rep.code for rep in card.reps if rep.code))


def contact_number(rep: SalesRep, prefix: str) -> str:
    """The same for a rep for ever, and no other's: codes are unique within an agency only."""
    return f"{prefix}{rep.agency}-{rep.code}" if rep.agency else f"{prefix}{rep.code}"


def business_of(agency: Agency | None, own_business: str) -> str:
    """Customer number of the business whose contact a rep is; "": none is known."""
    if agency is None:
        return own_business
    return agency.business or (own_business if agency.own else "")


def contact_cells(
    layout: Layout, rep: SalesRep, agency: Agency | None, *, business: str, prefix: str, business_type: str
) -> list[str]:
    """A row of KS_CONTACTS: the name, and what is released."""
    may = rep.released
    first, last = split_name(rep.name)
    return layout.row(
        {
            "number": contact_number(rep, prefix),
            "name": rep.name or rep.code,
            "position": rep.title if "title" in may else "",
            "phone": rep.phone if "phone" in may else "",
            "email": rep.email if "email" in may else "",
            "first": first,
            "last": last,
            "company": business,
            "business_type": business_type,
            "department": agency.name if agency is not None and not agency.own else "",
            "mobile": rep.mobile if "mobile" in may else "",
        }
    )


def split_name(name: str) -> tuple[str, str]:
    """First and last name as far as one can tell: "Muster, Mia" and "Mia Muster" are one person; one word is a last name."""
    before, comma, after = (part.strip() for part in name.partition(","))
    if comma and before and after:
        return after, before
    first, _, last = name.strip().rpartition(" ")
    return first.strip(), last


def encoded(text: str, encoding: str) -> bytes:
    """The text in this encoding. What it has no sign for becomes the plain letter (Č: C) or a question mark."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_sign(sign, encoding) for sign in text).encode(encoding)


def _sign(sign: str, encoding: str) -> str:
    for tried in (sign, "".join(one for one in unicodedata.normalize("NFKD", sign) if not unicodedata.combining(one))):
        try:
            tried.encode(encoding)
        except UnicodeEncodeError:
            continue
        return tried
    return "?"
