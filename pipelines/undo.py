"""Take back what a backfill created, as far as nobody has touched it since; the rest is listed, with who and when.

What a run created is known from its links (`RunJobs.created`). An order and its invoice are one thing, and so are the account
and the contact of a new customer: they are taken back together or not at all, invoices before orders before contacts before
accounts. A customer stays when an order that is not taken back refers to him, or another contact belongs to his account.

**Touched** is what somebody else modified last (`Stamp.ours` is False), or what was modified later than our own last write.
The CRM's clock is not ours, so no moment of one is compared with a moment of the other: what counts is how long after the
creation. `modified - created`, both by the CRM's clock, must not exceed the time from our mark before the creation to the end
of our last attempt that wrote (by ours), and two seconds, for both of its times are cut to whole ones. A person who uses our
user's login and is quicker than that is not seen; give Orderwire a user of its own.

**Goods** that were taken off the CRM's stock for an order by its status come back with it (an invoice's the CRM gives back
itself), after the deletion and before its links are dropped: whatever breaks in between, the same command finds them.

**Interrupted** it is gone on with by the same command: after each deletion its links are dropped, so what is left is known. A
deletion whose answer was lost is looked at again. What is gone already counts as taken back.

**Afterwards** the orders' jobs are skipped by rule "undone". The nightly comparison finds their records unchanged and wakes
nothing. A change in the store wakes them, and `pipelines.start` skips them again by the same rule, whenever they were placed;
only another `backfill --create` brings them back.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from connectors.http import guarded
from connectors.roles import Crm, Difference, RecordKind, Stamp
from core.errors import Ambiguous, ConfigurationProblem, Held, NotLive, OrderwireError, RetryLater
from core.settings import FlowSettings
from ledger import Ledger
from ledger.runjobs import Made, RunJobs
from ledger.runs import GOING, Item, Lost, RunState, RunView
from mapping.canonical import Probe
from pipelines import crediting, writeoff
from pipelines.clerk import Errand
from pipelines.context import Context
from pipelines.run import budget_time, longer, write_lane

log = structlog.get_logger(__name__)

RESOLUTION: Final = timedelta(seconds=2)
"""Both times of a stamp are cut to whole seconds."""
SETTLE_WITHIN: Final = 180.0
"""Seconds that jobs of the run which are under way are waited for."""
TRIES: Final = 3
EVER: Final = datetime(1990, 1, 1, tzinfo=UTC)
BEFORE: Final = timedelta(minutes=10)
"""How far the clocks may differ where nothing else tells what of a customer the run made."""

Progress = Callable[[int, int | None], None]
Pause = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Part:
    """One record over there."""

    kind: RecordKind
    id: str
    number: str
    seconds: float
    """As `Made.seconds`."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What is taken back together, in this order. `key` is the order's; "" for a customer."""

    parts: tuple[Part, ...]
    made: tuple[Made, ...]
    key: str = ""
    account: str = ""
    """The customer's account, whether it is a part or was there before."""


@dataclass(frozen=True, slots=True)
class Creation:
    """What a run created, by what the ledger says."""

    orders: tuple[Unit, ...]
    customers: tuple[tuple[Made, ...], ...]
    invoices: int


class Guard(Errand):
    """Writes to the flow's target alone, only while the flow is live and the lane is ours."""

    def __init__(self, context: Context, flow: FlowSettings) -> None:
        super().__init__(context, flow.target)
        self._ledger, self._flow = context.ledger, flow.name
        self._ends = 0.0
        self.turn()

    def turn(self) -> None:
        """What comes next has a whole lease of the lane before it: an order with many articles takes longer than one. Raises
        RetryLater where somebody else has the lane by now.
        """
        self._ends = longer(self._context, self._connection)

    def before_write(self, connection: str, timeout: float) -> None:
        """Asked by the transport."""
        if not self._ledger.flows.get(self._flow).live:
            raise NotLive(self._flow, connection)
        if self._ends - time.monotonic() < timeout:
            raise RetryLater(
                "The turn to write ran out. What to do: the same command again; it goes on.",
                seconds=1,
                cause="busy",
                burns_attempt=False,
                detail=f"lane of {connection}",
            )
        super().before_write(connection, timeout)


