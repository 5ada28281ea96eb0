"""What a look before the leap would change, field by field: what stands there now, what would be written. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from connectors.http import Guard, guarded
from connectors.roles.looking import Previewed
from core.errors import OrderwireError
from core.redaction import redact_all
from mapping import explain
from pipelines.overlay import INVENTED
from pipelines.rehearsal import PlannedWrite

KINDS: Final[Mapping[str, str]] = {
    "create_account": "account",
    "create_contact": "contact",
    "create_lead": "lead",
    "create_order": "order",
    "update_order": "order",
    "stamp_order": "order",
    "create_invoice": "invoice",
    "set_stock": "product",
}


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field. `before`: as it is over there, "" for what is new; None where the CRM does not tell it under this name."""

    name: str
    before: str | None
    after: str

    @property
    def same(self) -> bool:
        """Nothing would change."""
        return self.before is not None and explain.alike(self.before, self.after)


@dataclass(frozen=True, slots=True)
class Target:
    """One record that would be written. `gone`: it is not there any more. `words`: what is known where fields are not."""

    operation: str
    kind: str
    words: str
    number: str = ""
    record_id: str = ""
    fields: Sequence[FieldChange] = ()
    gone: bool = False
    fault: str = ""

    @property
    def new(self) -> bool:
        """It would be created."""
        return self.operation.startswith("create_")

    @property
    def changed(self) -> Sequence[FieldChange]:
        """What would be different."""
        return [one for one in self.fields if not (one.same or (self.new and one.after == ""))]

    @property
    def unchanged(self) -> Sequence[FieldChange]:
        """What stands there already, or stays empty."""
        changed = self.changed
        return [one for one in self.fields if one not in changed]


def targets(crm: object, writes: Sequence[PlannedWrite], guard: Guard) -> list[Target]:
    """Each planned write as a difference. The CRM is asked under the rehearsal's own guard, whose transport refuses every
    write. A record that cannot be read says why, and the others follow.
    """
    found: list[Target] = []
    steps = {write.made: f"({at}) {write.operation}" for at, write in enumerate(writes, 1) if write.made}
    for write in writes:
        plain = Target(write.operation, KINDS.get(write.operation, ""), write.words)
        try:
            with guarded(guard):
                found.append(_target(crm, write, plain, steps) if isinstance(crm, Previewed) else plain)
        except OrderwireError as error:
            found.append(replace(plain, fault=error.message))
    return found


def _target(crm: Previewed, write: PlannedWrite, plain: Target, steps: Mapping[str, str]) -> Target:
    after = dict(explain.leaves(_named(crm.preview(write.operation, write.arguments), steps)))
    ref = write.arguments.get("ref")
    if ref is None:
        return replace(plain, fields=_fields({}, after, new=True))
    there = None if ref.id.startswith(INVENTED) else crm.standing(ref.id)
    known = replace(plain, number=ref.number, record_id=ref.id)
    if there is None:
        return replace(known, gone=True, fields=_fields({}, after, new=True))
    return replace(known, fields=_fields(dict(explain.leaves(there)), after, new=False))


def _fields(before: Mapping[str, object], after: Mapping[str, object], *, new: bool) -> list[FieldChange]:
    return [FieldChange(name, _before(before, name, new=new), _hidden(name, value)) for name, value in after.items()]


def _before(before: Mapping[str, object], name: str, *, new: bool) -> str | None:
    if new:
        return ""
    if name in before:
        return _hidden(name, before[name])
    # A row that is not there yet is new; a single field under another name is not told.
    return "" if "[" in name else None


def _hidden(name: str, value: object) -> str:
    shown = redact_all({name.rpartition(".")[2]: "" if value is None else str(value)})
    return str(next(iter(shown.values()))) if isinstance(shown, dict) else ""


def _named(value: Any, steps: Mapping[str, str]) -> Any:
    """Ids of records that would be made a step before, by that step."""
    if isinstance(value, Mapping):
        return {name: _named(item, steps) for name, item in value.items()}
    if isinstance(value, list):
        return [_named(item, steps) for item in value]
    return steps.get(value, value) if isinstance(value, str) else value
