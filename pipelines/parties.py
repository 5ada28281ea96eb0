"""The local index of the CRM's customers: filled once in full, kept by changes, asked by rules, verified over there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from connectors.roles import Crm
from core.errors import RetryLater
from ledger import Ledger
from ledger.parties import Entry
from mapping.canonical import Customer, Party
from mapping.identity import MatchKind, customer_entries, index_entries
from mapping.matching import Candidate, Match, rank
from mapping.names import fold_company
from pipelines.run import Run

log = structlog.get_logger(__name__)

FILL_LEASE: Final = 900.0
KEEPS: Final = 2
"""What the index keeps of a record (2: the postal code too). Raised when `index_entries` learns something: an index that
knows less is read once more in full, and serves meanwhile.
"""


def cursor_name(crm: str, keeps: int = KEEPS) -> str:
    """Where the index was read up to, by those who keep this much of a record."""
    return f"{crm}/parties" if keeps == 1 else f"{crm}/parties/{keeps}"


def _filled(ledger: Ledger, crm: str) -> str:
    """The cursor of an index that was read in full once, by this version or by an older one; "" where none was."""
    names = [cursor_name(crm, keeps) for keeps in range(KEEPS, 0, -1)]
    return next((name for name in names if ledger.cursors.get(name) is not None), "")


def ensure_filled(run: Run) -> None:
    """Nobody is matched before the index was read in full once: a customer whom it does not know yet would be doubled."""
    if run.flow.target in run.context.filled:
        return
    if _filled(run.ledger, run.flow.target):
        run.context.filled.add(run.flow.target)
        return
    raise RetryLater(
        "The CRM's customers are being read for the first time. What to do: nothing, the order follows by itself.",
        seconds=1.0,
        cause="busy",
        burns_attempt=False,
    )


def refresh(ledger: Ledger, crm: Crm, region: str = "") -> int:
    """Read what changed in the CRM since the last time (everything at first, and once after an update that keeps more of a
    record). How many records.
    """
    name, filled = cursor_name(crm.name), _filled(ledger, crm.name)
    # Matching goes on with the older index: what is new over there must not wait until everything was read again.
    changed = _read(ledger, crm, filled, region) if filled not in {"", name} else 0
    return changed + _read(ledger, crm, name, region)


def _read(ledger: Ledger, crm: Crm, name: str, region: str) -> int:
    """Everything after this cursor."""
    count, cursor = 0, ledger.cursors.get(name)
    last = cursor
    for page in crm.parties_since(cursor):
        store(ledger, crm.name, page.parties, region)
        count += len(page.parties)
        last = page.cursor
        if cursor is not None:
            ledger.cursors.set(name, page.cursor)
    # At first the cursor is set only at the very end: its existence says that the index is complete.
    ledger.cursors.set(name, last or "")
    return count


def store(ledger: Ledger, crm: str, found: Sequence[Party], region: str = "") -> None:
    """Put these records into the index as they are now."""
    if not found:
        return
    entries = [
        Entry(kind, value, party.kind, party.id, party.account_id if party.kind == "contact" else party.id)
        for party in found
        for kind, value in index_entries(party, region)
    ]
    ledger.parties.replace(crm, [party.id for party in found], entries)


def remember(run: Run, found: Sequence[Party]) -> None:
    """The same, in a job."""
    store(run.ledger, run.flow.target, found, run.flow.region)


def match(run: Run, customer: Customer, rules: Sequence[MatchKind], account: str = "") -> Match:
    """Ask the index by the rules. With `account` given only its own contacts count."""
    wanted = customer_entries(customer, run.flow.region)
    hits = run.ledger.parties.find(run.flow.target, [(kind, value) for kind, value in wanted if kind in rules])
    accounts = sorted({hit.account_id for hit in hits if hit.account_id and (not account or hit.account_id == account)})
    lonely = [] if account else [hit.remote_id for hit in hits if not hit.account_id]
    entries = run.ledger.parties.of(run.flow.target, [*accounts, *lonely])
    return rank(customer, _candidates(entries), rules, run.flow.region)


def _candidates(entries: Sequence[Entry]) -> list[Candidate]:
    by_record: dict[str, list[Entry]] = {}
    for entry in entries:
        by_record.setdefault(entry.remote_id, []).append(entry)
    return [
        Candidate(
            kind="account" if group[0].party_kind == "account" else "contact",
            id=remote_id,
            account=group[0].account_id,
            entries=frozenset((entry.match_kind, entry.value) for entry in group),  # type: ignore[misc]
        )
        for remote_id, group in by_record.items()
    ]


def verify(run: Run, found: Match) -> Match | None:
    """See over there that the match still exists; None: it is gone, and forgotten here."""
    record_id = found.contact or found.account
    party = run.crm.get_party("contact" if found.contact else "account", record_id)
    if party is None or party.deleted:
        run.ledger.parties.forget(run.flow.target, record_id)
        return None
    remember(run, [party])
    if found.contact and party.account_id != found.account:
        return None  # it moved to another account: ask the index again, which knows by now
    return found


def name_taken(run: Run, name: str) -> bool:
    """Whether an account of that name (folded) is known."""
    folded = fold_company(name)
    hits = run.ledger.parties.find(run.flow.target, [("company", folded)]) if folded else []
    return any(hit.party_kind == "account" for hit in hits)
