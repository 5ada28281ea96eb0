"""`rehearse`: what would become of a store's orders, as text, page, CSV and JSON. Nothing is written outside."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from console.care import seconds
from console.flows import known, moment
from console.noting import who
from console.opening import DEFAULT, PROBLEM, File, load, open_context, open_ledger
from console.output import console, say
from core.errors import ConfigurationProblem

if TYPE_CHECKING:
    from core.settings import FlowSettings, Settings
    from ledger import Ledger
    from ledger.runs import RunView
    from pipelines.context import Context
    from pipelines.rehearse import Span
    from pipelines.reports import Report

LAST: Final = "30d"
STDOUT: Final = "-"


@dataclass(frozen=True, slots=True)
class Files:
    """Where reports are to be written; "-" is standard output."""

    json: str = ""
    csv: str = ""
    html: str = ""

    def __post_init__(self) -> None:
        if [self.json, self.csv, self.html].count(STDOUT) > 1:
            raise ConfigurationProblem("Only one report fits into standard output. What to do: give the others a file.")

    @property
    def any(self) -> bool:
        """Some file is wanted."""
        return bool(self.json or self.csv or self.html)

    @property
    def quiet(self) -> bool:
        """Standard output belongs to a program."""
        return STDOUT in {self.json, self.csv, self.html}


def rehearse(  # noqa: PLR0913, PLR0917 - a command has as many options as people need
    flow: Annotated[str, typer.Argument(help="Name of the flow; every flow, if not given.", metavar="[FLOW]")] = "",
    last: Annotated[str, typer.Option(help="Orders of the last 30d, 12h; 30d, if nothing is given.")] = "",
    since: Annotated[str, typer.Option(help="Orders placed from this day or time on, as 2026-03-01 (UTC).")] = "",
    until: Annotated[str, typer.Option(help="Orders placed before this day or time; now, if not given.")] = "",
    show: Annotated[
        bool, typer.Option("--show", help="Rehearse nothing: show the last one, and what came in meanwhile.")
    ] = False,
    standing: Annotated[
        bool, typer.Option("--standing", help="As --show, but only what came in since the flow is in rehearsal.")
    ] = False,
    as_json: Annotated[str, typer.Option("--json", help="Write everything as JSON.", metavar="FILE")] = "",
    csv: Annotated[str, typer.Option("--csv", help="Write a table, one line an order.", metavar="FILE")] = "",
    html: Annotated[str, typer.Option("--html", help="Write a page for people.", metavar="FILE")] = "",
    file: File = DEFAULT,
) -> None:
    """Say what would become of orders: written, changed, held, skipped, with money. Reads everything, writes nothing.

    A file may be `-` for standard output. Exit code 1: something would be held.
    """
    look = show or standing
    if look and (last or since or until):
        raise ConfigurationProblem("--show rehearses nothing. What to do: leave --last, --since and --until out.")
    settings = load(file, with_secrets=not look)
    flows = [one for one in settings.flows if one.name == known(settings, flow)] if flow else list(settings.flows)
    files = Files(as_json, csv, html)
    if files.any and len(flows) != 1:
        raise ConfigurationProblem("A report is of one flow. What to do: name it, as in `orderwire rehearse orders`.")
    if look:
        with open_ledger(settings) as ledger:
            held = [_present(_noted(ledger, settings, one, standing=standing), files) for one in flows]
    else:
        with open_context(settings) as context:
            held = [
                _anew(context, settings, one, (last, since, until), files) for one in _askable(context, flows, flow)
            ]
    if any(held):
        raise typer.Exit(PROBLEM)


def _askable(context: Context, flows: list[FlowSettings], named: str) -> list[FlowSettings]:
    """Those whose store can be asked for old orders; for the others it is said what to do."""
    from pipelines.rehearse import require_pollable

    found = []
    for flow in flows:
        try:
            require_pollable(context, flow)
        except ConfigurationProblem as problem:
            if named or len(flows) == 1:
                raise
            say(problem.message, err=True)
        else:
            found.append(flow)
    return found


def _anew(context: Context, settings: Settings, flow: FlowSettings, asked: tuple[str, str, str], files: Files) -> bool:
    from pipelines import rehearse as work

    span = _span(context, flow.name, *asked)
    with _bar(flow.name) as move:
        run = work.rehearse(context, flow, span, by=who(), progress=move)
    return _present([report(context.ledger, settings, flow, run)], files)


def _span(context: Context, flow: str, last: str, since: str, until: str) -> Span:
    from pipelines import rehearse as work

    now = context.clock.now()
    if since:
        if last:
            raise ConfigurationProblem("--last and --since contradict each other. What to do: give one of them.")
        span = work.Span(moment(since), moment(until) if until else now)
        if span.since >= span.until:
            raise ConfigurationProblem("--until is not after --since. What to do: look at the two days.")
        return span
    if until:
        raise ConfigurationProblem("--until says nothing without --since. What to do: give both.")
    return work.last(context.ledger, flow, int(seconds(last or LAST)), now)


@contextmanager
def _bar(flow: str) -> Iterator[Callable[[int, int | None], None]]:
    """How far it is, where somebody looks at it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(errors=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(flow, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


# -- reports -------------------------------------------------------------------------------------------------------


def _noted(ledger: Ledger, settings: Settings, flow: FlowSettings, *, standing: bool) -> list[Report]:
    """The last rehearsal that somebody asked for, and the standing one of what came in."""
    asked, came_in = rehearsals(ledger, flow.name)
    runs = [run for run in (came_in if standing else asked, None if standing else came_in) if run is not None]
    found = [report(ledger, settings, flow, run) for run in runs]
    found = [one for one in found if one.items] or found[:1]
    if not found:
        raise ConfigurationProblem(
            f"Nothing was rehearsed for {flow.name}. What to do: `orderwire rehearse {flow.name} --last {LAST}`."
        )
    return found


def rehearsals(ledger: Ledger, flow: str) -> tuple[RunView | None, RunView | None]:
    """The newest rehearsal over a span of time, and the newest standing one."""
    runs = ledger.runs.list(kind="rehearse", flow=flow, limit=200)
    asked = next((run for run in runs if not run.options.get("standing")), None)
    return asked, next((run for run in runs if run.options.get("standing")), None)


def report(
    ledger: Ledger, settings: Settings, flow: FlowSettings, run: RunView, start: datetime | None = None
) -> Report:
    """Everything about one run. `start`: what is older would not be created."""
    from pipelines import reports

    return reports.report(ledger, flow, settings.connection(flow.target), run, start)


def _present(found: list[Report], files: Files) -> bool:
    """Print, and write what is wanted (of the first: the one that was asked for). Whether something would be held."""
    from console import forecasts
    from pipelines import reports

    writers = ((files.json, reports.as_json), (files.csv, reports.as_csv), (files.html, forecasts.as_html))
    for name, make in writers:
        if name:
            _write(name, make(found[0]), mark=make is reports.as_csv)
    if not files.quiet:
        for one in found:
            forecasts.tell(one)
    return any(one.forecast.hold.count for one in found)


def _write(name: str, text: str, *, mark: bool) -> None:
    """`mark`: spreadsheets take a file for UTF-8 only if it begins with one."""
    if name == STDOUT:
        sys.stdout.write(text)
        return
    try:
        Path(name).write_text(text, encoding="utf-8-sig" if mark else "utf-8", newline="")
    except OSError as error:
        raise ConfigurationProblem(
            f"{name} cannot be written ({error.strerror}). What to do: name another file; `--show` needs no new rehearsal."
        ) from None
    say(f"{name} is written.", err=True)
