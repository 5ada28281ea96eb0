"""What every screen needs of its request."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from core.rights import Right
from ledger.people import Person
from pipelines.context import Context
from pipelines.desk import Desk
from web.access import require
from web.state import WebState

Seeing = Annotated[Person, Depends(require(Right.SEE))]
"""Whoever may look."""


def state_of(request: Request) -> WebState:
    """The process's."""
    state: WebState = request.app.state.orderwire
    return state


def context_of(request: Request) -> Context:
    """Ledger, connections, flows."""
    return state_of(request).context


def desk_of(request: Request) -> Desk:
    """The services behind buttons."""
    state = state_of(request)
    return Desk.of(state.context, state.context.ledger.audit, state.nudge)
