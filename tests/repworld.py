"""A small world with an ERP: what it tells becomes cards, and owners in the stand-in CRM."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from core.clock import Clock
from core.settings import RepFlowSettings
from ledger.reps import StoredCard
from pipelines import erppolling, reps
from sandbox.crm import CrmApp
from tests.erps import AsRole, Erp
from tests.world import SkippingClock, World

OWNERS = {"admin": "19x1", "R7": "19x7", "R9": "19x8", "partners": "20x2", "us": "19x5"}
CRM = {"owners": OWNERS, "erp_number_field": "tickersymbol"}
NAME = {"19x1": "admin", "19x7": "R7", "19x8": "R9", "20x2": "partners", "19x5": "us"}


class DatedClock(SkippingClock):
    """A day that a test chooses, at noon UTC, and what passes since."""

    def __init__(self, day: date = date(2026, 11, 20)) -> None:
        super().__init__()
        self.offset = (datetime(day.year, day.month, day.day, 12, tzinfo=UTC) - Clock().now()).total_seconds()


class RepWorld:
    """A world with an ERP and a flow of sales reps."""

    def __init__(
        self,
        make: Any,
        *,
        live: bool = True,
        clock: SkippingClock | None = None,
        shops: Mapping[str, Mapping[str, Any]] | None = None,
        orders: Mapping[str, Any] | None = None,
        **flow: Any,
    ) -> None:
        """`make`: the maker of worlds. `orders`: settings of the flows of orders; everything else: of the flow of reps."""
        self.clock = clock or DatedClock()
        self.world: World = make(clock=self.clock, crm=CRM, shops=shops or {}, **(orders or {}))
        self.app: CrmApp = make.app
        self.erp = Erp()
        context = self.world.context
        context.erps = {"erp": AsRole(self.erp)}
        settings = RepFlowSettings.model_validate({"name": "reps", "source": "erp", "target": "crm", **flow})
        context.reps = {"reps": settings}
        if live:
            self.world.ledger.flows.set("reps", "live")
        self.ledger = self.world.ledger
        self.context = context

    def turn(self, rounds: int = 6) -> None:
        """Poll and carry until nothing is left to do."""
        for _ in range(rounds):
            fresh = erppolling.poll(self.context, "erp")
            fresh += self.world.drain() + reps.look_again(self.context, "erp")
            if not fresh:
                return
        raise AssertionError("it does not come to rest")

    def card(self, number: str) -> StoredCard:
        found: StoredCard | None = self.ledger.reps.card("erp", number)
        assert found is not None
        return found

    def shown(self, number: str) -> list[str]:
        """Whom the card names."""
        return [rep["name"] for rep in json.loads(self.card(number).card)["reps"]]

    def told(self, number: str) -> str:
        return self.world.job(f"erp/customer/{number}").reason

    def account(self, number: str, **fields: Any) -> str:
        made = {"accountname": f"Customer {number}", "tickersymbol": number, **fields}
        return self.world.seed(accounts=[made])["accounts"][made["accountname"]]

    def owner(self, record_id: str, module: str = "Accounts") -> str:
        (row,) = [row for row in self.world.records(module) if row["id"] == record_id]
        return NAME[row["assigned_user_id"]]

    def person_gives(self, record_id: str, owner: str) -> None:
        service = self.app.service
        with service.store.lock:
            service.records.revise(service.people.users["admin"], {"id": record_id, "assigned_user_id": OWNERS[owner]})
