"""What a person decided about doubtful orders and customers, carried out; and taken back while nothing was built on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

import structlog

from core.errors import OrderwireError
from core.keys import Key
from core.redaction import redact, redact_identity
from ledger import Ledger
from ledger.links import Link
from ledger.reviews import Candidate, Decision, Review
from pipelines import adopted, adoptedwatch
from pipelines.context import Context
from pipelines.customers import KIND as CUSTOMER
from pipelines.customers import identity_keys
from pipelines.identities import link_customer
from pipelines.orders import KIND as ORDER

log = structlog.get_logger(__name__)

STAMPED: Final = "stamped"
"""Among the refs of an adopted order's link: the external id that was written onto it."""
_WAKES: Final[dict[str, frozenset[str]]] = {
    "order": frozenset({"held", "skipped", "waiting"}),
    "customer": frozenset({"held"}),
}


def get(ledger: Ledger, review_id: int) -> Review:
    """One question. Raises OrderwireError."""
    review = ledger.reviews.get(review_id)
    if review is None:
        raise OrderwireError(
            f"There is no question {review_id}. What to do: `orderwire review list` shows those that are open."
        )
    return review


def in_words(review: Review) -> str:
    """`it is SO17 (11x5)`, `it is none of them`."""
    if review.decision != "link":
        return "it is none of them"
    chosen = next((one for one in review.candidates if one.id == review.remote_id), None)
    return f"it is {chosen.number} ({chosen.id})" if chosen and chosen.number else f"it is {review.remote_id}"


def facts_of(review: Review) -> dict[str, str]:
    """What the audit keeps of a decision, for ever: who a customer is stays with the question, whose number it names."""
    return {
        "question": str(review.id),
        "record": key_of(review),
        "decision": review.decision,
        "remote": review.remote_id,
        "note": redact(review.note),
    }


def key_of(review: Review) -> str:
    """What it is about, without whose e-mail address or tax number that is."""
    return review.key if review.kind == "order" else redact_identity(review.key)


def hidden(review: Review) -> Review:
    """The question for whoever may not decide it: personal data hidden."""
    return replace(
        review,
        key=key_of(review),
        label=redact(review.label),
        note=redact(review.note),
        candidates=tuple(
            replace(one, label=redact(one.label), reasons=tuple(map(redact, one.reasons))) for one in review.candidates
        ),
        facts={**review.facts, "keys": [redact_identity(key) for key in keys_of(review)]},
    )


def has(review: Review, text: str) -> bool:
    """Whether the text is somewhere in what people read of it (pure)."""
    candidates = (part for one in review.candidates for part in (one.id, one.number, one.label))
    return any(text.casefold() in part.casefold() for part in (review.key, review.label, review.note, *candidates))


# -- deciding ------------------------------------------------------------------------------------------------------


def decide(ledger: Ledger, review_id: int, decision: Decision, remote: str = "", *, by: str, note: str = "") -> Review:
    """Remember the answer, carry it out, and wake what waited for it. `remote`: id or number of the record over there.
    The same answer twice is one. Raises OrderwireError when it cannot be.
    """
    review = get(ledger, review_id)
    remote_id = check(ledger, review, decision, remote)
    if review.decided:
        return review
    if not ledger.reviews.decide(review_id, decision, remote_id, by=by, note=note):
        raise OrderwireError(
            f"Question {review_id} was decided by somebody else a moment ago. What to do: `orderwire review show {review_id}`."
        )
    review = get(ledger, review_id)
    try:
        carry_out(ledger, review)
    except OrderwireError:
        ledger.reviews.undo(review_id, by=by)
        raise
    woken = _wake(ledger, review)
    log.info("decided", review=review.id, kind=review.kind, decision=decision, by=by, woken=woken)
    return review


def check(ledger: Ledger, review: Review, decision: Decision, remote: str = "") -> str:
    """Whether this answer can be given: the id over there ("" for `new`). Writes nothing. Raises OrderwireError."""
    remote_id = _chosen(ledger, review, remote) if decision == "link" else ""
    if review.decided:
        if (review.decision, review.remote_id) == (decision, remote_id):
            return remote_id
        raise OrderwireError(
            f"Question {review.id} is decided already: {in_words(review)}. "
            f"What to do: `orderwire review undo {review.id}` first, if that is wrong."
        )
    if review.kind == "order":
        _order_is_free(ledger, review, remote_id)
    else:
        _customer_is_free(ledger, review, remote_id)
    return remote_id


