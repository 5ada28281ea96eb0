"""What a shop's order must look like in the CRM at the end of its life, in exact fractions, whatever happened on the way.

Only the standard library and the rounding of the made-up shop: none of our code can agree with itself here by accident.

    order = Version(1, items=(Item(1, "OF-100", 2, Fraction(10), 19),), carriage=Fraction(5))
    worlds = {NOTHING}
    worlds = seen(policy, worlds, order)                  # a job has carried this state of the order to its end
    worlds |= seen(policy, worlds, order.cancelled())     # ... or has been killed somewhere on its way
    books = expected(policy, world)                       # what the CRM shows in one of the worlds that are possible

A `Version` is one state of the order in the shop; each action makes the next one, or None where a shop would not allow it. A
`World` is what has come to be of it in the CRM. History counts in one way only: an invoice is made when a state that calls
for one has been seen, from that state, and never again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final

from tests.oracle.shop import rounded

CENT: Final = Fraction(1, 100)
ZERO: Final = Fraction(0)
RATE_OF_CARRIAGE: Final = 19
CALLED_OFF: Final = frozenset({"cancelled", "trash"})
FINAL: Final = CALLED_OFF | {"refunded"}
"""Statuses from which an order only comes back to what it was before."""
WORDS: Final = {
    "pending": "Created",
    "on-hold": "Created",
    "processing": "Approved",
    "completed": "Delivered",
    "cancelled": "Cancelled",
    "refunded": "Cancelled",
    "trash": "Cancelled",
}
"""The shop's status -> the CRM's word."""


def cents(value: Fraction) -> Fraction:
    return rounded(value, CENT)


# ------------------------------------------------------------------------------------------------------- in the shop


@dataclass(frozen=True)
class Item:
    """One line of goods; `price` is the net price of a piece, `rate` the percentage of tax, `off` the one of a discount."""

    id: int
    sku: str
    pieces: int
    price: Fraction
    rate: int
    off: int = 0

    @property
    def before(self) -> Fraction:
        return cents(self.price * self.pieces)

    @property
    def net(self) -> Fraction:
        return self.before - cents(self.before * self.off / 100)

    @property
    def tax(self) -> Fraction:
        return cents(self.net * self.rate / 100)


@dataclass(frozen=True)
class Back:
    """A part of a refund: of the line of this id (0: of the carriage) so much net and so much tax."""

    of: int
    pieces: int
    net: Fraction
    tax: Fraction


@dataclass(frozen=True)
class Refund:
    """Money that went back. Without parts it is an amount for nothing in particular."""

    id: int
    amount: Fraction
    parts: tuple[Back, ...] = ()


@dataclass(frozen=True)
class Version:
    """One state of an order in the shop. `before`: the status it had before it was cancelled or refunded."""

    number: int
    items: tuple[Item, ...]
    carriage: Fraction = ZERO
    status: str = "pending"
    paid: bool = False
    refunds: tuple[Refund, ...] = ()
    before: str = ""

    @property
    def carriage_tax(self) -> Fraction:
        return cents(self.carriage * RATE_OF_CARRIAGE / 100)

    @property
    def total(self) -> Fraction:
        return sum((item.net + item.tax for item in self.items), self.carriage + self.carriage_tax)

    @property
    def refunded(self) -> Fraction:
        return sum((refund.amount for refund in self.refunds), ZERO)

    @property
    def left(self) -> Fraction:
        return self.total - self.refunded

    def gone(self, of: int) -> Back:
        """What has gone back of one line so far."""
        parts = [part for refund in self.refunds for part in refund.parts if part.of == of]
        nets, taxes = sum((part.net for part in parts), ZERO), sum((part.tax for part in parts), ZERO)
        return Back(of, sum(part.pieces for part in parts), nets, taxes)

    # -- what people do with it ------------------------------------------------------------------------------------

    def pay(self) -> Version | None:
        if self.paid or self.status not in {"pending", "on-hold", "processing", "completed"}:
            return None
        return replace(self, paid=True, status=self.status if self.status == "completed" else "processing")

    def complete(self) -> Version | None:
        return replace(self, status="completed") if self.status in {"pending", "on-hold", "processing"} else None

    def reopen(self) -> Version | None:
        return replace(self, status="processing") if self.status == "completed" else None

    def cancel(self) -> Version | None:
        return None if self.status in FINAL else replace(self, status="cancelled", before=self.status)

    def trash(self) -> Version | None:
        return None if self.status in FINAL else replace(self, status="trash", before=self.status)

    def restore(self) -> Version | None:
        return replace(self, status=self.before, before="") if self.status in CALLED_OFF else None

    def amend(self, items: Iterable[Item]) -> Version | None:
        """Other lines. What has gone back must still be there."""
        made = replace(self, items=tuple(items))
        if self.status in FINAL or not made.items or made == self:
            return None
        there = {item.id: item for item in made.items}
        for part in (part for refund in self.refunds for part in refund.parts if part.of):
            item, gone = there.get(part.of), self.gone(part.of)
            if item is None or item.pieces < gone.pieces or item.net < gone.net or item.tax < gone.tax:
                return None
        return made if made.left >= 0 and made.total > 0 else None

    def give_back(self, refund: Refund) -> Version | None:
        if refund.amount <= 0 or refund.amount > self.left or self.status in {"refunded", "trash"}:
            return None
        made = replace(self, refunds=(*self.refunds, refund))
        if made.left == 0 and made.status not in CALLED_OFF:  # as WooCommerce does it
            made = replace(made, status="refunded", before=self.status)
        return made

    def take_again(self, which: int) -> Version | None:
        """A refund is deleted; an order that was refunded in full becomes what it was."""
        if not self.refunds or self.status == "trash":
            return None
        kept = tuple(refund for n, refund in enumerate(self.refunds) if n != which % len(self.refunds))
        made = replace(self, refunds=kept)
        return replace(made, status=self.before, before="") if self.status == "refunded" else made

    # -- refunds of every kind -------------------------------------------------------------------------------------

    def of_line(self, id: int, which: int, pieces: int, *, taxed: bool = True) -> Refund:
        """So many pieces of one line. Not `taxed`: only the net amount, as the interface is fed when nobody names taxes."""
        item = self.items[which % len(self.items)]
        gone = self.gone(item.id)
        pieces = min(pieces, item.pieces - gone.pieces)
        if pieces <= 0:
            return Refund(id, ZERO)
        if pieces == item.pieces - gone.pieces:
            net, tax = item.net - gone.net, item.tax - gone.tax
        else:
            net = min(cents(item.net * pieces / item.pieces), item.net - gone.net)
            tax = min(cents(item.tax * pieces / item.pieces), item.tax - gone.tax)
        tax = tax if taxed else ZERO
        return Refund(id, net + tax, (Back(item.id, pieces, net, tax),))

    def of_carriage(self, id: int) -> Refund:
        gone = self.gone(0)
        net, tax = self.carriage - gone.net, self.carriage_tax - gone.tax
        return Refund(id, net + tax, (Back(0, 0, net, tax),))

    def of_amount(self, id: int, percent: int) -> Refund:
        return Refund(id, cents(self.left * percent / 100))

    def of_all(self, id: int) -> Refund:
        """All that is left: with its lines where nothing has gone back before, else as an amount."""
        if self.refunds:
            return Refund(id, self.left)
        parts = [Back(item.id, item.pieces, item.net, item.tax) for item in self.items]
        carried = [Back(0, 0, self.carriage, self.carriage_tax)] if self.carriage else []
        return Refund(id, self.left, (*parts, *carried))


# -------------------------------------------------------------------------------------------------------- in the CRM


@dataclass(frozen=True)
class Policy:
    """What a flow says: when there is an invoice, what refunds and late cancellations do."""

    invoices: str = "never"
    refunds_order: str = "lines"
    refunds_invoice: str = "credit"
    invoiced: str = "hold"
    shipped: str = "hold"


@dataclass(frozen=True)
class Bill:
    """An invoice as it was made: its total, its goods, and the refunds that were taken off it from the beginning."""

    total: Fraction
    goods: tuple[tuple[str, int], ...]
    counted: frozenset[int]


@dataclass(frozen=True)
class World:
    """What has come to be of an order. `carried`: the state that the CRM shows; `void`: by which policy it was called off;
    `beyond`: more had gone back before that than the invoice was over; `apart`: how much more the bills come to, as a worker
    ended after it had written the order and before all of its credit notes.
    """

    carried: Version | None = None
    shipped: bool = False
    bill: Bill | None = None
    void: str = ""
    held: bool = False
    beyond: Fraction = ZERO
    apart: Fraction = ZERO


NOTHING: Final = World()


def seen(policy: Policy, worlds: Iterable[World], version: Version) -> set[World]:
    """All that may be after a job has carried this state to its end."""
    return {after for world in worlds for after in _one(policy, world, version)}


def halfway(policy: Policy, worlds: Iterable[World], version: Version) -> set[World]:
    """All that may be where a worker has ended on its way through this state: the order is written, and not yet the invoice, or
    not all that refunds since the state before it (new ones, deleted ones) do to the invoice.
    """
    found = seen(replace(policy, invoices="never"), worlds, version)
    for world in worlds:
        for after in _one(policy, world, version):
            if after.bill is not None and after.carried == version and not after.void and not after.held:
                found |= {replace(after, apart=apart) for apart in _undone(world, after.bill, version)}
    return found


def _undone(before: World, bill: Bill, version: Version) -> set[Fraction]:
    """What the bills may be apart by: the sum of any of the changes."""
    old = {refund.id: refund.amount for refund in before.carried.refunds} if before.carried is not None else {}
    new = {refund.id: refund.amount for refund in version.refunds}
    changes = [new[id] for id in new.keys() - old.keys() - bill.counted]
    changes += [-old[id] for id in old.keys() - new.keys() - bill.counted]
    sums = {ZERO, before.apart}
    for change in changes:
        sums |= {one + change for one in sums}
    return sums


def _one(policy: Policy, world: World, version: Version) -> Iterable[World]:
    if world.carried is None and version.status == "trash":
        return [world]  # what the store deleted before it was carried over is not carried over
    if version.status in CALLED_OFF:
        return _called_off(policy, world, version)
    shipped = world.shipped if version.status == "refunded" else version.status == "completed"
    after = World(version, shipped, world.bill)
    if world.bill is not None:
        return [after]
    return [replace(after, bill=_bill(policy, version)) if _due(policy, version) else after]


def _called_off(policy: Policy, world: World, version: Version) -> list[World]:
    words = {policy.invoiced} if world.bill else set()
    words |= {policy.shipped} if world.shipped else set()
    if "hold" in words:
        return [replace(world, held=True)]
    void = "credit" if "credit" in words else "cancel"
    after = replace(world, carried=version, beyond=ZERO, apart=ZERO, void=void, held=False)
    if after.bill is None or policy.refunds_invoice == "leave":
        return [after]
    # Amended upwards after its invoice, an order can have more given back than was ever invoiced. Nothing is left to take
    # back then; where it went back after the whole invoice had been taken back, it changes nothing any more.
    rest = _rest(after.bill, version)
    return [after, replace(after, beyond=rest)] if rest < 0 else [after]


def _due(policy: Policy, version: Version) -> bool:
    """An order of which nothing is left to be paid gets no invoice; money that has all gone back pays for none."""
    return (
        version.status != "refunded"
        and {
            "never": False,
            "on_order": True,
            "on_paid": version.paid and version.left > 0,
            "on_delivered": version.status == "completed",
        }[policy.invoices]
    )


def _bill(policy: Policy, version: Version) -> Bill:
    goods = tuple((item.sku, item.pieces) for item in version.items)
    if policy.refunds_order == "lines":
        return Bill(version.left, goods, frozenset(refund.id for refund in version.refunds))
    return Bill(version.total, goods, frozenset())


# ------------------------------------------------------------------------------------------------- what the CRM shows


@dataclass(frozen=True)
class Books:
    """`net`: what all living bills of the order come to; `bills`: invoices, living or cancelled; `off`: pieces by SKU."""

    word: str = ""
    total: Fraction | None = None
    bills: int = 0
    living: int = 0
    net: Fraction = ZERO
    off: dict[str, int] = field(default_factory=dict)
    held: bool = False


def expected(policy: Policy, world: World) -> Books:
    order = world.carried
    if order is None:
        return Books(held=world.held)
    total = order.left if policy.refunds_order == "lines" else order.total
    living = int(world.bill is not None and world.void != "cancel")
    return Books(
        word=WORDS[order.status],
        total=total,
        bills=int(world.bill is not None),
        living=living,
        net=_net(policy, world) if living else ZERO,
        off=_off(policy, world, order),
        held=world.held,
    )


def _net(policy: Policy, world: World) -> Fraction:
    assert world.bill is not None
    assert world.carried is not None
    if world.void:
        return world.beyond
    return world.bill.total if policy.refunds_invoice == "leave" else _rest(world.bill, world.carried) + world.apart


def _rest(bill: Bill, order: Version) -> Fraction:
    """What is left of a bill after the refunds that came later."""
    return bill.total - sum((refund.amount for refund in order.refunds if refund.id not in bill.counted), ZERO)


def _off(policy: Policy, world: World, order: Version) -> dict[str, int]:
    """Goods leave once: with the living invoice where invoices are made, else with the word that says so."""
    goods: Iterable[tuple[str, int]] = ()
    if policy.invoices != "never":
        goods = world.bill.goods if world.bill is not None and world.void != "cancel" else ()
    elif WORDS[order.status] == "Delivered":
        goods = ((item.sku, item.pieces) for item in order.items)
    found: dict[str, int] = {}
    for sku, pieces in goods:
        found[sku] = found.get(sku, 0) + pieces
    return found
