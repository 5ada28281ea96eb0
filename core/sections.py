"""What every table of the configuration file is made of."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
"""Names of connections and flows: lower case, digits, `_` and `-`; they stand in addresses and keys."""


class Section(BaseModel):
    """A table of the configuration file: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def known_zone(value: str) -> str:
    """The name of a time zone. Raises ValueError."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"there is no time zone {value}; names are like Europe/Rome") from None
    return value
