"""Retry with edited data, and a look at what would be written. The store's record as we keep it is mended by a person; what
came in stays as it was, and a later change of the store wins over the edit.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from jsonschema import Draft202012Validator

from core.clock import from_micros
from core.errors import Held, OrderwireError, RetryLater
from core.jsontext import loads
from core.keys import Change, Key
from core.redaction import contains_card_number, redact_all
from core.visible import visible_json
from ledger.inbox import Record
from ledger.jobs import Claim, JobView
from mapping.canonical import SalesOrder
from mapping.cents import Cents
from pipelines import changes, explaining
from pipelines.changes import Target
from pipelines.context import Context
from pipelines.desk import Action, Desk, Refused, required
from pipelines.rehearsal import Plan, Rehearsal

LONGEST: Final = 1024 * 1024
"""Characters of an edited record, as of a delivery."""
SHOWN_CHANGES: Final = 100
_TICK: Final = 1
"""Microseconds that an edit is newer than the state it mends. Stores count in seconds: the same state delivered once more is
older than the edit, and whatever the store changes afterwards is newer.
"""


class Mistake(OrderwireError):
    """The edited text cannot be taken; `field` names the place, where one is known. Nothing was kept."""

    error_class = "validation/value"


@dataclass(frozen=True, slots=True)
class Draft:
    """What is shown to be edited: personal data hidden. `version`: the state it was made from."""

    job: JobView
    version: int
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One place that was changed; "" where there was or is nothing. Personal data hidden."""

    path: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Checked:
    """An edit that can be taken. `record`: the state that it mends."""

    record: Record
    raw: bytes
    order: SalesOrder
    differences: Sequence[Difference]


@dataclass(frozen=True, slots=True)
class Look:
    """What would become of an order, each record that would be written, and its every cent (None: it cannot be read)."""

    plan: Plan
    targets: Sequence[Target]
    cents: Cents | None


