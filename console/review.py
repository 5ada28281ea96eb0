"""`review`: the list of what only a person can decide, here or in a spreadsheet."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console import sheets
from console.noting import note as noted
from console.noting import who
from console.opening import DEFAULT, PROBLEM, AsJson, File, load, open_context, open_ledger
from console.output import print_json, print_table, say, when
from core.errors import ConfigurationProblem, OrderwireError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from jinja2 import Template

    from ledger import Ledger
    from ledger.reviews import Review

review_app = typer.Typer(
    help="Decide what is doubtful: which order, which customer of the CRM is it?",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Id = Annotated[int, typer.Argument(help="Number of the question.", metavar="ID")]
Note = Annotated[str, typer.Option(help="Why: it is kept with the decision.")]
Kind = Annotated[str, typer.Option(help="Only this kind: order or customer.")]


@review_app.command("list")
def list_reviews(
    kind: Kind = "",
    decided: Annotated[bool, typer.Option("--decided", help="Those that were decided, instead.")] = False,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Questions that are open, with the best candidates."""
    with open_ledger(load(file, with_secrets=False)) as ledger:
        found = ledger.reviews.list(decided=decided, kind=_kind(kind))
    if as_json:
        print_json([_fields(one) for one in found])
        return
    if not found:
        say("Nothing was decided yet." if decided else "No question is open.")
        return
    last = "decided" if decided else "candidates (score)"
    print_table(("id", "kind", "what", last), [_row(one) for one in found])
    if not decided:
        say("What to do: `orderwire review show ID`, then `orderwire review decide ID link REMOTE` or `... new`.")


def _kind(kind: str) -> str:
    if kind not in {"", "order", "customer"}:
        raise ConfigurationProblem(f"There is no kind {kind!r}. What to do: use order or customer.")
    return kind


def _row(one: Review) -> tuple[str, ...]:
    from pipelines.review import in_words

    if one.decided:
        at = when(one.decided_at) if one.decided_at else ""
        return str(one.id), one.kind, one.label, f"{in_words(one)}, by {one.decided_by}, {at} UTC"
    shown = ", ".join(f"{c.number or c.id} ({c.score})" for c in one.candidates[:4])
    return str(one.id), one.kind, one.label, shown + (" ..." if len(one.candidates) > 4 else "")


def _fields(one: Review) -> dict[str, Any]:
    names = ("id", "target", "kind", "key", "label", "decision", "remote_id", "note", "decided_by", "decided_at")
    candidates = [{name: getattr(c, name) for name in c.__slots__} for c in one.candidates]
    return {name: getattr(one, name) for name in names} | {"candidates": candidates}


@review_app.command()
def show(review: Id, file: File = DEFAULT, as_json: AsJson = False) -> None:
    """One question with all its candidates, what speaks for each and what against."""
    from pipelines import review as work

    with open_ledger(load(file, with_secrets=False)) as ledger:
        one = work.get(ledger, review)
    if as_json:
        print_json(_fields(one))
        return
    say(f"{one.kind} {one.key} ({one.target}): {one.label}")
    rows = [(c.id, c.number, c.label, str(c.score), "; ".join(c.reasons)) for c in one.candidates]
    print_table(("id", "number", "is", "score", "why"), rows)
    if one.decided:
        say(f"Decided: {_row(one)[3]}{'. ' + one.note if one.note else ''}")
    else:
        say(f"What to do: `orderwire review decide {one.id} link ID`, or `orderwire review decide {one.id} new`.")


