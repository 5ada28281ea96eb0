"""Odoo's errors as a table: the class of the exception -> what it means for the caller.

JSON-RPC gives them as HTTP 200 with `error.data`, JSON-2 as the body of 401, 403, 404 or 500; both hold `name` (the class with
its module), `message` and `debug` (paths of the server: never shown). A message may hold names of people: only the name of a
field, model or database is ever taken out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from connectors.waits import auth, busy, configuration, failing, limited
from core.errors import OrderwireError

_MISSING: Final = (
    re.compile(r"Invalid field '?([A-Za-z0-9_.]{1,80})'?"),
    re.compile(r"Object ([a-z0-9_.]{1,80}) doesn't exist"),
    re.compile(r"the model '([a-z0-9_.]{1,80})' does not exist"),
    re.compile(r"'([a-z0-9_]+\.[a-z0-9_.]{1,80})'"),
)
"""How a field or model that is not there reads: in 16 and 17 an unknown model is a KeyError of its name."""
_NO_DATABASE: Final = re.compile(r'database "[^"]{1,80}" does not exist')


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that Odoo gave, and what was asked."""

    connection: str
    model: str
    method: str
    name: str
    """Class of the exception, with its module."""
    message: str

    @property
    def kind(self) -> str:
        """The class alone; "" for one that this table does not know."""
        kind = self.name.rpartition(".")[2]
        return kind if kind in TABLE else ""

    @property
    def missing(self) -> str:
        """The field or model that Odoo does not know, if that is what the error says."""
        for pattern in _MISSING[:3]:
            found = pattern.search(self.message)
            if found:
                return found.group(1)
        found = _MISSING[3].fullmatch(self.message) if self.name.endswith("KeyError") else None
        return found.group(1) if found else ""

    @property
    def refuses_login(self) -> bool:
        """Whether it is we who are not let in."""
        return self.kind in {"AccessDenied", "Unauthorized"}

    @property
    def detail(self) -> str:
        """For the log: model, method and class."""
        return f"{self.model}.{self.method}: {self.kind or self.missing or 'unforeseen'}"


def _no_login(refusal: Refusal) -> OrderwireError:
    return auth(
        refusal.connection,
        "refuses our login",
        "check `username`, `database` and the API key (in Odoo: the user's Preferences > Account Security), and that the user "
        "is active and the key has not expired",
        refusal.detail,
    )


def _not_allowed(refusal: Refusal) -> OrderwireError:
    return auth(
        refusal.connection,
        f"does not let our user read {refusal.model}",
        "run `orderwire check`, it names the rights that the user lacks",
        refusal.detail,
        seconds=300,
    )


def _busy(refusal: Refusal) -> OrderwireError:
    return busy(refusal.connection, refusal.detail)


def _limited(refusal: Refusal) -> OrderwireError:
    return limited(refusal.connection, refusal.detail)


def _unforeseen(refusal: Refusal) -> OrderwireError:
    connection, asked = refusal.connection, f"when it was asked for {refusal.model}"
    if _NO_DATABASE.search(refusal.message):
        advice = "check `database` of this connection: its name as Odoo's database manager shows it"
        return configuration(connection, "does not have our database", advice, refusal.detail)
    if refusal.missing:
        advice = "run `orderwire check`, it names the apps that are missing; if Odoo was just updated, wait"
        return configuration(connection, f"does not know {refusal.missing} {asked}", advice, refusal.detail, seconds=60)
    advice = "see Odoo's own log; it is tried again by itself"
    return failing(connection, f"failed inside {asked}", advice, refusal.detail)


TABLE: Final[dict[str, Callable[[Refusal], OrderwireError]]] = {
    "AccessDenied": _no_login,
    "Unauthorized": _no_login,
    "AccessError": _not_allowed,
    "Forbidden": _not_allowed,
    "MissingError": _busy,
    "LockNotAvailable": _busy,
    "SerializationFailure": _busy,
    "DeadlockDetected": _busy,
    "TooManyRequests": _limited,
}


def error_of(refusal: Refusal) -> OrderwireError:
    """The exception for a refusal."""
    return TABLE.get(refusal.kind, _unforeseen)(refusal)
