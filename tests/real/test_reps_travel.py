"""A rep changed in a real Tryton is on the portal's card and in the CRM within five minutes, with nothing set that has a default;
a dated one changes sides at its midnight.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, Self

import httpx
import pytest
from fastapi.testclient import TestClient

import cli
from core.settings import RepFlowSettings
from ledger import Ledger, migrate
from pipelines import schedules, wiring
from pipelines.engine import Engine
from pipelines.metrics import Metrics
from tests import portal
from tests.people import BASE
from tests.real.installation import (
    ENVIRONMENT,
    PORTAL_SECRET,
    STARTS_WITHIN,
    CrmDesk,
    configured,
    hire,
    running,
    seconds_until,
    serves,
    sign_up,
    staff,
)
from tests.real.tryton_server import Installed, Office, TrytonServer
from tests.repworld import DatedClock
from tests.world import crm as stand_in
from tests.world import wait_for
from web.app import create_app
from web.state import WebState

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(1800)]  # the first test of a run installs Tryton

PROMISED: Final = 300.0
"""Seconds from the change in the ERP to card and owner, at default settings."""
PATIENCE: Final = 240.0
"""Seconds that a test waits for what must come: long, for how long it takes is no matter there."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ENVIRONMENT, PORTAL_SECRET: portal.SECRET}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("ORDERWIRE_CONFIG", raising=False)


@pytest.fixture(scope="module")
def tryton(tryton_home: Installed) -> Iterator[TrytonServer]:
    """One of our own: whom these tests hire and sign up is not there for other tests."""
    with TrytonServer(home=tryton_home) as server:
        yield server


@pytest.fixture(scope="module")
def office(tryton: TrytonServer) -> Office:
    return staff(tryton)


@pytest.fixture
def crm() -> Iterator[str]:
    with stand_in() as (_, url):
        yield url


# -- by the clock on the wall ------------------------------------------------------------------------------------------


