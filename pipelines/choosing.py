"""What people decide where an order was changed in the CRM and in the store: keep theirs, or take the store's. Audited."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Final

from ledger import Ledger
from ledger.amendments import CHANGED, Choice, Disagreement, Side
from ledger.jobs import JobView
from pipelines.amending import WORDS
from pipelines.desk import Notes, Refused, Unknown

HIDDEN: Final = "•••"
OPEN_TO_ALL: Final = frozenset({"lines", "status", "delivery_method", "payment_method", "owner", "account", "contact"})
"""Parts whose values are nobody's address or note."""


class Choosing:
    """The services. Each takes who decides."""

    def __init__(self, ledger: Ledger, audit: Notes, bell: Callable[[], object] = lambda: None) -> None:
        self.ledger, self.audit, self.bell = ledger, audit, bell

    def open(self, job: JobView) -> list[Disagreement]:
        """What this held job waits for, the oldest first."""
        return open_for(self.ledger, job)

    def choose(
        self, job: JobView, choice: Choice, *, actor: str, parts: Collection[str] = (), seen: Collection[int] = ()
    ) -> list[Disagreement]:
        """Answer for these parts (none: all that are open). With the last answer the job is due. `seen`: the disagreements that
        whoever decides has looked at; anything else by now, and nothing is done. Raises Refused or Unknown.
        """
        found = self.open(job)
        if not found:
            raise Refused(f"Job {job.id} waits for no such choice. What to do: look at it again; it may have moved on.")
        missing = set(parts) - {one.asked.part for one in found}
        if missing:
            raise Unknown(
                f"Nothing is open about {', '.join(sorted(missing))}. What to do: choose among "
                f"{', '.join(one.asked.part for one in found)}."
            )
        ids = [one.id for one in found if not parts or one.asked.part in parts]
        if seen and set(seen) != set(ids):
            raise _moved(job)
        done = self.ledger.amendments.decide(job, ids, choice, by=actor)
        if not done:
            raise _moved(job)
        facts: dict[str, Any] = {"number": job.number, "record": job.key, "flow": job.flow, "choice": choice}
        facts["parts"] = [one.asked.part for one in done]
        self.audit.note(actor, "job.choose", f"job/{job.id}", facts)
        self.bell()
        return done


def open_for(ledger: Ledger, job: JobView) -> list[Disagreement]:
    """What a held job waits for; nothing for any other job."""
    if job.state != "held" or job.error_class != CHANGED:
        return []
    return [one for one in ledger.amendments.of_order(job.target, job.key) if not one.choice]


def in_words(part: str) -> str:
    """A part of an order as people call it (pure)."""
    return WORDS.get(part, part)


def hidden(found: Sequence[Disagreement]) -> list[Disagreement]:
    """The same for those who may not decide: who differs where, without addresses and notes (pure)."""
    return [one if one.asked.part in OPEN_TO_ALL else _without_values(one) for one in found]


def _without_values(one: Disagreement) -> Disagreement:
    rows = tuple(
        Side(row.field, *(value and HIDDEN for value in (row.wrote, row.theirs, row.stores))) for row in one.asked.rows
    )
    return replace(one, asked=replace(one.asked, rows=rows))


def _moved(job: JobView) -> Refused:
    return Refused(
        f"Both sides of job {job.id} are not what they were: nothing was done. What to do: look at the job again, then choose."
    )
