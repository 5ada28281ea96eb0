"""`reps resolve`, `check`, `import`, `export`, `compare`: who serves a customer and why, what is wrong, and tables."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from console.noting import actor
from console.opening import DEFAULT, PROBLEM, AsJson, File, load, open_context, open_ledger
from console.output import print_json, print_table, say
from core.errors import ConfigurationProblem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.settings import Settings
    from ledger import Ledger
    from pipelines.repcheck import Complaint
    from pipelines.repdesk import RepDesk, Resolved
    from pipelines.repsheets import Table

reps_app = typer.Typer(
    help="Sales reps: who serves a customer and why, and the directory behind it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Source = Annotated[str, typer.Option("--source", help="The ERP (or the flow of sales reps), where there are several.")]
Day = Annotated[str, typer.Option("--on", help="A day like 2026-12-01; left out: today.", metavar="DAY")]
Customer = Annotated[str, typer.Argument(help="The customer's number in the ERP.", metavar="CUSTOMER")]
Kind = Annotated[str, typer.Argument(help="reps, agencies, absences or assignments.", metavar="TABLE")]
STDIN: Final = Path("-")


def day_of(text: str) -> date | None:
    """A day as people type it; None for none."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day like 2026-12-01") from None


def desk_of(settings: Settings, ledger: Ledger) -> RepDesk:
    """The desk of a command that asks nobody."""
    from pipelines.repdesk import RepDesk

    flows = {flow.name: flow for flow in settings.reps}
    return RepDesk(ledger, flows, {one.name: one for one in settings.connections})


# -- who ---------------------------------------------------------------------------------------------------------------


