"""Taking care of problems: whose it is, out of sight until when, known of, remarks, all of it skipped; and how it ended.

The services behind page, API and command line. A problem with held orders is resolved by retrying or skipping each of them,
never by a mark: no order is lost by resolving. Snoozing changes nothing for the orders; counts go on counting them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import IntEnum
from typing import Final
from zoneinfo import ZoneInfo

from core.clock import from_micros
from core.money import show
from core.rights import Right
from ledger import Ledger
from ledger.care import LONGEST, Care, Outage, Remark, Spell
from ledger.people import Person
from ledger.problems import OUTAGE, Problem, Problems
from ledger.runs import RunView
from ledger.search import Member, money_of
from pipelines import bulk
from pipelines.desk import Desk, Refused, Unknown, problem_name, required

LONGEST_SNOOZE: Final = timedelta(days=92)
MORNING: Final = time(8)
"""When a working day begins, in the reader's zone."""
MONDAY: Final = 0
SHOWN_FOR: Final = timedelta(days=7)
"""How long it is told that a problem has ended, and whose it was is remembered."""


class Grade(IntEnum):
    """How serious a problem is (pure). A snooze ends when it becomes more so."""

    TRIED = 1
    """Tried again by itself."""
    HELD = 2
    """Some of its orders need a person."""
    OUT = 3
    """A whole system does not answer; it is asked again by itself."""
    LOGIN = 4
    """A whole system refuses our login: that does not mend itself."""


@dataclass(frozen=True, slots=True)
class Cared:
    """A problem with what is arranged about it, as it stands at this moment."""

    problem: Problem
    care: Care
    grade: Grade
    snoozed: bool
    """Out of sight, and no message about it; its orders are counted as ever."""
    acknowledged: bool
    """Somebody knows of this very outage."""
    spell: Spell | None = None

    @property
    def quiet(self) -> bool:
        """Nobody needs to look at it now."""
        return self.snoozed or self.acknowledged

    @property
    def outage(self) -> bool:
        """A connection's, not an order's."""
        return self.problem.error_class == OUTAGE

    @property
    def since(self) -> datetime:
        """When it began: jobs that were tried again know only their last try."""
        return min(self.spell.opened_at, self.problem.first_seen) if self.spell else self.problem.first_seen


def grade(problem: Problem, outages: Mapping[str, Outage]) -> Grade:
    """How serious it is (pure)."""
    if problem.error_class == OUTAGE:
        out = outages.get(problem.target)
        return Grade.LOGIN if out is not None and out.error_class == "auth" else Grade.OUT
    return Grade.HELD if problem.states.get("held") else Grade.TRIED


def over(care: Care, count: int, present: Grade, now: datetime) -> str:
    """Why a snooze is over ("": it is not, or there is none): its time has come, or the problem is not what it was (pure)."""
    if care.snoozed_until is None:
        return ""
    if care.snoozed_until <= now:
        return "its time has come"
    if present > care.snoozed_grade:
        return "it has become more serious"
    if count > 2 * care.snoozed_count:
        return f"it has grown from {care.snoozed_count} to {count} orders"
    return ""


def standing(
    problem: Problem, care: Care, outages: Mapping[str, Outage], now: datetime, spell: Spell | None = None
) -> Cared:
    """The problem with its care (pure)."""
    present = grade(problem, outages)
    asleep = care.snoozed_until is not None and not over(care, problem.count, present, now)
    out = outages.get(problem.target) if problem.error_class == OUTAGE else None
    known = out is not None and care.acknowledged_since == out.since
    return Cared(problem, care, present, asleep, known, spell)


def until(choice: str, now: datetime, zone: ZoneInfo) -> datetime:
    """The moment that a choice means (pure): `1h`, `4h`, `tomorrow` and `monday` (at 08:00 in `zone`), or an ISO 8601 time, in
    `zone` where it names no offset. Aware UTC. Raises ValueError.
    """
    spans = {"1h": timedelta(hours=1), "4h": timedelta(hours=4)}
    if choice in spans:
        return now + spans[choice]
    today = now.astimezone(zone).date()
    days = {"tomorrow": 1, "monday": (MONDAY - today.weekday() - 1) % 7 + 1}
    if choice in days:
        morning = datetime.combine(today + timedelta(days=days[choice]), MORNING, zone)
        return morning.astimezone(UTC)
    found = datetime.fromisoformat(choice)
    return (found if found.tzinfo is not None else found.replace(tzinfo=zone)).astimezone(UTC)


