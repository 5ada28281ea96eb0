"""Three hundred made-up orders of all kinds into the CRM: those that balance post to the cent, the others are held."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.oracle import shop
from tests.orders import left, person
from tests.world import World

NUMBER = 300
BUYERS = [person(name) for name in ("Anna", "Boris", "Chloe", "Dmitri", "Emre")]


def made_up(seed: int) -> list[tuple[dict[str, Any], bool]]:
    """Orders, and whether their total follows from their parts: one wrong one for every four right ones."""
    dice = random.Random(seed)
    found: list[tuple[dict[str, Any], bool]] = []
    for n, case in enumerate(shop.orders(seed, NUMBER)):
        right = {**case.order, "billing": BUYERS[n % len(BUYERS)], "customer_id": 0}
        found.append((right, True))
        if n % 4 == 0:
            for _, wrong in shop.unbalanced(right, dice, 1):
                found.append(({**wrong, "id": 50_000 + n, "number": str(50_000 + n)}, False))
    dice.shuffle(found)
    return found


@pytest.mark.timeout(180)
def test_balanced_orders_post_and_others_are_held(make: Callable[..., World], seed: int) -> None:
    world = make()
    orders = made_up(seed)
    with world.working(threads=4):
        for made, _ in orders:
            world.deliver(made)
        world.settle(within=120)
    jobs = {job.number: job for job in world.ledger.jobs.list(limit=2000)}
    totals = world.totals()
    wrong = {}
    for made, right in orders:
        job, subject = jobs[made["number"]], f"Order {made['number']}"
        if right:
            posted = totals.get(subject)
            good = job.state == "settled" and posted is not None and round(posted, 6) == left(made)
        else:
            good = (job.state, job.error_class, subject in totals) == ("held", "money", False)
        if not good:
            wrong[made["number"]] = (right, made["currency"], made["total"], totals.get(subject), job.state, job.reason)
    assert wrong == {}
    kinds = Counter(right for _, right in orders)
    assert kinds[True] == NUMBER
    assert kinds[False] >= NUMBER // 6
    assert world.counts() == (len(BUYERS), len(BUYERS), NUMBER, 0, 0)
