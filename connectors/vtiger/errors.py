"""vtiger's error codes as a table: code -> what it means for the caller.

The HTTP status is 200 for nearly every error; the envelope carries `code` and `message`. A message may repeat the data,
so only field names are ever taken out of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from core.errors import Ambiguous, Held, OrderwireError, RetryLater

_FIELD: Final = re.compile(r"\(?([A-Za-z0-9_]{1,64})\)? does not have a value|specified for ([A-Za-z0-9_]{1,64})$")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with `success: false`, and what was asked."""

    connection: str
    operation: str
    module: str
    write: bool
    code: str
    message: str

    @property
    def field(self) -> str:
        """The field named in the message, if it is of the known forms."""
        found = _FIELD.search(self.message)
        return next((part for part in found.groups() if part), "") if found else ""

    @property
    def detail(self) -> str:
        """For the log: operation, module and code, never the message."""
        return " ".join(part for part in (self.operation, self.module, self.code) if part)


class SessionGone(OrderwireError):
    """The session is over: log in again and repeat; the call was refused before anything happened."""


class WrongCredentials(OrderwireError):
    """Login refused. Also what a login with a superseded challenge gets: another process asked for one meanwhile."""


class Denied(OrderwireError):
    """ACCESS_DENIED: no right, or the record does not exist; vtiger does not tell which."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(
            f"{refusal.connection} denies {refusal.operation} {refusal.module}".rstrip()
            + ". What to do: check the rights of the API user, and whether the record still exists.",
            detail=refusal.detail,
        )
        self.refusal = refusal


class NoSuchRecord(Denied):
    """The id is not one of an existing record."""


def _session(refusal: Refusal) -> OrderwireError:
    return SessionGone("The CRM's session is over. What to do: nothing, it logs in again.", detail=refusal.detail)


def _credentials(refusal: Refusal) -> OrderwireError:
    return WrongCredentials(
        "The CRM refused the login. What to do: check username and access key.", detail=refusal.detail
    )


def _mandatory(refusal: Refusal) -> OrderwireError:
    name = refusal.field
    return Held(
        f"{refusal.connection} refuses the {refusal.module} record: {name or 'a mandatory field'} is empty. "
        "What to do: fill it in at the source, or make it optional in vtiger, then retry.",
        error_class="validation/required",
        field=name,
        detail=refusal.detail,
    )


def _reference(refusal: Refusal) -> OrderwireError:
    return Held(
        f"{refusal.connection} refuses the {refusal.module} record: {refusal.field or 'a reference'} points to a "
        "record of the wrong kind. What to do: check the ids in the tables of this connection, then retry.",
        error_class="missing reference",
        field=refusal.field,
        detail=refusal.detail,
    )


def _duplicate(refusal: Refusal) -> OrderwireError:
    # vtiger names no field: it is whatever was made unique there, by itself only the name of organizations.
    name = "accountname" if refusal.module == "Accounts" else ""
    advice = (
        "link the customer to the existing record or rename one of them"
        if name
        else f"see Duplicate Prevention of {refusal.module} in vtiger's settings, and change one of the two"
    )
    return Held(
        f"{refusal.connection} already has a record of {refusal.module} with this {name or 'value'}, it refuses two. "
        f"What to do: {advice}, then retry.",
        error_class="duplicate/conflict",
        field=name,
        detail=refusal.detail,
    )


def _converted(refusal: Refusal) -> OrderwireError:
    return Held(
        f"{refusal.connection} says that the lead was converted already. "
        "What to do: find its contact in vtiger, then retry: it is matched.",
        error_class="duplicate/conflict",
        detail=refusal.detail,
    )


def _our_bug(refusal: Refusal) -> OrderwireError:
    return Held(
        f"{refusal.connection} does not understand a request of ours. What to do: report this as a bug (with detail).",
        error_class="our bug",
        detail=refusal.detail,
    )


def _inside(refusal: Refusal) -> OrderwireError:
    """A failure inside vtiger: on a write, nobody knows how far it came."""
    if refusal.write:
        return Ambiguous(
            f"{refusal.connection} failed while it was writing ({refusal.code}). "
            "What to do: nothing, Orderwire looks after a while whether it is there.",
            connection=refusal.connection,
            detail=refusal.detail,
        )
    return RetryLater(
        f"{refusal.connection} failed inside ({refusal.code}). What to do: if it persists, see vtiger's own log.",
        seconds=30,
        connection=refusal.connection,
        cause="remote 5xx",
        detail=refusal.detail,
    )


Factory = Callable[[Refusal], OrderwireError]

TABLE: Final[dict[str, Factory]] = {
    "INVALID_SESSIONID": _session,
    "AUTHENTICATION_REQUIRED": _session,
    "SESSION_EXPIRED": _session,
    "SESSION_LEFT_IDLE": _session,
    "INVALID_USER_CREDENTIALS": _credentials,
    "INVALID_AUTH_TOKEN": _credentials,
    "AUTHENTICATION_FAILURE": _credentials,
    "ACCESS_DENIED": Denied,
    "INVALID_ID_ATTRIBUTE": NoSuchRecord,
    "RECORD_NOT_FOUND": NoSuchRecord,
    "MANDATORY_FIELDS_MISSING": _mandatory,
    "REFERENCE_INVALID": _reference,
    "0": _duplicate,  # an integer on the wire, with "Duplicate(s) detected!"
    "DUPLICATE_RECORD": _duplicate,
    "LEAD_ALREADY_CONVERTED": _converted,
    "LEAD_CONVERT_CONDITIONS_NOT_MET": _converted,
    "QUERY_SYNTAX_ERROR": _our_bug,
    "UNKNOWN_OPERATION": _our_bug,
    "UNKNOWN_ENTITY": _our_bug,
    "OPERATION_NOT_SUPPORTED": _our_bug,
    "INTERNAL_SERVER_ERROR": _inside,
    "DATABASE_QUERY_ERROR": _inside,
}


def error_of(refusal: Refusal) -> OrderwireError:
    """The exception for a refusal. A code nobody has seen is treated like a failure inside vtiger."""
    return TABLE.get(refusal.code, _inside)(refusal)


def lasting(refusal: Refusal) -> OrderwireError:
    """A denied query or creation: a right or a field is missing, the same for every job of this connection."""
    return RetryLater(
        f"{refusal.connection} denies {refusal.operation} {refusal.module}".rstrip()
        + ": a right or a field is missing. What to do: run `orderwire check`, it names what the API user lacks.",
        seconds=300,
        scope="connection",
        connection=refusal.connection,
        cause="auth",
        detail=refusal.detail,
    )
