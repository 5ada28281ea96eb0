"""Orders of the store against those that stand in the CRM: certain, doubtful, none."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping.adoption import Adoption, AdoptRules, StoreOrder, grade

DAY = date(2026, 3, 10)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Typed:
    ref: str = "6x1"
    external_id: str = ""
    subject: str = "Web order"
    purchase_order: str = "1017"
    customer_number: str = ""
    account_id: str = "11x5"
    total: Decimal = Decimal("119.00000000")
    currency: str = "EUR"
    placed: date | None = DAY
    created: datetime = NOON


WANTED = StoreOrder(
    key="shop/order/1017",
    number="1017",
    external_id="shop-order-1017-aa",
    purchase_order="",
    customer_number="",
    accounts=frozenset({"11x5"}),
    total=Decimal("119.00"),
    currency="EUR",
    placed=DAY,
)


def one(row: Typed, *more: Typed, order: StoreOrder = WANTED, rules: AdoptRules | None = None) -> Adoption[Typed]:
    (verdict,) = grade([order], [row, *more], rules)
    return verdict


def typed(**changes: Any) -> Typed:
    return replace(Typed(), **changes)


CERTAIN: dict[str, dict[str, Any]] = {
    "everything agrees": {},
    "marked": {"purchase_order": " #1017 "},
    "in the subject": {"purchase_order": "", "subject": "Müller, Bestellung 1017 (030 1234567)"},
    "in the customer-number field": {"purchase_order": "", "customer_number": "1017"},
    "typed two days later": {"placed": None, "created": NOON + timedelta(days=2)},
    "typed long after, the rest agrees": {"placed": None, "created": NOON + timedelta(days=60)},
    "the CRM's total is not rounded": {"total": Decimal("119.00490000")},
    "account not told": {"account_id": ""},
    "total not told": {"total": Decimal("NaN")},
}


@pytest.mark.parametrize("case", CERTAIN)
def test_certain(case: str) -> None:
    verdict = one(typed(**CERTAIN[case]))
    assert verdict.grade == "certain"
    assert verdict.order is not None
    assert verdict.candidates[0].against == ()


DOUBTFUL: dict[str, tuple[dict[str, Any], str]] = {
    "a wrong digit": ({"purchase_order": "1018"}, "number differs in one character"),
    "swapped": ({"purchase_order": "1071"}, "number has two characters swapped"),
    "too short": ({"purchase_order": "101"}, "number has one character too few"),
    "no number": ({"purchase_order": ""}, "account is the same"),
    "another account": ({"account_id": "11x6"}, "purchase-order number is 1017"),
    "another total": ({"total": Decimal("119.01")}, "purchase-order number is 1017"),
    "another currency": ({"currency": "USD"}, "purchase-order number is 1017"),
    "another month": ({"placed": DAY + timedelta(days=40)}, "total is equal"),
    "typed before it was placed": ({"placed": None, "created": NOON - timedelta(days=20)}, "total is equal"),
}


@pytest.mark.parametrize("case", DOUBTFUL)
def test_doubtful(case: str) -> None:
    changes, reason = DOUBTFUL[case]
    verdict = one(typed(**changes))
    assert verdict.grade == "doubtful"
    assert verdict.order is None
    assert reason in " | ".join(verdict.candidates[0].reasons)


NONE: dict[str, dict[str, Any]] = {
    "only the account": {"purchase_order": "", "total": Decimal(5)},
    "only the total": {"purchase_order": "", "account_id": "11x6", "placed": DAY + timedelta(days=40)},
    "total and day of another account": {"purchase_order": "", "account_id": "11x6"},
    "the number, and nothing else": {"account_id": "11x6", "total": Decimal(5), "placed": DAY + timedelta(days=40)},
    "a number within a number, of others": {"purchase_order": "", "subject": "Order 9910170", "account_id": "11x6"},
    "it is another order": {"external_id": "shop-order-9-bb"},
}


@pytest.mark.parametrize("case", NONE)
def test_none(case: str) -> None:
    verdict = one(typed(**NONE[case]))
    assert (verdict.grade, verdict.candidates) == ("none", ())


TRAPS = ["Order 10170", "Tel. 030 1017 22", "1017,00 EUR", "INV-1017", "1017 pcs", "1017-2"]


@pytest.mark.parametrize("subject", TRAPS)
def test_what_only_looks_like_the_number_is_never_certain(subject: str) -> None:
    assert one(typed(purchase_order="", subject=subject)).grade == "doubtful"


def test_a_year_is_not_the_number() -> None:
    order = replace(WANTED, number="2026", key="shop/order/2026")
    assert one(typed(purchase_order="", subject="Jahresbedarf 2026"), order=order).grade == "doubtful"
    assert one(typed(purchase_order="", subject="Order 2026"), order=order).grade == "certain"


def test_the_reasons_are_told_in_words() -> None:
    verdict = one(typed(placed=DAY + timedelta(days=2), total=Decimal(120)))
    (candidate,) = verdict.candidates
    assert candidate.reasons == ("purchase-order number is 1017", "account is the same", "placed 2 days apart")
    assert candidate.against == ("total is 120.00 instead of 119.00",)
    assert candidate.score == 40 + 25 + 15 - 15


@pytest.mark.parametrize("told", ["NaN", "sNaN", "Infinity", "1e40"])
@pytest.mark.parametrize("theirs", [True, False])
def test_a_total_that_is_no_amount_is_not_known(told: str, theirs: bool) -> None:
    """NaN has no order: sorting by it, or searching for it, raises. It speaks neither for nor against."""
    row = typed(total=Decimal(told)) if theirs else typed()
    order = WANTED if theirs else replace(WANTED, total=Decimal(told))
    neighbour = typed(ref="6x2", purchase_order="", account_id="11x9", total=Decimal(7))
    verdict = one(row, neighbour, order=order)
    assert verdict.order is row
    assert not any("total" in text for text in (*verdict.candidates[0].reasons, *verdict.candidates[0].against))
    unnumbered = replace(row, purchase_order="")
    assert one(unnumbered, neighbour, order=order).grade == "none", "found by its total alone, which is not known"


def test_our_external_id_is_enough() -> None:
    own = typed(external_id=WANTED.external_id, purchase_order="", account_id="11x9", total=Decimal(1), placed=None)
    verdict = one(own, typed(ref="6x2"))
    assert verdict.order is own
    assert verdict.candidates[0].score == 100


def test_our_external_id_twice_is_told() -> None:
    twice = [typed(ref=ref, external_id=WANTED.external_id) for ref in ("6x1", "6x2")]
    verdict = one(*twice)
    assert verdict.grade == "doubtful"
    assert "doubles" in verdict.note
    assert len(verdict.candidates) == 2


def test_an_order_typed_twice_is_a_persons_decision() -> None:
    verdict = one(typed(), typed(ref="6x2", placed=DAY + timedelta(days=1)))
    assert verdict.grade == "doubtful"
    assert [candidate.order.ref for candidate in verdict.candidates] == ["6x1", "6x2"]
    assert verdict.note


def test_one_order_of_the_crm_is_not_certain_for_two() -> None:
    second = replace(WANTED, key="shop/order/x", number="1099", purchase_order="1017", external_id="other")
    verdicts = grade([WANTED, second], [typed()])
    assert [verdict.grade for verdict in verdicts] == ["doubtful", "doubtful"]


def test_what_is_certain_for_one_is_no_candidate_for_another() -> None:
    neighbour = replace(WANTED, key="shop/order/1018", number="1018", external_id="other")
    verdicts = grade([WANTED, neighbour], [typed()])
    assert [verdict.grade for verdict in verdicts] == ["certain", "none"]


def test_a_slip_that_makes_another_orders_number() -> None:
    """1017 was typed as 1018, which is an order of somebody else: both are asked about, nothing is linked."""
    other = replace(WANTED, key="shop/order/1018", number="1018", accounts=frozenset({"11x8"}), external_id="other")
    verdicts = grade([WANTED, other], [typed(purchase_order="1018")])
    assert [verdict.grade for verdict in verdicts] == ["doubtful", "doubtful"]


def test_an_order_that_names_two_is_not_certain() -> None:
    other = replace(WANTED, key="shop/order/1090", number="1090", accounts=frozenset({"11x8"}), total=Decimal(7))
    first, _ = grade([WANTED, other], [typed(purchase_order="1017 1090")])
    assert first.grade == "doubtful"
    assert "it names order 1090 as well" in first.candidates[0].against


def test_the_customers_own_purchase_order_number() -> None:
    order = replace(WANTED, purchase_order="4500 77-1")
    assert one(typed(purchase_order="450077-1"), order=order).grade == "certain"
    verdict = one(typed(purchase_order="4500 99-9", subject="Order 1017"), order=order)
    assert verdict.grade == "doubtful"
    assert verdict.candidates[0].against == ("purchase-order number is 4500 99-9, not 4500 77-1",)


def test_a_purchase_order_number_for_everything_names_nothing() -> None:
    rows = [typed(ref=f"6x{n}", purchase_order="PO-2026-1", total=Decimal(n)) for n in range(1, 250)]
    order = replace(WANTED, purchase_order="PO-2026-1", total=Decimal(50))
    verdict = one(*rows, order=order)
    assert verdict.grade == "doubtful"
    assert verdict.candidates[0].order.ref == "6x50"


def test_rules_can_be_set() -> None:
    near = typed(total=Decimal("119.50"), placed=DAY + timedelta(days=20))
    assert one(near).grade == "doubtful"
    assert one(near, rules=AdoptRules(tolerance=Decimal("0.50"), days=30)).grade == "certain"
    only = AdoptRules(references=("subject",))
    assert one(typed(), rules=only).grade == "doubtful"
    assert one(typed(subject="Order 1017"), rules=only).grade == "certain"


def test_the_customer_number_stands_for_an_account_that_is_not_known() -> None:
    order = replace(WANTED, accounts=frozenset(), customer_number="k-7")
    verdict = one(typed(account_id="", customer_number="K-7"), order=order)
    assert verdict.grade == "certain"
    assert "customer number is K-7" in verdict.candidates[0].reasons


def test_an_unknown_account_alone_does_not_hinder() -> None:
    assert one(typed(), order=replace(WANTED, accounts=frozenset())).grade == "certain"
    assert one(typed(total=Decimal(3)), order=replace(WANTED, accounts=frozenset())).grade == "doubtful"


# -- what holds for any orders -----------------------------------------------------------------------------------------

_NUMBERS = st.sampled_from(["1017", "1018", "1071", "10", "2026", ""])


@st.composite
def rows(draw: st.DrawFn, ref: int) -> Typed:
    return Typed(
        ref=f"6x{ref}",
        external_id=draw(st.sampled_from(["", "", "", "id-1017", "id-1018", "id-5"])),
        subject=draw(st.sampled_from(["", "Order 1017", "Web 1018", "Tel. 030 1017 22", "2026"])),
        purchase_order=draw(_NUMBERS),
        account_id=draw(st.sampled_from(["", "a", "b"])),
        total=draw(st.sampled_from([Decimal(5), Decimal("5.001"), Decimal(7), Decimal("NaN")])),
        placed=draw(st.sampled_from([None, DAY, DAY + timedelta(days=3), DAY + timedelta(days=50)])),
    )


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[StoreOrder], list[Typed]]:
    orders = [
        StoreOrder(
            key=f"shop/order/{number}",
            number=number,
            external_id=f"id-{number}",
            purchase_order=draw(_NUMBERS),
            customer_number="",
            accounts=draw(st.frozensets(st.sampled_from("ab"))),
            total=draw(st.sampled_from([Decimal(5), Decimal(7), Decimal("NaN")])),
            currency="EUR",
            placed=DAY,
        )
        for number in draw(st.lists(st.sampled_from(["1017", "1018", "1071", "2026"]), unique=True, max_size=4))
    ]
    return orders, [draw(rows(ref)) for ref in range(draw(st.integers(0, 6)))]


@given(worlds(), st.randoms())
def test_whatever_the_orders_are(world: tuple[list[StoreOrder], list[Typed]], dice: random.Random) -> None:
    orders, existing = world
    verdicts = grade(orders, existing)
    assert [verdict.key for verdict in verdicts] == [order.key for order in orders]
    linked = [verdict.order.ref for verdict in verdicts if verdict.order is not None]
    assert len(linked) == len(set(linked)), "one order of the CRM is linked once"
    for order, verdict in zip(orders, verdicts, strict=True):
        assert (verdict.grade == "none") == (not verdict.candidates)
        scores = [candidate.score for candidate in verdict.candidates]
        assert scores == sorted(scores, reverse=True)
        for candidate in verdict.candidates:
            assert candidate.order.external_id in {"", order.external_id}
            assert candidate.reasons
            assert 0 <= candidate.score <= 100
            if verdict.grade == "doubtful":
                assert candidate.order.ref not in linked
        if verdict.order is not None and not verdict.order.external_id:
            assert not verdict.candidates[0].against
            assert len(verdict.candidates[0].reasons) >= 3
    shuffled, other = list(existing), list(orders)
    dice.shuffle(shuffled)
    dice.shuffle(other)
    again = {verdict.key: verdict for verdict in grade(other, shuffled)}
    assert [str(again[verdict.key]) for verdict in verdicts] == [str(verdict) for verdict in verdicts]  # NaN != NaN


# -- speed -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("few", [False, True])
def test_a_year_is_graded_in_seconds(few: bool) -> None:
    """8,000 x 8,500; and the same with three accounts and ten totals, where nearly everything resembles everything."""
    dice = random.Random(1)
    orders, existing = [], []
    for n in range(8500):
        account = f"11x{dice.randrange(3 if few else 1200)}"
        total = Decimal(dice.randrange(10)) + 1 if few else Decimal(dice.randrange(500, 90_000)) / 100
        day = DAY + timedelta(days=n * 365 // 8500)
        number = str(10_000 + n)
        at = datetime.combine(day, datetime.min.time(), UTC)
        existing.append(Typed(f"6x{n}", "", f"Order {number}", number, "", account, total, "EUR", None, at))
        if n < 8000:
            orders.append(StoreOrder(number, number, f"id-{number}", "", "", frozenset({account}), total, "EUR", day))
    began = time.perf_counter()
    verdicts = grade(orders, existing)
    seconds = time.perf_counter() - began
    assert all(verdict.order is None or verdict.order.purchase_order == verdict.key for verdict in verdicts)
    certain = sum(verdict.grade == "certain" for verdict in verdicts)
    assert certain == len(orders)
    assert seconds < 40, f"{seconds:.1f} s"
