"""Dramatiq as a doorbell: its only message says "there may be work". Nothing of value is ever in Redis."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, Literal

import dramatiq
import redis
import structlog
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AgeLimit, Middleware, Retries, ShutdownNotifications

from pipelines.engine import Engine

log = structlog.get_logger(__name__)

QUEUE: Final = "orderwire"
LEAST: Final = 0.05
SOCKET_TIMEOUT: Final = 5.0


def redis_broker(url: str) -> RedisBroker:
    """A broker that gives up quickly: nobody waits for Redis. Only what a doorbell needs of the middleware: no retries, no
    results; a message that was not taken within a minute is stale.
    """
    client = redis.Redis.from_url(url, socket_timeout=SOCKET_TIMEOUT, socket_connect_timeout=SOCKET_TIMEOUT)
    broker = RedisBroker(  # type: ignore[no-untyped-call]
        client=client, middleware=[AgeLimit(max_age=60_000), ShutdownNotifications(), Retries(max_retries=0)]
    )
    dramatiq.set_broker(broker)
    return broker


def eviction_policy(url: str) -> str:
    """Redis's maxmemory-policy; "" when it cannot be asked now."""
    try:
        client = redis.Redis.from_url(url, socket_timeout=SOCKET_TIMEOUT, socket_connect_timeout=SOCKET_TIMEOUT)
        found: Any = client.config_get("maxmemory-policy")
        client.close()
    except redis.RedisError:
        return ""
    return str(found.get("maxmemory-policy", ""))


class Nudger:
    """Sends at most one message per 50 ms, from a thread of its own: a request never waits for Redis."""

    def __init__(self, send: Callable[[], object], *, least: float = LEAST) -> None:
        self._send = send
        self._least = least
        self._flag = threading.Event()
        self._stop = threading.Event()
        self.away = False
        self._thread = threading.Thread(target=self._loop, name="nudger", daemon=True)
        self._thread.start()

    def nudge(self) -> bool:
        """Ask for a message. False: the broker is away, whoever can should look for work itself."""
        self._flag.set()
        return not self.away

    def standing(self) -> Literal["up", "away"]:
        """Whether the last message could be sent."""
        return "away" if self.away else "up"

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._flag.set()
        self._thread.join(timeout=SOCKET_TIMEOUT + 1)

    def _loop(self) -> None:
        while True:
            self._flag.wait()
            if self._stop.is_set():
                return
            self._flag.clear()
            try:
                self._send()
                if self.away:
                    log.info("the broker is back")
                self.away = False
            except Exception as error:  # noqa: BLE001 - a bell that rings no more must never look as if it rang
                if not self.away:
                    log.warning("the broker is away, workers look for work by themselves", error=type(error).__name__)
                self.away = True
            self._stop.wait(self._least)


class StopWithWorker(Middleware):
    """Dramatiq stops: the drains end after the job that they are at."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Called when the process was asked to end."""
        self._engine.stopping.set()