class Editing:
    """The service behind the editor."""

    def __init__(self, context: Context, desk: Desk) -> None:
        self.context = context
        self.desk = desk

    def draft(self, job_id: int) -> Draft:
        """The record of a job that failed, to be edited. Raises Unknown or Refused."""
        job = self.desk.allowed(job_id, Action.EDIT)
        record = self._record(Key.parse(job.key))
        return Draft(job, record.version, pretty(redact_all(_parsed(record))))

    def check(self, job_id: int, text: str, version: int) -> Checked:
        """Whether the edited text can be taken: JSON, the same order, readable as an order. What was hidden and not touched is
        what it was. Raises Mistake, Unknown or Refused; keeps nothing.
        """
        job = self.desk.allowed(job_id, Action.EDIT)
        key = Key.parse(job.key)
        record = self._record(key)
        if record.version != version:
            raise _overtaken()
        known = _parsed(record)
        merged = unhidden(known, redact_all(known), _typed(text))
        found = differences(known, merged)
        if not found:
            raise Mistake("Nothing was changed. What to do: change something, or press retry.")
        raw = pretty(merged).encode()
        if contains_card_number(raw.decode()):
            raise Mistake("A card number is never kept. What to do: take it out.")
        order = self._read(key, raw, merged)
        if record.number and order.number != record.number:
            raise Mistake(
                f"The order's number is {record.number} and stays so: an edit cannot make one order of another. "
                "What to do: put the number back.",
                field="number",
            )
        return Checked(record, raw, order, found)

    def save(self, job_id: int, text: str, version: int, reason: str, *, actor: str) -> JobView:
        """Keep the edited state as the record's newest and run its jobs. Raises what `check` raises, and a missing reason."""
        why = required(reason)
        checked = self.check(job_id, text, version)
        before = self.desk.job(job_id)
        # What was checked is what it stands on: a state that came since must not be read here and stamped over.
        key, record = Key.parse(before.key), checked.record
        stamp = None if record.stamp is None else from_micros(record.stamp + _TICK)
        change = Change(
            key=key,
            stamp=stamp,
            raw=checked.raw,
            dedupe=f"edit:{key}:{uuid.uuid4().hex}"[:200],
            number=record.number,
            topic="edit",
            fetched_at=self.context.ledger.clock.now(),
        )
        if not self.context.ledger.inbox.accept_over(record, change, self.context.routes, via="edit"):
            raise _overtaken()
        changed = [f"{one.path}: {one.before} -> {one.after}" for one in checked.differences[:SHOWN_CHANGES]]
        facts = {"number": before.number, "record": before.key, "reason": why, "changed": changed}
        self.desk.audit.note(actor, "job.edit", f"job/{job_id}", facts)
        self.desk.bell()
        return self.desk.job(job_id)

    def dry_run(self, job_id: int, *, actor: str) -> Plan:
        """What would be written now, with nothing written; the target is asked as ever. Raises Unknown, Refused, and what the
        connection raises.
        """
        return self._planned(job_id, actor)[1]

    def look(self, job_id: int, *, actor: str) -> Look:
        """The same, field by field beside what stands there now."""
        job, plan, rehearsal = self._planned(job_id, actor)
        crm = self.context.crms.get(job.target)
        key = Key.parse(job.key)
        return Look(
            plan=plan,
            targets=changes.targets(crm, plan.writes, rehearsal) if rehearsal is not None else (),
            cents=explaining.amounts(self.context, key, self._record(key).raw),
        )

    def _planned(self, job_id: int, actor: str) -> tuple[JobView, Plan, Rehearsal | None]:
        job = self.desk.allowed(job_id, Action.DRY_RUN)
        key = Key.parse(job.key)
        record, rehearsal = self._record(key), None
        try:
            order = self.context.store(key.connection).order(key, record.raw or b"")
            rehearsal = Rehearsal(self.context, nobodys_claim(job))
            plan = rehearsal.plan(order)
        except Held as error:
            plan = Plan(job.key, "hold", job.number, reason=error.message, error_class=error.error_class)
        except RetryLater as error:
            raise Refused(f"{error.message.partition(' What to do:')[0]} What to do: try again in a while.") from error
        self.desk.audit.note(actor, "job.dry-run", f"job/{job_id}", {"number": job.number, "verdict": plan.verdict})
        return job, plan, rehearsal

    def _record(self, key: Key) -> Record:
        record = self.context.ledger.inbox.record(key)
        if record is None or record.raw is None or record.deleted:
            raise Refused(
                "There is no state of this order to look into: only a hint of it is known, or it was deleted. "
                "What to do: retry; the store is asked then."
            )
        return record

    def _read(self, key: Key, raw: bytes, value: Any) -> SalesOrder:
        store = self.context.store(key.connection)
        schema = store.schema()
        if schema is not None:
            for error in Draft202012Validator(schema).iter_errors(value):
                place = error.json_path.removeprefix("$").lstrip(".")
                raise Mistake(f"It does not have the agreed form: {_short(error.message)}", field=place)
        try:
            return store.order(key, raw)
        except Held as error:
            raise Mistake(error.message, field=error.field) from error


def _overtaken() -> Refused:
    return Refused(
        "The store has changed this order meanwhile. What to do: open the editor again, the new state may be right."
    )


# -- JSON as people edit it (pure) -------------------------------------------------------------------------------------


def pretty(value: object, indent: int = 0) -> str:
    """JSON on many lines, the keys in their order, every digit of a number kept."""
    pad, inner = "  " * indent, "  " * (indent + 1)
    if isinstance(value, dict) and value:
        rows = [f"{inner}{_safe(str(k))}: {pretty(v, indent + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{pad}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(inner + pretty(item, indent + 1) for item in value) + f"\n{pad}]"
    if isinstance(value, Decimal):
        return str(value)
    return _safe(value)


def _safe(value: object) -> str:
    """Written so that what turns the writing around, and halves of characters, are seen; it means the same."""
    return visible_json(json.dumps(value, ensure_ascii=False))


