"""Who serves whom: sales reps, their agencies, and which customer they are assigned to, with dates."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from mapping.canonical.base import Canonical, Key, Text
from mapping.canonical.party import Address

Subject = Literal["ship_to", "customer", "region", "team"]
"""What a rep is assigned to, the nearest first. The team is who serves when nobody else does."""


class Agency(Canonical):
    """A firm whose people sell: the own company, or an outside one. Codes are unique within it."""

    code: Text
    name: Text = ""
    business: Text = ""
    """The ERP's number of the business it is there; "" where the ERP knows none."""
    own: bool = True
    """False: an outside firm, shown as a partner."""


class SalesRep(Canonical):
    """A person behind a rep code. Needs no login anywhere."""

    key: Key
    """`erp/rep/R7`; the id is the code the ERP puts on customers."""
    agency: Text = ""
    """Code of the agency whose rep this is; "": the own company."""
    name: Text = ""
    title: Text = ""
    """What they are to customers, in words: "Inside sales"."""
    email: Text = ""
    phone: Text = ""
    mobile: Text = ""
    photo: Text = ""
    """Address of a picture; "" for none."""
    languages: tuple[str, ...] = ()
    """BCP 47 tags, the best first."""
    active: bool = True
    released: frozenset[Literal["email", "phone", "mobile", "photo", "languages", "title"]] = frozenset(
        {"email", "phone", "languages", "title"}
    )
    """What may leave the house beside the name."""
    stamp: datetime | None = None

    @property
    def code(self) -> str:
        """As the ERP writes it on customers."""
        return self.key.id


class Absence(Canonical):
    """A rep is away, both days included, and somebody stands in. One that ends before it begins covers no day."""

    rep: Text
    """Code."""
    agency: Text = ""
    first: date
    last: date | None = None
    """None: until further notice (also how a departure is told)."""
    deputy: Text = ""
    """Code of who stands in, of the same agency or the own company; "": whoever comes next by rank, region or team."""

    def covers(self, day: date) -> bool:
        """Whether the rep is away on this day."""
        return self.first <= day and (self.last is None or day <= self.last)


class RepAssignment(Canonical):
    """This rep serves that subject, from a day to a day (both included; None: open). One that ends before it begins
    covers no day.
    """

    subject: Subject
    subject_id: Text = ""
    """Customer number, ship-to number or region id; "" for the team."""
    rep: Text
    """Code."""
    agency: Text = ""
    role: Text = "primary"
    """primary, service, inside, field ...: what the rep is for this subject."""
    rank: int = 0
    """The lower the nearer, among reps of one role."""
    first: date | None = None
    last: date | None = None
    instead_of: Text = ""
    """Code of a rep whose assignments to this very subject `rep` takes over while this row counts, with their role and rank; of
    itself such a row assigns nobody. Several count one after the other, by `first`, then `rank`.
    """

    def covers(self, day: date) -> bool:
        """Whether it counts on this day."""
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


class Region(Canonical):
    """A territory. Its customers are served by its reps, else by those of the region above it."""

    key: Key
    """`erp/region/EAST`."""
    name: Text = ""
    parent: Text = ""
    """Id of the region above; "" at the top."""
    assignments: tuple[RepAssignment, ...] = ()
    stamp: datetime | None = None


class ShipTo(Canonical):
    """Where a customer has goods sent, with reps of its own where the ERP gives them."""

    number: Text
    address: Address = Address()
    region: Text = ""


class ErpCustomer(Canonical):
    """A customer as the ERP keeps it, with everything that says who serves it."""

    key: Key
    """`erp/customer/10017`; the id is the customer number people use."""
    name: Text = ""
    business: Literal["customer", "own", "agency", "rep"] = "customer"
    """own, agency: the ERP's entry for a firm that sells; rep: for a person who does. They are nobody's customers and count in
    no totals.
    """
    active: bool = True
    email: Text = ""
    phone: Text = ""
    vat_number: Text = ""
    region: Text = ""
    billing: Address = Address()
    ship_tos: tuple[ShipTo, ...] = ()
    assignments: tuple[RepAssignment, ...] = ()
    """Of the customer and of its ship-tos."""
    stamp: datetime | None = None

    @property
    def number(self) -> str:
        """The customer number."""
        return self.key.id
