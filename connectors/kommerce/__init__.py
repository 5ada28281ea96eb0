"""KommerceServer as a portal: its import folder is given numbered files of customers and of reps."""

from __future__ import annotations

from typing import Final

import httpx

from connectors.http import Budget, Observer
from connectors.kommerce.portal import KommercePortal
from connectors.kommerce.settings import KommerceSettings
from core.clock import Clock

ROLE: Final = "portal"
SETTINGS: Final = KommerceSettings


def build(
    settings: KommerceSettings,
    transport: httpx.BaseTransport | None = None,  # noqa: ARG001 - the same for every connector; files need none
    observe: Observer | None = None,  # noqa: ARG001
    budget: Budget | None = None,  # noqa: ARG001
    clock: Clock | None = None,
) -> KommercePortal:
    """A portal ready to use. Touches no file yet."""
    return KommercePortal(settings, clock or Clock())


__all__ = ["ROLE", "SETTINGS", "KommercePortal", "KommerceSettings", "build"]
