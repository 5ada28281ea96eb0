"""Cards to the portals of a flow: one by one, or as numbered files.

What a portal should show is written down with each look at a customer (`want`), and a job brings it there. The job reads the
card as it is when it runs, so that many changes are told once, the latest. Nothing is told that the portal has already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from pydantic import ValidationError

from connectors.roles import CardPortal, FilePortal, Portal, PortalFile, Publication, RepContact
from core.errors import Ambiguous, Held, RetryLater
from core.keys import Key
from core.settings import RepFlowSettings
from ledger.flows import REHEARSED
from ledger.inbox import Route
from ledger.jobs import Outcome
from ledger.publications import FileRow, Wanted
from ledger.publications import Publication as Row
from ledger.reps import StoredCard
from mapping.canonical import ErpCustomer, SalesRep
from mapping.cards import Card
from pipelines.context import Context
from pipelines.reprun import RepRun
from pipelines.standing import UNTIL_LIVE

CARD: Final = "card"
"""Kind of the job of one customer at one portal: `portal/card/10017`."""
FILES: Final = "files"
"""Kind of the job that makes a portal's files: `portal/files/erp`."""
EVERY: Final = 86_400.0
"""Seconds between two looks over everything: whatever was missed is found then, and a new portal is filled at once."""
PAGE: Final = 500
SHRINKS: Final = 0.1
"""Share of a portal's customers that a full file may take out without somebody's leave."""
WANTED: Final = "wanted"
FORCED: Final = "forced"
_ASKED: Final = frozenset({WANTED, FORCED})


# -- what should be shown ----------------------------------------------------------------------------------------------


def want(context: Context, flow: RepFlowSettings, customer: ErpCustomer) -> int:
    """This customer was looked at and its card is kept: tell the flow's portals if it is another one than they have. At how
    many it is another one. Cheap where nothing changed; raises `Held` where the customer cannot be told as it is.
    """
    if not flow.portals:
        return 0
    stored = context.ledger.reps.card(flow.source, customer.number)
    return sum(_want(context, flow, portal_of(context, name), customer, stored) for name in flow.portals)


def gone(context: Context, flow: RepFlowSettings, customer: str) -> int:
    """This customer is there no more, or no customer any more. At how many portals it was shown."""
    return sum(
        context.ledger.publications.want(
            name,
            flow.source,
            Wanted(customer, "gone", gone=True),
            _route(flow, name),
            _job(context, flow, name, customer),
        )
        for name in flow.portals
    )


def _want(
    context: Context, flow: RepFlowSettings, portal: Portal, customer: ErpCustomer, stored: StoredCard | None
) -> bool:
    if stored is None or not stored.card:
        return False
    digest = portal.digest(_publication(flow, customer, stored))
    return context.ledger.publications.want(
        portal.name,
        flow.source,
        Wanted(customer.number, digest, stored.digest),
        _route(flow, portal.name),
        _job(context, flow, portal.name, customer.number),
    )


def portal_of(context: Context, name: str) -> Portal:
    """A configured portal. Raises `Held`."""
    portal = context.publishers.get(name)
    if portal is None:
        raise Held(
            f"The portal {name} is not in the configuration any more. What to do: put its connection back, or take it out of "
            "the flow's portals.",
            error_class="configuration",
        )
    return portal


def _route(flow: RepFlowSettings, portal: str) -> Route:
    return Route(flow.name, portal, flow.queue)


def _job(context: Context, flow: RepFlowSettings, portal: str, customer: str) -> Key:
    files = isinstance(portal_of(context, portal), FilePortal)
    return Key(portal, FILES, flow.source) if files else Key(portal, CARD, customer)


def _publication(flow: RepFlowSettings, customer: ErpCustomer, stored: StoredCard) -> Publication:
    try:
        return Publication(flow.source, customer, Card.model_validate_json(stored.card))
    except ValidationError:
        raise Held(
            f"The card that is kept of customer {stored.customer} cannot be read. What to do: retry the customer's own job, "
            "which makes it anew, then this one.",
            error_class="validation/value",
        ) from None


def _gone(flow: RepFlowSettings, customer: str) -> Publication:
    nobody = ErpCustomer(key=Key(flow.source, "customer", customer))
    return Publication(flow.source, nobody, Card(customer=customer), gone=True)


# -- everything --------------------------------------------------------------------------------------------------------


