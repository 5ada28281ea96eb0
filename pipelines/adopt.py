"""Links the store's orders to those that stand in the CRM already, typed by hand or written by an older bridge.

Both sides are listed once and graded by mapping.adoption; certain ones are linked, doubtful ones are asked, the rest is listed
as not in the CRM. Nothing is created, by no means. The CRM is written to only where the flow says `write_back` and is live: then
linked orders get our external id.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeVar

import structlog

from connectors.roles import CrmOrderRow, Ref
from core.errors import Ambiguous, Held, NotLive, OrderwireError
from core.keys import Change, Key, external_id
from core.money import show
from core.settings import FlowSettings
from ledger.links import Link
from ledger.reviews import Candidate, Review
from ledger.runs import Item, RunView
from mapping.adoption import AdoptCandidate, Adoption, AdoptRules, StoreOrder, grade
from mapping.canonical import SalesOrder
from pipelines import adopted, adoptedwatch, parties, refunds, review
from pipelines.clerk import Clerk
from pipelines.context import Context
from pipelines.life import There
from pipelines.linking import Faces
from pipelines.orders import KIND

log = structlog.get_logger(__name__)

CHUNK: Final = 200
EARLIER: Final = timedelta(days=1)
"""Beside the days that dates may be apart: clocks and zones of two systems."""
_Thing = TypeVar("_Thing")


@dataclass(frozen=True, slots=True)
class Listed:
    """An order of the store as it is kept until everything is listed: what grading reads, and its raw text, packed."""

    order: StoreOrder
    change: Change
    packed: bytes
    refs: Mapping[str, str]
    promised: bool = False
    """The store told a promised day."""

    @property
    def key(self) -> str:
        """`shop/order/1017`."""
        return self.order.key

    @property
    def label(self) -> str:
        """For people."""
        return f"order {self.order.number}, {show(self.order.total, self.order.currency)}, {self.order.placed:%Y-%m-%d}"

    def unpacked(self) -> Change:
        """As the store gave it."""
        return replace(self.change, raw=zlib.decompress(self.packed))

    def item(self, verdict: str, reason: str, **facts: Any) -> Item:
        """As a run keeps it."""
        order = self.order
        return Item(
            self.key,
            verdict,
            order.number,
            str(order.total),
            order.currency,
            reason,
            facts={"day": order.placed, **facts},
        )


def adopt(
    context: Context,
    flow: FlowSettings,
    since: datetime,
    until: datetime | None = None,
    *,
    by: str = "",
    progress: Callable[[int, int | None], None] = lambda _done, _total: None,
) -> RunView:
    """Find the orders placed in [since, until) (None: until now) in the CRM. Safe to repeat; an interrupted run goes on. Raises
    RetryLater when a system that is asked is out: what was linked until then stays linked.
    """
    runs = context.ledger.runs
    options = {"since": since.isoformat(), "until": until.isoformat() if until else ""}
    run = runs.unfinished("adopt", flow.name, options) or runs.begin("adopt", flow.name, options, by=by)
    runs.resume(run.id)
    work = _Adopting(context, flow, run.id)
    try:
        with work.clerk.at_work():
            work.run(since, until or context.clock.now(), progress)
    except OrderwireError as error:
        runs.progress(run.id, counts=work.counts())
        runs.end(run.id, "stopped", error.message)
        raise
    runs.progress(run.id, counts=work.counts())
    runs.end(run.id, "done", work.sentence())
    return runs.get(run.id) or run


class _Adopting:
    """One run."""

    def __init__(self, context: Context, flow: FlowSettings, run_id: int) -> None:
        self.context = context
        self.flow = flow
        self.run_id = run_id
        self.ledger = context.ledger
        self.crm = context.crms[flow.target]
        self.clerk = Clerk(context, flow)
        self.began = time.monotonic()
        self.orders = self.rows = self.stamped = self.unstamped = self.unsure = 0

    def counts(self) -> dict[str, Any]:
        """What was seen, and what it has cost."""
        return {
            "orders": self.orders,
            "crm_orders": self.rows,
            "queries": self.clerk.queries,
            "writes": self.clerk.writes,
            "stamped": self.stamped,
            "unstamped": self.unstamped,
            "unsure": self.unsure,
            "seconds": round(time.monotonic() - self.began, 1),
        }

    def sentence(self) -> str:
        """About what could not be written yet."""
        if not self.unstamped or not self.flow.write_back:
            return ""
        if not self.ledger.flows.get(self.flow.name).live:
            why = "external ids are written once the flow is live. What to do: run this again then"
        else:
            why = "not written. What to do: see the reasons, then run this again"
        return f"{self.unstamped} linked orders do not carry our external id yet: {why}."

    def run(self, since: datetime, until: datetime, progress: Callable[[int, int | None], None]) -> None:
        """List both sides, grade, settle each order, write back."""
        parties.refresh(self.ledger, self.crm, self.flow.region)
        listed = {one.key: one for one in self._store_orders(since, until, progress)}
        seen_at = self.ledger.clock.now()  # people may change what is listed first before the last is listed
        rows = self._crm_orders(since)
        answers = self._answers(list(listed))
        self._carry_out(answers)
        links = self._links(list(listed))
        asked = [one.order for key, one in listed.items() if self._is_asked(links.get(key), answers.get(key), rows)]
        verdicts = {one.key: one for one in grade(asked, self._as_linked(rows), self._rules())}
        for some in _chunks(list(listed.values())):
            self._settle(some, verdicts, links, answers)
            self._watch([one for one in some if one.promised], rows, seen_at)
        self._write_back(list(listed.values()), rows)

    def _rules(self) -> AdoptRules:
        own = self.flow.adopt
        return AdoptRules(references=own.fields, days=own.days, tolerance=own.tolerance)

    # -- listing ---------------------------------------------------------------------------------------------------

    def _store_orders(
        self, since: datetime, until: datetime, progress: Callable[[int, int | None], None]
    ) -> Iterator[Listed]:
        store = self.context.store(self.flow.source)
        faces = Faces(self.ledger, self.flow)
        for page in store.orders_between(since, until):
            unreadable: list[Item] = []
            for change in page.changes:
                if change.raw is None or change.deleted:
                    continue
                try:
                    order = refunds.shown(self.context, self.flow, store.order(change.key, change.raw))
                    yield _listed(change, order, faces)
                except Held as error:
                    item = Item(
                        str(change.key),
                        "unreadable",
                        change.number,
                        reason=error.message,
                        error_class=error.error_class,
                    )
                    unreadable.append(item)
            if unreadable:
                self.ledger.runs.put(self.run_id, unreadable)
            self.orders += len(page.changes)
            self.ledger.runs.progress(self.run_id, counts=self.counts())
            progress(self.orders, page.total)

    def _crm_orders(self, since: datetime) -> dict[str, CrmOrderRow]:
        """By id. From a little before: a clock may be behind, and what is typed on the day itself carries another day."""
        start = since - timedelta(days=self.flow.adopt.days) - EARLIER
        rows = {row.ref.id: _countable(row) for page in self.crm.all_orders(start) for row in page}
        self.rows = len(rows)
        return rows

    def _links(self, keys: Sequence[str]) -> dict[str, Link]:
        found: dict[str, Link] = {}
        for some in _chunks(keys):
            known = self.ledger.links.find(self.flow.target, KIND, some)
            found |= {key: link for key, link in known.items() if link.linked}
        return found

    def _answers(self, keys: Sequence[str]) -> dict[str, Review]:
        found: dict[str, Review] = {}
        for some in _chunks(keys):
            found |= self.ledger.reviews.decided(self.flow.target, KIND, some)
        return found

    def _carry_out(self, answers: Mapping[str, Review]) -> None:
        """What was decided holds, whatever became of its link since (a crash right after the answer)."""
        for answer in answers.values():
            try:
                review.carry_out(self.ledger, answer)
            except OrderwireError as error:
                log.warning("a decision cannot be carried out", review=answer.id, why=error.message)

    def _is_asked(self, link: Link | None, answer: Review | None, rows: Mapping[str, CrmOrderRow]) -> bool:
        """An order that is linked takes part with the one it is linked to, so that its number still speaks for it."""
        if link is not None:
            return link.remote_id in rows
        return answer is None or answer.decision != "new"

    def _as_linked(self, rows: Mapping[str, CrmOrderRow]) -> list[CrmOrderRow]:
        """An order of the CRM that is linked counts as if it carried the external id, so that it is nobody else's."""
        links = self.ledger.links.of_remote(self.flow.target, KIND, list(rows))
        own = {id: _external(found[0].key) for id, found in links.items() if found[0].linked}
        return [replace(row, external_id=own.get(id, row.external_id)) for id, row in rows.items()]

    # -- settling --------------------------------------------------------------------------------------------------

    def _settle(
        self,
        some: Sequence[Listed],
        verdicts: Mapping[str, Adoption[CrmOrderRow]],
        links: Mapping[str, Link],
        answers: Mapping[str, Review],
    ) -> None:
        """Note and link a few orders. The states of those that have to do with the CRM are kept, so that later edits are seen to
        be edits; the others stay unknown to us, whoever brings them.
        """
        kept = [one for one in some if one.key in links or _there(verdicts.get(one.key))]
        changes = [one.unpacked() for one in kept]
        self.ledger.inbox.accept(changes, self.context.routes, via="backfill", want_jobs=False)
        certain = [v.order.ref.id for one in some if (v := verdicts.get(one.key)) and v.order and one.key not in links]
        taken = self.ledger.links.of_remote(self.flow.target, KIND, certain)
        items = []
        for one in some:
            if one.key in links:
                items.append(self._linked(one, links[one.key], answers.get(one.key)))
            elif (answer := answers.get(one.key)) is not None:
                but = ", which could not be carried out" if answer.decision == "link" else ""
                items.append(one.item("decided", f"decided by {answer.decided_by}: {review.in_words(answer)}{but}"))
            else:
                items.append(self._graded(one, verdicts[one.key], taken))
        self.ledger.runs.put(self.run_id, items)
        self.ledger.runs.progress(self.run_id, counts=self.counts())

    def _linked(self, one: Listed, link: Link, answer: Review | None) -> Item:
        name, facts = link.remote_number or link.remote_id, {"remote": link.remote_id, "number": link.remote_number}
        self.ledger.reviews.withdraw(self.flow.target, KIND, one.key)
        if answer is not None:
            return one.item("decided", f"decided by {answer.decided_by}: {review.in_words(answer)}", **facts)
        if link.origin == adopted.ORIGIN:
            return one.item("certain", f"is {name}, linked before", **facts)
        return one.item("linked", f"was carried over by us as {name}", **facts)

    def _graded(self, one: Listed, verdict: Adoption[CrmOrderRow], taken: Mapping[str, Sequence[Link]]) -> Item:
        target = self.flow.target
        if verdict.order is not None and not taken.get(verdict.order.ref.id):
            best, ref = verdict.candidates[0], verdict.order.ref
            if self.ledger.links.adopt(target, KIND, [one.key], ref.id, number=ref.number, refs=one.refs):
                self.ledger.reviews.withdraw(target, KIND, one.key)
                reason = f"is {ref.number or ref.id}: {'; '.join(best.reasons)}"
                return one.item("certain", reason, remote=ref.id, number=ref.number, score=best.score)
        if not verdict.candidates:
            self.ledger.reviews.withdraw(target, KIND, one.key)
            return one.item("none", f"is not in {target}")
        return self._doubtful(one, verdict)

    def _doubtful(self, one: Listed, verdict: Adoption[CrmOrderRow]) -> Item:
        choices = [_choice(candidate) for candidate in verdict.candidates]
        self.ledger.reviews.offer(
            self.flow.target,
            KIND,
            one.key,
            one.label,
            choices,
            facts={"flow": self.flow.name, "number": one.order.number, "refs": dict(one.refs)},
            run_id=self.run_id,
        )
        names = ", ".join(f"{choice.number or choice.id} ({choice.score})" for choice in choices[:3])
        return one.item("doubtful", f"{verdict.note or 'not certain'}: {names}", candidates=[c.id for c in choices])

    def _watch(self, some: Sequence[Listed], rows: Mapping[str, CrmOrderRow], seen_at: datetime) -> None:
        """What the store has promised of adopted orders is held against what leaves and arrives from now on."""
        store = self.context.store(self.flow.source)
        links = self._links([one.key for one in some])
        for one in some:
            link = links.get(one.key)
            row = rows.get(link.remote_id) if link is not None and link.origin == adopted.ORIGIN else None
            if row is None:
                continue
            change = one.unpacked()
            order = refunds.shown(self.context, self.flow, store.order(change.key, change.raw or b""))
            there = There(row.ref.id, row.account_id, "", row.status, seen_at)
            adoptedwatch.begin(self.context, self.flow, order, there)

    # -- writing back ----------------------------------------------------------------------------------------------

    def _write_back(self, listed: Sequence[Listed], rows: Mapping[str, CrmOrderRow]) -> None:
        """Our external id onto every adopted order that does not carry it. In rehearsal they are only counted."""
        for some in _chunks(listed):
            for key, link in self._links([one.key for one in some]).items():
                row = rows.get(link.remote_id)
                if link.origin != adopted.ORIGIN or row is None or row.external_id:
                    continue
                if self.clerk.may_write and self._stamp(key, link):
                    self.stamped += 1
                else:
                    self.unstamped += 1
            self.ledger.runs.progress(self.run_id, counts=self.counts())

    def _stamp(self, key: str, link: Link) -> bool:
        """Whether it certainly carries our id now; the next run looks again at one that may not."""
        own = _external(key)
        try:
            with self.clerk.lane():
                written = self.crm.stamp_order(Ref(link.remote_id, link.remote_number), own)
        except (Held, Ambiguous, NotLive) as error:
            self.unsure += isinstance(error, Ambiguous)
            log.warning("external id not written", order=key, remote=link.remote_id, why=error.message)
            return False
        for difference in written.differences:
            log.warning("external id not kept as sent", order=key, remote=link.remote_id, why=difference.message)
        self.ledger.links.set_refs(link, {**link.refs, review.STAMPED: own})
        return not written.differences


