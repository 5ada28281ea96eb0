"""`flow list`, `flow live`, `flow rehearse`, `flow pause` and `flow resume`: who may write, and from when on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.noting import note as noted
from console.noting import who
from console.opening import DEFAULT, AsJson, File, load, open_ledger
from console.output import print_json, print_table, say, when
from core.clock import parse_utc
from core.errors import ConfigurationProblem

if TYPE_CHECKING:
    from core.settings import Settings
    from ledger import Ledger
    from ledger.flows import FlowState

flow_app = typer.Typer(
    help="See and set whether a flow is rehearsed, live or paused.", no_args_is_help=True, rich_markup_mode=None
)
Name = Annotated[str, typer.Argument(help="Name of the flow.", metavar="FLOW")]
Note = Annotated[str, typer.Option(help="Why: it is kept with the change.")]


@flow_app.command("list")
def list_flows(file: File = DEFAULT, as_json: AsJson = False) -> None:
    """Every flow: rehearsed (nothing is written), live (since when, from which orders on) or paused."""
    settings = load(file, with_secrets=False)
    with open_ledger(settings) as ledger:
        names = [flow.name for flow in settings.flows] + [flow.name for flow in settings.reps]
        states = [ledger.flows.get(name) for name in names]
    if as_json:
        print_json([{"flow": s.flow, "mode": s.mode, "start": s.start, "changed_at": s.changed_at} for s in states])
        return
    columns = ("flow", "mode", "creates orders placed from (UTC)", "since (UTC)", "by", "note")
    print_table(columns, [_row(state) for state in states])


def _row(state: FlowState) -> tuple[str, ...]:
    start = when(state.start) if state.start else "any time" if state.live else ""
    since = when(state.changed_at) if state.changed_at else "the beginning"
    return state.flow, state.mode, start, since, state.changed_by, state.note


@flow_app.command()
def live(
    flow: Name,
    from_: Annotated[
        str, typer.Option("--from", help="Orders placed before this time are never created; now, if not given.")
    ] = "",
    any_age: Annotated[
        bool, typer.Option("--any-age", help="Create orders of any age: only where the CRM has none of them yet.")
    ] = False,
    note: Note = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    file: File = DEFAULT,
) -> None:
    """Let a flow write. What was rehearsed is run for real; older orders are linked or listed, never created."""
    from pipelines import golive

    if from_ and any_age:
        raise ConfigurationProblem("--from and --any-age contradict each other. What to do: give one of them.")
    settings = load(file, with_secrets=False)
    if any(one.name == flow for one in settings.reps):
        _live_reps(settings, flow, note, given=bool(from_ or any_age), yes=yes)
        return
    with open_ledger(settings) as ledger:
        before = ledger.flows.get(known_of_any(settings, flow))
        if before.live and not (from_ or any_age):
            say(f"{flow} is live already{_from(before)}. What to do: nothing; --from TIME moves its start on.")
            return
        start = None if any_age else moment(from_) if from_ else ledger.clock.now()
        golive.require_later(before, start)
        words = f"orders placed from {when(start)} UTC on" if start else "orders of any age"
        _tell_rehearsed(ledger, settings, flow, start)
        _tell_moved(before, start)
        confirm(f"{flow} will create {words} in {_target(settings, flow)}.", yes=yes)
        woken = golive.go_live(ledger, flow, start, by=who(), note=note)
        _noted(ledger, before, note)
    say(f"{flow} is live and creates {words}. Looked at now: {_orders(woken)} that waited in rehearsal.")


def _from(state: FlowState) -> str:
    return f" and creates orders placed from {when(state.start)} UTC on" if state.start else ""


def _orders(count: int) -> str:
    return "1 order" if count == 1 else f"{count} orders"


def _tell_rehearsed(ledger: Ledger, settings: Settings, flow: str, start: datetime | None) -> None:
    """What is known of the orders that wait, before anybody is asked."""
    from console import forecasts
    from console.rehearse import LAST, rehearsals, report

    one = next(one for one in settings.flows if one.name == flow)
    asked, came_in = rehearsals(ledger, flow)
    waiting = report(ledger, settings, one, came_in, start) if came_in and came_in.state == "running" else None
    if waiting is not None and waiting.items:
        say(f"What came in since {when(waiting.run.started_at)} UTC: {forecasts.sentence(waiting.forecast)}")
        if waiting.forecast.too_old.count:
            # Not the oldest order's time: an edit of a very old order came in as well, and stays somebody else's.
            since = f"{waiting.run.started_at:%Y-%m-%dT%H:%M:%S}"
            say(f"To create those placed since the rehearsal began as well: --from {since}")
    if asked is not None:
        span = report(ledger, settings, one, asked)
        say(f"Rehearsed on {when(span.made_at)} UTC, {span.subject}: {forecasts.sentence(span.forecast)}")
    elif waiting is None or not waiting.items:
        say(
            f"WARNING: nothing was rehearsed for {flow}, so nobody knows what would be held. "
            f"What to do first: `orderwire rehearse {flow} --last {LAST}`."
        )


def _tell_moved(before: FlowState, start: datetime | None) -> None:
    """A flow that was live once keeps its start with `resume`; a new one leaves a gap."""
    if before.start is not None and start is not None and start > before.start:
        say(
            f"Its start was {when(before.start)} UTC: orders placed between the two that are not carried yet are never created "
            f"then. What to do if they shall be: `orderwire flow resume {before.flow}` instead, which keeps the start."
        )


@flow_app.command()
def rehearse(flow: Name, note: Note = "", file: File = DEFAULT) -> None:
    """Take a flow off live: what comes in is planned and kept, nothing is written any more."""
    from pipelines import golive

    with _changing(file, flow, note) as (ledger, before):
        golive.take_off(ledger, flow, by=who(), note=note)
    back = "resume" if before.changed_at else "live"
    reps = any(one.name == flow for one in load(file, with_secrets=False).reps)
    look = f"`orderwire jobs list --flow {flow}`" if reps else f"`orderwire rehearse {flow} --show`"
    say(
        f"{flow} is rehearsed: nothing is written, what comes in is planned and kept. "
        f"What to do next: {look}; `orderwire flow {back} {flow}` when you are ready."
    )


@flow_app.command()
def pause(flow: Name, note: Note = "", file: File = DEFAULT) -> None:
    """Let nothing of a flow run. What comes in is kept and waits."""
    from pipelines import golive

    with _changing(file, flow, note) as (ledger, _):
        golive.pause(ledger, flow, by=who(), note=note)
    say(
        f"{flow} is paused: what comes in is kept and waits; every process follows within a second. "
        f"What to do next: `orderwire flow resume {flow}`."
    )


@flow_app.command()
def resume(flow: Name, note: Note = "", file: File = DEFAULT) -> None:
    """End a pause, or a rehearsal after being live: live again, with the start it had."""
    from pipelines import golive

    with _changing(file, flow, note) as (ledger, _):
        woken = golive.resume(ledger, flow, by=who(), note=note)
        state = ledger.flows.get(flow)
    say(f"{flow} is live again{_from(state)}." + (f" Looked at now: {_orders(woken)} that waited." if woken else ""))


@contextmanager
def _changing(file: Path, flow: str, note: str) -> Iterator[tuple[Ledger, FlowState]]:
    """The ledger, and the flow as it was; what became of it is noted unless it was refused."""
    settings = load(file, with_secrets=False)
    with open_ledger(settings) as ledger:
        before = ledger.flows.get(known_of_any(settings, flow))
        yield ledger, before
        _noted(ledger, before, note)


def _noted(ledger: Ledger, before: FlowState, note: str) -> None:
    from pipelines.desk import flow_facts

    facts = flow_facts(before, ledger.flows.get(before.flow), note)
    noted(ledger, "flow.set", f"flow/{before.flow}", **facts)


def known(settings: Settings, flow: str) -> str:
    """The flow's name, if it is configured."""
    names = [one.name for one in settings.flows]
    if flow not in names:
        raise ConfigurationProblem(
            f"There is no flow named {flow!r}. What to do: use one of {', '.join(names) or 'none, for none is configured yet'}."
        )
    return flow


