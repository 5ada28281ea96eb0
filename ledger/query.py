"""What somebody types into the search box, and what it asks for: bare text is any number, id or address that people have,
qualifiers narrow down. `1001`, `shop/order/1001`, `SO17`, `state:held flow:shop-orders error:"rate limit" since:2h`. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from core.clock import parse_utc
from ledger.jobs import STATES

LONGEST: Final = 300
_TOKEN: Final = re.compile(r'([A-Za-z]{1,12}):"([^"]*)"?|([A-Za-z]{1,12}):(\S*)|"([^"]*)"?|(\S+)')
_SPAN: Final = re.compile(r"(\d{1,6})(m|h|d|w)")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
NOT_TEXT: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
QUALIFIERS: Final = ("state", "flow", "error", "since", "order")


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody looks for. `text`: numbers or ids; `problems`: what could not be understood, in sentences."""

    text: str = ""
    state: str = ""
    flow: str = ""
    error: str = ""
    since: datetime | None = None
    problems: tuple[str, ...] = ()

    @property
    def narrowed(self) -> bool:
        """Whether anything is asked beyond "the newest"."""
        return bool(self.text or self.state or self.flow or self.error or self.since)


def parse(text: str, now: datetime | None = None) -> Query:
    """The box's text (pure; never raises). What looks like a qualifier and is none is text like any other."""
    query, words = Query(), list[str]()
    for match in _TOKEN.finditer(NOT_TEXT.sub(" ", text)[:LONGEST]):
        name = (match[1] or match[3] or "").lower()
        value = (match[2] if match[1] else match[4] if match[3] else match[5] or match[6]) or ""
        if name == "order":
            words.append(value)
        elif name in QUALIFIERS:
            query = narrow(query, name, value, now)
        else:
            words.append(match[0] if name else value)
    return replace(query, text=" ".join(word for word in words if word).strip())


def narrow(query: Query, name: str, value: str, now: datetime | None = None) -> Query:
    """The query with one qualifier more; an empty value asks for nothing."""
    value = NOT_TEXT.sub(" ", value).strip()[:LONGEST]
    if not value:
        return query
    if name == "state":
        if value.lower() in STATES:
            return replace(query, state=value.lower())
        return _with_problem(query, f"There is no state {value!r}: use one of {', '.join(STATES)}.")
    if name == "since":
        moment = since(value, now or datetime.now(UTC))
        if moment is None:
            return _with_problem(query, f"{value!r} is no time: use 30m, 2h, 3d or a day like 2026-03-01.")
        return replace(query, since=moment)
    return replace(query, flow=value) if name == "flow" else replace(query, error=value)


def _with_problem(query: Query, sentence: str) -> Query:
    return replace(query, problems=(*query.problems, sentence))


def since(text: str, now: datetime) -> datetime | None:
    """`2h` before now, or a day or time; None for anything else (pure)."""
    span = _SPAN.fullmatch(text.lower())
    try:
        if span:
            return now - timedelta(**{_UNITS[span[2]]: int(span[1])})
        return parse_utc(text)
    except (ValueError, OverflowError):
        return None


def as_params(query: Query, **more: Any) -> dict[str, str]:
    """The query as parameters of an address, so that it can be kept and sent to somebody."""
    found = {
        "q": query.text,
        "state": query.state,
        "flow": query.flow,
        "error": query.error,
        "since": query.since.isoformat(timespec="seconds") if query.since else "",
        **{name: str(value) for name, value in more.items() if value},
    }
    return {name: value for name, value in found.items() if value}