class _Giver:
    """Moves goods of an order that is taken back (a `writeoff.Mover`). It works while the lane of writes is ours anyway."""

    rehearsed = False

    def __init__(self, context: Context, flow: FlowSettings, guard: Guard) -> None:
        self._guard = guard
        self.ledger: Ledger = context.ledger
        self.crm: Crm = context.crms[flow.target]
        connection = context.connections[flow.target]
        self.hold = connection.hold + budget_time(connection)

    def lane(self, kind: str) -> AbstractContextManager[None]:
        """It is ours, and stays so for one product more."""
        self._guard.turn()
        return nullcontext()

    def warn(self, sentence: str, kind: str) -> None:
        """Nobody's job has a place for it."""
        log.warning(sentence, kind=kind)

    def judge(self, differences: Sequence[Difference]) -> None:
        """The goods are back; what was lost with them a person must mend."""
        for difference in differences:
            if difference.action == "hold":
                raise Held(difference.message, field=difference.field)
            self.warn(difference.message, "difference")


# -- what there is -----------------------------------------------------------------------------------------------------


def of_run(context: Context, run_id: int) -> tuple[RunView, FlowSettings]:
    """The backfill run and its flow, if it can be taken back. Raises ConfigurationProblem."""
    run = context.ledger.runs.get(run_id)
    if run is None or run.kind != "backfill":
        what = f"Run {run_id} is no backfill" if run else f"There is no run {run_id}"
        raise ConfigurationProblem(
            f"{what}: only what a backfill created is taken back. What to do: see `orderwire runs list`."
        )
    flow = context.flow(run.flow)
    if not context.ledger.flows.get(flow.name).live:
        raise ConfigurationProblem(
            f"The flow {flow.name} is not live: nothing may be deleted for it. What to do: `orderwire flow resume {flow.name}`."
        )
    return run, flow


def created(context: Context, run: RunView) -> Creation:
    """What the ledger says that the run's jobs created. Asks nobody."""
    made = RunJobs(context.ledger.db).created(run.id)
    bills: dict[str, list[Made]] = {}
    for one in made:  # credit notes before the invoice that they are for
        if one.kind in {"invoice", crediting.KIND}:
            of = crediting.order_of(one.key) if one.kind == crediting.KIND else one.key
            bills.setdefault(of, []).append(one)
    orders = [one for one in made if one.kind == "order"]
    units = [_unit([*_credits_first(bills.pop(one.key, ())), one], one.key) for one in orders]
    units += [_unit(_credits_first(some), key) for key, some in bills.items()]  # the order was there before
    customers: dict[tuple[str, str], list[Made]] = {}
    for one in made:
        if one.kind == "customer":
            customers.setdefault((one.remote_id, one.refs.get("contact", "")), []).append(one)
    count = sum(1 for one in made if one.kind == "invoice")
    return Creation(tuple(units), tuple(tuple(group) for group in customers.values()), count)


def _part(made: Made) -> Part:
    kind: RecordKind = "order" if made.kind == "order" else "invoice"  # a credit note is an invoice over there
    return Part(kind, made.remote_id, made.number, made.seconds)


def _unit(made: Sequence[Made], key: str) -> Unit:
    return Unit(tuple(_part(one) for one in made), tuple(made), key)


def _credits_first(bills: Sequence[Made]) -> list[Made]:
    return sorted(bills, key=lambda one: one.kind != crediting.KIND)


def touched(stamp: Stamp, seconds: float) -> bool:
    """Whether somebody has modified a record since our last write, see above (pure)."""
    if stamp.ours is False:
        return True
    return stamp.modified - stamp.created > timedelta(seconds=seconds) + RESOLUTION


# -- taking back -------------------------------------------------------------------------------------------------------


