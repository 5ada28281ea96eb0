"""Who types, and that it goes into the audit: what the command line changes is seen on the same page as what people press."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ledger import Ledger
    from pipelines.desk import Desk


def who() -> str:
    """Who types, as the machine knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def actor() -> str:
    """How the audit calls them: no person of the dashboard can have such a name."""
    return f"{who()} (command line)"


def note(ledger: Ledger, action: str, subject: str, **facts: Any) -> None:
    """Write it down; call it after what it says has happened."""
    _Given(ledger).note(actor(), action, subject, facts)


def desk(ledger: Ledger) -> Desk:
    """The services behind the buttons, for a command that has looked up in the configuration what it was given."""
    from pipelines.desk import Desk

    return Desk(ledger, _Given(ledger))


class _Given:
    """The audit, with the facts that somebody gave and no others."""

    def __init__(self, ledger: Ledger) -> None:
        self._audit = ledger.audit

    def note(self, actor: str, action: str, subject: str, facts: Mapping[str, Any]) -> None:
        given = {name: value for name, value in facts.items() if value not in ("", None)}
        self._audit.note(actor, action, subject, given)
