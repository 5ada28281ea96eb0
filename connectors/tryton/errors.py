"""Tryton's errors as a table: the class of the exception -> what it means for the caller.

They come as HTTP 200 with `error`: `["UserError", [message, description, domain]]` for what Tryton itself raises, or
`[text, traceback]` for anything else. A text may hold names of people: only the name of a field or model is ever taken out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from connectors.waits import auth, busy, limited, waiting
from core.errors import Held, OrderwireError

_NAME: Final = re.compile(r"'([A-Za-z0-9_.]{1,80})'")
"""How a KeyError of Python reads: a model or field that is not there."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with `error`, and what was asked."""

    connection: str
    method: str
    """`model.party.party.search_read`."""
    error: Any

    @property
    def kind(self) -> str:
        """Class of the exception; "" for one that Tryton did not foresee."""
        first = self.error[0] if isinstance(self.error, list) and self.error else ""
        return first if isinstance(first, str) and first in TABLE else ""

    @property
    def missing(self) -> str:
        """The model or field that Tryton does not know, if that is what the error says."""
        first = self.error[0] if isinstance(self.error, list) and self.error else ""
        found = _NAME.fullmatch(first) if isinstance(first, str) else None
        return found.group(1) if found else ""

    @property
    def what(self) -> str:
        """The model that was asked, in words for people."""
        return self.method.removeprefix("model.").rpartition(".")[0] or self.method

    @property
    def detail(self) -> str:
        """For the log: method and class."""
        return f"{self.method}: {self.kind or self.missing or 'unforeseen'}"


def _not_allowed(refusal: Refusal) -> OrderwireError:
    """We only read, and all that Tryton can have against reading is that a right is missing."""
    return auth(
        refusal.connection,
        f"does not let our user read {refusal.what}",
        "run `orderwire check`, it names the groups that the user lacks",
        refusal.detail,
        seconds=300,
    )


def _question(refusal: Refusal) -> OrderwireError:
    return Held(
        f"{refusal.connection} asks a person something before it answers about {refusal.what}. "
        "What to do: see in Tryton what it asks when this record is opened, then retry.",
        detail=refusal.detail,
    )


def _second_factor(refusal: Refusal) -> OrderwireError:
    return auth(
        refusal.connection,
        "wants more than a password from our user",
        "let this user log in by password alone ([session] authentications in trytond.conf)",
        refusal.detail,
    )


def _busy(refusal: Refusal) -> OrderwireError:
    return busy(refusal.connection, refusal.detail)


def _limited(refusal: Refusal) -> OrderwireError:
    return limited(refusal.connection, refusal.detail)


def _unforeseen(refusal: Refusal) -> OrderwireError:
    name = refusal.missing
    what = f"does not know {name}" if name else "failed inside"
    advice = (
        "run `orderwire check`, it names the modules that are missing; if Tryton was just started, wait"
        if name
        else "see Tryton's own log; it is tried again by itself"
    )
    message = f"{what} when it was asked for {refusal.what}"
    cause = "configuration" if name else "remote 5xx"
    return waiting(refusal.connection, message, advice, refusal.detail, cause=cause)


TABLE: Final[dict[str, Callable[[Refusal], OrderwireError]]] = {
    "UserError": _not_allowed,
    "UserWarning": _question,
    "ConcurrencyException": _busy,
    "LoginException": _second_factor,
    "RateLimitException": _limited,
}


def error_of(refusal: Refusal) -> OrderwireError:
    """The exception for a refusal."""
    return TABLE.get(refusal.kind, _unforeseen)(refusal)
