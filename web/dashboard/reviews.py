"""`/review`: what only a person can decide. Which order, which customer over there is it, or none? One by one, or as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final, Literal, cast

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile
from starlette.exceptions import HTTPException

from core.keys import Key
from core.redaction import redact
from core.rights import Right
from ledger.jobs import JobView
from ledger.people import Person
from ledger.reviews import Candidate, Decision, Review, Sort, Wanted
from pipelines import answers, review, whereabouts
from pipelines.answers import Answer
from pipelines.context import Context
from pipelines.desk import Refused
from pipelines.reviewdesk import ReviewDesk
from web.access import require
from web.dashboard.common import Seeing, context_of, state_of
from web.dashboard.desk import address, order_address, search
from web.pages import back, page, translated

PAGE: Final = 25
KINDS: Final = ("order", "customer")
ORDERS: Final = ("score", "age")
LARGEST_EXPORT: Final = 100_000
"""Questions of one table; what is decided leaves room for more."""
LARGEST_FORM: Final = 900_000
"""Characters of the decisions that a preview carries to its confirmation: a request may have 1 MiB."""

router = APIRouter()
_ = translated

Deciding = Annotated[Person, Depends(require(Right.DECIDE))]
Exporting = Annotated[Person, Depends(require(Right.EXPORT))]


@dataclass(frozen=True, slots=True)
class Asked:
    """The filter, as the address has it."""

    decided: bool
    kind: str
    text: str
    sort: str
    number: int

    @property
    def params(self) -> dict[str, str]:
        """For addresses, without the place in the list."""
        found = {"state": "decided" if self.decided else "", "kind": self.kind, "q": self.text}
        found["sort"] = "" if self.sort == ORDERS[0] else self.sort
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True, slots=True)
class Choice:
    """A candidate on the page. `url` opens it over there; not `choosable`: a contact without an account."""

    candidate: Candidate
    url: str
    choosable: bool
    chosen: bool


def desk(request: Request) -> ReviewDesk:
    """The services over this process's state."""
    context = context_of(request)
    return ReviewDesk(context, context.ledger.audit, state_of(request).nudge)


def asked(request: Request) -> Asked:
    """What the address asks for; what makes no sense is as if it were not there."""
    given = request.query_params
    kind, sort, number = given.get("kind", ""), given.get("sort", ""), given.get("page", "")
    return Asked(
        decided=given.get("state") == "decided",
        kind=kind if kind in KINDS else "",
        text=given.get("q", "").strip()[:200],
        sort=sort if sort in ORDERS else ORDERS[0],
        number=int(number) if number.isascii() and number.isdigit() and 0 < len(number) < 6 else 1,
    )


def wanted_of(given: Asked) -> tuple[Wanted, Sort]:
    """What is looked for, and in which order (pure)."""
    sort: Sort = "lately" if given.decided else "score" if given.sort == "score" else "age"
    return Wanted(given.decided, kind=given.kind, text=given.text), sort


def best(one: Review) -> int:
    """The best candidate's score (pure)."""
    return max((candidate.score for candidate in one.candidates), default=0)


@router.get("/review")
def reviews(request: Request, person: Seeing) -> Response:
    """The list, a page at a time, the surest first."""
    wanted = asked(request)
    listing = desk(request).page(*wanted_of(wanted), wanted.number, PAGE, openly=person.may(Right.DECIDE))
    number, last = listing.number, listing.last
    open_ones = context_of(request).ledger.reviews.kinds()
    return page(
        request,
        "reviews.html",
        wanted=wanted,
        shown=listing.shown,
        count=listing.count,
        cut=listing.cut,
        counts={kind: open_ones.get(kind, 0) for kind in KINDS},
        in_words=review.in_words,
        number=number,
        last=last,
        tabs=[(name, address("/review", _with(wanted, state=name))) for name in ("", "decided")],
        previous=address("/review", _with(wanted, page=str(number - 1))) if number > 1 else "",
        following=address("/review", _with(wanted, page=str(number + 1))) if number < last else "",
        export=address("/review.csv", wanted.params),
    )


def _with(wanted: Asked, **changes: str) -> dict[str, str]:
    return {name: value for name, value in {**wanted.params, **changes}.items() if value}


# -- one question ------------------------------------------------------------------------------------------------------


@router.get("/review/{review_id:int}")
def show(request: Request, review_id: int, person: Seeing) -> Response:
    """Everything about it, and the buttons; personal data for whoever decides."""
    one = desk(request).question(review_id)
    seen = one if person.may(Right.DECIDE) else review.hidden(one)
    return page(request, "review.html", **_facts(request, one, seen))


def _facts(request: Request, one: Review, seen: Review) -> dict[str, Any]:
    context = context_of(request)
    return {
        "one": seen,
        "choices": [_choice(context, one, candidate) for candidate in seen.candidates],
        "elsewhere": bool(one.decision == "link") and one.remote_id not in {c.id for c in one.candidates},
        "answer": review.in_words(one) if one.decided else "",
        "jobs": _jobs(request, one),
        "order": order_address(one.key) if one.kind == "order" else "",
        "store": _store(context, one),
        "keys": review.keys_of(seen) if one.kind == "customer" else [],
        "doings": context.ledger.audit.list(subject=f"review/{one.id}", limit=20),
    }


