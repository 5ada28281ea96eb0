"""Addresses as they are told to the log, which more people read than may know everything that stands in them."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 200
"""Characters of an address that are logged; the rest is somebody's joke."""
_SECRET: Final = re.compile(r"(/welcome/).+", re.IGNORECASE | re.DOTALL)
"""A one-time link: whoever knows it chooses the password."""


def for_log(path: str) -> str:
    """The path of a request without the secret that a one-time link is (pure)."""
    return _SECRET.sub(r"\1…", path[:LONGEST])
