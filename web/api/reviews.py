"""`/reviews`: what only a person can decide. Which order, which customer over there is it, or none?"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from core.rights import Right
from ledger.people import Person
from ledger.reviews import Review as Kept
from pipelines import review
from pipelines.desk import Refused
from web.api.common import LARGEST, Body, Limit, Moment, Number, Page, Remark, further, sentence
from web.api.door import needs
from web.api.labels import ConnectionName
from web.dashboard.common import context_of
from web.dashboard.reviews import best, desk

router = APIRouter(tags=["reviews"])
SEEING = [Depends(needs(Right.SEE))]
Deciding = Annotated[Person, Depends(needs(Right.DECIDE))]
Cursor = Annotated[str, Query(pattern=r"^(\d{1,18})?$", description="From `next`")]


class Candidate(BaseModel):
    """A record over there that it may be."""

    id: Annotated[str, Field(examples=["11x42"])]
    number: Annotated[str, Field(examples=["ACC17"])]
    label: Annotated[str, Field(description="E-mail addresses and telephone numbers hidden", examples=["Example GmbH"])]
    score: Annotated[int, Field(description="0 to 100", examples=[80])]
    reasons: list[str]


class Review(BaseModel):
    """One question, open or decided."""

    id: Annotated[int, Field(examples=[7])]
    target: ConnectionName
    kind: Annotated[str, Field(description="order or customer", examples=["customer"])]
    key: Annotated[str, Field(description="What it is about, identities hidden", examples=["shop/order/1001"])]
    label: Annotated[str, Field(description="E-mail addresses and telephone numbers hidden")]
    best: Annotated[int, Field(description="The best candidate's score", examples=[80])]
    candidates: list[Candidate]
    decision: Annotated[str, Field(description='link (it is that record), new (it is none of them) or "": open')]
    remote_id: Annotated[str, Field(description="Of the record that it was linked with")]
    note: str
    decided_by: str
    decided_at: Moment | None


class ReviewPage(Page[Review]):
    """A part of the questions, the oldest first."""


class ReviewDecision(Body):
    """The answer. It is carried out at once, remembered, and what waited for it runs."""

    decision: Literal["link", "new"]
    remote_id: Annotated[
        str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$", description="With link: which record it is")
    ] = ""
    note: Remark = ""


@router.get("/reviews", dependencies=SEEING)
def list_reviews(
    request: Request,
    state: Annotated[Literal["open", "decided"], Query(description="Only these")] = "open",
    kind: Annotated[Literal["", "order", "customer"], Query(description="Only these")] = "",
    limit: Limit = 50,
    after: Cursor = "",
) -> ReviewPage:
    """The oldest first."""
    since = min(int(after or 0), LARGEST)
    kept = context_of(request).ledger.reviews
    some = kept.list(decided=state == "decided", kind=kind, limit=limit + 1, after=since)
    more = str(some[limit - 1].id) if len(some) > limit else ""
    return ReviewPage(
        data=[_shown(one) for one in some[:limit]], next=further(request, more, state=state, kind=kind, limit=limit)
    )


@router.get("/reviews/{review_id}", dependencies=SEEING)
def get_review(request: Request, review_id: Number) -> Review:
    """One of them."""
    return _shown(desk(request).question(review_id))


@router.post("/reviews/{review_id}/decide")
def decide_review(request: Request, review_id: Number, person: Deciding, body: ReviewDecision) -> Review:
    """Answer it."""
    if (body.decision == "link") != bool(body.remote_id.strip()):
        raise Refused("link names a record, new names none. What to do: send `remote_id` with link alone.")
    one = desk(request).decide(review_id, body.decision, body.remote_id.strip(), actor=person.actor, note=body.note)
    return _shown(one)


@router.post("/reviews/{review_id}/undo")
def undo_review(request: Request, review_id: Number, person: Deciding) -> Review:
    """Take the answer back, as long as nothing was built on it."""
    return _shown(desk(request).undo(review_id, actor=person.actor))


def _shown(one: Kept) -> Review:
    return Review(
        id=one.id,
        target=one.target,
        kind=one.kind,
        key=sentence(review.key_of(one)),
        label=sentence(one.label),
        best=best(one),
        candidates=[
            Candidate(
                id=c.id,
                number=c.number,
                label=sentence(c.label),
                score=c.score,
                reasons=[sentence(reason) for reason in c.reasons],
            )
            for c in one.candidates
        ],
        decision=one.decision,
        remote_id=one.remote_id,
        note=sentence(one.note),
        decided_by=one.decided_by,
        decided_at=one.decided_at,
    )
