"""Whose accounts, contacts and open orders are in vtiger, and giving them to somebody else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from connectors.roles import OwnedRecord, RecordKind, Ref, Written
from connectors.vtiger import query as q
from connectors.vtiger import verify
from connectors.vtiger.canary import Canary
from connectors.vtiger.client import Client, Record
from connectors.vtiger.describe import Modules
from connectors.vtiger.settings import Module, VtigerSettings
from connectors.vtiger.standing import MODULE_OF, disturbed
from core.errors import Held
from mapping.canonical import OrderStatus
from mapping.vtiger.words import ORDER_STATUS

OWNER: Final = "assigned_user_id"
NUMBERS: Final[dict[RecordKind, str]] = {"account": "account_no", "contact": "contact_no", "order": "salesorder_no"}
OVER: Final = (OrderStatus.COMPLETED, OrderStatus.CANCELLED, OrderStatus.REFUNDED, OrderStatus.FAILED)


class OwnersDesk:
    """Reads owners with one query a kind, and revises that one field."""

    def __init__(
        self,
        settings: VtigerSettings,
        client: Client,
        modules: Modules,
        canary: Canary,
        owner: Callable[[str], str],
        ref: Callable[[str, Record, str], Ref],
    ) -> None:
        self._settings = settings
        self._client = client
        self._modules = modules
        self._canary = canary
        self._owner = owner
        self._ref = ref
        self._over = frozenset(settings.statuses.get(status.value) or ORDER_STATUS[status] for status in OVER)

    def records(self, account_id: str, kinds: Collection[RecordKind]) -> Sequence[OwnedRecord] | None:
        account = self._client.retrieve(account_id)
        if account is None:
            return None
        found = [self._record("account", account)] if "account" in kinds else []
        for kind in ("contact", "order"):
            if kind in kinds:
                found += [self._record(kind, row) for row in self._of_account(kind, account_id)]
        return found

    def _of_account(self, kind: RecordKind, account_id: str) -> Iterator[Record]:
        """Pages by id, so that what is given away meanwhile moves nobody."""
        module = MODULE_OF[kind]
        columns = ["id", NUMBERS[kind], OWNER, "account_id", *(["sostatus"] if kind == "order" else [])]
        mine = f"account_id={q.record_id(account_id)}"
        rows = self._canary.search(columns, module, mine, lambda row: row.get("account_id") == account_id)
        while True:
            yield from (row for row in rows if kind != "order" or str(row.get("sostatus", "")) not in self._over)
            if len(rows) < q.PAGE - 1:  # the canary may have been one of a full page
                return
            last = max(rows, key=lambda row: q.crmid(str(row.get("id"))))
            where = f"{mine} AND id > {q.record_id(str(last.get('id')))}"
            rows = self._client.query(q.select(columns, module, where, "id", f"0,{q.PAGE}"))

    def _record(self, kind: RecordKind, row: Record) -> OwnedRecord:
        owner = str(row.get(OWNER) or "")
        names = frozenset(name for name, id in self._settings.owners.items() if id == owner)
        us = str(self._client.login().get("userId") or "")
        return OwnedRecord(kind, self._ref(MODULE_OF[kind], row, NUMBERS[kind]), owner, names, bool(us) and owner == us)

    def assign(self, record: OwnedRecord, owner: str) -> Written:
        module, id = MODULE_OF[record.kind], self._owner(owner)
        self._of_kind(module, record.ref.id)
        before = self._client.retrieve(record.ref.id) if record.kind == "order" else None
        element = {"id": record.ref.id, OWNER: id}
        after = self._client.revise(module, element)
        differences = [found.difference() for found in verify.compare_fields(element, after, frozenset({OWNER}))]
        if before is not None:
            differences += disturbed(before, after)
        return Written(self._ref(module, after, NUMBERS[record.kind]), tuple(differences))

    def _of_kind(self, module: Module, record_id: str) -> None:
        """An id names its module by its prefix: what a mixed-up id would hit is never touched."""
        if not q.is_record_id(record_id) or record_id.partition("x")[0] != self._modules.get(module).prefix:
            raise Held(
                f"{record_id} is no id of {module} in {self._settings.name}, nothing was done. "
                "What to do: see whether the ledger belongs to another install of the CRM.",
                error_class="missing reference",
            )
