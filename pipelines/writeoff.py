"""Goods leave the stock of a CRM that keeps it: once for each order and product, and they come back when that is undone.

How many of an order's goods are to be off is reckoned anew each time (its lines, while its status says that they have left,
less what the CRM has taken off itself by invoices); what differs from what is off already is moved. A movement is written
down before it is made, since a CRM knows quantities only, no movements: after a lost answer the quantity is read back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, date
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Protocol, cast

from connectors.roles import Crm, CrmProduct, Difference, ProductStock, Ref, Stocking, Written
from core.errors import Ambiguous, Held, LeaseLost, OrderwireError, RetryLater
from core.settings import FlowSettings, StockSettings
from ledger import Ledger
from ledger.goods import Taken
from ledger.orderstates import OrderState
from mapping.canonical import LineKind, SalesOrder
from pipelines import life, products
from pipelines.overlay import INVENTED

if TYPE_CHECKING:
    from pipelines.context import Context
    from pipelines.run import Run

LANE: Final = "stock"
STEP: Final = Decimal("0.001")
"""Quantities are kept so finely over there."""
NONE: Final = Decimal(0)


class Mover(Protocol):
    """Who moves goods: an order's run, or the undoing of one (pipelines.run.Run, pipelines.undo)."""

    @property
    def ledger(self) -> Ledger: ...

    @property
    def crm(self) -> Crm: ...

    @property
    def hold(self) -> float:
        """Seconds for which an unanswered write may still land."""
        ...

    @property
    def rehearsed(self) -> bool:
        """Nothing is written."""
        ...

    def lane(self, kind: str) -> AbstractContextManager[None]:
        """Alone with writes of this kind."""
        ...

    def warn(self, sentence: str, kind: str) -> None:
        """Something to look at that stops nobody."""
        ...

    def judge(self, differences: Sequence[Difference]) -> None:
        """Raises Held where something was not kept as it was sent."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be off the stock of one product."""

    sku: str
    quantity: Decimal


def follow(run: Run, order: SalesOrder, state: OrderState) -> None:
    """Bring the stock to where this state of the order has it. Raises Held for what nobody can tell, RetryLater for what may
    still be on its way.
    """
    policy = policy_of(run.context, run.flow)
    if policy is None:
        return
    moved = run.ledger.goods.of_order(state.flow, state.order_key)
    left = has_left(policy, order, state)
    if not any(row.taken or row.state != "done" for row in moved):
        by_invoice = way_of(policy, run.flow) != "status"
        if not left or by_invoice or (not moved and _placed(order) < _began(run, policy)):
            return
    goods = _to_be_off(run, policy, order, moved) if left else {}
    if goods and not _agrees(run, state, goods, moved):
        goods = less_invoiced(goods, _invoiced(run, state))
    new = [
        Taken(state.flow, state.order_key, id, state.target) for id in goods.keys() - {row.product_id for row in moved}
    ]
    _bring_all(run, state.number, goods, [*moved, *new])


def give_back(mover: Mover, context: Context, flow: FlowSettings, order_key: str, number: str) -> None:
    """The order is taken back: what is off the stock for it comes back, once however often this is said. Where nobody writes
    goods off (any more), the stock is not ours to touch. Raises Held, RetryLater: the same again goes on.
    """
    moved = mover.ledger.goods.of_order(flow.name, order_key)
    if moved and policy_of(context, flow) is not None:
        _bring_all(mover, number, {}, moved)


# -- what is to be ---------------------------------------------------------------------------------------------------


def policy_of(context: Context, flow: FlowSettings) -> StockSettings | None:
    """The `[[stock]]` that says how goods leave the stock of the flow's target; None: nobody says so."""
    if not isinstance(context.crms.get(flow.target), Stocking):
        return None
    own = (stock for stock in context.stocks.values() if stock.source == flow.target)
    return next((stock for stock in own if way_of(stock, flow) != "never"), None)


def way_of(stock: StockSettings, flow: FlowSettings) -> str:
    """How goods of this flow's orders leave the stock of its target (pure)."""
    return stock.write_off or ("status" if flow.invoices == "never" else "invoice")


def has_left(policy: StockSettings, order: SalesOrder, state: OrderState) -> bool:
    """Whether the goods are with the customer: by the store, or by the CRM's word (pure)."""
    if life.called_off(order):
        return False
    return order.delivered_at is not None or state.crm_status in policy.write_off_on


