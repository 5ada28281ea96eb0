"""`fetch`, `backfill` and `db upgrade`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from console import runs
from console.flows import confirm, moment
from console.noting import note, who
from console.opening import DEFAULT, PROBLEM, AsJson, File, load, open_context
from console.output import print_json, say
from core.errors import ConfigurationProblem, OrderwireError

if TYPE_CHECKING:
    from core.settings import FlowSettings
    from ledger.runjobs import Ended
    from ledger.runs import RunView
    from pipelines.backfill import Wanted
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
    say(f"Order {number} was fetched. What to do next: `orderwire jobs show {jobs[0]}`.")


def _must_be_store(context: Context, names: Sequence[str]) -> None:
    for name in names:
        if name not in context.stores or not context.stores[name].pollable:
            can = ", ".join(store.name for store in context.stores.values() if store.pollable) or "none configured"
            raise ConfigurationProblem(f"{name} cannot be asked for orders. What to do: use a store that can: {can}.")


def backfill(  # noqa: PLR0913, PLR0917 - a command has as many options as people need
    since: Annotated[str, typer.Option(help="Orders placed from this day or time on, as 2026-03-01 (UTC).")],
    until: Annotated[str, typer.Option(help="Orders placed before this day or time; now, where it is not given.")] = "",
    flow: Annotated[
        str, typer.Option(help="Only this flow; every flow from a store that can be asked, otherwise.")
    ] = "",
    create: Annotated[
        bool, typer.Option("--create", help="Also create orders from before the flow's start that are not linked.")
    ] = False,
    without_adopt: Annotated[
        bool, typer.Option("--without-adopt", help="Create them though no adopt run has looked for typed ones.")
    ] = False,
    invoices: Annotated[bool, typer.Option("--invoices", help="Make invoices, as the flow's policy says.")] = False,
    rate: Annotated[float, typer.Option(min=0, help="At most so many orders a minute; 0: as quick as they go.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; store nothing, send nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until every order is settled, and say how.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before orders are created.")] = False,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Take in old orders, oldest first, behind everything that is live. The same command goes on with what was interrupted.

    Silent: no invoices (unless --invoices), no messages, no stock. Orders from before the flow's start are linked or listed,
    and created only with --create.
    """
    from pipelines.backfill import Wanted

    begin, end = moment(since), moment(until) if until else None
    if end is not None and end <= begin:
        raise ConfigurationProblem("--until is not after --since. What to do: look at the two days.")
    wanted = Wanted(begin, end, create=create, invoices=invoices, rate=rate)
    with open_context(load(file)) as context:
        flows = _asked(context, flow)
        _ready(context, flows, wanted, without_adopt=without_adopt)
        if create or dry_run:
            found = {one.name: _survey(context, one, wanted) for one in flows}
            if dry_run:
                _tell_survey(found, as_json=as_json)
                return
            _confirm_creation(context, found, yes=yes)
        done = [_backfill_one(context, one, wanted, wait=wait) for one in flows]
        held = _tell_runs(context, done, as_json=as_json, wait=wait)
    if held:
        raise typer.Exit(PROBLEM)


def _asked(context: Context, flow: str) -> list[FlowSettings]:
    if flow and flow not in context.flows:
        raise ConfigurationProblem(f"There is no flow {flow!r}. What to do: use one of {', '.join(context.flows)}.")
    able = [one for one in context.flows.values() if context.stores[one.source].pollable]
    flows = [context.flows[flow]] if flow else able
    _must_be_store(context, [one.source for one in flows])
    return flows


def _ready(context: Context, flows: Sequence[FlowSettings], wanted: Wanted, *, without_adopt: bool) -> None:
    from pipelines import backfill as work

    for one in flows:
        work.require_ready(context, one, wanted, without_adopt=without_adopt)
        if not context.ledger.flows.get(one.name).live:
            say(f"{one.name} is not live: its orders are only rehearsed, nothing is written.", err=True)


def _survey(context: Context, flow: FlowSettings, wanted: Wanted) -> tuple[Ended, ...]:
    from pipelines import backfill as work

    with runs.bar(f"{flow.name}: looking") as move:
        return work.survey(context, flow, wanted, progress=move)


def _tell_survey(found: Mapping[str, tuple[Ended, ...]], *, as_json: bool) -> None:
    if as_json:
        print_json({name: {"dry_run": True, "found": runs.facts_of(sums)} for name, sums in found.items()})
        return
    for name, sums in found.items():
        say(f"{name}: {runs.words(sums) or 'no orders were placed then'}. Nothing was stored.")


def _confirm_creation(context: Context, found: Mapping[str, tuple[Ended, ...]], *, yes: bool) -> None:
    """Name what is to be created, then ask."""
    for name, sums in found.items():
        new = [one for one in sums if one.verdict in {"create", "new"}]
        confirm(f"{name} will create in {context.flows[name].target}: {runs.words(new) or 'nothing'}.", yes=yes)


def _backfill_one(context: Context, flow: FlowSettings, wanted: Wanted, *, wait: bool) -> RunView:
    from pipelines import backfill as work

    with runs.bar(flow.name) as move:
        done = work.backfill(context, flow, wanted, by=who(), progress=move)
    note(context.ledger, "run.backfill", f"run/{done.id}", flow=flow.name)
    if wait:
        with runs.bar(f"{flow.name}: carrying") as move:
            work.wait(context, done, progress=move)
    return done


def _tell_runs(context: Context, done: Sequence[RunView], *, as_json: bool, wait: bool) -> bool:
    """Whether something was held, as far as it was waited for."""
    from pipelines import reports

    if as_json:
        print_json({run.flow: runs.as_dict(context.ledger, run) for run in done})
    for run in () if as_json else done:
        if wait:
            runs.tell(context.ledger, run)
        else:
            say(f"{run.flow}: {run.summary} What to do next: `orderwire runs show {run.id}`.")
    return wait and any(one.state == "held" for run in done for one in reports.sums(context.ledger, run))


def db_upgrade(file: File = DEFAULT) -> None:
    """Bring the database to the schema that this program needs. Safe to repeat."""
    from ledger import Ledger, migrate
    from pipelines import wiring

    ledger = Ledger.open(wiring.ledger_url(load(file, with_secrets=False).ledger))
    try:
        before = migrate.current(ledger.db)
        migrate.upgrade(ledger.db)
        say(f"The database's schema is {migrate.current(ledger.db)} (it was {before or 'empty'}).")
    finally:
        ledger.close()
