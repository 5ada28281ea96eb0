"""Order confirmation and invoice: what stands on them is kept when they come to be, they go to the customer once, and the very
same file can be had at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, cast

import structlog

from connectors.roles import OrderRefs
from core.errors import Held
from core.letters import Attachment
from core.papersettings import PaperKind, PaperLanguage, SellerSettings
from ledger.invoices import KIND as INVOICE
from ledger.links import Link
from ledger.messages import NewMessage
from ledger.orderstates import OrderState
from ledger.papers import KeptPaper
from ledger.runs import marked
from mapping.canonical import SalesOrder
from mapping.days import day_in
from mapping.papers import Facts, letter_of, paper_of, pdf_of
from mapping.papers.words import language_of
from pipelines import life
from pipelines.context import Context
from pipelines.run import Run

log = structlog.get_logger(__name__)

PDF: Final = "application/pdf"
_LARGEST_LOGO: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _New:
    """A paper that there is of an order now. `since`: when it came to be."""

    kept: KeptPaper
    since: datetime


def follow(run: Run, order: SalesOrder, refs: OrderRefs, state: OrderState) -> None:
    """Keep what stands on the papers of this order, and have them sent. Safe to repeat. A rehearsal does nothing."""
    if run.rehearsed or not run.context.seller.name:
        return
    for new in _papers(run, order):
        run.ledger.papers.keep(new.kept, once=new.kept.kind == "invoice")
        if run.flow.papers.via and getattr(run.flow.papers, new.kept.kind):
            _send(run, order, refs, state, new)


def _papers(run: Run, order: SalesOrder) -> list[_New]:
    found = [_New(_kept(run, order, "order", order.number, order.placed_at), order.placed_at)]
    link = run.ledger.links.get(run.flow.target, INVOICE, str(order.key))
    if link is not None and link.linked and run.flow.invoices != "from_erp":
        number = link.remote_number or link.remote_id
        issued = _issued(run, order, link)
        found.append(_New(_kept(run, order, "invoice", number, issued), link.created_at or issued))
    return found


def _issued(run: Run, order: SalesOrder, link: Link) -> datetime:
    """The invoice's day, as the CRM has it; midnight in UTC stands for a day."""
    rows = run.ledger.invoices.of_order(run.flow.name, str(order.key))
    day = next((row.issued for row in rows if row.remote_id == link.remote_id and row.issued is not None), None)
    if day is None:  # the seller's, as of every other moment on a paper
        day = day_in(link.created_at or order.placed_at, run.context.seller.zone)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _kept(run: Run, order: SalesOrder, kind: PaperKind, number: str, issued: datetime) -> KeptPaper:
    key = key_of(run.flow.name, str(order.key), kind)
    language = language_of(order.language, order.billing.country, run.flow.papers.language)
    return KeptPaper(key, run.flow.name, str(order.key), kind, number, language, issued, order.model_dump_json())


def key_of(flow: str, order_key: str, kind: PaperKind) -> str:
    """Of the paper and of the message that carries it: one a flow, order and kind, for ever."""
    return f"paper/{flow}/{kind}/{order_key}"


# -- sending -----------------------------------------------------------------------------------------------------------


def _send(run: Run, order: SalesOrder, refs: OrderRefs, state: OrderState, new: _New) -> None:
    to = order.customer.person.email.strip()
    known = run.ledger.messages.of_key(new.kept.key)
    if known is not None:
        if to and known.to != to and not known.emptied:
            run.ledger.messages.readdress(known, to)  # the customer has another address, and this has not left yet
        return
    if life.called_off(order) or _of_old(run, new) or _of_backfill(run):
        return
    if not to:
        run.warn(
            f"The {'invoice' if new.kept.kind == 'invoice' else 'order confirmation'} was not sent: the order has no e-mail "
            "address. What to do: add it in the store, or send it by hand from the order's page.",
            "no address",
        )
        return
    note = letter_of(order, _facts(new.kept), run.context.seller)
    run.ledger.messages.want(
        NewMessage(
            key=new.kept.key,
            flow=run.flow.name,
            via=run.flow.papers.via,
            to=to,
            name=order.customer.display_name if order.customer.display_name != to else "",
            subject=note.subject,
            text=note.text,
            language=new.kept.language,
            concern=str(order.key),
            crm=run.flow.target,
            account=refs.account or state.account,
        )
    )


def _of_old(run: Run, new: _New) -> bool:
    return run.ledger.clock.now() - new.since > timedelta(days=run.flow.papers.days)


def _of_backfill(run: Run) -> bool:
    """What a backfill brings is history: customers have had their papers."""
    number = marked(run.claim.correlation)
    asked = run.ledger.runs.get(number) if number is not None else None
    return asked is not None and asked.kind == "backfill"


# -- the file ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drawn:
    """A paper and the letter around it, of one state of the order."""

    subject: str
    text: str
    language: str
    file: Attachment


def drawn(context: Context, message_key: str) -> Drawn | None:
    """The paper of this message's key, and the letter that goes with it; None: it is no paper's. Made when it is sent: orders
    do not wait for it. Raises `Held` where what was kept cannot be drawn.
    """
    kept = context.ledger.papers.get(message_key)
    return None if kept is None else _drawn(context, kept)


def names(context: Context, message_key: str) -> list[str]:
    """What the file of `drawn` is called; none once it is forgotten."""
    kept = context.ledger.papers.get(message_key)
    return [] if kept is None or kept.emptied else [letter_of(_order_of(kept), _facts(kept), context.seller).file]


def document(context: Context, kept: KeptPaper) -> Attachment:
    """The file, the same whenever it is made. Raises `Held` where what was kept cannot be drawn."""
    return _drawn(context, kept).file


def _drawn(context: Context, kept: KeptPaper) -> Drawn:
    seller, facts, order = context.seller, _facts(kept), _order_of(kept)
    try:
        paper = paper_of(order, facts, seller)
    except ValueError as error:
        raise _unusable(kept, error) from None
    note = letter_of(order, facts, seller)
    return Drawn(note.subject, note.text, kept.language, Attachment(note.file, PDF, pdf_of(paper, _logo(seller))))


def _order_of(kept: KeptPaper) -> SalesOrder:
    if kept.emptied:
        raise Held(
            f"What stood on the {kept.kind} of {kept.order_key} was forgotten: it was kept as long as [keep] papers says. "
            "What to do: skip this job; see the CRM for what is still known of the order.",
            error_class="missing reference",
        )
    try:
        return SalesOrder.model_validate_json(kept.body)
    except ValueError as error:
        raise _unusable(kept, error) from None


def _unusable(kept: KeptPaper, error: ValueError) -> Held:
    return Held(
        f"The {kept.kind} of {kept.order_key} cannot be made from what was kept. What to do: report it with the order's number.",
        error_class="mapping",
        detail=type(error).__name__,
    )


def _facts(kept: KeptPaper) -> Facts:
    kind, language = cast("PaperKind", kept.kind), cast("PaperLanguage", kept.language)
    return Facts(kind, language, kept.issued_at.date(), kept.number if kind == "invoice" else "")


def _logo(seller: SellerSettings) -> bytes:
    if not seller.logo:
        return b""
    try:
        with Path(seller.logo).open("rb") as file:
            return file.read(_LARGEST_LOGO)
    except OSError as error:
        log.warning("the logo cannot be read", error=type(error).__name__)
        return b""
