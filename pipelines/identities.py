"""Links of a customer's identities to an account that stands in the CRM already, made without an order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from ledger import Ledger
from ledger.links import Link
from pipelines.customers import KIND

NOBODY: Final = "contact/"
"""Before the id of a contact that belongs to no account: it cannot be chosen before it has one."""


def accounts_of(links: Iterable[Link]) -> list[str]:
    """The accounts to which these identities are linked, each once."""
    return sorted({link.refs["account"] for link in links if link.linked and link.refs.get("account")})


def contact_at(ledger: Ledger, target: str, account: str, keys: Sequence[str]) -> str:
    """The one contact at that account who has the customer's e-mail address; "" where none or several have."""
    emails = {key.removeprefix("email/") for key in keys if key.startswith("email/")}
    same = {
        entry.remote_id
        for entry in (ledger.parties.of(target, [account]) if emails else ())
        if (entry.party_kind, entry.account_id, entry.match_kind) == ("contact", account, "email")
        and entry.value in emails
    }
    return same.pop() if len(same) == 1 else ""


def link_customer(ledger: Ledger, target: str, keys: Sequence[str], account: str) -> list[str]:
    """Link these identities to that account, and the person to the contact who has the e-mail address. Those linked now.

    Where there is no such contact the e-mail address stays open: the first order makes the contact at the account, under
    that identity's own intent. The numbers name the company alone and are linked at once; so is the store's own record of the
    customer, if an e-mail address is left to be the person's.
    """
    contact = contact_at(ledger, target, account, keys)
    if contact:
        return ledger.links.adopt(target, KIND, keys, account, refs={"account": account, "contact": contact})
    open_mail = any(key.startswith("email/") for key in keys)
    companys = [key for key in keys if key.startswith(("erp/", "vat/")) or (open_mail and key.startswith("store/"))]
    return ledger.links.adopt(target, KIND, companys, account, refs={"account": account}) if companys else []