def look_over(context: Context, flow: RepFlowSettings, name: str) -> int:
    """Compare every card with what this portal was told; how many are to be told. Customers whose data cannot be told are
    left to their own jobs.
    """
    count, portal, book = 0, portal_of(context, name), context.ledger.publications
    for cards in _pages(context, flow):
        known = book.known(name, flow.source, [card.customer for card in cards])
        for stored in cards:
            row = known.get(stored.customer)
            if row is not None and row.card == stored.digest and not row.gone:
                continue
            customer = _customer(context, flow, stored.customer)
            if customer is not None:
                count += _quiet(lambda c=customer, s=stored: _want(context, flow, portal, c, s))  # type: ignore[misc]
    return count + _look_for_gone(context, flow, name)


def _look_for_gone(context: Context, flow: RepFlowSettings, name: str) -> int:
    """Customers who went while the portal was not in the flow."""
    count, after, book = 0, "", context.ledger.publications
    while rows := book.orphans(name, flow.source, after=after, limit=PAGE):
        for row in rows:
            nobody = Wanted(row.customer, "gone", gone=True)
            count += book.want(name, flow.source, nobody, _route(flow, name), _job(context, flow, name, row.customer))
        after = rows[-1].customer
    return count


def publish_all(context: Context, flow: RepFlowSettings, name: str, *, confirmed: bool = False) -> None:
    """Somebody asked for everything anew: a FULL pair of files, or every card once more. `confirmed`: also where a full file
    would take many customers out of the portal.
    """
    portal = portal_of(context, name)
    if isinstance(portal, FilePortal):
        context.ledger.cursors.set(_full(name), FORCED if confirmed else WANTED)
        context.ledger.publications.want_job(_route(flow, name), Key(name, FILES, flow.source))
        return
    for cards in _pages(context, flow):
        customers = [card.customer for card in cards]
        context.ledger.publications.tell_again(
            name, flow.source, customers, _route(flow, name), lambda customer: Key(name, CARD, customer)
        )
    look_over(context, flow, name)


def _full(portal: str) -> str:
    return f"{portal}/full"


def _pages(context: Context, flow: RepFlowSettings) -> Iterator[Sequence[StoredCard]]:
    after = ""
    while cards := context.ledger.reps.cards(flow.source, after=after, limit=PAGE):
        yield cards
        after = cards[-1].customer


def _customer(context: Context, flow: RepFlowSettings, number: str) -> ErpCustomer | None:
    """As the ERP told it last; None where it tells nothing (any more) that can be read."""
    key = Key(flow.source, "customer", number)
    record = context.ledger.inbox.record(key)
    if record is None or record.raw is None or record.deleted:
        return None
    try:
        return context.erp(flow.source).customer(key, record.raw)
    except Held:
        return None


def _quiet(work: Callable[[], bool]) -> bool:
    try:
        return work()
    except Held:
        return False


# -- one card ----------------------------------------------------------------------------------------------------------


def publish_card(run: RepRun) -> Outcome:
    """Tell one portal of one customer. Raises the taxonomy of core.errors."""
    name, number = run.claim.key.connection, run.claim.key.id
    portal = portal_of(run.context, name)
    if not isinstance(portal, CardPortal):
        return _outcome(number, f"{name} is told by files now.")
    row = run.ledger.publications.get(name, run.flow.source, number)
    if row is None:
        return _outcome(number, f"{name} has nothing to be told of this customer.")
    publication = _present(run, row)
    digest = "gone" if publication.gone else portal.digest(publication)
    if digest == row.told:
        return _outcome(number, f"{name} has this card already.")
    if run.rehearsed:
        return _rehearsed(run, number)
    told = run.ledger.publications.telling(row, digest, gone=publication.gone)
    if told is None:
        raise RetryLater(
            "Another card is wanted meanwhile. What to do: nothing, it is told by itself.",
            seconds=1.0,
            cause="busy",
            burns_attempt=False,
        )
    id = hashlib.blake2b(f"{name}\x1f{row.source}\x1f{number}\x1f{digest}\x1f{told.version}".encode(), digest_size=16)
    try:
        portal.publish(publication, id=f"card_{id.hexdigest()}", version=told.version)
    except Ambiguous as error:
        # A state is told, not an event: telling it once more is harmless, and its id says that it is the same.
        raise RetryLater(
            f"{name} did not say whether it took the card. What to do: nothing, it is told again by itself.",
            seconds=10,
            scope="connection",
            connection=name,
            cause="timeout/transient",
            detail=error.detail,
        ) from error
    run.ledger.publications.told(told, digest)
    return _outcome(number, f"{name} was told" + (" that the card is gone." if publication.gone else "."))


