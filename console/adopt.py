"""`adopt` and `link customers`: what stands in the CRM already is linked, not made again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from console import sheets
from console.flows import known, moment
from console.noting import note, who
from console.opening import DEFAULT, PROBLEM, AsJson, File, load, open_context
from console.output import console, print_json, print_table, say
from core.errors import ConfigurationProblem

if TYPE_CHECKING:
    from core.settings import FlowSettings, Settings
    from ledger import Ledger
    from ledger.runs import Item, RunView
    from mapping.canonical import Customer

link_app = typer.Typer(
    help="Find the store's and the ERP's customers in the CRM.", no_args_is_help=True, rich_markup_mode=None
)
Flow = Annotated[
    str, typer.Argument(help="Name of the flow; may be left out where there is only one.", metavar="[FLOW]")
]
Since = Annotated[str, typer.Option(help="Orders placed from this day or time on, as 2026-03-01 (UTC).")]
Until = Annotated[str, typer.Option(help="Orders placed before this day or time; now, where it is not given.")]
SHOWN: Final = 20

ADOPTED: Final = {
    "certain": "linked: they are in the CRM",
    "decided": "decided by a person",
    "linked": "carried over by us before",
    "doubtful": "on the review list",
    "none": "not in the CRM",
    "unreadable": "cannot be read",
}
LINKED: Final = {
    "certain": "linked",
    "decided": "decided by a person",
    "linked": "linked before",
    "doubtful": "on the review list",
    "new": "not in the CRM",
    "double": "accounts that are in the CRM more than once",
}
"""Verdicts as people read them, in the order of the report."""


def adopt(since: Since, flow: Flow = "", until: Until = "", file: File = DEFAULT, as_json: AsJson = False) -> None:
    """Link the store's orders to those that people typed into the CRM. Only certain ones are linked; doubtful ones go onto the
    review list. Works in rehearsal too: the CRM is only read, unless the flow has write_back and is live.
    """
    from pipelines import adopt as work

    settings = load(file)
    chosen = one_flow(settings, flow)
    first, last = _span(since, until)
    with open_context(settings) as context, bar(chosen.name) as move:
        _require_pollable(context.store(chosen.source).pollable, chosen)
        run = work.adopt(context, chosen, first, last, by=who(), progress=move)
        note(context.ledger, "run.adopt", f"run/{run.id}", flow=chosen.name)
        _report(context.ledger, run, ADOPTED, as_json=as_json)


@link_app.command("customers")
def link_customers(
    since: Since,
    flow: Flow = "",
    until: Until = "",
    erp_csv: Annotated[
        Path | None, typer.Option("--erp-csv", help="Also the customers of this list of the ERP (CSV).")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="How the list names a column: number=Kundennr (also name, vat, email, phone, postcode)."),
    ] = None,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Recognise the customers of the store's orders among the CRM's accounts. Certain ones are linked, doubtful ones go onto the
    review list, accounts that are doubles are named. Only the ledger is written.
    """
    from pipelines import linking

    settings = load(file)
    chosen = one_flow(settings, flow)
    first, last = _span(since, until)
    rows = erp_rows(erp_csv, column or []) if erp_csv is not None else []
    with open_context(settings) as context, bar(chosen.name) as move:
        _require_pollable(context.store(chosen.source).pollable, chosen)
        run = linking.link_customers(context, chosen, first, last, rows=rows, by=who(), progress=move)
        note(context.ledger, "run.link", f"run/{run.id}", flow=chosen.name)
        _report(context.ledger, run, LINKED, as_json=as_json)


def one_flow(settings: Settings, name: str) -> FlowSettings:
    """The flow of this name, or the only one. Raises ConfigurationProblem."""
    if not name and len(settings.flows) != 1:
        names = ", ".join(flow.name for flow in settings.flows) or "none is configured yet"
        raise ConfigurationProblem(f"There is more than one flow to choose from. What to do: name one: {names}.")
    wanted = known(settings, name) if name else settings.flows[0].name
    return next(flow for flow in settings.flows if flow.name == wanted)


def _span(since: str, until: str) -> tuple[datetime, datetime | None]:
    first, last = moment(since), moment(until) if until else None
    if last is not None and last <= first:
        raise ConfigurationProblem("--until is not after --since. What to do: look at the two days.")
    return first, last


def _require_pollable(pollable: bool, flow: FlowSettings) -> None:
    if not pollable:
        raise ConfigurationProblem(
            f"{flow.source} cannot be asked for orders. What to do: link by hand what its old orders are, or leave them alone: "
            f"`orderwire flow live {flow.name}` creates no order that was placed before."
        )


# -- the ERP's list --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Column:
    """One of ours, and how lists name it (lower case)."""

    name: str
    known: tuple[str, ...]