def goods_of(order: SalesOrder, found: Mapping[str, CrmProduct], moved: Sequence[Taken] = ()) -> dict[str, Wanted]:
    """By the CRM's product (pure). Lines without one (fees, unknown articles) move nothing; an article that was renamed or shut
    down since its goods left is still the product that they were taken from.
    """
    sums: dict[str, Decimal] = defaultdict(Decimal)
    names: dict[str, str] = {}
    once = {row.sku: row.product_id for row in moved if row.sku and (row.taken or row.state != "done")}
    for line in order.lines:
        if line.kind is not LineKind.PRODUCT:
            continue
        product = found.get(line.sku)
        id = product.id if product is not None else once.get(line.sku)
        if id is not None:
            sums[id] += line.quantity
            names.setdefault(id, product.sku if product is not None else line.sku)
    return {id: Wanted(names[id], quantity.quantize(STEP)) for id, quantity in sums.items() if quantity > 0}


def less_invoiced(goods: Mapping[str, Wanted], invoiced: Mapping[str, Decimal]) -> dict[str, Wanted]:
    """Without what the CRM has taken off itself (pure)."""
    return {
        id: replace(want, quantity=max(want.quantity - max(invoiced.get(id, NONE), NONE), NONE))
        for id, want in goods.items()
    }


def _to_be_off(run: Run, policy: StockSettings, order: SalesOrder, moved: list[Taken]) -> dict[str, Wanted]:
    """Where invoices take the goods off (since the configuration was changed), what is off by us stays so until one does."""
    if way_of(policy, run.flow) != "status":
        return {row.product_id: Wanted(row.sku, row.taken) for row in moved if row.taken}
    return goods_of(order, products.resolve(run.context.products, run.crm, order), moved)


def _placed(order: SalesOrder) -> date:
    return order.placed_at.astimezone(UTC).date()


def _agrees(run: Run, state: OrderState, goods: Mapping[str, Wanted], moved: list[Taken]) -> bool:
    """All is off already, and there is no invoice that would have taken the same goods: nobody has to be asked."""
    if any(row.state != "done" for row in moved):
        return False
    known = run.ledger.invoices.of_order(state.flow, state.order_key)
    if any(invoice.system == state.target and invoice.state not in {"cancelled", "deleted"} for invoice in known):
        return False
    off = {row.product_id: row.taken for row in moved if row.taken}
    return off == {id: want.quantity for id, want in goods.items()}


def _invoiced(run: Run, state: OrderState) -> Mapping[str, Decimal]:
    return {} if state.remote_id.startswith(INVENTED) else _crm(run).invoiced_goods(Ref(state.remote_id))


def _crm(run: Mover) -> Stocking:
    """The target, or a rehearsal's (`policy_of` has seen that it can)."""
    return cast("Stocking", run.crm)


def _began(run: Run, policy: StockSettings) -> date:
    """The first day whose orders count."""
    if policy.write_off_from is not None:
        return policy.write_off_from
    name = f"{policy.source}/write-off"
    known = run.ledger.cursors.get(name)
    if known is not None:
        return date.fromisoformat(known)
    today = run.ledger.clock.now().date()
    if not run.rehearsed:
        run.ledger.cursors.set(name, today.isoformat())
    return today


# -- movements -------------------------------------------------------------------------------------------------------


def _bring_all(run: Mover, number: str, goods: Mapping[str, Wanted], moved: Sequence[Taken]) -> None:
    """`moved`: a row for each of these goods."""
    for row in sorted(moved, key=lambda one: one.product_id):
        want = goods.get(row.product_id) or Wanted(row.sku, NONE)
        _bring(run, number, replace(row, sku=want.sku or row.sku), want.quantity)


def _bring(run: Mover, number: str, row: Taken, wanted: Decimal) -> None:
    """One product, alone with writes of this kind."""
    if row.state == "done" and row.taken == wanted:
        return
    crm = _crm(run)
    with run.lane(LANE):
        row = row if run.rehearsed else _known(run, crm, row)
        if row.state == "doubtful" and not run.rehearsed:
            _ask_a_person(run, number, row)
        if row.taken == wanted:
            return
        stock = crm.stock_of(row.product_id)
        if stock is None:
            run.warn(
                f"{row.sku} is no product with a stock in {row.target} any more: nothing of it was moved. "
                "What to do: see the product there.",
                "no stock",
            )
            return
        _move(run, crm, stock, row, wanted)


