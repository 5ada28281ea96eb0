"""`jobs list`, `jobs show`, `jobs retry` and `jobs skip`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from console.noting import actor, desk
from console.opening import DEFAULT, PROBLEM, AsJson, File, load, open_ledger
from console.output import print_json, print_table, say, when
from core.errors import ConfigurationProblem
from core.keys import Key

if TYPE_CHECKING:
    from ledger.amendments import Choice, Disagreement
    from pipelines.desk import Desk

JobId = Annotated[int, typer.Argument(help="The job's number, as `jobs list` shows it.", metavar="JOB")]


def list_jobs(
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
    with open_ledger(load(file, with_secrets=False)) as ledger:
        found = ledger.jobs.list(state=state, flow=flow, search=search, limit=limit)
    if as_json:
        print_json([asdict(job) for job in found])
        return
    columns = ("job", "state", "order", "flow", "amount", "changed (UTC)", "why")
    rows = [
        (
            str(j.id),
            j.state,
            j.number or j.key,
            j.flow,
            f"{j.amount} {j.currency}".strip(),
            when(j.updated_at),
            j.reason,
        )
        for j in found
    ]
    print_table(columns, rows)


def show(job: JobId, file: File = DEFAULT, as_json: AsJson = False) -> None:
    """Show one job: every attempt, every delivery, and the records that it led to; both sides where one must be chosen."""
    from pipelines.choosing import open_for

    with open_ledger(load(file, with_secrets=False)) as ledger:
        view = desk(ledger).job(job)
        attempts = ledger.jobs.attempts(job)
        events = ledger.inbox.events(Key.parse(view.key))
        links = ledger.links.of_key(view.key)
        invoices = ledger.invoices.of_order(view.flow, view.key)
        both = open_for(ledger, view)
        state = ledger.orders.get(view.flow, view.key)
        goods = [asdict(taken) for taken in ledger.goods.of_order(view.flow, view.key)]
    link_rows = [asdict(link) for link in links]
    bills = [asdict(bill) for bill in invoices]
    if as_json:
        standing = asdict(state) if state is not None else None
        found = {"attempts": attempts, "events": events, "links": link_rows, "invoices": bills, "goods": goods}
        sides = [
            {"id": one.id, "part": one.asked.part, "rows": [asdict(row) for row in one.asked.rows]} for one in both
        ]
        print_json({"job": asdict(view), "standing": standing, **found, "conflicts": sides})
        return
    facts = asdict(view) | {"warnings": "\n".join(view.warnings)}
    facts |= {"crm_status": state.crm_status, "crm_seen_at": state.crm_seen_at or ""} if state is not None else {}
    print_table(("job", str(job)), [(name, str(value)) for name, value in facts.items() if str(value)])
    for one in both:
        _both_sides(one, view.target)
    if both:
        say(
            f"What to do: orderwire jobs choose {job} theirs (what {view.target} has stays), or store (it is replaced)."
        )
    listed = (
        ("attempts", attempts),
        ("deliveries", events),
        ("links", link_rows),
        ("invoices", bills),
        ("goods", goods),
    )
    for title, rows in listed:
        say(f"\n{title}: {len(rows)}")
        for row in rows:
            say("  " + ", ".join(f"{key}={value}" for key, value in row.items() if value not in ("", None, [])))


def _both_sides(one: Disagreement, target: str) -> None:
    from pipelines.choosing import in_words

    def said(text: str | None) -> str:
        return "(not there)" if text is None else text or "(empty)"

    say(f"\nChanged in {target} and in the store: {in_words(one.asked.part)} ({one.asked.part})")
    rows = [(row.field, row.wrote or "", said(row.theirs), said(row.stores)) for row in one.asked.rows]
    print_table(("field", "we wrote", f"theirs ({target})", "the store's"), rows)


def choose(
    job: JobId,
    choice: Annotated[str, typer.Argument(help="theirs: what the CRM has stays. store: it is replaced.")],
    part: Annotated[
        list[str] | None, typer.Option(help="Only this part, as `jobs show` names it; may be repeated.")
    ] = None,
    file: File = DEFAULT,
) -> None:
    """Choose where an order was changed in the CRM and in the store. The answer holds for exactly these values."""
    from pipelines.choosing import Choosing

    if choice not in {"theirs", "store"}:
        raise ConfigurationProblem(f"There is no choice {choice!r}. What to do: say theirs or store.")
    answer: Choice = "theirs" if choice == "theirs" else "store"
    with open_ledger(load(file, with_secrets=False)) as ledger:
        view = desk(ledger).job(job)
        service = Choosing(ledger, ledger.audit)
        done = service.choose(view, answer, actor=actor(), parts=part or ())
        left = len(service.open(view))
    for one in done:
        say(f"{one.asked.part}: {'what ' + view.target + ' has stays' if answer == 'theirs' else 'it is replaced'}.")
    say(f"{left} more to choose." if left else f"Job {job} is due again.")


def retry(jobs: Annotated[list[int], typer.Argument(help="Numbers of jobs.")], file: File = DEFAULT) -> None:
    """Run jobs again now, from the newest state of their records. The running Orderwire takes them up."""
    with open_ledger(load(file, with_secrets=False)) as ledger:
        found = desk(ledger)
        _each(found, jobs, lambda job: found.retry(job, actor=actor()), "is due again")


def skip(
    jobs: Annotated[list[int], typer.Argument(help="Numbers of jobs.")],
    reason: Annotated[str, typer.Option(help="Why: it is kept with the job and shown to others.")],
    file: File = DEFAULT,
) -> None:
    """Set jobs aside for good. A newer state of the order wakes its job again."""
    with open_ledger(load(file, with_secrets=False)) as ledger:
        found = desk(ledger)
        _each(found, jobs, lambda job: found.skip(job, reason, actor=actor()), "is skipped")


def _each(found: Desk, jobs: Sequence[int], change: Callable[[int], object], done: str) -> None:
    """All or none of them must exist; then each is changed where its state allows it."""
    from pipelines.desk import Refused

    for job in jobs:
        found.job(job)
    failed = 0
    for job in dict.fromkeys(jobs):
        try:
            change(job)
        except Refused as error:
            failed += 1
            say(error.message, err=True)
        else:
            say(f"Job {job} {done}.")
    if failed:
        raise typer.Exit(PROBLEM)
