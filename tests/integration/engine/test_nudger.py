"""The bell: at most one message an interval, never a wait for the one who rings, and it survives a broker that is away."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker

from pipelines.broker import Nudger, redis_broker
from tests.integration.ledger.kit import until
from tests.servers import ValkeyServer, free_port

Ring = Callable[..., Nudger]


@pytest.fixture
def ring() -> Iterator[Ring]:
    made: list[Nudger] = []

    def make(send: Callable[[], object], **options: float) -> Nudger:
        made.append(Nudger(send, **options))
        return made[-1]

    yield make
    for nudger in made:
        nudger.close()
        assert not nudger._thread.is_alive()


def test_at_most_one_message_an_interval(ring: Ring) -> None:
    sent: list[float] = []
    nudger = ring(lambda: sent.append(time.monotonic()), least=0.05)
    until(lambda: nudger.nudge() and len(sent) >= 5)
    assert all(later - earlier >= 0.049 for earlier, later in itertools.pairwise(sent))


def test_the_last_nudge_is_not_lost(ring: Ring) -> None:
    """One that comes while a message is on its way may be about something newer: it is sent too."""
    sent: list[int] = []
    on_its_way, go = threading.Event(), threading.Event()

    def send() -> None:
        sent.append(1)
        on_its_way.set()
        assert go.wait(90)

    nudger = ring(send, least=0.01)
    nudger.nudge()
    assert on_its_way.wait(90)
    nudger.nudge()
    go.set()
    until(lambda: len(sent) == 2)
    time.sleep(0.05)
    assert len(sent) == 2, "and nobody sends without being asked"


@pytest.mark.parametrize(
    "error", [redis.ConnectionError("refused"), redis.TimeoutError("slow"), OSError("unreachable")]
)
def test_a_broker_that_is_away_is_told_and_comes_back(ring: Ring, error: Exception) -> None:
    there = threading.Event()

    def send() -> None:
        if not there.is_set():
            raise error

    nudger = ring(send, least=0.01)
    nudger.nudge()
    until(lambda: not nudger.nudge(), what="the one who rings is not told")
    there.set()
    until(nudger.nudge, what="it is back, and nobody noticed")


def test_who_rings_never_waits(ring: Ring) -> None:
    go = threading.Event()
    nudger = ring(lambda: go.wait(90), least=0.01)
    began = time.monotonic()
    for _ in range(1000):
        nudger.nudge()
    assert time.monotonic() - began < 80, "it waited for who rings"
    go.set()


def bell(broker: RedisBroker) -> dramatiq.Actor[[], None]:
    @dramatiq.actor(broker=broker, actor_name="bell", queue_name="bell")
    def rings() -> None:
        pass

    return rings


def test_a_real_broker_that_goes_and_comes(ring: Ring, valkey_server: ValkeyServer, valkey_url: str) -> None:
    broker = redis_broker(valkey_url)
    actor = bell(broker)
    nudger = ring(actor.send, least=0.01)
    with redis.Redis.from_url(valkey_url) as client:
        nudger.nudge()
        until(lambda: client.llen("dramatiq:bell") >= 1)
        valkey_server.kill()
        try:
            until(lambda: not nudger.nudge())
        finally:
            valkey_server.start()
        until(nudger.nudge)
    broker.close()


def test_a_broker_that_was_never_there(ring: Ring) -> None:
    broker = redis_broker(f"redis://127.0.0.1:{free_port()}/0")
    actor = bell(broker)
    nudger = ring(actor.send, least=0.01)
    until(lambda: not nudger.nudge())
    broker.close()
