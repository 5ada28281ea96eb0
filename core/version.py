"""Which version this is; the same as in pyproject.toml, which is not part of an installation."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
