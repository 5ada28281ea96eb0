"""The operator's command line: `orderwire`, or `python cli.py`.

Exit codes: 0 all is well, 1 a problem was found, 2 wrong usage or configuration.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from core.errors import ConfigurationProblem, OrderwireError

if TYPE_CHECKING:
    from connectors.roles import Finding
    from core.settings import Settings
    from ledger import Ledger
    from ledger.jobs import JobView
    from pipelines.context import Context

OK: Final = 0
PROBLEM: Final = 1
USAGE: Final = 2

app = typer.Typer(
    name="orderwire",
    help="Orderwire carries orders from web stores into the CRM. Begin with `init`, then `check`, then `up`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
config_app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)
jobs_app = typer.Typer(help="See every job, and mend what failed.", no_args_is_help=True)
db_app = typer.Typer(help="Look after the database.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(jobs_app, name="jobs")
app.add_typer(db_app, name="db")

File = Annotated[
    Path, typer.Option("--config", "-c", envvar="ORDERWIRE_CONFIG", help="The configuration file.", show_default=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
JobId = Annotated[int, typer.Argument(help="The job's number, as `jobs list` shows it.", metavar="JOB")]
DEFAULT: Final = Path("orderwire.toml")


@app.callback()
def _globally(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show what the program did when something breaks.")] = False,
) -> None:
    """Options before the command; `--debug` may stand anywhere (`main` takes it out)."""


# -- printing ----------------------------------------------------------------------------------------------------------


def _console(*, errors: bool = False) -> Console:
    console = Console(stderr=errors, highlight=False, markup=False, emoji=False)
    return console if console.is_terminal else Console(stderr=errors, highlight=False, markup=False, emoji=False, width=160)


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, default=str, ensure_ascii=False, indent=2) + "\n")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


# -- opening -----------------------------------------------------------------------------------------------------------


def _load(file: Path) -> Settings:
    from pipelines import wiring

    return wiring.load(file)


@contextmanager
def _ledger(settings: Settings) -> Iterator[Ledger]:
    """The ledger, with the schema that this program needs."""
    from ledger import Ledger, migrate
    from pipelines import wiring

    ledger = Ledger.open(wiring.ledger_url(settings.ledger), lease=settings.ledger.lease)
    try:
        migrate.require_current(ledger.db)
        yield ledger
    finally:
        ledger.close()


@contextmanager
def _context(settings: Settings) -> Iterator[Context]:
    """Connections and ledger, for a command that asks a store."""
    from pipelines import wiring

    wired = wiring.build(settings)
    try:
        with _ledger(settings) as ledger:
            yield wiring.context(settings, ledger, wired)
    finally:
        wired.close()


# -- configuration -----------------------------------------------------------------------------------------------------


@config_app.command("validate")
def config_validate(file: File = DEFAULT, as_json: AsJson = False) -> None:
    """Say everything that is wrong with the configuration, secrets that are not there included."""
    from core import config
    from pipelines import wiring

    reading = config.read(file, wiring.kinds())
    if as_json:
        _print_json({"ok": not reading.problems, "problems": [asdict(problem) for problem in reading.problems]})
        raise typer.Exit(USAGE if reading.problems else OK)
    if reading.problems or reading.settings is None:
        raise config.ConfigProblems(reading.problems)
    settings = reading.settings
    typer.echo(f"{file}: all is well ({len(settings.connections)} connections, {len(settings.flows)} flows).")


@config_app.command("show")
def config_show(file: File = DEFAULT, as_json: AsJson = False) -> None:
    """Show every setting and where its value comes from. Secrets are shown as references, never by value."""
    from core import config
    from pipelines import wiring

    reading = config.read(file, wiring.kinds(), with_secrets=False)
    shown = config.values(reading)
    if as_json:
        _print_json([asdict(value) for value in shown])
    else:
        _table(("setting", "value", "from"), [(value.path, value.value, value.origin) for value in shown])
    if reading.problems:
        raise config.ConfigProblems(reading.problems)


@app.command()
def check(file: File = DEFAULT, as_json: AsJson = False) -> None:
    """Look at every connection: address, login, rights and fields. Writes nothing; says what to do."""
    from core import config
    from pipelines import setup, wiring

    reading = config.read(file, wiring.kinds(), with_secrets=False)
    if reading.settings is None or reading.problems:
        raise config.ConfigProblems(reading.problems)
    settings = reading.settings
    found = [("ledger", finding) for finding in _check_ledger(settings)]
    found += [(one.name, finding) for one in settings.connections for finding in setup.look(one)]
    if as_json:
        _print_json([{"connection": name, **asdict(finding)} for name, finding in found])
    else:
        _print_findings(found)
    if any(finding.level == "problem" for _, finding in found):
        raise typer.Exit(PROBLEM)


def _check_ledger(settings: Settings) -> list[Finding]:
    from sqlalchemy.exc import SQLAlchemyError

    from connectors.roles import Finding
    from pipelines.broker import eviction_policy

    try:
        with _ledger(settings):
            found = [Finding("database", "ok", "The database answers and has the right schema.")]
    except ConfigurationProblem as error:
        message, _, advice = error.message.partition(" What to do: ")
        found = [Finding("database", "problem", message, advice)]
    except SQLAlchemyError as error:
        advice = "see whether it runs, and [ledger] in the configuration."
        found = [Finding("database", "problem", f"The database does not answer ({type(error).__name__}).", advice)]
    if settings.worker.broker:
        from pipelines import wiring

        policy = eviction_policy(wiring.worker_settings(settings.worker).broker)
        if policy == "noeviction":
            found.append(Finding("broker", "ok", "The broker answers and evicts nothing."))
        else:
            message = f"The broker evicts by {policy!r}." if policy else "The broker does not answer."
            found.append(Finding("broker", "warning", message, "see [worker] broker, and set maxmemory-policy noeviction."))
    return found


def _print_findings(found: Sequence[tuple[str, Finding]]) -> None:
    signs = {"ok": "ok", "warning": "WARNING", "problem": "PROBLEM"}
    rows = [
        (name, signs[f.level], f.subject, f.message + (f"\nWhat to do: {f.what_to_do}" if f.what_to_do else ""))
        for name, f in found
    ]
    _table(("connection", "", "what", "finding"), rows)


@app.command()
def init(
    file: File = DEFAULT,
    connector: Annotated[str, typer.Option(help="Kind of system: orderform, vtiger or woocommerce.")] = "",
    name: Annotated[str, typer.Option(help="What to call the connection: lower case, it stands in addresses.")] = "",
    given: Annotated[
        list[str] | None, typer.Option("--set", help="A setting, key=value, instead of the question. May be repeated.")
    ] = None,
    test: Annotated[bool, typer.Option(help="Connect and check before writing.")] = True,
    flow: Annotated[bool, typer.Option(help="Also add the flow from store to CRM, once there is one of each.")] = True,
) -> None:
    """Add a connection: asks for its settings, tests it, writes the configuration. Secrets are never written down."""
    from pipelines import setup, wiring

    kinds = wiring.kinds()
    connector = connector or _ask(f"Kind of system ({', '.join(kinds)})")
    if connector not in kinds:
        raise ConfigurationProblem(f"There is no connector {connector!r}. What to do: use one of {', '.join(kinds)}.")
    name = name or _ask("Name of the connection", connector)
    values: dict[str, Any] = {"name": name, "connector": connector}
    values |= {key: setup.answer(text) for key, _, text in (pair.partition("=") for pair in given or ())}
    exports = setup.fill(kinds[connector], values, _ask, attended=sys.stdin.isatty())
    text, reading = setup.added(file, setup.table("connection", values))
    if test:
        _test(name, setup.look(setup.connection(reading, name)))
    way = setup.flow_for(reading, name) if flow else None
    if way is not None:
        text, reading = setup.added(file, setup.table("connection", values), setup.table("flow", way))
    setup.connection(reading, name)
    file.write_text(text, encoding="utf-8")
    typer.echo(f"{file}: added the connection {name}" + (f" and the flow {way['name']}." if way else "."))
    for variable in exports:
        typer.echo(f"export {variable}=...   # the secret itself, in the environment of Orderwire")
    typer.echo("What to do next: `orderwire check`, then `orderwire up`.")


def _ask(question: str, default: str | None = None, *, hidden: bool = False) -> str:
    if not sys.stdin.isatty():
        raise ConfigurationProblem(
            f"There is nobody to ask: {question}? What to do: give it as an option, see `orderwire init --help`."
        )
    return str(typer.prompt(question, default=default, hide_input=hidden, show_default=bool(default)))


def _test(name: str, found: Sequence[Finding]) -> None:
    _print_findings([(name, finding) for finding in found])
    if not any(finding.level == "problem" for finding in found):
        return
    if not (sys.stdin.isatty() and typer.confirm("There are problems. Write the configuration all the same?")):
        typer.echo("Nothing was written. What to do: mend the problems, or use --no-test.", err=True)
        raise typer.Exit(PROBLEM)


# -- jobs --------------------------------------------------------------------------------------------------------------


@jobs_app.command("list")
def jobs_list(
    file: File = DEFAULT,
    state: Annotated[str, typer.Option(help="Only these: waiting, running, settled, held or skipped.")] = "",
    flow: Annotated[str, typer.Option(help="Only jobs of this flow.")] = "",
    search: Annotated[str, typer.Option(help="An order number, or a key such as shop/order/1001.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first: one for each order, with its state and what it waits for."""
    from ledger.jobs import STATES

    if state and state not in STATES:
        raise ConfigurationProblem(f"There is no state {state!r}. What to do: use one of {', '.join(STATES)}.")
    with _ledger(_load(file)) as ledger:
        found = ledger.jobs.list(state=state, flow=flow, search=search, limit=limit)
    if as_json:
        _print_json([asdict(job) for job in found])
        return
    columns = ("job", "state", "order", "flow", "amount", "changed (UTC)", "why")
    rows = [
        (str(j.id), j.state, j.number or j.key, j.flow, f"{j.amount} {j.currency}".strip(), _time(j.updated_at), j.reason)
        for j in found
    ]
    _table(columns, rows)


