"""`runs list`, `runs show` and `undo`: the big pieces of work that somebody asked for, and how to take one back."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from console.flows import confirm
from console.noting import note, who
from console.opening import DEFAULT, PROBLEM, AsJson, File, load, open_context, open_ledger
from console.output import console, print_json, print_table, say, when
from core.errors import ConfigurationProblem
from core.money import show as money

if TYPE_CHECKING:
    from core.settings import FlowSettings
    from ledger import Ledger
    from ledger.runjobs import Ended
    from ledger.runs import Item, RunView
    from pipelines.context import Context

runs_app = typer.Typer(
    help="See every rehearsal, adoption, linking, backfill and undoing.", no_args_is_help=True, rich_markup_mode=None
)
Number = Annotated[int, typer.Argument(help="The run's number, as `runs list` shows it.", metavar="RUN")]
SHOWN: Final = 20


@runs_app.command("list")
def list_runs(
    kind: Annotated[str, typer.Option(help="Only these: rehearse, adopt, link, backfill or undo.")] = "",
    flow: Annotated[str, typer.Option(help="Only runs of this flow.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")] = 50,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first: what was asked for, when, and how far it is."""
    from pipelines.reports import run_facts

    with open_ledger(load(file, with_secrets=False)) as ledger:
        found = ledger.runs.list(kind=kind, flow=flow, limit=limit)
    if as_json:
        print_json([run_facts(run) for run in found])
        return
    rows = [
        (str(run.id), run.kind, run.flow, run.state, when(run.started_at), run.by, _asked(run), run.summary)
        for run in found
    ]
    print_table(("run", "kind", "flow", "state", "began (UTC)", "by", "asked for", ""), rows)


