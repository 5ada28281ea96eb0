"""The CRM's owners follow the ERP's reps: account, contacts and open orders of a customer.

Each look reads who owns what now and writes only what differs. What we are about to give away is noted before the CRM is
told: so our own write is known as ours, and a write whose answer was lost is waited for before another one is sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from connectors.roles import Crm, OwnedRecord, Owning
from core.errors import Ambiguous, Held, LeaseLost, OrderwireError, RetryLater
from core.settings import RepFlowSettings
from ledger import Ledger
from ledger.reps import Owned
from mapping.canonical import ErpCustomer, SalesRep
from mapping.identity import fold_erp
from mapping.reps import Resolution
from pipelines.repbook import Book
from pipelines.reprun import RepRun

MATCH_KIND: Final = "erp_number"
"""Of the party index."""
LINK_KIND: Final = "erp"
"""Of the links of customers, which orders make."""
CUSTOMER: Final = "customer"
MANY: Final = {"account": "accounts", "contact": "contacts", "order": "orders"}


@dataclass(frozen=True, slots=True)
class Followed:
    """What became of the owners, in words. `rehearsed`: nothing was written, for the flow is not live."""

    sentence: str
    rehearsed: bool = False


def follow(run: RepRun, customer: ErpCustomer, resolution: Resolution, book: Book) -> Followed:
    """Give the customer's records in the CRM to whoever serves it, as far as they are ours to give."""
    crm = run.crm
    if not isinstance(crm, Owning):
        raise Held(
            f"{run.to} cannot say whose records are. "
            f"What to do: leave out `target` of the flow {run.flow.name}, or name another CRM.",
            error_class="configuration",
        )
    identity = fold_erp(customer.number)
    account = account_of(run.ledger, run.to, identity)
    run.ledger.reps.seat(run.flow.name, customer.number, identity=identity, account=account)
    if not account:
        return Followed(f"It has no account in {run.to} yet: looked at again when it comes.")
    primary = resolution.primary
    wanted = owner_of(crm, book, primary.rep, run.to) if primary is not None else ""
    if not wanted:
        why = f"{primary.rep.code} has no name in the owners table" if primary is not None else "nobody serves it"
        if not run.flow.owner:
            if primary is not None:
                run.warn(
                    f"{why[0].upper()}{why[1:]} of {run.to}: its owner stays as it is. What to do: add {primary.rep.code} to the "
                    "owners of the connection, or say on the reps page whom the rep is there.",
                    "rep without owner",
                )
            return Followed(f"The owner in {run.to} stays as it is: {why}.")
        wanted = run.flow.owner
    return _give(run, crm, account, wanted)


def account_of(ledger: Ledger, target: str, identity: str) -> str:
    """The account of this customer number (folded), as orders find it: linked before, else by the index. "" where the CRM has
    none. Raises `Held` where two accounts carry the number.
    """
    if not identity:
        return ""
    key = f"{LINK_KIND}/{identity}"
    link = ledger.links.find(target, CUSTOMER, [key]).get(key)
    if link is not None and link.linked and link.refs.get("account"):
        return link.refs["account"]
    found = ledger.parties.find(target, [(MATCH_KIND, identity)])
    accounts = sorted({entry.account_id or entry.remote_id for entry in found})
    if len(accounts) > 1:
        raise Held(
            f"Two accounts in {target} carry the customer number {identity}: {', '.join(accounts)}. "
            "What to do: merge them there, or empty the field of the wrong one, then retry.",
            error_class="duplicate/conflict",
            field="customer",
        )
    return accounts[0] if accounts else ""


def owner_of(crm: Crm, book: Book, rep: SalesRep, target: str) -> str:
    """The rep's name in the owners table: as people entered it, else the code, the name or the e-mail address where the table
    has it; "" where it has none of them. Raises `Held` for a name that was entered and is not there.
    """
    entered = book.owners.get((rep.agency, rep.code), "")
    if entered and not crm.has_owner(entered):
        raise Held(
            f"{rep.code} {rep.name} is {entered} in the CRM, whom the owners table of {target} does not know. "
            f"What to do: add {entered} to the owners of the connection {target}, or correct the rep, then retry.",
            error_class="missing reference",
            field="owner",
        )
    return name_of(crm, book, rep)


def name_of(crm: Crm, book: Book, rep: SalesRep) -> str:
    """The same without a complaint: "" also for a name that was entered and is not there."""
    entered = book.owners.get((rep.agency, rep.code), "")
    names = (entered,) if entered else (rep.code, rep.name, rep.email)
    return next((one for one in names if one and crm.has_owner(one)), "")


