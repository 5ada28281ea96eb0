"""Follows problems: notes when one begins and how it ends, brings snoozed ones back, counts whose orders they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from core.clock import from_micros
from ledger import Ledger
from ledger.care import End, Spell
from ledger.flows import REHEARSED
from ledger.jobs import JobView
from ledger.problems import OUTAGE, Problem, Problems, fingerprint
from ledger.runs import RunView
from pipelines import bulk
from pipelines.buyers import MOST as COUNTABLE
from pipelines.buyers import Buyers
from pipelines.caring import SHOWN_FOR, grade, look, over

log = structlog.get_logger(__name__)

EVERY: Final = 10.0
COUNTED: Final = 3
"""Problems of one round whose customers are counted: each asks for all of its orders."""
_AT_WORK: Final = ("", "busy", "lease lost", "ledger away")
"""Classes of waiting jobs that go on within seconds."""
RUNS: Final = 50
"""Bulk actions that are looked through for the one that ended a problem."""


def follow(ledger: Ledger, buyers: Buyers | None = None) -> int:
    """One round. How many problems are open."""
    problems = Problems(ledger.db).open()
    ledger.care.see(problems)
    present = {one.id: one for one in problems}
    for spell in ledger.care.open_spells().values():
        if spell.problem not in present:
            _end(ledger, spell)
    _wake(ledger, present)
    if buyers is not None:
        _count(ledger, present, buyers)
    ledger.care.forget(SHOWN_FOR)
    return len(problems)


# -- how they end ------------------------------------------------------------------------------------------------------


def _end(ledger: Ledger, spell: Spell) -> None:
    end = _ended_connection(ledger, spell) if spell.error_class == OUTAGE else _ended_jobs(ledger, spell)
    if end is not None and ledger.care.end(spell, end):
        log.info("a problem has ended", problem=spell.problem, ending=end.ending, run=end.run_id)


def _ended_connection(ledger: Ledger, spell: Spell) -> End:
    """Nothing waits for it any more: it works again, or was out with nothing left to carry."""
    return End("itself" if spell.target in ledger.care.outages() else "works again")


def _ended_jobs(ledger: Ledger, spell: Spell) -> End | None:
    """By what became of the jobs that were last seen in it. None: some are only being tried, so it may not have ended."""
    views = [view for view in map(ledger.jobs.get, spell.jobs) if view is not None]
    if any(map(_tried, views)):
        return None
    states = Counter(view.state for view in views)
    runs = _runs(ledger, spell)
    if states["settled"]:
        return _settled(ledger, spell, runs)
    if states["skipped"] and states["skipped"] == len(views):
        return _skipped(ledger, spell, views, runs)
    return End("other reason" if _elsewhere(views, spell) else "itself")


def _tried(view: JobView) -> bool:
    return view.state == "running" or (view.state == "waiting" and view.error_class in _AT_WORK)


def _elsewhere(views: Sequence[JobView], spell: Spell) -> bool:
    return any(
        fingerprint(view.flow, view.target, view.error_class, view.reason) != spell.problem
        for view in views
        if view.state in {"held", "waiting"} and view.error_class != REHEARSED
    )


def _runs(ledger: Ledger, spell: Spell) -> Mapping[str, RunView]:
    """The last bulk action of each kind on this problem, since it began."""
    found: dict[str, RunView] = {}
    for kind in bulk.KINDS:
        for run in ledger.runs.list(kind=kind, limit=RUNS):
            if run.options.get("problem") == spell.problem and run.started_at >= spell.opened_at and bulk.done(run):
                found.setdefault(kind, run)
    return found


def _settled(ledger: Ledger, spell: Spell, runs: Mapping[str, RunView]) -> End:
    if "retry" in runs:
        return End("retried", runs["retry"].by, run_id=runs["retry"].id)
    for doing in ledger.care.doings(spell.jobs, spell.opened_at):
        if doing.action in {"job.retry", "job.edit"}:
            return End("retried", doing.actor)
    return End("itself")


def _skipped(ledger: Ledger, spell: Spell, views: Sequence[JobView], runs: Mapping[str, RunView]) -> End:
    if "skip" in runs:
        run = runs["skip"]
        return End("skipped", run.by, str(run.options.get("reason", "")), run.id)
    for doing in ledger.care.doings(spell.jobs, spell.opened_at):
        if doing.action == "job.skip":
            return End("skipped", doing.actor, str(doing.facts.get("reason", "")))
    return End("skipped", "", views[0].reason)  # by a rule


# -- snoozes -----------------------------------------------------------------------------------------------------------


def _wake(ledger: Ledger, present: Mapping[str, Problem]) -> None:
    """End the snoozes that are over, and tell anew of what is back."""
    outages, now = ledger.care.outages(), from_micros(ledger.db.micros())
    for care in ledger.care.all().values():
        problem = present.get(care.problem)
        if problem is None:
            continue  # it has ended; if it is back, this is looked at again
        why = over(care, problem.count, grade(problem, outages), now)
        if why and ledger.care.wake(care.problem, why=why, before=care.snoozed_until):
            ledger.alerts.remind(cause(problem))


def cause(problem: Problem) -> str:
    """The alert that tells of it (`pipelines.conditions`)."""
    if problem.error_class == OUTAGE:
        return f"connection/{problem.target}"
    return f"held/{problem.flow}/{problem.error_class}"


def hushed(ledger: Ledger) -> set[str]:
    """Causes of alerts of which nothing is told now: everything that they are about is snoozed."""
    if not any(care.snoozed_until for care in ledger.care.all().values()):
        return set()
    told: set[str] = set()
    asleep: set[str] = set()
    for one in look(ledger):
        if one.problem.states.get("held") or one.outage:
            (asleep if one.snoozed else told).add(cause(one.problem))
    return asleep - told


# -- whose orders ------------------------------------------------------------------------------------------------------


def _count(ledger: Ledger, present: Mapping[str, Problem], buyers: Buyers) -> None:
    """A few problems a round: those that nobody has counted, then those that have changed."""
    stale = [
        spell
        for spell in ledger.care.open_spells().values()
        if spell.problem in present and spell.customers_of != min(present[spell.problem].count, COUNTABLE)
    ]
    for spell in sorted(stale, key=lambda spell: (spell.customers is not None, spell.id))[:COUNTED]:
        found = Problems(ledger.db).get(spell.problem)
        if found is not None:
            ledger.care.counted(spell, *buyers.of(found[1]))
