"""People and companies: what a store tells about a customer, and what a CRM keeps."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from mapping.canonical.base import Canonical, Key, Text


class Address(Canonical):
    """A postal address as a snapshot. `country` is ISO 3166 alpha-2 where the source gives it, else as given."""

    company: Text = ""
    first_name: Text = ""
    last_name: Text = ""
    line1: Text = ""
    line2: Text = ""
    city: Text = ""
    state: Text = ""
    postal_code: Text = ""
    country: Text = ""
    phone: Text = ""

    @property
    def empty(self) -> bool:
        """True when the source gave no address at all (a phone alone is none)."""
        return not any((self.line1, self.line2, self.city, self.state, self.postal_code))

    @property
    def street(self) -> str:
        """Both address lines on one."""
        return ", ".join(part for part in (self.line1, self.line2) if part)


class Person(Canonical):
    """A human being's name and ways to reach them, as given."""

    first_name: Text = ""
    last_name: Text = ""
    email: Text = ""
    phone: Text = ""

    @property
    def full_name(self) -> str:
        """First and last name, whichever there is."""
        return " ".join(part for part in (self.first_name, self.last_name) if part)


class Customer(Canonical):
    """Who ordered, in the source's own words. Company is empty for a private person."""

    key: Key
    """`shop/customer/17`; for a guest the key of the order with kind `guest`."""
    stamp: datetime | None = None
    guest: bool = False
    company: Text = ""
    person: Person = Person()
    vat_number: Text = ""
    erp_number: Text = ""
    billing: Address = Address()

    @property
    def display_name(self) -> str:
        """The company's name, else the person's, else the e-mail address."""
        return self.company or self.person.full_name or self.person.email


class Lead(Canonical):
    """An inquiry that is to become account and contact."""

    external_id: str
    company: Text
    person: Person
    address: Address
    vat_number: Text = ""
    erp_number: Text = ""
    owner: str = ""
    """The owner's name as configured in the CRM connection's owners table."""
    source: str = ""


class Account(Canonical):
    """A company (or a private person acting as one) in the CRM."""

    external_id: str
    name: Text
    email: Text = ""
    phone: Text = ""
    vat_number: Text = ""
    erp_number: Text = ""
    billing: Address = Address()
    shipping: Address = Address()
    owner: str = ""


class Contact(Canonical):
    """A person at an account."""

    external_id: str
    person: Person
    address: Address = Address()
    owner: str = ""


class Party(Canonical):
    """An account or contact as the CRM has it: what matching needs, and its way back."""

    kind: Literal["account", "contact"]
    id: str
    account_id: str = ""
    """For a contact: the account it belongs to ("" where it has none)."""
    name: Text = ""
    """Account name, or the contact's full name."""
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    vat_number: Text = ""
    erp_number: Text = ""
    external_id: str = ""
    country: str = ""
    """For reading phone numbers without a country code."""
    postal_code: Text = ""
    """Of an account's billing address. It identifies nobody; beside an equal name it tells doubles."""
    stamp: datetime | None = None
    deleted: bool = False


class Probe(Canonical):
    """What the CRM is asked with when the local index knows nobody: any of these finds a candidate."""

    external_id: str = ""
    email: str = ""
    vat_number: str = ""
    erp_number: str = ""
    account_name: str = ""
