"""`feed status`, `bad`, `accept`, `refuse` and `skip`: files that an ERP drops, and what waits for a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from console.noting import actor
from console.opening import DEFAULT, PROBLEM, AsJson, File, load, open_context, open_ledger
from console.output import print_json, print_table, say, when
from core.errors import ConfigurationProblem

if TYPE_CHECKING:
    from core.settings import Settings
    from ledger import Ledger
    from ledger.feeds import FeedFile

feed_app = typer.Typer(
    help="Files that an ERP drops: what was read, and what waits for a person.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Dropped = Annotated[str, typer.Argument(help="Name of the file.", metavar="FILE")]
Connection = Annotated[str, typer.Option("--connection", help="Where several connections have a file of this name.")]


@feed_app.command()
def status(
    connection: Annotated[str, typer.Argument(help="One connection; all, if not given.", metavar="[CONNECTION]")] = "",
    last: Annotated[int, typer.Option("--last", min=1, max=1000, help="So many files.")] = 20,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """The newest files and what became of each. Exit code 1: one waits for a person, or a number is missing."""
    settings = load(file, with_secrets=False)
    names = [connection] if connection else _feeds(settings)
    with open_ledger(settings) as ledger:
        files = [one for name in names for one in ledger.feeds.files(name, limit=last)]
        waiting = [alert.message for name in names for alert in ledger.alerts.opened(f"feed/{name}")]
    if as_json:
        print_json({"files": [_facts(one) for one in files], "waiting": waiting})
    else:
        columns = ("connection", "file", "state", "begun (UTC)", "what")
        print_table(columns, [(f.connection, f.file.name, f.state, when(f.started_at), f.message) for f in files])
        for sentence in waiting:
            say(sentence)
    if waiting:
        raise typer.Exit(PROBLEM)


@feed_app.command()
def bad(
    name: Dropped,
    connection: Connection = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="So many rows.")] = 100,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """The rows of a file that were not taken in: line, record and reason."""
    settings = load(file, with_secrets=False)
    with open_ledger(settings) as ledger:
        found = _found(ledger, settings, name, connection)
        rows = ledger.feeds.bad(found, limit=limit)
    if as_json:
        print_json([{"line": row.line, "record": row.key, "reason": row.reason} for row in rows])
        return
    print_table(("line", "record", "reason"), [(str(row.line), row.key, row.reason) for row in rows])
    more = found.counts.bad - len(rows)
    say(f"{found.counts.bad} rows of {name} were not taken in" + (f"; {more} are not shown." if more > 0 else "."))


@feed_app.command()
def accept(name: Dropped, connection: Connection = "", file: File = DEFAULT) -> None:
    """Take in a file that is held, as it lies there: it removes what it removes, and bad rows stay out."""
    _decide(name, connection, file, "accepted")
    say(f"{name} is accepted, and taken in with the next look. If it is dropped anew, that one is judged anew.")


@feed_app.command()
def refuse(name: Dropped, connection: Connection = "", file: File = DEFAULT) -> None:
    """Pass over a file that is held: nothing of it is taken in, and those behind it go on."""
    _decide(name, connection, file, "refused")
    say(f"{name} is refused: nothing of it is taken in, the next files go on.")


@feed_app.command()
def skip(
    connection: Annotated[str, typer.Argument(help="Name of the connection.", metavar="CONNECTION")],
    number: Annotated[int, typer.Argument(help="The number that is missing.", min=0, max=9_999_999)],
    series: Annotated[str, typer.Option("--series", help="Where each kind of file has its own numbers.")] = "",
    file: File = DEFAULT,
) -> None:
    """Pass over a number that will not come, so that the files behind it go on."""
    from pipelines import feeds

    with open_context(load(file)) as context:
        if connection not in context.erps:
            raise ConfigurationProblem(
                f"There is no ERP {connection!r}. What to do: use one of {', '.join(context.erps)}."
            )
        feeds.skip(context.ledger, feeds.feed_of(context.erps[connection]), number, series=series, by=actor())
        context.ledger.schedules.run_now(f"poll/{connection}")
    say(f"Number {number:07d} is passed over. What it would have told is lost, unless a later FULL tells it.")


def _decide(name: str, connection: str, file: Any, state: Literal["accepted", "refused"]) -> None:
    with _held(name, connection, file) as (ledger, found):
        if not ledger.feeds.decide(found, state, by=actor()):
            raise ConfigurationProblem(f"{name} is not held any more. What to do: see `orderwire feed status`.")
        ledger.schedules.run_now(f"poll/{found.connection}")


@contextmanager
def _held(name: str, connection: str, file: Any) -> Iterator[tuple[Ledger, FeedFile]]:
    settings = load(file, with_secrets=False)
    with open_ledger(settings) as ledger:
        found = _found(ledger, settings, name, connection)
        if found.state != "held":
            raise ConfigurationProblem(
                f"{name} is not held: it is {found.state}. What to do: nothing; `orderwire feed status` shows what is held."
            )
        yield ledger, found


def _found(ledger: Ledger, settings: Settings, name: str, connection: str) -> FeedFile:
    names = [connection] if connection else _feeds(settings)
    found = [one for other in names if (one := ledger.feeds.file(other, name)) is not None]
    if len(found) == 1:
        return found[0]
    if found:
        among = ", ".join(one.connection for one in found)
        raise ConfigurationProblem(
            f"Several connections have a file {name}: {among}. What to do: name one with --connection."
        )
    raise ConfigurationProblem(
        f"No file {name} was read or begun. What to do: see `orderwire feed status` for those that were."
    )


def _feeds(settings: Settings) -> list[str]:
    """Connections to dropped files."""
    return [one.name for one in settings.connections if one.connector == "feed"]


def _facts(one: FeedFile) -> dict[str, Any]:
    counts = {name: getattr(one.counts, name) for name in ("rows", "same", "changed", "added", "removed", "bad")}
    return {
        "connection": one.connection,
        "file": one.file.name,
        "sequence": one.file.sequence,
        "kind": one.file.kind,
        "mode": one.file.mode,
        "state": one.state,
        "message": one.message,
        "decided_by": one.decided_by,
        "started_at": one.started_at,
        "ended_at": one.ended_at,
        **counts,
    }
