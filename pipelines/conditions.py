"""What is so at present and somebody should know: computed from the ledger, never from memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from core.money import show
from ledger.alerts import Alert, Condition
from pipelines import gaps, rushing, silence
from pipelines.context import Context

GRACE: Final = 60.0
"""Seconds that a connection may be out before anybody is told; a refused login is told at once."""

Rule = Callable[[Context], Iterator[Condition]]


def connections(context: Context) -> Iterator[Condition]:
    """Connections that are out: one alert each, whatever the faults were."""
    for state in context.ledger.states.all():
        if not state.faults or (state.out_for < GRACE and state.blocked_class != "auth"):
            continue
        title = f"{state.connection} is out"
        if state.blocked_class == "auth":
            title = f"{state.connection} refuses our login"
        waiting = context.ledger.figures.waiting_for(state.connection)
        yield Condition(
            f"connection/{state.connection}",
            title,
            f"{state.blocked_reason} {waiting} orders wait; nothing is lost, they follow by themselves.",
            severity="critical",
            facts={"connection": state.connection, "class": state.blocked_class, "waiting": waiting},
        )


def held(context: Context) -> Iterator[Condition]:
    """Held jobs, grouped by flow and class."""
    for group in context.ledger.figures.held_groups():
        orders = "order is" if group.count == 1 else "orders are"
        yield Condition(
            f"held/{group.flow}/{group.error_class}",
            f"{group.count} {orders} held ({group.error_class})",
            f"{group.sample} See `orderwire jobs list --state held`.",
            facts={"flow": group.flow, "class": group.error_class, "count": group.count},
        )


def schedules(context: Context) -> Iterator[Condition]:
    """Polls and index refreshes that failed the last time."""
    for schedule in context.ledger.figures.schedules():
        if schedule.last_outcome.startswith("failed"):
            yield Condition(
                f"schedule/{schedule.name}",
                f"{schedule.name} fails",
                f"{schedule.last_outcome.removeprefix('failed: ')}",
                facts={"schedule": schedule.name},
            )


RULES: Final[dict[str, Rule]] = {
    "connection/": connections,
    "held/": held,
    "rush/": rushing.conditions,
    "schedule/": schedules,
}
"""Prefix of the causes -> who computes them."""


SLOW_RULES: Final[dict[str, Rule]] = {"silence/": silence.conditions, "gaps/": gaps.conditions}
"""The same for what needs a longer look, and not every ten seconds."""


def reconcile(context: Context, rules: Mapping[str, Rule] = RULES) -> int:
    """Open what holds, close what does not any more. How many of these conditions hold."""
    alerts = context.ledger.alerts
    count = 0
    for prefix, rule in rules.items():
        present = {condition.cause: condition for condition in rule(context)}
        for condition in present.values():
            alerts.open(condition)
        for alert in alerts.opened(prefix):
            if alert.cause not in present and _may_close(context, alert):
                alerts.close(alert.cause, closing(context, alert))
        count += len(present)
    return count


def _may_close(context: Context, alert: Alert) -> bool:
    """An outage is over when what waited for it has been carried: the all-clear names how much that was."""
    if not alert.cause.startswith("connection/"):
        return True
    connection = alert.cause.partition("/")[2]
    return context.ledger.figures.waiting_for(connection, since=alert.opened_at) == 0


def closing(context: Context, alert: Alert) -> str:
    """The all-clear's sentence."""
    if not alert.cause.startswith("connection/"):
        return "The cause is gone."
    connection = alert.cause.partition("/")[2]
    caught = context.ledger.figures.caught_up(connection, since=alert.opened_at)
    money = ", ".join(show(amount, currency) for currency, amount in sorted(caught.amounts.items()))
    return f"{connection} works again. {caught.count} orders" + (f" ({money})" if money else "") + " have caught up."
