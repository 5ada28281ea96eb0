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


def papers_of(context: Context, key: Key) -> Sequence[KeptPaper]:
    """Those of an order, without what stands on them; none while nobody says who sells."""
    return context.ledger.papers.of_order(str(key)) if context.seller.name else ()


def letters_of(context: Context, key: Key) -> Sequence[ShownLetter]:
    """Newest first."""
    return [_shown(message) for message in context.ledger.messages.about(str(key))]


def _shown(message: MessageView) -> ShownLetter:
    job = str(key_of(message))
    return ShownLetter(message.subject, message.via, message.state, message.created_at, message.sent_at, job)


def file(context: Context, flow: str, kind: str, order_key: str, *, actor: str) -> Attachment:
    """One paper as a file; that it was given to somebody stands in the audit. Raises `Unknown`, `Held`."""
    kept = context.ledger.papers.get(papers.key_of(flow, order_key, cast("PaperKind", kind)))
    if kept is None or not context.seller.name:
        raise Unknown("There is no such paper. What to do: see the order's page for those that there are.")
    made = papers.document(context, kept)
    facts = {"record": order_key, "flow": flow, "kind": kind, "number": kept.number}
    context.ledger.audit.note(actor, "paper.download", f"paper/{kind}", facts)
    return made