def known_of_any(settings: Settings, flow: str) -> str:
    """The same of any kind: of orders, or of sales reps."""
    return flow if any(one.name == flow for one in settings.reps) else known(settings, flow)


def _live_reps(settings: Settings, flow: str, note: str, *, given: bool, yes: bool) -> None:
    """A flow of sales reps has no start: whom the ERP names today counts for every customer."""
    from pipelines import golive

    if given:
        raise ConfigurationProblem(f"{flow} carries no orders. What to do: leave out --from and --any-age.")
    target = next(one.target for one in settings.reps if one.name == flow)
    with open_ledger(settings) as ledger:
        before = ledger.flows.get(flow)
        if before.live:
            say(f"{flow} is live already. What to do: nothing.")
            return
        what = f"will set owners in {target}" if target else "will tell its portals"
        confirm(f"{flow} {what}; `orderwire jobs list` shows with each customer what would be.", yes=yes)
        woken = golive.go_live(ledger, flow, None, by=who(), note=note)
        _noted(ledger, before, note)
    customers = "1 customer" if woken == 1 else f"{woken} customers"
    say(f"{flow} is live. Looked at now: {customers} that waited in rehearsal.")


def _target(settings: Settings, flow: str) -> str:
    return next((one.target for one in settings.flows if one.name == flow), "nowhere")


def moment(text: str) -> datetime:
    """A day or a time as people type it; UTC where it has no offset."""
    try:
        return parse_utc(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day or time like 2026-03-01 or 2026-03-01T08:00+01:00") from None


def confirm(sentence: str, *, yes: bool) -> None:
    """Ask where somebody can answer; a script says --yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationProblem(f"{sentence} What to do: add --yes if that is what you want.")
    typer.confirm(f"{sentence} Go on?", abort=True)


def set_live(ledger: Ledger, flows: list[str], note: str) -> None:
    """For what is made to be thrown away: a demonstration."""
    from pipelines import golive

    for flow in flows:
        golive.go_live(ledger, flow, None, by="orderwire", note=note)
