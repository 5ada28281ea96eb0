"""E-mail over SMTP as a notifier."""

from __future__ import annotations

from typing import Any, Final

from connectors.smtp.notifier import SmtpNotifier
from connectors.smtp.settings import SmtpSettings
from core.clock import Clock

ROLE: Final = "notifier"
SETTINGS: Final = SmtpSettings


def build(
    settings: SmtpSettings,
    transport: Any = None,  # noqa: ARG001 - every connector is built alike
    observe: Any = None,  # noqa: ARG001
    budget: Any = None,  # noqa: ARG001
    clock: Clock | None = None,
) -> SmtpNotifier:
    """A notifier ready to use. Calls nobody, reads no secret yet."""
    return SmtpNotifier(settings, clock or Clock())


__all__ = ["ROLE", "SETTINGS", "SmtpNotifier", "SmtpSettings", "build"]