def look(ledger: Ledger, found: Sequence[Problem] | None = None) -> list[Cared]:
    """Every open problem with its care; those that somebody should look at first."""
    problems = Problems(ledger.db).open() if found is None else found
    if not problems:
        return []
    cares, spells, outages = ledger.care.all(), ledger.care.open_spells(), ledger.care.outages()
    now = from_micros(ledger.db.micros())
    all_ = [standing(one, cares.get(one.id, Care(one.id)), outages, now, spells.get(one.id)) for one in problems]
    return sorted(all_, key=lambda one: one.quiet)


class Caring:
    """The services. Each change takes who does it (`actor`) and raises Unknown when the problem is gone."""

    def __init__(self, desk: Desk, amounts: Callable[[Sequence[Member]], Sequence[Member]] = lambda members: members):
        self.desk = desk
        self.ledger = desk.ledger
        self._amounts = amounts
        """Fills in what orders are worth that nobody has carried yet (`Worth.filled`)."""

    # -- looking ---------------------------------------------------------------------------------------------------

    def open(self) -> list[Cared]:
        """Every open problem, those that somebody should look at first."""
        return look(self.ledger)

    def get(self, problem_id: str) -> tuple[Cared, list[Member]] | None:
        """One problem and its orders, the oldest first. None when it is gone."""
        found = Problems(self.ledger.db).get(problem_id)
        if found is None:
            return None
        problem, members = found
        care = self.ledger.care
        now = from_micros(self.ledger.db.micros())
        last = care.spell(problem_id)
        spell = last if last is not None and last.ended_at is None else None
        return standing(problem, care.get(problem_id), care.outages(), now, spell), members

    def members(self, problem_ids: Sequence[str]) -> dict[str, list[Member]]:
        """The orders of many problems, the oldest first; those of problems that are gone are left out."""
        return Problems(self.ledger.db).members(problem_ids) if problem_ids else {}

    def ended(self, limit: int = 50) -> list[Spell]:
        """Problems that have ended within the last seven days, and how."""
        return self.ledger.care.ended(from_micros(self.ledger.db.micros()) - SHOWN_FOR, limit)

    def notes(self, problem_id: str) -> list[Remark]:
        """What people wrote about it, also when it was there before; the newest first."""
        return self.ledger.care.remarks(problem_id)

    def assignees(self) -> list[Person]:
        """Whom a problem can be given: people who may do something about it."""
        return [one for one in self.ledger.people.list() if one.disabled_at is None and one.may(Right.HANDLE)]

    def _open(self, problem_id: str) -> tuple[Cared, list[Member]]:
        found = self.get(problem_id)
        if found is None:
            raise Unknown("This problem is gone by itself: nothing waits for it any more. What to do: nothing.")
        if found[0].spell is None:
            self.ledger.care.see([found[0].problem])
        return found

    # -- arranging -------------------------------------------------------------------------------------------------

    def snooze(self, problem_id: str, until: datetime, *, actor: str) -> Cared:
        """Out of sight until then (aware), at most 92 days. It comes back earlier when it more than doubles or becomes more
        serious. Raises Refused for a time that has passed or is too far.
        """
        cared, _ = self._open(problem_id)
        now = from_micros(self.ledger.db.micros())
        if not now < until <= now + LONGEST_SNOOZE:
            raise Refused(
                f"A snooze ends in the future, within {LONGEST_SNOOZE.days} days. What to do: choose another time."
            )
        grade = int(cared.grade)
        self.ledger.care.snooze(problem_id, until, count=cared.problem.count, grade=grade, by=actor)
        return self._now(problem_id)

    def wake(self, problem_id: str, *, actor: str) -> Cared:
        """End a snooze by hand. Raises Refused where there is none."""
        self._open(problem_id)
        if not self.ledger.care.wake(problem_id, by=actor):
            raise Refused("This problem is not snoozed. What to do: nothing.")
        return self._now(problem_id)

    def assign(self, problem_id: str, person_id: int | None, *, actor: str) -> Cared:
        """Whose it is; None: nobody's. Raises Refused for somebody who may do nothing about it."""
        self._open(problem_id)
        name = ""
        if person_id is not None:
            chosen = [one for one in self.assignees() if one.id == person_id]
            if not chosen:
                raise Refused(
                    "This person is not there, is disabled, or may only look. What to do: choose an operator or an administrator."
                )
            name = chosen[0].name
        self.ledger.care.assign(problem_id, person_id, name, by=actor)
        return self._now(problem_id)

    def acknowledge(self, problem_id: str, reason: str, *, actor: str) -> Cared:
        """Somebody knows of this outage: it stands aside until it is over; the next one is told anew. Raises Refused where
        orders need something done: those are retried or skipped.
        """
        cared, _ = self._open(problem_id)
        out = self.ledger.care.outages().get(cared.problem.target) if cared.outage else None
        if out is None:
            raise Refused("Orders wait in this problem, so a mark does not resolve it. What to do: retry or skip them.")
        self.ledger.care.acknowledge(problem_id, out.since, required(reason), by=actor)
        return self._now(problem_id)

    def note(self, problem_id: str, text: str, *, actor: str) -> Remark:
        """Write something down about it, plain text of several lines. It is there again when the problem is."""
        said = "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").split("\n")).strip()
        if not said or len(said) > LONGEST:
            raise Refused(f"A note has between 1 and {LONGEST} characters. What to do: write it anew.")
        self._open(problem_id)
        self.ledger.care.remark(problem_id, said.replace("\x00", ""), by=actor)
        return self.notes(problem_id)[0]

    def _now(self, problem_id: str) -> Cared:
        """As it stands after the change; it may have ended in this very moment."""
        found = self.get(problem_id)
        if found is None:
            raise Unknown("This problem has just ended by itself. What to do: nothing.")
        return found[0]

    # -- resolving -------------------------------------------------------------------------------------------------

    def retry_all(self, problem_id: str, *, actor: str) -> RunView:
        """Retry all of its orders as a bulk action; a connection that is out is tried at once."""
        cared, members = self._open(problem_id)
        return self.desk.retry_problem(cared.problem, self._amounts(members), actor=actor)

    def skip_all(self, problem_id: str, reason: str, number: int, *, actor: str) -> RunView:
        """Skip all of its orders with a reason, as a bulk action. `number`: how many that is, as whoever does it has seen
        (`skippable`); Refused when it is another number by now, and for an outage, whose orders follow by themselves.
        """
        cared, members = self._open(problem_id)
        if cared.outage:
            raise Refused(
                "These orders follow by themselves when the system answers again. What to do: wait; skip single orders on "
                "their own pages."
            )
        why = required(reason)
        if number != skippable(members):
            raise Refused(
                f"There are {skippable(members)} orders now, not {number}; none was skipped. What to do: look at them, then "
                "give that number."
            )
        kept, problem = self._amounts(members), cared.problem
        options = {"flow": problem.flow, "problem": problem.id, "reason": why}
        run = bulk.begin(self.ledger, problem_name(problem), kept, by=actor, what="skip", **options)
        money = [show(amount, currency) for currency, amount in money_of(kept[: bulk.MOST]).items()]
        facts = {"name": problem_name(problem), "problem": problem.id, "jobs": number, "amounts": money, "reason": why}
        self.desk.audit.note(actor, "bulk.skip", f"bulk/{run.id}", facts)
        bulk.start(self.ledger, run.id)
        self.ledger.schedules.run_now(bulk.SCHEDULE)
        return self.desk.bulk(run.id)


def skippable(members: Sequence[Member]) -> int:
    """How many orders one bulk action takes."""
    return min(len(members), bulk.MOST)
