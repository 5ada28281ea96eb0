"""`fetch`, `backfill` and `db upgrade`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from console.opening import DEFAULT, AsJson, File, load, open_context
from console.output import console, print_json
from core.clock import parse_utc
from core.errors import ConfigurationProblem, OrderwireError

if TYPE_CHECKING:
    from core.settings import FlowSettings
    from pipelines.context import Context


def fetch(
    connection: Annotated[str, typer.Argument(help="Name of the store's connection.")],
    number: Annotated[str, typer.Argument(help="The order's number as people say it.")],
    file: File = DEFAULT,
) -> None:
    """Ask a store for one order by its number, and send it on."""
    from pipelines import polling

    settings = load(file)
    settings.connection(connection)
    with open_context(settings) as context:
        _must_be_store(context, [connection])
        jobs = polling.fetch_order(context, connection, number)
    if not jobs:
        message = f"{connection} has no order {number}, or no flow wants it."
        raise OrderwireError(f"{message} What to do: look at the number there, and at the flows.")
    typer.echo(f"Order {number} was fetched. What to do next: `orderwire jobs show {jobs[0]}`.")


def _must_be_store(context: Context, names: Sequence[str]) -> None:
    for name in names:
        if name not in context.stores or not context.stores[name].pollable:
            can = ", ".join(store.name for store in context.stores.values() if store.pollable) or "none configured"
            raise ConfigurationProblem(f"{name} cannot be asked for orders. What to do: use a store that can: {can}.")


def _moment(text: str) -> datetime:

    try:
        return parse_utc(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day or time like 2026-03-01 or 2026-03-01T08:00+01:00") from None


def backfill(
    since: Annotated[str, typer.Option(help="Orders placed from this day or time on, as 2026-03-01 (UTC).")],
    until: Annotated[str, typer.Option(help="Orders placed before this day or time; now, where it is not given.")] = "",
    flow: Annotated[
        str, typer.Option(help="Only this flow; every flow from a store that can be asked, otherwise.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; store nothing, send nothing.")] = False,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Take in old orders, behind everything that is live. Safe to repeat: what is there already stays as it is."""
    settings = load(file)
    with open_context(settings) as context:
        if flow and flow not in context.flows:
            raise ConfigurationProblem(f"There is no flow {flow!r}. What to do: use one of {', '.join(context.flows)}.")
        wanted = (
            [context.flows[flow]] if flow else [f for f in context.flows.values() if context.stores[f.source].pollable]
        )
        _must_be_store(context, [one.source for one in wanted])
        span = (_moment(since), _moment(until) if until else context.clock.now())
        counts = {one.name: _backfill_one(context, one, span, dry_run=dry_run) for one in wanted}
    if as_json:
        print_json({name: {"seen": seen, "new": new, "dry_run": dry_run} for name, (seen, new) in counts.items()})
        return
    for name, (seen, new) in counts.items():
        typer.echo(f"{name}: {seen} orders seen, {new} {'would be taken in' if dry_run else 'taken in'}.")


def _backfill_one(
    context: Context, flow: FlowSettings, span: tuple[datetime, datetime], *, dry_run: bool
) -> tuple[int, int]:

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from pipelines import polling

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(errors=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(flow.name, total=None)
        return polling.backfill(
            context,
            flow,
            *span,
            dry_run=dry_run,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def db_upgrade(file: File = DEFAULT) -> None:
    """Bring the database to the schema that this program needs. Safe to repeat."""
    from ledger import Ledger, migrate
    from pipelines import wiring

    ledger = Ledger.open(wiring.ledger_url(load(file, with_secrets=False).ledger))
    try:
        before = migrate.current(ledger.db)
        migrate.upgrade(ledger.db)
        typer.echo(f"The database's schema is {migrate.current(ledger.db)} (it was {before or 'empty'}).")
    finally:
        ledger.close()
