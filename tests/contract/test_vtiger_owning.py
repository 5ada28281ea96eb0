"""Whose accounts, contacts and open orders are in vtiger, and giving them away. Against the stand-in CRM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.http import guarded
from connectors.roles import OwnedRecord, Owning, RecordKind, Ref
from core.errors import Held
from sandbox.crm import DEFAULT_ACCESS_KEY, crm_app
from sandbox.serve import running
from tests.contract.test_vtiger_standing import TYPED, Stand
from tests.contract.vtiger_fakes import OpenGuard

OWNERS = {"Anna": "19x7", "R7": "19x7", "Sales": "20x2", "us": "19x5"}
ALL: frozenset[RecordKind] = frozenset({"account", "contact", "order"})


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    monkeypatch.setenv("VTIGER_TEST_KEY", DEFAULT_ACCESS_KEY)
    app = crm_app(seed=False)
    with running(app) as url, guarded(OpenGuard()):
        made = Stand(app, url, owners=OWNERS)
        yield made
        made.crm.close()


def seeded(stand: Stand, contacts: int = 2, **account: Any) -> dict[str, dict[str, str]]:
    made: dict[str, dict[str, str]] = stand.post(
        "seed",
        {
            "products": [{"productname": "A", "productcode": "A", "unit_price": "10"}],
            "accounts": [{"accountname": "Other"}, {"accountname": "Firm", **account}],
            "contacts": [
                {"lastname": f"C{n}", "account_id": "@Firm" if n else "@Other", "assigned_user_id": "19x7"}
                for n in range(contacts + 1)
            ],
            "salesorders": [
                {**TYPED, "subject": status, "sostatus": status}
                for status in ("Created", "Approved", "Delivered", "Cancelled")
            ],
        },
    )
    return made


def test_it_plays_the_role(stand: Stand) -> None:
    assert isinstance(stand.crm, Owning)


def test_the_account_its_contacts_and_open_orders_each_with_its_owner(stand: Stand) -> None:
    made = seeded(stand, assigned_user_id="19x5")
    found = stand.crm.owned_records(made["accounts"]["Firm"], ALL)
    assert found is not None
    told = {record.ref.id: (record.kind, sorted(record.names), record.ours) for record in found}
    assert told == {
        made["accounts"]["Firm"]: ("account", ["us"], True),
        made["contacts"]["C1"]: ("contact", ["Anna", "R7"], False),
        made["contacts"]["C2"]: ("contact", ["Anna", "R7"], False),
        made["salesorders"]["Created"]: ("order", [], False),
        made["salesorders"]["Approved"]: ("order", [], False),
    }
    only = stand.crm.owned_records(made["accounts"]["Firm"], {"contact"})
    assert only is not None
    assert {record.kind for record in only} == {"contact"}


@pytest.mark.parametrize("contacts", [99, 100, 101, 230])
def test_more_than_a_page_comes_whole_and_each_once(stand: Stand, contacts: int) -> None:
    made = seeded(stand, contacts)
    for _ in range(2):  # the second time a canary rides along
        found = stand.crm.owned_records(made["accounts"]["Firm"], {"contact"})
        assert found is not None
        ids = [record.ref.id for record in found]
        assert len(ids) == len(set(ids)) == contacts
        assert made["contacts"]["C0"] not in ids


def test_an_account_that_is_gone(stand: Stand) -> None:
    made = seeded(stand)
    stand.crm.delete("account", made["accounts"]["Other"])
    assert stand.crm.owned_records(made["accounts"]["Other"], ALL) is None


def test_giving_away_touches_the_owner_alone(stand: Stand) -> None:
    made = seeded(stand)
    found = stand.crm.owned_records(made["accounts"]["Firm"], ALL)
    assert found is not None
    before = {record.ref.id: dict(stand.crm._client.retrieve(record.ref.id) or {}) for record in found}
    for record in found:
        assert stand.crm.assign_owner(record, "Sales").differences == ()
    for id, row in before.items():
        after = dict(stand.crm._client.retrieve(id) or {})
        changed = {name for name in row if row[name] != after.get(name)}
        assert after["assigned_user_id"] == "20x2"
        assert changed <= {"assigned_user_id", "modifiedtime", "modifiedby"}


def test_a_name_that_the_table_does_not_have_and_an_id_of_another_module(stand: Stand) -> None:
    made = seeded(stand)
    contact = made["contacts"]["C1"]
    with pytest.raises(Held, match="owners table"):
        stand.crm.assign_owner(OwnedRecord("contact", Ref(contact), "19x7"), "Nobody")
    with pytest.raises(Held, match="no id of Accounts"):
        stand.crm.assign_owner(OwnedRecord("account", Ref(contact), "19x7"), "Sales")
    assert (stand.crm._client.retrieve(contact) or {})["assigned_user_id"] == "19x7"
