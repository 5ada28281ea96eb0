from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from core import config
from core.promisesettings import PromiseRule, PromiseSettings
from core.settings import (
    AdoptSettings,
    AlertSettings,
    ConnectionSettings,
    FlowSettings,
    LedgerSettings,
    OrderWord,
    OwnershipRules,
    PaperSettings,
    PaymentWord,
    PortalSettings,
    SellerSettings,
    WebSettings,
    WorkerSettings,
)
from mapping.canonical import OrderStatus, PaymentStatus
from mapping.identity import MatchKind
from pipelines import wiring

ROOT = Path(__file__).parents[3]


def test_the_configuration_speaks_the_common_language() -> None:
    assert set(get_args(OrderWord)) == {status.value for status in OrderStatus}
    assert set(get_args(PaymentWord)) == {status.value for status in PaymentStatus}
    assert FlowSettings.model_fields["match"].default == get_args(MatchKind)


def test_the_example_is_a_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "orderwire.example.toml").read_text(encoding="utf-8")
    for name in re.findall(r"env:([A-Z_]+)", text):
        monkeypatch.setenv(name, "set, and as long as a secret of a portal is")
    settings = config.parse(text, wiring.kinds(), file="orderwire.example.toml").required()
    assert {one.connector for one in settings.connections} == set(wiring.CONNECTORS)


def test_every_key_is_explained() -> None:
    manual = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    flow = (FlowSettings, OwnershipRules, AdoptSettings, PaperSettings, PromiseSettings, PromiseRule)
    for model in (
        LedgerSettings,
        WorkerSettings,
        WebSettings,
        AlertSettings,
        SellerSettings,
        ConnectionSettings,
        *flow,
    ):
        for key in set(model.model_fields) - {"pipeline", "rules", "delivery", "payment"}:
            assert f"`{key}`" in manual, f"{model.__name__}.{key}"


@pytest.mark.parametrize(
    ("written", "at_once"),
    [
        ("", 1.0),
        ("rate = 0.5", 1.0),
        ("rate = 12.5", 12.5),
        ("rate = 4\nburst = 20", 20.0),
        ("rate = 4\nburst = 1", 1.0),
    ],
)
def test_how_many_calls_may_come_at_once(written: str, at_once: float) -> None:
    (one,) = config.parse(f"{FORM}{written}\n", wiring.kinds()).required().connections
    assert one.at_once == at_once


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("rate = 0", "rate"),
        ("rate = 2000", "rate"),
        ('rate = "fast"', "`rate` must be a number"),
        ("rate = nan", "rate"),
        ("rate = inf", "rate"),
        ("burst = 5", "burst says nothing without rate"),
        ("rate = 1\nburst = 0.5", "burst"),
    ],
)
def test_a_budget_that_is_none(written: str, said: str) -> None:
    with pytest.raises(config.ConfigProblems) as caught:
        config.parse(f"{FORM}{written}\n", wiring.kinds()).required()
    assert said in str(caught.value)


FORM = """\
[[connection]]
name = "form"
connector = "orderform"
"""


def test_every_key_of_a_portal_is_explained() -> None:
    manual = (ROOT / "docs" / "portal.md").read_text(encoding="utf-8")
    for key in PortalSettings.model_fields:
        assert f"`{key}`" in manual, key