# -- giving ------------------------------------------------------------------------------------------------------------


def _give(run: RepRun, crm: Owning, account: str, wanted: str) -> Followed:
    records = crm.owned_records(account, frozenset(run.flow.assign))
    if records is None:
        run.ledger.parties.forget(run.to, account)
        run.ledger.links.unlink(run.to, CUSTOMER, account)
        raise RetryLater(
            f"The account of this customer was deleted or merged in {run.to}. "
            "What to do: nothing, the customer is looked for again.",
            seconds=1.0,
            cause="missing reference",
            detail=account,
        )
    before = run.ledger.reps.owned(run.to, [record.ref.id for record in records])
    ours = [record for record in records if _may(run.flow, record, before.get(record.ref.id), wanted)]
    there = sum(wanted in record.names for record in records)
    left = len(records) - len(ours) - there
    rehearsed = run.rehearsed
    if ours and not rehearsed:
        _late(run, ours, before)
        _write(run, crm, ours, before, wanted)
    return Followed(_words(run.to, ours, wanted, left, rehearsed=rehearsed), rehearsed)


def _may(flow: RepFlowSettings, record: OwnedRecord, ours: Owned | None, wanted: str) -> bool:
    """Whether this record is to be given to `wanted`."""
    if wanted in record.names:
        return False
    if flow.ownership == "erp":
        return True
    nobody = record.ours or not record.owner or bool(record.names & {*flow.nobody, flow.owner} - {""})
    if flow.ownership == "empty" or ours is None:
        return nobody
    return nobody or bool(record.names & {ours.owner, ours.before} - {""})


def _late(run: RepRun, records: Sequence[OwnedRecord], before: dict[str, Owned]) -> None:
    """What we sent last is not there: it may still land, and must not undo what is sent now."""
    waits = [
        run.hold - ours.age
        for record in records
        if (ours := before.get(record.ref.id)) is not None and ours.owner not in record.names and ours.age < run.hold
    ]
    if waits:
        raise RetryLater(
            f"An earlier change of the owner in {run.to} may still be on its way. "
            "What to do: nothing, this one follows by itself.",
            seconds=max(waits) + 0.05,
            cause="busy",
            burns_attempt=False,
        )


def _write(run: RepRun, crm: Owning, records: Sequence[OwnedRecord], before: dict[str, Owned], wanted: str) -> None:
    marks = {record.ref.id: Owned(wanted, _now_ours(record, before.get(record.ref.id))) for record in records}
    run.ledger.reps.owning(run.to, marks)
    open_marks = dict.fromkeys(marks)
    for record in records:
        try:
            with run.lane(record.kind):
                written = crm.assign_owner(record, wanted)
            open_marks.pop(record.ref.id)
            run.judge(written.differences)
        except (Ambiguous, LeaseLost) as error:
            open_marks.pop(record.ref.id, None)
            run.ledger.reps.not_owning(run.to, {id: before.get(id) for id in open_marks})
            if isinstance(error, Ambiguous):
                raise _after(run, error) from error
            raise
        except OrderwireError:
            run.ledger.reps.not_owning(run.to, {id: before.get(id) for id in open_marks})
            raise


def _now_ours(record: OwnedRecord, ours: Owned | None) -> str:
    """Whose it is now, if it was we who gave it."""
    if ours is None:
        return ""
    return next((name for name in (ours.owner, ours.before) if name in record.names), "")


def _after(run: RepRun, error: Ambiguous) -> RetryLater:
    return RetryLater(
        error.message,
        seconds=run.hold + 0.1,
        cause="ambiguous write",
        detail=error.detail,
        connection=error.connection,
    )


def _words(target: str, given: Sequence[OwnedRecord], wanted: str, left: int, *, rehearsed: bool) -> str:
    kinds = Counter(record.kind for record in given)
    counted = [f"{count} {kind if count == 1 else MANY[kind]}" for kind, count in kinds.items()]
    would = "would be " if rehearsed else ""
    listed = " and ".join([", ".join(counted[:-1]), counted[-1]] if len(counted) > 1 else counted)
    first = f"In {target} {listed} {would}given to {wanted}" if given else f"In {target} all is {wanted}'s already"
    if left and not given:
        first = f"In {target} nothing {'would be' if rehearsed else 'is'} given to {wanted}"
    kept = f"; {left} left to whom people chose there" if left else ""
    return f"{first}{kept}."