def undo(
    context: Context,
    run: RunView,
    flow: FlowSettings,
    *,
    dry_run: bool = False,
    by: str = "",
    own: RunView | None = None,
    progress: Progress = lambda _done, _total: None,
    pause: Pause = time.sleep,
) -> tuple[RunView | None, list[Item]]:
    """The run of the undoing (None for a dry run) and what became of each record: verdict "taken back" (for a dry run: would
    be), "gone" or "kept" with its reason. Raises RetryLater when the CRM is out, or orders of the run are still under way:
    the same command goes on; Lost when somebody has ended the undoing meanwhile. `own`: the run of the undoing, running, if
    it was begun.
    """
    undoing = _Undoing(context, run, flow, progress, pause)
    if dry_run:
        undoing.look_only()
        return None, undoing.items
    runs, options = context.ledger.runs, {"run": run.id}
    own = own or runs.command("undo", flow.name, options, by=by)
    try:
        undoing.take_back(own)
    except Lost:
        raise
    except OrderwireError as error:
        runs.end(own.id, "stopped", error.message)
        raise
    items = list(runs.all_items(own.id))
    counts = Counter(item.verdict for item in items)
    runs.progress(own.id, counts=counts)
    runs.end(own.id, "done", ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    return runs.get(own.id), items


@dataclass(slots=True)
class _Undoing:
    context: Context
    run: RunView
    flow: FlowSettings
    progress: Progress
    pause: Pause
    items: list[Item] = field(default_factory=list)
    own: RunView | None = None
    """None: it only looks."""
    _accounts: dict[str, list[tuple[str, datetime]]] = field(default_factory=dict)
    """Orders over there, by their account: id and creation."""
    _contacts: dict[str, set[str]] = field(default_factory=dict)
    _listed_to: datetime = EVER
    _gone: set[str] = field(default_factory=set)
    """Orders that are taken back (or would be)."""

    @property
    def crm(self) -> Crm:
        return self.context.crms[self.flow.target]

    @property
    def jobs(self) -> RunJobs:
        return RunJobs(self.context.ledger.db)

    @property
    def _reason(self) -> str:
        return f"Taken back: run {self.run.id} was undone. What to do: nothing; `orderwire backfill --create` brings it again."

    def look_only(self) -> None:
        """What would become of each."""
        self._all(created(self.context, self.run))

    def take_back(self, own: RunView) -> None:
        """The feeder first, then what its jobs have not begun, then what they made."""
        self.own = own
        unfinished: tuple[RunState, ...] = (*GOING, "stopped", "failed")  # any of them could go on, and create again
        self.context.ledger.runs.end(self.run.id, "done", f"Taken back by run {own.id}.", whatever=unfinished)
        self._set_aside()
        self._all(created(self.context, self.run))

    def _set_aside(self) -> None:
        """Jobs that have not begun are skipped; what is under way is waited for: it may be creating just now."""
        waited = 0.0
        while True:
            self._require_ours()
            left = self.jobs.left(self.run.id)
            links = self.context.ledger.links.find(self.flow.target, "order", [one.key for one in left])
            linked = {key for key, link in links.items() if link.linked}
            idle = [one for one in left if one.state != "running" and not one.doubt]
            bare = [one for one in idle if one.key not in linked]
            if bare:
                self.jobs.set_aside(self.run.id, [one.key for one in bare], [one.id for one in bare], self._reason)
            busy = [one for one in left if one.state == "running" or (one.doubt and one.state == "waiting")]
            if not busy:
                break
            if waited >= SETTLE_WITHIN:
                raise RetryLater(
                    f"{len(busy)} orders of run {self.run.id} are still being carried out. "
                    "What to do: the same command again in some minutes; it goes on.",
                    seconds=60,
                )
            self.pause(1.0)
            waited += 1.0
        never = [item.key for item in self.context.ledger.runs.all_items(self.run.id) if item.verdict == "create"]
        there = self.context.ledger.links.find(self.flow.target, "order", never)
        self.jobs.set_aside(self.run.id, [key for key in never if key not in there], (), self._reason)

    def _all(self, found: Creation) -> None:
        total, done = len(found.orders) + len(found.customers), 0
        for unit in found.orders:
            self._unit(unit)
            done += 1
            self.progress(done, total)
        if not found.customers:
            return
        self._list_orders()
        self._list_contacts()
        for made in found.customers:
            self._customer(made)
            done += 1
            self.progress(done, total)

    # -- one thing -------------------------------------------------------------------------------------------------

    def _unit(self, unit: Unit) -> None:
        """An order with its invoice."""
        with self._alone():
            self._require_ours()
            stamps = [self.crm.record_stamp(part.kind, part.id) for part in unit.parts]
            why = _why_touched(unit.parts, stamps) or self._decided(unit)
            if why is None:
                self._delete(unit, stamps)
        if why is None:
            self._gone |= {part.id for part in unit.parts if part.kind == "order"}
        self._note(unit, stamps, why)

    def _decided(self, unit: Unit) -> tuple[str, Stamp | None] | None:
        """What people said is to stay as they made it is theirs, though we may have written the rest of it since."""
        said = self.context.ledger.amendments.of_order(self.flow.target, unit.key)
        theirs = [one for one in said if one.choice == "theirs"]
        return (f"What people changed in it is to stay, {theirs[-1].decided_by} decided.", None) if theirs else None

    def _customer(self, made: Sequence[Made]) -> None:
        with self._alone():
            self._require_ours()
            unit = self._customer_unit(made)
            stamps = [self.crm.record_stamp(part.kind, part.id) for part in unit.parts]
            why = _why_touched(unit.parts, stamps) or self._why_needed(unit, stamps)
            if why is None:
                self._delete(unit, stamps)
                self._forget_customer(unit)
        self._note(unit, stamps, why)

    def _require_ours(self) -> None:
        """Raises Lost where somebody has ended the undoing; a look is nobody's."""
        if self.own is not None:
            self.context.ledger.runs.require_ours(self.own)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No order is written over there between our look and the deletion. A dry run keeps nobody waiting."""
        if self.own is None:
            yield
            return
        with write_lane(self.context, self.flow.target):
            yield

    def _customer_unit(self, made: Sequence[Made]) -> Unit:
        """What of this customer the run made: it carries the external id under which it was made."""
        first = made[0]
        own_id, wrote = first.refs.get("own_id", ""), first.refs.get("made", "")
        found = self.crm.find_customer(Probe(external_id=own_id)) if own_id else ()
        ids = {first.remote_id, first.refs.get("contact", "")}
        parts = [
            Part(party.kind, party.id, party.name, first.seconds)
            for party in sorted(found, key=lambda party: party.kind == "account")  # contacts first
            if party.id in ids and (party.kind in wrote.split() if wrote else self._of_the_run(party.kind, party.id))
        ]
        return Unit(tuple(parts), tuple(made), account=first.remote_id)

    def _of_the_run(self, kind: RecordKind, id: str) -> bool:
        """Where the answer to the creation was lost, its time tells whether it is this run's."""
        stamp = self.crm.record_stamp(kind, id)
        return stamp is not None and stamp.created >= self.run.started_at - BEFORE

    def _why_needed(self, unit: Unit, stamps: Sequence[Stamp | None]) -> tuple[str, Stamp | None] | None:
        """An order that stays refers to the customer, or another contact belongs to the account."""
        if not unit.parts:
            return None
        self._list_orders()
        whole = any(part.kind == "account" for part in unit.parts)
        born = min((stamp.created for stamp in stamps if stamp), default=EVER)
        orders = [
            id
            for id, made_at in self._accounts.get(unit.account, ())
            if id not in self._gone and (whole or made_at >= born - RESOLUTION)
        ]
        if orders:
            return f"Other orders there refer to it: {', '.join(orders[:3])}.", None
        other = self._other_contact(unit) if whole else ""
        return (f"Another contact belongs to it: {other}.", None) if other else None

    def _other_contact(self, unit: Unit) -> str:
        """A contact of this account that is not taken back with it; "" if there is none."""
        ours = {part.id for part in unit.parts}
        for id in sorted(self._contacts.get(unit.account, set()) - ours):
            found = self.crm.get_party("contact", id)  # it may be gone, or elsewhere, by now
            if found is not None and not found.deleted and found.account_id == unit.account:
                return id
        return ""

    def _list_contacts(self) -> None:
        """All of them (100 a query): the local index knows only those that have something to be found by."""
        for page in self.crm.parties_since(None):
            self._require_ours()
            for party in page.parties:
                if party.kind == "contact" and party.account_id:
                    self._contacts.setdefault(party.account_id, set()).add(party.id)

    def _list_orders(self) -> None:
        """All orders over there at first (100 a query), afterwards what has been added since."""
        for page in self.crm.all_orders(self._listed_to):
            self._require_ours()
            for row in page:
                known = self._accounts.setdefault(row.account_id, [])
                if row.ref.id not in {id for id, _ in known}:
                    known.append((row.ref.id, row.created))
                self._listed_to = max(self._listed_to, row.created)

    # -- deleting --------------------------------------------------------------------------------------------------

    def _delete(self, unit: Unit, stamps: Sequence[Stamp | None]) -> None:
        if self.own is None:
            return
        for part, stamp in zip(unit.parts, stamps, strict=True):
            if stamp is not None:
                self._delete_one(part)
            if part.kind in {"account", "contact"}:
                self.context.ledger.parties.forget(self.flow.target, part.id)
        orders = [part for part in unit.parts if part.kind == "order"]
        if orders:
            self._leave_no_order(unit.key, orders[0].number)
        self.jobs.forget(self.run.id, unit.made, [unit.key] if unit.key else [], self._reason)

    def _leave_no_order(self, key: str, number: str) -> None:
        """Its goods come back; nobody waits for them, and nobody is told that they are late."""
        guard = Guard(self.context, self.flow)
        with guarded(guard):
            writeoff.give_back(_Giver(self.context, self.flow, guard), self.context, self.flow, key, number)
        self.context.ledger.watches.drop(self.flow.name, key)
        self.context.ledger.orders.forget(self.flow.name, key)

    def _delete_one(self, part: Part) -> None:
        """A lost answer: it is looked at again; deleting twice does no harm."""
        for attempt in range(1, TRIES + 1):
            try:
                with guarded(Guard(self.context, self.flow)):
                    self.crm.delete(part.kind, part.id)
            except Ambiguous as error:
                if self.crm.record_stamp(part.kind, part.id) is None:
                    return
                if attempt == TRIES:
                    raise RetryLater(error.message, seconds=60, connection=self.flow.target) from error
                self.pause(1.0)
            else:
                return

    def _forget_customer(self, unit: Unit) -> None:
        """Identities that were linked to the same people later, by other jobs."""
        if self.own is None:
            return
        gone = {part.id for part in unit.parts}
        links = self.context.ledger.links.of_remote(self.flow.target, "customer", [unit.account]).get(unit.account, [])
        stale = [one.id for one in links if {one.remote_id, one.refs.get("contact", "")} & gone]
        self.jobs.forget_links(stale)

    # -- noting ----------------------------------------------------------------------------------------------------

    def _note(self, unit: Unit, stamps: Sequence[Stamp | None], why: tuple[str, Stamp | None] | None) -> None:
        money = self.context.ledger.runs.some(self.run.id, [unit.key]).get(unit.key) if unit.key else None
        for part, stamp in zip(unit.parts, stamps, strict=True):
            item = Item(
                key=f"{self.flow.target}/{part.kind}/{part.id}",
                verdict="kept" if why else "taken back" if stamp else "gone",
                number=part.number,
                reason=why[0] if why else "",
                facts=_facts(unit, why[1] if why else None),
            )
            if money is not None and part.kind == "order":
                item = replace(item, amount=money.amount, currency=money.currency)
            self.items.append(item)
            if self.own is not None:
                self.context.ledger.runs.put(self.own.id, [item])


def _why_touched(parts: Sequence[Part], stamps: Sequence[Stamp | None]) -> tuple[str, Stamp | None] | None:
    for part, stamp in zip(parts, stamps, strict=True):
        if stamp is not None and touched(stamp, part.seconds):
            who = f" by {stamp.by}" if stamp.by else ""
            at = f"{stamp.modified:%Y-%m-%d %H:%M:%S} UTC"
            return f"Its {part.kind} {part.number or part.id} was modified there{who}, {at}.", stamp
    return None


def _facts(unit: Unit, stamp: Stamp | None) -> dict[str, str]:
    facts = {"order": unit.key} if unit.key else {}
    if stamp is not None:
        facts |= {"by": stamp.by, "modified": stamp.modified.isoformat()}
    return facts
