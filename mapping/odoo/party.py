"""A contact of Odoo as a customer with its rep, a user as a rep, and a sales team as a region."""

from __future__ import annotations

from typing import Final, Literal

from mapping.canonical import Address, ErpCustomer, Key, Region, RepAssignment, SalesRep, ShipTo, Subject
from mapping.odoo.wire import (
    Raw,
    empty,
    fault,
    flag,
    label,
    many,
    newest,
    numbered,
    one,
    reference,
    region_id,
    rep_code,
    same,
    text,
)

Business = Literal["customer", "own", "rep"]
_BUSINESS: Final[dict[str, Business]] = {"own": "own", "user": "rep"}
"""What the connector found out about a contact (`_is`) -> what it is to us. That of a user is a person, not a firm."""
NO_VAT: Final = "/"
"""What Odoo keeps as the VAT number of somebody who has none."""


def customer_from_odoo(key: Key, row: Raw) -> ErpCustomer:
    """A row of `res.partner` as the connector reads it (connectors/odoo/rows.py). Raises `Held`."""
    same(key, text(row, "_number"), "ref")
    children = [child for child in many(row, "_children") if flag(child, "active", "_children.", absent=True)]
    delivering = [child for child in children if child.get("type") == "delivery"]
    billing = next((child for child in children if child.get("type") == "invoice"), row)
    vat = text(row, "vat")
    return ErpCustomer(
        key=key,
        name=text(row, "name"),
        business=_BUSINESS.get(text(row, "_is"), "customer"),
        active=flag(row, "active", absent=True),
        email=text(row, "email"),
        phone=text(row, "phone") or text(row, "mobile"),
        vat_number="" if vat == NO_VAT else vat,
        region=_region(row),
        billing=_address(billing),
        ship_tos=tuple(_ship_to(child) for child in delivering),
        assignments=(
            *_assigned("customer", key.id, row),
            *(assigned for child in delivering for assigned in _assigned("ship_to", numbered_child(child), child)),
        ),
        stamp=newest(row),
    )


def rep_from_odoo(key: Key, row: Raw) -> SalesRep:
    """A row of `res.users`, with what it inherits from its contact. Raises `Held`."""
    same(key, rep_code(row), "ref")
    language = text(row, "lang").partition("@")[0]
    return SalesRep(
        key=key,
        name=text(row, "name"),
        title=text(row, "function"),
        email=text(row, "email"),
        phone=text(row, "phone"),
        mobile=text(row, "mobile"),
        languages=(language.replace("_", "-"),) if language else (),
        active=flag(row, "active", absent=True),
        stamp=newest(row),
    )


def region_from_odoo(key: Key, row: Raw) -> Region:
    """A row of `crm.team`. Its leader serves, else its members, in the order of their ids; nobody where it is archived. Raises
    `Held`.
    """
    same(key, region_id(row), "id")
    reps = many(row, "_reps") if flag(row, "active", absent=True) else ()
    assignments = (_assignment("region", key.id, user, "_reps.", rank) for rank, user in enumerate(reps))
    return Region(key=key, name=text(row, "name"), assignments=tuple(assignments), stamp=newest(row))


def numbered_child(child: Raw) -> str:
    """The number of a ship-to: the id of its contact."""
    number = numbered(child, "x").removeprefix("x-")
    if not number:
        raise fault("_children.id", child.get("id"), "is not the id of a record")
    return number


def _ship_to(child: Raw) -> ShipTo:
    return ShipTo(number=numbered_child(child), address=_address(child), region=_region(child))


def _region(row: Raw) -> str:
    label(row, "team_id")
    return region_id({"id": reference(row.get("team_id"))})


def _assigned(subject: Subject, subject_id: str, row: Raw) -> tuple[RepAssignment, ...]:
    """Odoo keeps one salesperson, without dates."""
    label(row, "user_id")  # a fault where it is no reference
    if "_rep" not in row or empty(row.get("user_id")):
        return ()
    return (_assignment(subject, subject_id, one(row, "_rep"), "_rep", 0),)


def _assignment(subject: Subject, subject_id: str, user: Raw, at: str, rank: int) -> RepAssignment:
    code = rep_code(user)
    if not code:
        raise fault(
            at, "", "is not there: nobody knows who the salesperson is",
            "see whether the connection's user may read users, then have the record read again",
        )  # fmt: skip
    return RepAssignment(subject=subject, subject_id=subject_id, rep=code, rank=rank)


def _address(row: Raw) -> Address:
    own = row.get("type") in ("delivery", "invoice")
    return Address(
        company=text(row, "name") if own else "",
        line1=text(row, "street"),
        line2=text(row, "street2"),
        city=text(row, "city"),
        state=text(row, "_state"),
        postal_code=text(row, "zip"),
        country=text(row, "_country"),
        phone=text(row, "phone") if own else "",
    )
