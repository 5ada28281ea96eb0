"""What can be done with a job in which state, and the pure parts of editing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.jsontext import loads
from core.redaction import redact_all
from ledger.jobs import STATES, JobView
from pipelines.desk import Action, actions_for
from pipelines.editing import Mistake, differences, pretty, unhidden

R, S, E, D = Action.RETRY, Action.SKIP, Action.EDIT, Action.DRY_RUN
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def job(state: str, error_class: str = "", key: str = "shop/order/1") -> JobView:
    return JobView(
        id=1, flow="f", key=key, target="crm", queue="live", state=state, number="1", reason="", error_class=error_class,
        field="", failures=0, crashes=0, amount="", currency="", due_at=NOW, created_at=NOW, updated_at=NOW, wanted=1,
        done=0, worker="", correlation="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "error_class", "key", "possible"),
    [
        ("waiting", "", "shop/order/1", {R, S, D}),
        ("waiting", "remote 5xx", "shop/order/1", {R, S, D, E}),
        ("waiting", "rehearsal", "shop/order/1", {R, S, D}),
        ("running", "", "shop/order/1", set()),
        ("running", "money", "shop/order/1", set()),
        ("settled", "", "shop/order/1", {R, D}),
        ("held", "money", "shop/order/1", {R, S, E, D}),
        ("skipped", "rule test", "shop/order/1", {R, D}),
        ("held", "parse", "shop/delivery/abc", {S}),
        ("skipped", "skipped by hand", "shop/delivery/abc", set()),
        ("waiting", "parse", "shop/delivery/abc", {S}),
        ("held", "money", "shop/order/a/delivery/b", {R, S, E, D}),
        ("unheard of", "", "shop/order/1", set()),
    ],
)
def test_only_what_makes_sense_in_the_state_is_possible(
    state: str, error_class: str, key: str, possible: set[Action]
) -> None:
    assert actions_for(job(state, error_class, key)) == possible


def test_every_state_is_thought_of() -> None:
    assert {state for state in STATES if actions_for(job(state))} == set(STATES) - {"running"}


TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.sampled_from(["ada@office.example", "+49 30 901820", "4111 1111 1111 1111", "password=abc123"]),
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**30), 10**30),
        TEXTS,
        st.decimals(allow_nan=False, allow_infinity=False, places=3).filter(lambda d: abs(d) < 10**20),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=12,
)


@given(VALUES)
def test_pretty_text_reads_back_as_the_same_value_to_the_last_digit(value: Any) -> None:
    assert pretty(loads(pretty(value))) == pretty(value)


@given(VALUES)
def test_what_is_left_as_shown_is_what_it_was(value: Any) -> None:
    known = loads(pretty(value))
    shown = redact_all(known)
    assert pretty(unhidden(known, shown, loads(pretty(shown)))) == pretty(known)
    assert differences(known, known) == []


def test_an_entry_taken_out_or_added_leaves_the_hidden_ones_right() -> None:
    known = [{"mail": "a@x.example", "n": 1}, {"mail": "b@x.example", "n": 2}, {"mail": "c@x.example", "n": 3}]
    shown = json.loads(json.dumps(redact_all(known)))
    assert unhidden(known, shown, [shown[0], shown[2]]) == [known[0], known[2]]
    assert unhidden(known, shown, [*shown, {"mail": "d@x.example"}]) == [*known, {"mail": "d@x.example"}]
    with pytest.raises(Mistake, match="hidden value"):
        unhidden(known, shown, [*shown, {"mail": "[e-mail]"}])


def test_differences_name_their_place_and_hide_what_is_personal() -> None:
    before = {"a": [1, {"mail": "a@x.example"}], "total": Decimal("1.00"), "gone": True}
    after = {"a": [1, {"mail": "b@x.example"}], "total": Decimal("1.0"), "new": None}
    found = {one.path: (one.before, one.after) for one in differences(before, after)}
    assert found == {
        "a[1].mail": ('"[e-mail]"', '"[e-mail]"'),
        "total": ("1.00", "1.0"),
        "gone": ("true", ""),
        "new": ("", "null"),
    }


def test_one_true_and_one_point_oh_are_three_things() -> None:
    assert len(differences({"a": 1}, {"a": True})) == 1
    assert len(differences({"a": "1"}, {"a": 1})) == 1