def _chosen(ledger: Ledger, review: Review, remote: str) -> str:
    wanted = remote.strip()
    same = [one for one in review.candidates if wanted in {one.id, one.number} - {""}]
    if len({one.id for one in same}) == 1 and same[0].id.find("/") < 0:
        return same[0].id
    if review.kind == "customer":
        if any(entry.party_kind == "account" for entry in ledger.parties.of(review.target, [wanted]) if wanted):
            return wanted
        why = f"{wanted or 'nothing'} is no account of {review.target}"
        raise OrderwireError(
            f"{why}. What to do: choose a candidate ({_ids(review.candidates)}) or give the id of another account."
        )
    raise OrderwireError(
        f"{wanted or 'nothing'} is no candidate of question {review.id}. What to do: choose one of {_ids(review.candidates)}."
    )


def _ids(candidates: Sequence[Candidate]) -> str:
    return ", ".join(f"{one.number} ({one.id})" if one.number else one.id for one in candidates) or "none"


def _order_is_free(ledger: Ledger, review: Review, remote_id: str) -> None:
    link = ledger.links.get(review.target, ORDER, review.key)
    if link is not None and link.linked and link.remote_id != remote_id:
        raise OrderwireError(
            f"{review.label} is {link.remote_number or link.remote_id} in {review.target} already. What to do: nothing, or "
            "run `orderwire adopt` again: it withdraws questions that have answered themselves."
        )
    taken = _others(ledger, review, remote_id) if remote_id else []
    if taken:
        raise OrderwireError(
            f"{remote_id} is {taken[0].key} already. What to do: choose another one; if {taken[0].key} is wrong, take that "
            "decision back first."
        )


def _others(ledger: Ledger, review: Review, remote_id: str) -> list[Link]:
    """Other orders that are linked to this record."""
    links = ledger.links.of_remote(review.target, ORDER, [remote_id]).get(remote_id, [])
    return [link for link in links if link.key != review.key]


def _customer_is_free(ledger: Ledger, review: Review, account: str) -> None:
    for link in ledger.links.find(review.target, CUSTOMER, keys_of(review)).values():
        if link.linked and link.refs.get("account") != account:
            raise OrderwireError(
                f"The customer ({link.key}) is {link.refs.get('account')} in {review.target} already. "
                "What to do: nothing; if that is wrong, merge the accounts there."
            )


def keys_of(review: Review) -> list[str]:
    """The identities of the customer that is asked for."""
    return [str(key) for key in review.facts.get("keys", [])] or [review.key]


def carry_out(ledger: Ledger, review: Review) -> None:
    """Make what was decided so. Safe to repeat. Raises OrderwireError where something else came first."""
    if review.decision != "link":
        return
    if review.kind == "customer":
        _customer_is_free(ledger, review, review.remote_id)
        link_customer(ledger, review.target, keys_of(review), review.remote_id)
        return
    _order_is_free(ledger, review, review.remote_id)
    number = next((one.number for one in review.candidates if one.id == review.remote_id), "")
    refs = {str(name): str(value) for name, value in dict(review.facts.get("refs", {})).items()}
    ours = ledger.links.adopt(review.target, ORDER, [review.key], review.remote_id, number=number, refs=refs)
    if ours and _others(ledger, review, review.remote_id):  # somebody linked another order to it at this very moment
        ledger.links.drop(review.target, ORDER, [review.key], origin=adopted.ORIGIN)
        raise OrderwireError(f"{review.remote_id} became another order's a moment ago. What to do: look again.")
    link = ledger.links.get(review.target, ORDER, review.key)
    if link is None or not link.linked:
        raise OrderwireError(f"A job is at work with {review.label}. What to do: decide again in a minute.")


def _wake(ledger: Ledger, review: Review) -> int:
    jobs = [int(job) for job in review.facts.get("jobs", [])]
    if review.kind == "order":
        jobs += [job.id for job in ledger.jobs.list(search=review.key) if job.key == review.key]
    found = [ledger.jobs.get(job) for job in dict.fromkeys(jobs)]
    return sum(
        ledger.jobs.retry(job.id)
        for job in found
        if job is not None and job.target == review.target and job.state in _WAKES[review.kind]
    )


