"""A source of stock levels that a test sets as it likes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from connectors.roles import BadLevel, StockPage
from core.keys import Key
from mapping.canonical import StockLevel


@dataclass
class Shelves:
    """`Stocked`: what lies there by (warehouse, SKU). `told` counts the levels that were asked for."""

    name: str = "erp"
    per_page: int = 2
    levels: dict[tuple[str, str], StockLevel] = field(default_factory=dict)
    changed: list[tuple[str, str]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    bad: list[BadLevel] = field(default_factory=list)
    cursors: list[str | None] = field(default_factory=list)
    told: int = 0
    fail_after: int | None = None
    """So many pages are told, then the connection breaks."""

    def put(
        self,
        sku: str,
        on_hand: str,
        *,
        warehouse: str = "main",
        available: str | None = None,
        minimum: str | None = None,
        group: str = "",
    ) -> None:
        """There is so much of it from now on."""
        self.levels[warehouse, sku] = StockLevel(
            key=Key(self.name, "stock", f"{warehouse}/{sku}"),
            sku=sku,
            name=f"Article {sku}",
            group=group,
            warehouse=warehouse,
            on_hand=Decimal(on_hand),
            available=Decimal(available) if available is not None else None,
            minimum=Decimal(minimum) if minimum is not None else None,
        )
        self.changed.append((warehouse, sku))

    def stock_since(self, cursor: str | None) -> Iterator[StockPage]:
        self.cursors.append(cursor)
        items = list(self.levels) if cursor is None else self.changed[int(cursor) :]
        end = str(len(self.changed))
        pages = range(0, max(len(items), 1), self.per_page)
        for number, start in enumerate(pages):
            if self.fail_after is not None and number >= self.fail_after:
                raise ConnectionError("the connection broke")
            some = items[start : start + self.per_page]
            self.told += len(some)
            last = start == pages[-1]
            yield StockPage(
                [self.levels[item] for item in some if item in self.levels],
                end if last else str(int(cursor or 0) + start + len(some)),
                tuple(self.gone) if last else (),
                tuple(self.bad) if last else (),
            )
        self._forget()

    def _forget(self) -> None:
        self.gone = []


def skus(levels: Sequence[StockLevel]) -> list[str]:
    """Their article numbers."""
    return [level.sku for level in levels]
