"""Customers of a store (and of an ERP's list) and the accounts that stand in the CRM already: who is who, before the first
order travels.

Certain ones are linked under the identities by which orders look for their customer, doubtful ones are asked, the rest is
new. Accounts that are doubles are reported and never merged. Only the ledger is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.errors import Held, OrderwireError
from core.jsontext import fingerprint
from core.settings import FlowSettings
from ledger import Ledger
from ledger.reviews import Candidate as Choice
from ledger.reviews import Review
from ledger.runs import Item, RunView
from mapping.canonical import Customer
from mapping.identity import customer_entries
from mapping.likeness import Doubles, Likeness, Parties, Resemblance
from mapping.matching import Candidate
from pipelines import parties, review
from pipelines.clerk import Clerk
from pipelines.context import Context
from pipelines.customers import KIND, identity_keys
from pipelines.identities import NOBODY, accounts_of, link_customer


@dataclass(frozen=True, slots=True)
class Named:
    """A customer to be recognised. `origin`: where from, in words (`order 1017`)."""

    customer: Customer
    keys: tuple[str, ...]
    origin: str = ""


class Faces:
    """Everybody in the CRM, as the index knows them; asked without a call."""

    def __init__(self, ledger: Ledger, flow: FlowSettings) -> None:
        self.ledger = ledger
        self.flow = flow
        rows = ledger.parties.all(flow.target)
        codes = {row.remote_id: row.value for row in rows if row.match_kind == "postal_code"}
        self._parties = Parties(Candidate.gather(rows), region=flow.region, postal_codes=codes)
        self._twins = {account: one.accounts for one in self._parties.doubles for account in one.accounts}
        self._likes: dict[object, Likeness] = {}
        self._accounts: dict[tuple[str, ...], frozenset[str]] = {}

    @property
    def doubles(self) -> Sequence[Doubles]:
        """Accounts that are one company twice."""
        return self._parties.doubles

    def like(self, customer: Customer) -> Likeness:
        """Who this may be."""
        told = (
            tuple(customer_entries(customer, self.flow.region)),
            customer.person.full_name,
            customer.billing.postal_code,
        )
        if told not in self._likes:
            self._likes[told] = self._parties.like(customer)
        return self._likes[told]

    def accounts(self, customer: Customer) -> frozenset[str]:
        """Every account that the customer may be: as linked or decided (with its doubles), else whoever is like them."""
        keys = identity_keys(customer, self.flow.region)
        if keys not in self._accounts:
            self._accounts[keys] = self._known(keys)
        return self._accounts[keys] or self.like(customer).accounts

    def _known(self, keys: tuple[str, ...]) -> frozenset[str]:
        linked = accounts_of(self.ledger.links.find(self.flow.target, KIND, keys).values())
        return frozenset(twin for account in linked for twin in self._twins.get(account, (account,)))


# -- linking -------------------------------------------------------------------------------------------------------


def link_customers(
    context: Context,
    flow: FlowSettings,
    since: datetime,
    until: datetime | None = None,
    *,
    rows: Sequence[Customer] = (),
    by: str = "",
    progress: Callable[[int, int | None], None] = lambda _done, _total: None,
) -> RunView:
    """Recognise the customers of the orders placed in [since, until) (None: until now), and these rows of the ERP. Safe to
    repeat; an interrupted run goes on. Raises RetryLater when a system that is asked is out.
    """
    runs = context.ledger.runs
    options = {"since": since.isoformat(), "until": until.isoformat() if until else "", "erp": _digest(rows)}
    run = runs.unfinished("link", flow.name, options) or runs.begin("link", flow.name, options, by=by)
    runs.resume(run.id)
    clerk = Clerk(context, flow)
    work = _Linking(context, flow, run.id)
    try:
        with clerk.at_work():
            work.run(since, until or context.clock.now(), rows, progress)
    except OrderwireError as error:
        runs.progress(run.id, counts=work.counts(clerk))
        runs.end(run.id, "stopped", error.message)
        raise
    runs.progress(run.id, counts=work.counts(clerk))
    runs.end(run.id, "done")
    return runs.get(run.id) or run


def _digest(rows: Sequence[Customer]) -> str:
    return fingerprint([row.model_dump(mode="json") for row in rows]) if rows else ""


class _Linking:
    """One run."""

    def __init__(self, context: Context, flow: FlowSettings, run_id: int) -> None:
        self.context = context
        self.flow = flow
        self.run_id = run_id
        self.ledger = context.ledger
        self.orders = self.unreadable = 0
        self._seen: set[tuple[str, ...]] = set()
        self._asked: list[Named] = []

    def counts(self, clerk: Clerk) -> dict[str, int]:
        """What it has cost, and read."""
        found = {"orders": self.orders, "unreadable": self.unreadable, "queries": clerk.queries}
        for one in self.ledger.runs.sums(self.run_id):
            found[one.verdict] = found.get(one.verdict, 0) + one.count
        return found

    def run(
        self,
        since: datetime,
        until: datetime,
        rows: Sequence[Customer],
        progress: Callable[[int, int | None], None],
    ) -> None:
        """Doubles first, then the ERP's rows (numbers are the strongest identities), then the store's customers."""
        parties.refresh(self.ledger, self.context.crms[self.flow.target], self.flow.region)
        faces = Faces(self.ledger, self.flow)
        self.ledger.runs.put(self.run_id, [self._double(one) for one in faces.doubles])
        self._note(faces, [self._of_erp(row) for row in rows])
        store = self.context.store(self.flow.source)
        for page in store.orders_between(since, until):
            found: list[Named] = []
            for change in page.changes:
                if change.raw is None or change.deleted:
                    continue
                try:
                    customer = store.order(change.key, change.raw).customer
                except Held:
                    self.unreadable += 1  # what is wrong with it is told when it is rehearsed, or carried
                    continue
                found.append(Named(customer, identity_keys(customer, self.flow.region), f"order {change.number}"))
            self.orders += len(page.changes)
            self._note(faces, found)
            progress(self.orders, page.total)
        # Who was doubtful by an e-mail address alone may have been certain with a number, in a later order.
        asked, self._asked = self._asked, []
        self.ledger.runs.put(self.run_id, [self._one(faces, one) for one in asked])

    def _of_erp(self, row: Customer) -> Named:
        """The ERP's list is no store: a row is known by its numbers and its e-mail address alone."""
        keys = tuple(key for key in identity_keys(row, self.flow.region) if not key.startswith("store/"))
        return Named(row, keys, f"row {row.erp_number} of the ERP's list")

    def _double(self, one: Doubles) -> Item:
        reason = f"Accounts {', '.join(one.accounts)} look like one company: {'; '.join(one.reasons)}"
        key = f"{self.flow.target}/account/{one.accounts[0]}"
        return Item(key, "double", reason=reason, facts={"accounts": list(one.accounts), "reasons": list(one.reasons)})

    def _note(self, faces: Faces, found: Sequence[Named]) -> None:
        items: list[Item] = []
        for one in found:
            if one.keys and one.keys not in self._seen:
                self._seen.add(one.keys)
                items.append(self._one(faces, one))
        if items:
            self.ledger.runs.put(self.run_id, items)

    def _one(self, faces: Faces, named: Named) -> Item:
        target, key = self.flow.target, str(named.customer.key)
        name = named.customer.display_name
        answers = self.ledger.reviews.decided(target, "customer", named.keys)
        answer = next((answers[one] for one in named.keys if one in answers), None)
        if answer is not None:
            return self._decided(named, answer)
        linked = accounts_of(self.ledger.links.find(target, KIND, named.keys).values())
        if linked:
            if len(linked) == 1:
                link_customer(self.ledger, target, named.keys, linked[0])
            self.ledger.reviews.withdraw(target, "customer", named.keys[0])
            reason = f"linked to {' and '.join(linked)} before"
            return Item(key, "linked", name, reason=reason, facts={"accounts": linked})
        verdict = faces.like(named.customer)
        if verdict.found is not None and verdict.found.account:
            return self._certain(named, verdict.found)
        if not verdict.candidates:
            self.ledger.reviews.withdraw(target, "customer", named.keys[0])
            return Item(key, "new", name, reason="nobody in the CRM is like this customer")
        return self._doubtful(named, verdict)

    def _decided(self, named: Named, answer: Review) -> Item:
        """What a person decided holds, also for identities that turned up since."""
        if answer.decision == "link":
            link_customer(self.ledger, self.flow.target, named.keys, answer.remote_id)
        facts = {"review": answer.id, "decision": answer.decision, "account": answer.remote_id}
        reason = f"decided by {answer.decided_by or 'somebody'}: {review.in_words(answer)}"
        return Item(str(named.customer.key), "decided", named.customer.display_name, reason=reason, facts=facts)

    def _certain(self, named: Named, found: Resemblance) -> Item:
        target = self.flow.target
        linked = link_customer(self.ledger, target, named.keys, found.account)
        self.ledger.reviews.withdraw(target, "customer", named.keys[0])
        facts = {"account": found.account, "contact": found.contact, "score": found.score, "linked": linked}
        reason = f"{found.account}: {', '.join(found.reasons)}"
        return Item(str(named.customer.key), "certain", named.customer.display_name, reason=reason, facts=facts)

    def _doubtful(self, named: Named, verdict: Likeness) -> Item:
        self._asked.append(named)
        customer = named.customer
        choices = [_choice(one) for one in verdict.candidates]
        mail = customer.person.email
        label = ", ".join(dict.fromkeys(part for part in (customer.display_name, mail, named.origin) if part))
        facts = {"flow": self.flow.name, "customer": str(customer.key), "keys": list(named.keys)}
        self.ledger.reviews.offer(
            self.flow.target,
            "customer",
            named.keys[0],
            label,
            choices,
            facts=facts,
            run_id=self.run_id,
        )
        best = ", ".join(f"{one.id} ({one.score})" for one in choices[:3])
        return Item(
            str(customer.key),
            "doubtful",
            customer.display_name,
            reason=f"{verdict.note or 'not certain'}: {best}",
            facts={"candidates": [one.id for one in choices]},
        )


def _choice(one: Resemblance) -> Choice:
    against = tuple(f"but {text}" for text in one.against)
    alone = () if one.account else ("but this contact belongs to no account",)
    id = one.account or f"{NOBODY}{one.contact}"
    return Choice(id, label=one.name, score=one.score, reasons=(*one.reasons, *against, *alone))
