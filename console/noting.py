"""Who types, and that it goes into the audit: what the command line changes is seen on the same page as what people press."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ledger import Ledger


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
    given = {name: value for name, value in facts.items() if value not in ("", None)}
    ledger.audit.note(actor(), action, subject, given)
