"""Tokens, from a file that the shop's plugin is tested with too: made by hand with HMAC-SHA256, not by our own code."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.secrets import SecretRef
from core.settings import PortalSettings
from web.portal.tokens import NotGranted, live_keys, sign, signature_of, visitor

FILE: Final = Path(__file__).parents[2] / "fixtures" / "portal" / "tokens.json"
KNOWN: Final[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
NOW: Final = datetime.fromtimestamp(KNOWN["now"], UTC)
TOKENS: Final[list[dict[str, Any]]] = KNOWN["tokens"]


@pytest.fixture
def portals(monkeypatch: pytest.MonkeyPatch) -> dict[str, PortalSettings]:
    for at, secret in enumerate(KNOWN["secrets"]):
        monkeypatch.setenv(f"ORDERWIRE_TEST_PORTAL_{at}", secret)
    references = tuple(SecretRef(f"env:ORDERWIRE_TEST_PORTAL_{at}") for at in range(len(KNOWN["secrets"])))
    options = {"source": "erp", "secrets": references, "team": {"name": "Sales", "email": "sales@us.example"}}
    made = PortalSettings.model_validate({"name": KNOWN["portal"], "lifetime": KNOWN["lifetime"], **options})
    return {made.name: made}


@pytest.mark.parametrize("one", TOKENS, ids=lambda one: one["name"])
def test_each_token_of_the_file(portals: dict[str, PortalSettings], one: dict[str, Any]) -> None:
    if one["accepted"]:
        found = visitor(one["token"], portals, NOW)
        assert found.subject == one["claims"]["sub"]
        assert found.id == one["claims"]["jti"]
        assert found.key == one["secret"].encode(), "the answer is signed with what the shop signed with"
        return
    with pytest.raises(NotGranted) as refused:
        visitor(one["token"], portals, NOW)
    assert refused.value.reason == one["reason"]
    assert "What to do: " in refused.value.message


def test_the_file_has_both_kinds() -> None:
    assert sum(one["accepted"] for one in TOKENS) >= 5
    assert len({one["reason"] for one in TOKENS}) >= 9


@pytest.mark.parametrize("one", [one for one in TOKENS if one["accepted"]], ids=lambda one: one["name"])
def test_we_sign_as_shops_do(portals: dict[str, PortalSettings], one: dict[str, Any]) -> None:
    assert visitor(sign(one["claims"], one["secret"]), portals, NOW).subject == one["claims"]["sub"]


def test_a_shop_that_does_not_exist_is_refused_in_the_same_words(portals: dict[str, PortalSettings]) -> None:
    told = set()
    for name in ("another secret", "a shop that does not exist", "algorithm none"):
        token = next(one["token"] for one in TOKENS if one["name"] == name)
        with pytest.raises(NotGranted) as refused:
            visitor(token, portals, NOW)
        told.add(refused.value.message)
    assert len(told) == 1


def test_a_shops_token_is_no_other_shops(portals: dict[str, PortalSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERWIRE_TEST_OTHER", "another-shops-secret-0123456789-abcdef")
    other = portals["shop"].model_copy(update={"name": "other", "secrets": (SecretRef("env:ORDERWIRE_TEST_OTHER"),)})
    claims = {**TOKENS[0]["claims"], "iss": "other"}
    both = {**portals, "other": other}
    assert visitor(sign(claims, "another-shops-secret-0123456789-abcdef"), both, NOW).portal.name == "other"
    with pytest.raises(NotGranted):
        visitor(sign(claims, KNOWN["secrets"][0]), both, NOW)


def test_a_secret_that_is_short_or_away_opens_nothing(
    portals: dict[str, PortalSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERWIRE_TEST_PORTAL_0", "short")
    monkeypatch.delenv("ORDERWIRE_TEST_PORTAL_1")
    assert live_keys(portals["shop"].secrets) == []
    for secret in ("short", "", "-" * 32):
        with pytest.raises(NotGranted) as refused:
            visitor(sign(TOKENS[0]["claims"], secret), portals, NOW)
        assert refused.value.reason == "signature"


def test_an_answer_is_signed() -> None:
    answer = KNOWN["answer"]
    assert signature_of(answer["body"].encode(), answer["secret"].encode()) == answer["signature"]


@given(st.text(max_size=300) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_no_text_is_more_than_refused(text: str) -> None:
    with pytest.raises(NotGranted):
        visitor(text, {}, NOW)


@given(st.integers(0, len(TOKENS[0]["token"]) - 1), st.sampled_from("AZaz09-_."))
def test_no_letter_of_a_token_may_be_another(at: int, letter: str) -> None:
    good = TOKENS[0]["token"]
    changed = good[:at] + letter + good[at + 1 :]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORDERWIRE_TEST_PORTAL", KNOWN["secrets"][0])
        team = {"name": "Sales", "email": "sales@us.example"}
        options = {"name": "shop", "source": "erp", "secrets": ["env:ORDERWIRE_TEST_PORTAL"], "team": team}
        portal = PortalSettings.model_validate(options)
        if changed == good:
            assert visitor(changed, {"shop": portal}, NOW).subject == "10017"
            return
        with pytest.raises(NotGranted):
            visitor(changed, {"shop": portal}, NOW)
