"""Whether stores still deliver: what `doctor` says, the alert, and mending on request."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from connectors.http import guarded
from connectors.roles import Finding, Repair
from core.clock import parse_utc
from core.errors import UNSIGNED, OrderwireError, Rejected
from ledger import Ledger
from ledger.alerts import Condition
from pipelines.clerk import Errand
from pipelines.context import Context

EVERY_REFUSAL: Final = 30.0
"""Seconds. Strangers may send what they like: at most one refusal in so long is written down."""
RECENT: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Refused:
    """Deliveries that another secret had signed. `count` is at least that many."""

    count: int
    first: datetime
    last: datetime


class Refusals:
    """Notes deliveries that were refused for their signature; one in each web process, safe to share between threads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._unwritten: dict[str, int] = {}
        self._next: dict[str, float] = {}

    def to_be_written(self, connection: str, error: Rejected) -> bool:
        """Count one; True when it is time to write. Touches no database.

        Only what somebody signed counts: the rest comes from anybody and says nothing about the secret.
        """
        if error.reason != "signature" or error.detail == UNSIGNED:
            return False
        now = time.monotonic()
        with self._lock:
            self._unwritten[connection] = self._unwritten.get(connection, 0) + 1
            if now < self._next.get(connection, 0.0):
                return False
            self._next[connection] = now + EVERY_REFUSAL
            return True

    def write(self, connection: str) -> None:
        """Write down what was counted."""
        now = self._ledger.clock.now()
        with self._lock:
            count = self._unwritten.pop(connection, 0)
        before = refused(self._ledger, connection)
        fresh = before is None or now - before.last > RECENT
        entry = {
            "count": count if fresh or before is None else before.count + count,
            "first": (now if fresh or before is None else before.first).isoformat(),
            "last": now.isoformat(),
        }
        self._ledger.cursors.set(_refused_name(connection), json.dumps(entry))


def _refused_name(connection: str) -> str:
    return f"refused/{connection}"


def refused(ledger: Ledger, connection: str) -> Refused | None:
    """What was refused lately; None: nothing ever."""
    kept = ledger.cursors.get(_refused_name(connection))
    if kept is None:
        return None
    entry = json.loads(kept)
    return Refused(entry["count"], parse_utc(entry["first"]), parse_utc(entry["last"]))


# -- looking ---------------------------------------------------------------------------------------------------------------


def findings(context: Context, name: str) -> list[Finding]:
    """Subscriptions as the store tells them, the secret as refused deliveries tell it. Never raises for the store."""
    store = context.store(name)
    try:
        found = list(store.webhook_status())
    except OrderwireError as error:
        text, _, advice = error.message.partition(" What to do: ")
        found = [Finding("webhooks", "problem", text, advice)]
    secret = _secret(context, name)
    return [*found, secret] if secret else found


def wrong_secret(context: Context, name: str) -> bool:
    """Deliveries are refused for their signature, and no good one has come since."""
    bad, last = refused(context.ledger, name), context.ledger.figures.last_delivery(name)
    return bad is not None and (last is None or bad.last > last)


def _secret(context: Context, name: str) -> Finding | None:
    bad = refused(context.ledger, name)
    if bad is None or context.clock.now() - bad.last > RECENT or not context.store(name).accepts_deliveries():
        return None
    lasting = wrong_secret(context, name)
    since = (
        "and no good one has come since" if lasting else "while others were good: one webhook may have another secret"
    )
    return Finding(
        "secret",
        "problem" if lasting else "warning",
        f"At least {bad.count} deliveries were signed with another secret than ours, the last at "
        f"{bad.last:%Y-%m-%d %H:%M:%S} UTC, {since}. A store never shows a webhook's secret, so this is how a wrong one is seen.",
        "`orderwire doctor --mend` gives the store our secret anew; where it cannot, enter it there by hand.",
    )


def watch(context: Context, name: str) -> int:
    """One alert for a store that delivers nothing any more; closed when it does again. How many webhooks are to blame."""
    found = findings(context, name)
    bad = [one for one in found if one.level == "problem" and one.subject != "webhooks"]
    cause = f"webhooks/{name}"
    if bad:
        said = " ".join(f"{one.subject}: {one.message}" for one in bad)
        context.ledger.alerts.open(
            Condition(
                cause,
                f"{name} does not deliver any more",
                f"{said} What to do: `orderwire doctor --mend`, or {bad[0].what_to_do.rpartition(' or ')[2]}",
                facts={"connection": name, "webhooks": [one.subject for one in bad]},
            )
        )
    elif not any(one.subject == "webhooks" and one.level != "ok" for one in found):  # it could be asked
        context.ledger.alerts.close(cause, f"{name} delivers again.")
    return len(bad)


# -- mending ---------------------------------------------------------------------------------------------------------------


def plan(context: Context, name: str) -> Sequence[Repair]:
    """What would be written to the store; writes nothing."""
    return context.store(name).repairs(renew_secret=wrong_secret(context, name))


@contextmanager
def errand(context: Context, name: str) -> Iterator[None]:
    """Alone with this store: two people at once would create everything twice."""
    need = context.connections[name].connect_timeout + context.connections[name].read_timeout
    with context.ledger.lanes.hold(f"webhooks/{name}", within=1.0, need=need), guarded(Errand(context, name)):
        yield


def mend(context: Context, name: str, agreed: Sequence[Repair]) -> list[Finding]:
    """Carry out what was agreed, as far as it is still to be done."""
    store = context.store(name)
    with errand(context, name):
        due = plan(context, name)
        return [store.repair(repair) for repair in agreed if repair in due]