def _choice(context: Context, one: Review, candidate: Candidate) -> Choice:
    kind, _slash, remote = candidate.id.rpartition("/")
    url = whereabouts.address(
        context.crms.get(one.target), kind or {"customer": "account"}.get(one.kind, one.kind), remote
    )
    return Choice(candidate, url, not kind, chosen=one.decision == "link" and candidate.id == one.remote_id)


def _store(context: Context, one: Review) -> str:
    if one.kind != "order":
        return ""
    key = Key.parse(one.key)
    return whereabouts.address(context.stores.get(key.connection), key.kind, key.id)


def _jobs(request: Request, one: Review) -> Sequence[JobView]:
    """What waits for the answer, or followed it."""
    if one.kind == "order":
        return [job for job in search(request).of_record(Key.parse(one.key)) if job.target == one.target]
    jobs = context_of(request).ledger.jobs
    known = [jobs.get(int(job)) for job in one.facts.get("jobs", ())[:50]]
    return [job for job in known if job is not None]


@router.post("/review/{review_id:int}/decide")
def decide(
    request: Request,
    review_id: int,
    person: Deciding,
    answer: Annotated[str, Form(max_length=200)] = "",
    other: Annotated[str, Form(max_length=200)] = "",
    note: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """`answer`: new, other (then `other`), or the id of a candidate."""
    decision, remote = _answer(answer, other)
    one = desk(request).decide(review_id, decision, remote, actor=person.actor, note=note)
    said = _(request, "%(what)s: %(answer)s.", what=one.label or one.key, answer=review.in_words(one))
    return back(request, f"/review/{review_id}", said)


def _answer(answer: str, other: str) -> tuple[Decision, str]:
    if answer == "new":
        return "new", ""
    remote = other.strip() if answer == "other" else answer.removeprefix("link:")
    if not remote:
        raise Refused("No answer was chosen. What to do: choose one of them, or that it is none.")
    return "link", remote


@router.post("/review/{review_id:int}/undo")
def undo(request: Request, review_id: int, person: Deciding) -> Response:
    """Take the answer back, as long as nothing was built on it."""
    one = desk(request).undo(review_id, actor=person.actor)
    return back(request, f"/review/{review_id}", _(request, "%(what)s is open again.", what=one.label or one.key))


# -- as a table --------------------------------------------------------------------------------------------------------


@router.get("/review.csv")
def export(request: Request, person: Exporting) -> Response:
    """One line a candidate, its column `decision` to be filled in: what `orderwire review export` writes."""
    given, ledger = asked(request), context_of(request).ledger
    wanted, sort = wanted_of(given)
    fitting = ledger.reviews.some(wanted, sort=sort, limit=LARGEST_EXPORT)
    facts = {"questions": len(fitting), **given.params, **({"q": redact(given.text)} if given.text else {})}
    ledger.audit.note(person.actor, "review.export", "reviews", facts)
    headers = {"Content-Disposition": 'attachment; filename="review.csv"', "Cache-Control": "no-store"}
    text = "\ufeff" + answers.as_csv(fitting)
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


@router.post("/review/import")
def look(request: Request, _person: Deciding, table: Annotated[UploadFile | None, File()] = None) -> Response:
    """What a filled-in table would decide, line by line; nothing is decided yet."""
    if table is None or not table.filename:
        raise Refused("No file was chosen. What to do: choose the table that was filled in, then press again.")
    read = desk(request).look(table.file.read(), table.filename[:120])
    carried = json.dumps([asdict(one) for one in read.good], ensure_ascii=False)
    if len(carried) > LARGEST_FORM:
        raise Refused("These are too many notes for one form. What to do: take the table in parts.")
    known = {one.review: context_of(request).ledger.reviews.get(one.review) for one in read.good}
    return page(request, "review_import.html", table=table.filename[:120], read=read, known=known, carried=carried)


@router.post("/review/import/confirm")
def take(request: Request, person: Deciding, wanted: Annotated[str, Form(max_length=LARGEST_FORM)] = "") -> Response:
    """Decide what the preview showed; each is looked at once more."""
    done, refused = desk(request).decide_all(_answers(wanted), actor=person.actor)
    said = _(request, "Decided: %(done)s. Refused: %(refused)s.", done=done, refused=len(refused))
    if not refused:
        return back(request, "/review", said)
    return page(request, "review_taken.html", said_here=said, refused=refused)


def _answers(text: str) -> list[Answer]:
    """What our own preview wrote; anything else is no form of ours."""
    try:
        rows = json.loads(text)
        return [
            Answer(
                int(row["line"]),
                int(row["review"]),
                cast("Literal['link', 'new']", {"link": "link", "new": "new"}[row["decision"]]),
                str(row["remote"]),
                str(row["note"]),
            )
            for row in rows
        ]
    except (ValueError, TypeError, KeyError):
        raise HTTPException(422, "This is no form of ours.") from None
