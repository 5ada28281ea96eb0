from __future__ import annotations

from pathlib import Path
from typing import get_args

import httpx
import pytest

from connectors.http import Call
from connectors.roles import Crm, Store
from core import config
from core.errors import ConfigurationProblem, RetryLater
from core.secrets import SecretRef
from core.settings import LedgerSettings, Settings, WorkerSettings
from ledger import Ledger
from ledger.budget import Turn
from pipelines import wiring

TEXT = """\
[[connection]]
name = "form"
connector = "orderform"
[[connection]]
name = "shop"
connector = "woocommerce"
url = "https://shop.example"
consumer_key = "env:K"
consumer_secret = "env:K"
[[connection]]
name = "crm"
connector = "vtiger"
url = "https://crm.example"
username = "u"
access_key = "env:K"
[[flow]]
name = "orders"
source = "shop"
target = "crm"
"""


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("K", "secret")
    return config.parse(TEXT, wiring.kinds()).required()


def test_kinds_agree_with_their_models() -> None:
    for name, kind in wiring.kinds().items():
        assert get_args(kind.model.model_fields["connector"].annotation) == (name,)
        assert kind.role in {"store", "erp", "crm", "notifier", "portal"}


def test_every_connection_in_its_role(settings: Settings) -> None:
    wired = wiring.build(settings)
    assert set(wired.stores) == {"form", "shop"}
    assert set(wired.crms) == {"crm"}
    assert set(wired.flows) == {"orders"}
    for name, connection in (*wired.stores.items(), *wired.crms.items()):
        assert isinstance(connection, Store if name in wired.stores else Crm)
        assert connection.name == name
    wired.close()


def test_transport_and_observer_reach_the_connection_they_are_for(settings: Settings) -> None:
    asked: list[str] = []
    calls: list[Call] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        if request.url.path.endswith("/orders"):
            return httpx.Response(200, json=[])
        return httpx.Response(404, json={"code": "woocommerce_rest_shop_order_invalid_id", "message": "", "data": {}})

    transports = {"shop": httpx.MockTransport(answer)}
    wired = wiring.build(settings, observe=calls.append, transports=transports)
    assert wired.stores["shop"].find_by_number("1") is None
    assert set(asked) == {"shop.example"}
    assert {call.connection for call in calls} == {"shop"}
    wired.close()


def test_passwords_join_addresses_only_when_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "s3cr@t/")
    ledger = LedgerSettings(url="postgresql+psycopg://orderwire@db/orderwire", password=SecretRef("env:PW"))
    assert wiring.ledger_url(ledger).password == "s3cr@t/"
    assert "s3cr" not in repr(ledger)
    assert "s3cr" not in repr(wiring.ledger_url(ledger))
    worker = WorkerSettings(broker="redis://valkey:6379/0", broker_password=SecretRef("env:PW"))
    assert wiring.worker_settings(worker).broker == "redis://:s3cr%40t%2F@valkey:6379/0"
    assert wiring.worker_settings(WorkerSettings(broker="redis://valkey")).broker == "redis://valkey"
    monkeypatch.delenv("PW")
    with pytest.raises(ConfigurationProblem, match="PW is empty"):
        wiring.ledger_url(ledger)


def test_an_address_that_is_none() -> None:
    with pytest.raises(ConfigurationProblem, match="What to do: write sqlite"):
        wiring.ledger_url(LedgerSettings(url="my database"))


def test_only_connections_with_a_rate_have_a_budget(settings: Settings, tmp_path: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite")
    assert wiring.budgets(settings, ledger) == {}
    limited = _with_rate(settings)
    (budget,) = wiring.budgets(limited, ledger).items()
    assert budget[0] == "crm"
    asked: list[bool] = []

    def answer(_: httpx.Request) -> httpx.Response:
        raise AssertionError("nothing may be sent")

    def never(*, live: bool, within: float) -> Turn:
        asked.append(live)
        return Turn(ours=False, wait=within + 1)

    wired = wiring.build(limited, budget={"crm": never}, transports={"crm": httpx.MockTransport(answer)})
    with pytest.raises(RetryLater, match="used up"):
        wired.crms["crm"].find_lead("a@b.example")
    assert asked == [False]
    wired.close()
    ledger.close()


def test_a_wait_for_the_budget_must_fit_into_the_lease(settings: Settings, tmp_path: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite")
    limited = _with_rate(settings, read_timeout=4.0, connect_timeout=1.0)
    for lease, fits in ((11.0, False), (13.0, True)):
        changed = limited.model_copy(update={"ledger": LedgerSettings(lease=lease)})
        wired = wiring.build(changed)
        if fits:
            wiring.context(changed, ledger, wired)
        else:
            with pytest.raises(ConfigurationProblem, match=r"raise \[ledger\] lease to 12"):
                wiring.context(changed, ledger, wired)
        wired.close()
    ledger.close()


def _with_rate(settings: Settings, **over: float) -> Settings:
    crm = settings.connection("crm").model_copy(update={"rate": 2.0, **over})
    short = {"read_timeout": 4.0, "connect_timeout": 1.0} if over else {}
    others = tuple(one.model_copy(update=short) for one in settings.connections if one.name != "crm")
    return settings.model_copy(update={"connections": (*others, crm)})
