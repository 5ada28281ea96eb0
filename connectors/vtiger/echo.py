"""What is kept with an order's link, so that our own echo is known from other people's work.

Two states (connectors.vtiger.sides) and, while a write is under way, a third one:

- `asked`: how the store wanted the order when it was followed last; None for a field that vtiger did not take.
- `wrote`: how the order stood in vtiger when we wrote it last, where that is not as asked: a text that vtiger cut, or what
  people have made of it and was left alone since. None where it is not known.
- `sending`: the parts that are being written, and how; there while the fate of the write is not known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.roles import Difference
from connectors.vtiger import sides
from mapping.canonical import SalesOrder


@dataclass(slots=True)
class Echo:
    """The states, for one order."""

    asked: dict[str, Any] = field(default_factory=dict)
    wrote: dict[str, Any] = field(default_factory=dict)
    known: bool = True
    """Whether anything was kept; else the order was linked before."""

    @classmethod
    def of(cls, shown: Mapping[str, Any] | None) -> Echo:
        """As it was kept."""
        if shown is None or "asked" not in shown:
            return cls(known=False)
        return cls(dict(shown["asked"]), dict(shown.get("wrote") or {}))

    def base(self, name: str) -> Any:
        """How the field stood in vtiger when we wrote it last; None: that is not known."""
        return self.wrote[name] if name in self.wrote else self.asked.get(name, "")

    def unlike(self, name: str, stores: Mapping[str, Any]) -> bool:
        """Whether the store wants this field otherwise than when it was followed last."""
        before = self.asked.get(name, "")
        return before is None or not sides.same(name, before, stores.get(name))

    def ours(self, names: Collection[str], state: Mapping[str, Any]) -> None:
        """Whatever stands in these fields came from us, but may be no more than a part of what was asked."""
        for name in names:
            self.asked[name], self.wrote[name] = None, state.get(name, "")

    def landed(self, names: Collection[str], sent: Mapping[str, Any]) -> None:
        """What was sent is there."""
        for name in names:
            self.asked[name] = sent.get(name, "")
            self.wrote.pop(name, None)

    def foreign(self, names: Collection[str]) -> None:
        """Nothing is known of what we wrote into these fields."""
        for name in names:
            self.asked[name] = self.wrote[name] = None

    def followed(self, names: Collection[str], stores: Mapping[str, Any]) -> None:
        """The store was heard about these fields, and they were left as they are."""
        for name in names:
            before = self.base(name)
            self.asked[name] = stores.get(name, "")
            if before is not None and sides.same(name, before, self.asked[name]):
                self.wrote.pop(name, None)
            else:
                self.wrote[name] = before

    def kept(self) -> dict[str, Any]:
        """As it is kept."""
        return {"asked": self.asked, "wrote": self.wrote}


def written(
    element: Mapping[str, Any], answer: Mapping[str, Any], differences: Sequence[Difference], order: SalesOrder
) -> dict[str, Any]:
    """What is kept of an element that was written, from vtiger's answer to it."""
    echo = Echo(sides.asked(element, order))
    stands = sides.there(answer, echo.asked.keys(), order)
    refused = {difference.field for difference in differences if difference.action == "hold"}
    for name, value in list(echo.asked.items()):
        if not sides.same(name, value, stands.get(name)):
            echo.wrote[name] = stands.get(name, "")
        if name in refused or (name in {sides.LINES, sides.TOTAL} and refused & {sides.LINES, sides.TOTAL}):
            echo.asked[name] = None
    if any(name.startswith("line ") for name in refused):
        echo.asked[sides.LINES] = None
    return echo.kept()