def _listed(change: Change, order: SalesOrder, faces: Faces) -> Listed:
    key = change.key
    known = StoreOrder(
        key=str(key),
        number=order.number,
        external_id=external_id(key.connection, key.kind, key.id),
        purchase_order=order.purchase_order,
        customer_number=order.customer.erp_number,
        accounts=faces.accounts(order.customer),
        total=order.total,
        currency=order.currency,
        placed=order.placed_at.date(),
    )
    return Listed(
        known,
        replace(change, raw=None),
        zlib.compress(change.raw or b"", 1),
        adopted.refs_of(order),
        order.promised_on is not None,
    )


def _countable(row: CrmOrderRow) -> CrmOrderRow:
    """A total that is no number equals none of the store's."""
    return replace(row, total=Decimal(-1)) if row.total.is_nan() else row


def _there(verdict: Adoption[CrmOrderRow] | None) -> bool:
    return verdict is not None and bool(verdict.candidates)


def _external(key: str) -> str:
    known = Key.parse(key)
    return external_id(known.connection, known.kind, known.id)


def _choice(one: AdoptCandidate[CrmOrderRow]) -> Candidate:
    row = one.order
    label = f"{row.subject}, {show(row.total, row.currency).strip()}, {row.placed or row.created.date()}"
    against = tuple(f"but {text}" for text in one.against)
    return Candidate(row.ref.id, row.ref.number, label, one.score, (*one.reasons, *against))


def _chunks(things: Sequence[_Thing]) -> Iterator[Sequence[_Thing]]:
    for start in range(0, len(things), CHUNK):
        yield things[start : start + CHUNK]
