"""What the screens of jobs, problems and orders share: the services over this process's state, and small words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from core.jsontext import loads
from core.redaction import redact, redact_all
from core.rights import Right
from ledger.problems import Problems
from ledger.search import Search
from pipelines.editing import Editing, pretty
from web.access import require
from web.dashboard.common import context_of, desk_of

LARGEST_SHOWN: Final = 200_000
"""Characters of a body that a page shows."""

# For routes that need not know who asks.
SEEING: Final = [Depends(require(Right.SEE))]
EDITING: Final = [Depends(require(Right.EDIT))]
MANY: Final = [Depends(require(Right.BULK))]


def editing(request: Request) -> Editing:
    """The services behind the editor and the look at what would be written."""
    return Editing(context_of(request), desk_of(request))


def search(request: Request) -> Search:
    """One a process: it remembers where jobs are."""
    kept: Search | None = getattr(request.app.state, "search", None)
    if kept is None:
        kept = request.app.state.search = Search(context_of(request).ledger.db)
    return kept


def problems(request: Request) -> Problems:
    """The problems of the moment."""
    return Problems(context_of(request).ledger.db)


def order_address(number: str) -> str:
    """The page of the order that people call so."""
    return f"/orders/{quote(number, safe='')}"


def address(path: str, params: Mapping[str, str]) -> str:
    """A page with its filters."""
    return f"{path}?{urlencode(params)}" if params else path


def missing() -> HTTPException:
    """There is no such thing."""
    return HTTPException(404, "There is no such page. What to do: search for the order's number.")


def body(raw: bytes | None, *, hidden: bool = True) -> str:
    """A kept body for people: JSON on many lines where it is JSON; personal data `hidden`."""
    if raw is None:
        return ""
    try:
        value: Any = loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except ValueError:
        text = raw.decode("utf-8", "replace")
        return (redact(text) if hidden else text)[:LARGEST_SHOWN]
    return pretty(redact_all(value) if hidden else value)[:LARGEST_SHOWN]
