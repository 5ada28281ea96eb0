"""What every canonical model shares."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from core.keys import Key

__all__ = ["Canonical", "Key", "Text"]

Text = Annotated[str, StringConstraints(strip_whitespace=True)]
"""Text for people: white space at both ends is not content."""


class Canonical(BaseModel):
    """A frozen model; unknown fields are a programming error. Decimal, aware UTC, tuples (never lists)."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
