"""`jobs list`, `jobs show`, `jobs retry` and `jobs skip`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from console.noting import note
from console.opening import DEFAULT, PROBLEM, AsJson, File, load, open_ledger
from console.output import print_json, print_table, say, when
from core.errors import ConfigurationProblem, OrderwireError
from core.keys import Key

if TYPE_CHECKING:
    from ledger import Ledger
    from ledger.jobs import JobView

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
    """Show one job: every attempt, every delivery, and the records that it led to."""
    with open_ledger(load(file, with_secrets=False)) as ledger:
        view = _job(ledger, job)
        attempts = ledger.jobs.attempts(job)
        events = ledger.inbox.events(Key.parse(view.key))
        links = ledger.links.of_key(view.key)
    link_rows = [asdict(link) for link in links]
    if as_json:
        print_json({"job": asdict(view), "attempts": attempts, "events": events, "links": link_rows})
        return
    facts = asdict(view) | {"warnings": "\n".join(view.warnings)}
    print_table(("job", str(job)), [(name, str(value)) for name, value in facts.items() if str(value)])
    for title, rows in (("attempts", attempts), ("deliveries", events), ("links", link_rows)):
        say(f"\n{title}: {len(rows)}")
        for row in rows:
            say("  " + ", ".join(f"{key}={value}" for key, value in row.items() if value not in ("", None, [])))


def retry(jobs: Annotated[list[int], typer.Argument(help="Numbers of jobs.")], file: File = DEFAULT) -> None:
    """Run jobs again now, from the newest state of their records. The running Orderwire takes them up."""
    with open_ledger(load(file, with_secrets=False)) as ledger:
        _each(ledger, jobs, ledger.jobs.retry, "job.retry", "is due again")


def skip(
    jobs: Annotated[list[int], typer.Argument(help="Numbers of jobs.")],
    reason: Annotated[str, typer.Option(help="Why: it is kept with the job and shown to others.")],
    file: File = DEFAULT,
) -> None:
    """Set jobs aside for good. A newer state of the order wakes its job again."""
    if not reason.strip():
        raise ConfigurationProblem("A reason is missing. What to do: say why with --reason.")
    with open_ledger(load(file, with_secrets=False)) as ledger:
        skipped = ledger.jobs.skip
        _each(ledger, jobs, lambda job: skipped(job, reason.strip()), "job.skip", "is skipped", reason=reason.strip())


def _job(ledger: Ledger, job: int) -> JobView:
    view = ledger.jobs.get(job)
    if view is None:
        raise OrderwireError(f"There is no job {job}. What to do: see `orderwire jobs list`.")
    return view


def _each(
    ledger: Ledger, jobs: Sequence[int], change: Callable[[int], bool], action: str, done: str, **facts: str
) -> None:
    """All or none of them must exist; then each is changed where its state allows it."""
    before = {job: _job(ledger, job) for job in jobs}
    failed = 0
    for job in dict.fromkeys(jobs):
        if change(job):
            was = before[job]
            note(ledger, action, f"job/{job}", number=was.number, flow=was.flow, was=was.state, **facts)
            say(f"Job {job} {done}.")
        else:
            failed += 1
            say(f"Job {job} is {_job(ledger, job).state} and cannot be changed now.", err=True)
    if failed:
        raise typer.Exit(PROBLEM)
