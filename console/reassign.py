"""`reps reassign` and `reps preview`: what one rep has is given to another, and the card as a customer sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from console.flows import confirm
from console.noting import actor, note, who
from console.opening import DEFAULT, PROBLEM, AsJson, File, load, open_context
from console.output import print_json, print_table, say
from console.reps import Customer, Day, Source, day_of
from console.runs import bar
from core.errors import ConfigurationProblem

if TYPE_CHECKING:
    from core.settings import RepFlowSettings
    from ledger.runs import Item, RunKind, RunView
    from pipelines.context import Context
    from pipelines.repview import Preview

SHOWN: Final = 20


def reassign(  # noqa: PLR0913 - as many as people may say
    old: Annotated[
        str,
        typer.Option("--from", help="Code of the rep who gives away; agency/CODE of an outside one.", metavar="CODE"),
    ] = "",
    new: Annotated[
        str, typer.Option("--to", help="Code of the rep who takes over; agency/CODE of an outside one.")
    ] = "",
    region: Annotated[str, typer.Option(help="Only this region, with all below it.")] = "",
    on: Day = "",
    *,
    undo: Annotated[int, typer.Option("--undo", help="Take this run back instead.", metavar="RUN")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    source: Source = "",
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Give what one rep has to another, at once or from a day on. The ERP is not written; `--undo RUN` takes it back."""
    from pipelines import reassign as work
    from pipelines.repdesk import RepDesk

    if bool(undo) == bool(old or new):
        raise ConfigurationProblem(
            "What is to be done is not clear. What to do: give --from and --to, or --undo with the number of a run."
        )
    run: RunView | None
    items: Sequence[Item]
    with open_context(load(file)) as context:
        if undo:
            run, items = _take_back(context, undo, yes=yes)
        else:
            flow = RepDesk.of(context).flow(source)
            agency, _slash, code = new.rpartition("/")
            old_agency, _slash, old_code = old.rpartition("/")
            asked = work.Wanted(old_code, code, region, day_of(on), agency, old_agency)
            wanted = work.fixed(context, flow, asked)
            run, items = _give(context, flow, wanted, dry_run=dry_run, yes=yes)
    if as_json:
        print_json(
            {
                "dry_run": run is None,
                "run": run.id if run is not None else None,
                "records": [asdict(one) for one in items],
            }
        )
        return
    _tell(items)
    if run is not None:
        say(f"Run {run.id}: {run.summary}")
        if run.kind == "reassign":
            say(f"`orderwire reps reassign --undo {run.id}` takes it back. Cards and owners follow by themselves.")


def _give(
    context: Context, flow: RepFlowSettings, wanted: Any, *, dry_run: bool, yes: bool
) -> tuple[RunView | None, Sequence[Item]]:
    from pipelines import reassign as work

    with bar("look") as move:
        items = work.look(context, flow, wanted, progress=move)
    if dry_run:
        say(work.summary(items, wanted))
        return None, items
    if not items:
        raise ConfigurationProblem(f"{wanted.old} has nothing there on {wanted.day}. What to do: nothing.")
    confirm(work.summary(items, wanted), yes=yes)

    def do(run: RunView, progress: Callable[[int, int | None], None]) -> tuple[list[Item], str]:
        done = work.reassign(context, flow, wanted, run, by=actor(), progress=progress)
        return done, work.summary(done, wanted)

    return _carried(context, "reassign", flow.name, wanted.options(), do)


def _take_back(context: Context, run_id: int, *, yes: bool) -> tuple[RunView, Sequence[Item]]:
    from pipelines import reassign as work

    given, flow = work.of_run(context, run_id)
    count = len(context.ledger.reps.assignments(flow.source, origin=work.origin(run_id)))
    confirm(f"{count} entries of run {run_id} are removed: whoever served before serves again.", yes=yes)

    def do(run: RunView, progress: Callable[[int, int | None], None]) -> tuple[list[Item], str]:
        return work.take_back_run(context, flow, given, run, progress=progress), f"Run {run_id} is taken back."

    return _carried(context, "restore", flow.name, {"run": run_id}, do)


Work = Any
"""The run and whom to tell of progress -> what became of each, and a sentence."""


def _carried(
    context: Context, kind: RunKind, flow: str, options: dict[str, Any], do: Work
) -> tuple[RunView, list[Item]]:
    """Do it as a run of this command: the interrupted one that was asked for the same, else a new one."""
    runs = context.ledger.runs
    run = runs.command(kind, flow, options, by=who())

    def watch(done: int, total: int | None) -> None:
        runs.require_ours(run)
        runs.progress(run.id, counts={"orders": done, "total": total})
        move(done, total)

    with bar(kind) as move:
        items, summary = do(run, watch)
    runs.put(run.id, items)
    runs.progress(run.id, counts={"orders": len(items), "total": len(items)})
    runs.end(run.id, "done", summary)
    note(context.ledger, f"run.{kind}", f"run/{run.id}", flow=flow, **options)
    return runs.get(run.id) or run, items


def _tell(items: Sequence[Item]) -> None:
    rows = [(one.key.partition("/")[0], one.number, one.verdict, one.reason) for one in items[:SHOWN]]
    print_table(("what", "which", "", ""), rows)
    if len(items) > SHOWN:
        say(f"and {len(items) - SHOWN} more.")


# -- as a customer -----------------------------------------------------------------------------------------------------


def preview(
    customer: Customer,
    on: Day = "",
    portal: Annotated[str, typer.Option(help="The shop, where there are several.")] = "",
    source: Source = "",
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Exactly what a customer sees, and what is missing. Exit code 1 where something grave is missing."""
    from pipelines.repdesk import RepDesk
    from pipelines.repview import preview as look

    with open_context(load(file)) as context:
        found = look(context, RepDesk.of(context).flow(source), customer, portal=portal, on=day_of(on))
    if as_json:
        print_json(_json(found))
    else:
        _show(found)
    if any(lack.grave for lack in found.lacks):
        raise typer.Exit(PROBLEM)


def _json(found: Preview) -> dict[str, Any]:
    from mapping.cards import shown

    return {
        "source": found.source,
        "customer": found.customer,
        "name": found.name,
        "day": found.day.isoformat(),
        "portal": found.portal.name if found.portal else None,
        "card": shown(found.card),
        "missing": [asdict(lack) for lack in found.lacks],
    }


def _show(found: Preview) -> None:
    from mapping.cards import role_words

    say(f"{found.customer} {found.name} sees, on {found.day}:")
    rows = [
        (one.name, role_words(one), one.phone, one.mobile, one.email, one.firm if one.partner else "")
        for one in found.card.reps
    ]
    print_table(("name", "what", "phone", "mobile", "e-mail", "firm"), rows)
    if not found.lacks:
        say("Nothing is missing.")
    for lack in found.lacks:
        say(f"{'PROBLEM' if lack.grave else 'WARNING'}: {lack.what} What to do: {lack.advice}.")
