"""What a rehearsal adds up to: exact money by currency, groups by reason, and the time that the calls take."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ledger.runs import Item
from pipelines.forecast import SAMPLES, forecast


def item(id: int, verdict: str = "post", amount: str = "10.00", currency: str = "EUR", **over: Any) -> Item:
    facts = over.pop("facts", {})
    return Item(f"shop/order/{id}", verdict, str(id), amount, currency, facts=facts, **over)


def test_money_is_exact_and_by_currency() -> None:
    found = forecast([item(1, amount="0.10"), item(2, amount="0.20"), item(3, amount="1000", currency="JPY")])
    assert found.post.count == 3
    assert found.post.money == {"EUR": Decimal("0.30"), "JPY": Decimal(1000)}
    assert found.as_json()["post"]["money"] == {"EUR": "0.30", "JPY": "1000"}


def test_every_verdict_has_its_pile() -> None:
    found = forecast(
        [item(n, verdict) for n, verdict in enumerate(("post", "change", "nothing", "hold", "skip", "wait"))]
    )
    piles = (found.post, found.change, found.nothing, found.hold, found.skip, found.wait)
    assert [pile.count for pile in piles] == [1] * 6
    assert found.orders.count == 6
    assert found.orders.money == {"EUR": Decimal("60.00")}


def test_what_could_not_be_read_has_no_money() -> None:
    found = forecast([Item("shop/order/1", "hold", error_class="parse", reason="?")])
    assert (found.hold.count, found.hold.money) == (1, {})
    assert found.held.sorted[0].samples == [("shop/order/1", "?")]


def test_reasons_are_grouped_the_most_frequent_first() -> None:
    some = [item(n, "hold", error_class="money", reason=f"r{n}") for n in range(SAMPLES + 2)]
    found = forecast([item(99, "hold", error_class="parse", reason="x"), *some])
    first, second = found.held.sorted
    assert (first.name, first.pile.count, first.pile.money["EUR"]) == ("money", SAMPLES + 2, Decimal("70.00"))
    assert first.samples == [(str(n), f"r{n}") for n in range(SAMPLES)]
    assert second.name == "parse"


def test_samples_show_every_kind_of_reason() -> None:
    """However late it comes: a reason that is shown nowhere is mended by nobody."""
    some = [item(n, "hold", error_class="money", reason=f"Total {n}.00 EUR.") for n in range(20)]
    rare = item(99, "hold", error_class="money", reason="Nothing balances.")
    (group,) = forecast([*some, rare, *some]).held.sorted
    assert group.reasons == [("Total 0.00 EUR.", ["0", "1", "2", "3"]), ("Nothing balances.", ["99"])]
    many = [item(n, "hold", error_class="money", reason="abcdefgh"[n] * 9) for n in range(8)]
    assert len(forecast(many).held.sorted[0].reasons) == SAMPLES


def test_rules_are_called_by_their_name() -> None:
    found = forecast([item(1, "skip", error_class="rule before start"), item(2, "skip", error_class="rule statuses")])
    assert [group.name for group in found.skipped.sorted] == ["before start", "statuses"]


def test_what_the_crm_lacks() -> None:
    facts = {"unknown_skus": ["A", ""], "untaxed": ["B"], "unmapped": ["The delivery method dhl has no word."]}
    word = item(2, "hold", error_class="missing reference", reason="No owner Zoe.", facts={"word": "placed_by"})
    skipped = item(3, "skip", facts=facts)
    found = forecast([item(1, facts=facts), word, skipped])
    assert {(one.name, one.pile.count) for one in found.unknown_skus.sorted} == {("A", 1), ("(no article number)", 1)}
    assert [(one.name, one.pile.money["EUR"]) for one in found.untaxed.sorted] == [("B", Decimal(10))]
    assert {one.name for one in found.unmapped.sorted} == {"The delivery method dhl has no word.", "No owner Zoe."}


def test_customers() -> None:
    some = [item(n, facts={"customer": who}) for n, who in enumerate(("found", "found", "new", "doubtful"))]
    assert forecast([*some, item(9)]).customers == {"found": 2, "new": 1, "doubtful": 1}


@pytest.mark.parametrize(("rate", "burst", "seconds"), [(None, 0, None), (2.0, 10, 45.0), (2.0, 500, 0.0)])
def test_cost(rate: float | None, burst: float, seconds: float | None) -> None:
    found = forecast([item(n, facts={"calls": 10}) for n in range(10)], rate=rate, burst=burst)
    assert (found.calls, found.seconds) == (100, seconds)


def test_before_the_start_nothing_is_created() -> None:
    old = {"placed": "2026-11-19T08:00:00+00:00"}
    new = {"placed": "2026-11-20T12:00:00+00:00"}
    start = datetime(2026, 11, 20, 12, tzinfo=UTC)
    some = [item(1, facts=old), item(2, facts=new), item(3, "change", facts=old)]
    found = forecast(some, start=start)
    assert (found.post.count, found.too_old.count, found.change.count) == (1, 1, 1)
    assert forecast(some).post.count == 2


def test_it_is_json() -> None:
    found = forecast([item(1, "hold", error_class="money", reason="r")], rate=1.0)
    assert json.loads(json.dumps(found.as_json()))["held"] == [
        {"name": "money", "count": 1, "money": {"EUR": "10.00"}, "samples": [{"order": "1", "reason": "r"}]}
    ]
