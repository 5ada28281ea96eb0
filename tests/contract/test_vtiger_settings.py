from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.vtiger import ROLE, SETTINGS, build
from core.errors import ConfigurationProblem
from tests.contract.vtiger_fakes import FakeVtiger, connector, settings


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://crm.test", "https://crm.test/"),
        ("https://crm.test/vtiger/", "https://crm.test/vtiger/"),
        ("https://crm.test/vtiger/index.php", "https://crm.test/vtiger/"),
        (" http://crm.test/webservice.php ", "http://crm.test/"),
    ],
)
def test_the_address_is_the_one_people_open(url: str, kept: str) -> None:
    assert settings(url=url).url == kept


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "crm.test"},
        {"url": "https://user:secret@crm.test/"},
        {"url": "https://crm.test/index.php?module=Home"},
        {"access_key": "0123456789abcdef"},  # by reference only
        {"owners": {"Anna": "5"}},
        {"owners": {"Anna": "19x5' OR '1'='1"}},
        {"currencies": {"Euro": "21x1"}},
        {"external_id_field": "cf_861; DELETE"},
        {"external_id_field": ""},
        {"vat_field": "a b"},
        {"external_id_fields": {"Potentials": "cf_1"}},
        {"tax_slots": ()},
        {"tax_slots": ("vat",)},
        {"overlap": 0},
        {"ownrs": {}},
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**changes)


def test_fields_may_differ_between_modules() -> None:
    own = settings(external_id_field="cf_1", external_id_fields={"Invoice": "cf_2"})
    assert own.external_field("SalesOrder") == "cf_1"
    assert own.external_field("Invoice") == "cf_2"


def test_what_the_wiring_expects() -> None:
    assert SETTINGS.model_fields["connector"].default == "vtiger"
    assert ROLE == "crm"
    crm = build(settings())
    assert crm.name == "crm"
    crm.close()


def test_the_key_is_read_when_it_is_needed_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VTIGER_TEST_KEY", raising=False)
    fake = FakeVtiger()
    crm = connector(fake)
    with pytest.raises(ConfigurationProblem, match="VTIGER_TEST_KEY"):
        crm.find_order("x")
    monkeypatch.setenv("VTIGER_TEST_KEY", "very-secret-key")
    fake.answers["query"] = lambda p: []
    crm.find_order("x")
    assert "very-secret-key" not in repr(crm.settings) + str(fake.asked)