def unhidden(known: Any, shown: Any, edited: Any) -> Any:
    """The edited value with everything that was shown hidden, and left as it was, as it really is. Raises Mistake for a hidden
    value in a new place.
    """
    if _same(edited, shown):
        return known
    if isinstance(edited, dict):
        old, seen = (known, shown) if isinstance(known, dict) and isinstance(shown, dict) else ({}, {})
        return {name: unhidden(old.get(name), seen.get(name, _NOTHING), value) for name, value in edited.items()}
    if isinstance(edited, list):
        return _unhidden_list(known, shown, edited)
    if isinstance(edited, str) and any(mark in edited for mark in _MARKS):
        raise Mistake(
            f"A hidden value ({edited[:40]}) stands in another place than before. What to do: put it back as it was, "
            "or type the whole value.",
        )
    return edited


def _unhidden_list(known: Any, shown: Any, edited: list[Any]) -> list[Any]:
    old, seen = (known, shown) if isinstance(known, list) and isinstance(shown, list) else ([], [])
    if len(old) == len(edited):
        return [unhidden(*three) for three in zip(old, seen, edited, strict=True)]
    free, found = list(range(len(old))), []
    for item in edited:  # some were added or taken out: those left alone are known again by how they look
        place = next((n for n in free if _same(seen[n], item)), None)
        if place is None:
            found.append(unhidden(None, _NOTHING, item))
        else:
            free.remove(place)
            found.append(old[place])
    return found


_NOTHING: Final = object()
_MARKS: Final = ("[redacted]", "[e-mail]", "[phone]", "[card]")


def _same(one: object, other: object) -> bool:
    """Equal, and of one type: 1, true and 1.0 are three things on the wire."""
    return type(one) is type(other) and _text(one) == _text(other)


def _text(value: object) -> str:
    return pretty(value) if value is None or isinstance(value, str | int | Decimal | dict | list) else repr(value)


def differences(before: Any, after: Any, path: str = "") -> list[Difference]:
    """Every place that differs, personal data hidden."""
    return [
        Difference(place or "(all)", _hidden(one, place), _hidden(other, place))
        for place, one, other in _differing(before, after, path)
    ]


def _differing(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if _same(before, after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            place = f"{path}.{name}" if path else str(name)
            yield from _differing(before.get(name, _NOTHING), after.get(name, _NOTHING), place)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _differing(one, other, f"{path}[{number}]")
    else:
        yield path, before, after


def _hidden(value: Any, path: str) -> str:
    if value is _NOTHING:
        return ""
    shown = redact_all({path.rpartition(".")[2]: value})
    return _short(pretty(next(iter(shown.values())))) if isinstance(shown, dict) else ""


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


def _typed(text: str) -> Any:
    if len(text) > LONGEST:
        raise Mistake("The text is too long. What to do: see whether something was pasted twice.")
    try:
        return loads(text)
    except json.JSONDecodeError as error:
        raise Mistake(
            f"This is not JSON: {error.msg} in line {error.lineno}, column {error.colno}. What to do: mend that place."
        ) from error
    except ValueError as error:
        raise Mistake(f"This is not JSON: {error}. What to do: mend it.") from error


def _parsed(record: Record) -> Any:
    try:
        return loads((record.raw or b"").removeprefix(b"\xef\xbb\xbf"))
    except ValueError as error:
        raise Refused("This state is no JSON and cannot be edited here. What to do: mend it in the store.") from error


def nobodys_claim(job: JobView) -> Claim:
    """Nobody's job: a look has no lease to lose, and nothing it does must be fenced."""
    key = Key.parse(job.key)
    return Claim(
        id=0, flow=job.flow, key=key, target=job.target, queue="live", generation=job.wanted, token=0, failures=0,
        crashes=0, alone=False, worker="dry-run", correlation=f"dry-run:{job.id}", started_at=0, lease=60.0,
        asked_at=time.monotonic(),
    )  # fmt: skip
