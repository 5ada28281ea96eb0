"""Everything that runs at intervals: whichever process comes first when it is due runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from connectors.roles import Changing
from core.settings import FlowSettings, RepFlowSettings, StockSettings
from pipelines import (
    bulk,
    carrier,
    conditions,
    crmpolling,
    doubles,
    erppolling,
    gaps,
    heartbeat,
    mailing,
    parties,
    polling,
    publishing,
    reconcile,
    reps,
    requests,
    spells,
    stockpublishing,
    stocks,
    stocktelling,
    telling,
    watch,
    webhooks,
)
from pipelines.buyers import Buyers
from pipelines.context import Context

PARTIES_EVERY: Final = 60.0
CONDITIONS_EVERY: Final = 10.0
COMPARE_EVERY: Final = 86_400.0
SILENCE_EVERY: Final = 600.0
HEARTBEAT_EVERY: Final = 60.0
WEBHOOKS_EVERY: Final = 3600.0
DOUBLES_EVERY: Final = 30.0
PULSE_EVERY: Final = 60.0
REPS_EVERY: Final = 5.0


@dataclass(frozen=True, slots=True)
class Scheduled:
    """Something to run every so many seconds. `work` gives a number for the record: changes, alerts."""

    name: str
    every: float
    work: Callable[[], int]
    connection: str = ""
    """The connection that is asked: it works when this succeeds."""
    besides: tuple[str, ...] = ()
    """Others that may be asked, of which its end says nothing."""

    @property
    def asks(self) -> frozenset[str]:
        """Connections without which it does not begin: none of them is paused."""
        return frozenset(name for name in (self.connection, *self.besides) if name)


def asks(context: Context, name: str) -> frozenset[str]:
    """The connections that this schedule asks."""
    return next((one.asks for one in of(context) if one.name == name), frozenset())


def of(context: Context, stopping: Callable[[], bool] = lambda: False) -> Iterator[Scheduled]:
    """What this configuration asks for. `stopping`: whether the process ends, so that what takes long leaves off."""
    for name in context.crms:
        yield Scheduled(f"parties/{name}", PARTIES_EVERY, _parties(context, name), name)
        # No connection is named: a round in which nothing was asked says nothing about it.
        yield Scheduled(f"post-check/{name}", DOUBLES_EVERY, _doubles(context, name))
        yield from _of_crm(context, name)
    for flow in _polled(context).values():
        yield Scheduled(f"poll/{flow.source}", flow.poll, _poll(context, flow), flow.source)
    for flow in context.flows.values():
        if context.stores[flow.source].pollable:
            yield Scheduled(f"compare/{flow.name}", COMPARE_EVERY, _compare(context, flow), flow.source, (flow.target,))
    for name in sorted({flow.source for flow in context.flows.values()}):
        # Its end says nothing about the connection either.
        asked = (name,) if context.stores[name].pollable else ()
        yield Scheduled(f"gaps/{name}", COMPARE_EVERY, _gaps(context, name), besides=asked)
        if context.stores[name].pollable and context.stores[name].accepts_deliveries():
            yield Scheduled(f"webhooks/{name}", WEBHOOKS_EVERY, _webhooks(context, name), besides=(name,))
    yield from _of_erps(context, stopping)
    yield from _of_reps(context)
    yield from _of_stock(context, stopping)
    yield Scheduled("pulse", PULSE_EVERY, context.ledger.pulse.advance)
    yield Scheduled(bulk.SCHEDULE, bulk.EVERY, lambda: bulk.go_on(context.ledger))
    for name in carrier.KINDS:
        yield Scheduled(name, carrier.EVERY, _carry(context, name, stopping))
    buyers = Buyers(context)
    yield Scheduled("problems", spells.EVERY, lambda: spells.follow(context.ledger, buyers))
    yield Scheduled("deliveries", watch.EVERY, lambda: watch.look(context))
    yield Scheduled("conditions", CONDITIONS_EVERY, lambda: conditions.reconcile(context))
    yield Scheduled("silence", SILENCE_EVERY, lambda: conditions.reconcile(context, conditions.SLOW_RULES))
    # Whatever is configured now: what was kept before is forgotten in its time.
    yield Scheduled("messages", mailing.FORGET_EVERY, lambda: mailing.forget(context))
    if context.notifiers:
        yield Scheduled(
            "telling",
            context.alerts.every,
            lambda: telling.tell(context.ledger, context.notifiers, context.alerts),
        )
    if context.alerts.heartbeat:
        yield Scheduled("heartbeat", HEARTBEAT_EVERY, lambda: heartbeat.beat(context.alerts.heartbeat))


def _polled(context: Context) -> dict[str, FlowSettings]:
    """Each pollable source once, by the flow that asks most often."""
    found: dict[str, FlowSettings] = {}
    for flow in context.flows.values():
        if not flow.poll or not context.stores[flow.source].pollable:
            continue
        if flow.source not in found or flow.poll < found[flow.source].poll:
            found[flow.source] = flow
    return found


def _of_crm(context: Context, name: str) -> Iterator[Scheduled]:
    """What people change in a CRM, asked as often as the most eager flow into it wants."""
    polls = [flow.poll_crm for flow in context.flows.values() if flow.target == name and flow.poll_crm]
    if polls and isinstance(context.crms[name], Changing):
        yield Scheduled(f"crm/{name}", min(polls), lambda: crmpolling.poll(context, name), name)
        yield Scheduled(f"crm-gone/{name}", COMPARE_EVERY, lambda: crmpolling.compare(context, name), name)


def _of_erps(context: Context, stopping: Callable[[], bool]) -> Iterator[Scheduled]:
    """Each ERP once, as often as the flow wants that asks most often: of sales reps, or of orders."""
    polls = [(flow.source, flow.poll) for flow in context.reps.values()]
    polls += [(flow.invoices_from, flow.invoices_poll) for flow in context.flows.values() if flow.invoices_from]
    promises = [flow.promise for flow in context.flows.values() if flow.promise is not None]
    polls += [(promise.erp, promise.erp_poll) for promise in promises if promise.erp]
    for source in sorted({source for source, poll in polls if poll}):
        every = min(poll for name, poll in polls if name == source and poll)
        yield Scheduled(f"poll/{source}", every, _poll_erp(context, source, stopping), source)
        yield Scheduled(f"compare/{source}", COMPARE_EVERY, _compare_erp(context, source), source)


def _of_reps(context: Context) -> Iterator[Scheduled]:
    for source in sorted({flow.source for flow in context.reps.values()}):
        yield Scheduled(f"reps/{source}", REPS_EVERY, _look_again(context, source))
    if context.reps:
        yield Scheduled("requests", requests.FORGET_EVERY, lambda: requests.forget(context))
    for flow in context.reps.values():
        for name in flow.portals:
            yield Scheduled(f"publish/{name}", publishing.EVERY, _look_over(context, flow, name))


def _of_stock(context: Context, stopping: Callable[[], bool]) -> Iterator[Scheduled]:
    for stock in context.stocks.values():
        if stock.poll:
            yield Scheduled(stocks.schedule_name(stock), stock.poll, _levels(context, stock, stopping), stock.source)
        for store in stock.publish:
            # No connection is named: mostly nothing was to be told.
            name = stockpublishing.schedule_name(stock, store)
            yield Scheduled(name, stockpublishing.EVERY, _for_sale(context, stock, store, stopping))
    if context.stocks and context.buyers:
        yield Scheduled(stocktelling.SCHEDULE, stocktelling.EVERY, lambda: stocktelling.tell(context))


def _levels(context: Context, stock: StockSettings, stopping: Callable[[], bool]) -> Callable[[], int]:
    return lambda: stocks.poll(context, stock, stopping)


def _for_sale(context: Context, stock: StockSettings, store: str, stopping: Callable[[], bool]) -> Callable[[], int]:
    return lambda: stockpublishing.publish(context, stock, store, stopping)


def _poll_erp(context: Context, source: str, stopping: Callable[[], bool]) -> Callable[[], int]:
    return lambda: erppolling.poll(context, source, stopping)


def _compare_erp(context: Context, source: str) -> Callable[[], int]:
    return lambda: erppolling.compare(context, source)


def _look_over(context: Context, flow: RepFlowSettings, name: str) -> Callable[[], int]:
    return lambda: publishing.look_over(context, flow, name)


def _look_again(context: Context, source: str) -> Callable[[], int]:
    return lambda: reps.look_again(context, source)


def _carry(context: Context, name: str, stopping: Callable[[], bool]) -> Callable[[], int]:
    return lambda: carrier.go_on(context, name, stopping)


def _poll(context: Context, flow: FlowSettings) -> Callable[[], int]:
    return lambda: polling.poll(context, flow)


def _compare(context: Context, flow: FlowSettings) -> Callable[[], int]:
    return lambda: reconcile.nightly(context, flow)


def _gaps(context: Context, name: str) -> Callable[[], int]:
    return lambda: gaps.look(context, name)


def _webhooks(context: Context, name: str) -> Callable[[], int]:
    return lambda: webhooks.watch(context, name)


def _doubles(context: Context, name: str) -> Callable[[], int]:
    return lambda: doubles.look(context, name)


def _parties(context: Context, name: str) -> Callable[[], int]:
    region = next((flow.region for flow in context.flows.values() if flow.target == name and flow.region), "")
    return lambda: parties.refresh(context.ledger, context.crms[name], region)
