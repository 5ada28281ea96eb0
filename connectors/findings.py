"""What every `check()` looks at in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final, TypeVar
from urllib.parse import urlsplit

from connectors.roles import Finding
from core.errors import OrderwireError

MAX_SKEW: Final = 120.0
"""Seconds by which two clocks may differ without a word."""
T = TypeVar("T")


def problem(subject: str, error: OrderwireError) -> Finding:
    """An error as a finding."""
    message, _, advice = error.message.partition(" What to do: ")
    return Finding(subject, "problem", message, advice)


def looked(parts: Iterable[Callable[[T], Iterable[Finding]]], look: T) -> list[Finding]:
    """What all parts find. One that fails is a finding itself, and the others go on."""
    found: list[Finding] = []
    for part in parts:
        try:
            found += part(look)
        except OrderwireError as error:
            found.append(problem(part.__name__.strip("_"), error))
    return found


def encryption(system: str, url: str, secret: str) -> Iterator[Finding]:
    """A warning where what is read travels in the open."""
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
        message = f"{system} is read over plain HTTP: the {secret} and customers' data travel unencrypted."
        yield Finding("encryption", "warning", message, f"use {system}'s https address.")


def clocks(system: str, theirs: datetime | None, ours: datetime) -> Iterator[Finding]:
    """How far the server's clock is from ours, where it tells its time. For systems whose own times are the cursor."""
    if theirs is None:
        return
    skew = (theirs - ours).total_seconds()
    if abs(skew) <= MAX_SKEW:
        yield Finding("clock", "ok", f"{system}'s clock and ours differ by {abs(skew):.0f} s.")
        return
    message = (
        f"{system}'s clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours. Nothing is missed by that."
    )
    yield Finding("clock", "warning", message, "let both machines set their clocks by NTP.")


def warehouses(names: Iterable[str]) -> Finding:
    """Of which places stock is told."""
    return Finding("warehouses", "ok", f"Stock is read for {', '.join(names) or 'no warehouse: there is none'}.")
