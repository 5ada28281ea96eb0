"""How much, and how long: the CI scale, or the nightly one (ORDERWIRE_CHAOS=nightly)."""

from __future__ import annotations

import os

NIGHTLY = os.environ.get("ORDERWIRE_CHAOS", "") == "nightly"


def scale(ci: int, nightly: int) -> int:
    """The number for this run."""
    return nightly if NIGHTLY else ci


def patience(seconds: float) -> float:
    """How long something is waited for in this run."""
    return seconds * (12 if NIGHTLY else 1)


def limit(seconds: float) -> float:
    """When a test that takes so long on a machine of its own counts as hung: others may be at work beside it."""
    return patience(seconds) * 3
