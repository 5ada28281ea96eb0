"""Tables that come back from a spreadsheet, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from core.errors import ConfigurationProblem
from pipelines.sheets import Line, parse

LARGEST: Final = 50 * 1024 * 1024
"""Bytes; a larger file is none of ours."""


def read(path: Path, *, most: int | None = None) -> list[Line]:
    """As `pipelines.sheets.parse`. Raises ConfigurationProblem."""
    try:
        if path.stat().st_size > LARGEST:
            raise ConfigurationProblem(f"{path} has more than 50 MB. What to do: name the file that you meant.")
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigurationProblem(f"{path} cannot be read ({error.strerror}). What to do: look at the name.") from None
    return parse(raw, str(path), most=most)