def _present(run: RepRun, row: Row) -> Publication:
    """The card as it is now, which may be newer than the one that was wanted."""
    stored = run.ledger.reps.card(row.source, row.customer)
    if stored is None or not stored.card:
        return _gone(run.flow, row.customer)
    customer = _customer(run.context, run.flow, row.customer)
    nobody = ErpCustomer(key=Key(row.source, "customer", row.customer), name=stored.name)
    return _publication(run.flow, customer or nobody, stored)


def _outcome(number: str, message: str) -> Outcome:
    return Outcome("settled", message, number=number[:120])


def _rehearsed(run: RepRun, number: str) -> Outcome:
    return Outcome(
        "retry",
        f"Rehearsed only: {run.claim.key.connection} would be told. What to do: `orderwire flow live {run.flow.name}` lets it "
        "write.",
        error_class=REHEARSED,
        seconds=UNTIL_LIVE,
        burns=False,
        number=number[:120],
    )


# -- files -------------------------------------------------------------------------------------------------------------


def publish_files(run: RepRun) -> Outcome:
    """Bring a portal's files up to date: what was begun is finished first, then customers, then reps. Raises the taxonomy of
    core.errors.
    """
    name = run.claim.key.connection
    portal = portal_of(run.context, name)
    if not isinstance(portal, FilePortal):
        return _outcome("", f"{name} is told card by card now.")
    if run.rehearsed:
        return _rehearsed(run, "")
    done = _Files(run, portal).bring_up_to_date()
    return _outcome("", f"{name} was given {', '.join(done)}." if done else f"{name} has everything already.")


