"""A flow in rehearsal takes ten thousand mixed events and asks for not one write."""

from __future__ import annotations

import random

import pytest

from tests.chaos.harness.scale import scale
from tests.mixed import events, recording
from tests.world import World, crm

pytestmark = pytest.mark.chaos
WRITES = {"create", "update", "revise", "delete", "convertlead"}


@pytest.mark.timeout(600)
def test_ten_thousand_events_are_rehearsed_and_nothing_is_written(database_url: str, seed: int) -> None:
    count, rounds = scale(10_000, 50_000), 4
    made = events(random.Random(seed), count, orders=count // 25)
    with crm() as (_, url), World(database_url, url, rehearsing=True) as world, recording(world) as asked:
        world.forget_calls()
        for n in range(rounds):
            for event in made[n * count // rounds : (n + 1) * count // rounds]:
                world.deliver(event)
            world.drain()
        assert world.writes() == 0
        assert not asked.keys() & WRITES
        assert asked["query"] > count // 25
        assert world.counts() == (0, 0, 0, 0, 0)
        assert {row["outcome"] for job in world.ledger.jobs.list() for row in world.ledger.jobs.attempts(job.id)} == {
            "retry"
        }
        assert all(job.state == "waiting" for job in world.ledger.jobs.list(limit=count))
