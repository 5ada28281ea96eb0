"""Requests of customers as vtiger's comments: as recorded, found again whatever lies between, and no markup in them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http import guarded
from connectors.roles import Crm, CustomerNote, Noting, Tier
from connectors.vtiger import VtigerCrm, build
from core.errors import Held
from mapping.vtiger.note import carries, note_to_vtiger, plain
from tests.contract.vtiger_fakes import FakeVtiger, OpenGuard, StillClock, settings

RECORDED = Path(__file__).parents[1] / "fixtures" / "vtiger"
DESCRIBED = json.loads((RECORDED / "019-describe-ModComments.json").read_text("utf-8"))["response"]["json"]["result"]
CREATED = json.loads((RECORDED / "335-modcomment-create.json").read_text("utf-8"))
QUERIED = json.loads((RECORDED / "336-modcomments-query.json").read_text("utf-8"))
NOTE = CustomerNote("erp-request-1", "Customer 10017 writes", "Hello", datetime(2026, 11, 22, 9, 30, tzinfo=UTC))


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTIGER_TEST_KEY", "key")


def crm(**answers: Any) -> tuple[FakeVtiger, VtigerCrm]:
    fake = FakeVtiger(**{"describe": lambda _p: DESCRIBED, **answers})
    return fake, build(settings(owners={"mia": "19x7"}), transport=httpx.MockTransport(fake), clock=StillClock())


def test_vtiger_takes_activities() -> None:
    _, made = crm()
    assert isinstance(made, Noting)
    assert isinstance(made, Crm)
    assert made.creation("request") is Tier.NOTHING


def test_a_comment_is_created_with_the_recorded_fields() -> None:
    kept: dict[str, Any] = {}

    def create(params: dict[str, Any]) -> dict[str, Any]:
        kept.update(params)
        return {**CREATED["response"]["json"]["result"], **params["element"], "id": "30x89"}

    fake, made = crm(create=create)
    with guarded(OpenGuard()):
        written = made.log_request(NOTE, "11x8", "mia")
    assert kept["elementType"] == "ModComments"
    assert set(kept["element"]) == set(json.loads(CREATED["request"]["form"]["element"]))
    assert kept["element"]["related_to"] == "11x8"
    assert kept["element"]["assigned_user_id"] == "19x7"
    assert kept["element"]["commentcontent"] == "Customer 10017 writes [erp-request-1]\n\nHello"
    assert (written.ref.id, written.differences) == ("30x89", ())
    assert fake.of("create")


def test_an_owner_who_is_not_known_is_held_before_anything_is_written() -> None:
    fake, made = crm()
    with guarded(OpenGuard()), pytest.raises(Held, match="owners table"):
        made.log_request(NOTE, "11x8", "nobody")
    assert not fake.of("create")


def test_an_account_that_vtiger_did_not_keep_is_no_success() -> None:
    _, made = crm(create=lambda params: {**params["element"], "id": "30x89", "related_to": ""})
    with guarded(OpenGuard()):
        written = made.log_request(NOTE, "11x8", "mia")
    assert [(one.field, one.action, one.missing) for one in written.differences] == [("related_to", "hold", True)]


def row(id: int, text: str, at: str = "2026-11-22 09:31:00", account: str = "11x8") -> dict[str, str]:
    recorded = QUERIED["response"]["json"]["result"][0]
    return {**recorded, "id": f"30x{id}", "commentcontent": text, "createdtime": at, "related_to": account}


def test_the_very_comment_is_found_and_no_other() -> None:
    rows = [
        row(9, "Customer 10017 writes [erp-request-1]\n\nagain"),
        row(5, "Customer 10017 writes [erp-request-1]\n\nHello"),
        row(4, "Customer 10017 writes [erp-request-2]\n\n[erp-request-1]"),
        row(3, "Somebody typed this"),
    ]
    _, made = crm(query=lambda _p: rows)
    assert [ref.id for ref in made.find_request(NOTE, ["11x8"])] == ["30x5", "30x9"]  # oldest first
    other = CustomerNote("erp-request-2", "", "", NOTE.at)
    assert [ref.id for ref in made.find_request(other, ["11x8"])] == ["30x4"]


def test_many_comments_are_read_back_to_the_day_before() -> None:
    def query(params: dict[str, Any]) -> list[dict[str, str]]:
        text = params["query"]
        if "id <" not in text:
            return [row(1000 - n, "typed") for n in range(100)]
        if "'30x901'" in text:
            ours = row(850, "Customer 10017 writes [erp-request-1]\n\nHello")
            return [ours, *(row(849 - n, "typed", "2026-11-20 08:00:00") for n in range(99))]
        raise AssertionError("older ones were asked for")

    fake, made = crm(query=query)
    assert [ref.id for ref in made.find_request(NOTE, ["11x8"])] == ["30x850"]
    first, second = (params["query"] for params in fake.of("query"))
    assert "FROM ModComments WHERE related_to='11x8' ORDER BY id DESC LIMIT 0,100;" in first
    assert "WHERE related_to='11x8' AND id < '30x901' ORDER BY id DESC LIMIT 0,100;" in second


def test_nothing_found_is_believed_only_with_a_witness() -> None:
    fake, made = crm(query=lambda _p: [])
    assert made.find_request(NOTE, ["11x8"]) == []
    assert fake.witnessed == ["ModComments", "Tax"]


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_text_becomes_markup_or_hides_the_mark(title: str, text: str) -> None:
    content = note_to_vtiger(" ".join(title.split()), text, "erp-request-1", "11x8", "19x7")["commentcontent"]
    assert not set("<>") & set(content)
    assert carries(content, "erp-request-1")
    assert len(content) <= 4000


@pytest.mark.parametrize("entity", ["&lt;", "&#60;", "&#x3c;", "&amp;lt;", "&LT;"])
def test_an_entity_stays_what_was_typed(entity: str) -> None:
    import html

    assert "<" not in html.unescape(html.unescape(plain(f"{entity}b>")))
    assert plain("Müller & Co, R&D; 5 < 6") == "Müller & Co, R＆D; 5 ‹ 6"