@jobs_app.command("show")
def jobs_show(job: JobId, file: File = DEFAULT, as_json: AsJson = False) -> None:
    """Show one job: every attempt, every delivery, and the records that it led to."""
    from core.keys import Key

    with _ledger(_load(file)) as ledger:
        view = _job(ledger, job)
        attempts = ledger.jobs.attempts(job)
        events = ledger.inbox.events(Key.parse(view.key))
        links = ledger.links.of_key(view.key)
    whole = {"job": asdict(view), "attempts": attempts, "events": events, "links": [asdict(link) for link in links]}
    if as_json:
        _print_json(whole)
        return
    facts = asdict(view) | {"warnings": "\n".join(view.warnings)}
    _table(("job", str(job)), [(name, str(value)) for name, value in facts.items() if str(value)])
    for title, rows in (("attempts", attempts), ("deliveries", events), ("links", whole["links"])):
        typer.echo(f"\n{title}: {len(rows)}")
        for row in rows:
            typer.echo("  " + ", ".join(f"{key}={value}" for key, value in row.items() if value not in ("", None, [])))


@jobs_app.command("retry")
def jobs_retry(jobs: Annotated[list[int], typer.Argument(help="Numbers of jobs.")], file: File = DEFAULT) -> None:
    """Run jobs again now, from the newest state of their records. The running Orderwire takes them up."""
    with _ledger(_load(file)) as ledger:
        _each(jobs, lambda job: ledger.jobs.retry(_job(ledger, job).id), "is due again")