def test_a_rep_changed_in_tryton_is_on_the_card_and_in_the_crm_within_five_minutes(
    tryton: TrytonServer, office: Office, crm: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    owners = {"NORA": "19x7", "OTTO": "19x8"}
    nora = hire(office, "NORA", "Nora Quist", "+49 30 555071")
    otto = hire(office, "OTTO", "Otto Brandt", "+49 30 555072")
    party = sign_up(office, "T-10017", serves(nora))
    desk = CrmDesk(crm, owners)
    desk.account("T-10017")
    file = configured(tmp_path, tryton, crm, owners)
    [flow] = wiring.load(file).reps
    assert flow == RepFlowSettings(name="reps", source="erp", target="crm")  # nothing is hurried
    for command in (["db", "upgrade"], ["flow", "live", "reps", "--yes"]):
        assert cli.main([*command, "--config", str(file)]) == 0

    with running(file) as (orderwire, address):
        facts = _facts(address, desk, "T-10017", "NORA", "Nora Quist")
        first = seconds_until(facts, STARTS_WITHIN, time.monotonic())
        assert set(first) == {"card", "owner"}, orderwire.said()[-4000:]
        assert desk.owner("T-10017") == "NORA"

        [row] = office.find("commission.agent.selection", ["party", "=", party])
        office.write("commission.agent.selection", row, agent=otto)
        changed_at = time.monotonic()

        facts = _facts(address, desk, "T-10017", "OTTO", "Otto Brandt")
        took = seconds_until(facts, PROMISED, changed_at)
        told = " ".join(f"{name}_s={took[name]:.1f}" if name in took else f"{name}_s=never" for name in facts)
        record_property("reps", f"REPS real {told}")
        assert set(took) == {"card", "owner"}, f"{told}\n{orderwire.said()[-4000:]}"
        [rep] = card(address, "T-10017")["reps"]
        assert (rep["email"], rep["tel"]) == ("otto@company.example", "tel:+4930555072")


def _facts(address: str, desk: CrmDesk, number: str, code: str, name: str) -> dict[str, Callable[[], bool]]:
    return {
        "card": lambda: [rep["name"] for rep in card(address, number)["reps"]] == [name],
        "owner": lambda: desk.owner(number) == code,
    }


def card(address: str, number: str) -> dict[str, Any]:
    """As the shop's server asks for it."""
    answer = httpx.get(f"{address}/portal/card", headers=portal.bearer(number), timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


# -- by the calendar ---------------------------------------------------------------------------------------------------


def test_a_dated_assignment_in_tryton_changes_sides_at_its_midnight(
    tryton: TrytonServer, office: Office, crm: str, tmp_path: Path
) -> None:
    """The last day of February in Berlin, whose midnight comes an hour before that of UTC."""
    owners = {"PIA": "19x7", "RUBEN": "19x8"}
    pia = hire(office, "PIA", "Pia Lund", "+49 30 555073")
    ruben = hire(office, "RUBEN", "Ruben Sand", "+49 30 555074")
    last, first = date(2027, 2, 28), date(2027, 3, 1)
    sign_up(office, "T-10018", serves(pia, None, last), serves(ruben, first, None))
    desk = CrmDesk(crm, owners)
    desk.account("T-10018")
    file = configured(tmp_path, tryton, crm, owners, flow='zone = "Europe/Berlin"')
    with Dated(file, DatedClock(last)) as mine:

        def sides() -> tuple[list[str], str]:
            return mine.shown("T-10018"), desk.owner("T-10018")

        wait_for(lambda: sides() == (["Pia Lund"], "PIA"), PATIENCE)
        stored = mine.ledger.reps.card("erp", "T-10018")
        assert stored is not None
        assert stored.until == first

        mine.skip_to("2027-02-28T23:50:00+01:00")
        assert sides() == (["Pia Lund"], "PIA")

        mine.skip_to("2027-03-01T00:00:30+01:00")
        assert mine.clock.now().date() == last  # by UTC it is still February
        assert sides() == (["Ruben Sand"], "RUBEN")


class Dated:
    """An Orderwire in this process as `up` puts it together, with a clock that the test moves on."""

    def __init__(self, file: Path, clock: DatedClock) -> None:
        self.clock = clock
        self._stack = ExitStack()
        settings = wiring.load(file)
        self.ledger = Ledger.open(wiring.ledger_url(settings.ledger), lease=settings.ledger.lease, clock=clock)
        self._stack.callback(self.ledger.close)
        migrate.upgrade(self.ledger.db)
        self.ledger.flows.set("reps", "live")
        wired = wiring.build(settings, budget=wiring.budgets(settings, self.ledger), clock=clock)
        self._stack.callback(wired.close)
        self.context = wiring.context(settings, self.ledger, wired)
        self._engine = Engine(self.context, threads=2, tick=0.05, end_process=lambda _code: None)
        mine = [one for one in schedules.of(self.context) if one.name.endswith(("/erp", "/crm"))]
        # The comparison of the night does not come again within these hours.
        self._agenda = [one.name for one in mine if one.every < schedules.COMPARE_EVERY]
        app = create_app(WebState(self.context, Metrics(), self._engine.nudge))
        self._web = TestClient(app, base_url=BASE)

    def __enter__(self) -> Self:
        self._engine.start()
        return self

    def __exit__(self, *_: object) -> None:
        ended = self._engine.stop()
        self._stack.close()
        assert ended, "the engine did not end in time"

    def skip_to(self, moment: str) -> None:
        """It is so late now; then each schedule of the ERP and the CRM has a whole round, and its jobs come to their end."""
        self.clock.skip((datetime.fromisoformat(moment) - self.clock.now()).total_seconds())
        since = self.clock.now()
        wait_for(lambda: all(self._ran(name, since) for name in self._agenda), PATIENCE)
        wait_for(self._quiet, PATIENCE)

    def _ran(self, name: str, since: datetime) -> bool:
        found = self.ledger.schedules.rounds(name, last=5).get(name, ())
        return any(one.started_at >= since and one.state == "ok" for one in found)

    def _quiet(self) -> bool:
        counts = self.ledger.jobs.counts()
        return not counts["waiting"] and not counts["running"]

    def shown(self, number: str) -> list[str]:
        """Whom the portal's card names."""
        headers = portal.bearer(number, now=self.clock.now())
        answer = self._web.get("/portal/card", headers=headers)
        assert answer.status_code == 200, answer.text
        return [rep["name"] for rep in answer.json()["reps"]]
