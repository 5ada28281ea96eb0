"""What people do with the review list: answer a question, take an answer back, a whole table at once. Audited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from core.errors import OrderwireError
from ledger import Ledger
from ledger.jobs import JobView
from ledger.reviews import Decision, Review, Sort, Wanted
from ledger.search import LARGEST_ID
from pipelines import answers, review, sheets
from pipelines.answers import Answer, Answers
from pipelines.context import Context
from pipelines.desk import LONGEST_REASON, Notes, Refused, Unknown

MOST: Final = 5_000
"""Lines of a table that is taken at once."""
CONFLICT: Final = "duplicate/conflict"


SEARCHED: Final = 500
"""Questions at most that a text is looked for in, for whoever may not see what is hidden in them."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of the list: `count` questions on `last` pages. `cut`: only the first `SEARCHED` were looked through."""

    shown: Sequence[Review]
    count: int
    number: int
    last: int
    cut: bool = False


class ReviewDesk:
    """The services. Each takes who decides."""

    def __init__(self, context: Context, audit: Notes, bell: Callable[[], object] = lambda: None) -> None:
        self.context, self.ledger = context, context.ledger
        self.audit, self.bell = audit, bell

    def question(self, review_id: int) -> Review:
        """One question, open or decided. Raises Unknown."""
        found = self.ledger.reviews.get(review_id) if 0 < review_id <= LARGEST_ID else None
        if found is None:
            raise Unknown(f"There is no question {review_id}. What to do: see the list of those that are open.")
        return found

    def page(self, wanted: Wanted, sort: Sort, number: int, size: int, *, openly: bool) -> Listing:
        """A page of the list. Not `openly`: personal data is hidden, and a text finds nothing that is."""
        reviews = self.ledger.reviews
        if not openly and wanted.text:
            # What is hidden is not in the ledger, so what fits is looked at once more.
            fitting = reviews.some(wanted, sort=sort, limit=SEARCHED + 1)
            seen = [one for one in map(review.hidden, fitting[:SEARCHED]) if review.has(one, wanted.text)]
            last = max(1, -(-len(seen) // size))
            number = min(number, last)
            shown = seen[(number - 1) * size : number * size]
            return Listing(shown, len(seen), number, last, cut=len(fitting) > SEARCHED)
        count = reviews.count(wanted)
        last = max(1, -(-count // size))
        number = min(number, last)
        found = reviews.some(wanted, sort=sort, limit=size, skip=(number - 1) * size)
        return Listing(found if openly else [review.hidden(one) for one in found], count, number, last)

    def decide(self, review_id: int, decision: Decision, remote: str = "", *, actor: str, note: str = "") -> Review:
        """The answer is carried out at once, remembered, and what waited for it runs. Raises OrderwireError."""
        self.question(review_id)
        why = " ".join(note.split())[:LONGEST_REASON]
        one = review.decide(self.ledger, review_id, decision, remote, by=actor, note=why)
        self.audit.note(actor, "review.decide", f"review/{one.id}", review.facts_of(one))
        self.bell()
        return one

    def undo(self, review_id: int, *, actor: str) -> Review:
        """The question is open again. Raises OrderwireError that says what was built on the answer since."""
        before = self.question(review_id)
        one = review.undo(self.context, review_id, by=actor)
        self.audit.note(actor, "review.undo", f"review/{one.id}", review.facts_of(before))
        return one

    def look(self, raw: bytes, name: str) -> Answers:
        """What a table would decide, and which of its lines are wrong. Decides nothing. Raises ConfigurationProblem."""
        lines = sheets.parse(raw, name)
        if len(lines) > MOST:
            raise Refused(f"{name} has more than {MOST} lines. What to do: take it in parts.")
        return answers.read(lines, self.ledger)

    def decide_all(self, wanted: Sequence[Answer], *, actor: str) -> tuple[int, list[tuple[int, str]]]:
        """One after the other; how many were decided, and the lines that were refused, with the reason."""
        done, refused = 0, list[tuple[int, str]]()
        for one in wanted[:MOST]:
            try:
                self.decide(one.review, one.decision, one.remote, actor=actor, note=one.note)
                done += 1
            except OrderwireError as error:
                refused.append((one.line, error.message))
        return done, refused


def question_for(ledger: Ledger, job: JobView) -> Review | None:
    """The open question that this held job waits for."""
    if job.state != "held" or job.error_class != CONFLICT:
        return None
    asked = ledger.reviews.asked(job.target, "order", job.key)
    return asked or ledger.reviews.waited_for(job.target, job.id)
