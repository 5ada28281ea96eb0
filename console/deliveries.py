"""`doctor` and `gaps`: whether everything that stores have to say reaches us."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from console.care import span
from console.noting import note
from console.opening import DEFAULT, PROBLEM, AsJson, File, load, open_context, open_ledger
from console.output import print_findings, print_json, print_table, say
from core.errors import ConfigurationProblem

if TYPE_CHECKING:
    from connectors.roles import Finding, Repair
    from core.settings import Settings
    from pipelines.context import Context


def doctor(
    mend: Annotated[
        bool, typer.Option("--mend", help="Create, switch on or correct webhooks in the stores; asks before.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --mend: do not ask.")] = False,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Look at the webhooks of every store: are they there, alive, addressed to us, is the secret right, when did the last
    delivery come?
    """
    settings = load(file)
    with open_context(settings) as context:
        found = _look(context)
        if not as_json:
            print_findings(found)
        mended = _mend(context, ask=not yes, quiet=as_json) if mend else []
        if mended:
            found = [*mended, *_look(context)]
            if not as_json:
                print_findings(found)
    if as_json:
        print_json([{"connection": n, "level": f.level, "what": f.subject, "message": f.message} for n, f in found])
    if any(finding.level == "problem" for _, finding in found):
        raise typer.Exit(PROBLEM)


def _look(context: Context) -> list[tuple[str, Finding]]:
    return [(name, finding) for name in context.stores for finding in _webhooks(context, name)]


def _webhooks(context: Context, name: str) -> list[Finding]:
    from connectors.roles import Finding
    from pipelines import webhooks

    last = context.ledger.figures.last_delivery(name)
    age = span((context.clock.now() - last).total_seconds()) if last else ""
    message = f"The last one came {age} ago." if last else "None ever came."
    expected = context.stores[name].accepts_deliveries()
    return [
        *webhooks.findings(context, name),
        Finding("last delivery", "ok" if last or not expected else "warning", message),
    ]


def _mend(context: Context, *, ask: bool, quiet: bool) -> list[tuple[str, Finding]]:
    """Say what would be done, ask, and do it; what came of it."""
    from pipelines import webhooks

    plans: list[tuple[str, list[Repair]]] = [(name, list(webhooks.plan(context, name))) for name in context.stores]
    plans = [(name, repairs) for name, repairs in plans if repairs]
    if not plans:
        say("There is nothing to mend.", err=quiet)
        return []
    for name, repairs in plans:
        for repair in repairs:
            say(f"{name}, {repair.subject}: {repair.message}", err=quiet)
    if ask and not _agreed():
        return []
    found = []
    for name, repairs in plans:
        found += [(name, finding) for finding in webhooks.mend(context, name, repairs)]
        note(context.ledger, "webhooks.mend", f"connection/{name}", repairs=[repair.subject for repair in repairs])
    return found


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise ConfigurationProblem(
            "Nothing was changed: there is nobody to ask. What to do: read the above and run it again with --yes."
        )
    return typer.confirm("Write this to the store?", default=False)


def gaps(
    known: Annotated[
        str, typer.Option(help="Numbers of which you know what became of them: 1017 or 1019..1023,1030.")
    ] = "",
    reason: Annotated[str, typer.Option(help="With --known: what became of them. Remembered for good.")] = "",
    store: Annotated[str, typer.Option(help="Only this store's connection.")] = "",
    now: Annotated[bool, typer.Option("--now", help="Compare now; otherwise what the last night found.")] = False,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Order numbers that never came, where a store numbers its orders one after the other."""
    from core import logs
    from pipelines import gaps as numbers

    if bool(known) != bool(reason.strip()):
        raise typer.BadParameter("--known and --reason belong together")
    settings = load(file, with_secrets=now)
    names = _stores(settings, store)
    if now:
        logs.configure(level="error")  # what was found is shown below
        with open_context(settings) as context:
            for name in names:
                numbers.look(context, name)
    with open_ledger(settings) as ledger:
        if known:
            if len(names) != 1:
                raise typer.BadParameter(f"say whose numbers they are: --store {' or --store '.join(names)}")
            numbers.explain(ledger, names[0], numbers.expand(known), reason.strip(), ledger.clock)
            note(ledger, "gaps.explained", f"connection/{names[0]}", numbers=known, reason=reason.strip())
        lost = {name: numbers.missing(ledger, name) for name in names}
        told = {name: numbers.explained(ledger, name) for name in names}
    if as_json:
        print_json({name: {"missing": lost[name], "known": told[name]} for name in names})
        return
    rows = [(name, numbers.compact(lost[name]), "missing") for name in names if lost[name]]
    for name in names:
        for why in dict.fromkeys(told[name].values()):
            explained = [number for number, said in told[name].items() if said == why]
            rows.append((name, numbers.compact(explained), why))
    if rows:
        print_table(("store", "numbers", "what became of them"), rows)
    else:
        say("No order number is missing.")


def _stores(settings: Settings, wanted: str) -> list[str]:
    """Sources of flows, or the one that is asked for."""
    names = sorted({flow.source for flow in settings.flows})
    if wanted and wanted not in names:
        raise ConfigurationProblem(f"{wanted} is the source of no flow. What to do: use one of {', '.join(names)}.")
    return [wanted] if wanted else names
