"""Hours and rounds as bars: numbers become the geometry of a small SVG (pure); the template draws it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from ledger.schedules import Round

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


# -- the last rounds of a schedule -------------------------------------------------------------------------------------

Mark = Literal["ok", "late", "failed", "skipped", "lost"]
MARK: Final = 7
TALL: Final[Mapping[Mark, int]] = {"ok": 10, "late": 14, "failed": 18, "skipped": 5, "lost": 18}
"""Heights of 18: what went badly is seen without its colour."""
BEHIND: Final = 30.0
"""Seconds behind its time that a round may begin before it counts as late."""


@dataclass(frozen=True, slots=True)
class Block:
    """One round."""

    x: int
    tall: int
    mark: Mark
    round: Round


@dataclass(frozen=True, slots=True)
class Strip:
    """The last rounds, oldest first. `counts`: how many of each kind; `missed`: rounds that did not take place between them."""

    blocks: Sequence[Block]
    counts: Mapping[Mark, int]
    missed: int
    width: int
    height: int = 18
    bar: int = MARK - 2


def mark_of(one: Round) -> Mark:
    """What a reader should take it for (pure)."""
    if one.state == "ok" and (one.late > BEHIND or one.missed):
        return "late"
    return one.state


def strip(rounds: Sequence[Round]) -> Strip:
    """Their picture."""
    blocks = [Block(at * MARK, TALL[mark_of(one)], mark_of(one), one) for at, one in enumerate(rounds)]
    missed = sum(one.missed for one in rounds)
    return Strip(blocks, Counter(block.mark for block in blocks), missed, max(len(blocks), 1) * MARK)


# -- a day of everything -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waits:
    """How long the longest waiting order of each hour waited: points of a line from the ground up."""

    points: str
    longest: int
    """Seconds."""


def waits(seconds: Sequence[int]) -> Waits:
    """24 numbers, the present hour last."""
    longest = max((*seconds, 1))
    places = [f"{hour * STEP + STEP / 2:g},{HEIGHT - _tall(one, longest):g}" for hour, one in enumerate(seconds)]
    return Waits(" ".join(places), max((*seconds, 0)))
