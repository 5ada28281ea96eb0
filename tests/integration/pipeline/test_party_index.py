"""The index of the CRM's customers: postal codes for telling doubles, and an index of an older version that has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from core.errors import RetryLater
from ledger import tables as t
from pipelines import parties
from pipelines.linking import Faces
from tests.orders import order, person
from tests.world import World

NORA = person("Nora", company="Neue Firma GmbH", email="nora@neu.example", phone="+49 30 7777777")
TWICE = [
    {"accountname": "Alte Firma AG", "bill_code": "10115"},
    {"accountname": "ALTE FIRMA", "bill_code": "10 115"},
    {"accountname": "Alte Firma GmbH", "bill_code": "50667"},
]


def codes(world: World) -> dict[str, str]:
    return {row.remote_id: row.value for row in world.ledger.parties.all("crm") if row.match_kind == "postal_code"}


def doubles(world: World) -> list[tuple[str, ...]]:
    return [one.accounts for one in Faces(world.ledger, world.context.flows["shop-orders"]).doubles]


def seeded(world: World) -> tuple[str, str, str]:
    ids = world.seed(accounts=TWICE)["accounts"]
    first, second, third = (ids[one["accountname"]] for one in TWICE)
    return first, second, third


def grow_old(world: World) -> None:
    """The ledger as the version before left it: the index complete, without postal codes, under the cursor of then."""
    world.fill_index()
    names = {"old": parties.cursor_name("crm", 1), "new": parties.cursor_name("crm")}
    world.ledger.cursors.set(names["old"], world.ledger.cursors.get(names["new"]) or "")
    world.ledger.db.execute(sa.delete(t.cursor).where(t.cursor.c.name == names["new"]))
    world.ledger.db.execute(sa.delete(t.party_index).where(t.party_index.c.match_kind == "postal_code"))


def queries(world: World) -> list[str]:
    last = world.http.get("/sandbox/calls", params={"last": 100}).json()["last"]
    return [call["params"]["query"] for call in last if "query" in call["params"]]


def test_accounts_that_share_name_and_postal_code_are_doubles(world: World) -> None:
    first, second, third = seeded(world)
    world.fill_index()
    assert codes(world) == {first: "10115", second: "10115", third: "50667"}
    assert doubles(world) == [tuple(sorted((first, second)))]


def test_what_is_made_and_what_is_verified_keeps_its_postal_code(world: World) -> None:
    """Both put the record into the index anew, from fewer columns or from our own words."""
    world.carry(order(1, billing={**NORA, "postcode": "50 667"}))
    world.drain(fill=False)
    (made,) = world.records("Accounts")
    assert codes(world) == {made["id"]: "50667"}
    world.deliver(order(2, billing={**NORA, "postcode": "50 667"}))
    assert world.drain(fill=False) == 1
    assert codes(world) == {made["id"]: "50667"}
    assert world.counts("Accounts", "SalesOrder") == (1, 2)


def test_an_index_of_an_older_version_is_read_again_once(world: World) -> None:
    first, second, _ = seeded(world)
    grow_old(world)
    assert doubles(world) == []
    world.fill_index()
    assert doubles(world) == [tuple(sorted((first, second)))]
    old = world.ledger.cursors.get(parties.cursor_name("crm", 1))
    assert old is not None, "the version before goes on with it after a way back"
    world.forget_calls()
    world.fill_index()
    asked = [text for text in queries(world) if "FROM Accounts" in text]
    assert len(asked) == 1, "only what changed, and only once"
    assert "WHERE modifiedtime >=" in asked[0]


def test_an_older_index_serves_while_it_is_read_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders do not wait for it, an interruption begins it again, and whoever is new over there is known meanwhile."""
    seeded(world)
    (known,) = world.seed(accounts=[{"accountname": "Neue Firma GmbH", "email1": NORA["email"]}])["accounts"].values()
    grow_old(world)
    world.context.filled.clear()
    assert world.ledger.cursors.get(parties.cursor_name("crm")) is None
    world.deliver(order(1, billing=NORA))
    assert world.drain(fill=False) == 1
    assert [row["account_id"] for row in world.records("SalesOrder")] == [known]

    (late,) = world.seed(accounts=[{"accountname": "Später Dazu AG"}])["accounts"].values()
    since = world.crm.parties_since

    def breaks(cursor: str | None) -> Any:
        for number, page in enumerate(since(cursor)):
            if cursor is None and number:
                raise RetryLater("out", seconds=1.0, connection="crm")
            yield page

    monkeypatch.setattr(world.crm, "parties_since", breaks)
    with pytest.raises(RetryLater):
        world.fill_index()
    assert world.ledger.cursors.get(parties.cursor_name("crm")) is None, "it is not called complete"
    assert late in {row.remote_id for row in world.ledger.parties.all("crm")}
    monkeypatch.undo()
    world.fill_index()
    assert world.ledger.cursors.get(parties.cursor_name("crm")) is not None
    assert len(codes(world)) == 3


def test_an_index_that_was_never_read_is_waited_for(make: Callable[..., World]) -> None:
    world = make()
    world.deliver(order(1, billing=NORA))
    world.drain(fill=False)
    assert world.records("SalesOrder") == []
    world.fill_index()
    assert world.ledger.cursors.get(parties.cursor_name("crm", 1)) is None
