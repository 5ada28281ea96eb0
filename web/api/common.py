"""What the resources share: money, pages of lists, texts and numbers within bounds, and what a request may carry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Path, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from core.money import show
from core.redaction import redact
from pipelines.desk import Refused
from web.api.refusal import Refusal, Wrong, wrong
from web.dashboard.connections import LONGEST_DAYS

T = TypeVar("T")
MOST: Final = 200
"""Rows of one page of a list."""
LARGEST: Final = 2**53 - 1
"""The largest number of a row. The description keeps bounds as floating-point numbers, and so do many programs that read it: a
larger one would not be the same there."""
LINE: Final = r"^[^\x00-\x1f\x7f]*$"
"""One line of text."""
_SAYING: Final = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"

Number = Annotated[int, Path(ge=1, le=LARGEST)]
"""A row's number in an address."""
Name = Annotated[str, Path(max_length=120, pattern=LINE)]
"""A configured name in an address."""
Limit = Annotated[int, Query(ge=1, le=MOST, description="Rows of a page")]
Line = Annotated[str, Query(max_length=200, pattern=LINE)]
"""A filter that is compared as it is."""
Reason = Annotated[
    str, Field(max_length=500, pattern=_SAYING, description="Why. Others will read it", examples=["Typed by hand"])
]
Remark = Annotated[str, Field(max_length=500, pattern=LINE, description="Why, if there is something to say")]
Moment = Annotated[datetime, Field(description="RFC 3339, UTC", examples=["2026-03-01T08:00:00Z"])]
Given = Annotated[AwareDatetime, Field(description="RFC 3339, with an offset", examples=["2026-03-01T08:00:00Z"])]


class Body(BaseModel):
    """What is sent: unknown fields are refused, so that a misspelled one is not passed over."""

    model_config = ConfigDict(extra="forbid")


class Pause(Body):
    """How long something rests, and why."""

    until: Annotated[
        Given | None, Field(description=f"Within {LONGEST_DAYS} days; null: until somebody resumes it")
    ] = None
    reason: Remark = ""

    def seconds(self, now: datetime) -> float | None:
        """From now on; None: until somebody ends it. Raises Refused."""
        if self.until is None:
            return None
        lasts = (self.until - now).total_seconds()
        if not 0 < lasts <= LONGEST_DAYS * 86_400:
            raise Refused(
                f"A pause ends in the future, within {LONGEST_DAYS} days. What to do: name another time, or none to pause until "
                "somebody resumes it."
            )
        return lasts


class Money(BaseModel):
    """An exact amount."""

    amount: Annotated[
        str,
        Field(description="A decimal number as text, never rounded", pattern=r"^-?\d+(\.\d+)?$", examples=["1234.50"]),
    ]
    currency: Annotated[str, Field(description="ISO 4217", examples=["EUR"])]


class Page(BaseModel, Generic[T]):
    """A part of a list."""

    data: list[T]
    next: Annotated[
        str | None,
        Field(
            description="Address (path and query) of the next part; null: this is the last one",
            examples=["/api/v1/jobs?state=held&after=s.1772352000000000.4711"],
        ),
    ] = None


def money(amount: str | Decimal, currency: str) -> Money | None:
    """As it is sent; None where it is not known."""
    try:
        exactly = Decimal(amount)
    except InvalidOperation:
        return None
    if not currency or not exactly.is_finite():
        return None
    return Money(amount=show(exactly, currency).split(" ", 1)[0], currency=currency)


def moneys(amounts: Mapping[str, Decimal]) -> list[Money]:
    """One for each currency."""
    found = [money(amount, currency) for currency, amount in sorted(amounts.items())]
    return [one for one in found if one is not None]


def sentence(text: str) -> str:
    """What a message says, without what may be personal. Messages carry nothing personal; this is the net below them."""
    return sendable(redact(text))


def sendable(text: str) -> str:
    r"""The text with half characters, which stores do send and UTF-8 cannot, as JSON writes them: `\ud83d`."""
    return text.encode("utf-8", "backslashreplace").decode()


def further(request: Request, after: str, **kept: Any) -> str | None:
    """Where the list goes on: this address with its filters; None for nowhere."""
    if not after:
        return None
    given = {name: str(value) for name, value in kept.items() if value not in {"", None}}
    return f"{request.url.path}?{urlencode({**given, 'after': after})}"


def only_what_is_known(request: Request) -> None:
    """A dependency: refuses parameters that the route does not have, and a body that is not sent as JSON. What is misspelled
    must not be passed over, least of all a filter.
    """
    route = request.scope["route"]
    operation = request.app.openapi()["paths"].get(route.path_format, {}).get(request.method.lower(), {})
    known = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
    given = [name for name, _ in request.query_params.multi_items()]
    found = [
        Wrong(where="query", name=name[:100], message="There is no such parameter")
        for name in given
        if name not in known
    ]
    if found:
        hint = f"known are {', '.join(sorted(known))}" if known else "this address has none"
        raise Refusal("not-understood", f"There is no parameter {found[0].name!r}; {hint}.", errors=found[:20])
    for name in known:
        if given.count(name) > 1:
            raise wrong("query", name, "It is given more than once")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
    length = request.headers.get("content-length", "0")
    if "requestBody" in operation and length != "0" and kind != "application/json":
        raise Refusal("not-json")