def _known(run: Mover, crm: Stocking, row: Taken) -> Taken:
    """The row as it stands now that it is our turn (another process may have gone on with this order meanwhile), once it is
    known of every movement of its product whether it arrived.
    """
    goods = run.ledger.goods
    for movement in goods.unsettled(row.target, row.product_id):
        _settle(run, crm, movement)
    now = (one for one in goods.of_order(row.flow, row.order_key) if one.product_id == row.product_id)
    return replace(next(now, row), sku=row.sku)


def _move(run: Mover, crm: Stocking, stock: ProductStock, row: Taken, wanted: Decimal) -> None:
    after = stock.quantity - (wanted - row.taken)
    if run.rehearsed:
        crm.set_stock(stock, after)
        return
    movement = replace(row, wanted=wanted, before=stock.quantity, after=after, modified=stock.modified)
    movement = run.ledger.goods.intend(movement, hold=run.hold)
    try:
        written = crm.set_stock(stock, after)
    except Ambiguous as error:
        raise _wait(movement, error.message, "ambiguous write", error.connection) from error
    except LeaseLost:
        raise
    except OrderwireError:
        run.ledger.goods.withdraw(movement)
        raise
    run.ledger.goods.done(movement)
    run.judge([*written.differences, *_overtaken(run, crm, stock, movement, written)])


def _overtaken(run: Mover, crm: Stocking, stock: ProductStock, moved: Taken, written: Written) -> Sequence[Difference]:
    """What an invoice took between our reading and our writing, for a person. The movement is done whatever comes of this."""
    state = run.ledger.orders.get(moved.flow, moved.order_key)
    after = moved.after if moved.after is not None else stock.quantity
    try:
        return crm.overtaken(stock, written, after, Ref(state.remote_id if state is not None else ""))
    except RetryLater:
        run.warn(
            f"{moved.target} did not say whether an invoice took {stock.sku} in the moment in which its stock was written. "
            "What to do: nothing, unless its stock there is not what is on the shelf.",
            "difference",
        )
        return ()


def _settle(run: Mover, crm: Stocking, movement: Taken) -> None:
    """A movement of which nobody knew whether it arrived, by what the product shows now. Whoever's it is: nobody moves the
    product again before that is known, so its quantity and time still tell.
    """
    if movement.hold_left > 0:
        raise _wait(movement, "An earlier change of the stock may still be on its way.", "busy")
    stock = crm.stock_of(movement.product_id)
    goods = run.ledger.goods
    arrived = arrived_by(movement, stock) if stock is not None else False
    if arrived is None and stock is not None:
        goods.doubt(movement, stock.quantity)
    elif arrived:
        goods.done(movement)
    else:
        goods.withdraw(movement)


def arrived_by(movement: Taken, stock: ProductStock) -> bool | None:
    """Whether a movement is in the stock that is shown now; None: nobody can tell (pure).

    The quantity decides while it is one of the two. Otherwise goods were moved meanwhile (an invoice does that without
    touching the product's time): then the product's time and who changed it last do. Where these say that we changed it and
    the quantity says that we did not, as much may have come back by a cancelled invoice.
    """
    ours = movement.modified is not None and stock.modified > movement.modified and bool(stock.by_us)
    if stock.quantity == movement.after:
        return True
    if stock.quantity == movement.before:
        return None if ours else False
    return True if ours else None


def _ask_a_person(run: Mover, number: str, row: Taken) -> None:
    """Told once, and counted as arrived from then on: the sentence asks to make it so."""
    run.ledger.goods.done(row)
    moved = (row.wanted - row.taken).normalize()
    raise Held(
        f"Nobody can tell whether the stock of {row.sku} in {row.target} was lowered by {moved:f} for order {number}: "
        f"it was {_plain(row.before)}, was to be {_plain(row.after)}, and was found at {_plain(row.seen)}. What to do: see who "
        "changed it at the product there; correct it by hand where our change is missing; then retry.",
        error_class="ambiguous write",
        field="qtyinstock",
    )


def _plain(number: Decimal | None) -> str:
    return f"{number.normalize():f}" if number is not None else "unknown"


def _wait(movement: Taken, message: str, cause: str, connection: str = "") -> RetryLater:
    advice = "" if "What to do:" in message else " What to do: nothing, this one follows by itself."
    return RetryLater(
        f"{message}{advice}",
        seconds=movement.hold_left + 0.1,
        cause=cause,
        burns_attempt=cause != "busy",
        connection=connection,
        detail=f"stock of {movement.product_id} for {movement.order_key}",
    )