@jobs_app.command("skip")
def jobs_skip(
    jobs: Annotated[list[int], typer.Argument(help="Numbers of jobs.")],
    reason: Annotated[str, typer.Option(help="Why: it is kept with the job and shown to others.")],
    file: File = DEFAULT,
) -> None:
    """Set jobs aside for good. A newer state of the order wakes its job again."""
    if not reason.strip():
        raise ConfigurationProblem("A reason is missing. What to do: say why with --reason.")
    with _ledger(_load(file)) as ledger:
        _each(jobs, lambda job: ledger.jobs.skip(_job(ledger, job).id, reason.strip()), "is skipped")


def _job(ledger: Ledger, job: int) -> JobView:
    view = ledger.jobs.get(job)
    if view is None:
        raise OrderwireError(f"There is no job {job}. What to do: see `orderwire jobs list`.")
    return view


def _each(jobs: Sequence[int], change: Callable[[int], bool], done: str) -> None:
    failed = [job for job in jobs if not change(job)]
    for job in jobs:
        typer.echo(f"Job {job} {done}." if job not in failed else f"Job {job} cannot be changed now: it runs, or it is over.")
    if failed:
        raise typer.Exit(PROBLEM)


# -- asking stores -----------------------------------------------------------------------------------------------------


@app.command()
def fetch(
    connection: Annotated[str, typer.Argument(help="Name of the store's connection.")],
    number: Annotated[str, typer.Argument(help="The order's number as people say it.")],
    file: File = DEFAULT,
) -> None:
    """Ask a store for one order by its number, and send it on."""
    from pipelines import polling

    settings = _load(file)
    settings.connection(connection)
    with _context(settings) as context:
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
    from core.clock import parse_utc

    try:
        return parse_utc(text)
    except ValueError:
        raise typer.BadParameter("a day or time like 2026-03-01 or 2026-03-01T08:00+01:00 (UTC where no offset is given)") from None


