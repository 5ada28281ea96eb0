"""What customers ask for, as comments on their accounts (module ModComments): found again by the mark in the first line.

Comments are what the recorded exchanges prove; they are shown on the account at once and reach whom they are assigned to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, timedelta
from typing import Final

from connectors.roles import CustomerNote, Ref, Written
from connectors.vtiger import query as q
from connectors.vtiger import verify
from connectors.vtiger.canary import Canary
from connectors.vtiger.client import Client, Record
from connectors.vtiger.describe import Modules
from mapping.vtiger import clean_element
from mapping.vtiger.note import carries, note_to_vtiger

MODULE: Final = "ModComments"
COLUMNS: Final = ("id", "commentcontent", "related_to", "createdtime")
MARGIN: Final = timedelta(days=1)
"""How much earlier than it was asked for here a comment may be stamped there: clocks and time zones differ."""


class Requests:
    """Reading and writing comments."""

    def __init__(
        self,
        client: Client,
        modules: Modules,
        canary: Canary,
        owner: Callable[[str], str],
        ref: Callable[[str, Record, str], Ref],
    ) -> None:
        self._client = client
        self._modules = modules
        self._canary = canary
        self._owner = owner
        self._ref = ref

    def find(self, note: CustomerNote, accounts: Sequence[str]) -> Sequence[Ref]:
        """Oldest first, of these accounts."""
        found = [
            row
            for account in dict.fromkeys(accounts)
            for row in self._of_account(account, f"{note.at.astimezone(UTC) - MARGIN:%Y-%m-%d %H:%M:%S}")
            if carries(str(row.get("commentcontent", "")), note.external_id)
        ]
        return [self._ref(MODULE, row, "") for row in sorted(found, key=lambda row: q.crmid(str(row.get("id"))))]

    def _of_account(self, account: str, since: str) -> Iterator[Record]:
        """Newest first, as far back as `since`."""
        mine = f"related_to={q.record_id(account)}"
        rows = self._canary.search(
            COLUMNS, MODULE, mine, lambda row: row.get("related_to") == account, order="id DESC", limit=f"0,{q.PAGE}"
        )
        while True:
            yield from (row for row in rows if row.get("related_to") == account)
            last = min(rows, key=lambda row: q.crmid(str(row.get("id"))), default=None)
            # The canary may have been one of a full page.
            if last is None or len(rows) < q.PAGE - 1 or str(last.get("createdtime")) < since:
                return
            where = f"{mine} AND id < {q.record_id(str(last.get('id')))}"
            rows = self._client.query(q.select(COLUMNS, MODULE, where, "id DESC", f"0,{q.PAGE}"))

    def create(self, note: CustomerNote, account: str, owner: str) -> Written:
        self._modules.require_fields(MODULE, ("commentcontent", "related_to"))
        element, cuts = clean_element(
            note_to_vtiger(note.title, note.text, note.external_id, account, self._owner(owner))
        )
        answer = self._client.create(MODULE, element)
        found = verify.compare_fields(element, answer, frozenset())
        differences = (*verify.cut_differences(cuts), *(mismatch.difference() for mismatch in found))
        return Written(self._ref(MODULE, answer, ""), differences)
