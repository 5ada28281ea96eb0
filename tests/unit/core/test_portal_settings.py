"""`[[portal]]` in the configuration: what it refuses, and in which words."""

from __future__ import annotations

from typing import Literal

import pytest

from core.config import Kind, Reading, parse
from core.settings import ConnectionSettings


class Erp(ConnectionSettings):
    connector: Literal["erp"] = "erp"


class Shop(ConnectionSettings):
    connector: Literal["shop"] = "shop"


KINDS = {"erp": Kind("erp", "erp", Erp), "shop": Kind("shop", "store", Shop)}
GOOD = """\
[[connection]]
name = "erp"
connector = "erp"

[[connection]]
name = "shop"
connector = "shop"

[[portal]]
name = "portal"
source = "erp"
store = "shop"
secrets = ["env:ORDERWIRE_TEST_PORTAL"]
origins = ["https://shop.example"]
team = { name = "Sales", email = "sales@us.example" }
"""


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERWIRE_TEST_PORTAL", "x" * 32)


def read(old: str = "", new: str = "") -> Reading:
    assert old in GOOD
    return parse(GOOD.replace(old, new) if old else GOOD, KINDS)


def test_a_good_one() -> None:
    (portal,) = read().required().portals
    assert (portal.name, portal.lifetime, portal.audience, portal.per_minute) == ("portal", 300, "orderwire", 60)


@pytest.mark.parametrize(
    ("old", "new", "path", "said"),
    [
        ('source = "erp"', 'source = "shop"', "portal.portal.source", "must be an ERP"),
        ('source = "erp"', 'source = "epr"', "portal.portal.source", "no connection named"),
        ('store = "shop"', 'store = "erp"', "portal.portal.store", "must be a store"),
        ('secrets = ["env:ORDERWIRE_TEST_PORTAL"]', "secrets = []", "portal.portal.secrets", ""),
        ('"env:ORDERWIRE_TEST_PORTAL"', '"hunter2hunter2hunter2hunter2hunter2"', "portal.portal.secrets", ""),
        ('"https://shop.example"', '"*"', "portal.portal.origins", ""),
        ('"https://shop.example"', '"https://shop.example/account"', "portal.portal.origins", ""),
        ('"https://shop.example"', '"null"', "portal.portal.origins", ""),
        (', email = "sales@us.example"', "", "portal.portal.team", "give the team an email, a phone, or both"),
        ("[[portal]]", "[[portal]]\nlifetime = 7200", "portal.portal.lifetime", "at most 3600"),
        ("[[portal]]", "[[portal]]\nsecret = 1", "portal.portal.secret", "there is no key"),
    ],
)  # fmt: skip
def test_what_is_refused(old: str, new: str, path: str, said: str) -> None:
    problems = read(old, new).problems
    assert any(one.path.startswith(path) and said in one.message for one in problems), problems


def test_a_short_secret_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERWIRE_TEST_PORTAL", "x" * 31)
    (problem,) = read().problems
    assert "32 characters" in problem.message


def test_the_environment_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERWIRE_PORTAL__PORTAL__LIFETIME", "120")
    assert read().required().portals[0].lifetime == 120
