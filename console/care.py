"""`connections`, `pause`, `resume`, `alerts`, `backup` and `restore`: looking after what runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from console.noting import actor, desk
from console.opening import DEFAULT, AsJson, File, load, open_ledger
from console.output import print_json, print_table, say, when
from core.errors import ConfigurationProblem

if TYPE_CHECKING:
    from core.settings import ConnectionSettings, Settings
    from ledger.state import ConnectionState

_SPAN: Final = re.compile(r"(\d+)([smhd])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def connections(file: File = DEFAULT, as_json: AsJson = False) -> None:
    """How every connection stands: working, out (since when, why) or paused, how many orders wait for it, and how many calls
    its budget has left.
    """
    from ledger.budget import remaining

    settings = load(file, with_secrets=False)
    with open_ledger(settings) as ledger:
        states = {state.connection: state for state in ledger.states.all()}
        waiting = {one.name: ledger.figures.waiting_for(one.name) for one in settings.connections}
        left = {one.name: remaining(ledger.budgets, one) for one in settings.connections}
    if as_json:
        print_json({n: {"state": _standing(states.get(n)), "waiting": waiting[n]} | _budget(left[n]) for n in waiting})
        return
    rows = [
        (n, _standing(states.get(n)), str(waiting[n]), _calls(settings.connection(n), left[n]), _why(states.get(n)))
        for n in waiting
    ]
    print_table(("connection", "state", "waiting", "calls left", ""), rows)


def _budget(left: float | None) -> dict[str, float]:
    return {} if left is None else {"calls_left": round(left, 1)}


def _calls(connection: ConnectionSettings, left: float | None) -> str:
    """`7 of 10, 4/s`; nothing where there is no rate."""
    return "" if left is None else f"{int(left)} of {connection.at_once:g}, {connection.rate:g}/s"


def _standing(state: ConnectionState | None) -> str:
    if state is None:
        return "not used yet"
    if state.paused_for:
        return "paused"
    return f"out for {span(state.out_for)}" if state.faults else "works"


def _why(state: ConnectionState | None) -> str:
    if state is None:
        return ""
    if state.paused_for:
        from pipelines.desk import FOR_EVER

        return (
            "until `orderwire resume`" if state.paused_for > FOR_EVER / 2 else f"for another {span(state.paused_for)}"
        )
    return state.blocked_reason if state.faults else ""


def span(lasting: float) -> str:
    """`3 h`: one unit is enough for people."""
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if lasting >= 2 * size:
            return f"{lasting / size:.0f} {unit}"
    return f"{lasting:.0f} s"


def seconds(text: str) -> float:
    """A span as people type it: 30m, 2h, 1d12h."""
    parts = _SPAN.findall(text.replace(" ", ""))
    if not parts or "".join(number + unit for number, unit in parts) != text.replace(" ", ""):
        raise typer.BadParameter(f"{text!r} is not a span of time like 30m, 2h or 1d12h")
    return float(sum(int(number) * _UNITS[unit] for number, unit in parts))


def pause(
    connection: Annotated[str, typer.Argument(help="Name of the connection.")],
    for_: Annotated[str, typer.Option("--for", help="How long, as 30m, 2h, 1d; until `resume` where not given.")] = "",
    file: File = DEFAULT,
) -> None:
    """Write nothing to a connection for a while. Deliveries are taken in as ever; their orders wait."""
    settings = load(file, with_secrets=False)
    settings.connection(connection)
    with open_ledger(settings) as ledger:
        desk(ledger).pause_connection(connection, seconds(for_) if for_ else None, actor=actor())
    say(
        f"{connection} is paused{' for ' + for_ if for_ else ''}. What to do when it may go on: `orderwire resume {connection}`."
    )


def resume(connection: Annotated[str, typer.Argument(help="Name of the connection.")], file: File = DEFAULT) -> None:
    """End a pause, and try at once a connection that is out."""
    settings = load(file, with_secrets=False)
    settings.connection(connection)
    with open_ledger(settings) as ledger:
        desk(ledger).resume_connection(connection, actor=actor())
    say(f"{connection} may be used again.")


def alerts(
    recent: Annotated[bool, typer.Option("--all", help="Closed ones too, newest first.")] = False,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """What somebody should know at present: one line a cause."""
    with open_ledger(load(file, with_secrets=False)) as ledger:
        found = ledger.alerts.recent() if recent else ledger.alerts.opened()
    if as_json:
        print_json([{name: getattr(a, name) for name in a.__slots__} for a in found])
        return
    if not found:
        say("No alert is open.")
        return
    rows = [
        (
            when(a.opened_at),
            "open" if a.closed_at is None else f"closed {when(a.closed_at)}",
            a.title,
            a.closing or a.message,
        )
        for a in found
    ]
    print_table(("since (UTC)", "", "what", ""), rows)


def backup(
    target: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")], file: File = DEFAULT
) -> None:
    """Copy the whole ledger while it works."""
    from ledger.backup import backup as copy

    copy(_database(load(file, with_secrets=False)), target)
    say(f"The ledger is in {target} ({target.stat().st_size} bytes).")


def restore(source: Annotated[Path, typer.Argument(help="A file that `backup` wrote.")], file: File = DEFAULT) -> None:
    """Put a copy in the place of a ledger that is empty or gone. Stop every process before."""
    from ledger.backup import restore as put_back

    put_back(_database(load(file, with_secrets=False)), source)
    say(
        "The ledger is back. What happened after the copy is polled again, and looked for in the CRM before it is created. "
        "What to do: start Orderwire; `orderwire backfill --since <day of the copy>` takes in what no poll reaches."
    )


def _database(settings: Settings) -> str:
    from pipelines import wiring

    url = wiring.ledger_url(settings.ledger)
    if url.get_backend_name() == "sqlite" and not url.database:
        raise ConfigurationProblem("The ledger is in memory only. What to do: give [ledger] url a file.")
    return url.render_as_string(hide_password=False)
