"""The same changes in any order, looked at in between or not, end in the same card and the same owner."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from connectors.roles import CrmCapabilities, OwnedRecord, Ref, Written
from core.clock import Clock
from core.settings import ConnectionSettings, RepFlowSettings
from ledger import Ledger
from ledger.parties import Entry
from ledger.reps import AbsenceRow, AssignmentRow
from mapping.canonical import RepAssignment
from pipelines import erppolling, reps
from pipelines.context import Context
from pipelines.runner import Runner
from tests.erps import AsRole, Erp

TODAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
OWNERS = ("R7", "R9", "R10", "partners")


class Noon(Clock):
    def now(self) -> datetime:
        return TODAY


class Crm:
    """One account, and whose it is."""

    name = "crm"

    def __init__(self) -> None:
        self.owner = "admin"
        self.writes = 0

    def capabilities(self) -> CrmCapabilities:
        return CrmCapabilities(converts_leads=False)

    def has_owner(self, name: str) -> bool:
        return name in OWNERS

    def owned_records(self, account_id: str, kinds: Collection[str]) -> Sequence[OwnedRecord]:
        return [OwnedRecord("account", Ref(account_id), self.owner, frozenset({self.owner}), self.owner == "admin")]

    def assign_owner(self, record: OwnedRecord, owner: str) -> Written:
        self.owner = owner
        self.writes += 1
        return Written(record.ref)


class Place:
    """A ledger, an ERP and a CRM."""

    def __init__(self, url: str, ownership: str) -> None:
        self.ledger = Ledger.open(url, clock=Noon())
        self.erp, self.crm = Erp(), Crm()
        flow = RepFlowSettings.model_validate(
            {"name": "reps", "source": "erp", "target": "crm", "ownership": ownership}
        )
        self.context = Context(
            self.ledger,
            stores={},
            crms={"crm": self.crm},  # type: ignore[dict-item]
            flows={},
            connections={"crm": ConnectionSettings(name="crm", connector="vtiger", hold=0)},
            clock=Noon(),
            erps={"erp": AsRole(self.erp)},
            reps={"reps": flow},
        )
        self.ledger.flows.set("reps", "live")
        self.runner = Runner(self.context)

    def look(self) -> None:
        for _ in range(20):
            busy = erppolling.poll(self.context, "erp")
            while (claim := self.ledger.jobs.claim("w")) is not None:
                assert self.runner.run(claim) in {"settled", "waiting"}
                busy += 1
            if not busy + reps.look_again(self.context, "erp"):
                return
        raise AssertionError("it does not come to rest")

    def end(self) -> tuple[list[str], str, str]:
        card = self.ledger.reps.card("erp", "1")
        assert card is not None
        return [rep["name"] for rep in json.loads(card.card)["reps"]], card.resolution, self.crm.owner


def _account(place: Place) -> None:
    place.ledger.parties.replace("crm", ["11x1"], [Entry("erp_number", "1", "account", "11x1", "11x1")])


DATED = RepAssignment(subject="customer", subject_id="1", rep="R7", first=date(2026, 11, 20))
CHANGES: dict[str, Callable[[Place], Any]] = {
    "anna": lambda place: place.erp.rep("R7", "Anna"),
    "boris": lambda place: place.erp.rep("R9", "Boris"),
    "carla by hand": lambda place: place.ledger.reps.put_rep("erp", "R10", {"name": "Carla"}),
    "anna's name here": lambda place: place.ledger.reps.put_rep("erp", "R7", {"name": "Anna R."}),
    "customer": lambda place: place.erp.customer("1", DATED, region="EAST"),
    "region": lambda place: place.erp.region("EAST", "R9"),
    "anna away": lambda place: place.ledger.reps.add_absences(
        "erp", [AbsenceRow("R7", date(2026, 11, 19), date(2026, 11, 25), "R10")]
    ),
    "boris too": lambda place: place.ledger.reps.add_assignments("erp", [AssignmentRow("customer", "1", "R9", rank=1)]),
    "team": lambda place: place.ledger.reps.add_assignments("erp", [AssignmentRow("team", "", "R9")]),
    "account": _account,
}
LATER = ("carla by hand", "region", "team", "boris too", "anna's name here")
numbers = itertools.count()
WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""An example is a second or two of real work."""


@pytest.mark.parametrize("ownership", ["erp", "crm"])
def test_any_order_ends_alike(sqlite_template: Path, tmp_path: Path, ownership: str) -> None:
    def ended(order: Sequence[str], looks: Collection[int]) -> tuple[list[str], str, str]:
        file = tmp_path / f"{next(numbers)}.sqlite"
        shutil.copyfile(sqlite_template, file)
        place = Place(f"sqlite:///{file}", ownership)
        try:
            for step, name in enumerate(order):
                CHANGES[name](place)
                if step in looks:
                    place.look()
            place.look()
            return place.end()
        finally:
            place.ledger.close()
            file.unlink()

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=WITHOUT_SHRINKING)
    @example(order=["customer", "anna", "anna away", "boris", "account", *LATER], looks={4})
    @given(st.permutations(sorted(CHANGES)), st.sets(st.integers(0, len(CHANGES) - 1)))
    def check(order: Sequence[str], looks: set[int]) -> None:
        assert ended(order, looks) == expected

    expected = ended(sorted(CHANGES), ())
    assert expected[0] == ["Carla", "Boris"]
    assert expected[2] == "R10"
    check()


def test_a_second_look_writes_nothing(sqlite_template: Path, tmp_path: Path) -> None:
    file = tmp_path / "once.sqlite"
    shutil.copyfile(sqlite_template, file)
    place = Place(f"sqlite:///{file}", "erp")
    for change in CHANGES.values():
        change(place)
    place.look()
    writes = place.crm.writes
    assert place.crm.owner == "R10"
    (job,) = place.ledger.jobs.list(search="erp/customer/1")
    assert place.ledger.jobs.retry(job.id)
    place.look()
    assert place.crm.writes == writes
    place.ledger.close()