COLUMNS: Final = (
    _Column("number", ("number", "customer number", "customer_number", "kundennummer", "kundennr", "kunden-nr", "id")),
    _Column("name", ("name", "company", "firma", "customer", "kunde", "ragione sociale", "наименование")),
    _Column("vat", ("vat", "vat number", "vat_number", "ust-id", "ustid", "ust-idnr", "p.iva", "partita iva", "инн")),
    _Column("email", ("email", "e-mail", "mail", "почта")),
    _Column("phone", ("phone", "telephone", "telefon", "tel", "телефон")),
    _Column("postcode", ("postcode", "zip", "postal code", "postal_code", "plz", "cap", "индекс")),
)


def erp_rows(path: Path, named: Sequence[str]) -> list[Customer]:
    """Customers of an ERP's list. Raises ConfigurationProblem with the lines that cannot be used."""
    from mapping.canonical import Address
    from mapping.likeness import erp_customer

    lines = sheets.read(path)
    where = _columns(set().union(*(line.cells for line in lines)), named, path)
    found: dict[str, Customer] = {}
    bad: list[str] = []
    for line in lines:
        cell = {name: line.get(column) for name, column in where.items()}
        number = cell["number"]
        if not number or number in found:
            bad.append(f"{line.number} ({'twice' if number else 'no customer number'})")
            continue
        words = {name: cell.get(name, "") for name in ("name", "vat", "email", "phone")}
        address = Address(postal_code=cell.get("postcode", ""))
        found[number] = erp_customer("erp", number, **words).model_copy(update={"billing": address})
    if bad:
        some = ", ".join(bad[:SHOWN]) + (f" and {len(bad) - SHOWN} more" if len(bad) > SHOWN else "")
        raise ConfigurationProblem(f"Lines of {path} cannot be used: {some}. What to do: correct them, then try again.")
    return list(found.values())


def _columns(header: set[str], named: Sequence[str], path: Path) -> dict[str, str]:
    """Ours -> the list's, as told or as recognised."""
    told: dict[str, str] = {}
    ours = [column.name for column in COLUMNS]
    for pair in named:
        name, equals, column = (part.strip() for part in pair.partition("="))
        if not equals or name not in ours:
            raise ConfigurationProblem(
                f"--column {pair!r} is not understood. What to do: write one of {', '.join(ours)}, =, and the list's name for it."
            )
        if column.lower() not in header:
            raise ConfigurationProblem(
                f"{path} has no column {column!r}. What to do: use one of {', '.join(sorted(header))}."
            )
        told[name] = column.lower()
    for one in COLUMNS:
        same = [word for word in one.known if word in header and word not in told.values()]
        if one.name not in told and same:
            told[one.name] = same[0]
    if "number" not in told:
        raise ConfigurationProblem(
            f"{path} does not tell which column is the customer number ({', '.join(sorted(header))}). "
            "What to do: name it, as in --column number=Kundennr."
        )
    return told


# -- the report ------------------------------------------------------------------------------------------------------


@contextmanager
def bar(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """How far it is, where somebody looks at it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(errors=True), disable=not sys.stderr.isatty()) as made:
        task = made.add_task(title, total=None)
        yield lambda done, total: made.update(task, completed=done, total=total)


def _report(ledger: Ledger, run: RunView, words: Mapping[str, str], *, as_json: bool) -> None:
    sums = ledger.runs.sums(run.id)
    piles = [
        {"verdict": one.verdict, "count": one.count, "amount": str(one.amount), "currency": one.currency}
        for verdict in words
        for one in sums
        if one.verdict == verdict
    ]
    if as_json:
        print_json({"run": run.id, "flow": run.flow, "state": run.state, "counts": run.counts, "found": piles}
                   | {"doubles": [_fields(item) for item in _items(ledger, run, "double")]})  # fmt: skip
    else:
        _tell(ledger, run, words, piles)
    if any(one.verdict == "unreadable" for one in sums):
        raise typer.Exit(PROBLEM)


def _tell(ledger: Ledger, run: RunView, words: Mapping[str, str], piles: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (str(one["count"]), f"{one['amount']} {one['currency']}" if one["currency"] else "", words[one["verdict"]])
        for one in piles
    ]
    print_table(("", "money", ""), rows)
    for verdict in ("double", "unreadable"):
        found = _items(ledger, run, verdict)
        for item in found[:SHOWN]:
            say(f"{item.number or item.key}: {item.reason}" if verdict == "unreadable" else item.reason)
        if len(found) > SHOWN:
            say(f"... and {len(found) - SHOWN} more: --json shows all.")
    say(f"{run.counts.get('orders', 0)} orders read, {run.counts.get('queries', 0)} calls to the CRM.")
    if run.summary:
        say(run.summary)
    if any(one["verdict"] == "doubtful" for one in piles):
        say("What to do next: `orderwire review list`, or `orderwire review export FILE.csv` and decide there.")


def _items(ledger: Ledger, run: RunView, verdict: str) -> list[Item]:
    found: list[Item] = []
    while page := ledger.runs.items(run.id, verdict=verdict, after=found[-1].key if found else ""):
        found += page
    return found


def _fields(item: Item) -> dict[str, Any]:
    return {"key": item.key, "reason": item.reason, **item.facts}
