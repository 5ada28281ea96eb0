"""Any interleaving of create, amend, pay, ship, refund, cancel and their undoing, with deliveries that come twice, late, in
another order or never, and workers that are killed at their writes, ends in the state that an independent model computes.

ORDERWIRE_LIVES says how many lives are tried (a few by default), ORDERWIRE_SEED which.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st

from tests.lifelines import POLICIES, STEPS, Places, Step, any_clock, live
from tests.oracle.life import Policy
from tests.orders import FIXTURES, corpus, left, refunds_of
from tests.shops import shop
from tests.world import World, crm

LIVES: Final = int(os.environ.get("ORDERWIRE_LIVES", "12"))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    with ExitStack() as stack:
        app, crm_url = stack.enter_context(crm())
        face, shop_url = stack.enter_context(shop())
        stack.enter_context(any_clock())
        yield Places(app, crm_url, face, shop_url, tmp_path_factory.mktemp("lives"))


def _steps(*words: str) -> list[Step]:
    """`pay`, `pay!` (jobs do not run after it), `pay?` (its delivery is lost), `pay~` (the answer to the first write is)."""
    works = {"!": "none", "~": "lost_answer"}
    return [
        Step(
            word.rstrip("!?~"),
            which=1,
            much=3,
            delivery="lost" if word.endswith("?") else "once",
            work=works.get(word[-1], "run"),
            wait=2,
        )
        for word in words
    ]


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Policy(), ("quantity", "complete")),
        (Policy(), ("quantity", "complete", "quantity", "price", "reopen")),
        (Policy(), ("quantity", "complete", "add", "line", "look", "complete")),
        (Policy(), ("quantity", "complete", "cancel")),
        (Policy(shipped="cancel"), ("quantity", "complete", "cancel")),
        (Policy(shipped="credit"), ("quantity", "complete", "line", "trash", "restore")),
        (Policy(invoiced="cancel"), ("quantity", "complete", "all", "delete refund!", "trash!")),
        (
            Policy("on_order", invoiced="cancel", shipped="credit"),
            ("quantity", "complete", "cancel", "restore!", "all", "delete refund!", "trash!"),
        ),
        (Policy("on_order", invoiced="cancel"), ("quantity", "line", "cancel")),
        (Policy("on_order", invoiced="cancel"), ("quantity", "line", "cancel", "restore", "carriage")),
        (Policy("on_order", invoiced="credit"), ("quantity", "amount", "cancel")),
        (Policy("on_order", invoiced="credit"), ("quantity", "amount", "cancel", "restore", "delete refund silently")),
        (Policy("on_order"), ("quantity", "line", "cancel", "restore", "complete")),
        (Policy("on_order"), ("quantity", "all", "delete refund")),
        (Policy("on_order", shipped="cancel"), ("pay", "line~", "cancel!")),
        (Policy("on_paid"), ("pay!", "cancel!", "all!", "restore")),
        (Policy("on_order", shipped="cancel"), ("pay", "line", "delete refund~", "cancel!")),
        (Policy("on_order"), ("quantity", "all", "delete refund!", "cancel!")),
        (Policy("on_paid", "note"), ("quantity", "line!", "carriage!", "pay", "line without tax")),
        (Policy("on_paid", refunds_invoice="leave"), ("pay!", "line!", "pay?", "carriage", "cancel")),
        (
            Policy("on_delivered", invoiced="credit", shipped="cancel"),
            ("quantity", "price", "complete", "line", "cancel"),
        ),
    ],
)
def test_these_lives_end_so(places: Places, policy: Policy, words: tuple[str, ...]) -> None:
    """What chance alone might not try every time."""
    assert live(places, policy, 1, _steps(*words)) == []


@pytest.mark.timeout(600)
def test_any_life_ends_as_the_model_says(places: Places, seed: int) -> None:
    @hypothesis_seed(seed)
    @settings(
        max_examples=LIVES,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(policy=POLICIES, orders=st.integers(1, 3), steps=st.lists(STEPS, min_size=4, max_size=14))
    def lives(policy: Policy, orders: int, steps: list[Step]) -> None:
        wrong = live(places, policy, orders, steps)
        for line in (policy, orders, *steps, *wrong):
            note(str(line))
        assert wrong == []

    lives()


# ------------------------------------------------------------------------------------------ what a real shop was seen to do

NOTE: Final = "Credit note for order {}"


def _recorded(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"), parse_float=str)


def _bills(world: World) -> dict[str, Decimal]:
    return {row["subject"]: round(Decimal(row["hdnGrandTotal"]), 6) for row in world.records("Invoice")}


def test_the_recorded_life_of_an_order(places: Places) -> None:
    """Placed, completed, 40.00 of a line given back: the recorded answers, and the delivery that told of it, twice."""
    refund = _recorded("16-refund")["response"]["body"]
    told = base64.b64decode(_recorded("hook-10-order-updated")["raw_b64"])
    with places.world(Policy(invoices="on_order")) as world:
        shown = []
        for name in ("12-order-create", "15-order-update"):
            made = _recorded(name)["response"]["body"]
            places.face.put(made, [])
            world.deliver(made)
            world.finish()
            row = world.order(13)
            shown.append((row["sostatus"], Decimal(row["hdnGrandTotal"]), len(row["LineItems"])))
        assert shown == [("Approved", Decimal("269.42"), 3), ("Delivered", Decimal("269.42"), 3)]
        for _ in range(2):
            places.face.put(json.loads(told), [refund])
            world.deliver_raw(told)
            world.finish()
            row = world.order(13)
            assert (row["sostatus"], Decimal(row["hdnGrandTotal"])) == ("Delivered", Decimal("229.42"))
            (gone,) = [line for line in row["LineItems"] if Decimal(line["listprice"]) < 0]
            assert "Widget" in gone["comment"]
            assert _bills(world) == {"Invoice for order 13": Decimal("269.42"), NOTE.format(13): Decimal("-40.00")}
        assert world.counts("SalesOrder", "Invoice") == (1, 2)


def test_the_recorded_refunds_arrive(places: Places) -> None:
    """All orders of the recorded shop that had something given back: first as they were sold, then as they are."""
    given_back = [made for made in corpus() if made["refunds"]]
    with places.world(Policy(invoices="on_order")) as world:
        for made in given_back:
            places.face.put(made, refunds_of(made))
            world.deliver({**made, "refunds": [], "date_modified_gmt": made["date_created_gmt"]})
        world.finish()
        assert world.totals() == {f"Order {made['number']}": Decimal(made["total"]) for made in given_back}
        for made in given_back:
            world.deliver({**made, "date_modified_gmt": "2026-11-22T23:00:00"})
        world.finish()
        totals = {subject: round(total, 6) for subject, total in world.totals().items()}
        assert totals == {f"Order {made['number']}": left(made) for made in given_back}
        wanted = {f"Invoice for order {made['number']}": Decimal(made["total"]) for made in given_back}
        wanted |= {NOTE.format(made["number"]): Decimal(made["refunds"][0]["total"]) for made in given_back}
        assert _bills(world) == wanted
        assert len(given_back) == 17
