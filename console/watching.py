"""`deliveries`: promises that are at risk or were not kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from console.opening import DEFAULT, PROBLEM, AsJson, File, load, open_ledger
from console.output import print_json, print_table, say
from core.errors import ConfigurationProblem

if TYPE_CHECKING:
    from ledger.watches import Unkept


def deliveries(
    flow: Annotated[str, typer.Option(help="Only orders of this flow.")] = "",
    level: Annotated[str, typer.Option(help="late or at_risk; both where it is left out.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 100,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Orders whose promised day is at risk or over, the oldest promise first. Exit code 1 where one is late."""
    if level not in {"", "late", "at_risk"}:
        raise typer.BadParameter("use late or at_risk", param_hint="--level")
    settings = load(file, with_secrets=False)
    if flow and flow not in {one.name for one in settings.flows}:
        names = ", ".join(one.name for one in settings.flows) or "none, for none is configured yet"
        raise ConfigurationProblem(f"There is no flow named {flow!r}. What to do: use one of {names}.")
    with open_ledger(settings) as ledger:
        found = ledger.watches.unkept(flow=flow, level=level, limit=limit)
        counts = ledger.watches.counts()
    if as_json:
        print_json([_facts(one) for one in found])
    elif found:
        columns = ("promised", "", "order", "flow", "whose", "delivery", "store", "CRM", "told")
        print_table(columns, [_row(one) for one in found])
        if len(found) == limit:
            say(f"These are the first {limit}; {counts['late']} are late and {counts['at_risk']} at risk.")
    else:
        say("No promise is at risk or over.")
    if any(one.watched.level == "late" for one in found):
        raise typer.Exit(PROBLEM)


_Word = Literal["LATE", "at risk"]


def _word(one: Unkept) -> _Word:
    return "LATE" if one.watched.level == "late" else "at risk"


def _row(one: Unkept) -> tuple[str, ...]:
    number = f"{one.number} (rush)" if one.rush else one.number
    told = "yes" if one.watched.told == one.watched.level else "not yet"
    by = (one.watched.promised_on.isoformat(), _word(one), number, one.watched.flow, one.owner)
    return (*by, one.method, one.status, one.crm_status, told)


def _facts(one: Unkept) -> dict[str, Any]:
    watched = one.watched
    return {
        "order": watched.order_key,
        "number": one.number,
        "flow": watched.flow,
        "level": watched.level,
        "since": watched.since,
        "promised_on": watched.promised_on,
        "promised_by": watched.source,
        "ship_by": watched.ship_by,
        "due": watched.due,
        "rush": one.rush,
        "method": one.method,
        "status": one.status,
        "crm_status": one.crm_status,
        "shipped_at": one.shipped_at,
        "owner": one.owner,
        "total": str(one.total),
        "currency": one.currency,
        "told": watched.told == watched.level,
        "note": watched.task,
    }
