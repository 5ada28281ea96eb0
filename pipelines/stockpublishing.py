"""Tells stores how much of each article may be sold.

No job a level (ADR-0015): what may be sold is compared with what the store was told last, and only differences are written, in
parcels. A pass looks at what may have changed (the articles of orders that changed; all of them when a level did, and now and
then); it may end anywhere and begins again without harm. Before a parcel leaves, its articles are marked doubtful: what was sent
by a process that died is told again once it must have landed. One parcel at a time goes to a store, and whoever looked before
somebody else wrote looks again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from connectors.http import Call, guarded
from connectors.roles import Offer, Selling, Shelf
from core.errors import Ambiguous, ConfigurationProblem, Held, LeaseLost, NotThere, OrderwireError, RetryLater
from core.settings import StockSettings
from ledger.stockoffers import Offering, Told
from ledger.stockorders import Wanted
from mapping.canonical import OrderStatus
from mapping.stock import free_to_sell
from pipelines.context import Context
from pipelines.run import LANE_WITHIN, budget_time, call_time
from pipelines.stocks import disbelieved, quantity_of

EVERY: Final = 5.0
"""Seconds between two looks whether something is to be told."""
MOVE: Final = timedelta(seconds=30)
"""A quiet pass writes down at most so often that it was there."""
SCAN: Final = timedelta(hours=1)
"""So often everything is compared, whether or not a level changed."""
AGAIN: Final = timedelta(days=1)
"""What a store does not know or refuses is tried again after so long, or when there is more or less of it."""
OVERLAP: Final = timedelta(minutes=1)
"""Orders are looked at so long after they changed: whoever wrote them may have needed a moment."""
PARCEL: Final = 50
"""Articles that a store is asked of, and told, at a time."""
PART: Final = 2_000
"""Articles that are compared at a time."""
FAULTS: Final = 3
"""So many parcels without an answer end a pass."""
REST: Final = 300.0
"""Seconds: after what is not the articles' fault (our key may not write) nothing is tried for so long."""
SILENT: Final = 30.0
"""The same where the store gives no answer."""
AHEAD: Final = 0.8
"""Share of a lane's spare time that is kept for the ledger's part of a parcel, before it leaves."""
MOST: Final = 10**9
"""More is never told: stores count in machine numbers."""


def schedule_name(stock: StockSettings, store: str) -> str:
    """Of telling it."""
    return f"stock-for-sale/{stock.name}/{store}"


@dataclass(frozen=True, slots=True)
class Difference:
    """What a store is to be told of an article, and what it has from us."""

    sku: str
    wanted: int
    told: Told


def publish(context: Context, stock: StockSettings, store: str, stopping: Callable[[], bool] = lambda: False) -> int:
    """Tell the store what changed. How many articles it was told."""
    return Publisher(context, stock, store, stopping).go()


