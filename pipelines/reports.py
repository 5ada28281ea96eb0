"""What runs have to tell: a rehearsal added up, and the records of any run; as JSON and CSV for programs and spreadsheets.

A run may have more records than memory should hold: what yields text reads them a page at a time, and yields a piece at a time.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from core.cells import harmless
from core.clock import parse_utc
from core.settings import ConnectionSettings, FlowSettings
from ledger import Ledger
from ledger.runjobs import Ended, JobEnd, RunJobs, ends
from ledger.runs import Item, RunView
from pipelines.forecast import Forecast, forecast

REHEARSED: Final = (
    "key", "order", "placed", "verdict", "amount", "currency", "class", "reason", "customer", "writes", "unknown_skus",
    "untaxed", "unmapped",
)  # fmt: skip
"""Columns of a rehearsal's table."""
RECORDS: Final = ("key", "number", "verdict", "amount", "currency", "job", "reason", "class", "facts")
"""Columns of any run's table."""
OURS: Final = ("backfill",)
"""Kinds whose records have jobs that tell what became of them."""
PIECE: Final = 64 * 1024
"""Characters that are yielded at once, and the record that passes this."""


# -- a rehearsal -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Report:
    """One rehearsal of one flow."""

    flow: str
    source: str
    target: str
    run: RunView
    forecast: Forecast
    items: Sequence[Item]

    @property
    def standing(self) -> bool:
        """Of what came in by itself, not of a span that somebody named."""
        return bool(self.run.options.get("standing"))

    @property
    def subject(self) -> str:
        """Which orders it is about."""
        if self.standing:
            return f"what came in from {self.source} since {_when(self.run.started_at)} UTC"
        since, until = (parse_utc(str(self.run.options[name])) for name in ("since", "until"))
        return f"orders of {self.source} placed from {_when(since)} to {_when(until)} UTC"

    @property
    def unfinished(self) -> str:
        """Why it is not the whole truth; "" if it is."""
        if self.run.state == "stopped":
            return f"It was stopped before its end: {self.run.summary.partition(' What to do:')[0]}"
        return "" if self.standing or self.run.state == "done" else "It has not come to its end."

    @property
    def made_at(self) -> datetime:
        """When it came to its end, or last noted something."""
        return self.run.ended_at or self.run.updated_at