@runs_app.command()
def show(
    run: Number,
    csv: Annotated[
        str, typer.Option("--csv", help="Write a table, one line a record; - is standard output.", metavar="FILE")
    ] = "",
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show one run: number and money by what became of its records, and why some are held."""
    from pipelines import reports

    with open_ledger(load(file, with_secrets=False)) as ledger:
        view = ledger.runs.get(run)
        if view is None:
            raise ConfigurationProblem(f"There is no run {run}. What to do: see `orderwire runs list`.")
        if csv:
            _write(csv, reports.records_csv(reports.pairs(ledger, view)))
        if as_json:
            print_json(as_dict(ledger, view))
        elif csv != "-":
            tell(ledger, view)


def as_dict(ledger: Ledger, run: RunView) -> dict[str, Any]:
    """For programs."""
    from dataclasses import asdict

    from pipelines import reports

    return {**reports.run_facts(run), "sums": [asdict(one) for one in reports.sums(ledger, run)]}


def _asked(run: RunView) -> str:
    return ", ".join(f"{name} {value}" for name, value in run.options.items() if value not in {"", False, None})


def tell(ledger: Ledger, run: RunView) -> None:
    """For people."""
    from pipelines import reports

    ours = run.kind in reports.OURS
    say(f"Run {run.id}: {run.kind} of {run.flow}, {run.state}, begun {when(run.started_at)} UTC. {run.summary}")
    found = reports.sums(ledger, run)
    rows = [(one.verdict, *(_job(one) if ours else ()), str(one.count), _money([one])) for one in found]
    print_table(("verdict", *(("job", "class") if ours else ()), "number", "money"), rows)
    held = [one for one in found if one.state == "held"]
    if held:
        say("\nHeld:")
        print_table(
            ("class", "number", "money", "for example", "why"),
            [(one.error_class, str(one.count), _money([one]), one.number, one.reason) for one in held],
        )
    kept = [item for item, _ in reports.pairs(ledger, run) if item.verdict == "kept"]
    if kept:
        say("\nKept:")
        tell_kept(kept)


def _job(one: Ended) -> tuple[str, str]:
    return one.state or "none yet", one.error_class


def _money(found: Iterable[Ended]) -> str:
    totals: dict[str, Decimal] = {}
    for one in found:
        if one.currency:
            totals[one.currency] = totals.get(one.currency, Decimal(0)) + one.amount
    return ", ".join(money(amount, currency) for currency, amount in sorted(totals.items()))


def words(found: Sequence[Ended]) -> str:
    """`3 create (108.54 EUR), 2 new (72.36 EUR)`."""
    kinds = Counter[str]()
    for one in found:
        kinds[one.verdict] += one.count
    return ", ".join(
        f"{count} {verdict} ({_money(one for one in found if one.verdict == verdict) or 'no money'})"
        for verdict, count in sorted(kinds.items())
    )


def _write(name: str, text: str) -> None:
    if name == "-":
        sys.stdout.write(text)
        return
    Path(name).write_text(text, encoding="utf-8", newline="")


# -- undo --------------------------------------------------------------------------------------------------------------


def undo(
    run: Number,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be taken back, and what not.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Take back what a backfill created and nobody has touched since; list the rest. Safe to repeat after an interruption."""
    from dataclasses import asdict

    from pipelines import undo as work

    with open_context(load(file)) as context:
        view, flow = work.of_run(context, run)
        if not dry_run:
            confirm(_question(context, view, flow), yes=yes)
        with bar(f"undo {run}") as move:
            own, items = work.undo(context, view, flow, dry_run=dry_run, by=who(), progress=move)
        if own is not None:
            note(context.ledger, "run.undo", f"run/{run}", undoing=own.id, flow=flow.name)
    if as_json:
        print_json({"dry_run": dry_run, "run": own.id if own else None, "records": [asdict(item) for item in items]})
    else:
        _tell_undone(items, dry_run=dry_run)
    if any(item.verdict == "kept" for item in items):
        raise typer.Exit(PROBLEM)


def _question(context: Context, run: RunView, flow: FlowSettings) -> str:
    from pipelines import undo as work

    found = work.created(context, run)
    keys = [unit.key for unit in found.orders]
    totals: dict[str, Decimal] = {}
    for item in context.ledger.runs.some(run.id, keys).values():
        if item.currency:
            totals[item.currency] = totals.get(item.currency, Decimal(0)) + Decimal(item.amount or 0)
    worth = ", ".join(money(amount, currency) for currency, amount in sorted(totals.items())) or "no money"
    return (
        f"Run {run.id} created {len(keys)} orders ({worth}), {found.invoices} invoices and {len(found.customers)} customers in "
        f"{flow.target}. Those that nobody has touched since are deleted there, and its orders that were not carried yet are "
        "skipped."
    )


def _tell_undone(items: Sequence[Item], *, dry_run: bool) -> None:
    counts = Counter((item.key.split("/")[1], item.verdict) for item in items)
    rows = [
        (kind, "would be taken back" if dry_run and v == "taken back" else v, str(n)) for (kind, v), n in counts.items()
    ]
    print_table(("record", "", "number"), sorted(rows))
    kept = [item for item in items if item.verdict == "kept"]
    if kept:
        say("\nKept. What to do: see each of them over there; delete it by hand if it is to go.")
        tell_kept(kept[:SHOWN])
        if len(kept) > SHOWN:
            say(f"and {len(kept) - SHOWN} more; `orderwire runs show` lists all with --csv.")


def tell_kept(kept: Sequence[Item]) -> None:
    """Who and when."""
    rows = [
        (item.key, item.number, item.reason, str(item.facts.get("by", "")), str(item.facts.get("modified", "")))
        for item in kept
    ]
    print_table(("record", "number", "why", "by", "when"), rows)


@contextmanager
def bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """How far it is, where somebody looks at it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(errors=True), disable=not sys.stderr.isatty()) as shown:
        task = shown.add_task(name, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def facts_of(found: Sequence[Ended]) -> list[Mapping[str, Any]]:
    """A survey for programs."""
    return [
        {"verdict": one.verdict, "count": one.count, "amount": str(one.amount), "currency": one.currency}
        for one in found
    ]