@dataclass
class Publisher:
    """One `[[stock]]` and one store, now."""

    context: Context
    stock: StockSettings
    store: str
    stopping: Callable[[], bool] = lambda: False
    written: int = 0
    elsewhere: bool = False
    """Another worker tells this store just now."""
    anew: bool = False
    """What the store does not know or refuses is tried again at once."""
    faults: list[Ambiguous] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = self.context.ledger
        self.offers = self.ledger.stock.offers

    # -- whether ---------------------------------------------------------------------------------------------------

    def obstacle(self) -> str:
        """Why nothing is told at present, for people; "": nothing stands in the way."""
        return self.halted() or self._untrue()

    def halted(self) -> str:
        """Why nothing may be written to the store; ""."""
        flows = [flow.name for flow in self.context.flows.values() if flow.source == self.store]
        dry = next((name for name in flows if not self.ledger.flows.get(name).live), "")
        if dry:
            return f"The flow {dry} is not live. What to do: `orderwire flow live {dry}` when you are ready."
        state = self.ledger.states.get(self.store)
        if state is not None and state.paused_for:
            return f"{self.store} is paused. What to do: `orderwire resume {self.store}` when you are ready."
        return ""

    def _untrue(self) -> str:
        """Why nobody knows how much there is; ""."""
        source, read = self.stock.source, self.ledger.stock.source(self.stock.source)
        if read.polled_at is None:
            return f"{source} was never read to the end. What to do: nothing, it is read by itself."
        if self.ledger.clock.now() - read.polled_at > timedelta(seconds=self.stock.publish_age):
            return (
                f"The levels of {source} are older than {self.stock.publish_age:g} s. What to do: see why they cannot be "
                "read; it goes on by itself."
            )
        if disbelieved(self.ledger, self.stock):
            return (
                f"{source} tells far fewer levels than before. What to do: see the alert about it; "
                f"`orderwire stock read {self.stock.name} --anyway` takes the rest for gone."
            )
        return ""

    @property
    def selling(self) -> Selling:
        """The store. Raises ConfigurationProblem."""
        found: object = self.context.stores.get(self.store)
        if isinstance(found, Selling):
            return found
        said = f"{self.store} cannot be told what may be sold."
        raise ConfigurationProblem(f"{said} What to do: take it out of `publish` of the [[stock]].")

    # -- what may be sold ------------------------------------------------------------------------------------------

    def wanted(self, skus: Collection[str]) -> dict[str, int]:
        """How many may be sold of each of these that the source tells."""
        there: dict[str, list[Decimal]] = {}
        for level in self.ledger.stock.of(self.stock.source, list(skus)):
            if not self.stock.warehouses or level.warehouse in self.stock.warehouses:
                there.setdefault(level.sku, []).append(quantity_of(self.stock, level))
        needed = self._needed(list(there))
        return {
            sku: _whole(free_to_sell(quantities, self.stock.safety, needed.get(sku, Decimal(0))))
            for sku, quantities in there.items()
        }

    def _needed(self, skus: Sequence[str]) -> dict[str, Decimal]:
        """What open orders still take of these, as far as the levels do not say so already."""
        if self.stock.counts_orders:
            return {}
        source = self.stock.source
        # A CRM takes goods off by its own status or invoice, whenever they left.
        waiting = self.ledger.stock_orders.waiting(skus, source, lying=source in self.context.crms)
        waiting = {sku: [one for one in every if self._counts(one)] for sku, every in waiting.items()}
        keys = list({one.order_key for every in waiting.values() for one in every})
        off: Mapping[tuple[str, str], Decimal] = {}
        if keys and source in self.context.crms:
            off = self.ledger.stock_orders.taken_off(list(self.context.flows), keys, source)
        found: dict[str, Decimal] = {}
        for sku, every in waiting.items():
            held: dict[str, Decimal] = {}
            for one in every:
                held[one.order_key] = held.get(one.order_key, Decimal(0)) + one.quantity
            left = (max(quantity - off.get((key, sku), Decimal(0)), Decimal(0)) for key, quantity in held.items())
            found[sku] = sum(left, Decimal(0))
        return found

    def _counts(self, order: Wanted) -> bool:
        """Whether its goods are off what this store is told. Not its own order that is neither paid nor on hold: the store takes
        that one off itself once it is, and would have it off twice.
        """
        return order.status != OrderStatus.PENDING.value or not order.order_key.startswith(f"{self.store}/")

    def differences(self, skus: Collection[str]) -> list[Difference]:
        """What the store is to be told of these. Of what the source tells no more there is nothing left to sell; what the store
        refused is told again when it is another quantity, or after long.
        """
        now, wanted = self.ledger.clock.now(), self.wanted(skus)
        told = self.offers.of(self.stock.source, self.store, skus)
        found = []
        for sku in skus:
            before = told.get(sku, Told(sku))
            has_some = before.quantity is not None or before.problem == "doubtful"
            count = wanted.get(sku, 0 if has_some else None)
            if count is not None and self._differs(before, count, now):
                found.append(Difference(sku, count, before))
        return found

    def _differs(self, told: Told, wanted: int, now: datetime) -> bool:
        since = now - told.tried_at if told.tried_at is not None else AGAIN
        if told.problem == "doubtful":
            return since >= self._hold
        if told.problem:
            return self.anew or told.tried != wanted or since >= AGAIN
        return told.quantity != wanted

    @property
    def _hold(self) -> timedelta:
        """So long what was sent may still land."""
        connection = self.context.connections[self.store]
        return timedelta(seconds=connection.hold + budget_time(connection))

    def everything(self) -> Iterator[Sequence[str]]:
        """All articles, in parts: those that the source tells, and those that it tells no more."""
        for part in self.ledger.stock.items(self.stock.source, size=PART):
            yield list(dict.fromkeys(sku for _, sku in part))
        yield from self.offers.without_level(self.stock.source, self.store, size=PART)

    # -- one pass --------------------------------------------------------------------------------------------------

    def go(self, *, now: bool = False) -> int:
        """Tell what is to be told. How many articles. `now`: everything is compared, even if it was just tried in vain."""
        before, began = self.offers.offering(self.stock.source, self.store), self.ledger.clock.now()
        if not now and self._resting(before, began):
            return 0
        if why := self.obstacle():
            self._note_problem(why)
            return 0
        mark = self._mark()
        whole = now or mark != before.mark or before.scanned_at is None or began - before.scanned_at >= SCAN
        changes = [] if whole else self._changes(before)
        self._all_of(self.everything() if whole else _parts(changes))
        if self.stopping() or self.elsewhere:
            return self.written
        if whole:
            self.offers.note(self.stock.source, self.store, orders_at=began, mark=mark, scanned_at=began)
        elif changes or before.orders_at is None or began - before.orders_at >= MOVE:
            self.offers.note(self.stock.source, self.store, orders_at=began)
        if self.faults:
            raise self.faults[0]
        return self.written

    def _resting(self, before: Offering, now: datetime) -> bool:
        state = self.ledger.states.get(self.store)
        return (before.retry_at is not None and now < before.retry_at) or (state is not None and state.blocked_for > 0)

    def _changes(self, before: Offering) -> list[str]:
        """Articles of orders that changed, and those of which nobody said whether the store has them."""
        since = (before.orders_at or self.ledger.clock.now()) - OVERLAP
        doubtful = self.offers.doubtful(self.stock.source, self.store, self._hold)
        return list(dict.fromkeys([*self.offers.ordered_since(since), *doubtful]))

    def _mark(self) -> str:
        """Names the levels, and what of the settings decides about them."""
        stock = self.stock
        told = (stock.measure, stock.safety, stock.warehouses, stock.counts_orders)
        settings = hashlib.blake2b(repr(told).encode(), digest_size=12).hexdigest()
        return f"{self.ledger.stock.source(stock.source).changes}:{settings}"

    def _all_of(self, parts: Iterable[Sequence[str]]) -> None:
        try:
            for part in parts:
                differing = self.differences(part)
                for start in range(0, len(differing), PARCEL):
                    if self.stopping():
                        return
                    self._tell(differing[start : start + PARCEL])
        except OrderwireError as error:
            if isinstance(error, RetryLater) and error.cause == "busy":
                self.elsewhere = True
                return
            seconds = error.seconds if isinstance(error, RetryLater) else SILENT if self.faults else REST
            self._note_problem(error.message, self.ledger.clock.now() + timedelta(seconds=seconds))
            raise
        self._note_problem(self.faults[0].message if self.faults else "")

    def _note_problem(self, why: str, retry_at: datetime | None = None) -> None:
        before = self.offers.offering(self.stock.source, self.store)
        if (before.problem, before.retry_at) == (why, retry_at):
            return
        since = None if not why else before.problem_at if before.problem == why else self.ledger.clock.now()
        self.offers.note(self.stock.source, self.store, problem=why, problem_at=since, retry_at=retry_at)

    # -- telling ---------------------------------------------------------------------------------------------------

    def _tell(self, differing: Sequence[Difference]) -> None:
        """Look how the store has these, and tell what it has otherwise. What went wrong before goes alone: it stops no other."""
        shelves = self.selling.shelves([one.sku for one in differing])
        self._answered()
        self._note_silent([one for one in differing if _silent(one, shelves[one.sku])], shelves)
        told = {one.sku: one.told for one in differing}
        offers = [
            Offer(one.sku, shelves[one.sku].id, one.wanted) for one in differing if not _silent(one, shelves[one.sku])
        ]
        alone = [[offer] for offer in offers if told[offer.sku].problem in {"doubtful", "refused"}]
        together = [offer for offer in offers if told[offer.sku].problem not in {"doubtful", "refused"}]
        for parcel in (*self.selling.parcels(together), *alone):
            if self.stopping():
                return
            self._send(parcel, told)

    def _note_silent(self, differing: Sequence[Difference], shelves: Mapping[str, Shelf]) -> None:
        """What has to be written nowhere: the store has it already, or cannot have it."""
        if not differing:
            return
        with self._lane():
            now, fresh = self.ledger.clock.now(), self._as_before({one.sku: one.told for one in differing})
            self._note(
                one.told.failed(shelf.problem, shelf.reason, one.wanted, now)
                if (shelf := shelves[one.sku]).problem
                else one.told.kept(one.wanted, now)
                for one in differing
                if one.sku in fresh
            )

    def _send(self, parcel: Sequence[Offer], told: Mapping[str, Told]) -> None:
        """One parcel, unless somebody else has sent it or it is another quantity by now."""
        with self._lane() as guard:
            fresh = self._as_before({offer.sku: told[offer.sku] for offer in parcel})
            wanted = self.wanted([offer.sku for offer in parcel])
            parcel = [one for one in parcel if one.sku in fresh and wanted.get(one.sku, 0) == one.quantity]
            if not parcel:
                return
            sent = self.ledger.clock.now()
            self._note(told[one.sku].failed("doubtful", _UNHEARD, one.quantity, sent) for one in parcel)
            try:
                with guarded(guard):
                    said = self.selling.put_out(parcel)
            except Ambiguous as error:
                self.faults.append(error)
                if len(self.faults) >= FAULTS:
                    raise
                return
            except (Held, NotThere) as error:
                said = dict.fromkeys((one.sku for one in parcel), error.message) if len(parcel) == 1 else {}
                if not said:  # all of it: one by one, for the others may be good
                    self._note(told[one.sku] for one in parcel)
            except OrderwireError as error:
                if getattr(error, "cause", "") != "remote 5xx":  # else it came back garbled, and may have been done
                    self._note(told[one.sku] for one in parcel)
                raise
            else:
                self._answered()
            self._became(parcel, told, said)
        if not said and len(parcel) > 1:
            for offer in parcel:
                self._send([offer], told)

    def _became(self, parcel: Sequence[Offer], told: Mapping[str, Told], said: Mapping[str, str]) -> None:
        now = self.ledger.clock.now()
        known = [one for one in parcel if one.sku in said]
        self._note(
            told[one.sku].failed("refused", said[one.sku], one.quantity, now)
            if said[one.sku]
            else told[one.sku].kept(one.quantity, now)
            for one in known
        )
        self.written += sum(1 for one in known if not said[one.sku])

    def _note(self, told: Iterable[Told]) -> None:
        self.offers.put(self.stock.source, self.store, list(told))

    def _as_before(self, told: Mapping[str, Told]) -> set[str]:
        """Those of which nobody has noted anything since."""
        now = self.offers.of(self.stock.source, self.store, told)
        return {sku for sku, before in told.items() if now.get(sku, Told(sku)) == before}

    def _answered(self) -> None:
        state = self.ledger.states.get(self.store)
        if state is not None and state.faults:
            self.ledger.states.succeeded(self.store)

    @contextmanager
    def _lane(self) -> Iterator[Guard]:
        """Alone with what this store was told, across threads and processes."""
        connection = self.context.connections[self.store]
        need, lanes = call_time(connection) + budget_time(connection), self.ledger.lanes
        need += max(lanes.lease - need, 0.0) * AHEAD
        with lanes.hold(f"{self.store}/stock", within=LANE_WITHIN, need=need):
            yield Guard(self, time.monotonic() + need)


