"""Tells people about alerts: grouped into one message, not at night unless it is critical, all-clears too."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog

from connectors.http import Call, guarded
from connectors.roles import Message, Notifier
from core.errors import OrderwireError
from core.settings import AlertSettings
from ledger import Ledger
from ledger.alerts import Alert
from pipelines import spells

log = structlog.get_logger(__name__)


def is_quiet(settings: AlertSettings, now: datetime) -> bool:
    """Whether only critical alerts are told now (pure). A span may pass midnight."""
    if settings.quiet is None:
        return False
    begin, end = settings.quiet
    local = now.astimezone(ZoneInfo(settings.zone)).time()
    return begin <= local < end if begin <= end else local >= begin or local < end


class Outside:
    """The guard of calls that belong to no job: a notifier may be written to, nothing of ours is at stake."""

    def before_write(self, connection: str, timeout: float) -> None:
        """Always allowed."""

    def called(self, call: Call) -> None:
        """Not kept."""


def tell(ledger: Ledger, notifiers: Mapping[str, Notifier], settings: AlertSettings) -> int:
    """Send one message about everything untold. How many alerts were told; a notifier that fails is tried again next
    time, and the others are not told twice only if all took it: a doubled mail is better than none.
    """
    quiet = is_quiet(settings, ledger.clock.now())
    alerts = [alert for alert in ledger.alerts.untold() if not quiet or alert.severity == "critical"]
    if not alerts or not notifiers:
        return 0
    alerts = _awake(ledger, alerts)
    if not alerts:
        return 0
    message = compose(alerts)
    failed = [name for name, notifier in notifiers.items() if not _sent(notifier, message)]
    if len(failed) == len(notifiers):
        return 0
    ledger.alerts.told(alerts)
    return len(alerts)


def _awake(ledger: Ledger, alerts: Sequence[Alert]) -> list[Alert]:
    """Without those of problems that somebody has snoozed: they are told when these are back. What is critical is always
    told, and so is the end of what was told.
    """
    hushed = spells.hushed(ledger)
    return [one for one in alerts if one.severity == "critical" or one.closed_at or one.cause not in hushed]


def try_out(notifiers: Mapping[str, Notifier], actor: str, now: datetime) -> Mapping[str, bool]:
    """Send a message that says it is a test to everybody who is told of alerts. By notifier: whether it was taken."""
    text = f"{actor} tries out whether messages of Orderwire arrive here. They do. What to do: nothing."
    mark = hashlib.sha256(f"{actor} {now.isoformat()}".encode()).hexdigest()[:24]
    message = Message(f"test_{mark}", "Orderwire: a test message", text, {"opened": [], "closed": [], "test": True})
    return {name: _sent(notifier, message) for name, notifier in notifiers.items()}


def _sent(notifier: Notifier, message: Message) -> bool:
    try:
        with guarded(Outside()):
            notifier.send(message)
    except OrderwireError as error:
        log.warning(
            "an alert could not be sent", notifier=notifier.name, error_class=error.error_class, detail=error.detail
        )
        return False
    return True


def compose(alerts: Sequence[Alert]) -> Message:
    """One message for all of them (pure)."""
    opened = [alert for alert in alerts if alert.closed_at is None]
    closed = [alert for alert in alerts if alert.closed_at is not None]
    subject = _subject(opened, closed)
    lines: list[str] = []
    for alert in opened:
        lines += [alert.title, f"  {alert.message}", f"  since {alert.opened_at:%Y-%m-%d %H:%M} UTC", ""]
    for alert in closed:
        lines += [f"Over: {alert.title}", f"  {alert.closing}", ""]
    marks = ",".join(f"{alert.id}{'c' if alert.closed_at else 'o'}" for alert in alerts)
    data = {"opened": [_facts(alert) for alert in opened], "closed": [_facts(alert) for alert in closed]}
    return Message(f"alert_{hashlib.sha256(marks.encode()).hexdigest()[:24]}", subject, "\n".join(lines), data)


def _subject(opened: Sequence[Alert], closed: Sequence[Alert]) -> str:
    first = opened[0].title if opened else f"Over: {closed[0].title}"
    more = len(opened) + len(closed) - 1
    return f"Orderwire: {first}" + (f" and {more} more" if more else "")


def _facts(alert: Alert) -> dict[str, object]:
    return {"cause": alert.cause, "title": alert.title, "severity": alert.severity, **alert.facts}
