"""The review list as a table to fill in, and what came back of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from core.cells import table
from core.errors import ConfigurationProblem, OrderwireError
from ledger import Ledger
from ledger.reviews import Decision, Review
from pipelines import review as work
from pipelines import sheets

COLUMNS: Final = (
    "review", "kind", "key", "what", "candidate", "number", "candidate is", "score", "why", "decision", "note",
)  # fmt: skip
LINK_WORDS: Final = frozenset({"link", "x", "yes", "ja", "да", "si", "sì"})
NEW_WORDS: Final = frozenset({"new", "none", "neu", "keine", "новый", "nuovo"})


def as_csv(reviews: Iterable[Review]) -> str:
    """One line a candidate; `decision` is to be filled in: `link` beside the one that it is, or `new` beside any."""
    return table(COLUMNS, [row for review in reviews for row in _rows(review)])


def _rows(review: Review) -> list[list[str]]:
    asked = [str(review.id), review.kind, review.key, review.label]
    answer = ["", review.note]
    if not review.candidates:
        return [[*asked, "", "", "", "", "", *answer]]
    return [
        [*asked, one.id, one.number, one.label, str(one.score), "; ".join(one.reasons), *answer]
        for one in review.candidates
    ]


@dataclass(frozen=True, slots=True)
class Answer:
    """One decision that a table holds. `line`: where it stands."""

    line: int
    review: int
    decision: Decision
    remote: str = ""
    note: str = ""


@dataclass(slots=True)
class Answers:
    """What a table holds: good ones, and lines that are wrong with the reason."""

    good: list[Answer] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)
    left_open: int = 0


def read(lines: Sequence[sheets.Line], ledger: Ledger) -> Answers:
    """Everything is looked at before anything is decided."""
    if lines and not {"review", "candidate", "decision"} <= set(lines[0].cells):
        raise ConfigurationProblem(
            "The file has no columns review, candidate and decision. What to do: fill in what `orderwire review export` wrote."
        )
    found = Answers()
    by_review: dict[int, list[sheets.Line]] = defaultdict(list)
    for line in lines:
        number = line.get("review").removesuffix(".0")
        if number.isascii() and number.isdigit() and len(number) < 15:
            by_review[int(number)].append(line)
        elif line.get("decision"):
            found.bad.append((line.number, f"{line.get('review') or 'nothing'} is not the number of a question"))
    for review_id, own in by_review.items():
        _one(review_id, own, found)
    _possible(ledger, found)
    found.bad.sort()
    found.good.sort(key=lambda answer: answer.line)
    return found


def _one(review_id: int, lines: Sequence[sheets.Line], found: Answers) -> None:
    """All lines of one question hold one answer."""
    given = [line for line in lines if line.get("decision")]
    unknown = [line for line in given if line.get("decision").lower() not in LINK_WORDS | NEW_WORDS]
    found.bad += [(line.number, f"{line.get('decision')!r} is neither link nor new") for line in unknown]
    if unknown:
        return
    if not given:
        found.left_open += 1
        return
    links = {line.get("candidate"): line for line in given if line.get("decision").lower() in LINK_WORDS}
    if links and len(links) + sum(line.get("decision").lower() in NEW_WORDS for line in given) > 1:
        found.bad += [(line.number, f"question {review_id} has more than one answer") for line in given]
        return
    line = next(iter(links.values()), given[0])
    note = line.get("note")
    if links:
        found.good.append(Answer(line.number, review_id, "link", line.get("candidate"), note))
    else:
        found.good.append(Answer(line.number, review_id, "new", "", note))


def _possible(ledger: Ledger, found: Answers) -> None:
    """Whether each can be carried out; and no two orders become one."""
    taken: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    good: list[Answer] = []
    for answer in found.good:
        try:
            review = work.get(ledger, answer.review)
            remote = work.check(ledger, review, answer.decision, answer.remote)
        except OrderwireError as error:
            found.bad.append((answer.line, error.message))
            continue
        good.append(answer)
        if review.kind == "order" and remote:
            taken[review.target, remote].append(answer)
    twice = {answer for several in taken.values() if len(several) > 1 for answer in several}
    found.bad += [
        (answer.line, f"{answer.remote} is chosen for two orders; it can be only one of them") for answer in twice
    ]
    found.good = [answer for answer in good if answer not in twice]
