"""The invoices of an order on its page and in the API: each bill once, with who says what of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from core.rights import Role
from pipelines import erppolling
from pipelines.desk import Action, actions_for
from tests.desk import HOSTILE
from tests.erps import AsRole, Erp
from tests.integration.ledger import kit
from tests.orders import order
from tests.people import logged_in
from tests.programs import program
from tests.world import SkippingClock, World, crm

SCRIPT = HOSTILE[0]
Told = tuple[World, Erp]


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What the pages read is tried on both engines by the ledger's own tests."""
    return kit.migrated(request, tmp_path)


@pytest.fixture
def told(database_url: str) -> Iterator[Told]:
    flow: dict[str, Any] = {"invoices": "from_erp", "invoices_from": "erp", "shops": {"shop": {}}}
    with crm() as (_, url), World(database_url, url, clock=SkippingClock(), **flow) as world:
        erp = Erp()
        erp.kinds = frozenset({"invoice"})
        world.context.erps = {"erp": AsRole(erp)}
        world.carry(order(1001))
        yield world, erp


def bill(told: Told, id: str, **over: Any) -> None:
    world, erp = told
    today = world.ledger.clock.now().date()
    facts = {
        "number": f"R-{id}", "reference": "1001", "status": "open", "currency": "EUR", "net": "100.00", "tax": "19.00",
        "total": "119.00", "balance": "20.00", "issued": str(today - timedelta(days=40)), "due": str(today - timedelta(days=26)),
        **over,
    }  # fmt: skip
    erp.put("invoice", id, **facts)
    erppolling.poll(world.context, "erp")
    world.drain()


def reads(told: Told, path: str, *, role: Role = Role.ADMIN) -> str:
    client = logged_in(told[0].app(lambda: None), role, "Olga")
    client._transport.raise_server_exceptions = True
    answer = client.get(path)
    assert answer.status_code == 200, answer.text[:2000]
    return " ".join(re.sub(r"<[^>]+>", " ", unescape(str(answer.text))).split())


def test_number_status_amounts_and_age(told: Told) -> None:
    assert "Invoices" not in reads(told, "/orders/1001")
    bill(told, "17")
    [row] = told[0].records("Invoice")
    text = reads(told, "/orders/1001")
    assert "R-17 open 26 days late 119.00 EUR 99.00 EUR 20.00 EUR" in text
    assert "40 days ago" in text
    assert f"crm: {row['invoice_no']} Created" in text
    assert text.count("R-17") == 1, "one bill, whoever keeps copies"
    bill(told, "17", status="paid", balance="0")
    text = reads(told, "/orders/1001")
    assert "R-17 paid 119.00 EUR 119.00 EUR 0.00 EUR" in text
    assert "days late" not in text


def test_programs_get_the_same(told: Told) -> None:
    bill(told, "17")
    answer = program(told[0].app(lambda: None), role=Role.ADMIN).get("/api/v1/orders/1001")
    assert answer.status_code == 200, answer.text
    [found] = answer.json()["data"][0]["invoices"]
    [row] = told[0].records("Invoice")
    kept = ("number", "state", "total", "paid", "balance", "system", "origin", "elsewhere", "credit")
    assert {name: found[name] for name in kept} == {
        "number": "R-17", "state": "open", "total": "119.00", "paid": "99.00", "balance": "20.00", "system": "erp",
        "origin": "erp", "elsewhere": row["invoice_no"], "credit": False,
    }  # fmt: skip


def test_its_job_has_a_page_and_cannot_be_edited_like_an_order(told: Told) -> None:
    bill(told, "18", reference="9999", number=SCRIPT)
    [job] = told[0].ledger.jobs.list(search="erp/invoice/18")
    assert job.state == "waiting"
    assert actions_for(job) == {Action.RETRY, Action.SKIP}
    assert "waits for its order" in reads(told, f"/jobs/{job.id}") or "is not in crm yet" in reads(
        told, f"/jobs/{job.id}"
    )
    client = logged_in(told[0].app(lambda: None), Role.ADMIN, "Olga")
    for path in ("edit", "fields", "dry-run"):
        assert client.get(f"/jobs/{job.id}/{path}").status_code < 500
    assert SCRIPT not in client.get(f"/jobs/{job.id}").text


def test_hostile_numbers_are_text(told: Told) -> None:
    bill(told, "19", number=SCRIPT, status="draft")
    client = logged_in(told[0].app(lambda: None), Role.ADMIN, "Olga")
    text = client.get("/orders/1001").text
    assert SCRIPT not in text
    assert unescape(text).count("draft") >= 1
