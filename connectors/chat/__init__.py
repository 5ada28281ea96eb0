"""Chat rooms, through apprise, as a notifier that also carries letters."""

from __future__ import annotations

from typing import Any, Final

from connectors.chat.messenger import ChatMessenger
from connectors.chat.settings import ChatSettings

ROLE: Final = "notifier"
SETTINGS: Final = ChatSettings


def build(
    settings: ChatSettings,
    transport: Any = None,  # noqa: ARG001 - every connector is built alike
    observe: Any = None,  # noqa: ARG001
    budget: Any = None,  # noqa: ARG001
    clock: Any = None,  # noqa: ARG001
) -> ChatMessenger:
    """A messenger ready to use. Calls nobody, reads no secret yet."""
    return ChatMessenger(settings)


__all__ = ["ROLE", "SETTINGS", "ChatMessenger", "ChatSettings", "build"]
