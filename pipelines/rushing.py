"""Rush orders that are not in their target within the flow's target time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from ledger import rushes
from ledger.alerts import Condition
from ledger.rushes import Rush
from pipelines.context import Context

NAMED: Final = 5
"""Orders that an alert names."""


def conditions(context: Context) -> Iterator[Condition]:
    """One alert a flow, however many orders it is."""
    now = context.ledger.clock.now()
    for flow in context.flows.values():
        if not flow.rush_target:
            continue
        found = rushes.undone(context.ledger.db, flow.name, now - timedelta(seconds=flow.rush_target))
        if found:
            named = ", ".join(_named(one) for one in found[:NAMED])
            yield Condition(
                f"rush/{flow.name}",
                _title(len(found), flow.rush_target),
                f"{named}{_more(len(found) - NAMED)}. What to do: see what each waits for "
                f"(`orderwire jobs list --flow {flow.name}`); carry it by hand where it cannot wait.",
                severity="critical",
                facts={"flow": flow.name, "count": len(found), "orders": [one.key for one in found[:NAMED]]},
            )


def _title(count: int, target: float) -> str:
    orders = "rush order is" if count == 1 else "rush orders are"
    return f"{count} {orders} not carried within {target:g} s"


def _named(one: Rush) -> str:
    since = f"{one.number or one.key} since {one.since:%Y-%m-%d %H:%M} UTC"
    return f"{since} ({one.state}: {one.reason.partition(' What to do:')[0].rstrip('.')})" if one.reason else since


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""
