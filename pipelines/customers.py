"""Who ordered, in the CRM: linked before, matched by rules, or new (lead, converted at once to account and contact)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from connectors.roles import Converted, Crm, Ref, Written
from core.errors import Held, RetryLater
from core.keys import external_id
from ledger.links import Link
from mapping.canonical import Account, Address, Contact, Customer, Lead, Party, Person, Probe, SalesOrder
from mapping.identity import fold_email, strong_identities
from mapping.matching import Match
from pipelines import doubts, parties
from pipelines.run import Run

KIND: Final = "customer"
_ACCOUNT_KINDS: Final = ("erp", "vat")


@dataclass(frozen=True, slots=True)
class CustomerRefs:
    """Account and contact in the CRM."""

    account: str
    contact: str
    made: str = ""
    """What of it was created just now: "account contact", "contact", or nothing."""

    def as_mapping(self) -> dict[str, str]:
        """For the link."""
        return {"account": self.account, "contact": self.contact}


def ensure(run: Run, order: SalesOrder, *, owner: str) -> CustomerRefs:
    """Account and contact of the order's customer: exactly one of each, however many orders and shops ask at once."""
    customer = order.customer
    keys = identity_keys(customer, run.flow.region)
    known = run.ledger.links.find(run.flow.target, KIND, keys)
    refs = _linked(run, [known[key] for key in keys if key in known])
    if refs is not None and all(key in known and known[key].linked for key in keys):
        return refs
    parties.ensure_filled(run)
    return _settle(run, _Case(order, customer, keys, owner))


def look_again(run: Run, refs: CustomerRefs) -> None:
    """The CRM did not keep an order's reference. Where it deleted or merged the customer, we forget what we knew, and the
    job runs again: it finds who has taken the place, or makes the customer anew.
    """
    gone = [
        record_id
        for kind, record_id in (("account", refs.account), ("contact", refs.contact))
        if _is_gone(run.crm.get_party(kind, record_id))  # type: ignore[arg-type]
    ]
    if not gone:
        return
    for record_id in gone:
        run.ledger.parties.forget(run.flow.target, record_id)
    run.ledger.links.unlink(run.flow.target, KIND, refs.account)
    raise RetryLater(
        f"The customer of this order was deleted or merged in {run.flow.target}. "
        "What to do: nothing, the order is given to who is there now.",
        seconds=1.0,
        cause="missing reference",
        detail=", ".join(gone),
    )


def _is_gone(party: Party | None) -> bool:
    return party is None or party.deleted


def identity_keys(customer: Customer, region: str) -> tuple[str, ...]:
    """The identities under which this customer is intended, strongest first: erp/…, vat/…, email/…, and the store's own
    customer record. A guest who gave none of them is known by the order alone.
    """
    keys = [f"{kind}/{value}" for kind, value in strong_identities(customer, region)]
    if not customer.guest:
        keys.append(f"store/{customer.key}")
    return tuple(keys) or (f"store/{customer.key}",)


@dataclass(frozen=True, slots=True)
class _Case:
    order: SalesOrder
    customer: Customer
    keys: tuple[str, ...]
    owner: str


def _linked(run: Run, links: Sequence[Link]) -> CustomerRefs | None:
    """What the links of the identities say, strongest first: the account by ERP or VAT number, the contact by e-mail."""
    linked = [link for link in links if link.linked]
    account = next((link.refs["account"] for link in linked if link.refs.get("account")), "")
    contact = next(
        (link.refs["contact"] for link in reversed(linked) if link.refs.get("contact") and _personal(link)), ""
    )
    if len({link.refs.get("account") for link in linked}) > 1:
        run.warn(
            "The customer's numbers and e-mail address belong to different accounts; the account of the number is used. "
            "What to do: see whether the order went to the right account.",
            "two accounts",
        )
    return CustomerRefs(account, contact) if account and contact else None


def _personal(link: Link) -> bool:
    return not link.key.startswith(tuple(f"{kind}/" for kind in _ACCOUNT_KINDS))


def _settle(run: Run, case: _Case) -> CustomerRefs:
    """Under a committed intent for all identities: find, or create, then link every identity to the result."""
    # The external id of what may be created is committed with the intent: another job with other identities of the same
    # customer that finishes this after a crash looks for the same one.
    intent = run.intend(KIND, case.keys, new_refs=json.dumps({"own_id": external_id("customer", case.keys[0])}))
    by_key = {link.key: link for link in intent.links}
    links = [by_key[key] for key in case.keys]
    refs = _linked(run, links)
    open_links = [link for link in links if not link.linked]
    if refs is None:
        account = next((link.refs.get("account", "") for link in links if link.linked), "")
        refs = _find_or_create(run, case, open_links, account)
    if open_links:
        # The external id is kept: whether a late commit made a second customer is seen by it.
        kept = {**refs.as_mapping(), "own_id": _own_id(case, _begun(links))}
        if refs.made:
            kept["made"] = refs.made  # what an undo may take back
        origin = "created" if refs.made else ""
        run.ledger.links.link(open_links, refs.account, refs=kept, origin=origin, recheck=run.recheck)
    return refs


