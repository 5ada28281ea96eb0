"""What goes wrong in the stand-in CRM, in the words of the real one."""

from __future__ import annotations

DENIED = "Permission to perform the operation is denied"


class WsError(Exception):
    """An error inside the envelope: HTTP 200, success false. `code` is a string, or the number 0 for duplicates."""

    def __init__(self, code: str | int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ServerCrash(Exception):
    """An uncaught PHP error: HTTP 500 with an empty body."""


def denied(what: str = "") -> WsError:
    """No permission, or no such record: the real server does not tell them apart."""
    return WsError("ACCESS_DENIED", f"{DENIED} {what}".rstrip())


def missing(field: str) -> WsError:
    """A mandatory field was not sent, or sent empty."""
    return WsError("MANDATORY_FIELDS_MISSING", f"{field} does not have a value")


def not_found() -> WsError:
    """What line items and product taxes answer."""
    return WsError("RECORD_NOT_FOUND", "Record not found")


def internal() -> WsError:
    """What the query language answers to text it cannot even split into words."""
    return WsError("INTERNAL_SERVER_ERROR", "Unknown Error while processing request")
