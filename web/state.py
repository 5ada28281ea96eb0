"""What the web process has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from core.values import InForce
from pipelines.context import Context
from pipelines.gauges import LedgerMetrics
from pipelines.metrics import Metrics
from pipelines.webhooks import Refusals
from web.gate import Gate
from web.intake import Intake


@dataclass(slots=True)
class WebState:
    """Kept at `app.state.orderwire`."""

    context: Context
    metrics: Metrics
    nudge: Callable[[], object]
    max_body: int = 1024 * 1024
    trouble: Callable[[], str] = lambda: ""
    """Why this process should not go on ("" when all is well): the engine's view, where there is one."""
    in_force: InForce | None = None
    """The configuration that this process was started with, where it has one."""
    intake: Intake = field(init=False)
    refusals: Refusals = field(init=False)
    gate: Gate = field(init=False)
    gauges: LedgerMetrics = field(init=False)

    def __post_init__(self) -> None:
        self.intake = Intake(self.context)
        self.refusals = Refusals(self.context.ledger)
        self.gate = Gate(self.context.ledger)
        self.gauges = LedgerMetrics(self.context)
