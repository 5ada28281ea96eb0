from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from core import config
from core.settings import (
    AlertSettings,
    FlowSettings,
    LedgerSettings,
    OrderWord,
    PaymentWord,
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
        monkeypatch.setenv(name, "set")
    settings = config.parse(text, wiring.kinds(), file="orderwire.example.toml").required()
    assert {one.connector for one in settings.connections} == set(wiring.CONNECTORS)


def test_every_key_is_explained() -> None:
    manual = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for model in (LedgerSettings, WorkerSettings, WebSettings, AlertSettings, FlowSettings):
        for key in set(model.model_fields) - {"pipeline", "rules", "delivery", "payment"}:
            assert f"`{key}`" in manual, f"{model.__name__}.{key}"