def _find_or_create(run: Run, case: _Case, links: list[Link], account: str) -> CustomerRefs:
    recovering = _begun(links)
    own_id = _own_id(case, recovering)
    if recovering is not None:
        found = _recovered(run, own_id)
        if found is not None and found.account and found.contact:
            return found
        account = account or (found.account if found else "")
    answer = None if account else doubts.answer(run, case.keys)
    if answer is not None and answer.decision == "link":
        account = doubts.account_of(run, answer)
    # Whom a person called new is none of those who fit.
    match = _match(run, case, account) if answer is None or account else None
    if match is not None and match.contact:
        return CustomerRefs(match.account, match.contact)
    if match is not None:
        account = match.account
    if not account and answer is None:
        _require_leave_to_create(run, case)
    return _create(run, case, links, own_id, account, recovering)


def _begun(links: Sequence[Link]) -> Link | None:
    """The link of an attempt that was interrupted before its end."""
    unfinished = (link for link in links if not link.linked)
    return next((link for link in unfinished if link.state == "sent" or link.refs.keys() - {"own_id"}), None)


def _own_id(case: _Case, recovering: Link | None) -> str:
    """The external id of what we create: the strongest identity's, or the one under which an earlier attempt began."""
    if recovering is not None and recovering.refs.get("own_id"):
        return recovering.refs["own_id"]
    return external_id("customer", case.keys[0])


# -- found ---------------------------------------------------------------------------------------------------------


def _recovered(run: Run, own_id: str) -> CustomerRefs | None:
    """What an interrupted attempt of ours left in the CRM: account and contact first (the lead is looked up later)."""
    found = run.crm.find_customer(Probe(external_id=own_id))
    account = next((party.id for party in found if party.kind == "account"), "")
    contact = next((party for party in found if party.kind == "contact"), None)
    if contact is not None and not account:
        account = contact.account_id
    parties.remember(run, found)
    return CustomerRefs(account, contact.id if contact else "") if account or contact else None


def _match(run: Run, case: _Case, account: str) -> CustomerRefs | None:
    """By the flow's rules over the local index, verified in the CRM; a miss is confirmed by one query. None: nobody."""
    rules = ("email",) if case.customer.guest and run.flow.guests == "lead" else run.flow.match
    for _ in range(3):
        match = parties.match(run, case.customer, rules, account)
        if match.is_ambiguous:
            raise doubts.several(run, case.order, case.keys, match)
        if not match.found:
            break
        verified = parties.verify(run, match)
        if verified is not None:
            return (
                CustomerRefs(verified.account, verified.contact)
                if verified.account
                else _of_nobody(run, verified.contact)
            )
    return _confirm(run, case, account)


def _confirm(run: Run, case: _Case, account: str) -> CustomerRefs | None:
    """The index knows nobody: ask the CRM itself once, by e-mail (somebody may have been added a moment ago)."""
    email = fold_email(case.customer.person.email)
    found = run.crm.find_customer(Probe(email=email)) if email else ()
    parties.remember(run, found)
    accounts = {party.account_id or party.id for party in found}
    if account:
        contact = next((party.id for party in found if party.kind == "contact" and party.account_id == account), "")
        return CustomerRefs(account, contact)
    if len(accounts) > 1:
        match = Match(rule="email", reason="same e-mail address", ambiguous=tuple(sorted(accounts)))
        raise doubts.several(run, case.order, case.keys, match)
    for party in found:
        if party.kind == "contact":
            return CustomerRefs(party.account_id, party.id) if party.account_id else _of_nobody(run, party.id)
        return CustomerRefs(party.id, "")
    return None


def _of_nobody(run: Run, contact: str) -> NoReturn:
    raise Held(
        f"The contact {contact} in {run.flow.target} fits but belongs to no account there. "
        "What to do: give it an account there, then retry.",
        error_class="missing reference",
        field="customer",
    )


def _require_leave_to_create(run: Run, case: _Case) -> None:
    """Guests may be a person's to create."""
    if case.customer.guest and run.flow.guests == "hold":
        raise Held(
            "A guest ordered who matches no customer of the CRM, and this flow holds such orders. "
            "What to do: create the customer in the CRM, then retry.",
            error_class="missing reference",
            field="customer",
        )


# -- created -------------------------------------------------------------------------------------------------------


def _create(
    run: Run, case: _Case, links: list[Link], own_id: str, account: str, recovering: Link | None
) -> CustomerRefs:
    new = _New(run, case, own_id)
    if account:
        refs = CustomerRefs(account, run.written(links, "contact", lambda: new.contact_at(account)).ref.id, "contact")
    elif run.crm.capabilities().converts_leads:
        refs = _by_lead(run, links, new, recovering)
    else:
        refs = _directly(run, links, new)
    parties.remember(run, new.parties(refs))
    return refs


