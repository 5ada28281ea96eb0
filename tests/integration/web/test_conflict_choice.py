"""Both sides of an order that was changed in the CRM and in the store, and the choice: on its page, by the API, typed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

import cli
from core.rights import Role, Scope
from ledger.jobs import JobView
from tests.cli_desk import TEXT
from tests.orders import ADA, order
from tests.people import logged_in
from tests.programs import program
from tests.world import SkippingClock, World, crm

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
LATER = "2026-11-20T11:00:00"
HAMBURG = {**ADA, "city": "Hamburg"}


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """An order whose two addresses a person moved to Bremen and the store to Hamburg."""
    with crm() as (app, url), World(database_url, url, clock=SkippingClock()) as made:
        made.carry(order(1))
        service, id = app.service, made.order(1)["id"]
        with service.store.lock:
            service.records.revise(
                service.people.users["admin"], {"id": id, "bill_city": "<b>Bremen</b>", "ship_city": "Bremen"}
            )
        job = made.carry(order(1, modified=LATER, billing=HAMBURG))
        assert (job.state, job.error_class) == ("held", "changed there"), job.reason
        yield made


def job(world: World) -> JobView:
    return world.job("shop/order/1")


def page(world: World, role: Role) -> tuple[TestClient, str]:
    client = logged_in(world.app(lambda: None), role, "Olga")
    answer = client.get(f"/jobs/{job(world).id}")
    assert answer.status_code == 200, answer.text[:2000]
    return client, answer.text


def cities(world: World) -> tuple[str, str]:
    now = world.order(1)
    return now["bill_city"], now["ship_city"]


def forms(text: str) -> list[tuple[str, list[str]]]:
    """The choice and what was seen, of each button."""
    found = re.findall(r'<form action="/jobs/\d+/choice"(.*?)</form>', text, re.DOTALL)
    return [
        (re.findall(r'name="choice" value="(\w+)"', form)[0], re.findall(r'name="seen" value="(\d+)"', form))
        for form in found
    ]


def test_an_operator_sees_both_sides_and_chooses_part_by_part(world: World) -> None:
    client, text = page(world, Role.OPERATOR)
    shown = unescape(re.sub(r"<[^>]+>", " ", text))
    for word in ("Changed on both sides", "Billing address", "Delivery address", "Berlin", "Hamburg", "<b>Bremen</b>"):
        assert word in shown, word
    assert "<b>Bremen</b>" not in text
    buttons = forms(text)
    assert [choice for choice, _ in buttons] == ["theirs", "store"] * 3
    (first, second), path = (buttons[0][1], buttons[2][1]), f"/jobs/{job(world).id}/choice"
    assert buttons[4][1] == [*first, *second], "both at once"
    assert client.post(path, data={"choice": "theirs", "seen": first}).status_code == 303
    assert job(world).state == "held"
    assert "Nothing is written before the rest" in client.get(f"/jobs/{job(world).id}").text
    assert client.post(path, data={"choice": "store", "seen": first}).status_code == 409, "answered already"
    assert client.post(path, data={"choice": "store", "seen": second}).status_code == 303
    assert "Decided: the store&#39;s is written." in client.get(f"/jobs/{job(world).id}").text
    world.drain()
    assert (job(world).state, cities(world)) == ("settled", ("<b>Bremen</b>", "Hamburg"))
    after = client.get(f"/jobs/{job(world).id}").text
    assert "Changed on both sides" not in after
    assert after.count("chose between both sides") == 2
    assert f'href="/jobs/{job(world).id}#choice-title"' not in client.get("/orders/1").text


def test_the_orders_page_leads_there(world: World) -> None:
    client, _ = page(world, Role.VIEWER)
    assert f'href="/jobs/{job(world).id}#choice-title"' in client.get("/orders/1").text


def test_who_may_not_decide_sees_no_address_and_no_button(world: World) -> None:
    client, text = page(world, Role.VIEWER)
    assert ("Billing City" in text, "Bremen" in text, forms(text)) == (True, False, [])
    assert client.post(f"/jobs/{job(world).id}/choice", data={"choice": "store", "seen": "1"}).status_code == 403
    assert job(world).state == "held"


@pytest.mark.parametrize(
    "given", [{"choice": "mine", "seen": "1"}, {"choice": "store"}, {"choice": "store", "seen": "x"}]
)
def test_a_form_that_makes_no_sense_decides_nothing(world: World, given: dict[str, str]) -> None:
    client, _ = page(world, Role.OPERATOR)
    assert client.post(f"/jobs/{job(world).id}/choice", data=given).status_code in {400, 409, 422}
    assert job(world).state == "held"


def test_a_program_sees_both_sides_and_chooses(world: World) -> None:
    api = program(world.app(lambda: None), [Scope.ACT, Scope.READ])
    path = f"/api/v1/jobs/{job(world).id}"
    found = api.get(path).json()["conflicts"]
    assert [(one["part"], [(s["wrote"], s["theirs"], s["store"]) for s in one["sides"]]) for one in found] == [
        ("billing", [("Berlin", "<b>Bremen</b>", "Hamburg")]),
        ("shipping", [("Berlin", "Bremen", "Hamburg")]),
    ]
    assert api.post(f"{path}/choice", json={"choice": "store", "conflicts": [999]}).status_code == 409
    answer = api.post(f"{path}/choice", json={"choice": "store"})
    assert (answer.status_code, answer.json()["state"]) == (200, "waiting"), answer.text
    world.drain()
    assert (job(world).state, cities(world)) == ("settled", ("Hamburg", "Hamburg"))
    assert api.get(path).json()["conflicts"] == []
    assert api.post(f"{path}/choice", json={"choice": "store"}).status_code == 409


def test_a_program_that_may_only_read_sees_no_address(world: World) -> None:
    api = program(world.app(lambda: None), [Scope.READ])
    path = f"/api/v1/jobs/{job(world).id}"
    assert "Bremen" not in api.get(path).text
    assert [one["part"] for one in api.get(path).json()["conflicts"]] == ["billing", "shipping"]
    assert api.post(f"{path}/choice", json={"choice": "store"}).status_code == 403


@pytest.fixture
def typed(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The command line over the same ledger."""
    file = tmp_path / "orderwire.toml"
    database = str(world.ledger.db.url.database)
    text = re.sub(r'url = "sqlite:[^"]*"', f'url = "sqlite:///{database}"', TEXT.format(folder=tmp_path))
    file.write_text(text, encoding="utf-8")

    def command(*arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        ended = cli.main([*arguments, "--config", str(file)])
        said = capsys.readouterr()
        assert ended == code, said.err
        return said.out + said.err

    return command


def test_typed(world: World, typed: Callable[..., str]) -> None:
    number = str(job(world).id)
    said = typed("jobs", "show", number)
    for word in ("delivery address", "<b>Bremen</b>", "Hamburg", f"orderwire jobs choose {number} theirs"):
        assert word in said, said
    told: dict[str, Any] = json.loads(typed("jobs", "show", number, "--json"))
    assert [one["part"] for one in told["conflicts"]] == ["billing", "shipping"]
    typed("jobs", "choose", number, "mine", code=2)
    typed("jobs", "choose", number, "store", "--part", "lines", code=1)
    assert job(world).state == "held"
    assert "1 more to choose" in typed("jobs", "choose", number, "theirs", "--part", "billing")
    assert "is due again" in typed("jobs", "choose", number, "store")
    typed("jobs", "choose", number, "store", code=1)
    world.drain()
    assert (job(world).state, cities(world)) == ("settled", ("<b>Bremen</b>", "Hamburg"))
    choices = [row.facts["choice"] for row in world.ledger.audit.list(limit=20) if row.action == "job.choose"]
    assert sorted(choices) == ["store", "theirs"]