@dataclass(frozen=True, slots=True)
class Guard:
    """Of the transport: to this store alone, while nothing forbids it and the lane is ours (until `ends`, monotonic)."""

    publisher: Publisher
    ends: float

    def before_write(self, connection: str, timeout: float) -> None:
        """Raises LeaseLost, or ConfigurationProblem where it was forbidden meanwhile."""
        if connection != self.publisher.store or self.ends - time.monotonic() < timeout:
            raise LeaseLost("The turn to write ran out. What to do: nothing, it goes on by itself.", detail=connection)
        if why := self.publisher.halted():
            raise ConfigurationProblem(why)

    def called(self, call: Call) -> None:
        """Not kept: what came of it stands with the articles."""


_UNHEARD: Final = (
    "Nobody said whether the store took it. What to do: nothing, it is looked at and told again by itself."
)


def _silent(one: Difference, shelf: Shelf) -> bool:  # it cannot be told, or it is so already
    return bool(shelf.problem) or shelf.quantity == one.wanted


def _whole(quantity: Decimal) -> int:
    return int(min(quantity, Decimal(MOST)).to_integral_value(ROUND_FLOOR))


def _parts(skus: Sequence[str]) -> Iterator[Sequence[str]]:
    return (skus[start : start + PART] for start in range(0, len(skus), PART))
