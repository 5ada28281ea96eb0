"""Files that an ERP drops in a folder or on an SFTP server: KommerceServer's KS_ files, and CSV with declared columns."""

from __future__ import annotations

from typing import Final

import httpx

from connectors.feed.erp import FileErp
from connectors.feed.places import Folder, Place
from connectors.feed.settings import FeedSettings
from connectors.http import Budget, Observer
from core.clock import Clock

ROLE: Final = "erp"
SETTINGS: Final = FeedSettings


def build(
    settings: FeedSettings,
    transport: httpx.BaseTransport | None = None,
    observe: Observer | None = None,
    budget: Budget | None = None,
    clock: Clock | None = None,
) -> FileErp:
    """A connector ready to use. Calls nobody, and reads no secret yet. It speaks no HTTP: what serves that is not used."""
    del transport, observe, budget
    return FileErp(settings, _place(settings), clock or Clock())


def _place(settings: FeedSettings) -> Place:
    if not settings.host:
        return Folder(settings.name, settings.folder)
    from connectors.feed.sftp import Sftp  # noqa: PLC0415 - 20 MB that only who has a host needs

    return Sftp(settings)


__all__ = ["ROLE", "SETTINGS", "FeedSettings", "FileErp", "build"]