# -- taking back ---------------------------------------------------------------------------------------------------


def undo(context: Context, review_id: int, *, by: str) -> Review:
    """Open the question again, and forget the links that came from the answer. Raises OrderwireError that says what was built
    on it since.
    """
    ledger = context.ledger
    review = get(ledger, review_id)
    if not review.decided:
        raise OrderwireError(f"Question {review_id} is open. What to do: nothing, there is nothing to take back.")
    built = next(_built(context, review), "")
    if built:
        raise OrderwireError(f"The decision cannot be taken back: {built}. What to do: correct it in {review.target}.")
    if review.decision == "link":
        keys = [review.key] if review.kind == "order" else keys_of(review)
        kind = ORDER if review.kind == "order" else CUSTOMER
        known = ledger.links.find(review.target, kind, keys)
        ours = [key for key, link in known.items() if link.remote_id == review.remote_id]
        ledger.links.drop(review.target, kind, ours, origin=adopted.ORIGIN)
        for key in ours if kind == ORDER else ():
            adoptedwatch.end(context, review.target, key)
    ledger.reviews.undo(review_id, by=by)
    log.info("decision taken back", review=review.id, kind=review.kind, by=by)
    return get(ledger, review_id)


def _built(context: Context, review: Review) -> Iterator[str]:
    """What stands on this decision, in words."""
    if review.kind == "customer":
        yield from _built_on_customer(context, review)
    elif review.decision == "link":
        yield from _built_on_order(context.ledger, review)
    else:
        link = context.ledger.links.get(review.target, ORDER, review.key)
        if link is not None and link.linked:
            yield f"the order was created since as {link.remote_number or link.remote_id}"


def _built_on_order(ledger: Ledger, review: Review) -> Iterator[str]:
    link = ledger.links.get(review.target, ORDER, review.key)
    if link is None or link.remote_id != review.remote_id:
        return
    name = link.remote_number or link.remote_id
    if link.origin != adopted.ORIGIN:
        yield f"{name} was found by our external id"
    if link.refs.get(STAMPED):
        yield f"our external id was written onto {name}"
    given = dict(review.facts.get("refs", {}))
    if link.payload_hash or {one: link.refs.get(one) for one in given} != given:
        yield f"{name} was brought up to date from the store since"
    if any(job.state == "running" for job in ledger.jobs.list(search=review.key) if job.key == review.key):
        yield "a job is at work with it right now"


def _built_on_customer(context: Context, review: Review) -> Iterator[str]:
    keys = frozenset(keys_of(review))
    for key, link in context.ledger.links.find(review.target, CUSTOMER, sorted(keys)).items():
        if link.linked and (review.decision == "new" or link.origin != adopted.ORIGIN):
            yield f"an order of this customer ({key}) went to {link.refs.get('account') or link.remote_id} since"
    if review.decided_at is not None:
        for name in _went_there(context, review, keys, review.decided_at):
            yield f"the order {name} went to {review.remote_id or 'a new account'} since"


def _went_there(context: Context, review: Review, keys: frozenset[str], since: datetime) -> Iterator[str]:
    """Orders of this customer that were carried since."""
    ledger = context.ledger
    for source, region in {(f.source, f.region) for f in context.flows.values() if f.target == review.target}:
        for job in _carried(ledger, review.target, source, since):
            record = ledger.inbox.record(job)
            if record is None or record.raw is None:
                continue
            try:
                customer = context.store(source).order(record.key, record.raw).customer
            except OrderwireError:
                continue
            if keys & set(identity_keys(customer, region)):
                yield record.number or record.key.id


def _carried(ledger: Ledger, target: str, source: str, since: datetime) -> Iterator[Key]:
    """Orders of this store whose job ended well since."""
    before: int | None = None
    while jobs := ledger.jobs.list(state="settled", before=before, limit=500):
        for job in jobs:
            key = Key.parse(job.key)
            if job.target == target and key.connection == source and key.kind == "order" and job.updated_at >= since:
                yield key
        before = jobs[-1].id