@app.command()
def backfill(
    since: Annotated[str, typer.Option(help="Orders placed from this day or time on, as 2026-03-01 (UTC).")],
    until: Annotated[str, typer.Option(help="Orders placed before this day or time; now, where it is not given.")] = "",
    flow: Annotated[str, typer.Option(help="Only this flow; every flow from a store that can be asked, otherwise.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; store nothing, send nothing.")] = False,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Take in old orders, behind everything that is live. Safe to repeat: what is there already stays as it is."""
    settings = _load(file)
    with _context(settings) as context:
        if flow and flow not in context.flows:
            raise ConfigurationProblem(f"There is no flow {flow!r}. What to do: use one of {', '.join(context.flows)}.")
        wanted = [context.flows[flow]] if flow else [f for f in context.flows.values() if context.stores[f.source].pollable]
        _must_be_store(context, [one.source for one in wanted])
        span = (_moment(since), _moment(until) if until else context.clock.now())
        counts = {one.name: _backfill_one(context, one, span, dry_run=dry_run) for one in wanted}
    if as_json:
        _print_json({name: {"seen": seen, "new": new, "dry_run": dry_run} for name, (seen, new) in counts.items()})
        return
    for name, (seen, new) in counts.items():
        typer.echo(f"{name}: {seen} orders seen, {new} {'would be taken in' if dry_run else 'taken in'}.")


def _backfill_one(context: Context, flow: FlowSettings, span: tuple[datetime, datetime], *, dry_run: bool) -> tuple[int, int]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from pipelines import polling

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_console(errors=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(flow.name, total=None)
        return polling.backfill(
            context, flow, *span, dry_run=dry_run, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )


# -- running -----------------------------------------------------------------------------------------------------------


@db_app.command("upgrade")
def db_upgrade(file: File = DEFAULT) -> None:
    """Bring the database to the schema that this program needs. Safe to repeat."""
    from ledger import Ledger, migrate
    from pipelines import wiring

    ledger = Ledger.open(wiring.ledger_url(_load(file).ledger))
    try:
        before = migrate.current(ledger.db)
        migrate.upgrade(ledger.db)
        typer.echo(f"The database's schema is {migrate.current(ledger.db)} (it was {before or 'empty'}).")
    finally:
        ledger.close()