class _Files:
    """The files of one portal. Its one job is the only one that makes any."""

    def __init__(self, run: RepRun, portal: FilePortal) -> None:
        self.run = run
        self.portal = portal
        self.book = run.ledger.publications
        self.left_out: dict[str, None] = {}

    def bring_up_to_date(self) -> list[str]:
        """What was given, in words."""
        done: list[str] = []
        name, source = self.portal.name, self.run.flow.source
        begun = self.book.unfinished(name)
        if begun is not None:
            done.append(self._finished(begun.kind, begun.mode, begun))
        if self._asked() in _ASKED:
            self._require_whole(forced=self._asked() == FORCED)
            done.append(self._finished("customers", "full"))
        if self._asked() == "contacts":
            done += self._contacts("full")
            self.run.ledger.cursors.set(_full(name), "")
        if any(self._fit(page) for page in self._untold()):
            self._rest()
            done.append(self._finished("customers", "net"))
        for row in iter(lambda: self.book.untold(name, source, gone=True, limit=PAGE), []):
            for one in row:  # a file cannot take a customer out: the next full one leaves it out
                self.book.told(one, one.wanted)
        done += self._contacts("net")
        if self.left_out:
            self.run.warn(
                f"{len(self.left_out)} customers are not in the file: {', '.join(list(self.left_out)[:5])}. "
                "What to do: see their own jobs.",
                "left out of a file",
            )
        return done

    def _asked(self) -> str:
        """What is left of what somebody asked for: everything, or everybody in the directory after the customers."""
        return self.run.ledger.cursors.get(_full(self.portal.name)) or ""

    def _finished(self, kind: str, mode: str, begun: FileRow | None = None) -> str:
        """Begin a file, or take the one that was begun, and bring it to its end."""
        name = self.portal.name
        file = begun or self.book.begin_file(name, self.run.flow.source, kind, mode, first=self.portal.first)
        done = self._finish(file)
        if mode == "full":
            self.run.ledger.cursors.set(_full(name), "contacts" if kind == "customers" else "")
        return done

    def _require_whole(self, *, forced: bool) -> None:
        """A full file takes out of the portal whom it does not hold."""
        shown, _ = self.book.counts(self.portal.name)
        cards = sum(len(self._fit(page)) for page in self._all())
        if not forced and cards < shown * (1 - SHRINKS):
            self.run.ledger.cursors.set(_full(self.portal.name), "")  # what changes goes on meanwhile
            raise Held(
                f"A full file for {self.portal.name} would hold {cards} customers, and {shown} are shown there: the others would "
                "vanish from it. What to do: see whether the ERP's customers have all been read; if it is meant, "
                f"`orderwire reps publish {self.portal.name} --confirm`.",
                error_class="validation/value",
            )

    def _rest(self) -> None:
        """Files that follow each other closely are gathered into one."""
        last = self.book.last_file(self.portal.name)
        if last is None or last.kind != "customers":
            last = next((file for file in self.book.files(self.portal.name, 5) if file.kind == "customers"), None)
        rest = self.portal.gather - self.book.seconds_since(last) if last is not None else 0.0
        if rest > 0:
            raise RetryLater(
                f"More changes are gathered for {self.portal.name}. What to do: nothing, they go in one file.",
                seconds=rest,
                cause="busy",
                burns_attempt=False,
            )

    def _finish(self, file: FileRow) -> str:
        """Make it unless it is made, give it, and write down who was told."""
        if file.state == "intended":
            if file.sequence < self.portal.first:
                file = self.book.renumber(file, self.portal.first)
            self.book.restart(file)
            rows = self._stage(file)
            self.book.staged(file, rows)
        self.portal.release(_named(file))
        self.book.given(file)
        return f"{file.kind} {file.mode.upper()} number {file.sequence}"

    def _stage(self, file: FileRow) -> int:
        if file.kind == "contacts":
            contacts = self._changed_contacts(full=file.mode == "full")
            self.book.gather_contacts(file, [(_contact_id(one), self.portal.contact_digest(one)) for one in contacts])
            return self.portal.stage_contacts(_named(file), contacts)
        pages = self._all() if file.mode == "full" else self._untold()
        return self.portal.stage_customers(_named(file), self._gathered(file, pages))

    def _gathered(
        self, file: FileRow, pages: Iterable[Sequence[tuple[ErpCustomer, StoredCard]]]
    ) -> Iterator[Publication]:
        """Each page is written down as being in the file, and handed on to it."""
        for page in pages:
            rows = self._fit(page)
            self.book.gather(file, [wanted for _, wanted in rows])
            yield from (publication for publication, _ in rows)

    def _fit(self, page: Sequence[tuple[ErpCustomer, StoredCard]]) -> list[tuple[Publication, Wanted]]:
        """Those that can be told as they are."""
        rows = []
        for customer, stored in page:
            try:
                publication = _publication(self.run.flow, customer, stored)
                rows.append((publication, Wanted(customer.number, self.portal.digest(publication), stored.digest)))
            except Held:
                self.left_out[customer.number] = None
        return rows

    def _all(self) -> Iterator[list[tuple[ErpCustomer, StoredCard]]]:
        for cards in _pages(self.run.context, self.run.flow):
            yield self._with_customers(cards)

    def _untold(self) -> Iterator[list[tuple[ErpCustomer, StoredCard]]]:
        after, source = "", self.run.flow.source
        while rows := self.book.untold(self.portal.name, source, gone=False, after=after, limit=PAGE):
            cards = [self.run.ledger.reps.card(source, row.customer) for row in rows]
            yield self._with_customers([card for card in cards if card is not None])
            after = rows[-1].customer

    def _with_customers(self, cards: Sequence[StoredCard]) -> list[tuple[ErpCustomer, StoredCard]]:
        found = []
        for stored in cards:
            customer = _customer(self.run.context, self.run.flow, stored.customer)
            if customer is None:
                self.left_out[stored.customer] = None
            elif stored.card:
                found.append((customer, stored))
        return found

    # -- reps -------------------------------------------------------------------------------------------------------

    def _contacts(self, mode: str) -> list[str]:
        if not self._changed_contacts(full=mode == "full"):
            return []
        return [self._finished("contacts", mode)]

    def _changed_contacts(self, *, full: bool) -> list[RepContact]:
        """Everybody in the directory whom the portal takes (full), or those of them whom it does not know as they are."""
        source = self.run.flow.source
        directory = self.run.context.books.get(source).directory
        agencies = {agency.code: agency for agency in directory.agencies}
        told = {} if full else self.book.contacts(self.portal.name, source)
        nobody = self.portal.contact_digest(RepContact(SalesRep(key=Key(source, "rep", "-"), active=False)))
        found = []
        for rep in sorted(directory.reps, key=lambda one: (one.agency, one.code)):
            contact = RepContact(rep, agencies.get(rep.agency))
            digest = self.portal.contact_digest(contact)
            if digest not in {nobody, told.get(_contact_id(contact), "")}:
                found.append(contact)
        return found


def _contact_id(contact: RepContact) -> str:
    return f"{contact.rep.agency}/{contact.rep.code}"[:200]


def _named(file: FileRow) -> PortalFile:
    return PortalFile(file.sequence, file.kind, file.mode, file.mark)  # type: ignore[arg-type]


__all__ = ["CARD", "EVERY", "FILES", "gone", "look_over", "publish_all", "publish_card", "publish_files", "want"]
