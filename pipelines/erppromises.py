"""Days that an ERP promised: kept by what it calls the order, and held against the orders that are here (pipelines.watch).

The order may come later: it looks for its promise by itself then.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from connectors.roles import Promising
from core.errors import Held, Skipped
from core.keys import Key
from core.settings import FlowSettings
from ledger.erppromises import ErpPromise
from ledger.flows import REHEARSED
from ledger.jobs import Outcome
from ledger.orderstates import OrderState
from mapping.canonical import ErpSale
from mapping.days import day_in
from mapping.erpinvoices import named
from pipelines import erporders, watch
from pipelines.context import Context
from pipelines.run import Run
from pipelines.standing import UNTIL_LIVE

KEPT = timedelta(days=400)
"""After the promised day: nobody asks for it any more."""


def carry(run: Run) -> Outcome:
    """Converge to what one sale of the ERP promises now. Raises the taxonomy of core.errors."""
    key, settings = run.claim.key, run.flow.promise
    if settings is None or settings.erp != key.connection:
        raise Skipped(f"{run.flow.name} takes no promised days of {key.connection} any more.", rule="not watched")
    if run.rehearsed:
        return Outcome(
            "retry",
            "Days that the ERP promised wait until the flow is live. What to do: nothing more than for its orders.",
            error_class=REHEARSED,
            seconds=UNTIL_LIVE,
            burns=False,
        )
    sale = _sale(run)
    promise = _promise(sale, settings.zone) if sale is not None else None
    before = run.ledger.erp_promises.keep(run.flow.name, key, promise)
    names = [*before, *(promise.names if promise is not None else ())]
    meant = False
    for state in _states(run.context, run.flow, names):
        watch.keep(run.context, run.flow, state)
        meant = meant or (promise is not None and promise.fits(state.currency, state.total))
    return _outcome(key, sale, promise, known=meant)


def _sale(run: Run) -> ErpSale | None:
    """None: the ERP has deleted it."""
    key = run.claim.key
    erp = run.context.erp(key.connection)
    if not isinstance(erp, Promising):
        raise Held(
            f"{key.connection} tells no promised days. What to do: name another ERP in [flow.promise].",
            error_class="configuration",
        )
    record = erporders.newest(run, erp)
    if record.deleted:
        return None
    if record.raw is None:
        raise erporders.unknown_state(key)
    return erp.sale(record.key, record.raw)


def _promise(sale: ErpSale, zone: str) -> ErpPromise | None:
    """What is kept of it (pure); None: it promises nothing, or does not say to whom."""
    names = named(sale.reference) or named(sale.number)
    if sale.promised is None or not names:
        return None
    return ErpPromise(
        promised_on=_day(sale.promised, zone),
        names=names,
        own=not named(sale.reference),
        currency=sale.currency,
        total=sale.total,
    )


def _day(promised: date | datetime, zone: str) -> date:
    return day_in(promised, zone) if isinstance(promised, datetime) else promised


def _states(context: Context, flow: FlowSettings, names: list[str]) -> list[OrderState]:
    """The orders that are in the CRM and may be meant."""
    keys = dict.fromkeys(
        str(key) for name in dict.fromkeys(names) for key in erporders.keys_called(context, flow, name)
    )
    states = [context.ledger.orders.get(flow.name, key) for key in keys]
    return [state for state in states if state is not None]


def _outcome(key: Key, sale: ErpSale | None, promise: ErpPromise | None, *, known: bool) -> Outcome:
    if sale is None:
        raise Skipped(f"{key.connection} has deleted this sale: it promises nothing any more.", rule="deleted")
    if promise is None:
        raise Skipped("This sale promises no day for an order that it names.", rule="no promise")
    if not known:
        raise Skipped(
            f"Promised for {promise.promised_on}, and no order of this flow is called {promise.names[0]} yet: it counts from the "
            "moment that such an order is here.",
            rule="no order",
        )
    return Outcome("settled", f"Promised for {promise.promised_on}.", number=sale.number)


def forget(context: Context, source: str) -> None:
    """What an ERP promised long ago."""
    context.ledger.erp_promises.forget(source, context.ledger.clock.now().date() - KEPT)