@review_app.command()
def decide(
    review: Id,
    decision: Annotated[str, typer.Argument(help="link: it is REMOTE. new: it is none of them.")],
    remote: Annotated[str, typer.Argument(help="Id or number of the record in the CRM.")] = "",
    note: Note = "",
    file: File = DEFAULT,
) -> None:
    """Answer a question. The answer is carried out at once, and remembered."""
    from pipelines import review as work

    if decision not in {"link", "new"} or (decision == "link") != bool(remote):
        raise ConfigurationProblem(
            f"`{decision} {remote}` is no answer. What to do: `decide {review} link REMOTE`, or `decide {review} new`."
        )
    with open_ledger(load(file, with_secrets=False)) as ledger:
        one = work.decide(ledger, review, "link" if decision == "link" else "new", remote, by=who(), note=note)
        _noted(ledger, one)
    say(f"{one.label}: {work.in_words(one)}. `orderwire review undo {one.id}` takes it back.")


def _noted(ledger: Ledger, one: Review) -> None:
    from pipelines import review as work

    noted(ledger, "review.decide", f"review/{one.id}", **work.facts_of(one))


@review_app.command()
def undo(review: Id, file: File = DEFAULT) -> None:
    """Take an answer back, as long as nothing was built on it."""
    from pipelines import review as work

    with open_context(load(file)) as context:
        one = work.undo(context, review, by=who())
        noted(context.ledger, "review.undo", f"review/{one.id}", record=work.key_of(one))
    say(f"{one.label} is open again.")


@review_app.command()
def export(
    target: Annotated[Path, typer.Argument(help="FILE.csv to fill in, or FILE.html to read.", metavar="FILE")],
    kind: Kind = "",
    file: File = DEFAULT,
) -> None:
    """Write the open questions into a file: a table whose column `decision` is to be filled in, or a page."""
    from pipelines import answers

    make = {".csv": answers.as_csv, ".html": as_html}.get(target.suffix.lower())
    if make is None:
        raise ConfigurationProblem(
            f"{target} is neither a table nor a page. What to do: name it FILE.csv or FILE.html."
        )
    with open_ledger(load(file, with_secrets=False)) as ledger:
        found, now = ledger.reviews.list(kind=_kind(kind)), ledger.clock.now()
    text = as_html(found, now) if make is as_html else answers.as_csv(found)
    try:
        target.write_text(text, encoding="utf-8-sig" if make is answers.as_csv else "utf-8", newline="")
    except OSError as error:
        raise ConfigurationProblem(
            f"{target} cannot be written ({error.strerror}). What to do: name another file."
        ) from None
    say(f"{len(found)} questions are in {target}.")
    if make is answers.as_csv and found:
        say(
            "What to do: write link beside the candidate that it is, or new where it is none; then "
            f"`orderwire review import {target}`."
        )


@review_app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="The table that was filled in.", metavar="FILE.csv")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look at it; decide nothing.")] = False,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Carry out what was decided in a table. Lines that are wrong are listed and left out. Exit code 1: there were some."""
    from pipelines import answers
    from pipelines import review as work

    lines = sheets.read(source)
    done = 0
    with open_ledger(load(file, with_secrets=False)) as ledger:
        found = answers.read(lines, ledger)
        for answer in [] if dry_run else found.good:
            try:
                one = work.decide(ledger, answer.review, answer.decision, answer.remote, by=who(), note=answer.note)
                _noted(ledger, one)
                done += 1
            except OrderwireError as error:
                found.bad.append((answer.line, error.message))
    if as_json:
        bad = [{"line": line, "reason": reason} for line, reason in found.bad]
        print_json({"good": len(found.good), "decided": done, "open": found.left_open, "bad": bad})
    else:
        for line, reason in found.bad:
            say(f"Line {line}: {reason}")
        what = f"{len(found.good)} could be decided" if dry_run else f"{done} decided"
        say(f"{what}, {found.left_open} left open, {len(found.bad)} lines wrong.")
    if found.bad:
        raise typer.Exit(PROBLEM)


# -- the page --------------------------------------------------------------------------------------------------------


def as_html(reviews: Sequence[Review], now: datetime) -> str:
    """One page that needs nothing else."""
    return _template().render(reviews=reviews, made_at=when(now))


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parent / "templates"
    made = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
    return made.get_template("review.html")