@reps_app.command()
def resolve(
    customer: Customer,
    on: Day = "",
    ship_to: Annotated[str, typer.Option("--ship-to", help="One of the customer's ship-tos.")] = "",
    source: Source = "",
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Who serves a customer, and why: what was looked at, who is away, and until when it stays so."""
    from pipelines.repdesk import RepDesk

    with open_context(load(file)) as context:
        found = RepDesk.of(context).resolve(context, customer, source=source, day=day_of(on), ship_to=ship_to)
    if as_json:
        print_json(_json(found))
    else:
        _show(found)
    if not found.resolution.reps:
        raise typer.Exit(PROBLEM)


def _json(found: Resolved) -> dict[str, Any]:
    from mapping.cards import shown
    from pipelines.repbook import told

    kept = found.kept
    return {
        "source": found.source,
        "customer": found.customer.number,
        "name": found.customer.name,
        "day": found.day.isoformat(),
        **told(found.resolution),
        "card": shown(found.card),
        "kept": {"changed_at": kept.changed_at.isoformat(), "rep": kept.rep} if kept is not None else None,
    }


def _show(found: Resolved) -> None:
    resolution = found.resolution
    say(f"{found.customer.number} {found.customer.name}, on {found.day}:")
    rows = [
        (
            one.role,
            f"{one.rep.code} {one.rep.name}".strip(),
            one.rep.agency,
            "stands in" if one.stands_in else "",
            one.why,
        )
        for one in resolution.reps
    ]
    if rows:
        print_table(("role", "rep", "agency", "", "why"), rows)
    else:
        say("Nobody serves this customer. What to do: assign somebody in the ERP, or enter a team (docs/reps.md).")
    for sentence in resolution.passed:
        say(f"Passed over: {sentence}")
    if resolution.until is not None:
        say(f"This may be another answer from {resolution.until} on.")
    primary, kept = resolution.primary, found.kept
    if kept is None:
        say("No card is kept yet: the customer's job has not run.")
    elif kept.rep != (primary.rep.code if primary is not None else ""):
        say(f"The card kept so far names {kept.rep or 'nobody'}.")


# -- what is wrong -----------------------------------------------------------------------------------------------------


@reps_app.command()
def check(on: Day = "", source: Source = "", file: File = DEFAULT, as_json: AsJson = False) -> None:
    """Codes without a person, customers without a rep, departed reps still shown and more, each with what to do."""
    from pipelines.reprun import today_in

    settings = load(file, with_secrets=False)
    with open_ledger(settings) as ledger:
        desk = desk_of(settings, ledger)
        found = desk.check(day_of(on) or today_in(ledger.clock, desk.flow(source).zone), source=source)
    if as_json:
        print_json([{**asdict(one), "grave": one.grave} for one in found])
    else:
        _tell(found)
    if any(one.grave for one in found):
        raise typer.Exit(PROBLEM)


def _tell(found: Sequence[Complaint]) -> None:
    if not found:
        say("All is well: every code has a person, every customer somebody who serves it.")
        return
    rows = [
        (
            "PROBLEM" if one.grave else "WARNING",
            one.kind,
            one.subject,
            f"{one.message}\nWhat to do: {one.what_to_do}.",
            ", ".join(one.examples),
        )
        for one in found
    ]
    print_table(("", "what", "which", "finding", "customers"), rows)


# -- tables ------------------------------------------------------------------------------------------------------------


def _table(kind: str) -> Table:
    from pipelines.repsheets import TABLES

    for table in TABLES:
        if table == kind:
            return table
    raise ConfigurationProblem(f"There is no table {kind!r}. What to do: name one of {', '.join(TABLES)}.")


@reps_app.command("export")
def export_table(
    kind: Kind,
    out: Annotated[Path, typer.Option("--out", "-o", help="Into this file; left out: to standard output.")] = STDIN,
    source: Source = "",
    file: File = DEFAULT,
) -> None:
    """A part of the directory as a table for a spreadsheet."""
    table = _table(kind)
    settings = load(file, with_secrets=False)
    with open_ledger(settings) as ledger:
        desk = desk_of(settings, ledger)
        text = desk.export(desk.flow(source).source, table)
    if out == STDIN:
        sys.stdout.write(text)
        return
    try:
        out.write_bytes(b"\xef\xbb\xbf" + text.encode())  # a spreadsheet takes it for UTF-8 by this mark
    except OSError as error:
        raise ConfigurationProblem(
            f"{out} cannot be written ({error.strerror}). What to do: look at folder and rights."
        ) from None
    say(f"{out}: {max(text.count(chr(10)) - 1, 0)} lines of {kind}.")


@reps_app.command("import")
def import_table(
    kind: Kind,
    path: Annotated[Path, typer.Argument(help="A CSV file, as `reps export` writes it.", metavar="FILE")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken in.")] = False,
    source: Source = "",
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Take a table in: every line that can be read; the others are listed. Customers follow by themselves."""
    from console import sheets

    table = _table(kind)
    settings = load(file, with_secrets=False)
    lines = sheets.read(path)
    with open_ledger(settings) as ledger:
        desk = desk_of(settings, ledger)
        done = desk.take_in(actor(), desk.flow(source).source, table, lines, dry_run=dry_run)
    if as_json:
        bad = [{"line": number, "reason": reason} for number, reason in done.bad]
        print_json({"taken": done.taken, "same": done.same, "bad": bad, "dry_run": dry_run})
    else:
        would = "would be taken in" if dry_run else "taken in"
        say(f"{done.taken} lines {would}, {done.same} said nothing new, {len(done.bad)} cannot be used.")
        for number, reason in done.bad:
            say(f"Line {number}: {reason}")
    if done.bad:
        raise typer.Exit(PROBLEM)


# -- the ERP -----------------------------------------------------------------------------------------------------------


@reps_app.command()
def compare(
    connection: Annotated[str, typer.Argument(help="The ERP.", metavar="CONNECTION")] = "",
    *,
    anyway: Annotated[bool, typer.Option("--anyway", help="Also where more than a tenth is gone.")] = False,
    file: File = DEFAULT,
) -> None:
    """Look for what the ERP has deleted, as every night."""
    from pipelines import erppolling

    with open_context(load(file)) as context:
        source = desk_flow(context, connection)
        found = erppolling.compare(context, source, anyway=anyway)
    say(f"{source}: {found} differences, taken in." if found else f"{source}: no difference.")


def desk_flow(context: Any, connection: str) -> str:
    """The ERP that is meant."""
    from pipelines.repdesk import RepDesk

    return RepDesk.of(context).flow(connection).source
