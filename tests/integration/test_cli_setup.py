"""What `init` asks and writes, with a person who answers."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import setup
from pipelines import wiring


class Person:
    """Answers by the beginning of the question; remembers what was asked."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.asked: list[tuple[str, bool]] = []

    def __call__(self, question: str, default: str | None = None, *, hidden: bool = False) -> str:
        self.asked.append((question, hidden))
        if hidden:
            return self.answers["hidden"]
        return self.answers.get(question.partition(":")[0], default or "")


def test_a_secret_is_used_for_the_test_and_never_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CRM_ACCESS_KEY", "")
    person = Person(url="https://crm.example", username="orderwire", hidden="hunter2")
    values: dict[str, Any] = {"name": "crm", "connector": "vtiger"}
    exports = setup.fill(wiring.kinds()["vtiger"], values, person, attended=True)
    assert exports == ["CRM_ACCESS_KEY"]
    assert os.environ["CRM_ACCESS_KEY"] == "hunter2"
    assert [question for question, hidden in person.asked if hidden] == [
        "access_key of crm (not shown, not written down)"
    ]
    text, reading = setup.added(tmp_path / "orderwire.toml", setup.table("connection", values))
    assert reading.problems == []
    assert "hunter2" not in text
    assert tomllib.loads(text)["connection"] == [
        {
            "name": "crm",
            "connector": "vtiger",
            "url": "https://crm.example",
            "username": "orderwire",
            "access_key": "env:CRM_ACCESS_KEY",
        }
    ]


def test_what_is_in_the_environment_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_CONSUMER_KEY", "a")
    monkeypatch.setenv("SHOP_CONSUMER_SECRET", "b")
    monkeypatch.setenv("HOOK", "c")
    person = Person(url="https://shop.example", webhook_secrets="HOOK")
    values: dict[str, Any] = {"name": "shop", "connector": "woocommerce"}
    exports = setup.fill(wiring.kinds()["woocommerce"], values, person, attended=True)
    assert not any(hidden for _, hidden in person.asked)
    assert values["webhook_secrets"] == ["env:HOOK"]
    assert exports == ["SHOP_CONSUMER_KEY", "SHOP_CONSUMER_SECRET", "HOOK"]


def test_a_shop_that_cannot_reach_us_has_no_webhook_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORM_WEBHOOK_SECRET", "")
    values: dict[str, Any] = {"name": "form", "connector": "orderform"}
    assert setup.fill(wiring.kinds()["orderform"], values, Person(hidden=""), attended=True) == []
    assert values["webhook_secrets"] == []


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("https://crm.example", "https://crm.example"),
        ("true", True),
        ("12", 12),
        ('"12"', "12"),
        ('["a", "b"]', ["a", "b"]),
        ('{ anna = "19x5" }', {"anna": "19x5"}),
        ("", ""),
        ("a\nb = 1", "a\nb = 1"),
    ],
)
def test_answers(typed: str, value: object) -> None:
    assert setup.answer(typed) == value


_VALUES = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-(2**60), 2**60) | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), _VALUES, max_size=5))
def test_what_is_written_can_be_read(values: dict[str, Any]) -> None:
    assert tomllib.loads(setup.table("connection", values))["connection"] == [values]