def _by_lead(run: Run, links: list[Link], new: _New, recovering: Link | None) -> CustomerRefs:
    """Lead, then account and contact out of it. The lead's id is noted in between, so that a crash finds it again."""
    lead = run.crm.find_lead(new.own_id) if recovering is not None else None
    if lead is None:
        written = run.written(links, "lead", lambda: run.crm.create_lead(new.lead()))
        run.judge(written.differences)
        lead = written.ref
    run.ledger.links.note(links[0], refs={"own_id": new.own_id, "lead": lead.id})
    converted: list[Converted] = []

    def convert() -> Written:
        converted.append(run.crm.convert_lead(lead, new.account(), new.contact()))
        return converted[-1].account

    run.written(links, "conversion", convert)  # no external id guards it: a kind of its own, of the weakest tier
    both = converted[-1]
    run.judge((*both.account.differences, *both.contact.differences))
    return CustomerRefs(both.account.ref.id, both.contact.ref.id, "account contact")


def _directly(run: Run, links: list[Link], new: _New) -> CustomerRefs:
    """Where leads cannot be converted: account, then contact."""
    account = run.written(links, "account", new.create_account)
    run.ledger.links.note(links[0], refs={"own_id": new.own_id, "account": account.ref.id})
    contact = run.written(links, "contact", lambda: new.contact_at(account.ref.id))
    run.judge((*account.differences, *contact.differences))
    return CustomerRefs(account.ref.id, contact.ref.id, "account contact")


class _New:
    """The canonical records of a customer whom the CRM does not know."""

    def __init__(self, run: Run, case: _Case, own_id: str) -> None:
        self.run = run
        self.case = case
        self.own_id = own_id
        self.name = self._account_name()

    def _account_name(self) -> str:
        """Company, else the person. Another account of that name that is somebody else's must not be mistaken for it (many
        CRMs keep account names unique, and conversion joins equal names).
        """
        customer = self.case.customer
        name = customer.display_name or f"Order {self.case.order.number}"
        if not parties.name_taken(self.run, name):
            return name
        return self._distinct(name)

    def _distinct(self, name: str) -> str:
        customer = self.case.customer
        mark = customer.vat_number or customer.erp_number or fold_email(customer.person.email) or self.case.order.number
        return f"{name} ({mark})" if mark not in name else f"{name} ({self.case.order.number})"

    @property
    def _person(self) -> Person:
        customer = self.case.customer
        person = customer.person
        if person.last_name:
            return person
        # A contact needs a last name; the company's, or what stands before the @, is better than nothing.
        name = person.first_name or customer.company or person.email.partition("@")[0] or self.name
        return Person(first_name="", last_name=name, email=person.email, phone=person.phone)

    @property
    def _address(self) -> Address:
        billing = self.case.customer.billing
        return self.case.order.billing if billing.empty else billing

    def lead(self) -> Lead:
        customer = self.case.customer
        return Lead(
            external_id=self.own_id,
            company=self.name,
            person=self._person,
            address=self._address,
            vat_number=customer.vat_number,
            erp_number=customer.erp_number,
            owner=self.case.owner,
            source="Web Site",
        )

    def account(self) -> Account:
        customer = self.case.customer
        return Account(
            external_id=self.own_id,
            name=self.name,
            email=customer.person.email,
            phone=customer.person.phone,
            vat_number=customer.vat_number,
            erp_number=customer.erp_number,
            billing=self._address,
            shipping=self.case.order.shipping,
            owner=self.case.owner,
        )

    def contact(self) -> Contact:
        return Contact(external_id=self.own_id, person=self._person, address=self._address, owner=self.case.owner)

    def contact_at(self, account: str) -> Written:
        return self.run.crm.create_contact(self.contact(), account)

    def create_account(self) -> Written:
        """A name that turns out to be taken is made distinct, once."""
        crm: Crm = self.run.crm
        try:
            return crm.create_account(self.account())
        except Held as error:
            if error.error_class != "duplicate/conflict":
                raise
            self.name = self._distinct(self.name)
            return crm.create_account(self.account())

    def parties(self, refs: CustomerRefs) -> tuple[Party, ...]:
        """The two as the index is to know them at once."""
        customer, country = self.case.customer, self._address.country
        person = customer.person
        return (
            Party(
                kind="account",
                id=refs.account,
                name=self.name,
                emails=(person.email,) if person.email else (),
                phones=(person.phone,) if person.phone else (),
                vat_number=customer.vat_number,
                erp_number=customer.erp_number,
                country=country,
                postal_code=self._address.postal_code,
            ),
            Party(
                kind="contact",
                id=refs.contact,
                account_id=refs.account,
                name=person.full_name,
                emails=(person.email,) if person.email else (),
                phones=(person.phone,) if person.phone else (),
                country=country,
            ),
        )


__all__ = ["CustomerRefs", "Ref", "ensure", "identity_keys"]
