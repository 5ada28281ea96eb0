"""The operator's command line: `orderwire`, or `python cli.py`.

Exit codes: 0 all is well, 1 a problem was found, 2 wrong usage or configuration.
"""

from __future__ import annotations

import errno
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console import adopt as adoptions
from console import care, config, deliveries, jobs, orderlist, runs, stores, watching
from console import feeds as feed_commands
from console import flows as flow_commands
from console import people as people_commands
from console import problems as problem_commands
from console import publishing as publishing_commands
from console import reassign as reassignments
from console import rehearse as rehearsals
from console import reps as rep_commands
from console import review as reviews
from console import stock as stock_commands
from console.opening import DEFAULT, PROBLEM, USAGE, File, load
from core.errors import ConfigurationProblem, OrderwireError

if TYPE_CHECKING:
    from connectors.http import Call
    from core.settings import Settings
    from pipelines.context import Context
    from pipelines.metrics import Metrics
    from pipelines.presence import Broker

app = typer.Typer(
    name="orderwire",
    help="Orderwire carries orders from web stores into the CRM. Begin with `init`, then `check`, then `up`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
config_app = typer.Typer(help="Look at the configuration.", no_args_is_help=True, rich_markup_mode=None)
jobs_app = typer.Typer(help="See every job, and mend what failed.", no_args_is_help=True, rich_markup_mode=None)
db_app = typer.Typer(help="Look after the database.", no_args_is_help=True, rich_markup_mode=None)

LogLevel = Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")]


@app.callback()
def _globally(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the program an error arose.")] = False,
) -> None:
    """Options that stand before the command (`main` finds `--debug` anywhere)."""


app.command()(config.init)
app.command()(config.check)
config_app.command("show")(config.show)
config_app.command("validate")(config.validate)
jobs_app.command("list")(jobs.list_jobs)
jobs_app.command("show")(jobs.show)
jobs_app.command("retry")(jobs.retry)
jobs_app.command("skip")(jobs.skip)
jobs_app.command("choose")(jobs.choose)
app.command()(stores.fetch)
app.command()(stores.backfill)
app.command()(runs.undo)
db_app.command("upgrade")(stores.db_upgrade)
app.command()(care.connections)
app.command()(care.pause)
app.command()(care.resume)
app.command()(care.alerts)
app.command()(orderlist.orders)
app.command()(watching.deliveries)
app.command()(deliveries.doctor)
app.command()(deliveries.gaps)
app.command()(care.backup)
app.command()(care.restore)
app.add_typer(config_app, name="config")
app.add_typer(jobs_app, name="jobs")
app.add_typer(problem_commands.problems_app, name="problems")
app.add_typer(flow_commands.flow_app, name="flow")
app.add_typer(feed_commands.feed_app, name="feed")
app.add_typer(stock_commands.stock_app, name="stock")
app.command()(rehearsals.rehearse)
app.command()(adoptions.adopt)
app.add_typer(adoptions.link_app, name="link")
app.add_typer(reviews.review_app, name="review")
rep_commands.reps_app.command()(reassignments.reassign)
rep_commands.reps_app.command()(reassignments.preview)
rep_commands.reps_app.command()(publishing_commands.publish)
app.add_typer(rep_commands.reps_app, name="reps")
app.add_typer(runs.runs_app, name="runs")
app.add_typer(people_commands.people_app, name="people")
app.command()(people_commands.audit)
app.add_typer(db_app, name="db")


# -- processes ---------------------------------------------------------------------------------------------------------


def _stop_on_signals() -> threading.Event:
    """Set by SIGTERM and SIGINT: end what runs, start nothing new."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop


@contextmanager
def _running(settings: Settings, *, upgrade: bool, log_level: str) -> Iterator[tuple[Context, Metrics]]:
    """Everything that a process which carries orders has, from the logs to the connections."""
    from core import logs, memory
    from ledger import Ledger, migrate
    from pipelines import wiring
    from pipelines.metrics import Metrics

    if log_level not in logs.LEVELS:
        raise ConfigurationProblem(
            f"There is no log level {log_level!r}. What to do: use one of {', '.join(logs.LEVELS)}."
        )
    logs.configure(level=log_level)
    metrics = Metrics()
    ledger = Ledger.open(
        wiring.ledger_url(settings.ledger), lease=settings.ledger.lease, pool_size=settings.worker.threads + WEB_POOL
    )
    budget = wiring.budgets(settings, ledger)

    def observe(call: Call) -> None:
        metrics.observe(call)
        ledger.pulse.called(call.connection, call.milliseconds)

    wired = wiring.build(settings, observe=observe, budget=budget, clock=ledger.clock)
    try:
        if upgrade:
            migrate.upgrade(ledger.db)
        migrate.require_current(ledger.db)
        context = wiring.context(settings, ledger, wired, counted=metrics.counted, observed=metrics.observed)
        memory.settled()
        yield context, metrics
    finally:
        ledger.close()
        wired.close()


WEB_POOL = 10
"""Database connections beside those of the worker threads: for intake (6 threads on PostgreSQL) and pages (web.threads.PAGES)."""


@app.command()
def up(file: File = DEFAULT, log_level: LogLevel = "info") -> None:
    """Run everything in one process: web, workers, schedules. Brings the database up to date first."""
    from web.serve import listen

    settings = load(file)
    stop = _stop_on_signals()
    with (
        listen(settings.web.host, settings.web.port) as bound,
        _running(settings, upgrade=True, log_level=log_level) as (context, metrics),
    ):
        _serve_and_work(file, settings, context, metrics, bound, stop)


def _serve_and_work(
    file: Path, settings: Settings, context: Context, metrics: Metrics, bound: socket.socket, stop: threading.Event
) -> None:
    from core.values import InForce
    from pipelines import wiring
    from pipelines.engine import Engine
    from web.app import create_app
    from web.serve import address, serve
    from web.state import WebState

    engine = Engine(context, threads=settings.worker.threads, tick=settings.worker.tick, local=True, role="up")
    engine.start()
    _tell_modes(context)
    try:
        people_commands.tell_first_link(context.ledger, address(bound))
        typer.echo(f"Orderwire listens at {address(bound)}; Ctrl-C ends it.")
        in_force = InForce.of(file, wiring.kinds())
        state = WebState(context, metrics, engine.nudge, settings.web.max_body, engine.trouble, in_force)
        serve(create_app(state), bound, stop)
    finally:
        engine.stop()


def _tell_modes(context: Context) -> None:
    """Nobody should wait for orders of a flow that writes nothing."""
    for flow in (*context.flows, *context.reps):
        mode = context.ledger.flows.get(flow).mode
        if mode == "rehearse" and flow in context.reps:
            typer.echo(
                f"{flow} is rehearsed: cards are kept, no owner is set yet. What to do: `orderwire jobs list --flow {flow}` "
                f"says what would be, `orderwire flow live {flow}` lets it write (docs/reps.md)."
            )
        elif mode == "rehearse":
            typer.echo(
                f"{flow} is rehearsed: nothing is written yet. What to do: `orderwire rehearse {flow} --show` says "
                f"what would be, `orderwire flow live {flow}` lets it write (docs/going-live.md)."
            )
        if mode == "paused":
            typer.echo(f"{flow} is paused. What to do: `orderwire flow resume {flow}`.")


@app.command()
def web(file: File = DEFAULT, log_level: LogLevel = "info") -> None:
    """Run the web process alone: takes in deliveries. Workers run apart, with `orderwire worker`."""
    from core.values import InForce
    from pipelines import wiring
    from pipelines.presence import Presence
    from web.app import create_app
    from web.serve import address, listen, serve
    from web.state import WebState

    settings = load(file)
    stop = _stop_on_signals()
    with (
        _running(settings, upgrade=False, log_level=log_level) as (context, metrics),
        _bell(settings) as (nudge, standing),
        Presence(context.ledger, "web", broker=standing).by_itself(),
    ):
        bound = listen(settings.web.host, settings.web.port)
        people_commands.tell_first_link(context.ledger, address(bound))
        typer.echo(f"Orderwire listens at {address(bound)}; Ctrl-C ends it.")
        in_force = InForce.of(file, wiring.kinds())
        serve(create_app(WebState(context, metrics, nudge, settings.web.max_body, in_force=in_force)), bound, stop)
        bound.close()


@contextmanager
def _bell(settings: Settings) -> Iterator[tuple[Callable[[], object], Callable[[], Broker]]]:
    """Tells workers elsewhere that there may be work, and whether that works; without a broker their tickers look by
    themselves.
    """
    if not settings.worker.broker:
        yield lambda: None, lambda: ""
        return
    import worker as dramatiq_worker
    from pipelines import wiring
    from pipelines.broker import redis_broker

    nudger = dramatiq_worker.sender(redis_broker(wiring.worker_settings(settings.worker).broker))
    try:
        yield nudger.nudge, nudger.standing
    finally:
        nudger.close()


@app.command()
def worker(file: File = DEFAULT, log_level: LogLevel = "info") -> None:
    """Run workers alone: they carry out jobs, poll stores and keep schedules."""
    import worker as dramatiq_worker
    from console.exposing import exposed
    from pipelines import wiring

    settings = load(file)
    stop = _stop_on_signals()
    with (
        _running(settings, upgrade=False, log_level=log_level) as (context, metrics),
        exposed(settings.worker, metrics) as told_at,
    ):
        if told_at:
            typer.echo(f"Its counts are at {told_at}.")
        typer.echo(f"Orderwire works with {settings.worker.threads} threads; Ctrl-C ends it.")
        _tell_modes(context)
        if not dramatiq_worker.run(context, wiring.worker_settings(settings.worker), stop):
            typer.echo("Not every job ended in time; another process takes over what was left.", err=True)
            raise typer.Exit(PROBLEM)


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Orderwire itself; 0 takes a free port.")] = 8700,
    crm_port: Annotated[int, typer.Option(help="The sandbox CRM.")] = 8701,
    store_port: Annotated[int, typer.Option(help="The sandbox store.")] = 8702,
    erp_port: Annotated[int, typer.Option(help="The sandbox ERP.")] = 8703,
    portal_port: Annotated[int, typer.Option(help="The sandbox shop's page My account.")] = 8704,
    mail_port: Annotated[int, typer.Option(help="The sandbox mail server's page.")] = 8705,
    log_level: LogLevel = "warning",
) -> None:
    """Try it out: everything in one process, with a web store, a CRM and an ERP made of cardboard. Keeps nothing afterwards."""
    from sandbox import demo
    from sandbox.serve import running
    from web.serve import address, listen

    stop = _stop_on_signals()
    with ExitStack() as house, _ports_in_words():
        folder = Path(house.enter_context(tempfile.TemporaryDirectory(prefix="orderwire-demo-")))
        words = demo.secrets_into(folder)
        bound = house.enter_context(listen("127.0.0.1", port))
        crm_at = house.enter_context(running(demo.crm(words), port=crm_port))
        shop = house.enter_context(running(demo.store(words, address(bound), crm_at), port=store_port))
        erp_at = house.enter_context(running(demo.erp(words), port=erp_port))
        account = house.enter_context(running(demo.portal(words, address(bound)), port=portal_port))
        post = demo.mail()
        mail_at = house.enter_context(running(post, port=mail_port))
        text = demo.CONFIGURATION.format(
            folder=folder, port=port, crm=crm_at, erp=erp_at, portal=account, smtp=post.smtp_port
        )
        file = folder / DEFAULT
        file.write_text(text, encoding="utf-8")
        settings = load(file)
        context, metrics = house.enter_context(_running(settings, upgrade=True, log_level=log_level))
        flow_commands.set_live(context.ledger, [*context.flows, *context.reps], "a demonstration")
        typer.echo(f"The store:  {shop}   fill in the order form ...")
        typer.echo(f"The CRM:    {crm_at}   ... and see account, contact and order arrive")
        typer.echo(
            f"The mail:   {mail_at}   ... the customer's invoice, and what the buyer is told when stock runs low"
        )
        typer.echo(f"Its faults: {crm_at}/faults   break the CRM there and watch the dashboard tell")
        typer.echo(f"The ERP:    {erp_at}   give a customer another sales rep ...")
        typer.echo(f"My account: {account}   ... and see the card change that this customer is shown")
        typer.echo(f"Its jobs:   {sys.executable} cli.py jobs list --config {file}")
        _serve_and_work(file, settings, context, metrics, bound, stop)


@contextmanager
def _ports_in_words() -> Iterator[None]:
    """A port that is taken is a usage error like others."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise ConfigurationProblem(
            "A port of the sandbox is taken. What to do: end what uses it, or choose others, see `orderwire demo --help`."
        ) from None


# -- the entry ---------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Errors are printed as sentences, with where they arose only under --debug."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    try:
        app(args=[argument for argument in given if argument != "--debug"], prog_name="orderwire")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except OrderwireError as error:
        _report(str(error) if debug else error.message, debug=debug)
        return USAGE if isinstance(error, ConfigurationProblem) else PROBLEM
    except Exception as error:  # noqa: BLE001 - the last resort of the command line: a sentence instead of a traceback
        _report(_last_words(error), debug=debug)
        return PROBLEM
    return 0


def _last_words(error: Exception) -> str:
    from sqlalchemy.exc import SQLAlchemyError

    if isinstance(error, SQLAlchemyError):
        what = "What to do: see whether it runs and [ledger] is right; --debug shows more."
        return f"The database does not answer ({type(error).__name__}). {what}"
    return (
        f"Orderwire stumbled ({type(error).__name__}). What to do: run it again with --debug and report what it shows."
    )


def _report(message: str, *, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    sys.stderr.write(f"{message}\n")


if __name__ == "__main__":
    sys.exit(main())
