"""The Dramatiq entry point: the broker, the one actor, and the engine that does the work.

`orderwire worker` runs it; Dramatiq's own command line can too: `dramatiq worker:broker --threads 8`.
"""

from __future__ import annotations

import os
import threading

# A message is a doorbell: a worker that fetched more of them than it has threads would only keep others waiting.
os.environ.setdefault("dramatiq_queue_prefetch", "8")

import dramatiq

from core.settings import WorkerSettings
from pipelines.broker import QUEUE, Nudger, StopWithWorker, redis_broker
from pipelines.context import Context
from pipelines.engine import Engine


def sender(broker: dramatiq.Broker) -> Nudger:
    """For processes that only ring (web, command line)."""

    @dramatiq.actor(broker=broker, actor_name="drain", queue_name=QUEUE, max_retries=0)
    def drain() -> None:
        """Runs in the workers only."""

    return Nudger(drain.send)


def attach(broker: dramatiq.Broker, engine: Engine) -> Nudger:
    """Declare the actor that drains, and let the engine ring the same bell."""

    @dramatiq.actor(broker=broker, actor_name="drain", queue_name=QUEUE, max_retries=0)
    def drain() -> None:
        engine.drain()

    broker.add_middleware(StopWithWorker(engine))
    return Nudger(drain.send)


def run(context: Context, settings: WorkerSettings, stop: threading.Event) -> bool:
    """Work until `stop` is set. True when everything ended in time."""
    if not settings.broker:
        engine = Engine(context, threads=settings.threads, tick=settings.tick, local=True)
        engine.start()
        stop.wait()
        return engine.stop()
    broker = redis_broker(settings.broker)
    engine = Engine(context, threads=settings.threads, tick=settings.tick, local=False)
    nudger = attach(broker, engine)
    engine.rings(nudger.nudge)
    engine.presence.broker = nudger.standing
    worker = dramatiq.Worker(broker, worker_threads=settings.threads, worker_timeout=1000)
    worker.start()
    engine.start()
    stop.wait()
    ended = engine.stop()
    worker.stop(timeout=60_000)
    nudger.close()
    return ended
