"""Customers, reps and regions from rows."""

from __future__ import annotations

from typing import Literal

from mapping.canonical import Address, ErpCustomer, Key, Region, RepAssignment, SalesRep
from mapping.canonical.reps import Subject
from mapping.sheet.fields import Fields, Words, listed, same, text, yes

Business = Literal["customer", "own", "agency"]


def customer_from_sheet(key: Key, fields: Fields, words: Words) -> ErpCustomer:
    """A customer with its reps in the order in which they are listed. Raises `Held`."""
    same(key.id, "customer", fields, words)
    return ErpCustomer(
        key=key,
        name=text(fields, "name"),
        business=_business(key.id, words),
        active=yes(fields, "active", words),
        email=text(fields, "email"),
        phone=text(fields, "phone"),
        vat_number=text(fields, "vat_number"),
        region=text(fields, "region"),
        billing=_address(fields),
        assignments=_assignments("customer", key.id, fields, words),
    )


def rep_from_sheet(key: Key, fields: Fields, words: Words) -> SalesRep:
    """A rep. The agency stands in a column of its own, or is that of the business whose contact this is. Raises `Held`."""
    same(key.id, "rep", fields, words)
    person = " ".join(part for part in (text(fields, "first"), text(fields, "last")) if part)
    return SalesRep(
        key=key,
        agency=text(fields, "agency") or words.agencies.get(text(fields, "company"), ""),
        name=text(fields, "name") or person,
        title=text(fields, "position"),
        email=text(fields, "email"),
        phone=text(fields, "phone"),
        mobile=text(fields, "mobile"),
        photo=text(fields, "photo"),
        languages=listed(fields, "languages", words),
        active=yes(fields, "active", words),
    )


def region_from_sheet(key: Key, fields: Fields, words: Words) -> Region:
    """A region with its reps. Raises `Held`."""
    same(key.id, "region", fields, words)
    return Region(
        key=key,
        name=text(fields, "name"),
        parent=text(fields, "parent"),
        assignments=_assignments("region", key.id, fields, words),
    )


def _business(number: str, words: Words) -> Business:
    if number not in words.agencies:
        return "customer"
    return "agency" if words.agencies[number] else "own"


def _assignments(subject: Subject, id: str, fields: Fields, words: Words) -> tuple[RepAssignment, ...]:
    codes = listed(fields, "reps", words)
    return tuple(RepAssignment(subject=subject, subject_id=id, rep=code, rank=rank) for rank, code in enumerate(codes))


def _address(fields: Fields) -> Address:
    more = (text(fields, name) for name in ("address2", "address3"))
    return Address(
        line1=text(fields, "address1"),
        line2=", ".join(line for line in more if line),
        city=text(fields, "city"),
        state=text(fields, "state"),
        postal_code=text(fields, "zip"),
        country=text(fields, "country").upper(),
        phone=text(fields, "phone"),
    )
