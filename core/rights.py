"""Who may do what. One table: a right, and the least role that has it; a route or an action names its right, never a role."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What a person is. Each may do all that the one before may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Right(StrEnum):
    """What can be allowed. Templates ask `may("retry")`; the audit and refusals name it so, too."""

    SEE = "see"
    """Every page: orders, jobs, problems, connections, schedules, alerts."""
    AUDIT = "see_audit"
    """Who did what. Where they did it from is for PEOPLE."""
    OWN = "own"
    """One's own password, and logging out."""
    RETRY = "retry"
    SKIP = "skip"
    EDIT = "edit"
    """Retry with edited data."""
    PAUSE = "pause"
    """Pause and resume a connection or a flow."""
    RUN = "run"
    """Test a connection, a schedule ahead of time, a rehearsal: nothing that could not happen by itself."""
    HANDLE = "handle"
    """A problem: snooze, assign, resolve, note."""
    BULK = "bulk"
    """Any action on many at once."""
    DECIDE = "decide"
    """Answer what only a person can decide."""
    MODE = "mode"
    """Set a flow live, or back to rehearsal."""
    UNDO = "undo"
    """Delete in a target what a run created."""
    EXPORT = "export"
    PAPERS = "papers"
    """Order confirmations and invoices as files: they name the customer. Each is in the audit."""
    REVEAL = "reveal"
    """What was hidden in a kept body: asks for a reason, and is in the audit."""
    PEOPLE = "people"
    """People, their roles and links; the addresses they come from."""
    TOKENS = "tokens"
    SETTINGS = "settings"
    """Change them."""
    CONFIGURATION = "see_settings"
    """The configuration and what it runs on; secrets as references alone."""


class Scope(StrEnum):
    """What an API token may be used for; never for more than its owner may."""

    READ = "read"
    ACT = "act"


LEAST: Final[dict[Right, Role]] = {
    Right.SEE: Role.VIEWER,
    Right.AUDIT: Role.VIEWER,
    Right.OWN: Role.VIEWER,
    Right.RETRY: Role.OPERATOR,
    Right.SKIP: Role.OPERATOR,
    Right.EDIT: Role.OPERATOR,
    Right.PAUSE: Role.OPERATOR,
    Right.RUN: Role.OPERATOR,
    Right.HANDLE: Role.OPERATOR,
    Right.BULK: Role.OPERATOR,
    Right.DECIDE: Role.OPERATOR,
    Right.MODE: Role.OPERATOR,
    Right.UNDO: Role.ADMIN,
    Right.EXPORT: Role.OPERATOR,
    Right.PAPERS: Role.OPERATOR,
    Right.CONFIGURATION: Role.OPERATOR,
    Right.REVEAL: Role.ADMIN,
    Right.PEOPLE: Role.ADMIN,
    Right.TOKENS: Role.ADMIN,
    Right.SETTINGS: Role.ADMIN,
}

_ORDER: Final = tuple(Role)

RIGHTS: Final[dict[Role, frozenset[Right]]] = {
    role: frozenset(right for right, least in LEAST.items() if _ORDER.index(least) <= _ORDER.index(role))
    for role in Role
}
"""All rights of each role."""

# Own passwords, people and tokens are for people: a token that leaks must not be able to make itself a user.
SCOPES: Final[dict[Scope, frozenset[Right]]] = {
    Scope.READ: frozenset({Right.SEE, Right.AUDIT}),
    Scope.ACT: RIGHTS[Role.OPERATOR] - {Right.OWN},
}


def rights_of(role: Role, scopes: Iterable[Scope] | None = None) -> frozenset[Right]:
    """What a person of this role may; with `scopes`, what a token of theirs may."""
    rights = RIGHTS[role]
    if scopes is None:
        return rights
    return rights & frozenset[Right]().union(*(SCOPES[scope] for scope in scopes))
