"""`problems list`, `show`, `snooze`, `wake`, `assign` and `note`: what is wrong now, by cause, and who sees to it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.noting import actor
from console.opening import DEFAULT, AsJson, File, load, open_ledger
from console.output import print_json, print_table, say, when
from core.errors import ConfigurationProblem, OrderwireError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from pipelines.caring import Cared, Caring

problems_app = typer.Typer(
    help="See what is wrong, by cause, and who takes care of it.", no_args_is_help=True, rich_markup_mode=None
)
Id = Annotated[str, typer.Argument(help="The problem, as `problems list` shows it.", metavar="PROBLEM")]


@problems_app.command("list")
def list_problems(
    *,
    ended: Annotated[bool, typer.Option("--ended", help="Those that ended within seven days, and how.")] = False,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """What keeps orders waiting, those to look at first; at the end those that are snoozed or known of."""
    with _caring(file) as caring:
        if ended:
            _print_ended(caring, as_json=as_json)
            return
        found = caring.open()
    if as_json:
        print_json([_fields(one) for one in found])
        return
    if not found:
        say("No problem is open: nothing is held, nothing fails.")
        return
    columns = ("problem", "where", "class", "orders", "money", "since (UTC)", "care", "what")
    print_table(columns, [_row(one) for one in found])


def _row(one: Cared) -> tuple[str, ...]:
    from core.money import show

    problem = one.problem
    money = ", ".join(show(amount, currency) for currency, amount in problem.amounts.items())
    count = f"{problem.count}+" if problem.capped else str(problem.count)
    what = problem.message.partition(" What to do:")[0]
    where = problem.flow or problem.target
    return (problem.id, where, problem.error_class or "unknown", count, money, when(one.since), _care(one), what)


def _care(one: Cared) -> str:
    care = one.care
    said = []
    if care.assignee:
        said.append(f"with {care.assignee}")
    if one.snoozed and care.snoozed_until is not None:
        said.append(f"snoozed until {when(care.snoozed_until)} UTC")
    if one.acknowledged:
        said.append(f"known of: {care.acknowledged_why}")
    return "; ".join(said)


def _fields(one: Cared) -> dict[str, Any]:
    care = one.care
    return asdict(one.problem) | {
        "since": one.since,
        "grade": one.grade.name.lower(),
        "assignee": care.assignee,
        "snoozed_until": care.snoozed_until if one.snoozed else None,
        "acknowledged": care.acknowledged_why if one.acknowledged else None,
    }


def _print_ended(caring: Caring, *, as_json: bool) -> None:
    found = caring.ended()
    if as_json:
        print_json([asdict(one) for one in found])
        return
    rows = [
        (
            one.problem,
            one.flow or one.target,
            one.error_class or "unknown",
            str(one.most),
            when(one.ended_at) if one.ended_at else "",
            ": ".join(part for part in (one.ending, one.ended_by, one.ended_why) if part),
        )
        for one in found
    ]
    print_table(("problem", "where", "class", "orders", "ended (UTC)", "how"), rows)


@problems_app.command("show")
def show(problem: Id, file: File = DEFAULT, as_json: AsJson = False) -> None:
    """One problem: what it is, its notes, and the numbers of its jobs."""
    with _caring(file) as caring:
        one, members = _found(caring, problem)
        notes = caring.notes(problem)
    if as_json:
        jobs = [member.id for member in members]
        print_json(_fields(one) | {"notes": [asdict(note) for note in notes], "jobs": jobs})
        return
    names = ("problem", "where", "class", "orders", "money", "since (UTC)", "care", "what")
    print_table(("", ""), [(name, value) for name, value in zip(names, _row(one), strict=True) if value])
    for note in notes:
        say(f"\n{note.by}, {when(note.at)} UTC:\n{note.text}")
    some = ", ".join(str(member.id) for member in members[:20])
    say(f"\njobs: {some}" + (" ..." if len(members) > len(members[:20]) else ""))


@problems_app.command("snooze")
def snooze(
    problem: Id,
    until: Annotated[
        str,
        typer.Option("--until", help="1h, 4h, tomorrow, monday (08:00), or a time such as 2026-12-01T08:00."),
    ],
    file: File = DEFAULT,
) -> None:
    """Out of sight for a while; it comes back by itself, and earlier when it more than doubles or becomes more serious."""
    with _caring(file) as caring:
        _found(caring, problem)
        one = caring.snooze(problem, _moment(caring, until, file), actor=actor())
    say(f"{problem} is {_care(one)}. Its {one.problem.count} orders wait and are counted as ever.")


def _moment(caring: Caring, until: str, file: Path) -> datetime:
    from zoneinfo import ZoneInfo

    from core.clock import from_micros
    from pipelines import caring as service

    zone = ZoneInfo(load(file, with_secrets=False).alerts.zone)
    try:
        return service.until(until, from_micros(caring.ledger.db.micros()), zone)
    except (ValueError, OverflowError):
        raise ConfigurationProblem(
            f"{until!r} is no time. What to do: use 1h, 4h, tomorrow, monday, or a time such as 2026-12-01T08:00."
        ) from None


@problems_app.command("wake")
def wake(problem: Id, file: File = DEFAULT) -> None:
    """End a snooze."""
    with _caring(file) as caring:
        _found(caring, problem)
        caring.wake(problem, actor=actor())
    say(f"{problem} is back.")


@problems_app.command("assign")
def assign(
    problem: Id,
    person: Annotated[str, typer.Argument(help="Name or e-mail; leave it out for nobody.", metavar="PERSON")] = "",
    file: File = DEFAULT,
) -> None:
    """Say who sees to it."""
    with _caring(file) as caring:
        _found(caring, problem)
        chosen = caring.ledger.people.named(person) if person else None
        if person and chosen is None:
            raise OrderwireError(f"There is nobody named {person!r}. What to do: see `orderwire people list`.")
        one = caring.assign(problem, chosen.id if chosen else None, actor=actor())
    say(f"{one.care.assignee} sees to {problem}." if one.care.assignee else f"Nobody sees to {problem} now.")


@problems_app.command("note")
def note(
    problem: Id,
    text: Annotated[str, typer.Argument(help="Plain text; others will read it.", metavar="TEXT")],
    file: File = DEFAULT,
) -> None:
    """Write something down about it."""
    with _caring(file) as caring:
        _found(caring, problem)
        caring.note(problem, text, actor=actor())
    say("Noted.")


@contextmanager
def _caring(file: Path) -> Iterator[Caring]:
    from pipelines.caring import Caring
    from pipelines.desk import Desk

    with open_ledger(load(file, with_secrets=False)) as ledger:
        yield Caring(Desk(ledger, ledger.audit))


def _found(caring: Caring, problem: str) -> tuple[Cared, Any]:
    found = caring.get(problem)
    if found is None:
        raise OrderwireError(f"There is no open problem {problem!r}. What to do: see `orderwire problems list`.")
    return found
