"""Twenty-four hours as bars: numbers become the geometry of a small SVG (pure); the template draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

WIDTH: Final = 240
HEIGHT: Final = 32
STEP: Final = WIDTH // 24


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour: `x`, and the heights of what went well and what failed, from the ground up."""

    x: int
    well: float
    badly: float


@dataclass(frozen=True, slots=True)
class Spark:
    """All of it. `total` and `failures` are what a reader who sees no picture is told."""

    bars: Sequence[Bar]
    total: int
    failures: int
    highest: int
    since: datetime
    width: int = WIDTH
    height: int = HEIGHT
    bar: int = STEP - 2


def spark(well: Sequence[int], badly: Sequence[int], now: datetime) -> Spark:
    """24 numbers each, the present hour last. An hour that had anything at all shows at least one pixel of it."""
    highest = max((*(a + b for a, b in zip(well, badly, strict=True)), 1))
    bars = [
        Bar(hour * STEP + 1, _tall(good, highest), _tall(bad, highest))
        for hour, (good, bad) in enumerate(zip(well, badly, strict=True))
    ]
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=23)
    return Spark(bars, sum(well), sum(badly), highest, first)


def _tall(number: int, highest: int) -> float:
    return max(round(number / highest * HEIGHT, 1), 1.0) if number else 0.0
