"""Papers and letters of an order, for people who look at it; and the files, each look noted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from core.keys import Key
from core.letters import Attachment
from core.papersettings import PaperKind
from ledger.messages import MessageView, key_of
from ledger.papers import KeptPaper
from pipelines import papers
from pipelines.context import Context
from pipelines.desk import Unknown


@dataclass(frozen=True, slots=True)
class ShownLetter:
    """A letter about an order, without whom it went to: that is personal."""

    subject: str
    via: str
    state: str
    """wanted, sending, sent, doubtful."""
    created_at: datetime
    sent_at: datetime | None
    job: str
    """Key of its job."""
    job_id: int | None
    """None: it has none yet."""


def papers_of(context: Context, key: Key) -> Sequence[KeptPaper]:
    """Those of an order that can still be had, without what stands on them; none while nobody says who sells."""
    found = context.ledger.papers.of_order(str(key)) if context.seller.name else ()
    return [one for one in found if not one.emptied]


def letters_of(context: Context, key: Key) -> Sequence[ShownLetter]:
    """Newest first."""
    found = context.ledger.messages.about(str(key))
    jobs = context.ledger.messages.jobs_of(found)
    return [_shown(message, jobs.get(message.id)) for message in found]


def _shown(one: MessageView, job_id: int | None) -> ShownLetter:
    return ShownLetter(one.subject, one.via, one.state, one.created_at, one.sent_at, str(key_of(one)), job_id)


def file(context: Context, flow: str, kind: str, order_key: str, *, actor: str) -> Attachment:
    """One paper as a file; that it was given to somebody stands in the audit. Raises `Unknown`, `Held`."""
    kept = context.ledger.papers.get(papers.key_of(flow, order_key, cast("PaperKind", kind)))
    if kept is None or kept.emptied or not context.seller.name:
        raise Unknown("There is no such paper. What to do: see the order's page for those that there are.")
    made = papers.document(context, kept)
    facts = {"record": order_key, "flow": flow, "kind": kind, "number": kept.number}
    context.ledger.audit.note(actor, "paper.download", f"paper/{kind}", facts)
    return made