def _when(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def report(
    ledger: Ledger, flow: FlowSettings, target: ConnectionSettings, run: RunView, start: datetime | None = None
) -> Report:
    """Everything about one rehearsal. `start`: what is older would not be created."""
    found = list(ledger.runs.all_items(run.id))
    sums = forecast(found, rate=target.rate, burst=target.at_once, start=start)
    return Report(flow.name, flow.source, flow.target, run, sums, found)


def rehearsed_json(ledger: Ledger, flow: FlowSettings, target: ConnectionSettings, run: RunView) -> Iterator[str]:
    """`as_json`, piece by piece. The records are read twice: they are added up before they are listed."""
    sums = forecast(ledger.runs.all_items(run.id), rate=target.rate, burst=target.at_once)
    report = Report(flow.name, flow.source, flow.target, run, sums, ())
    yield from _listing(_rehearsed(report), "orders", map(_facts, ledger.runs.all_items(run.id)))


def as_json(report: Report) -> str:
    """Everything, amounts as exact text, times as ISO 8601 UTC."""
    return "".join(_listing(_rehearsed(report), "orders", map(_facts, report.items)))


def _rehearsed(report: Report) -> dict[str, Any]:
    run = report.run
    return {
        "flow": report.flow,
        "source": report.source,
        "target": report.target,
        "run": {"id": run.id, "state": run.state, "options": run.options, "started_at": run.started_at.isoformat()},
        "forecast": report.forecast.as_json(),
    }


def _facts(item: Item) -> dict[str, Any]:
    named = ("key", "number", "verdict", "amount", "currency", "error_class", "reason")
    return {name: getattr(item, name) for name in named} | dict(item.facts)


def as_csv(report: Report) -> str:
    """One line an order, safe to open in a spreadsheet: no cell of somebody's text begins a formula."""
    return "".join(rehearsed_csv(report.items))


def rehearsed_csv(items: Iterable[Item]) -> Iterator[str]:
    """`as_csv`, piece by piece."""
    return _table(REHEARSED, (map(harmless, _row(item)) for item in items))


def _row(item: Item) -> list[str]:
    facts = item.facts
    lists = ("writes", "unknown_skus", "untaxed", "unmapped")
    first = [item.key, item.number, str(facts.get("placed", "")), item.verdict, item.amount, item.currency]
    then = [item.error_class, item.reason, str(facts.get("customer", ""))]
    return [*first, *then, *("; ".join(map(str, facts.get(name, ()))) for name in lists)]


# -- any run -----------------------------------------------------------------------------------------------------------


def with_jobs(ledger: Ledger, run: RunView, items: Sequence[Item]) -> list[tuple[Item, JobEnd | None]]:
    """These records of a run, each with the job that carries it as it stands now."""
    jobs = RunJobs(ledger.db).of_keys(run.flow, [item.key for item in items]) if run.kind in OURS else {}
    return [(item, jobs.get(item.key)) for item in items]


def pairs(ledger: Ledger, run: RunView) -> Iterator[tuple[Item, JobEnd | None]]:
    """All of a run's records with their jobs, read a page at a time."""
    after = ""
    while page := ledger.runs.items(run.id, after=after):
        yield from with_jobs(ledger, run, page)
        after = page[-1].key


def sums(ledger: Ledger, run: RunView) -> Sequence[Ended]:
    """Number and money by verdict, and by how the jobs stand."""
    return ends(pairs(ledger, run))


def records_csv(found: Iterable[tuple[Item, JobEnd | None]]) -> str:
    """A table that no spreadsheet takes for formulas."""
    return "".join(all_csv(found))


def all_csv(found: Iterable[tuple[Item, JobEnd | None]]) -> Iterator[str]:
    """`records_csv`, piece by piece."""
    return _table(RECORDS, (_record(item, job) for item, job in found))


def _record(item: Item, job: JobEnd | None) -> list[str]:
    facts = "; ".join(f"{name}={value}" for name, value in item.facts.items())
    reason = job.reason if job is not None and job.reason else item.reason
    state, kind = (job.state, job.error_class) if job is not None else ("", item.error_class)
    first = map(harmless, (item.key, item.number, item.verdict))
    return [*first, item.amount, *map(harmless, (item.currency, state, reason, kind, facts))]


def run_facts(run: RunView) -> dict[str, Any]:
    """A run for programs."""
    names = (
        "id", "kind", "flow", "state", "options", "counts", "summary", "by", "started_at", "updated_at", "ended_at",
    )  # fmt: skip
    return {name: getattr(run, name) for name in names}


def all_json(ledger: Ledger, run: RunView) -> Iterator[str]:
    """Everything about any run, piece by piece; amounts as exact text."""
    rows = (
        _facts(item) | ({"job": job.state, "job_reason": job.reason} if job is not None else {})
        for item, job in pairs(ledger, run)
    )
    return _listing(run_facts(run), "records", rows)


# -- piece by piece ----------------------------------------------------------------------------------------------------


def _table(header: Sequence[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """CSV."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    for row in rows:
        writer.writerow(row)
        if out.tell() >= PIECE:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()


def _listing(facts: Mapping[str, Any], name: str, rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """`facts` and, as its last entry, the list of all rows: JSON, as `json.dumps` with an indent of 2 has it."""
    before, after = _dumped({**facts, name: []}).removesuffix("[]\n}"), "\n}\n"
    parts, size, between = [before, "["], len(before), "\n    "
    for row in rows:
        parts += [between, _dumped(row).replace("\n", "\n    ")]  # a line end within a text is no line end in JSON
        size, between = size + len(parts[-1]), ",\n    "
        if size >= PIECE:
            yield "".join(parts)
            parts, size = [], 0
    empty = not between.startswith(",")
    yield "".join([*parts, "]" if empty else "\n  ]", after])


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)
