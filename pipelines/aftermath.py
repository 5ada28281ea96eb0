"""What is remembered of an order's end: which refunds its invoice held from the start, which credit notes were begun, and how a
late cancellation was met. It must not be decided anew when the order is looked at again, for by then the traces are gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from connectors.roles import Crediting
from pipelines.run import Run

KIND: Final = "aftermath"
"""The kind of the link that keeps it, beside the order's own."""
Action = Literal["", "plain", "person", "cancel", "credit"]
"""How a cancellation was met. plain: in time. person: somebody had cancelled it over there."""
_IN: Final = "in:"
_CREDIT: Final = "credit:"


@dataclass(frozen=True, slots=True)
class Aftermath:
    """`invoiced`: marks (pipelines.crediting.mark) of refunds that the invoice was made with. `credits`: marks of refunds whose
    credit notes were begun.
    `was`: the invoice's word before it was cancelled. `times`: how many cancellations were taken back. Of an order that
    is called off or refunded in full, as neither its status nor the CRM's word tells it any more: `left`, whether goods had
    left before, and `refunded`, whether it was refunded in full.
    """

    invoiced: frozenset[str] = frozenset()
    credits: frozenset[str] = frozenset()
    action: Action = ""
    was: str = ""
    times: int = 0
    left: bool = False
    refunded: bool = False

    def refs(self) -> dict[str, str]:
        """As the link keeps it."""
        words = {"action": self.action, "was": self.was, "times": str(self.times or "")}
        words |= {"left": "1" if self.left else "", "refunded": "1" if self.refunded else ""}
        marks = {f"{_IN}{id}" for id in self.invoiced} | {f"{_CREDIT}{id}" for id in self.credits}
        return {**dict.fromkeys(sorted(marks), "1"), **{name: word for name, word in words.items() if word}}


def of(run: Run, order_key: str) -> Aftermath:
    """What is remembered of this order."""
    link = run.ledger.links.get(run.flow.target, KIND, order_key)
    return _read(link.refs) if link is not None else Aftermath()


def keep(run: Run, order_key: str, now: Aftermath) -> Aftermath:
    """Remember it, before what it stands for is done. A rehearsal does nothing, and remembers nothing."""
    if run.rehearsed:
        return now
    link = run.ledger.links.get(run.flow.target, KIND, order_key)
    if link is None:
        run.ledger.links.adopt(run.flow.target, KIND, [order_key], "", refs=now.refs())
    elif _read(link.refs) != now:
        run.ledger.links.set_refs(link, now.refs())
    return now


def crediting(run: Run) -> Crediting | None:
    """The target, where it can take back what was invoiced; a rehearsal's notes what would be written."""
    return cast("Crediting", run.crm) if isinstance(run.context.crms.get(run.to), Crediting) else None


def _read(refs: Mapping[str, str]) -> Aftermath:
    actions: dict[str, Action] = {"plain": "plain", "person": "person", "cancel": "cancel", "credit": "credit"}
    return Aftermath(
        invoiced=frozenset(name.removeprefix(_IN) for name in refs if name.startswith(_IN)),
        credits=frozenset(name.removeprefix(_CREDIT) for name in refs if name.startswith(_CREDIT)),
        action=actions.get(refs.get("action", ""), ""),
        was=refs.get("was", ""),
        times=int(refs.get("times", "0")),
        left="left" in refs,
        refunded="refunded" in refs,
    )
